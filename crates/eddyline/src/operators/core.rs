//! What operators with functions on keyed streams have in common: keys, states, timers, outputs.

use super::fetching::{Due, DueTimers};
use crate::function::{
    Collector, KeyedContext, KeyedOpenContext, ProcessContext, RuntimeContext, TimeDomain,
};
use crate::side_output::{SideOutputs, SidePorts};
use crate::state::KeyedStates;
use crate::timers::KeyedTimers;
use eddyline_core::{Data, EventTime, Key, Result};
use eddyline_runtime::{OperatorContext, Progress};
use eddyline_state::ManagedState;
use std::sync::Arc;

/// Finds the key of a value.
pub(crate) type KeyOf<T, K> = Arc<dyn Fn(&T) -> K + Send + Sync>;

/// What becomes of processing-time timers that are not due when the input ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcessingTimersAtEnd {
    /// They are dropped.
    #[default]
    Drop,
    /// Those registered by then fire at once, in order, whatever the clock says.
    Fire,
}

/// Timers fired in one call before others get their turn.
const TIMERS_PER_CALL: usize = 4096;

/// The parts of an operator on a keyed stream that do not depend on its function.
pub(crate) struct KeyedCore<K, U> {
    pub(crate) states: KeyedStates<K>,
    pub(crate) runtime: Option<RuntimeContext>,
    timers: Option<KeyedTimers<K>>,
    ports: SidePorts,
    pub(crate) side: SideOutputs,
    pub(crate) out: Collector<U>,
    late: u64,
    at_end: ProcessingTimersAtEnd,
    /// The latest processing-time timer that fires at the end of the input.
    end_horizon: Option<i64>,
    /// Timers of a watermark are firing: records that are after it have to wait.
    firing: bool,
    /// Records and timers since the last clean-up.
    calls: usize,
    /// What is fetched for timers, in event time and in processing time.
    due: [DueTimers; 2],
}

impl<K: Key, U: Data> KeyedCore<K, U> {
    pub(crate) fn new(ports: SidePorts, at_end: ProcessingTimersAtEnd) -> Self {
        KeyedCore {
            states: KeyedStates::new(),
            runtime: None,
            timers: None,
            ports,
            side: SideOutputs::none(),
            out: Collector::at(0),
            late: 0,
            at_end,
            end_horizon: None,
            firing: false,
            calls: 0,
            due: Default::default(),
        }
    }

    /// Prepares timers and outputs and lets the function declare its states.
    pub(crate) fn open(
        &mut self,
        context: &OperatorContext<'_>,
        declare: impl FnOnce(&mut KeyedOpenContext<'_, K>) -> Result<()>,
    ) -> Result<()> {
        self.timers = Some(KeyedTimers::new(context.info()));
        self.side = self.ports.outputs();
        let runtime = self.runtime.insert(RuntimeContext::new(context, self.states.states.clone()));
        declare(&mut KeyedOpenContext { runtime, states: &mut self.states })?;
        self.states.states.seal();
        Ok(())
    }

    pub(crate) fn visit(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        if let Some(timers) = &mut self.timers {
            timers.visit(visit)?;
        }
        self.states.states.visit(visit)
    }

    /// Whether records may be processed.
    pub(crate) fn accepts_input(&self) -> bool {
        !self.firing
    }

    /// Calls `function` with `key` as the current one.
    #[inline]
    pub(crate) fn call(
        &mut self,
        (hash, key): (u64, &K),
        timestamp: EventTime,
        context: &OperatorContext<'_>,
        function: impl FnOnce(&mut KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<()> {
        self.states.time.set(context.watermark(), timestamp);
        self.call_now((hash, key), timestamp, context, function)
    }

    /// As [`KeyedCore::call`], when the time by which states age is set.
    #[inline]
    fn call_now(
        &mut self,
        (hash, key): (u64, &K),
        timestamp: EventTime,
        context: &OperatorContext<'_>,
        function: impl FnOnce(&mut KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<()> {
        self.calls += 1;
        self.states.key.set(hash, key);
        self.out.set_timestamp(timestamp);
        let process = ProcessContext {
            runtime: self.runtime.as_ref().expect("invariant: an operator is opened before it is used"),
            watermark: context.watermark(),
            timestamp,
            side: &mut self.side,
        };
        let mut keyed = KeyedContext {
            process,
            key,
            hash,
            timers: self.timers.as_mut().expect("invariant: an operator is opened before it is used"),
            late: &mut self.late,
        };
        function(&mut keyed, &mut self.out)
    }

    /// Sends on what was collected, if it is much.
    #[inline]
    pub(crate) fn flush_full(
        &mut self,
        created_micros: u64,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.out.flush_full(0, created_micros, context)?;
        self.side.flush_full(created_micros, context)
    }

    /// Sends on what was collected, and sees to it that the next processing-time timer fires.
    pub(crate) fn finish(&mut self, created_micros: u64, context: &mut OperatorContext<'_>) -> Result<()> {
        self.out.flush(0, created_micros, context)?;
        self.side.flush(created_micros, context)?;
        if self.late > 0 {
            context.count_late(std::mem::take(&mut self.late));
        }
        // At least a little: a watermark that moves makes states older without any record.
        self.states.clean_up(std::mem::take(&mut self.calls).max(1));
        // Timers that wait for their state go on when it is there.
        if !self.due[TimeDomain::ProcessingTime as usize].is_fetching()
            && let Some(time) = self.timers.as_ref().and_then(|timers| timers.processing.next_time())
        {
            context.wake_at(time);
        }
        Ok(())
    }

    /// Fires the event-time timers that `watermark` has passed, with `function`.
    pub(crate) fn on_watermark(
        &mut self,
        watermark: EventTime,
        context: &mut OperatorContext<'_>,
        function: impl FnMut(i64, TimeDomain, &mut KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<Progress> {
        let progress = self.fire(TimeDomain::EventTime, watermark, context, function)?;
        self.firing = progress != Progress::Done;
        Ok(progress)
    }

    /// Whether the next timer of `domain` may fire.
    fn next_due(&mut self, domain: TimeDomain, up_to: i64) -> Result<Due> {
        let Some(timers) = &mut self.timers else { return Ok(Due::Ready) };
        let table = match domain {
            TimeDomain::EventTime => &mut timers.event,
            TimeDomain::ProcessingTime => &mut timers.processing,
        };
        self.due[domain as usize].next(table, up_to, &mut self.states.states)
    }

    /// Fires the timers of `domain` that are due at `up_to`, with `function`; stops when the outputs are full.
    pub(crate) fn fire(
        &mut self,
        domain: TimeDomain,
        up_to: i64,
        context: &mut OperatorContext<'_>,
        mut function: impl FnMut(i64, TimeDomain, &mut KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<Progress> {
        let mut progress = Progress::More;
        for _ in 0..TIMERS_PER_CALL {
            if !context.has_room() {
                break;
            }
            if self.next_due(domain, up_to)? == Due::Waiting {
                progress = Progress::Waiting;
                break;
            }
            let due = self.timers.as_mut().and_then(|timers| match domain {
                TimeDomain::EventTime => timers.event.pop_due(up_to),
                TimeDomain::ProcessingTime => timers.processing.pop_due(up_to),
            });
            let Some(timer) = due else {
                progress = Progress::Done;
                break;
            };
            // Processing time is no event time: such a record has no timestamp unless the function gives it one.
            let timestamp = if domain == TimeDomain::EventTime { timer.time } else { EventTime::MIN };
            // A timer's function finds states as they were at the timer's time, however far the watermark jumps.
            let now = if domain == TimeDomain::EventTime { timer.time } else { context.watermark() };
            self.states.time.set(now, timestamp);
            self.call_now((timer.key.stable_hash(), &timer.key), timestamp, context, |keyed, out| {
                function(timer.time, domain, keyed, out)
            })?;
            self.flush_full(0, context)?;
        }
        if progress == Progress::Done {
            self.states.time.set(context.watermark(), EventTime::MIN);
        }
        self.finish(0, context)?;
        Ok(progress)
    }

    /// The input has ended: fires what is left of the processing-time timers, if that is wanted.
    pub(crate) fn on_end(
        &mut self,
        context: &mut OperatorContext<'_>,
        function: impl FnMut(i64, TimeDomain, &mut KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<Progress> {
        if self.at_end == ProcessingTimersAtEnd::Drop {
            return Ok(Progress::Done);
        }
        let Some(timers) = &self.timers else { return Ok(Progress::Done) };
        // A function that always registers another timer must not keep the job from ending.
        let horizon = match self.end_horizon {
            Some(horizon) => horizon,
            None => timers.processing.iter().map(|(time, ..)| time).max().unwrap_or(i64::MIN),
        };
        self.end_horizon = Some(horizon);
        self.fire(TimeDomain::ProcessingTime, horizon, context, function)
    }
}
