//! Fewer of the same: distinct values, the first few, how many there are.

use super::DataSet;
use super::operators::{CountBody, FirstBody, KeepFirst, SumBody};
use crate::environment::Route;
use eddyline_core::{Data, Key};
use eddyline_runtime::graph::{NodeSpec, Partitioning};
use eddyline_runtime::partition;

impl<T: Data> DataSet<T> {
    /// One of each value.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![3u64, 1, 3, 3]).bounded();
    /// let distinct = numbers.distinct().collect();
    /// environment.execute("distinct")?;
    /// let mut rows = distinct.rows();
    /// rows.sort();
    /// assert_eq!(rows, [1, 3]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn distinct(&self) -> DataSet<T>
    where
        T: Key,
    {
        self.distinct_by(T::clone)
    }

    /// One of the values of each key; which one is not said.
    pub fn distinct_by<K: Key>(&self, key: impl Fn(&T) -> K + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.group_by(key).combined("distinct", KeepFirst, |_, value, out| out.push(value))
    }

    /// So many of the values; which ones is not said (sort before, on a single instance, to say it).
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let first = environment.from_collection(vec![3u64, 1, 3, 3]).bounded().first(2).collect();
    /// environment.execute("first")?;
    /// assert_eq!(first.rows().len(), 2);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn first(&self, count: u64) -> DataSet<T> {
        let each = self.blocking("first", move || FirstBody::<T>::new(count));
        let all = each.routed(Route::By(Partitioning::Global, partition::global()));
        all.blocking_with(NodeSpec::named("first").with_parallelism(1), move || FirstBody::<T>::new(count))
    }

    /// How many values there are: a single number, 0 if there are none.
    pub fn count(&self) -> DataSet<u64> {
        let each = self.blocking("count", CountBody::<T>::new);
        let all = each.routed(Route::By(Partitioning::Global, partition::global()));
        all.blocking_with(NodeSpec::named("count").with_parallelism(1), SumBody::new)
    }
}
