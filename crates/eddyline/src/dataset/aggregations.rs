//! Sums, least and greatest values: per group, and of all data.

use super::operators::{Combine, WithReduce};
use super::{DataSet, GroupedDataSet};
use crate::window::{Aggregator, Count};
use eddyline_core::{Data, Key};
use std::marker::PhantomData;
use std::ops::Add;

/// Adds up a number of each value.
struct Summed<F, N> {
    number: F,
    _number: PhantomData<fn() -> N>,
}

impl<F: Clone, N> Clone for Summed<F, N> {
    fn clone(&self) -> Self {
        Summed { number: self.number.clone(), _number: PhantomData }
    }
}

impl<T, N, F> Combine<T> for Summed<F, N>
where
    T: Data,
    N: Data + Add<Output = N>,
    F: Fn(&T) -> N + Clone + Send + Sync + 'static,
{
    type State = N;

    fn start(&self, value: T) -> N {
        (self.number)(&value)
    }

    fn add(&self, state: &mut N, value: T) {
        *state = state.clone() + (self.number)(&value);
    }

    fn merge(&self, state: &mut N, other: N) {
        *state = state.clone() + other;
    }
}

impl<K: Key, T: Data> GroupedDataSet<K, T> {
    /// How many values each group has.
    pub fn count(&self) -> DataSet<(K, u64)> {
        self.aggregate(Count::new()).name("count")
    }

    /// The sum of what `number` gives for the values of each group; overflow is that of `+`.
    pub fn sum<N: Data + Add<Output = N>>(
        &self,
        number: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> DataSet<(K, N)> {
        let summed = Summed { number, _number: PhantomData };
        self.combined("sum", summed, |key, sum, out| out.push((key, sum)))
    }

    /// The value of each group with the least `by`; of equal ones, any.
    pub fn min_by<B: Ord>(&self, by: impl Fn(&T) -> B + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.reduce(move |one, other| if by(&other) < by(&one) { other } else { one }).name("min by")
    }

    /// The value of each group with the greatest `by`; of equal ones, any.
    pub fn max_by<B: Ord>(&self, by: impl Fn(&T) -> B + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.reduce(move |one, other| if by(&other) > by(&one) { other } else { one }).name("max by")
    }
}

impl<T: Data> DataSet<T> {
    /// Makes one value of all; `reduce` must be associative and commutative. Nothing, if there is nothing.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let sum = environment.from_collection(vec![1u64, 2, 3]).bounded().reduce(|one, other| one + other).collect();
    /// environment.execute("sum")?;
    /// assert_eq!(sum.rows(), [6]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn reduce(&self, reduce: impl Fn(T, T) -> T + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.group_by(|_| ()).combined("reduce", WithReduce(reduce), |(), value, out| out.push(value))
    }

    /// Aggregates all values; the aggregation must not depend on their order. Nothing, if there is nothing.
    pub fn aggregate<A: Aggregator<Input = T>>(&self, aggregator: A) -> DataSet<A::Output> {
        self.group_by(|_| ()).aggregate(aggregator).map(|((), result)| result)
    }

    /// The sum of what `number` gives for all values; nothing, if there is nothing.
    pub fn sum<N: Data + Add<Output = N>>(
        &self,
        number: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> DataSet<N> {
        self.group_by(|_| ()).sum(number).map(|((), sum)| sum)
    }

    /// The value with the least `by`; of equal ones, any.
    pub fn min_by<B: Ord>(&self, by: impl Fn(&T) -> B + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.group_by(|_| ()).min_by(by)
    }

    /// The value with the greatest `by`; of equal ones, any.
    pub fn max_by<B: Ord>(&self, by: impl Fn(&T) -> B + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.group_by(|_| ()).max_by(by)
    }
}
