//! Whole partitions, and numbers for values.

use super::DataSet;
use super::operators::{IndexBody, PartitionBody, PartitionRows, SizeBody, UniqueBody};
use eddyline_core::Data;
use eddyline_runtime::graph::NodeSpec;

impl<T: Data> DataSet<T> {
    /// Calls `function` once per instance, with all values that it has; what the iterator it answers gives is asked
    /// for little by little, so neither has to be held in memory.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2, 3]).bounded();
    /// let running = numbers
    ///     .map_partition(|rows| {
    ///         rows.scan(0, |sum, number| {
    ///             *sum += number;
    ///             Some(*sum)
    ///         })
    ///     })
    ///     .collect();
    /// environment.execute("running sums")?;
    /// assert_eq!(running.rows(), [1, 3, 6]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn map_partition<U: Data, I: Iterator<Item = U> + Send + 'static>(
        &self,
        function: impl FnMut(PartitionRows<T>) -> I + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.blocking("map partition", move || PartitionBody::new(function.clone()))
    }

    /// Numbers the values from 0 on without a gap, in the order of the instances.
    pub fn zip_with_index(&self) -> DataSet<(u64, T)> {
        let sizes = self.blocking("sizes", SizeBody::<T>::new).broadcast();
        self.blocking_two(&sizes, NodeSpec::named("zip with index"), IndexBody::<T>::new)
    }

    /// Gives each value a number of its own; there may be gaps, but nothing has to be counted before.
    pub fn zip_with_unique_id(&self) -> DataSet<(u64, T)> {
        self.blocking("zip with unique id", UniqueBody::<T>::new)
    }
}
