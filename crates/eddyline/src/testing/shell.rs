//! The hands of the supervisor in a test: everything at once, in the thread of the test.

use super::attempt::{Attempt, JobToRun};
use super::pipeline::CrashPoint;
use eddyline_core::Error;
use eddyline_core::Result;
use eddyline_protocol::{AttemptId, Candidate, CheckpointId, Finding, Manifest, SavepointRequest, ToWorker};
use eddyline_runtime::supervisor::{Notice, RestoreFrom, Shell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Carries out what the supervisor decides.
pub(super) struct TestShell {
    pub(super) job: Rc<JobToRun>,
    pub(super) attempt: Option<Attempt>,
    /// How writes of COMPLETE have ended.
    pub(super) written: VecDeque<(CheckpointId, Result<()>)>,
    /// The newest checkpoint that all workers have committed, or will.
    pub(super) complete: Option<CheckpointId>,
    pub(super) warnings: Vec<String>,
    /// Where the next checkpoint is to be cut short.
    pub(super) crash_at: Option<CrashPoint>,
    /// The point was reached.
    pub(super) crashed: bool,
}

impl TestShell {
    pub(super) fn new(job: Rc<JobToRun>) -> Self {
        TestShell {
            job,
            attempt: None,
            written: VecDeque::new(),
            complete: None,
            warnings: Vec::new(),
            crash_at: None,
            crashed: false,
        }
    }

    /// Notes that `point` was reached; answers whether all is over.
    pub(super) fn reach(&mut self, point: CrashPoint) -> bool {
        if self.crash_at == Some(point) {
            self.crashed = true;
        }
        self.crashed
    }

    fn examine(&self, checkpoint: CheckpointId) -> Candidate {
        let store = &self.job.store;
        let examined =
            store.read_manifest(checkpoint).and_then(|manifest| store.verify(&manifest).map(|()| manifest));
        let finding = match examined {
            Ok(manifest) => Finding::Good(Box::new(manifest)),
            Err(error) => Finding::Damaged { reason: error.report() },
        };
        Candidate { checkpoint, finding }
    }
}

impl Shell for TestShell {
    fn claim_attempt(&mut self) -> Result<AttemptId> {
        self.job.store.claim_attempt()
    }

    fn candidates(&mut self) -> Result<Vec<Candidate>> {
        let complete = self.job.store.complete_checkpoints()?;
        Ok(complete.into_iter().map(|checkpoint| self.examine(checkpoint)).collect())
    }

    fn first_free_checkpoint(&mut self) -> Result<CheckpointId> {
        self.job.store.next_checkpoint()
    }

    fn spawn_attempt(&mut self, attempt: AttemptId, restore: Option<RestoreFrom<'_>>) -> Result<()> {
        let manifest = restore.map(|restore| restore.manifest);
        self.attempt = Some(Attempt::start(&self.job, attempt, manifest)?);
        Ok(())
    }

    fn open_snapshot(&mut self, path: &str) -> Result<Manifest> {
        Err(Error::config("the test kit restores its own checkpoints only").with_detail(path))
    }

    fn delete_claimed(&mut self, _path: &str) {}

    fn answer_savepoint(&mut self, _request: SavepointRequest, outcome: Result<CheckpointId, String>) {
        // In a test a savepoint is a checkpoint at a chosen moment: there is nothing to copy.
        if let Err(reason) = outcome {
            self.warnings.push(format!("no savepoint was taken: {reason}"));
        }
    }

    fn send(&mut self, attempt: AttemptId, message: ToWorker) {
        if matches!(message, ToWorker::Commit { .. }) && self.reach(CrashPoint::BeforeCommit) {
            return;
        }
        if let Some(current) = self.attempt.as_mut().filter(|current| current.number() == attempt) {
            current.send(&message);
        }
    }

    fn kill_attempt(&mut self, attempt: AttemptId) {
        if let Some(current) = self.attempt.as_mut().filter(|current| current.number() == attempt) {
            current.kill();
        }
    }

    fn write_complete(&mut self, manifest: Box<Manifest>) {
        if self.reach(CrashPoint::BeforeComplete) {
            return;
        }
        let outcome = self.job.store.write_complete(&manifest);
        self.written.push_back((manifest.checkpoint, outcome));
    }

    fn is_complete(&mut self, checkpoint: CheckpointId) -> bool {
        self.job.store.read_manifest(checkpoint).is_ok()
    }

    fn retire(&mut self, keep: &[CheckpointId]) {
        // What cannot be deleted in memory does not hurt a test.
        let _ = self.job.store.retire(keep);
    }

    fn jitter(&mut self) -> f64 {
        0.0
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Info(_) => {}
            Notice::Warning(text) => self.warnings.push(text),
            Notice::CheckpointComplete(checkpoint) => self.complete = Some(checkpoint),
        }
    }
}
