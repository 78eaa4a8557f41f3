//! The shell that carries out what the supervisor decides, in the simulated world.

use super::World;
use super::attempt::SimulatedAttempt;
use super::control::Post;
use eddyline_core::{Error, Result};
use eddyline_protocol::{AttemptId, Candidate, CheckpointId, Finding, Manifest, SavepointRequest, ToWorker};
use eddyline_runtime::supervisor::{Notice, RestoreFrom, Shell};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Longest time that the processes of a failed attempt live on, microseconds.
const KILL_MICROS_MAX: u64 = 60_000;

/// What the storage thread of a supervisor still has to do.
pub enum StorageJob {
    /// Make a checkpoint complete.
    Complete(Box<Manifest>),
    /// Delete what is not needed by these.
    Retire(Vec<CheckpointId>),
    /// Tell the supervisor how a write has ended.
    Tell(CheckpointId, Result<()>),
}

/// The hands of one supervisor; they die with it.
pub struct SimulatedShell {
    world: World,
    attempts: Rc<RefCell<Vec<SimulatedAttempt>>>,
    post: Rc<RefCell<Post>>,
    storage: VecDeque<(u64, StorageJob)>,
    processes: usize,
}

impl SimulatedShell {
    /// The shell of a new supervisor, whose attempts have `processes` processes.
    pub fn new(
        world: &World,
        processes: usize,
        attempts: Rc<RefCell<Vec<SimulatedAttempt>>>,
        post: Rc<RefCell<Post>>,
    ) -> Self {
        SimulatedShell { world: world.clone(), attempts, post, storage: VecDeque::new(), processes }
    }

    fn later(&mut self, job: StorageJob) {
        let longest = self.world.conditions.borrow().upload_micros_max;
        let due = self.world.now() + self.world.below(longest + 1);
        let due = self.storage.back().map_or(due, |(last, _)| due.max(*last));
        self.storage.push_back((due, job));
    }

    /// Does the next due piece of storage work; answers the outcome of a write once the supervisor may know it.
    pub fn step_storage(&mut self) -> Option<(CheckpointId, Result<()>)> {
        let now = self.world.now();
        let is_due = self.storage.front().is_some_and(|(due, _)| *due <= now);
        let (_, job) = if is_due { self.storage.pop_front()? } else { return None };
        match job {
            StorageJob::Complete(manifest) => {
                let outcome = self.world.store.write_complete(&manifest);
                self.world.counts.borrow_mut().completed += u64::from(outcome.is_ok());
                let due = now + self.world.below(self.world.conditions.borrow().upload_micros_max + 1);
                self.storage.push_front((due, StorageJob::Tell(manifest.checkpoint, outcome)));
                None
            }
            StorageJob::Retire(keep) => {
                // What cannot be deleted now is swept when the next attempt starts.
                if let Err(error) = self.world.store.retire(&keep) {
                    self.world.trace.note(&format!("nothing retired: {error}"));
                }
                None
            }
            StorageJob::Tell(checkpoint, outcome) => Some((checkpoint, outcome)),
        }
    }

    fn examine(&self, checkpoint: CheckpointId) -> Candidate {
        let examined = self.world.store.read_manifest(checkpoint).and_then(|manifest| {
            self.world.store.verify(&manifest)?;
            Ok(manifest)
        });
        let finding = match examined {
            Ok(manifest) => Finding::Good(Box::new(manifest)),
            Err(error) => Finding::Damaged { reason: error.report() },
        };
        Candidate { checkpoint, finding }
    }
}

impl Shell for SimulatedShell {
    fn claim_attempt(&mut self) -> Result<AttemptId> {
        let attempt = self.world.store.claim_attempt()?;
        self.world.trace.note(&format!("attempt {attempt} is claimed"));
        if let Err(error) = self.world.store.sweep_orphans(attempt) {
            self.world.trace.note(&format!("leftovers stay: {error}"));
        }
        Ok(attempt)
    }

    fn candidates(&mut self) -> Result<Vec<Candidate>> {
        let complete = self.world.store.complete_checkpoints()?;
        let candidates: Vec<Candidate> = complete.into_iter().map(|id| self.examine(id)).collect();
        for candidate in &candidates {
            if let Finding::Damaged { reason } = &candidate.finding {
                let stopped = self.world.disk.files.operations();
                self.world
                    .trace
                    .note(&format!("checkpoint {} is damaged at {stopped}: {reason}", candidate.checkpoint));
            }
        }
        Ok(candidates)
    }

    fn first_free_checkpoint(&mut self) -> Result<CheckpointId> {
        self.world.store.next_checkpoint()
    }

    fn spawn_attempt(&mut self, attempt: AttemptId, restore: Option<RestoreFrom<'_>>) -> Result<()> {
        let restore = restore.map(|restore| restore.manifest);
        self.world.counts.borrow_mut().attempts += 1;
        let from = restore.map(|manifest| (manifest.checkpoint, manifest.tick, manifest.finished));
        self.world.trace.note(&format!("attempt {attempt} restores {from:?}"));
        let spawned =
            SimulatedAttempt::new(&self.world, (attempt, self.processes), restore, self.post.clone())?;
        self.attempts.borrow_mut().push(spawned);
        Ok(())
    }

    fn open_snapshot(&mut self, path: &str) -> Result<Manifest> {
        Err(Error::config("a simulation restores its own checkpoints only").with_detail(path))
    }

    fn delete_claimed(&mut self, path: &str) {
        self.world.trace.note(&format!("{path} is not needed any more"));
    }

    fn answer_savepoint(&mut self, request: SavepointRequest, outcome: Result<CheckpointId, String>) {
        self.world.trace.note(&format!("savepoint {request}: {outcome:?}"));
    }

    fn send(&mut self, attempt: AttemptId, message: ToWorker) {
        self.world.trace.note(&format!("supervisor tells attempt {attempt}: {message:?}"));
        if let ToWorker::AbortCheckpoint { .. } = message {
            self.world.counts.borrow_mut().aborted += 1;
        }
        for known in self.attempts.borrow_mut().iter_mut().filter(|known| known.number == attempt) {
            known.send(&message);
        }
    }

    fn kill_attempt(&mut self, attempt: AttemptId) {
        self.world.trace.note(&format!("supervisor kills attempt {attempt}"));
        for known in self.attempts.borrow_mut().iter_mut().filter(|known| known.number == attempt) {
            known.kill_all(KILL_MICROS_MAX);
        }
    }

    fn write_complete(&mut self, manifest: Box<Manifest>) {
        self.later(StorageJob::Complete(manifest));
    }

    fn is_complete(&mut self, checkpoint: CheckpointId) -> bool {
        self.world.store.read_manifest(checkpoint).is_ok()
    }

    fn retire(&mut self, keep: &[CheckpointId]) {
        self.later(StorageJob::Retire(keep.to_vec()));
    }

    fn jitter(&mut self) -> f64 {
        self.world.below(2_001) as f64 / 1_000.0 - 1.0
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Info(text) => self.world.trace.note(&format!("supervisor: {text}")),
            Notice::Warning(text) => self.world.trace.note(&format!("supervisor warns: {text}")),
            Notice::CheckpointComplete(id) => {
                self.world.counts.borrow_mut().cuts += 1;
                self.world.trace.note(&format!("checkpoint {id} is complete"));
            }
        }
    }
}
