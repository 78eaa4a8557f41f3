//! The world that a simulated job lives in.

mod attempt;
mod control;
mod disk;
mod line;
mod part_io;
mod shell;

pub use attempt::SimulatedAttempt;
pub use control::{Post, ProcessEnd};
pub use disk::Disk;
pub use line::{Line, LineConfig};
pub use part_io::SimulatedPartIo;
pub use shell::{SimulatedShell, StorageJob};

use crate::random::Random;
use crate::scenario::Scenario;
use crate::trace::Trace;
use eddyline_core::{Clock, ManualClock};
use eddyline_protocol::Moment;
use eddyline_runtime::Services;
use eddyline_runtime::graph::Job;
use eddyline_state::CheckpointStore;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Circumstances that faults change for a while.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    /// Longest step of an upload, microseconds.
    pub upload_micros_max: u64,
}

/// What has happened so far; faults wait for some of it, reports show the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Parts that were reported durable.
    pub parts: u64,
    /// Checkpoints made complete on storage.
    pub completed: u64,
    /// Checkpoints the supervisor has seen complete.
    pub cuts: u64,
    /// Processes started.
    pub starts: u64,
    /// Times the input has ended.
    pub input_ends: u64,
    /// Control messages that came a second time.
    pub repeated: u64,
    /// Attempts started.
    pub attempts: u64,
    /// Checkpoints given up.
    pub aborted: u64,
}

/// What all parts of a simulation share.
#[derive(Clone)]
pub struct World {
    /// What is simulated.
    pub scenario: Arc<Scenario>,
    /// The job.
    pub job: Arc<Job>,
    /// What is lent to its operators.
    pub services: Services,
    /// Virtual time.
    pub clock: ManualClock,
    /// The disk.
    pub disk: Disk,
    /// The checkpoints on it.
    pub store: CheckpointStore,
    /// What is seen of the run.
    pub trace: Trace,
    /// What changes for a while.
    pub conditions: Rc<RefCell<Conditions>>,
    /// What has happened.
    pub counts: Rc<RefCell<Counts>>,
    /// Chance.
    pub random: Rc<RefCell<Random>>,
}

impl World {
    /// Monotonic virtual time, microseconds.
    pub fn now(&self) -> u64 {
        self.clock.monotonic_micros()
    }

    /// The time as the decision machines want it.
    pub fn moment(&self) -> Moment {
        Moment { now_ms: self.now() / 1_000, wall_ms: self.clock.wall_millis() }
    }

    /// A generator for a part of the world.
    pub fn fork(&self) -> Random {
        self.random.borrow_mut().fork()
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        self.random.borrow_mut().below(end)
    }
}
