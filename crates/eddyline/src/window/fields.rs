//! Aggregations over a field of the records.

use super::Aggregator;
use eddyline_core::Data;
use std::marker::PhantomData;

/// A number that can be summed.
pub trait Number: Data + Copy {
    /// Nothing added yet.
    const ZERO: Self;

    /// The sum; integers wrap around, as in the arithmetic of most engines.
    fn plus(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Number for $type {
            const ZERO: Self = 0;
            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    )*};
}

macro_rules! floats {
    ($($type:ty)*) => {$(
        impl Number for $type {
            const ZERO: Self = 0.0;
            #[inline]
            fn plus(self, other: Self) -> Self {
                self + other
            }
        }
    )*};
}

integers! { i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 }
floats! { f32 f64 }

/// Which of two is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    Greater,
}

impl Better {
    fn prefers<V: PartialOrd>(self, candidate: &V, kept: &V) -> bool {
        match self {
            Better::Less => candidate < kept,
            Better::Greater => candidate > kept,
        }
    }
}

/// The least or the greatest of what a function gives for each record; what cannot be compared (not a number) does
/// not replace what was there before.
///
/// # Examples
/// ```
/// use eddyline::window::{Aggregator, Extreme};
///
/// let hottest = Extreme::max(|reading: &(u64, f64)| reading.1);
/// let mut state = hottest.create();
/// hottest.add(&mut state, (1, 20.5));
/// hottest.add(&mut state, (2, 19.0));
/// assert_eq!(hottest.result(&state), 20.5);
/// ```
#[derive(Clone)]
pub struct Extreme<T, F> {
    field: F,
    better: Better,
    _input: PhantomData<fn(T)>,
}

impl<T, F> Extreme<T, F> {
    /// The least.
    pub fn min<V>(field: F) -> Self
    where
        F: Fn(&T) -> V,
    {
        Extreme { field, better: Better::Less, _input: PhantomData }
    }

    /// The greatest.
    pub fn max<V>(field: F) -> Self
    where
        F: Fn(&T) -> V,
    {
        Extreme { field, better: Better::Greater, _input: PhantomData }
    }

    fn keep<V: PartialOrd>(&self, state: &mut Option<V>, candidate: V) {
        if state.as_ref().is_none_or(|kept| self.better.prefers(&candidate, kept)) {
            *state = Some(candidate);
        }
    }
}

impl<T, V, F> Aggregator for Extreme<T, F>
where
    T: Data,
    V: Data + PartialOrd,
    F: Fn(&T) -> V + Clone + Send + Sync + 'static,
{
    type Input = T;
    type State = Option<V>;
    type Output = V;

    fn create(&self) -> Option<V> {
        None
    }

    fn add(&self, state: &mut Option<V>, input: T) {
        self.keep(state, (self.field)(&input));
    }

    fn merge(&self, state: &mut Option<V>, other: &Option<V>) {
        if let Some(other) = other {
            self.keep(state, other.clone());
        }
    }

    fn result(&self, state: &Option<V>) -> V {
        state.clone().expect("invariant: a window that fires has a record")
    }
}

/// The record for which a function gives the least or the greatest value; of several equal ones, the first.
///
/// # Examples
/// ```
/// use eddyline::window::{Aggregator, ExtremeBy};
///
/// let hottest = ExtremeBy::max(|reading: &(u64, f64)| reading.1);
/// let mut state = hottest.create();
/// hottest.add(&mut state, (1, 20.5));
/// hottest.add(&mut state, (2, 20.5));
/// assert_eq!(hottest.result(&state), (1, 20.5));
/// ```
#[derive(Clone)]
pub struct ExtremeBy<T, F> {
    field: F,
    better: Better,
    _input: PhantomData<fn(T)>,
}

impl<T, F> ExtremeBy<T, F> {
    /// The record with the least value.
    pub fn min<V>(field: F) -> Self
    where
        F: Fn(&T) -> V,
    {
        ExtremeBy { field, better: Better::Less, _input: PhantomData }
    }

    /// The record with the greatest value.
    pub fn max<V>(field: F) -> Self
    where
        F: Fn(&T) -> V,
    {
        ExtremeBy { field, better: Better::Greater, _input: PhantomData }
    }

    fn is_better<V: PartialOrd>(&self, kept: Option<&T>, candidate: &T) -> bool
    where
        F: Fn(&T) -> V,
    {
        kept.is_none_or(|kept| self.better.prefers(&(self.field)(candidate), &(self.field)(kept)))
    }
}

impl<T, V, F> Aggregator for ExtremeBy<T, F>
where
    T: Data,
    V: PartialOrd + 'static,
    F: Fn(&T) -> V + Clone + Send + Sync + 'static,
{
    type Input = T;
    type State = Option<T>;
    type Output = T;

    fn create(&self) -> Option<T> {
        None
    }

    fn add(&self, state: &mut Option<T>, input: T) {
        if self.is_better(state.as_ref(), &input) {
            *state = Some(input);
        }
    }

    fn merge(&self, state: &mut Option<T>, other: &Option<T>) {
        if let Some(other) = other
            && self.is_better(state.as_ref(), other)
        {
            *state = Some(other.clone());
        }
    }

    fn result(&self, state: &Option<T>) -> T {
        state.clone().expect("invariant: a window that fires has a record")
    }
}
