//! What an operator or source may ask of the runtime while it is called.

use crate::accumulators::Accumulators;
use crate::metrics::Metrics;
use crate::migrations::Migrations;
use crate::services::Services;
use crate::shared::WorkerShared;
use crate::state_factory::StateFactory;
use eddyline_core::{Batch, Clock, Data, EventTime, KeyGroupRange, Record, Result, Tick};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// The facts about an operator instance that never change.
#[derive(Clone)]
pub struct InstanceInfo {
    /// The operator's stable identity.
    pub uid: Arc<str>,
    /// The operator's name, for people.
    pub name: Arc<str>,
    /// The number of this instance, in `0..parallelism`.
    pub instance: u32,
    /// How many instances there are.
    pub parallelism: u32,
    /// The number of key groups of the job.
    pub max_parallelism: u32,
    /// The key groups this instance owns.
    pub key_groups: KeyGroupRange,
    /// The attempt this instance belongs to.
    pub attempt: u64,
    /// The index of the worker thread in the whole job.
    pub worker: usize,
}

/// Counters of one operator instance.
#[derive(Debug, Default)]
pub struct OperatorMetrics {
    /// Records taken in.
    pub records_in: Cell<u64>,
    /// Records emitted.
    pub records_out: Cell<u64>,
    /// Records that came after the watermark had passed everything they belong to.
    pub late: Cell<u64>,
}

/// A sink for what an operator emits; implemented by the runtime.
pub trait Emitter {
    /// Emits a batch on output `port`.
    fn emit(&mut self, port: usize, batch: Batch) -> Result<()>;
    /// Whether the outputs have room.
    fn has_room(&self) -> bool;
}

/// What an operator or source may ask of the runtime while it is called.
pub struct OperatorContext<'a> {
    pub(crate) info: &'a InstanceInfo,
    pub(crate) shared: &'a Rc<WorkerShared>,
    pub(crate) metrics: &'a OperatorMetrics,
    pub(crate) user_metrics: &'a Metrics,
    pub(crate) accumulators: &'a Accumulators,
    pub(crate) migrations: &'a Migrations,
    pub(crate) waker: &'a Waker,
    pub(crate) emitter: &'a mut dyn Emitter,
    pub(crate) watermark: EventTime,
    pub(crate) tick: Tick,
    pub(crate) wake_at_ms: &'a Cell<i64>,
    pub(crate) report: &'a Cell<Option<(EventTime, bool)>>,
}

impl OperatorContext<'_> {
    /// The facts about this instance.
    pub fn info(&self) -> &InstanceInfo {
        self.info
    }

    /// The watermark of the inputs as last applied.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The clock of the job: injected, so that tests and simulations decide what time it is.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Wall time, milliseconds since the epoch.
    pub fn processing_time_ms(&self) -> i64 {
        self.shared.clock.wall_millis()
    }

    /// The tick of the batch that is being processed, else the operator's input frontier.
    pub fn tick(&self) -> Tick {
        self.tick
    }

    /// Whether the outputs have room. Operators that emit of their own accord (answers of calls, records that go
    /// round) stop when there is none and answer [`crate::operator::Progress::More`].
    pub fn has_room(&self) -> bool {
        self.emitter.has_room()
    }

    /// In `before_snapshot`: the tick of the cut.
    pub(crate) fn cut_tick(&self) -> Tick {
        self.tick
    }

    /// A record went round a loop.
    pub(crate) fn note_loop_activity(&self) {
        self.shared.note_loop_activity();
    }

    /// The most rows a batch should have.
    pub fn batch_rows_max(&self) -> usize {
        self.shared.limits.batch_rows
    }

    /// Counts bytes that are kept outside state and queues (negative: not any more) against the memory limit.
    pub fn account_bytes(&self, bytes: i64) {
        self.shared.kept.add(bytes);
    }

    /// The memory that this operator may use for input it keeps until the end, bytes: its share of
    /// [`MANAGED_MEMORY_PERCENT`](crate::MANAGED_MEMORY_PERCENT) of the worker's memory. What is kept has to be
    /// counted by [`OperatorContext::account_bytes`] all the same.
    pub fn managed_memory_bytes(&self) -> usize {
        self.shared.managed_bytes
    }

    /// The memory of the worker that this instance is on, bytes: for all of its operators together.
    pub fn worker_memory_bytes(&self) -> usize {
        self.shared.limits.memory_bytes
    }

    /// Makes the tables of this instance, which are in memory or have a store, as the job says.
    pub fn states(&self) -> StateFactory {
        StateFactory {
            info: self.info.clone(),
            backend: self.service(),
            worker_memory_bytes: self.shared.limits.memory_bytes,
            waker: self.waker.clone(),
        }
    }

    /// Emits a batch on output `port`.
    pub fn emit(&mut self, port: usize, batch: Batch) -> Result<()> {
        let rows = batch.len() as u64;
        if rows == 0 {
            return Ok(());
        }
        self.metrics.records_out.set(self.metrics.records_out.get() + rows);
        self.emitter.emit(port, batch)
    }

    /// Emits typed rows on output `port`, created at `created_micros` (0: now).
    pub fn emit_rows<T: Data>(
        &mut self,
        port: usize,
        rows: Vec<Record<T>>,
        created_micros: u64,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let created = if created_micros == 0 { self.shared.clock.wall_micros() } else { created_micros };
        self.emit(port, Batch::from_rows(rows, created))
    }

    /// Asks for `on_processing_time` (sources: a poll) at wall time `at_ms` or soon after. The earliest request
    /// counts; it is gone once served.
    pub fn wake_at(&mut self, at_ms: i64) {
        if at_ms < self.wake_at_ms.get() {
            self.wake_at_ms.set(at_ms);
        }
    }

    /// A waker that makes the runtime call `on_wake` (sources: `poll`), from any thread.
    pub fn waker(&self) -> &Waker {
        self.waker
    }

    /// Sources: the watermark after what was emitted so far, and whether this instance is idle (has no say).
    pub fn set_watermark(&mut self, watermark: EventTime, idle: bool) {
        self.report.set(Some((watermark, idle)));
    }

    /// Asks for a tick: something that others wait for (a generator has become idle) would not be told otherwise.
    pub fn request_tick(&mut self) {
        self.shared.need_tick.set(true);
    }

    /// The least watermark over all generators of alignment group `group` (the node ids of their sources), as far
    /// as this worker knows; for sources that must not run ahead of the others.
    pub fn aligned_watermark(&self, generators: &[usize]) -> EventTime {
        self.shared.watermarks.borrow().latest_minimum(generators)
    }

    /// Counts records that came too late.
    pub fn count_late(&mut self, records: u64) {
        self.metrics.late.set(self.metrics.late.get() + records);
    }

    /// Ends the input of the whole job gracefully, as if every source had finished (used by bounded test sinks).
    pub fn request_stop(&mut self) {
        self.shared.stop_requested.set(true);
    }

    /// The metrics that this instance's function keeps.
    pub fn metrics(&self) -> &Metrics {
        self.user_metrics
    }

    /// The accumulators that this instance adds to; they are declared in `open`.
    pub fn accumulators(&self) -> &Accumulators {
        self.accumulators
    }

    /// Where this instance says, in `open`, how state of older types becomes that of today.
    pub fn migrations(&self) -> &Migrations {
        self.migrations
    }

    /// All that is installed by the environment of the job.
    pub fn services(&self) -> &Services {
        &self.shared.services
    }

    /// Whether the job is to give final results only (`execution.runtime-mode` BATCH): what changes with every record is
    /// emitted at the end.
    pub fn is_batch(&self) -> bool {
        self.shared.services.get::<crate::services::BatchMode>().is_some()
    }

    /// A service installed by the environment of the job: an executor, a file system, a registry of collectors.
    pub fn service<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        self.shared.services.get::<S>()
    }
}
