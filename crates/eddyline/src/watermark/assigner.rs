//! Timestamps and watermarks in mid-pipeline.

use super::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use eddyline_core::{Batch, Data, EventTime, Result, WATERMARK_MAX};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, OperatorListState};

/// Assigns timestamps and generates the watermarks of what follows it; those that came before are dropped, except
/// the end of the stream. One generator per instance.
pub(crate) struct TimestampAssigner<T> {
    strategy: WatermarkStrategy<T>,
    generator: Box<dyn WatermarkGenerator<T>>,
    output: WatermarkOutput,
    timed_out: bool,
    /// When the last record came, monotonic microseconds.
    active_at_micros: u64,
    promise: OperatorListState<EventTime>,
}

impl<T: Data> TimestampAssigner<T> {
    pub(crate) fn new(strategy: WatermarkStrategy<T>) -> Self {
        TimestampAssigner {
            generator: strategy.make_generator(),
            strategy,
            output: WatermarkOutput::default(),
            timed_out: false,
            active_at_micros: 0,
            promise: OperatorListState::union("promise", 0),
        }
    }

    fn watch_for_silence(&self, silent_micros: u64, context: &mut OperatorContext<'_>) {
        if let Some(timeout) = self.strategy.idleness_micros {
            let left_ms = timeout.saturating_sub(silent_micros).div_ceil(1_000);
            let at = context.processing_time_ms().saturating_add(i64::try_from(left_ms).unwrap_or(i64::MAX));
            context.wake_at(at);
        }
    }
}

impl<T: Data> Stateful for TimestampAssigner<T> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.promise)
    }
}

impl<T: Data> Operator for TimestampAssigner<T> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.promise = OperatorListState::union("promise", context.info().instance);
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        // Which records an instance gets after a restore is not known here: what all had promised holds for each.
        if let Some(promised) = self.promise.items().iter().min() {
            self.output.emit(*promised);
        }
        self.active_at_micros = context.clock().monotonic_micros();
        self.watch_for_silence(0, context);
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let rows = batch.rows_mut::<T>()?;
        self.strategy.assign(rows);
        self.generator.on_events(rows, &mut self.output);
        self.generator.on_periodic(&mut self.output);
        self.active_at_micros = context.clock().monotonic_micros();
        if self.timed_out {
            self.timed_out = false;
            self.watch_for_silence(0, context);
        }
        context.emit(0, batch)
    }

    fn on_processing_time(&mut self, _now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if let Some(timeout) = self.strategy.idleness_micros
            && !self.timed_out
        {
            let silent = context.clock().monotonic_micros().saturating_sub(self.active_at_micros);
            if silent >= timeout {
                self.timed_out = true;
                // Nothing else may come that would carry the news to those who wait for this watermark.
                context.request_tick();
            } else {
                self.watch_for_silence(silent, context);
            }
        }
        Ok(Progress::Done)
    }

    fn before_snapshot(&mut self, _: CheckpointId, _: &mut OperatorContext<'_>) -> Result<()> {
        self.promise.set(vec![self.output.watermark()]);
        Ok(())
    }

    fn output_watermark(&self, input: EventTime) -> EventTime {
        if input == WATERMARK_MAX { input } else { self.output.watermark() }
    }

    fn is_idle(&self, _inputs_idle: bool) -> bool {
        self.timed_out || self.output.is_idle()
    }
}
