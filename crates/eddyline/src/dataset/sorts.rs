//! Sorting, and partitioning by ranges.

use super::operators::{RangeBody, Routed, SampleBody, SortBody};
use super::{DataSet, SortBy};
use crate::environment::Route;
use eddyline_core::Data;
use eddyline_runtime::graph::{NodeSpec, Partitioning};
use eddyline_runtime::partition;

impl<T: Data> DataSet<T> {
    /// Sorts what each instance has, without an exchange. Equal records keep their order.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    /// use eddyline::dataset::SortBy;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![3u64, 1, 2]).bounded();
    /// let sorted = numbers.sort_partition(SortBy::descending(|number: &u64| *number)).collect();
    /// environment.execute("sort")?;
    /// assert_eq!(sorted.rows(), [3, 2, 1]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn sort_partition(&self, order: SortBy<T>) -> DataSet<T> {
        self.blocking("sort partition", move || SortBody::new(order.order()))
    }

    /// Sorts all data: each instance gets a range, in order of the instances, and sorts it. So all records of an
    /// instance come before all of the next one. Where to cut is found by samples; records that are equal in the
    /// order stay together.
    pub fn sort_by(&self, order: SortBy<T>) -> DataSet<T> {
        self.partition_by_range(order.clone()).sort_partition(order).name("sort")
    }

    /// Gives each instance a range of the order: everything on an instance comes before everything on the next one.
    /// All data is held until the boundaries are known.
    pub fn partition_by_range(&self, order: SortBy<T>) -> DataSet<T> {
        let samples = self.blocking("sample", SampleBody::<T>::new);
        let spread = samples.routed(Route::By(Partitioning::Broadcast, partition::global()));
        let ranges =
            self.blocking_two(&spread, NodeSpec::named("ranges"), move || RangeBody::new(order.order()));
        let routed =
            ranges.partition_custom(|routed: &Routed<T>, targets| (routed.target as usize).min(targets - 1));
        routed.map(|routed| routed.value).name("range")
    }
}
