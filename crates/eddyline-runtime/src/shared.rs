//! What the pieces of one worker share.
//!
//! A worker is one thread: everything here is single-threaded except the accounts (batches are dropped on other
//! threads) and the watchdog (read by the heartbeat thread).

use crate::exchange::{ExchangeFailure, HoldList};
use crate::instance::Instance;
use crate::latency::LatencyRecorder;
use crate::loops::LoopEnds;
use crate::services::Services;
use crate::snapshots::Snapshots;
use crate::watchdog::Watchdog;
use crate::watermarks::WatermarkTable;
use eddyline_core::{Account, Clock, Error, Tick};
use eddyline_protocol::{CheckpointId, FailureReport};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use timely::scheduling::Activator;

/// The part of a worker's memory that operators share that keep their input until the end.
pub const MANAGED_MEMORY_PERCENT: usize = 40;
/// The least share of such an operator, bytes.
const MANAGED_BYTES_MIN: usize = 16 << 10;

/// The share of each of `operators` operators that keep their input until the end, in a worker of `memory_bytes`.
pub(crate) fn managed_share(memory_bytes: usize, operators: usize) -> usize {
    (memory_bytes / 100 * MANAGED_MEMORY_PERCENT / operators.max(1)).max(MANAGED_BYTES_MIN)
}

/// What bounds a worker; all derived from one memory number.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The memory of one worker, state included, bytes.
    pub memory_bytes: usize,
    /// Bytes in flight from one output before its operator waits.
    pub edge_bytes: i64,
    /// Bytes in flight from all outputs of the worker before its sources wait.
    pub pool_bytes: i64,
    /// Ticks in flight before the leader stops opening more.
    pub ticks_in_flight: u64,
    /// Most rows in one batch.
    pub batch_rows: usize,
}

impl Limits {
    /// Divides one memory number: an eighth for records in flight, the rest for state and what waits at cuts.
    pub fn from_memory(memory_bytes: usize) -> Self {
        let pool = (memory_bytes / 8).max(64 << 10);
        Limits {
            memory_bytes,
            // More in flight only moves records out of the caches before they are read again.
            edge_bytes: (pool / 4).min(1 << 20) as i64,
            pool_bytes: pool as i64,
            ticks_in_flight: 64,
            batch_rows: 4096,
        }
    }
}

/// A cut that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) tick: Tick,
    pub(crate) checkpoint: CheckpointId,
}

/// The cuts announced to a worker, in order; each operator remembers how many it has passed.
#[derive(Debug, Default)]
pub(crate) struct CutLog {
    first: u64,
    cuts: VecDeque<Cut>,
}

impl CutLog {
    /// The `number`-th cut of the attempt, if it was announced.
    pub(crate) fn get(&self, number: u64) -> Option<Cut> {
        self.cuts.get(number.checked_sub(self.first)? as usize).copied()
    }

    pub(crate) fn push(&mut self, cut: Cut) {
        self.cuts.push_back(cut);
    }

    /// Forgets the oldest cut: everybody has passed it.
    pub(crate) fn forget_first(&mut self) {
        if self.cuts.pop_front().is_some() {
            self.first += 1;
        }
    }
}

/// What the pieces of one worker share.
pub(crate) struct WorkerShared {
    pub(crate) worker: usize,
    pub(crate) peers: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) services: Services,
    pub(crate) limits: Limits,
    /// Memory of each operator that keeps its input until the end.
    pub(crate) managed_bytes: usize,
    pub(crate) strict_order: bool,
    /// The newest tick announced; batches of later ticks wait.
    pub(crate) known_tick: Cell<Tick>,
    pub(crate) cuts: RefCell<CutLog>,
    /// The tick in which operators end; set once the input is over.
    pub(crate) end_tick: Cell<Option<Tick>>,
    /// All is committed: release everything.
    pub(crate) shutdown: Cell<bool>,
    /// Sources do not read any more.
    pub(crate) sources_stopped: Cell<bool>,
    /// Stopped sources say that their input has ended.
    pub(crate) drain: Cell<bool>,
    pub(crate) stop_requested: Cell<bool>,
    /// The current tick has something that waits for its end.
    pub(crate) need_tick: Cell<bool>,
    /// Source instances on this worker that have not finished.
    pub(crate) sources_open: Cell<usize>,
    pub(crate) watermarks: RefCell<WatermarkTable>,
    pub(crate) holds: HoldList,
    pub(crate) exchange_failure: ExchangeFailure,
    pub(crate) pool: Arc<Account>,
    /// Bytes that wait for a cut: sources hold back for them, because the cut comes without their help.
    pub(crate) stash: Arc<Account>,
    /// Bytes that operators keep beside their states (loops, calls, joins). They count as memory, but no source
    /// waits for them: it may be the very record of another source that sets them free.
    pub(crate) kept: Arc<Account>,
    /// An account per output of each node.
    pub(crate) accounts: Vec<Arc<Account>>,
    /// Bytes of other workers' batches dropped here, to be given back: (sender, account) → bytes.
    pub(crate) credits: RefCell<BTreeMap<(u32, u32), u64>>,
    pub(crate) instances: RefCell<Vec<Rc<RefCell<Instance>>>>,
    pub(crate) snapshots: RefCell<Snapshots>,
    pub(crate) loops: RefCell<BTreeMap<usize, Rc<LoopEnds>>>,
    /// Woken when a tick is announced.
    pub(crate) on_tick: RefCell<Vec<Activator>>,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) latency: RefCell<LatencyRecorder>,
    pub(crate) failure: RefCell<Option<FailureReport>>,
    pub(crate) records_in: Cell<u64>,
    pub(crate) records_out: Cell<u64>,
    /// Grows whenever a record may have entered or gone round a loop.
    pub(crate) loop_activity: Cell<u64>,
    /// How far each task is, by instance number.
    pub(crate) reaches: RefCell<Vec<Tick>>,
    /// Names of all nodes, by number.
    pub(crate) node_names: RefCell<Vec<String>>,
    /// The instance numbers of the sinks on this worker.
    pub(crate) sinks: RefCell<Vec<usize>>,
}

impl WorkerShared {
    /// Ends the attempt with the first failure; later ones are its consequences.
    pub(crate) fn fail(&self, report: FailureReport) {
        self.failure.borrow_mut().get_or_insert(report);
    }

    /// Ends the attempt with an error of the runtime's own.
    pub(crate) fn fail_with(&self, error: &Error) {
        self.fail(FailureReport::from(error));
    }

    /// An operator emitted of its own accord: a loop may not be empty.
    pub(crate) fn note_loop_activity(&self) {
        self.loop_activity.set(self.loop_activity.get() + 1);
    }

    /// A task has processed everything before `reach`.
    pub(crate) fn set_reach(&self, instance: usize, reach: Tick) {
        if let Some(known) = self.reaches.borrow_mut().get_mut(instance) {
            *known = reach;
        }
    }

    /// The least reach of all sinks; everything before it has left the job.
    pub(crate) fn sink_reach(&self) -> Tick {
        let reaches = self.reaches.borrow();
        self.sinks.borrow().iter().filter_map(|sink| reaches.get(*sink).copied()).min().unwrap_or(Tick::MAX)
    }

    /// An instance has frozen its states for a checkpoint.
    pub(crate) fn frozen(&self, checkpoint: CheckpointId, instance: usize) {
        if self.snapshots.borrow_mut().frozen(checkpoint, instance) {
            self.cuts.borrow_mut().forget_first();
        }
    }

    /// Whether sources have to wait for room.
    pub(crate) fn is_full(&self) -> bool {
        self.pool.bytes() + self.stash.bytes() > self.limits.pool_bytes
    }

    /// Wakes everybody who waits for a tick.
    pub(crate) fn activate_on_tick(&self) {
        for activator in self.on_tick.borrow().iter() {
            activator.activate();
        }
    }
}

/// Bytes of another worker's batch, given back when the batch is done with.
pub(crate) struct Credit {
    origin: crate::packet::Origin,
    shared: Rc<WorkerShared>,
}

impl Credit {
    pub(crate) fn new(origin: crate::packet::Origin, shared: &Rc<WorkerShared>) -> Self {
        Credit { origin, shared: shared.clone() }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if self.origin.bytes > 0 {
            let mut credits = self.shared.credits.borrow_mut();
            *credits.entry((self.origin.sender, self.origin.account)).or_default() += self.origin.bytes;
        }
    }
}
