//! A single operator instance, driven by hand: for tests of operators, the user's own included.
//!
//! The harness stands in for the runtime around one instance. The test says what happens and in which order:
//! batches, watermarks, the passing of time, wake-ups, snapshots. Nothing runs by itself, so a test is repeatable.
//! Restoring works as in a job: several instances' snapshots are read by an instance of any other parallelism.
//!
//! # Examples
//! ```
//! use eddyline_core::{Batch, Record, Result};
//! use eddyline_runtime::harness::{HarnessConfig, OperatorHarness};
//! use eddyline_runtime::{Operator, OperatorContext, Stateful};
//!
//! struct Double;
//! impl Stateful for Double {}
//! impl Operator for Double {
//!     fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
//!         batch.rows_mut::<u64>()?.iter_mut().for_each(|row| row.value *= 2);
//!         context.emit(0, batch)
//!     }
//! }
//!
//! let mut harness = OperatorHarness::start(Double, HarnessConfig::default(), &[]).unwrap();
//! harness.push(0, vec![Record::new(4u64, 10)]).unwrap();
//! assert_eq!(harness.take::<u64>(0), [Record::new(8, 10)]);
//! ```

use crate::context::{Emitter, InstanceInfo, OperatorContext};
use crate::graph::{Job, JobGraph};
use crate::inspect::StateImage;
use crate::instance::{Body, Instance};
use crate::operator::{Operator, Progress};
use crate::services::Services;
use crate::shared::{Limits, WorkerShared};
use crate::snapshots::PartIo;
use crate::watchdog::Watchdog;
use crate::worker::{WorkerConfig, make_shared};
use eddyline_core::{
    Batch, Data, Error, EventTime, KeyGroupRange, ManualClock, Record, Result, Tick, WATERMARK_MAX,
    WATERMARK_MIN,
};
use eddyline_protocol::{
    CheckpointId, FailureReport, MANIFEST_FORMAT, Manifest, ManifestKind, OperatorManifest, SegmentRef,
    StateManifest,
};
use eddyline_state::{PartWriter, RestoreSource, SegmentReader};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// The uid of the operator in a harness.
const UID: &str = "harness";

/// The surroundings of an instance.
#[derive(Clone)]
pub struct HarnessConfig {
    /// The number of the instance.
    pub instance: u32,
    /// How many instances there are.
    pub parallelism: u32,
    /// The number of key groups.
    pub max_parallelism: u32,
    /// The clock of the job; moved by the test.
    pub clock: ManualClock,
    /// What the environment lends to the operator.
    pub services: Services,
    /// The most rows of a batch that the operator emits.
    pub batch_rows_max: usize,
    /// How many batches the outputs have room for during one call; fewer make long emissions stop and go on.
    pub batches_per_call: usize,
    /// The memory of the worker, bytes.
    pub memory_bytes: usize,
}

impl Default for HarnessConfig {
    fn default() -> Self {
        HarnessConfig {
            instance: 0,
            parallelism: 1,
            max_parallelism: 128,
            clock: ManualClock::new(1_000_000_000),
            services: Services::default(),
            batch_rows_max: 4096,
            batches_per_call: usize::MAX,
            memory_bytes: 1 << 30,
        }
    }
}

/// The states of one instance at a cut.
#[derive(Clone)]
pub struct HarnessSnapshot {
    states: Vec<StateManifest>,
    file: String,
    bytes: Vec<u8>,
    max_parallelism: u32,
    tick: Tick,
}

impl HarnessSnapshot {
    /// How many bytes the states took.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }
}

/// One operator instance, driven by hand.
pub struct OperatorHarness {
    shared: Rc<WorkerShared>,
    instance: Instance,
    emitted: Collected,
    config: HarnessConfig,
    watermark: EventTime,
    tick: Tick,
    woken: Arc<WokenFlag>,
    checkpoints: CheckpointId,
}

struct WokenFlag(AtomicBool);

impl Wake for WokenFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Keeps what the operator emits.
struct Collected {
    batches: Vec<(usize, Batch)>,
    room: usize,
    room_per_call: usize,
}

impl Emitter for Collected {
    fn emit(&mut self, port: usize, batch: Batch) -> Result<()> {
        self.room = self.room.saturating_sub(1);
        self.batches.push((port, batch));
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.room > 0
    }
}

/// Reads segments of snapshots in memory.
struct MemorySegments(BTreeMap<String, Vec<u8>>);

impl SegmentReader for MemorySegments {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        let range = segment.offset as usize..(segment.offset + segment.length) as usize;
        let bytes = self.0.get(&segment.file).and_then(|bytes| bytes.get(range));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| Error::storage("a harness snapshot lacks a segment"))
    }
}

/// A harness stores snapshots itself.
struct NoPartIo;

impl PartIo for NoPartIo {
    fn part_path(&self, checkpoint: CheckpointId) -> String {
        checkpoint.to_string()
    }

    fn append(&mut self, _checkpoint: CheckpointId, _chunk: Vec<u8>) {}

    fn finish(&mut self, _checkpoint: CheckpointId) {}

    fn poll(&mut self) -> Option<(CheckpointId, Result<()>)> {
        None
    }

    fn bytes_waiting(&self) -> usize {
        0
    }
}

fn surroundings(config: &HarnessConfig, start: Tick) -> WorkerShared {
    let graph = JobGraph {
        name: UID.into(),
        max_parallelism: config.max_parallelism,
        nodes: Vec::new(),
        edges: Vec::new(),
    };
    let mut limits = Limits::from_memory(config.memory_bytes);
    limits.batch_rows = config.batch_rows_max;
    let worker = WorkerConfig {
        job: Arc::new(Job { graph, factories: Vec::new(), edges: Vec::new() }),
        attempt: 1,
        clock: Arc::new(config.clock.clone()),
        services: config.services.clone(),
        limits,
        tick_micros: 10_000,
        on_event: false,
        tick_per_batch: false,
        buffer_timeout_micros: 0,
        snapshot_entries_per_turn: 1024,
        restored: None,
    };
    let place = (config.instance as usize, config.parallelism as usize);
    let watchdog = Arc::new(Watchdog::default());
    make_shared(&worker, place, start, Vec::new(), watchdog, Box::new(NoPartIo))
}

impl OperatorHarness {
    /// Opens `operator` and restores it from the snapshots of all instances of an earlier run; none to start empty.
    ///
    /// # Errors
    /// What the operator says, or that its states cannot be restored.
    pub fn start(
        operator: impl Operator + 'static,
        config: HarnessConfig,
        snapshots: &[HarnessSnapshot],
    ) -> Result<Self, FailureReport> {
        let start = snapshots.iter().map(|snapshot| snapshot.tick).max().unwrap_or(1);
        let shared = Rc::new(surroundings(&config, start));
        let info = InstanceInfo {
            uid: UID.into(),
            name: UID.into(),
            instance: config.instance,
            parallelism: config.parallelism,
            max_parallelism: config.max_parallelism,
            key_groups: KeyGroupRange::of_instance(
                config.max_parallelism,
                config.parallelism,
                config.instance,
            ),
            attempt: 1,
            worker: config.instance as usize,
        };
        let woken = Arc::new(WokenFlag(AtomicBool::new(false)));
        let body = Body::Operator(Box::new(operator));
        let instance = Instance::new(0, 0, info, body, Waker::from(woken.clone()));
        let room_per_call = config.batches_per_call;
        let emitted = Collected { batches: Vec::new(), room: room_per_call, room_per_call };
        let watermark = WATERMARK_MIN;
        let mut harness = OperatorHarness {
            shared,
            instance,
            emitted,
            config,
            watermark,
            tick: start,
            woken,
            checkpoints: 0,
        };
        harness.call(|operator, context| operator.open(context))?;
        let mut source = harness.restore_source(snapshots);
        harness.watermark =
            harness.instance.restore(source.as_mut()).map_err(|error| FailureReport::from(&error))?;
        harness.call(|operator, context| operator.restored(context))?;
        Ok(harness)
    }

    fn restore_source(&self, snapshots: &[HarnessSnapshot]) -> Option<RestoreSource> {
        let first = snapshots.first()?;
        let operators = snapshots
            .iter()
            .map(|snapshot| OperatorManifest { uid: UID.into(), states: snapshot.states.clone() })
            .collect();
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            job: UID.into(),
            checkpoint: 1,
            attempt: 1,
            tick: first.tick,
            completed_at_ms: 0,
            max_parallelism: first.max_parallelism,
            finished: false,
            kind: ManifestKind::Checkpoint,
            origin: None,
            operators,
        };
        let files =
            snapshots.iter().map(|snapshot| (snapshot.file.clone(), snapshot.bytes.clone())).collect();
        let reader = Arc::new(MemorySegments(files));
        Some(RestoreSource::new(reader, &manifest, UID, self.config.instance, self.config.parallelism))
    }

    fn call<R>(
        &mut self,
        call: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<R>,
    ) -> Result<R, FailureReport> {
        self.emitted.room = self.emitted.room_per_call;
        let at = (self.watermark, self.tick);
        self.instance.call(&self.shared, &mut self.emitted, at, |body, context| match body {
            Body::Operator(operator) => call(operator.as_mut(), context),
            Body::Source(_) => Err(Error::internal("a harness runs operators only")),
        })
    }

    fn operator(&self) -> &dyn Operator {
        match &self.instance.body {
            Body::Operator(operator) => operator.as_ref(),
            Body::Source(_) => unreachable!("invariant: a harness is made of an operator"),
        }
    }

    /// Gives the operator a batch on `input`.
    ///
    /// # Errors
    /// What the operator says, panics included.
    pub fn push<T: Data>(&mut self, input: usize, rows: Vec<Record<T>>) -> Result<(), FailureReport> {
        let count = rows.len() as u64;
        let batch = Batch::from_rows(rows, 1);
        self.call(|operator, context| operator.on_batch(input, batch, context))?;
        self.instance.metrics.records_in.set(self.instance.metrics.records_in.get() + count);
        Ok(())
    }

    /// Moves the watermark and lets the operator do all that follows from it, in as many calls as it takes.
    ///
    /// # Errors
    /// What the operator says.
    pub fn advance_watermark(&mut self, watermark: EventTime) -> Result<(), FailureReport> {
        while self.step_watermark(watermark)? == Progress::More {}
        Ok(())
    }

    /// Moves the watermark and calls the operator once.
    ///
    /// # Errors
    /// What the operator says.
    pub fn step_watermark(&mut self, watermark: EventTime) -> Result<Progress, FailureReport> {
        self.watermark = watermark;
        self.tick += 1;
        self.call(|operator, context| operator.on_watermark(watermark, context))
    }

    /// Moves the clock forward to wall time `now_ms` and serves a wake-up that is due by then, and the waker.
    ///
    /// # Errors
    /// What the operator says.
    pub fn advance_clock(&mut self, now_ms: i64) -> Result<(), FailureReport> {
        use eddyline_core::Clock;
        let ahead = (now_ms as u64 * 1_000).saturating_sub(self.config.clock.wall_micros());
        self.config.clock.advance(ahead);
        while self.instance.wake_at_ms.get() <= now_ms {
            self.instance.wake_at_ms.set(i64::MAX);
            while self.call(|operator, context| operator.on_processing_time(now_ms, context))?
                == Progress::More
            {}
        }
        self.wake()
    }

    /// Calls the operator as if its waker had been called.
    ///
    /// # Errors
    /// What the operator says.
    pub fn wake(&mut self) -> Result<(), FailureReport> {
        self.woken.0.store(false, Ordering::SeqCst);
        self.tick += 1;
        while self.call(|operator, context| operator.on_wake(context))? == Progress::More {}
        Ok(())
    }

    /// Whether the operator's waker was called since the last wake-up.
    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// Ends the input: the final watermark, then `on_end`, once.
    ///
    /// # Errors
    /// What the operator says.
    pub fn end(&mut self) -> Result<Progress, FailureReport> {
        self.advance_watermark(WATERMARK_MAX)?;
        loop {
            match self.call(|operator, context| operator.on_end(context))? {
                Progress::More => {}
                done => return Ok(done),
            }
        }
    }

    /// Takes the rows emitted on `port` so far, in order.
    ///
    /// # Panics
    /// If they are of another type.
    pub fn take<T: Data>(&mut self, port: usize) -> Vec<Record<T>> {
        let (taken, kept) =
            std::mem::take(&mut self.emitted.batches).into_iter().partition(|(to, _)| *to == port);
        self.emitted.batches = kept;
        let taken: Vec<(usize, Batch)> = taken;
        let rows = taken.into_iter().map(|(_, mut batch)| batch.take_rows::<T>());
        rows.flat_map(|rows| rows.expect("invariant: the test knows the type of the rows")).collect()
    }

    /// A cut: freezes the states and writes them to memory, whole.
    ///
    /// # Errors
    /// What the operator says.
    pub fn snapshot(&mut self) -> Result<HarnessSnapshot, FailureReport> {
        self.checkpoints += 1;
        let checkpoint = self.checkpoints;
        self.call(|operator, context| operator.before_snapshot(checkpoint, context))?;
        self.write_states().map_err(|error| FailureReport::from(&error))
    }

    fn write_states(&mut self) -> Result<HarnessSnapshot> {
        self.instance.floor.set(vec![self.watermark]);
        self.instance.visit_states(&mut |state| {
            state.freeze(true);
            Ok(())
        })?;
        let file = format!("{}-{}", self.config.instance, self.checkpoints);
        let mut writer = PartWriter::new(file.clone());
        let mut states = Vec::new();
        self.instance.visit_states(&mut |state| {
            while !state.write_frozen(64, &mut writer)? {}
            states.push(state.manifest_of_frozen()?);
            Ok(())
        })?;
        let mut bytes = Vec::new();
        while let Some(chunk) = writer.take_chunk() {
            bytes.extend(chunk);
        }
        bytes.extend(writer.finish()?.chunks.concat());
        let max_parallelism = self.config.max_parallelism;
        Ok(HarnessSnapshot { states, file, bytes, max_parallelism, tick: self.tick })
    }

    /// The watermark that the operator promises to those after it.
    pub fn output_watermark(&self) -> EventTime {
        self.operator().output_watermark(self.watermark)
    }

    /// Whether the operator takes records now.
    pub fn accepts_input(&self) -> bool {
        self.operator().accepts_input()
    }

    /// Records that the operator holds outside its state.
    pub fn in_flight(&self) -> usize {
        self.operator().in_flight()
    }

    /// Records that the operator counted as late.
    pub fn late(&self) -> u64 {
        self.instance.metrics.late.get()
    }

    /// The state `name` of the operator, as it is now.
    ///
    /// # Errors
    /// If the operator has no such state.
    pub fn state(&mut self, name: &str) -> Result<StateImage> {
        let mut image = StateImage::new(name);
        image.add(&mut self.instance)?;
        if image.is_empty() {
            return Err(Error::config(format!("the operator has no state `{name}`")));
        }
        Ok(image)
    }

    /// About how many bytes the states occupy.
    pub fn state_bytes(&mut self) -> usize {
        let mut bytes = 0;
        let _ = self.instance.visit_states(&mut |state| {
            bytes += state.memory_bytes();
            Ok(())
        });
        bytes
    }
}
