//! The job's own functions: what they do with their states and timers, and the sink that holds the job.

use super::gate::{Gate, Moment};
use super::records::Event;
use eddyline::sink::SinkContext;
use eddyline::{
    CheckpointId, Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, MapState, Progress,
    Record, Result, SinkFunction, TimeDomain, ValueState,
};
use std::collections::BTreeSet;

/// Length of a bucket, milliseconds.
pub(super) const BUCKET_MS: i64 = 500;
const ALARM_MS: i64 = 25;

/// The bucket of a time.
pub(super) fn bucket_of(time: i64) -> i64 {
    time.div_euclid(BUCKET_MS)
}

/// Counts and sums the records of each bucket of time in a map, and tells them by an event-time timer.
#[derive(Default)]
pub(super) struct Buckets {
    buckets: Option<MapState<i64, (u64, u64)>>,
}

impl KeyedProcessFunction<u64, Event, String> for Buckets {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.buckets = Some(context.map_state("buckets")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        let bucket = bucket_of(event.time);
        let (count, sum) = buckets.get(&bucket).unwrap_or_default();
        buckets.insert(bucket, (count + 1, sum + event.id));
        context.register_event_time_timer((bucket + 1) * BUCKET_MS - 1);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let bucket = bucket_of(time);
        if let Some((count, sum)) = self.buckets.as_ref().and_then(|buckets| buckets.remove(&bucket)) {
            out.collect(format!("{} {bucket} {count} {sum}", context.key()));
        }
        Ok(())
    }
}

/// Tells each record once, by a processing-time timer some time later.
#[derive(Default)]
pub(super) struct Alarms {
    waiting: Option<ValueState<u64>>,
}

impl KeyedProcessFunction<u64, Event, String> for Alarms {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.waiting = Some(context.value_state("waiting")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(waiting) = &self.waiting {
            waiting.update(event.id);
        }
        context.register_processing_time_timer(context.processing_time_ms() + ALARM_MS);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(id) = self.waiting.as_ref().and_then(ValueState::take) {
            out.collect(id.to_string());
        }
        Ok(())
    }
}

/// Writes nothing, but holds the job where the test wants it held.
pub(super) struct GateSink {
    gate: Gate,
    attempt: u64,
    instance: u32,
    parallelism: u32,
    /// Checkpoints of this attempt.
    fresh: BTreeSet<CheckpointId>,
}

impl GateSink {
    pub(super) fn new(gate: Gate) -> Self {
        GateSink { gate, attempt: 0, instance: 0, parallelism: 1, fresh: BTreeSet::new() }
    }

    fn is_at_end(&self) -> bool {
        self.gate.is_finished(self.attempt, self.parallelism)
    }
}

impl SinkFunction<Event> for GateSink {
    type Committable = u64;

    fn open(&mut self, context: &mut SinkContext<'_, '_>) -> Result<()> {
        let info = context.info();
        (self.attempt, self.instance, self.parallelism) = (info.attempt, info.instance, info.parallelism);
        Ok(())
    }

    fn recover(&mut self, _: &[u64], _: &mut SinkContext<'_, '_>) -> Result<()> {
        self.gate.wait(Moment::Restore, self.attempt, &self.instance.to_string());
        Ok(())
    }

    fn write(&mut self, _: Record<Event>, _: &mut SinkContext<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn pre_commit(&mut self, checkpoint: CheckpointId, _: &mut SinkContext<'_, '_>) -> Result<Vec<u64>> {
        self.fresh.insert(checkpoint);
        Ok(vec![checkpoint])
    }

    fn poll_durable(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        let detail = format!("{}-{checkpoint}", self.instance);
        let held = self.gate.holds(Moment::PreCommit, self.attempt, &detail)
            || self.is_at_end() && self.gate.holds(Moment::FinalPreCommit, self.attempt, &detail);
        Ok(if held { Progress::Waiting } else { Progress::Done })
    }

    fn commit(&mut self, checkpoint: CheckpointId, _: u64, _: &mut SinkContext<'_, '_>) -> Result<()> {
        if self.fresh.remove(&checkpoint) {
            let detail = format!("{}-{checkpoint}", self.instance);
            self.gate.wait(Moment::Commit, self.attempt, &detail);
            if self.is_at_end() {
                self.gate.wait(Moment::FinalCommit, self.attempt, &detail);
            }
        }
        Ok(())
    }
}
