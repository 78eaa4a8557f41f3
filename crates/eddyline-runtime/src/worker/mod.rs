//! One worker of an attempt: the dataflow, its driver, its snapshots, and the loop around them.

mod build;

pub(crate) use build::make_shared;

use crate::accumulators::ACCUMULATOR_BYTES_MAX;
#[cfg(feature = "simulation")]
use crate::context::InstanceInfo;
use crate::driver::Driver;
use crate::graph::Job;
use crate::instance::Body;
use crate::latency::LatencyHistogram;
use crate::operator::Progress;
use crate::outputs::NoEmitter;
use crate::services::Services;
use crate::shared::{Limits, WorkerShared};
use crate::snapshots::PartIo;
use crate::state_factory::StateBackendService;
use crate::watchdog::Watchdog;
use eddyline_core::{Clock, Error, EventTime, Result, Tick, WATERMARK_MAX};
use eddyline_protocol::{
    AccumulatorPart, CheckpointId, FailureReport, FromWorker, Manifest, MetricReport, MetricValue, ToWorker,
};
use eddyline_state::SegmentReader;
use std::rc::Rc;
use std::sync::Arc;
use timely::worker::Worker;

/// A checkpoint to start from.
#[derive(Clone)]
pub struct Restored {
    /// What it says.
    pub manifest: Arc<Manifest>,
    /// Reads its segments.
    pub reader: Arc<dyn SegmentReader>,
    /// Whether it is none of the job's own checkpoints: the first checkpoint then refers to nothing before it.
    pub foreign: bool,
}

/// All a worker has to know of its attempt.
#[derive(Clone)]
pub struct WorkerConfig {
    /// The job.
    pub job: Arc<Job>,
    /// The attempt's number.
    pub attempt: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What the environment lends to operators.
    pub services: Services,
    /// What bounds the worker.
    pub limits: Limits,
    /// Least length of a tick, microseconds.
    pub tick_micros: u64,
    /// Whether each record gets a tick of its own and every batch waits for the watermark before it.
    pub on_event: bool,
    /// Whether each batch of a source gets a tick of its own and every batch waits for the watermark before it.
    pub tick_per_batch: bool,
    /// Longest time a small part of a batch is held back, microseconds.
    pub buffer_timeout_micros: u64,
    /// Entries of state encoded per turn while a snapshot is written.
    pub snapshot_entries_per_turn: usize,
    /// What to start from.
    pub restored: Option<Restored>,
}

/// The line between a worker and its supervisor.
pub trait ControlPort {
    /// The next message to this worker.
    fn receive(&mut self) -> Option<ToWorker>;
    /// Tells the supervisor something.
    fn send(&mut self, message: FromWorker);
}

/// What a turn has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There may be more to do at once.
    Busy,
    /// Nothing to do before that monotonic time (microseconds), unless somebody wakes the worker.
    Idle(Option<u64>),
    /// The dataflow has ended.
    Finished,
}

/// Numbers of a worker, for progress displays, metrics and benchmarks.
#[derive(Debug, Clone, Default)]
pub struct WorkerStatus {
    /// The newest tick.
    pub tick: Tick,
    /// The least watermark at the sinks, or of all generators.
    pub watermark: EventTime,
    /// Records read by sources.
    pub records_in: u64,
    /// Records given to sinks.
    pub records_out: u64,
    /// From creation to the end of processing.
    pub latency: LatencyHistogram,
    /// Bytes in flight.
    pub flight_bytes: i64,
    /// The most bytes ever in flight.
    pub flight_bytes_peak: i64,
    /// Bytes that wait at cuts, in loops and calls.
    pub waiting_bytes: i64,
    /// Bytes of state.
    pub state_bytes: usize,
    /// Late records, by operator name.
    pub late: Vec<(String, u64)>,
    /// The metrics that functions keep.
    pub metrics: Vec<MetricReport>,
    /// What instances have added to accumulators.
    pub accumulators: Vec<Arc<AccumulatorPart>>,
}

/// A worker that runs.
pub struct WorkerRun {
    timely: Worker,
    shared: Rc<WorkerShared>,
    driver: Driver,
    control: Box<dyn ControlPort>,
    buffer_timeout_micros: u64,
    committed: CheckpointId,
    /// The newest commit that the supervisor has not been told of: what it makes visible is not all visible yet.
    unconfirmed: Option<CheckpointId>,
    next_memory_check: u64,
    finished: bool,
}

/// How often memory is checked, microseconds.
const MEMORY_CHECK_MICROS: u64 = 10_000;
/// To measure states that own much memory outside their tables takes time: one part in so many goes to that.
const MEMORY_CHECK_SHARE: u64 = 32;

impl WorkerRun {
    /// Builds the dataflow on `timely` and restores the state. All workers of the attempt must do the same.
    ///
    /// # Errors
    /// If an operator cannot be opened or its state not be restored; names operator and state.
    pub fn build(
        timely: &mut Worker,
        config: &WorkerConfig,
        watchdog: Arc<Watchdog>,
        control: Box<dyn ControlPort>,
        io: Box<dyn PartIo>,
    ) -> Result<Self, FailureReport> {
        let (shared, channel) = build::build(timely, config, watchdog, io)?;
        let has_loops = !shared.loops.borrow().is_empty();
        let driver = Driver::new(shared.clone(), channel, config.tick_micros, has_loops);
        let mut run = WorkerRun {
            timely: timely.clone(),
            shared,
            driver,
            control,
            buffer_timeout_micros: config.buffer_timeout_micros,
            committed: 0,
            unconfirmed: None,
            next_memory_check: 0,
            finished: false,
        };
        if let Some(restored) = &config.restored {
            if restored.foreign {
                run.shared.snapshots.borrow_mut().start_afresh();
            }
            // The commit of the restored checkpoint may have been cut short: repeat it before anything else.
            run.commit(restored.manifest.checkpoint)?;
        }
        Ok(run)
    }

    /// One turn: messages, ticks, one step of the dataflow, a slice of snapshot work. Does not wait.
    ///
    /// # Errors
    /// The failure that ends the attempt.
    pub fn turn(&mut self) -> Result<Turn, FailureReport> {
        while let Some(message) = self.control.receive() {
            self.obey(message)?;
        }
        let now = self.shared.clock.monotonic_micros();
        for message in self.driver.turn(now) {
            self.control.send(message);
        }
        let wake_up = self.wake_due();
        let alive = self.timely.step();
        self.after_step(now)?;
        self.confirm_commits()?;
        if !alive {
            return self.finish();
        }
        let mut held_due = self.shared.holds.flush_due(now, self.buffer_timeout_micros);
        if held_due.is_some() && self.is_out_of_work() {
            // Holding parts back saves work under load; without load it only costs time.
            self.shared.holds.flush_all();
            held_due = Some(now);
        }
        // What this step has asked of the driver is said in the next turn; a worker that parks first keeps others
        // waiting for a tick or for room.
        let driver_has_work = self.shared.need_tick.get() || !self.shared.credits.borrow().is_empty();
        if driver_has_work || self.shared.snapshots.borrow().has_work() {
            return Ok(Turn::Busy);
        }
        let due = [wake_up, held_due, self.driver.next_due()].into_iter().flatten().min();
        Ok(if due.is_some_and(|due| due <= now) { Turn::Busy } else { Turn::Idle(due) })
    }

    /// Whether no operator of this worker waits for its turn.
    pub fn is_out_of_work(&self) -> bool {
        self.timely.activations().borrow().empty_for() != Some(std::time::Duration::ZERO)
    }

    fn after_step(&mut self, now: u64) -> Result<(), FailureReport> {
        if let Some(error) = self.shared.exchange_failure.borrow_mut().take() {
            self.shared.fail_with(&error);
        }
        let messages = {
            let instances = self.shared.instances.borrow();
            let mut snapshots = self.shared.snapshots.borrow_mut();
            if snapshots.is_active() { snapshots.step(&instances) } else { Vec::new() }
        };
        for message in messages {
            self.control.send(message);
        }
        if now >= self.next_memory_check {
            let began = self.shared.clock.monotonic_micros();
            self.check_memory();
            let took = self.shared.clock.monotonic_micros().saturating_sub(began);
            self.next_memory_check = now + MEMORY_CHECK_MICROS.max(took.saturating_mul(MEMORY_CHECK_SHARE));
            let done = self.shared.reaches.borrow().iter().copied().min().unwrap_or(0);
            self.shared.watermarks.borrow_mut().trim(done);
        }
        match self.shared.failure.borrow_mut().take() {
            Some(report) => Err(report),
            None => Ok(()),
        }
    }

    fn obey(&mut self, message: ToWorker) -> Result<(), FailureReport> {
        match message {
            ToWorker::TriggerCheckpoint { checkpoint, kind } => self.driver.trigger(checkpoint, kind),
            ToWorker::Commit { checkpoint } => {
                self.commit(checkpoint)?;
                self.unconfirmed = self.unconfirmed.max(Some(checkpoint));
            }
            ToWorker::Stop { mode } => self.driver.stop(mode),
            ToWorker::Shutdown => {
                self.shared.shutdown.set(true);
                self.shared.activate_on_tick();
            }
            ToWorker::AbortCheckpoint { checkpoint, .. } => {
                self.shared.snapshots.borrow_mut().aborted(checkpoint)
            }
            ToWorker::Start { .. } => {}
        }
        Ok(())
    }

    /// Makes visible what belongs to `checkpoint`; repeating it does no harm.
    fn commit(&mut self, checkpoint: CheckpointId) -> Result<(), FailureReport> {
        if checkpoint <= self.committed {
            return Ok(());
        }
        self.committed = checkpoint;
        self.shared.snapshots.borrow_mut().committed(checkpoint);
        for instance in self.shared.instances.borrow().iter() {
            instance.borrow_mut().call(&self.shared, &mut NoEmitter, (0, 0), |body, context| match body {
                Body::Operator(operator) => operator.on_commit(checkpoint, context),
                Body::Source(source) => source.on_commit(checkpoint, context),
            })?;
        }
        Ok(())
    }

    /// Tells the supervisor of the newest commit once all of it is visible.
    fn confirm_commits(&mut self) -> Result<(), FailureReport> {
        let Some(checkpoint) = self.unconfirmed else { return Ok(()) };
        for instance in self.shared.instances.borrow().iter() {
            let progress =
                instance.borrow_mut().call(&self.shared, &mut NoEmitter, (0, 0), |body, _| match body {
                    Body::Operator(operator) => operator.poll_committed(),
                    Body::Source(_) => Ok(Progress::Done),
                })?;
            if progress != Progress::Done {
                return Ok(());
            }
        }
        self.unconfirmed = None;
        let worker = self.shared.worker as u32;
        self.control.send(FromWorker::Committed { checkpoint, worker });
        Ok(())
    }

    /// Wakes the instances whose processing time has come; answers when the next one is due (monotonic).
    fn wake_due(&self) -> Option<u64> {
        let mut next = i64::MAX;
        let now_ms = self.shared.clock.wall_millis();
        for instance in self.shared.instances.borrow().iter() {
            let instance = instance.borrow();
            let at = instance.wake_at_ms.get();
            if at <= now_ms {
                instance.waker.wake_by_ref();
            } else {
                next = next.min(at);
            }
        }
        (next != i64::MAX).then(|| {
            let wait_ms = next.saturating_sub(now_ms).clamp(0, 60_000) as u64;
            self.shared.clock.monotonic_micros() + wait_ms * 1_000
        })
    }

    fn finish(&mut self) -> Result<Turn, FailureReport> {
        if !self.finished {
            for instance in self.shared.instances.borrow().iter() {
                instance.borrow_mut().call(&self.shared, &mut NoEmitter, (0, 0), |body, _| match body {
                    Body::Operator(operator) => operator.finished(),
                    Body::Source(_) => Ok(()),
                })?;
            }
            self.finished = true;
            self.close();
            let worker = self.shared.worker as u32;
            self.control.send(FromWorker::Finished { worker });
        }
        Ok(Turn::Finished)
    }

    /// Closes all operators and sources; called at the end and after failures.
    pub fn close(&mut self) {
        for instance in self.shared.instances.borrow().iter() {
            let mut instance = instance.borrow_mut();
            let _ = crate::panics::catch(std::panic::AssertUnwindSafe(|| match &mut instance.body {
                Body::Operator(operator) => operator.close(),
                Body::Source(source) => source.close(),
            }));
        }
    }

    /// State that outgrows the limit ends the job with a word on what filled it, before the kernel does it silently.
    fn check_memory(&self) {
        let backend = self.backend_bytes();
        let state = self.state_bytes() + backend;
        let waiting = self.shared.stash.bytes() + self.shared.kept.bytes();
        let flow = (self.shared.pool.bytes() + waiting).max(0) as usize;
        let limit = self.shared.limits.memory_bytes;
        if state + flow <= limit {
            return;
        }
        let sizes = self.state_sizes();
        let biggest = sizes.iter().max_by_key(|(_, bytes)| *bytes);
        let filled = biggest.map_or_else(String::new, |(name, bytes)| {
            format!("the largest state is {name} with {} MiB; ", bytes >> 20)
        });
        let error = Error::memory(format!("worker {} is over its memory of {} MiB", self.shared.worker, limit >> 20))
            .with_detail(format!(
                "{filled}{} MiB are records that wait, {} MiB are the state backend's",
                flow >> 20,
                backend >> 20,
            ))
            .with_hint(if self.shared.services.get::<StateBackendService>().is_some() {
                "raise taskmanager.memory.process.size, run more workers, or keep less in memory (fewer timers, shorter windows)"
            } else {
                "set state.backend.type=rocksdb, raise taskmanager.memory.process.size, run more workers, or keep less state (shorter windows, TTL)"
            });
        self.shared.fail_with(&error);
    }

    /// What the state backend tells of itself, as metrics of no operator.
    fn backend_metrics(&self) -> Vec<MetricReport> {
        let backend = self.shared.services.get::<StateBackendService>();
        let told = backend.map(|backend| backend.0.metrics(self.shared.worker)).unwrap_or_default();
        let report = |(name, value)| MetricReport {
            operator: "state backend".into(),
            uid: String::new(),
            instance: self.shared.worker as u32,
            name,
            value: MetricValue::Gauge(value),
        };
        told.into_iter().map(report).collect()
    }

    /// What the state backend occupies beside the tables.
    fn backend_bytes(&self) -> usize {
        let backend = self.shared.services.get::<StateBackendService>();
        backend.map_or(0, |backend| backend.0.memory_bytes(self.shared.worker))
    }

    fn state_bytes(&self) -> usize {
        let mut bytes = 0;
        for instance in self.shared.instances.borrow().iter() {
            let _ = instance.borrow_mut().visit_states(&mut |state| {
                bytes += state.memory_bytes();
                Ok(())
            });
        }
        bytes
    }

    fn state_sizes(&self) -> Vec<(String, usize)> {
        let mut sizes = Vec::new();
        for instance in self.shared.instances.borrow().iter() {
            let mut instance = instance.borrow_mut();
            let name = instance.info.name.clone();
            let _ = instance.visit_states(&mut |state| {
                sizes.push((format!("`{}` of `{name}`", state.descriptor().name), state.memory_bytes()));
                Ok(())
            });
        }
        sizes
    }

    /// Numbers of this worker.
    pub fn status(&self) -> WorkerStatus {
        let table = self.shared.watermarks.borrow();
        let instances = self.shared.instances.borrow();
        let late = instances.iter().filter_map(|instance| {
            let instance = instance.borrow();
            let late = instance.metrics.late.get();
            (late > 0).then(|| (instance.info.name.to_string(), late))
        });
        let now = self.shared.clock.monotonic_micros();
        let metrics = instances.iter().flat_map(|instance| {
            let instance = instance.borrow();
            instance.user_metrics.report(&instance.info, now)
        });
        let accumulators = instances.iter().flat_map(|instance| {
            let instance = instance.borrow();
            instance.accumulators.report(&instance.info)
        });
        let accumulators: Vec<_> = accumulators.collect();
        self.check_accumulators(&accumulators);
        WorkerStatus {
            tick: self.shared.known_tick.get(),
            watermark: table.latest_minimum(&table.nodes()),
            records_in: self.shared.records_in.get(),
            records_out: self.shared.records_out.get(),
            latency: self.shared.latency.borrow().end_to_end.clone(),
            flight_bytes: self.shared.pool.bytes(),
            flight_bytes_peak: self.shared.pool.peak(),
            waiting_bytes: self.shared.stash.bytes() + self.shared.kept.bytes(),
            state_bytes: self.state_bytes(),
            late: late.collect(),
            metrics: metrics.chain(self.backend_metrics()).collect(),
            accumulators,
        }
    }

    /// Accumulators travel with each heartbeat: those that grow with the data end the job with a word on why.
    fn check_accumulators(&self, parts: &[Arc<AccumulatorPart>]) {
        let bytes: usize = parts.iter().map(|part| part.bytes.len()).sum();
        if bytes <= ACCUMULATOR_BYTES_MAX {
            return;
        }
        if let Some(biggest) = parts.iter().max_by_key(|part| part.bytes.len()) {
            let limit = ACCUMULATOR_BYTES_MAX >> 10;
            let error = Error::memory(format!(
                "the accumulators of worker {} have {} KiB, more than {limit} KiB",
                self.shared.worker,
                bytes >> 10
            ))
            .with_detail(format!("most of it is `{}` of operator `{}`", biggest.name, biggest.uid))
            .with_hint("accumulators are for a few figures: write what grows with the data to a sink");
            self.shared.fail_with(&error);
        }
    }

    /// Why nothing moves: which generator holds the watermark, which queue is full. For people.
    pub fn describe_stall(&self) -> String {
        let mut reasons = Vec::new();
        for account in &self.shared.accounts {
            if account.bytes() > self.shared.limits.edge_bytes {
                reasons.push(format!(
                    "the output of {} is full ({} KiB)",
                    account.name(),
                    account.bytes() >> 10
                ));
            }
        }
        if self.shared.is_full() {
            reasons
                .push(format!("{} KiB of records are in flight, the limit", self.shared.pool.bytes() >> 10));
        }
        let table = self.shared.watermarks.borrow();
        if let Some((node, instance, watermark)) = table.holder(&table.nodes())
            && watermark != WATERMARK_MAX
        {
            let names = self.shared.node_names.borrow();
            let name = names.get(node).map_or("?", |name| name);
            let at = if watermark == EventTime::MIN {
                "no watermark yet".into()
            } else {
                format!("at {watermark}")
            };
            reasons.push(format!("the watermark is held by `{name}` instance {instance} ({at})"));
        }
        if reasons.is_empty() { "all sources are waiting for input".into() } else { reasons.join("; ") }
    }

    /// Adds to `image` what this worker's instances of the operator with that uid or name, or of all operators, have
    /// of its state.
    ///
    /// # Errors
    /// If a snapshot is in flight.
    #[cfg(feature = "simulation")]
    pub fn add_to_image(&self, operator: Option<&str>, image: &mut crate::inspect::StateImage) -> Result<()> {
        if self.shared.snapshots.borrow().is_active() {
            return Err(Error::internal("states cannot be looked at while a snapshot is in flight"));
        }
        for instance in self.shared.instances.borrow().iter() {
            let mut instance = instance.borrow_mut();
            let InstanceInfo { uid, name, .. } = &instance.info;
            if operator.is_none_or(|wanted| **uid == *wanted || **name == *wanted) {
                image.add(&mut instance)?;
            }
        }
        Ok(())
    }

    /// The job's wall clock and worker index, for messages.
    pub fn worker(&self) -> usize {
        self.shared.worker
    }

    /// Waits for work, at most until `until_micros` (monotonic).
    pub fn park(&mut self, until_micros: Option<u64>) {
        let now = self.shared.clock.monotonic_micros();
        let longest = 1_000_000;
        let wait = until_micros.map_or(longest, |until| until.saturating_sub(now)).min(longest);
        self.timely.step_or_park(Some(std::time::Duration::from_micros(wait)));
    }
}
