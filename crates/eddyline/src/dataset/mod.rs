//! Bounded data: final results only.
//!
//! A [`DataSet`] is a stream that ends, on the same graph and the same runtime as a [`DataStream`]; what differs is
//! that its operators see all of their input before they answer. They keep it in memory within their share of
//! `taskmanager.memory.process.size`, and in files in `io.tmp.dirs` beyond it. Records have no event times, and no
//! order unless they were sorted.
//!
//! A job with such operators takes no periodic checkpoints: after a failure it begins again, and exactly-once sinks
//! show what they got when it has come to its end. See `docs/batch.md`.

mod aggregations;
mod broadcast_sets;
mod distinct;
mod grouped;
mod iterations;
mod joins;
mod operators;
mod order;
mod partitions;
mod sorts;

pub use broadcast_sets::WithBroadcastSet;
pub use grouped::{GroupedDataSet, SortedGroups};
pub use iterations::ITERATION_ROUNDS_MAX;
pub use joins::{JoinStrategy, JoinedDataSets};
pub use operators::PartitionRows;
pub use order::{Rows, SortBy};

use crate::environment::Route;
use crate::function::Collector;
use crate::sink::{CollectHandle, CollectSink, SinkFunction};
use crate::stream::{DataStream, DataStreamSink};
use eddyline_core::Data;
use eddyline_runtime::graph::NodeSpec;
use operators::{BlockingOperator, Body};
use std::fmt::Debug;

/// Bounded data of type `T`.
///
/// # Examples
/// ```
/// use eddyline::dataset::SortBy;
/// use eddyline::{Collector, Environment};
///
/// let environment = Environment::new();
/// let lines = environment.from_collection(vec!["to be or not".to_string(), "to be".to_string()]).bounded();
/// let counts = lines
///     .flat_map(|line: String, out: &mut Collector<(String, u64)>| {
///         line.split(' ').for_each(|word| out.collect((word.to_owned(), 1)));
///     })
///     .group_by(|(word, _)| word.clone())
///     .reduce(|one, other| (one.0, one.1 + other.1))
///     .sort_by(SortBy::descending(|(_, count): &(String, u64)| *count).then_ascending(|(word, _)| word.clone()))
///     .collect();
/// environment.execute("word count")?;
/// let counts = counts.rows();
/// assert_eq!(counts[..2], [("be".to_string(), 2), ("to".to_string(), 2)]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct DataSet<T> {
    pub(crate) stream: DataStream<T>,
}

impl<T> Clone for DataSet<T> {
    fn clone(&self) -> Self {
        DataSet { stream: self.stream.clone() }
    }
}

impl<T: Data> DataStream<T> {
    /// The stream as bounded data: what follows answers when the stream has ended. A stream that never ends gives
    /// nothing before the job is stopped.
    pub fn bounded(&self) -> DataSet<T> {
        DataSet { stream: self.clone() }
    }
}

impl<T: Data> DataSet<T> {
    /// The data as a stream, to be used with everything that streams have.
    pub fn into_stream(self) -> DataStream<T> {
        self.stream
    }

    /// Calls `function` for each value.
    pub fn map<U: Data>(&self, function: impl FnMut(T) -> U + Clone + Send + Sync + 'static) -> DataSet<U> {
        self.stream.map(function).bounded()
    }

    /// Keeps the values for which `function` says so.
    pub fn filter(&self, function: impl FnMut(&T) -> bool + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.stream.filter(function).bounded()
    }

    /// Calls `function` for each value, which emits any number of values.
    pub fn flat_map<U: Data>(
        &self,
        function: impl FnMut(T, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.stream.flat_map(function).bounded()
    }

    /// All values of both, those that are in both twice.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let one = environment.from_collection(vec![1u8, 2]).bounded();
    /// let both = one.union(&environment.from_collection(vec![2u8]).bounded()).count().collect();
    /// environment.execute("union")?;
    /// assert_eq!(both.rows(), [3]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn union(&self, other: &DataSet<T>) -> DataSet<T> {
        self.stream.union(&other.stream).bounded()
    }

    /// Hands values out evenly to all instances of what follows.
    pub fn rebalance(&self) -> DataSet<T> {
        self.stream.rebalance().bounded()
    }

    /// Gives each value to the instance that `choose` names, given the value and the number of instances.
    pub fn partition_custom(
        &self,
        choose: impl Fn(&T, usize) -> usize + Clone + Send + Sync + 'static,
    ) -> DataSet<T> {
        self.stream.partition_custom(choose).bounded()
    }

    /// Names the operator that this comes from, for people.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.stream.name(name).bounded()
    }

    /// Gives the operator that this comes from its stable identity.
    #[must_use]
    pub fn uid(self, uid: &str) -> Self {
        self.stream.uid(uid).bounded()
    }

    /// Sets the number of instances of the operator that this comes from; without it there is one per worker.
    #[must_use]
    pub fn set_parallelism(self, parallelism: u32) -> Self {
        self.stream.set_parallelism(parallelism).bounded()
    }

    /// Ends in a sink; `make` is called once per instance.
    pub fn add_sink<S: SinkFunction<T>>(
        &self,
        name: &str,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> DataStreamSink {
        self.stream.add_sink(name, make)
    }

    /// Prints each value on a line of standard output.
    pub fn print(&self) -> DataStreamSink
    where
        T: Debug,
    {
        self.stream.print()
    }

    /// Collects the values in memory, to be read when the job has finished: those of the first instance first, each
    /// instance's in their order, so that sorted data stays sorted. The job has to run in one process.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    /// use eddyline::dataset::SortBy;
    ///
    /// let environment = Environment::new();
    /// environment.set_parallelism(2);
    /// let numbers = environment.from_collection(vec![3u64, 1, 2]).bounded();
    /// let sorted = numbers.sort_by(SortBy::ascending(|number: &u64| *number)).collect();
    /// environment.execute("sort")?;
    /// assert_eq!(sorted.rows(), [1, 2, 3]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn collect(&self) -> CollectHandle<T> {
        let (handle, collected) = CollectHandle::new();
        self.stream.graph.borrow_mut().collects = true;
        let _ = self.stream.add_sink("collect", move || CollectSink::new(collected.clone(), false));
        handle
    }

    /// The data by the key that `key` finds.
    pub fn group_by<K: eddyline_core::Key>(
        &self,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
    ) -> GroupedDataSet<K, T> {
        GroupedDataSet::new(self, key)
    }

    /// Leads the data into an operator that collects it.
    fn blocking<B: Body>(
        &self,
        name: &str,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> DataSet<B::Output> {
        self.blocking_with(NodeSpec::named(name), make)
    }

    /// As [`DataSet::blocking`], with more to say of the node.
    fn blocking_with<B: Body>(
        &self,
        spec: NodeSpec,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> DataSet<B::Output> {
        self.stream.transform(spec.holding_input(), move || BlockingOperator::new(make())).bounded()
    }

    /// Leads both into an operator that collects them, as inputs 0 and 1.
    fn blocking_two<R: Data, B: Body>(
        &self,
        right: &DataSet<R>,
        spec: NodeSpec,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> DataSet<B::Output> {
        let result = self.blocking_with(spec, make);
        if let Some(node) = result.stream.only_node() {
            right.stream.lead_into(node, 1);
        }
        result
    }

    /// The same with another way to distribute its values.
    fn routed(&self, route: Route) -> DataSet<T> {
        self.stream.routed(route).bounded()
    }
}
