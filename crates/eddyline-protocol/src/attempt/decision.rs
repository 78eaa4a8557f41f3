//! What the job master is told in options, what states it has and what it decides.

use crate::failure::FailureReport;
use crate::manifest::AttemptId;
use crate::message::StopMode;
use eddyline_core::{Error, Result};
use std::fmt;

/// The limits within which an attempt has to behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptConfig {
    /// Processes of an attempt.
    pub processes: u32,
    /// Milliseconds from spawning until all processes run.
    pub start_timeout_ms: u64,
    /// Milliseconds without a word after which a process counts as lost.
    pub heartbeat_timeout_ms: u64,
    /// Microseconds after which an operator that has not returned fails the attempt; `None`: no limit.
    pub watchdog_micros: Option<u64>,
    /// Milliseconds that processes get to end.
    pub end_timeout_ms: u64,
}

impl AttemptConfig {
    /// Limits for `processes` processes: a minute to start, 5 s of silence, a minute in an operator, 10 s to end.
    pub fn for_processes(processes: u32) -> Self {
        AttemptConfig {
            processes,
            start_timeout_ms: 60_000,
            heartbeat_timeout_ms: 5_000,
            watchdog_micros: Some(60_000_000),
            end_timeout_ms: 10_000,
        }
    }

    /// Checks that the options can work.
    ///
    /// # Errors
    /// Of kind `Config`, naming the option.
    pub fn validate(&self) -> Result<()> {
        let must_not_be_zero = [
            ("number of processes", u64::from(self.processes)),
            ("start-up time-out", self.start_timeout_ms),
            ("heartbeat time-out", self.heartbeat_timeout_ms),
            ("step watchdog", self.watchdog_micros.unwrap_or(1)),
            ("end time-out", self.end_timeout_ms),
        ];
        match must_not_be_zero.iter().find(|(_, value)| *value == 0) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::config(format!("the {name} must not be zero")).with_hint("give a positive value"))
            }
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptState {
    /// Waits for an attempt number.
    Claiming,
    /// Processes are coming up and restore.
    Starting,
    /// All processes run.
    Running,
    /// The attempt has failed; its survivors are being ended.
    Stopping,
    /// Waits before the next attempt.
    BackingOff {
        /// Monotonic time at which the wait is over.
        until_ms: u64,
    },
    /// All is committed; processes are closing.
    Finishing,
    /// The job is done.
    Finished,
    /// The job has failed for good.
    Failed,
}

/// What an attempt is to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreHint {
    /// The first attempt: what the user asked for (nothing, the latest, a savepoint).
    AsConfigured,
    /// A restart: the latest good checkpoint of the job, or what the user asked for if there is none.
    Latest,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessExit {
    /// By itself, with this exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Its connection is gone, and nothing more is known.
    Lost,
    /// It could not even be started.
    NotStarted {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessExit::Code(code) => write!(formatter, "ended with exit code {code}"),
            ProcessExit::Signal(signal) => write!(formatter, "was ended by signal {signal}"),
            ProcessExit::Lost => write!(formatter, "is lost: its connection is gone"),
            ProcessExit::NotStarted { reason } => write!(formatter, "could not be started: {reason}"),
        }
    }
}

/// What the driver of the job master has to do now, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptDecision {
    /// Claim the next attempt number and call `on_start`.
    ClaimAttempt,
    /// Choose what to restore and start the processes.
    SpawnAttempt {
        /// The attempt.
        attempt: AttemptId,
        /// What to restore.
        restore_hint: RestoreHint,
    },
    /// All processes run: tell the checkpoint coordinator.
    AttemptRunning {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Tell all processes to stop, then the checkpoint coordinator (by `request_stop`).
    TellStop {
        /// Drain or suspend.
        mode: StopMode,
    },
    /// Tell all processes that all is committed and they may close.
    TellShutdown,
    /// End all processes of the attempt, by force.
    KillAttempt {
        /// The attempt.
        attempt: AttemptId,
        /// Why.
        reason: String,
    },
    /// No process of the attempt is left: tell the checkpoint coordinator.
    AttemptEnded {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Show what went wrong.
    ReportFailure(Box<FailureReport>),
    /// Nothing is done until then.
    BackOff {
        /// Monotonic time in milliseconds.
        until_ms: u64,
    },
    /// The job has failed for good.
    GiveUp {
        /// Why.
        error: Box<FailureReport>,
    },
    /// The job is done.
    Done,
}
