//! The supervisor of a job: the job master and the checkpoint coordinator, and a shell that carries out what they
//! decide.
//!
//! The supervisor itself does no I/O and reads no clock: facts come in with a [`Moment`], everything that touches
//! the world goes through a [`Shell`]. The threads-and-processes shell (see [`crate::attempt`]) and the simulation
//! drive the same supervisor.

mod life;
mod restore;
mod savepoints;

pub use life::JobLife;
pub use restore::SnapshotToRestore;

use eddyline_core::{Error, ErrorKind, Result};
use eddyline_protocol::{
    AttemptConfig, AttemptDecision, AttemptId, Candidate, CheckpointConfig, CheckpointCoordinator,
    CheckpointDecision, CheckpointId, Envelope, FailureReport, FromWorker, JobMaster, Manifest, Moment,
    ProcessExit, ProcessIndex, RestartStrategy, RestoreRequest, Restored, SavepointRequest, StopMode,
    ToWorker, Verdict, WorkerIndex, fence,
};
use std::collections::{BTreeSet, VecDeque};

/// Everything a supervisor is told about its job.
#[derive(Debug, Clone)]
pub struct SupervisorConfig {
    /// When checkpoints are taken.
    pub checkpoints: CheckpointConfig,
    /// Processes and their time-outs.
    pub attempts: AttemptConfig,
    /// What happens after a failure.
    pub restart: RestartStrategy,
    /// What a checkpoint has to fit to.
    pub restore: RestoreRequest,
    /// What the job is to start from, if not from its own newest checkpoint.
    pub snapshot: Option<SnapshotToRestore>,
    /// Worker threads of each process.
    pub workers_per_process: u32,
}

/// Something to tell a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// Worth a line in the log.
    Info(String),
    /// Somebody should look.
    Warning(String),
    /// A checkpoint is durable and committed.
    CheckpointComplete(CheckpointId),
}

/// What an attempt starts from.
#[derive(Debug, Clone, Copy)]
pub struct RestoreFrom<'a> {
    /// What it says.
    pub manifest: &'a Manifest,
    /// Where it is, if it is not one of the job's own checkpoints: then nothing of it may be referred to later.
    pub path: Option<&'a str>,
}

/// What the supervisor does to the world.
pub trait Shell {
    /// Claims the next attempt; the ones before are fenced from then on.
    ///
    /// # Errors
    /// If the claim cannot be stored.
    fn claim_attempt(&mut self) -> Result<AttemptId>;

    /// The complete checkpoints of the job, each read and verified.
    ///
    /// # Errors
    /// If the storage cannot be read.
    fn candidates(&mut self) -> Result<Vec<Candidate>>;

    /// The number of the first checkpoint that was never used.
    ///
    /// # Errors
    /// If the storage cannot be read.
    fn first_free_checkpoint(&mut self) -> Result<CheckpointId>;

    /// Starts the processes of an attempt. How they end comes back by [`Supervisor::on_exit`].
    ///
    /// # Errors
    /// If nothing could be started.
    fn spawn_attempt(&mut self, attempt: AttemptId, restore: Option<RestoreFrom<'_>>) -> Result<()>;

    /// Reads the savepoint or kept checkpoint at `path`, and verifies it.
    ///
    /// # Errors
    /// If there is none, or it is damaged.
    fn open_snapshot(&mut self, path: &str) -> Result<Manifest>;

    /// Deletes the savepoint at `path`, which the job has claimed and does not need any more, if it is still there.
    fn delete_claimed(&mut self, path: &str);

    /// Answers who asked for a savepoint: copies the complete checkpoint, which is not retired before that has ended, or
    /// says why there will be none.
    fn answer_savepoint(&mut self, request: SavepointRequest, outcome: Result<CheckpointId, String>);

    /// Sends a message to all processes of an attempt.
    fn send(&mut self, attempt: AttemptId, message: ToWorker);

    /// Ends all processes of an attempt by force.
    fn kill_attempt(&mut self, attempt: AttemptId);

    /// Makes a checkpoint complete; the outcome comes back by [`Supervisor::on_complete_outcome`], maybe at once.
    fn write_complete(&mut self, manifest: Box<Manifest>);

    /// Whether a checkpoint is complete on storage.
    fn is_complete(&mut self, checkpoint: CheckpointId) -> bool;

    /// Deletes what is older than the newest of `keep` and not needed by any of `keep`.
    fn retire(&mut self, keep: &[CheckpointId]);

    /// A number from -1 to 1 that varies the delay before a restart.
    fn jitter(&mut self) -> f64;

    /// Tells a person something.
    fn notice(&mut self, notice: Notice);
}

/// How a job has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOutcome {
    /// All input is processed and committed, or the job was stopped.
    Finished,
    /// It failed for good.
    Failed(Box<FailureReport>),
}

enum Decision {
    Attempt(AttemptDecision),
    Checkpoint(CheckpointDecision),
}

/// The supervisor of one job.
pub struct Supervisor {
    config: SupervisorConfig,
    master: JobMaster,
    coordinator: Option<CheckpointCoordinator>,
    restored: Option<Restored>,
    /// A savepoint that the job owns and still needs.
    claimed: Option<String>,
    outcome: Option<JobOutcome>,
    running: Option<AttemptId>,
    /// An attempt has run.
    has_run: bool,
    /// The input of the attempt that is coming up has ended: processes say that they run on lines of their own, so
    /// the end of a short input may be heard of before the start of the last process.
    input_ended_early: bool,
    /// The final checkpoint is committed by all workers: if the attempt fails now, there is nothing left to repeat.
    all_committed: bool,
    todo: VecDeque<Decision>,
    started: bool,
    /// A failure that was not told yet: the last one is told by whoever gets the outcome.
    untold: Option<Box<FailureReport>>,
    /// When to try again to claim the next attempt, after the storage refused.
    claim_again_ms: Option<u64>,
}

/// Between two tries to claim an attempt on a storage that refuses, milliseconds.
const CLAIM_PAUSE_MS: u64 = 1_000;

impl Supervisor {
    /// A supervisor that has not started yet.
    ///
    /// # Errors
    /// Of kind `Config` if the options cannot work.
    pub fn new(config: SupervisorConfig) -> Result<Self> {
        config.checkpoints.validate()?;
        let master = JobMaster::new(config.attempts.clone(), config.restart.clone())?;
        Ok(Supervisor {
            config,
            master,
            coordinator: None,
            restored: None,
            claimed: None,
            outcome: None,
            running: None,
            has_run: false,
            input_ended_early: false,
            all_committed: false,
            todo: VecDeque::new(),
            started: false,
            untold: None,
            claim_again_ms: None,
        })
    }

    /// How the job has ended, once it has.
    pub fn outcome(&self) -> Option<&JobOutcome> {
        self.outcome.as_ref()
    }

    /// The newest attempt.
    pub fn attempt(&self) -> Option<AttemptId> {
        self.master.attempt()
    }

    /// Whether all processes of the newest attempt run.
    pub fn attempt_is_running(&self) -> bool {
        self.running.is_some()
    }

    /// How often the job was started again.
    pub fn restarts(&self) -> u32 {
        self.master.restarts()
    }

    /// Monotonic milliseconds at which [`Supervisor::on_time`] has something to do.
    pub fn next_due_ms(&self) -> Option<u64> {
        let coordinator = self.coordinator.as_ref().and_then(CheckpointCoordinator::next_due_ms);
        [self.master.next_due_ms(), coordinator, self.claim_again_ms].into_iter().flatten().min()
    }

    /// Starts the first attempt.
    pub fn start(&mut self, at: Moment, shell: &mut dyn Shell) {
        if !self.started {
            self.started = true;
            self.todo.push_back(Decision::Attempt(AttemptDecision::ClaimAttempt));
            self.carry_out(at, shell);
        }
    }

    /// A process said something.
    pub fn on_message(&mut self, at: Moment, envelope: &Envelope<FromWorker>, shell: &mut dyn Shell) {
        let Some(current) = self.master.attempt() else { return };
        match fence(&self.config.restore.job, current, envelope) {
            Verdict::Accept => {}
            Verdict::Stale if planted!(MissingFence) => {}
            Verdict::Stale => return,
            Verdict::Foreign => {
                let job = &envelope.job;
                shell.notice(Notice::Warning(format!("a message of another job, `{job}`, was dropped")));
                return;
            }
            Verdict::Superseded => {
                shell.notice(Notice::Warning("another supervisor runs the job now".into()));
                let decisions = self.master.on_cancel_requested(at.now_ms);
                self.add_attempt(decisions);
                self.carry_out(at, shell);
                return;
            }
        }
        let message = &envelope.message;
        let decisions = self.master.on_message(at.now_ms, current, envelope.process, message);
        self.add_attempt(decisions);
        self.carry_out(at, shell);
        if let (Some(coordinator), Some(running)) = (&mut self.coordinator, self.running) {
            if let FromWorker::PartFailed { checkpoint, worker, reason } = message {
                let text =
                    format!("worker {worker} could not write its part of checkpoint {checkpoint}: {reason}");
                shell.notice(Notice::Warning(text));
            }
            let decisions = coordinator.on_message(at, running, message);
            self.add_checkpoint(decisions);
        } else if matches!(message, FromWorker::InputEnded) {
            self.input_ended_early = true;
        }
        self.carry_out(at, shell);
    }

    /// A process has ended.
    pub fn on_exit(
        &mut self,
        at: Moment,
        (attempt, process): (AttemptId, ProcessIndex),
        exit: &ProcessExit,
        shell: &mut dyn Shell,
    ) {
        let decisions = self.master.on_worker_exit(at.now_ms, attempt, process, exit);
        self.add_attempt(decisions);
        self.carry_out(at, shell);
    }

    /// Time has passed.
    pub fn on_time(&mut self, at: Moment, shell: &mut dyn Shell) {
        let decisions = self.master.on_time(at.now_ms);
        self.add_attempt(decisions);
        if self.claim_again_ms.is_some_and(|due| at.now_ms >= due) {
            self.claim_again_ms = None;
            self.todo.push_back(Decision::Attempt(AttemptDecision::ClaimAttempt));
        }
        if let Some(coordinator) = &mut self.coordinator {
            let decisions = coordinator.on_time(at);
            self.add_checkpoint(decisions);
        }
        self.carry_out(at, shell);
    }

    /// [`Shell::write_complete`] has come to an end.
    pub fn on_complete_outcome(
        &mut self,
        at: Moment,
        checkpoint: CheckpointId,
        outcome: Result<()>,
        shell: &mut dyn Shell,
    ) {
        let Some(coordinator) = &mut self.coordinator else { return };
        let decisions = match outcome {
            Ok(()) => coordinator.on_complete_written(at, checkpoint),
            // A write of an attempt before, whose end came late: it was settled when this attempt was started, and
            // it is this supervisor's own claim that it ran into.
            _ if coordinator.writing() != Some(checkpoint) => Vec::new(),
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                let decisions = self.master.on_cancel_requested(at.now_ms);
                shell.notice(Notice::Warning(error.to_string()));
                self.add_attempt(decisions);
                Vec::new()
            }
            // Whether it is there now has to be seen; a write that failed half way may have taken effect.
            Err(_) if shell.is_complete(checkpoint) => coordinator.on_complete_written(at, checkpoint),
            Err(error) => coordinator.on_complete_failed(at, checkpoint, &error.to_string()),
        };
        self.add_checkpoint(decisions);
        self.carry_out(at, shell);
    }

    /// The job is to stop cleanly. Asking again while it stops ends it at once.
    pub fn stop(&mut self, at: Moment, mode: StopMode, shell: &mut dyn Shell) {
        let decisions = self.master.on_stop_requested(mode);
        self.add_attempt(decisions);
        self.carry_out(at, shell);
    }

    /// The job is to end at once, without a final checkpoint.
    pub fn cancel(&mut self, at: Moment, shell: &mut dyn Shell) {
        let decisions = self.master.on_cancel_requested(at.now_ms);
        self.add_attempt(decisions);
        self.carry_out(at, shell);
    }

    fn add_attempt(&mut self, decisions: Vec<AttemptDecision>) {
        self.todo.extend(decisions.into_iter().map(Decision::Attempt));
    }

    fn add_checkpoint(&mut self, decisions: Vec<CheckpointDecision>) {
        self.todo.extend(decisions.into_iter().map(Decision::Checkpoint));
    }

    fn carry_out(&mut self, at: Moment, shell: &mut dyn Shell) {
        while let Some(decision) = self.todo.pop_front() {
            match decision {
                Decision::Attempt(decision) => self.do_attempt(at, decision, shell),
                Decision::Checkpoint(decision) => self.do_checkpoint(at, decision, shell),
            }
        }
    }

    fn do_attempt(&mut self, at: Moment, decision: AttemptDecision, shell: &mut dyn Shell) {
        match decision {
            AttemptDecision::BackOff { .. } | AttemptDecision::GiveUp { .. } if self.all_committed => {
                self.outcome = Some(JobOutcome::Finished);
            }
            AttemptDecision::ClaimAttempt => match self.claim(shell) {
                Ok(attempt) => {
                    let jitter = shell.jitter();
                    let decisions = self.master.on_start(at.now_ms, attempt, jitter);
                    self.add_attempt(decisions);
                }
                // A job that ran before may find its storage again; one that never did has a wrong directory, and
                // one that was replaced has nothing to wait for.
                Err(error) if self.master.attempt().is_some() && error.kind() != ErrorKind::Cancelled => {
                    shell.notice(Notice::Warning(format!("the next attempt has to wait: {error}")));
                    self.claim_again_ms = Some(at.now_ms + CLAIM_PAUSE_MS);
                }
                Err(error) => self.give_up(FailureReport::from(&error)),
            },
            AttemptDecision::SpawnAttempt { attempt, .. } => {
                if let Err(error) = self.spawn(at, attempt, shell) {
                    let report = FailureReport::from(&error);
                    let decisions = self.master.on_start_failed(at.now_ms, attempt, report);
                    self.add_attempt(decisions);
                }
            }
            AttemptDecision::AttemptRunning { attempt } => self.attempt_running(at, attempt),
            AttemptDecision::TellStop { mode } => {
                if let Some(attempt) = self.master.attempt() {
                    shell.send(attempt, ToWorker::Stop { mode });
                }
                if let Some(coordinator) = &mut self.coordinator {
                    let decisions = coordinator.request_stop(at, mode);
                    self.add_checkpoint(decisions);
                }
            }
            AttemptDecision::TellShutdown => {
                if let Some(attempt) = self.master.attempt() {
                    shell.send(attempt, ToWorker::Shutdown);
                }
            }
            AttemptDecision::KillAttempt { attempt, .. } => shell.kill_attempt(attempt),
            AttemptDecision::AttemptEnded { attempt } => {
                self.running = None;
                if let Some(coordinator) = &mut self.coordinator {
                    let decisions = coordinator.on_attempt_ended(attempt);
                    self.add_checkpoint(decisions);
                }
            }
            AttemptDecision::ReportFailure(report) => {
                self.tell_failure(shell);
                self.untold = Some(report);
            }
            AttemptDecision::BackOff { until_ms } => {
                self.tell_failure(shell);
                let wait = until_ms.saturating_sub(at.now_ms);
                shell.notice(Notice::Info(format!("starting again in {wait} ms")));
            }
            AttemptDecision::GiveUp { error } => self.outcome = Some(JobOutcome::Failed(error)),
            AttemptDecision::Done => self.outcome = Some(JobOutcome::Finished),
        }
    }

    fn claim(&mut self, shell: &mut dyn Shell) -> Result<AttemptId> {
        self.tell_failure(shell);
        shell.claim_attempt()
    }

    fn tell_failure(&mut self, shell: &mut dyn Shell) {
        if let Some(report) = self.untold.take() {
            shell.notice(Notice::Warning(report.to_error().report()));
        }
    }

    fn give_up(&mut self, report: FailureReport) {
        self.outcome = Some(JobOutcome::Failed(Box::new(report)));
    }

    fn attempt_running(&mut self, at: Moment, attempt: AttemptId) {
        self.running = Some(attempt);
        self.has_run = true;
        let workers: BTreeSet<WorkerIndex> =
            (0..self.config.attempts.processes * self.config.workers_per_process).collect();
        let restored = self.restored.clone();
        let Some(coordinator) = &mut self.coordinator else { return };
        match coordinator.on_attempt_started(at, attempt, workers, restored) {
            Ok(mut decisions) => {
                if self.input_ended_early {
                    decisions.extend(coordinator.on_input_ended(at, attempt));
                }
                self.add_checkpoint(decisions);
            }
            Err(error) => {
                let decisions = self.master.on_worker_failed(at.now_ms, attempt, FailureReport::from(&error));
                self.add_attempt(decisions);
            }
        }
    }

    fn do_checkpoint(&mut self, at: Moment, decision: CheckpointDecision, shell: &mut dyn Shell) {
        let attempt = self.running.or_else(|| self.master.attempt()).unwrap_or_default();
        match decision {
            CheckpointDecision::Trigger { id, kind } => {
                shell.send(attempt, ToWorker::TriggerCheckpoint { checkpoint: id, kind });
            }
            CheckpointDecision::WriteComplete(manifest) => {
                if planted!(EarlyCommit) {
                    shell.send(attempt, ToWorker::Commit { checkpoint: manifest.checkpoint });
                }
                shell.write_complete(manifest);
            }
            CheckpointDecision::NotifyCommit { id } => {
                shell.notice(Notice::CheckpointComplete(id));
                self.let_go_of_claimed(id, shell);
                shell.send(attempt, ToWorker::Commit { checkpoint: id });
            }
            CheckpointDecision::Abort { id, reason } => {
                shell.notice(Notice::Warning(format!("checkpoint {id} was given up: {reason}")));
                shell.send(attempt, ToWorker::AbortCheckpoint { checkpoint: id, reason });
            }
            CheckpointDecision::DiscardParts { .. } | CheckpointDecision::Retire { .. } => {
                // One sweep serves both: it deletes whatever no kept manifest needs.
                if let Some(coordinator) = &self.coordinator {
                    let keep: Vec<CheckpointId> = coordinator.retained().iter().copied().collect();
                    shell.retire(&keep);
                }
            }
            CheckpointDecision::SavepointComplete { request, id } => shell.answer_savepoint(request, Ok(id)),
            CheckpointDecision::SavepointFailed { request, reason } => {
                shell.answer_savepoint(request, Err(reason));
            }
            CheckpointDecision::FailAttempt { reason } => {
                let error = Error::storage(reason)
                    .with_hint("see the warnings before this; raise execution.checkpointing.tolerable-failed-checkpoints to live with it");
                let decisions = self.master.on_worker_failed(at.now_ms, attempt, FailureReport::from(&error));
                self.add_attempt(decisions);
            }
            CheckpointDecision::Finished => {
                self.all_committed = true;
                let decisions = self.master.on_finished(at.now_ms, attempt);
                self.add_attempt(decisions);
            }
        }
    }
}
