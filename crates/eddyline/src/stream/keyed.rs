//! Streams partitioned by a key.

use super::DataStream;
use crate::environment::Route;
use crate::function::KeyedProcessFunction;
use crate::operators::{KeyOf, KeyedProcessOperator, ProcessingTimersAtEnd};
use crate::side_output::SidePorts;
use eddyline_core::{Data, Key};
use eddyline_runtime::graph::{NodeSpec, Partitioning};
use eddyline_runtime::partition;
use std::sync::Arc;

/// A stream whose records with equal keys meet in the same instance of what follows.
pub struct KeyedStream<K, T> {
    /// The stream, routed by key.
    pub(crate) stream: DataStream<T>,
    pub(crate) key_of: KeyOf<T, K>,
}

impl<K, T> Clone for KeyedStream<K, T> {
    fn clone(&self) -> Self {
        KeyedStream { stream: self.stream.clone(), key_of: self.key_of.clone() }
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    pub(super) fn new(stream: &DataStream<T>, key: impl Fn(&T) -> K + Clone + Send + Sync + 'static) -> Self {
        let route = Route::By(Partitioning::Hash, partition::rows_by_key::<T, K>(key.clone()));
        KeyedStream { stream: stream.routed(route), key_of: Arc::new(key) }
    }

    /// Runs a function with state and timers per key; `make` is called once per instance. Processing-time timers
    /// that are not due at the end of the input are dropped.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{
    ///     Collector, Environment, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, ValueState,
    /// };
    ///
    /// /// Numbers the records of each key.
    /// #[derive(Default)]
    /// struct Number {
    ///     last: Option<ValueState<u64>>,
    /// }
    ///
    /// impl KeyedProcessFunction<String, String, (String, u64)> for Number {
    ///     fn open(&mut self, context: &mut KeyedOpenContext<'_, String>) -> Result<()> {
    ///         self.last = Some(context.value_state("last")?);
    ///         Ok(())
    ///     }
    ///
    ///     fn process_element(
    ///         &mut self,
    ///         word: String,
    ///         _context: &mut KeyedContext<'_, String>,
    ///         out: &mut Collector<(String, u64)>,
    ///     ) -> Result<()> {
    ///         if let Some(last) = &self.last {
    ///             let number = last.with_mut(|| 0, |last| {
    ///                 *last += 1;
    ///                 *last
    ///             });
    ///             out.collect((word, number));
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["a".to_string(), "b".to_string(), "a".to_string()]);
    /// words.key_by(|word| word.clone()).process(Number::default).print();
    /// # environment.explain()?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn process<U: Data, F: KeyedProcessFunction<K, T, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_with(ProcessingTimersAtEnd::Drop, make)
    }

    /// As [`KeyedStream::process`], saying what becomes of processing-time timers at the end of the input.
    pub fn process_with<U: Data, F: KeyedProcessFunction<K, T, U>>(
        &self,
        at_end: ProcessingTimersAtEnd,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        let (sides, key_of) = (SidePorts::default(), self.key_of.clone());
        let ports = sides.clone();
        let spec = NodeSpec::named("process").with_watermarks();
        let stream = self.stream.transform(spec, move || {
            KeyedProcessOperator::<K, T, U, F>::new(make(), key_of.clone(), ports.clone(), at_end)
        });
        stream.with_sides(sides)
    }
}
