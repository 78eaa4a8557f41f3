//! Functions on keyed streams: state and timers per key.

use super::{Collector, ProcessContext, RuntimeContext};
use crate::state::KeyedStates;
use crate::timers::KeyedTimers;
use eddyline_core::{Clock, Data, EventTime, Key, Result};
use eddyline_runtime::InstanceInfo;
use eddyline_state::{Accumulator, AggregatingState, ListState, MapState, ReducingState, ValueState};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Which notion of time a timer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeDomain {
    /// The time that records carry; timers fire when the watermark has passed them.
    EventTime,
    /// The time of the job's clock.
    ProcessingTime,
}

/// A function that sees every record of a keyed stream with the state and the timers of the record's key.
///
/// # Examples
/// ```
/// use eddyline::{Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain, ValueState};
///
/// /// Says how many records of a key came before it was quiet for a minute.
/// #[derive(Default)]
/// struct CountUntilQuiet {
///     count: Option<ValueState<(u64, i64)>>,
/// }
///
/// impl KeyedProcessFunction<String, String, (String, u64)> for CountUntilQuiet {
///     fn open(&mut self, context: &mut KeyedOpenContext<'_, String>) -> Result<()> {
///         self.count = Some(context.value_state("count")?);
///         Ok(())
///     }
///
///     fn process_element(
///         &mut self,
///         _value: String,
///         context: &mut KeyedContext<'_, String>,
///         _out: &mut Collector<(String, u64)>,
///     ) -> Result<()> {
///         let Some(count) = &self.count else { return Ok(()) };
///         let (before, timer) = count.get().unwrap_or((0, i64::MIN));
///         let quiet = context.timestamp() + 60_000;
///         context.delete_event_time_timer(timer);
///         context.register_event_time_timer(quiet);
///         count.update((before + 1, quiet));
///         Ok(())
///     }
///
///     fn on_timer(
///         &mut self,
///         _time: i64,
///         _domain: TimeDomain,
///         context: &mut KeyedContext<'_, String>,
///         out: &mut Collector<(String, u64)>,
///     ) -> Result<()> {
///         if let Some((count, _)) = self.count.as_ref().and_then(ValueState::take) {
///             out.collect((context.key().clone(), count));
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait KeyedProcessFunction<K: Key, T: Data, U: Data>: 'static {
    /// Declares the states; called once per instance, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut KeyedOpenContext<'_, K>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Takes a record; its key is the current one.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element(
        &mut self,
        value: T,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// A timer is due; the key it was registered for is the current one. Timers fire in the order of time and, at
    /// the same time, of their keys' encoding. What is collected has the timer's time as its timestamp.
    ///
    /// # Errors
    /// End the attempt.
    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let _ = (time, domain, context, out);
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// Where a function on a keyed stream declares its states.
pub struct KeyedOpenContext<'a, K> {
    pub(crate) runtime: &'a RuntimeContext,
    pub(crate) states: &'a mut KeyedStates<K>,
}

impl<K: Key> KeyedOpenContext<'_, K> {
    /// The job, as seen from this instance: parameters, services, metrics, accumulators, state without keys.
    pub fn runtime(&self) -> &RuntimeContext {
        self.runtime
    }

    /// The facts about this instance.
    pub fn info(&self) -> &InstanceInfo {
        self.runtime.info()
    }

    /// The clock of the job.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.runtime.clock()
    }

    /// One value per key.
    ///
    /// # Errors
    /// If the operator has another state of that name, or the name begins with `__`.
    pub fn value_state<V: Data>(&mut self, name: &str) -> Result<ValueState<V>> {
        self.states.value(name, self.runtime.tables())
    }

    /// A list per key.
    ///
    /// # Errors
    /// As for [`KeyedOpenContext::value_state`].
    pub fn list_state<V: Data>(&mut self, name: &str) -> Result<ListState<V>> {
        Ok(ListState::new(self.value_state(name)?))
    }

    /// A map per key, in the order of the map's own keys.
    ///
    /// # Errors
    /// As for [`KeyedOpenContext::value_state`].
    pub fn map_state<UK: Data + Ord, V: Data>(&mut self, name: &str) -> Result<MapState<UK, V>> {
        Ok(MapState::new(self.value_state(name)?))
    }

    /// One value per key, into which others are merged by `reduce`, which is associative.
    ///
    /// # Errors
    /// As for [`KeyedOpenContext::value_state`].
    pub fn reducing_state<V: Data>(
        &mut self,
        name: &str,
        reduce: impl Fn(&V, V) -> V + 'static,
    ) -> Result<ReducingState<V>> {
        Ok(ReducingState::new(self.value_state(name)?, reduce))
    }

    /// One accumulator per key.
    ///
    /// # Errors
    /// As for [`KeyedOpenContext::value_state`].
    pub fn aggregating_state<A: Accumulator>(
        &mut self,
        name: &str,
        accumulator: A,
    ) -> Result<AggregatingState<A>> {
        Ok(AggregatingState::new(self.value_state(name)?, accumulator))
    }
}

/// What a function on a keyed stream may ask while it processes a record or a timer: all that a [`ProcessContext`]
/// answers, to which this dereferences, and what concerns the key.
pub struct KeyedContext<'a, K> {
    pub(crate) process: ProcessContext<'a>,
    pub(crate) key: &'a K,
    pub(crate) hash: u64,
    pub(crate) timers: &'a mut KeyedTimers<K>,
    pub(crate) late: &'a mut u64,
}

impl<K: Key> KeyedContext<'_, K> {
    /// The current key.
    pub fn key(&self) -> &K {
        self.key
    }

    /// Asks for `on_timer` when the watermark has passed `time`. A timer that is registered already is not
    /// registered twice.
    pub fn register_event_time_timer(&mut self, time: EventTime) {
        self.timers.event.register(time, self.hash, self.key, 0);
    }

    /// Asks for `on_timer` when the job's clock shows `time_ms`.
    pub fn register_processing_time_timer(&mut self, time_ms: i64) {
        self.timers.processing.register(time_ms, self.hash, self.key, 0);
    }

    /// Deletes a timer of the current key; without one nothing happens.
    pub fn delete_event_time_timer(&mut self, time: EventTime) {
        self.timers.event.delete(time, self.hash, self.key, 0);
    }

    /// Deletes a timer of the current key; without one nothing happens.
    pub fn delete_processing_time_timer(&mut self, time_ms: i64) {
        self.timers.processing.delete(time_ms, self.hash, self.key, 0);
    }

    /// Counts the current record as late in the operator's metrics.
    pub fn count_late(&mut self) {
        *self.late += 1;
    }
}

impl<'a, K> Deref for KeyedContext<'a, K> {
    type Target = ProcessContext<'a>;

    fn deref(&self) -> &ProcessContext<'a> {
        &self.process
    }
}

impl<'a, K> DerefMut for KeyedContext<'a, K> {
    fn deref_mut(&mut self) -> &mut ProcessContext<'a> {
        &mut self.process
    }
}
