//! An operator that holds its records for a while, as asynchronous calls do, and answers out of order.

use super::rows::Event;
use crate::random::mix;
use eddyline_core::{Batch, EventTime, Record, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, OperatorListState};
use std::collections::BTreeMap;

/// Calls in flight above which no more records are taken in.
const IN_FLIGHT_MAX: usize = 40;
/// Longest call, microseconds.
const CALL_MICROS_MAX: u64 = 60_000;

/// The operator.
pub struct Calls {
    seed: u64,
    state: Option<OperatorListState<(Event, i64)>>,
    /// By the time at which they are answered, and a number that tells them apart.
    calls: BTreeMap<(u64, u64), Record<Event>>,
    number: u64,
}

impl Calls {
    /// Calls whose duration `seed` decides.
    pub fn new(seed: u64) -> Self {
        Calls { seed, state: None, calls: BTreeMap::new(), number: 0 }
    }

    fn call(&mut self, record: Record<Event>, context: &mut OperatorContext<'_>) {
        self.number += 1;
        let event = &record.value;
        let chance =
            mix(self.seed ^ mix((u64::from(event.split) << 32) | u64::from(event.index)) ^ self.number);
        let due = context.clock().monotonic_micros() + chance % CALL_MICROS_MAX;
        self.calls.insert((due, self.number), record);
    }

    fn wait(&self, context: &mut OperatorContext<'_>) {
        if let Some(((due, _), _)) = self.calls.first_key_value() {
            let wait_ms = due.saturating_sub(context.clock().monotonic_micros()).div_ceil(1_000) as i64;
            let at = context.processing_time_ms() + wait_ms;
            context.wake_at(at);
        }
    }

    fn answer(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let now = context.clock().monotonic_micros();
        let mut rows = Vec::new();
        while rows.len() < context.batch_rows_max()
            && let Some(call) = self.calls.first_entry()
            && call.key().0 <= now
            && context.has_room()
        {
            rows.push(call.remove());
        }
        if !rows.is_empty() {
            // Room for more: input that was refused is taken in now.
            context.waker().wake_by_ref();
        }
        context.emit_rows(0, rows, 0)?;
        self.wait(context);
        let more = self.calls.first_key_value().is_some_and(|((due, _), _)| *due <= now);
        Ok(if more { Progress::More } else { Progress::Done })
    }
}

impl Stateful for Calls {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        match &mut self.state {
            Some(state) => visit(state),
            None => Ok(()),
        }
    }
}

impl Operator for Calls {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.state = Some(OperatorListState::list("in-flight", context.info().instance));
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let held: Vec<_> = self.state.as_ref().map_or(Vec::new(), |state| state.items().to_vec());
        for (event, at) in held {
            self.call(Record::new(event, at), context);
        }
        self.wait(context);
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        for record in batch.take_rows::<Event>()? {
            self.call(record, context);
        }
        self.wait(context);
        Ok(())
    }

    fn on_processing_time(&mut self, _now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.answer(context)
    }

    fn on_wake(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.answer(context)
    }

    fn is_idle(&self, inputs_idle: bool) -> bool {
        inputs_idle && self.calls.is_empty()
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        match self.answer(context)? {
            Progress::Done if self.calls.is_empty() => Ok(Progress::Done),
            Progress::Done => Ok(Progress::Waiting),
            more => Ok(more),
        }
    }

    fn before_snapshot(&mut self, _checkpoint: u64, _context: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(state) = &mut self.state {
            state.set(self.calls.values().map(|record| (record.value.clone(), record.timestamp)).collect());
        }
        Ok(())
    }

    fn output_watermark(&self, input: EventTime) -> EventTime {
        self.calls.values().map(|record| record.timestamp).min().map_or(input, |oldest| oldest.min(input))
    }

    fn accepts_input(&self) -> bool {
        self.calls.len() < IN_FLIGHT_MAX
    }

    fn in_flight(&self) -> usize {
        self.calls.len()
    }
}
