//! Two data sets by key, and each with all of another one.

use super::operators::{
    CoGroupBody, CrossBody, JoinBody, JoinFunction, JoinKeys, JoinKind, LocalStrategy, PairFunction,
};
use super::{DataSet, GroupedDataSet, Rows};
use crate::environment::Route;
use crate::function::Collector;
use eddyline_core::{Data, Error, Key};
use eddyline_runtime::graph::{NodeSpec, Partitioning};
use eddyline_runtime::partition;
use std::sync::Arc;

/// How a join is done. Hints: a side that does not fit in memory is not looked up, whatever was asked for; then both
/// are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JoinStrategy {
    /// Both sides are partitioned by key; the smaller one is looked up if it fits in memory, else both are sorted.
    #[default]
    Automatic,
    /// Both sides are partitioned by key; the left one is looked up.
    HashBuildLeft,
    /// Both sides are partitioned by key; the right one is looked up.
    HashBuildRight,
    /// The left side is small: all instances get all of it. Not where left values are emitted without a partner.
    BroadcastLeft,
    /// The right side is small: all instances get all of it. Not where right values are emitted without a partner.
    BroadcastRight,
    /// Both sides are partitioned by key, sorted and merged.
    SortMerge,
}

/// Two data sets that are to be joined.
///
/// # Examples
/// ```
/// use eddyline::Environment;
///
/// let environment = Environment::new();
/// let names = environment.from_collection(vec![(1u64, "anna".to_string()), (2, "ben".to_string())]).bounded();
/// let orders = environment.from_collection(vec![(1u64, 30u32), (1, 12), (3, 5)]).bounded();
/// let both = orders.join(&names, |order| order.0, |name| name.0);
/// let named = both.left_outer(|order, name| (name.map(|name| name.1.clone()), order.1)).collect();
/// let unknown = both.left_anti().collect();
/// environment.execute("orders")?;
/// assert!(named.rows().contains(&(Some("anna".to_string()), 12)));
/// assert!(named.rows().contains(&(None, 5)));
/// assert_eq!(unknown.rows(), [(3, 5)]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct JoinedDataSets<K, L, R> {
    left: GroupedDataSet<K, L>,
    right: GroupedDataSet<K, R>,
    strategy: JoinStrategy,
}

const INNER: JoinKind = JoinKind { pairs: true, left_alone: false, right_alone: false, left_once: false };

impl<L: Data> DataSet<L> {
    /// Joins with another data set by key: what comes of it, the next call says.
    pub fn join<K: Key, R: Data>(
        &self,
        right: &DataSet<R>,
        left_key: impl Fn(&L) -> K + Clone + Send + Sync + 'static,
        right_key: impl Fn(&R) -> K + Clone + Send + Sync + 'static,
    ) -> JoinedDataSets<K, L, R> {
        let (left, right) = (self.group_by(left_key), right.group_by(right_key));
        JoinedDataSets { left, right, strategy: JoinStrategy::default() }
    }

    /// Each value with each one of `right`, which all instances get: `right` should be the smaller one.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let sizes = environment.from_collection(vec![1u32, 2]).bounded();
    /// let colours = environment.from_collection(vec!["red".to_string(), "blue".to_string()]).bounded();
    /// let all = sizes.cross(&colours, |size, colour| format!("{size} {colour}")).collect();
    /// environment.execute("all")?;
    /// assert_eq!(all.rows().len(), 4);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn cross<R: Data, O: Data>(
        &self,
        right: &DataSet<R>,
        pair: impl Fn(&L, &R) -> O + Send + Sync + 'static,
    ) -> DataSet<O> {
        let pair: PairFunction<L, R, O> = Arc::new(pair);
        let spread = right.broadcast();
        self.blocking_two(&spread, NodeSpec::named("cross"), move || CrossBody::new(pair.clone()))
    }

    /// Gives every value to all instances of what follows.
    pub(super) fn broadcast(&self) -> DataSet<L> {
        self.routed(Route::By(Partitioning::Broadcast, partition::global()))
    }
}

impl<K: Key, L: Data, R: Data> JoinedDataSets<K, L, R> {
    /// Says how the join is to be done.
    #[must_use]
    pub fn with_strategy(mut self, strategy: JoinStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// A result of each pair of values with equal keys.
    pub fn inner<O: Data>(&self, pair: impl Fn(&L, &R) -> O + Send + Sync + 'static) -> DataSet<O> {
        self.done("join", INNER, move |left, right| match (left, right) {
            (Some(left), Some(right)) => pair(left, right),
            _ => alone(),
        })
    }

    /// A result of each pair, and of each left value without a partner.
    pub fn left_outer<O: Data>(
        &self,
        pair: impl Fn(&L, Option<&R>) -> O + Send + Sync + 'static,
    ) -> DataSet<O> {
        self.done("left outer join", JoinKind { left_alone: true, ..INNER }, move |left, right| match left {
            Some(left) => pair(left, right),
            None => alone(),
        })
    }

    /// A result of each pair, and of each right value without a partner.
    pub fn right_outer<O: Data>(
        &self,
        pair: impl Fn(Option<&L>, &R) -> O + Send + Sync + 'static,
    ) -> DataSet<O> {
        let kind = JoinKind { right_alone: true, ..INNER };
        self.done("right outer join", kind, move |left, right| match right {
            Some(right) => pair(left, right),
            None => alone(),
        })
    }

    /// A result of each pair, and of each value of either side without a partner.
    pub fn full_outer<O: Data>(
        &self,
        pair: impl Fn(Option<&L>, Option<&R>) -> O + Send + Sync + 'static,
    ) -> DataSet<O> {
        self.done("full outer join", JoinKind { left_alone: true, right_alone: true, ..INNER }, pair)
    }

    /// The left values that have a partner, each once.
    pub fn left_semi(&self) -> DataSet<L> {
        let kind = JoinKind { pairs: false, left_once: true, ..INNER };
        self.done("semi join", kind, |left, _| left.cloned().unwrap_or_else(|| alone()))
    }

    /// The left values that have no partner.
    pub fn left_anti(&self) -> DataSet<L> {
        let kind = JoinKind { pairs: false, left_alone: true, ..INNER };
        self.done("anti join", kind, |left, _| left.cloned().unwrap_or_else(|| alone()))
    }

    fn done<O: Data>(
        &self,
        name: &str,
        kind: JoinKind,
        function: impl Fn(Option<&L>, Option<&R>) -> O + Send + Sync + 'static,
    ) -> DataSet<O> {
        let impossible = match self.strategy {
            JoinStrategy::BroadcastLeft => kind.left_alone || kind.left_once,
            JoinStrategy::BroadcastRight => kind.right_alone,
            _ => false,
        };
        if impossible {
            self.left.data().stream.graph.borrow_mut().refuse(
                Error::config(format!("a {name} cannot be done by {:?}", self.strategy))
                    .with_detail("each instance would emit the values of the side that all of them have")
                    .with_hint("broadcast the other side, or choose another strategy"),
            );
        }
        let local = match self.strategy {
            JoinStrategy::Automatic => LocalStrategy::Automatic,
            JoinStrategy::HashBuildLeft | JoinStrategy::BroadcastLeft => LocalStrategy::BuildLeft,
            JoinStrategy::HashBuildRight | JoinStrategy::BroadcastRight => LocalStrategy::BuildRight,
            JoinStrategy::SortMerge => LocalStrategy::Sort,
        };
        let (left, right) = match self.strategy {
            JoinStrategy::BroadcastLeft => (self.left.data().broadcast(), self.right.data().clone()),
            JoinStrategy::BroadcastRight => (self.left.data().clone(), self.right.data().broadcast()),
            _ => (self.left.exchanged(), self.right.exchanged()),
        };
        let keys = JoinKeys { left: self.left.key_of(), right: self.right.key_of() };
        let function: JoinFunction<L, R, O> = Arc::new(function);
        left.blocking_two(&right, NodeSpec::named(name), move || {
            JoinBody::new(keys.clone(), kind, local, function.clone())
        })
    }
}

fn alone<O>() -> O {
    unreachable!("invariant: a join of this kind never emits this side alone")
}

impl<K: Key, L: Data> GroupedDataSet<K, L> {
    /// Calls `function` once for each key of either side, with the values that both have of it. What one call emits is
    /// held in memory.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let one = environment.from_collection(vec![1u64, 2, 2]).bounded().group_by(|number| *number);
    /// let other = environment.from_collection(vec![2u64, 3]).bounded().group_by(|number| *number);
    /// let counts = one
    ///     .co_group(&other, |number, left, right, out| {
    ///         out.collect((*number, left.count() as u64, right.count() as u64));
    ///     })
    ///     .collect();
    /// environment.execute("counts")?;
    /// let mut counts = counts.rows();
    /// counts.sort();
    /// assert_eq!(counts, [(1, 1, 0), (2, 2, 1), (3, 0, 1)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn co_group<R: Data, O: Data>(
        &self,
        right: &GroupedDataSet<K, R>,
        function: impl FnMut(&K, Rows<'_, L>, Rows<'_, R>, &mut Collector<O>) + Clone + Send + Sync + 'static,
    ) -> DataSet<O> {
        let keys = JoinKeys { left: self.key_of(), right: right.key_of() };
        self.exchanged().blocking_two(&right.exchanged(), NodeSpec::named("co-group"), move || {
            CoGroupBody::new(keys.clone(), function.clone())
        })
    }
}
