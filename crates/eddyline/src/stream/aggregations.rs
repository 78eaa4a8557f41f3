//! Aggregates of keyed streams that roll along: for every record that comes in, the aggregate of all records of its
//! key so far leaves, with the timestamp of that record.

use super::{DataStream, KeyedStream};
use crate::operators::{Rolling, RollingOperator};
use crate::window::Aggregator;
use eddyline_core::{Data, Key};
use eddyline_runtime::accumulators::Summand;
use eddyline_runtime::graph::NodeSpec;
use std::marker::PhantomData;

/// Which of several records with equally small or large values counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// The one that came first.
    #[default]
    First,
    /// The one that came last.
    Last,
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    fn rolling<R: Rolling<K, T> + Clone + Send + Sync>(
        &self,
        name: &str,
        rolling: R,
    ) -> DataStream<R::Output> {
        let key_of = self.key_of.clone();
        self.stream
            .transform(NodeSpec::named(name), move || RollingOperator::new(rolling.clone(), key_of.clone()))
    }

    /// Reduces the records of each key to one: `reduce` gets what the records before have been reduced to, and the
    /// next record. The first record of a key leaves as it is.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let clicks = environment.from_collection(vec![("a".to_string(), 1u64), ("b".to_string(), 5), ("a".to_string(), 2)]);
    /// let latest = clicks.key_by(|(page, _)| page.clone()).reduce(|before, now| (now.0, before.1.max(now.1)));
    /// let latest = latest.collect();
    /// environment.execute("latest")?;
    /// assert_eq!(latest.rows(), [("a".to_string(), 1), ("b".to_string(), 5), ("a".to_string(), 2)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn reduce(&self, reduce: impl Fn(&T, T) -> T + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.rolling("reduce", Reduced { reduce })
    }

    /// Folds the records of each key into a value that begins as `initial`; the value leaves after each record.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["ab".to_string(), "ac".to_string()]);
    /// let joined = words
    ///     .key_by(|word| word.chars().next())
    ///     .fold(String::new(), |all, word| all.push_str(&word))
    ///     .collect();
    /// environment.execute("joined")?;
    /// assert_eq!(joined.rows(), ["ab", "abac"]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn fold<S: Data + Sync>(
        &self,
        initial: S,
        fold: impl Fn(&mut S, T) + Clone + Send + Sync + 'static,
    ) -> DataStream<S> {
        self.rolling("fold", Folded { initial, fold })
    }

    /// Aggregates the records of each key; key and result so far leave after each record.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    /// use eddyline::window::Sum;
    ///
    /// let environment = Environment::new();
    /// let sizes = environment.from_collection(vec![("a".to_string(), 3i64), ("a".to_string(), 4)]);
    /// let sums = sizes.key_by(|row| row.0.clone()).aggregate(Sum::of(|row: &(String, i64)| row.1)).collect();
    /// environment.execute("sums")?;
    /// assert_eq!(sums.rows(), [("a".to_string(), 3), ("a".to_string(), 7)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn aggregate<A: Aggregator<Input = T>>(&self, aggregator: A) -> DataStream<(K, A::Output)> {
        self.rolling("aggregate", Aggregated { aggregator })
    }

    /// Sums up a field, which `field` points to. What leaves is the first record of the key with the sum so far in
    /// that field. Whole numbers wrap around.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let sales = environment.from_collection(vec![("tea".to_string(), 3u64), ("tea".to_string(), 4)]);
    /// let sums = sales.key_by(|(item, _)| item.clone()).sum(|(_, amount)| amount).collect();
    /// environment.execute("sums")?;
    /// assert_eq!(sums.rows(), [("tea".to_string(), 3), ("tea".to_string(), 7)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn sum<N: Summand>(
        &self,
        field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        let change = move |state: &mut T, mut input: T| {
            let place = field(state);
            *place = place.plus(*field(&mut input));
        };
        self.rolling("sum", Changed { change })
    }

    /// The least value of a field, which `field` points to. What leaves is the first record of the key with the
    /// least value so far in that field; see [`KeyedStream::min_by`] for the record that has the least value.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let readings = environment.from_collection(vec![(1u8, 20i64, 'a'), (1, 10, 'b'), (1, 15, 'c')]);
    /// let coldest = readings.key_by(|row| row.0).min(|row| &mut row.1).collect();
    /// environment.execute("coldest")?;
    /// assert_eq!(coldest.rows(), [(1, 20, 'a'), (1, 10, 'a'), (1, 10, 'a')]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn min<N: PartialOrd + Clone + 'static>(
        &self,
        field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        self.extreme("min", field, |new, old| new < old)
    }

    /// The greatest value of a field, which `field` points to, as [`KeyedStream::min`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let readings = environment.from_collection(vec![(1u8, 20i64), (1, 30)]);
    /// let warmest = readings.key_by(|row| row.0).max(|row| &mut row.1).collect();
    /// environment.execute("warmest")?;
    /// assert_eq!(warmest.rows(), [(1, 20), (1, 30)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn max<N: PartialOrd + Clone + 'static>(
        &self,
        field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        self.extreme("max", field, |new, old| new > old)
    }

    fn extreme<N: Clone + 'static>(
        &self,
        name: &str,
        field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static,
        is_better: fn(&N, &N) -> bool,
    ) -> DataStream<T> {
        let change = move |state: &mut T, mut input: T| {
            let (old, new) = (field(state), field(&mut input));
            if is_better(new, old) {
                old.clone_from(new);
            }
        };
        self.rolling(name, Changed { change })
    }

    /// The record with the least value so far, which `value` finds; of several the first. Values that cannot be
    /// compared with others (`NaN`) replace none.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let readings = environment.from_collection(vec![(1u8, 20i64, 'a'), (1, 10, 'b'), (1, 10, 'c')]);
    /// let coldest = readings.key_by(|row| row.0).min_by(|row| row.1).collect();
    /// environment.execute("coldest")?;
    /// assert_eq!(coldest.rows(), [(1, 20, 'a'), (1, 10, 'b'), (1, 10, 'b')]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn min_by<N: PartialOrd>(
        &self,
        value: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        self.min_by_with(Ties::First, value)
    }

    /// As [`KeyedStream::min_by`], saying which of several records with the least value counts.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, Ties};
    ///
    /// let environment = Environment::new();
    /// let readings = environment.from_collection(vec![(1u8, 10i64, 'b'), (1, 10, 'c')]);
    /// let coldest = readings.key_by(|row| row.0).min_by_with(Ties::Last, |row| row.1).collect();
    /// environment.execute("coldest")?;
    /// assert_eq!(coldest.rows(), [(1, 10, 'b'), (1, 10, 'c')]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn min_by_with<N: PartialOrd>(
        &self,
        ties: Ties,
        value: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        let change = move |state: &mut T, input: T| {
            let (old, new) = (value(state), value(&input));
            if new < old || (ties == Ties::Last && new == old) {
                *state = input;
            }
        };
        self.rolling("min_by", Changed { change })
    }

    /// The record with the greatest value so far, as [`KeyedStream::min_by`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let readings = environment.from_collection(vec![(1u8, 0.5f64), (1, 0.25)]);
    /// let warmest = readings.key_by(|row| row.0).max_by(|row| row.1).collect();
    /// environment.execute("warmest")?;
    /// assert_eq!(warmest.rows(), [(1, 0.5), (1, 0.5)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn max_by<N: PartialOrd>(
        &self,
        value: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        self.max_by_with(Ties::First, value)
    }

    /// As [`KeyedStream::max_by`], saying which of several records with the greatest value counts.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, Ties};
    ///
    /// let environment = Environment::new();
    /// let readings = environment.from_collection(vec![(1u8, 10i64, 'b'), (1, 10, 'c')]);
    /// let warmest = readings.key_by(|row| row.0).max_by_with(Ties::Last, |row| row.1).collect();
    /// environment.execute("warmest")?;
    /// assert_eq!(warmest.rows(), [(1, 10, 'b'), (1, 10, 'c')]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn max_by_with<N: PartialOrd>(
        &self,
        ties: Ties,
        value: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        let change = move |state: &mut T, input: T| {
            let (old, new) = (value(state), value(&input));
            if new > old || (ties == Ties::Last && new == old) {
                *state = input;
            }
        };
        self.rolling("max_by", Changed { change })
    }

    /// Counts the records of each key; key and count so far leave after each record.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["a".to_string(), "b".to_string(), "a".to_string()]);
    /// let counts = words.key_by(|word| word.clone()).count().collect();
    /// environment.execute("counts")?;
    /// assert_eq!(counts.rows(), [("a".to_string(), 1), ("b".to_string(), 1), ("a".to_string(), 2)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn count(&self) -> DataStream<(K, u64)> {
        self.rolling("count", Counted(PhantomData))
    }
}

#[derive(Clone)]
struct Reduced<F> {
    reduce: F,
}

impl<K, T: Data, F: Fn(&T, T) -> T + 'static> Rolling<K, T> for Reduced<F> {
    type State = T;
    type Output = T;

    fn first(&self, input: T) -> T {
        input
    }

    #[inline]
    fn next(&self, state: &mut T, input: T) {
        *state = (self.reduce)(state, input);
    }

    fn output(&self, _key: &K, state: &T) -> T {
        state.clone()
    }
}

/// The first record, changed in place by those that follow.
#[derive(Clone)]
struct Changed<F> {
    change: F,
}

impl<K, T: Data, F: Fn(&mut T, T) + 'static> Rolling<K, T> for Changed<F> {
    type State = T;
    type Output = T;

    fn first(&self, input: T) -> T {
        input
    }

    #[inline]
    fn next(&self, state: &mut T, input: T) {
        (self.change)(state, input);
    }

    fn output(&self, _key: &K, state: &T) -> T {
        state.clone()
    }
}

#[derive(Clone)]
struct Folded<S, F> {
    initial: S,
    fold: F,
}

impl<K, T, S: Data, F: Fn(&mut S, T) + 'static> Rolling<K, T> for Folded<S, F> {
    type State = S;
    type Output = S;

    fn first(&self, input: T) -> S {
        let mut state = self.initial.clone();
        (self.fold)(&mut state, input);
        state
    }

    #[inline]
    fn next(&self, state: &mut S, input: T) {
        (self.fold)(state, input);
    }

    fn output(&self, _key: &K, state: &S) -> S {
        state.clone()
    }
}

#[derive(Clone)]
struct Aggregated<A> {
    aggregator: A,
}

impl<K: Data, A: Aggregator> Rolling<K, A::Input> for Aggregated<A> {
    type State = A::State;
    type Output = (K, A::Output);

    fn first(&self, input: A::Input) -> A::State {
        let mut state = self.aggregator.create();
        self.aggregator.add(&mut state, input);
        state
    }

    #[inline]
    fn next(&self, state: &mut A::State, input: A::Input) {
        self.aggregator.add(state, input);
    }

    fn output(&self, key: &K, state: &A::State) -> (K, A::Output) {
        (key.clone(), self.aggregator.result(state))
    }
}

struct Counted<T>(PhantomData<fn(T)>);

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        Counted(PhantomData)
    }
}

impl<K: Data, T: 'static> Rolling<K, T> for Counted<T> {
    type State = u64;
    type Output = (K, u64);

    fn first(&self, _input: T) -> u64 {
        1
    }

    fn next(&self, state: &mut u64, _input: T) {
        *state += 1;
    }

    fn output(&self, key: &K, state: &u64) -> (K, u64) {
        (key.clone(), *state)
    }
}
