//! The usual accumulators.

use super::JobAccumulator;
use eddyline_core::Data;
use std::collections::BTreeMap;

/// A number that can be summed up.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::Summand;
///
/// assert_eq!(u8::plus(200, 100), 44, "whole numbers wrap around");
/// assert_eq!(f64::plus(0.5, 1.0), 1.5);
/// ```
pub trait Summand: Data + Copy + Default {
    /// The sum of both. Whole numbers wrap around, as in the arithmetic of most engines.
    fn plus(self, other: Self) -> Self;
}

macro_rules! whole_summands {
    ($($type:ty),*) => { $(impl Summand for $type {
        #[inline]
        fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
    })* };
}

whole_summands!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128);

impl Summand for f32 {
    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Summand for f64 {
    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

/// Counts: adding a number adds so many.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::{Count, JobAccumulator};
///
/// let mut count = Count::default();
/// count.add(1);
/// count.add(2);
/// assert_eq!(count.value(), 3);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Data)]
pub struct Count(u64);

impl Count {
    /// The count.
    pub fn value(&self) -> u64 {
        self.0
    }
}

impl JobAccumulator for Count {
    type Input = u64;

    #[inline]
    fn add(&mut self, input: u64) {
        self.0 = self.0.wrapping_add(input);
    }

    fn merge(&mut self, other: Self) {
        self.add(other.0);
    }
}

/// Sums numbers up; whole numbers wrap around.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::{JobAccumulator, Sum};
///
/// let mut sum = Sum::<i64>::default();
/// sum.add(5);
/// sum.add(-7);
/// assert_eq!(sum.value(), -2);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Data)]
pub struct Sum<N>(N);

impl<N: Copy> Sum<N> {
    /// The sum.
    pub fn value(&self) -> N {
        self.0
    }
}

impl<N: Summand> JobAccumulator for Sum<N> {
    type Input = N;

    #[inline]
    fn add(&mut self, input: N) {
        self.0 = self.0.plus(input);
    }

    fn merge(&mut self, other: Self) {
        self.add(other.0);
    }
}

/// The least of all values; those that cannot be compared (`NaN`) do not count.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::{JobAccumulator, Minimum};
///
/// let mut minimum = Minimum::default();
/// assert_eq!(minimum.value(), None);
/// [f64::NAN, 2.0, 1.0, f64::NAN].into_iter().for_each(|value| minimum.add(value));
/// assert_eq!(minimum.value(), Some(&1.0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Minimum<V>(Option<V>);

impl<V> Default for Minimum<V> {
    fn default() -> Self {
        Minimum(None)
    }
}

impl<V> Minimum<V> {
    /// The least value, if there was any.
    pub fn value(&self) -> Option<&V> {
        self.0.as_ref()
    }
}

/// Whether a value can be compared at all: with itself.
fn is_comparable<V: PartialOrd>(value: &V) -> bool {
    value.partial_cmp(value).is_some()
}

impl<V: Data + PartialOrd> JobAccumulator for Minimum<V> {
    type Input = V;

    fn add(&mut self, input: V) {
        if is_comparable(&input) && self.0.as_ref().is_none_or(|least| input < *least) {
            self.0 = Some(input);
        }
    }

    fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|value| self.add(value));
    }
}

/// The greatest of all values; those that cannot be compared (`NaN`) do not count.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::{JobAccumulator, Maximum};
///
/// let mut maximum = Maximum::default();
/// ["a", "c", "b"].into_iter().for_each(|word| maximum.add(word.to_string()));
/// assert_eq!(maximum.value().map(String::as_str), Some("c"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Maximum<V>(Option<V>);

impl<V> Default for Maximum<V> {
    fn default() -> Self {
        Maximum(None)
    }
}

impl<V> Maximum<V> {
    /// The greatest value, if there was any.
    pub fn value(&self) -> Option<&V> {
        self.0.as_ref()
    }
}

impl<V: Data + PartialOrd> JobAccumulator for Maximum<V> {
    type Input = V;

    fn add(&mut self, input: V) {
        if is_comparable(&input) && self.0.as_ref().is_none_or(|greatest| input > *greatest) {
            self.0 = Some(input);
        }
    }

    fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|value| self.add(value));
    }
}

/// The mean of all values.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::{Average, JobAccumulator};
///
/// let mut average = Average::default();
/// assert_eq!(average.value(), None);
/// average.add(1.0);
/// average.add(2.0);
/// assert_eq!((average.value(), average.count()), (Some(1.5), 2));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Data)]
pub struct Average {
    sum: f64,
    count: u64,
}

impl Average {
    /// The mean, if there was any value.
    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl JobAccumulator for Average {
    type Input = f64;

    #[inline]
    fn add(&mut self, input: f64) {
        self.sum += input;
        self.count += 1;
    }

    fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }
}

/// How often each value came.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::{Histogram, JobAccumulator};
///
/// let mut histogram = Histogram::default();
/// [200u16, 404, 200].into_iter().for_each(|status| histogram.add(status));
/// assert_eq!(histogram.counts().get(&200), Some(&2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Histogram<V: Ord> {
    counts: BTreeMap<V, u64>,
}

impl<V: Ord> Default for Histogram<V> {
    fn default() -> Self {
        Histogram { counts: BTreeMap::new() }
    }
}

impl<V: Ord> Histogram<V> {
    /// How often each value came.
    pub fn counts(&self) -> &BTreeMap<V, u64> {
        &self.counts
    }
}

impl<V: Data + Ord> JobAccumulator for Histogram<V> {
    type Input = V;

    fn add(&mut self, input: V) {
        *self.counts.entry(input).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        for (value, count) in other.counts {
            *self.counts.entry(value).or_default() += count;
        }
    }
}

/// All values. Meant for few of them: everything that is in accumulators travels with each sign of life.
///
/// # Examples
/// ```
/// use eddyline_runtime::accumulators::{JobAccumulator, List};
///
/// let mut list = List::default();
/// list.add("broken.log".to_string());
/// assert_eq!(list.items(), ["broken.log"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct List<V> {
    items: Vec<V>,
}

impl<V> Default for List<V> {
    fn default() -> Self {
        List { items: Vec::new() }
    }
}

impl<V> List<V> {
    /// The values, those of each instance in the order in which they came.
    pub fn items(&self) -> &[V] {
        &self.items
    }
}

impl<V: Data> JobAccumulator for List<V> {
    type Input = V;

    fn add(&mut self, input: V) {
        self.items.push(input);
    }

    fn merge(&mut self, other: Self) {
        self.items.extend(other.items);
    }
}
