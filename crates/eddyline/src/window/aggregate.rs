//! How the records of a window become its result.

use super::Number;
use eddyline_core::Data;
use std::marker::PhantomData;

/// An aggregation whose partial states can be merged.
///
/// A window's result is merged from the states of its slices, in the order of time and, within a slice, of arrival.
/// `merge` must be associative: the engine merges neighbours in whichever grouping is cheapest. Records that come
/// after the watermark has passed their slice are merged as they come.
///
/// # Examples
/// ```
/// use eddyline::window::Aggregator;
///
/// #[derive(Clone)]
/// struct Mean;
///
/// impl Aggregator for Mean {
///     type Input = f64;
///     type State = (f64, u64);
///     type Output = f64;
///
///     fn create(&self) -> (f64, u64) {
///         (0.0, 0)
///     }
///     fn add(&self, state: &mut (f64, u64), input: f64) {
///         state.0 += input;
///         state.1 += 1;
///     }
///     fn merge(&self, state: &mut (f64, u64), other: &(f64, u64)) {
///         state.0 += other.0;
///         state.1 += other.1;
///     }
///     fn result(&self, state: &(f64, u64)) -> f64 {
///         state.0 / state.1 as f64
///     }
/// }
/// ```
pub trait Aggregator: Clone + Send + Sync + 'static {
    /// What is added.
    type Input: Data;
    /// What is kept between two records.
    type State: Data;
    /// What a window gives.
    type Output: Data;

    /// The state before anything was added.
    fn create(&self) -> Self::State;
    /// Adds a record.
    fn add(&self, state: &mut Self::State, input: Self::Input);
    /// Adds everything that had been added to `other`, which is later.
    fn merge(&self, state: &mut Self::State, other: &Self::State);
    /// The result for what was added; called for windows with at least one record.
    fn result(&self, state: &Self::State) -> Self::Output;
}

/// Counts records.
pub struct Count<T>(PhantomData<fn(T)>);

impl<T> Count<T> {
    /// Counts records of type `T`.
    pub fn new() -> Self {
        Count(PhantomData)
    }
}

impl<T> Default for Count<T> {
    fn default() -> Self {
        Count::new()
    }
}

impl<T> Clone for Count<T> {
    fn clone(&self) -> Self {
        Count::new()
    }
}

impl<T: Data> Aggregator for Count<T> {
    type Input = T;
    type State = u64;
    type Output = u64;

    fn create(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, state: &mut u64, _input: T) {
        *state += 1;
    }

    #[inline]
    fn merge(&self, state: &mut u64, other: &u64) {
        *state += other;
    }

    fn result(&self, state: &u64) -> u64 {
        *state
    }
}

/// Sums a number of each record; integers wrap around, as in the arithmetic of most engines.
#[derive(Clone)]
pub struct Sum<T, F> {
    number: F,
    _input: PhantomData<fn(T)>,
}

impl<T, F> Sum<T, F> {
    /// Sums what `number` gives for each record.
    pub fn of<N: Number>(number: F) -> Self
    where
        F: Fn(&T) -> N,
    {
        Sum { number, _input: PhantomData }
    }
}

impl<T: Data, N: Number, F: Fn(&T) -> N + Clone + Send + Sync + 'static> Aggregator for Sum<T, F> {
    type Input = T;
    type State = N;
    type Output = N;

    fn create(&self) -> N {
        N::ZERO
    }

    #[inline]
    fn add(&self, state: &mut N, input: T) {
        *state = state.plus((self.number)(&input));
    }

    #[inline]
    fn merge(&self, state: &mut N, other: &N) {
        *state = state.plus(*other);
    }

    fn result(&self, state: &N) -> N {
        *state
    }
}

/// Makes one record of two until one is left.
#[derive(Clone)]
pub struct Reduce<T, F> {
    reduce: F,
    _input: PhantomData<fn(T)>,
}

impl<T, F> Reduce<T, F> {
    /// Reduces with `reduce`, an associative function of an earlier and a later record.
    pub fn with(reduce: F) -> Self
    where
        F: Fn(T, &T) -> T,
    {
        Reduce { reduce, _input: PhantomData }
    }

    fn join(&self, state: &mut Option<T>, later: &T)
    where
        T: Clone,
        F: Fn(T, &T) -> T,
    {
        *state = Some(match state.take() {
            Some(earlier) => (self.reduce)(earlier, later),
            None => later.clone(),
        });
    }
}

impl<T: Data, F: Fn(T, &T) -> T + Clone + Send + Sync + 'static> Aggregator for Reduce<T, F> {
    type Input = T;
    type State = Option<T>;
    type Output = T;

    fn create(&self) -> Option<T> {
        None
    }

    fn add(&self, state: &mut Option<T>, input: T) {
        self.join(state, &input);
    }

    fn merge(&self, state: &mut Option<T>, other: &Option<T>) {
        if let Some(later) = other {
            self.join(state, later);
        }
    }

    fn result(&self, state: &Option<T>) -> T {
        state.clone().expect("invariant: a window that fires has a record")
    }
}
