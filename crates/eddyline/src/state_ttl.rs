//! State with a time to live, as functions declare it.

use crate::function::{BroadcastOpenContext, KeyedOpenContext};
use crate::state::KeyedStates;
use eddyline_core::{Clock, Data, EventTime, Key, Result, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_runtime::StateFactory;
use eddyline_state::ttl::{Aging, TtlTable, TtlTime};
use eddyline_state::{
    Accumulator, AggregatingState, ListState, MapState, ReducingState, StateTtlConfig, TtlTimeDomain,
    ValueState,
};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// Event time as an operator's functions see it.
pub(crate) struct OperatorTime {
    now: Cell<EventTime>,
    touch: Cell<EventTime>,
}

impl OperatorTime {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(OperatorTime { now: Cell::new(WATERMARK_MIN), touch: Cell::new(WATERMARK_MIN) })
    }

    /// A record or a timer of `timestamp` is processed while it is `now`. The end of the input is not a time.
    #[inline]
    pub(crate) fn set(&self, now: EventTime, timestamp: EventTime) {
        if now > self.now.get() && now != WATERMARK_MAX {
            self.now.set(now);
        }
        self.touch.set(timestamp);
    }
}

impl TtlTime for OperatorTime {
    fn now_ms(&self) -> i64 {
        self.now.get()
    }

    fn touch_ms(&self) -> i64 {
        self.now.get().max(self.touch.get())
    }
}

/// The job's clock.
struct ProcessingTime(Arc<dyn Clock>);

impl TtlTime for ProcessingTime {
    fn now_ms(&self) -> i64 {
        self.0.wall_millis()
    }
}

/// Where a function declares states that forget what was not touched for a while: as
/// [`KeyedOpenContext::value_state`] and its siblings.
///
/// Each value, each element of a list and each entry of a map has a time to live of its own; the value of a reducing
/// or aggregating state ages as a whole.
pub struct TtlStates<'a, K> {
    tables: &'a StateFactory,
    clock: &'a Arc<dyn Clock>,
    states: &'a mut KeyedStates<K>,
    config: StateTtlConfig,
}

impl<K: Key> KeyedOpenContext<'_, K> {
    /// States that forget what was not touched for a while.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result};
    /// use eddyline::{StateTtlConfig, ValueState};
    /// use std::time::Duration;
    ///
    /// /// Lets a record pass unless there was one of the same key within the last hour.
    /// #[derive(Default)]
    /// struct Deduplicate {
    ///     seen: Option<ValueState<()>>,
    /// }
    ///
    /// impl KeyedProcessFunction<u64, u64, u64> for Deduplicate {
    ///     fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
    ///         let one_hour = StateTtlConfig::new(Duration::from_secs(3_600)).cleanup_full_snapshot();
    ///         self.seen = Some(context.time_to_live(one_hour).value_state("seen")?);
    ///         Ok(())
    ///     }
    ///
    ///     fn process_element(
    ///         &mut self,
    ///         id: u64,
    ///         _context: &mut KeyedContext<'_, u64>,
    ///         out: &mut Collector<u64>,
    ///     ) -> Result<()> {
    ///         if let Some(seen) = &self.seen {
    ///             if seen.get().is_none() {
    ///                 out.collect(id);
    ///             }
    ///             seen.update(());
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn time_to_live(&mut self, config: StateTtlConfig) -> TtlStates<'_, K> {
        let (tables, clock) = (self.runtime.tables(), self.runtime.clock());
        TtlStates { tables, clock, states: self.states, config }
    }
}

impl<K: Key> BroadcastOpenContext<'_, K> {
    /// States per key of the keyed side that forget what was not touched for a while.
    ///
    /// # Errors
    /// Of kind `Config`, if the other side is not keyed.
    pub fn time_to_live(&mut self, config: StateTtlConfig) -> Result<TtlStates<'_, K>> {
        let (tables, clock) = (self.runtime.tables(), self.runtime.clock());
        match &mut self.keyed {
            Some(states) => Ok(TtlStates { tables, clock, states, config }),
            None => Err(eddyline_core::Error::config("there is no key for states with a time to live")
                .with_hint("call key_by before connect_broadcast to have state per key")),
        }
    }
}

impl<K: Key> TtlStates<'_, K> {
    fn table<W: Aging>(&mut self, name: &str) -> Result<Rc<TtlTable<K, W>>> {
        let time: Rc<dyn TtlTime> = match self.config.domain() {
            TtlTimeDomain::EventTime => self.states.time.clone(),
            TtlTimeDomain::ProcessingTime => Rc::new(ProcessingTime(self.clock.clone())),
        };
        let table = self.tables.aging_table(name)?;
        let table = TtlTable::new(&self.states.key, table, self.config, time)?;
        self.states.states.declare(name, table.managed())?;
        self.states.aging.push(table.clone());
        Ok(table)
    }

    /// One value per key.
    ///
    /// # Errors
    /// As for [`KeyedOpenContext::value_state`], and if the time to live is less than a millisecond.
    pub fn value_state<V: Data>(&mut self, name: &str) -> Result<ValueState<V>> {
        Ok(ValueState::with_ttl(&self.table(name)?))
    }

    /// A list per key, whose elements age one by one.
    ///
    /// # Errors
    /// As for [`TtlStates::value_state`].
    pub fn list_state<V: Data>(&mut self, name: &str) -> Result<ListState<V>> {
        Ok(ListState::with_ttl(&self.table(name)?))
    }

    /// A map per key, whose entries age one by one.
    ///
    /// # Errors
    /// As for [`TtlStates::value_state`].
    pub fn map_state<UK: Data + Ord, V: Data>(&mut self, name: &str) -> Result<MapState<UK, V>> {
        Ok(MapState::with_ttl(&self.table(name)?))
    }

    /// One value per key, into which others are merged by `reduce`, which is associative.
    ///
    /// # Errors
    /// As for [`TtlStates::value_state`].
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
    /// As for [`TtlStates::value_state`].
    pub fn aggregating_state<A: Accumulator>(
        &mut self,
        name: &str,
        accumulator: A,
    ) -> Result<AggregatingState<A>> {
        Ok(AggregatingState::new(self.value_state(name)?, accumulator))
    }
}
