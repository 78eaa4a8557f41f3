//! Incremental functions that cannot merge: each record is added to what all records before it have come to.

use super::Aggregator;
use eddyline_core::Data;
use std::marker::PhantomData;

/// An aggregation of records one after the other, in the order in which they come. Unlike an
/// [`Aggregator`] it need not be able to merge two of its states, so it is for windows that do not merge.
///
/// # Examples
/// ```
/// use eddyline::window::AggregateFunction;
///
/// /// An average that forgets.
/// #[derive(Clone)]
/// struct Smooth;
///
/// impl AggregateFunction for Smooth {
///     type Input = f64;
///     type State = Option<f64>;
///     type Output = f64;
///
///     fn create(&self) -> Option<f64> {
///         None
///     }
///     fn add(&self, state: &mut Option<f64>, input: f64) {
///         *state = Some(state.map_or(input, |before| before * 0.75 + input * 0.25));
///     }
///     fn result(&self, state: &Option<f64>) -> f64 {
///         state.unwrap_or(0.0)
///     }
/// }
/// ```
pub trait AggregateFunction: Clone + Send + Sync + 'static {
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
    /// The result for what was added; called for windows with at least one record.
    fn result(&self, state: &Self::State) -> Self::Output;
}

/// An aggregation as operators take it that merge only for windows that do: it is never asked to.
#[derive(Clone)]
pub(crate) struct Ordered<F>(pub(crate) F);

impl<F: AggregateFunction> Aggregator for Ordered<F> {
    type Input = F::Input;
    type State = F::State;
    type Output = F::Output;

    fn create(&self) -> F::State {
        self.0.create()
    }

    fn add(&self, state: &mut F::State, input: F::Input) {
        self.0.add(state, input);
    }

    fn merge(&self, _state: &mut F::State, _other: &F::State) {
        unreachable!("invariant: an aggregation that cannot merge is used for fixed windows only");
    }

    fn result(&self, state: &F::State) -> F::Output {
        self.0.result(state)
    }
}

/// Folds records into a value.
pub(crate) struct Fold<T, R, F> {
    initial: R,
    fold: F,
    _input: PhantomData<fn(T)>,
}

impl<T, R, F> Fold<T, R, F> {
    pub(crate) fn new(initial: R, fold: F) -> Self {
        Fold { initial, fold, _input: PhantomData }
    }
}

impl<T, R: Clone, F: Clone> Clone for Fold<T, R, F> {
    fn clone(&self) -> Self {
        Fold::new(self.initial.clone(), self.fold.clone())
    }
}

impl<T: Data, R: Data + Sync, F: Fn(&mut R, T) + Clone + Send + Sync + 'static> AggregateFunction
    for Fold<T, R, F>
{
    type Input = T;
    type State = R;
    type Output = R;

    fn create(&self) -> R {
        self.initial.clone()
    }

    fn add(&self, state: &mut R, input: T) {
        (self.fold)(state, input);
    }

    fn result(&self, state: &R) -> R {
        state.clone()
    }
}
