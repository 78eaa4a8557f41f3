//! A whole small data set, seen by a function before its first value.

use super::DataSet;
use super::operators::BroadcastSetBody;
use crate::function::Collector;
use eddyline_core::Data;
use eddyline_runtime::graph::NodeSpec;

/// Data, and a data set that functions on it see as a whole.
///
/// # Examples
/// ```
/// use eddyline::Environment;
///
/// let environment = Environment::new();
/// let prices = environment.from_collection(vec![10u64, 30, 60]).bounded();
/// let most = prices.max_by(|price| *price);
/// let shares = prices.with_broadcast_set(&most).map(|price, most| price * 100 / most[0]).collect();
/// environment.execute("shares")?;
/// let mut shares = shares.rows();
/// shares.sort();
/// assert_eq!(shares, [16, 50, 100]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct WithBroadcastSet<T, B> {
    data: DataSet<T>,
    set: DataSet<B>,
}

impl<T: Data> DataSet<T> {
    /// The data with all of `set` beside it, on every instance: it has to fit in a worker's memory.
    pub fn with_broadcast_set<B: Data>(&self, set: &DataSet<B>) -> WithBroadcastSet<T, B> {
        WithBroadcastSet { data: self.clone(), set: set.clone() }
    }
}

impl<T: Data, B: Data> WithBroadcastSet<T, B> {
    /// Calls `function` for each value, with the whole set (in any order).
    pub fn map<U: Data>(
        &self,
        function: impl Fn(T, &[B]) -> U + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.prepared("map with broadcast set", move |set: Vec<B>| {
            let function = function.clone();
            move |value: T, out: &mut Collector<U>| out.collect(function(value, &set))
        })
    }

    /// Keeps the values for which `function` says so, given the whole set (in any order).
    pub fn filter(&self, function: impl Fn(&T, &[B]) -> bool + Clone + Send + Sync + 'static) -> DataSet<T> {
        self.prepared("filter with broadcast set", move |set: Vec<B>| {
            let function = function.clone();
            move |value: T, out: &mut Collector<T>| {
                if function(&value, &set) {
                    out.collect(value);
                }
            }
        })
    }

    /// Calls for each value the function that `make` makes of the set, once per instance: what is to be looked up is
    /// prepared once.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Collector, Environment};
    /// use std::collections::BTreeSet;
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["the".to_string(), "river".to_string()]).bounded();
    /// let stop_words = environment.from_collection(vec!["the".to_string(), "a".to_string()]).bounded();
    /// let left = words
    ///     .with_broadcast_set(&stop_words)
    ///     .flat_map(|stop_words| {
    ///         let stop_words: BTreeSet<String> = stop_words.into_iter().collect();
    ///         move |word: String, out: &mut Collector<String>| {
    ///             if !stop_words.contains(&word) {
    ///                 out.collect(word);
    ///             }
    ///         }
    ///     })
    ///     .collect();
    /// environment.execute("words")?;
    /// assert_eq!(left.rows(), ["river"]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn flat_map<U: Data, F: FnMut(T, &mut Collector<U>) + Send + 'static>(
        &self,
        make: impl Fn(Vec<B>) -> F + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.prepared("flat map with broadcast set", make)
    }

    fn prepared<U: Data, F: FnMut(T, &mut Collector<U>) + Send + 'static>(
        &self,
        name: &str,
        make: impl Fn(Vec<B>) -> F + Clone + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.data.blocking_two(&self.set.broadcast(), NodeSpec::named(name), move || {
            BroadcastSetBody::<T, B, U, _>::new(make.clone())
        })
    }
}
