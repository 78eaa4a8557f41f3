//! Data by key.

use super::operators::{
    AggregateBody, Combine, CombineBody, FirstRows, GroupBody, Out, Partial, WithAggregator, WithReduce,
};
use super::{DataSet, Rows, SortBy};
use crate::environment::Route;
use crate::function::Collector;
use crate::operators::KeyOf;
use crate::window::Aggregator;
use eddyline_core::{Data, Key};
use eddyline_runtime::graph::Partitioning;
use eddyline_runtime::partition;
use std::sync::Arc;

/// Data by key, to be reduced group by group.
///
/// # Examples
/// ```
/// use eddyline::Environment;
/// use eddyline::dataset::SortBy;
///
/// let environment = Environment::new();
/// let visits = vec![("anna".to_string(), 3u32), ("ben".to_string(), 8), ("anna".to_string(), 5)];
/// let by_name = environment.from_collection(visits).bounded().group_by(|(name, _)| name.clone());
/// let longest = by_name.max_by(|(_, minutes)| *minutes).collect();
/// let paths = by_name
///     .sort_group(SortBy::ascending(|(_, minutes): &(String, u32)| *minutes))
///     .reduce_group(|name, rows, out| {
///         let minutes: Vec<u32> = rows.map(|(_, minutes)| minutes).collect();
///         out.collect((name.clone(), minutes));
///     })
///     .collect();
/// environment.execute("visits")?;
/// assert!(longest.rows().contains(&("anna".to_string(), 5)));
/// assert!(paths.rows().contains(&("anna".to_string(), vec![3, 5])));
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct GroupedDataSet<K, T> {
    data: DataSet<T>,
    key_of: KeyOf<T, K>,
    route: Route,
}

impl<K, T> Clone for GroupedDataSet<K, T> {
    fn clone(&self) -> Self {
        GroupedDataSet { data: self.data.clone(), key_of: self.key_of.clone(), route: self.route.clone() }
    }
}

/// Data by key, each group in an order of its own.
pub struct SortedGroups<K, T> {
    grouped: GroupedDataSet<K, T>,
    order: SortBy<T>,
}

impl<K: Key, T: Data> GroupedDataSet<K, T> {
    pub(super) fn new(data: &DataSet<T>, key: impl Fn(&T) -> K + Clone + Send + Sync + 'static) -> Self {
        let route = Route::By(Partitioning::Hash, partition::rows_by_key::<T, K>(key.clone()));
        GroupedDataSet { data: data.clone(), key_of: Arc::new(key), route }
    }

    pub(super) fn key_of(&self) -> KeyOf<T, K> {
        self.key_of.clone()
    }

    /// The data, routed by key.
    pub(super) fn exchanged(&self) -> DataSet<T> {
        self.data.routed(self.route.clone())
    }

    /// The data where it is.
    pub(super) fn data(&self) -> &DataSet<T> {
        &self.data
    }

    /// Aggregates before the exchange what each instance has, and behind it everything.
    pub(super) fn combined<C: Combine<T>, O: Data>(
        &self,
        name: &str,
        combine: C,
        finish: impl Fn(K, C::State, &mut Out<O>) + Clone + Send + Sync + 'static,
    ) -> DataSet<O> {
        let (key_of, before) = (self.key_of.clone(), combine.clone());
        let partials = self
            .data
            .blocking(&format!("{name} (combine)"), move || CombineBody::new(key_of.clone(), before.clone()));
        let by_key = partition::rows_by_key::<Partial<K, C::State>, K>(|partial| partial.key.clone());
        let exchanged = partials.routed(Route::By(Partitioning::Hash, by_key));
        exchanged.blocking(name, move || AggregateBody::new(combine.clone(), finish.clone()))
    }

    /// Makes one value of all values of a group. `reduce` must be associative and commutative: values of a group come
    /// in any order, and are reduced before the exchange already.
    pub fn reduce(&self, reduce: impl Fn(T, T) -> T + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.combined("reduce", WithReduce(reduce), |_, value, out| out.push(value))
    }

    /// Aggregates each group; the aggregation must not depend on the order of the values.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    /// use eddyline::window::Count;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2, 3, 4, 5]).bounded();
    /// let counts = numbers.group_by(|number| number % 2).aggregate(Count::new()).collect();
    /// environment.execute("counts")?;
    /// let mut counts = counts.rows();
    /// counts.sort();
    /// assert_eq!(counts, [(0, 2), (1, 3)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn aggregate<A: Aggregator<Input = T>>(&self, aggregator: A) -> DataSet<(K, A::Output)> {
        let finish = aggregator.clone();
        self.combined("aggregate", WithAggregator(aggregator), move |key, state, out| {
            out.push((key, finish.result(&state)));
        })
    }

    /// So many values of each group; which ones is not said.
    pub fn first(&self, count: usize) -> DataSet<T> {
        self.combined("first", FirstRows(count), |_, values: Vec<T>, out| {
            values.into_iter().for_each(|value| out.push(value));
        })
    }

    /// Calls `function` once for each group, with all its values. What one call emits is held in memory.
    pub fn reduce_group<U: Data>(
        &self,
        function: impl FnMut(&K, Rows<'_, T>, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.calls("reduce group", self.exchanged(), None, function)
    }

    /// As [`GroupedDataSet::reduce_group`], without an exchange: a group is what an instance has of it. Makes less of
    /// much before a group is reduced completely.
    pub fn combine_group<U: Data>(
        &self,
        function: impl FnMut(&K, Rows<'_, T>, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.calls("combine group", self.data.clone(), None, function)
    }

    /// Sorts the values of each group for the function that sees them.
    pub fn sort_group(&self, order: SortBy<T>) -> SortedGroups<K, T> {
        SortedGroups { grouped: self.clone(), order }
    }

    fn calls<U: Data>(
        &self,
        name: &str,
        data: DataSet<T>,
        order: Option<SortBy<T>>,
        function: impl FnMut(&K, Rows<'_, T>, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        let key_of = self.key_of.clone();
        data.blocking(name, move || {
            GroupBody::new(key_of.clone(), order.as_ref().map(SortBy::order), function.clone())
        })
    }
}

impl<K: Key, T: Data> SortedGroups<K, T> {
    /// Calls `function` once for each group, with all its values in order. What one call emits is held in memory.
    pub fn reduce_group<U: Data>(
        &self,
        function: impl FnMut(&K, Rows<'_, T>, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        let data = self.grouped.exchanged();
        self.grouped.calls("reduce group", data, Some(self.order.clone()), function)
    }

    /// As [`SortedGroups::reduce_group`], without an exchange: a group is what an instance has of it.
    pub fn combine_group<U: Data>(
        &self,
        function: impl FnMut(&K, Rows<'_, T>, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        let data = self.grouped.data().clone();
        self.grouped.calls("combine group", data, Some(self.order.clone()), function)
    }

    /// The first so many values of each group, in its order.
    pub fn first(&self, count: usize) -> DataSet<T> {
        self.reduce_group(move |_, rows, out| rows.take(count).for_each(|value| out.collect(value)))
            .name("first")
    }
}
