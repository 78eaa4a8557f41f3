//! The job master: starts attempts, watches them, ends them, and decides whether there is another one.
//!
//! ```text
//! Claiming ─on_start─▶ Starting ─all running─▶ Running ─on_finished─▶ Finishing ─all exited─▶ Finished
//!    ▲                    └───── failure ────────┴─▶ Stopping ─all exited─▶ BackingOff | Failed
//!    └───────────────────────── delay is over ───────────────────────────────┘
//! ```
//!
//! Rules:
//! - One attempt at a time: the next is claimed only when every process of the one before has ended. A process that
//!   cannot be ended within the limit is left behind; its attempt number fences whatever it may still say.
//! - The first failure ends the attempt. What follows is mostly echo (broken connections); a report that names a
//!   cause replaces one that is an echo, and it is the cause that decides whether to try again.
//! - Failures that would come back ([`FailureKind::can_be_retried`]) are not tried again.
//! - A stop survives restarts: it is told again to the next attempt.
//! - A process is silent when nothing has been heard of it for the heartbeat time-out; heartbeats come from a thread
//!   of their own, so an operator that does not return is found by the step watchdog instead, by name.

mod decision;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use decision::{AttemptConfig, AttemptDecision, AttemptState, ProcessExit, RestoreHint};

use crate::failure::{FailureKind, FailureReport};
use crate::manifest::AttemptId;
use crate::message::{FromWorker, ProcessIndex, ProgressReport, StopMode};
use crate::restart::{RestartPolicy, RestartStrategy, RestartVerdict};
use eddyline_core::Result;
use std::collections::BTreeMap;

/// What is known of one process of the attempt.
#[derive(Debug, Default)]
struct Process {
    /// When it was last heard of; `None` before its first word.
    heard_ms: Option<u64>,
    running: bool,
    exited: bool,
}

/// The machine; see the module for its rules. All times are monotonic milliseconds.
#[derive(Debug)]
pub struct JobMaster {
    config: AttemptConfig,
    policy: RestartPolicy,
    state: AttemptState,
    attempt: Option<AttemptId>,
    restarts: u32,
    jitter: f64,
    processes: BTreeMap<ProcessIndex, Process>,
    /// By when start-up, or the end of all processes, has to be over.
    deadline_ms: u64,
    cause: Option<FailureReport>,
    stop: Option<StopMode>,
    /// The job is to end with this attempt, whatever else is heard of it.
    cancelled: bool,
}

type Decisions = Vec<AttemptDecision>;

impl JobMaster {
    /// A master that waits for its first attempt number.
    ///
    /// # Errors
    /// Of kind `Config` if `config` cannot work.
    pub fn new(config: AttemptConfig, strategy: RestartStrategy) -> Result<Self> {
        config.validate()?;
        Ok(JobMaster {
            config,
            policy: RestartPolicy::new(strategy),
            state: AttemptState::Claiming,
            attempt: None,
            restarts: 0,
            jitter: 0.0,
            processes: BTreeMap::new(),
            deadline_ms: 0,
            cause: None,
            stop: None,
            cancelled: false,
        })
    }

    /// Where the job stands.
    pub fn state(&self) -> AttemptState {
        self.state
    }

    /// The newest attempt.
    pub fn attempt(&self) -> Option<AttemptId> {
        self.attempt
    }

    /// How often the job was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The attempt number `attempt` was claimed. `jitter`, drawn from -1 to 1, varies the delay that follows if this
    /// attempt fails. A number that is not new means that somebody else runs the job.
    pub fn on_start(&mut self, now_ms: u64, attempt: AttemptId, jitter: f64) -> Decisions {
        if self.state != AttemptState::Claiming {
            return Vec::new();
        }
        if let Some(newest) = self.attempt.filter(|&newest| attempt <= newest) {
            let message = format!("attempt {attempt} was claimed after attempt {newest}");
            return self.give_up(FailureReport::new(FailureKind::Internal, message));
        }
        let restore_hint =
            if self.attempt.is_none() { RestoreHint::AsConfigured } else { RestoreHint::Latest };
        self.restarts += u32::from(self.attempt.is_some());
        self.attempt = Some(attempt);
        self.jitter = jitter;
        self.state = AttemptState::Starting;
        self.cause = None;
        self.deadline_ms = now_ms.saturating_add(self.config.start_timeout_ms);
        self.processes = (0..self.config.processes).map(|process| (process, Process::default())).collect();
        vec![AttemptDecision::SpawnAttempt { attempt, restore_hint }]
    }

    /// Nothing of `attempt` could be spawned, for instance because there is nothing to restore from. State that does
    /// not fit is not tried again.
    pub fn on_start_failed(&mut self, now_ms: u64, attempt: AttemptId, report: FailureReport) -> Decisions {
        if !self.is_current(attempt) || self.state != AttemptState::Starting {
            return Vec::new();
        }
        self.processes.clear();
        let can_be_retried = report.kind.can_be_retried() && report.kind != FailureKind::State;
        let mut out = vec![AttemptDecision::ReportFailure(Box::new(report.clone()))];
        out.push(AttemptDecision::AttemptEnded { attempt });
        out.extend(if can_be_retried { self.after_failure(now_ms, report) } else { self.give_up(report) });
        out
    }

    /// Hands a message of `process` to the input it is meant for; messages that are none of a master's business
    /// only show that the process lives.
    pub fn on_message(
        &mut self,
        now_ms: u64,
        attempt: AttemptId,
        process: ProcessIndex,
        message: &FromWorker,
    ) -> Decisions {
        match message {
            FromWorker::Running { .. } => self.on_worker_running(now_ms, attempt, process),
            FromWorker::Heartbeat { progress, .. } => self.on_heartbeat(now_ms, attempt, process, progress),
            FromWorker::Failed { error, .. } => self.on_worker_failed(now_ms, attempt, (**error).clone()),
            _ => {
                self.on_worker_hello(now_ms, attempt, process);
                Vec::new()
            }
        }
    }

    /// `process` is there.
    pub fn on_worker_hello(&mut self, now_ms: u64, attempt: AttemptId, process: ProcessIndex) {
        if let Some(known) = self.process(attempt, process) {
            known.heard_ms = Some(now_ms);
        }
    }

    /// `process` has restored its state and runs; when all do, the attempt does.
    pub fn on_worker_running(&mut self, now_ms: u64, attempt: AttemptId, process: ProcessIndex) -> Decisions {
        self.on_worker_hello(now_ms, attempt, process);
        match self.process(attempt, process) {
            Some(known) => known.running = true,
            None => return Vec::new(),
        }
        if self.state != AttemptState::Starting || !self.processes.values().all(|process| process.running) {
            return Vec::new();
        }
        self.state = AttemptState::Running;
        // Workers hear of the stop first: what the coordinator triggers for a suspended job relies on it.
        let tell_stop = self.stop.map(|mode| AttemptDecision::TellStop { mode });
        tell_stop.into_iter().chain([AttemptDecision::AttemptRunning { attempt }]).collect()
    }

    /// `process` lives and says what its workers are doing.
    pub fn on_heartbeat(
        &mut self,
        now_ms: u64,
        attempt: AttemptId,
        process: ProcessIndex,
        progress: &ProgressReport,
    ) -> Decisions {
        self.on_worker_hello(now_ms, attempt, process);
        let Some(limit_micros) = self.config.watchdog_micros else { return Vec::new() };
        let is_stuck = |worker: &&crate::message::WorkerActivity| worker.since_micros > limit_micros;
        match progress.workers.iter().filter(|worker| worker.operator.is_some()).find(is_stuck) {
            Some(stuck) => {
                let name = stuck.operator.clone().unwrap_or_default();
                let message = format!(
                    "operator `{name}` on worker {} has not returned for {} ms",
                    stuck.worker,
                    stuck.since_micros / 1_000
                );
                let report = FailureReport::new(FailureKind::User, message)
                    .with_operator(name, stuck.uid.clone())
                    .with_hint("make slow calls asynchronously, or raise the limit of the step watchdog");
                self.fail(now_ms, attempt, report)
            }
            None => Vec::new(),
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now_ms: u64) -> Decisions {
        match (self.state, self.attempt) {
            (AttemptState::Starting, Some(attempt)) if now_ms >= self.deadline_ms => {
                let waiting = |process: &Process| !process.running;
                let message = format!(
                    "processes {:?} did not come up within {} ms",
                    self.processes_that(waiting),
                    self.config.start_timeout_ms
                );
                let report = FailureReport::new(FailureKind::Network, message).with_hint(
                    "look at their logs; check addresses and ports, or raise the start-up time-out",
                );
                self.fail(now_ms, attempt, report)
            }
            (AttemptState::Starting | AttemptState::Running, Some(attempt)) => {
                self.check_heartbeats(now_ms, attempt)
            }
            (AttemptState::Stopping, Some(attempt)) if now_ms >= self.deadline_ms => {
                let mut out = vec![self.left_behind()];
                out.extend(self.conclude(now_ms, attempt));
                out
            }
            (AttemptState::Finishing, Some(attempt)) if now_ms >= self.deadline_ms => {
                // All is committed: what does not end by itself may be ended without loss.
                let reason = "the job is done, but the process did not end".to_owned();
                let mut out = vec![self.left_behind(), AttemptDecision::KillAttempt { attempt, reason }];
                out.extend(self.done(attempt));
                out
            }
            (AttemptState::BackingOff { until_ms }, _) if now_ms >= until_ms => {
                self.state = AttemptState::Claiming;
                vec![AttemptDecision::ClaimAttempt]
            }
            _ => Vec::new(),
        }
    }

    /// `process` has ended, or could not be started.
    pub fn on_worker_exit(
        &mut self,
        now_ms: u64,
        attempt: AttemptId,
        process: ProcessIndex,
        exit: &ProcessExit,
    ) -> Decisions {
        match self.process(attempt, process) {
            Some(known) if !known.exited => known.exited = true,
            _ => return Vec::new(),
        }
        let mut out = Vec::new();
        let report = FailureReport::new(FailureKind::Network, format!("process {process} {exit}"));
        match self.state {
            AttemptState::Starting | AttemptState::Running => out = self.fail(now_ms, attempt, report),
            AttemptState::Finishing if *exit != ProcessExit::Code(0) => {
                out.push(AttemptDecision::ReportFailure(Box::new(report)));
            }
            _ => {}
        }
        if self.processes.values().all(|process| process.exited) {
            out.extend(match self.state {
                AttemptState::Stopping => self.conclude(now_ms, attempt),
                AttemptState::Finishing => self.done(attempt),
                _ => Vec::new(),
            });
        }
        out
    }

    /// The attempt failed, by the word of a worker or of the checkpoint coordinator.
    pub fn on_worker_failed(&mut self, now_ms: u64, attempt: AttemptId, report: FailureReport) -> Decisions {
        match self.state {
            AttemptState::Stopping if self.is_current(attempt) => {
                if self.cancelled {
                    return Vec::new();
                }
                let known_is_echo = self.cause.as_ref().is_none_or(|cause| cause.kind.is_echo());
                if !known_is_echo || report.kind.is_echo() {
                    return Vec::new();
                }
                self.cause = Some(report.clone());
                vec![AttemptDecision::ReportFailure(Box::new(report))]
            }
            AttemptState::Finishing if self.is_current(attempt) => {
                vec![AttemptDecision::ReportFailure(Box::new(report))]
            }
            _ => self.fail(now_ms, attempt, report),
        }
    }

    /// The job is to stop cleanly; while no attempt runs, the next one will be told.
    pub fn on_stop_requested(&mut self, mode: StopMode) -> Decisions {
        if self.stop.is_some() {
            return Vec::new();
        }
        self.stop = Some(mode);
        match self.state {
            AttemptState::Running => vec![AttemptDecision::TellStop { mode }],
            _ => Vec::new(),
        }
    }

    /// The job is to end at once, without a final checkpoint and without another attempt.
    pub fn on_cancel_requested(&mut self, now_ms: u64) -> Decisions {
        let report = FailureReport::new(FailureKind::Cancelled, "the job was cancelled");
        self.cancelled = true;
        match (self.state, self.attempt) {
            (AttemptState::Starting | AttemptState::Running, Some(attempt)) => {
                self.fail(now_ms, attempt, report)
            }
            (AttemptState::Stopping, _) => {
                self.cause = Some(report);
                Vec::new()
            }
            (AttemptState::Claiming | AttemptState::BackingOff { .. }, _) => self.give_up(report),
            _ => Vec::new(),
        }
    }

    /// The final checkpoint of `attempt` is committed by all workers.
    pub fn on_finished(&mut self, now_ms: u64, attempt: AttemptId) -> Decisions {
        if self.state != AttemptState::Running || !self.is_current(attempt) {
            return Vec::new();
        }
        self.state = AttemptState::Finishing;
        self.deadline_ms = now_ms.saturating_add(self.config.end_timeout_ms);
        vec![AttemptDecision::TellShutdown]
    }

    /// The monotonic time at which `on_time` has something to do; `None`: not before something else happens.
    pub fn next_due_ms(&self) -> Option<u64> {
        let silent_at = |process: &Process| {
            process.heard_ms.map(|heard_ms| heard_ms.saturating_add(self.config.heartbeat_timeout_ms))
        };
        let silent_ms = self.processes.values().filter_map(silent_at).min();
        match self.state {
            AttemptState::Starting => Some(silent_ms.unwrap_or(self.deadline_ms).min(self.deadline_ms)),
            AttemptState::Running => silent_ms,
            AttemptState::Stopping | AttemptState::Finishing => Some(self.deadline_ms),
            AttemptState::BackingOff { until_ms } => Some(until_ms),
            AttemptState::Claiming | AttemptState::Finished | AttemptState::Failed => None,
        }
    }

    fn is_current(&self, attempt: AttemptId) -> bool {
        self.attempt == Some(attempt)
    }

    fn process(&mut self, attempt: AttemptId, process: ProcessIndex) -> Option<&mut Process> {
        if self.is_current(attempt) { self.processes.get_mut(&process) } else { None }
    }

    fn processes_that(&self, condition: impl Fn(&Process) -> bool) -> Vec<ProcessIndex> {
        let matching = self.processes.iter().filter(|(_, process)| condition(process));
        matching.map(|(index, _)| *index).collect()
    }

    fn check_heartbeats(&mut self, now_ms: u64, attempt: AttemptId) -> Decisions {
        let limit_ms = self.config.heartbeat_timeout_ms;
        let is_silent = |process: &Process| {
            process.heard_ms.is_some_and(|heard_ms| now_ms.saturating_sub(heard_ms) >= limit_ms)
        };
        let silent = self.processes_that(is_silent);
        if silent.is_empty() {
            return Vec::new();
        }
        let message = format!("processes {silent:?} have not been heard of for {limit_ms} ms");
        let report = FailureReport::new(FailureKind::Network, message).with_hint(
            "check whether they are stopped, swapping or cut off, or raise the heartbeat time-out",
        );
        self.fail(now_ms, attempt, report)
    }

    /// Ends the attempt because of `report`, if it has not failed before.
    fn fail(&mut self, now_ms: u64, attempt: AttemptId, report: FailureReport) -> Decisions {
        let can_fail = matches!(self.state, AttemptState::Starting | AttemptState::Running);
        if !can_fail || !self.is_current(attempt) {
            return Vec::new();
        }
        self.state = AttemptState::Stopping;
        self.deadline_ms = now_ms.saturating_add(self.config.end_timeout_ms);
        self.cause = Some(report.clone());
        let reason = report.message.clone();
        vec![
            AttemptDecision::ReportFailure(Box::new(report)),
            AttemptDecision::KillAttempt { attempt, reason },
        ]
    }

    fn left_behind(&self) -> AttemptDecision {
        let alive = self.processes_that(|process| !process.exited);
        let message = format!("processes {alive:?} did not end within {} ms", self.config.end_timeout_ms);
        let report = FailureReport::new(FailureKind::Network, message)
            .with_hint("end them by hand; whatever they still say is refused");
        AttemptDecision::ReportFailure(Box::new(report))
    }

    /// The processes of a failed attempt have ended.
    fn conclude(&mut self, now_ms: u64, attempt: AttemptId) -> Decisions {
        self.processes.clear();
        let cause = self.cause.take().expect("invariant: an attempt is only stopped for a cause");
        let mut out = vec![AttemptDecision::AttemptEnded { attempt }];
        out.extend(self.after_failure(now_ms, cause));
        out
    }

    fn after_failure(&mut self, now_ms: u64, cause: FailureReport) -> Decisions {
        if !cause.kind.can_be_retried() {
            return self.give_up(cause);
        }
        match self.policy.on_failure(now_ms, self.jitter) {
            RestartVerdict::After { delay_ms } => {
                let until_ms = now_ms.saturating_add(delay_ms);
                self.state = AttemptState::BackingOff { until_ms };
                vec![AttemptDecision::BackOff { until_ms }]
            }
            RestartVerdict::Never { reason } => {
                let detail = cause.detail.as_ref().map_or_else(String::new, |detail| format!("{detail}; "));
                let detail = Some(format!("{detail}not restarted: {reason}"));
                self.give_up(FailureReport { detail, ..cause })
            }
        }
    }

    fn give_up(&mut self, error: FailureReport) -> Decisions {
        self.state = AttemptState::Failed;
        vec![AttemptDecision::GiveUp { error: Box::new(error) }]
    }

    fn done(&mut self, attempt: AttemptId) -> Decisions {
        self.state = AttemptState::Finished;
        self.processes.clear();
        vec![AttemptDecision::AttemptEnded { attempt }, AttemptDecision::Done]
    }
}
