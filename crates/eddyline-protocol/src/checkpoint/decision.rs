//! What the checkpoint coordinator is told in options and what it decides.

use crate::manifest::{CheckpointId, Manifest};
use crate::message::CheckpointKind;
use eddyline_core::{Error, Result};

/// A point in time, as read by whoever drives a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic milliseconds: all intervals and time-outs are measured with it, so that a jump of the wall clock
    /// disturbs none.
    pub now_ms: u64,
    /// Wall time in milliseconds since the epoch: only ever written into manifests.
    pub wall_ms: i64,
}

/// How often checkpoints are taken and how much may go wrong, in Flink's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Milliseconds from trigger to trigger; `None`: none but savepoints and the final one.
    pub interval_ms: Option<u64>,
    /// Milliseconds between the end of one checkpoint and the next periodic trigger.
    pub min_pause_ms: u64,
    /// Milliseconds after which a checkpoint that lacks parts is given up.
    pub timeout_ms: u64,
    /// Checkpoints in flight at most.
    pub max_concurrent: u32,
    /// Consecutive failed checkpoints that do not yet fail the attempt.
    pub tolerable_failed_checkpoints: u32,
    /// Complete checkpoints that are kept.
    pub num_retained: u32,
}

impl Default for CheckpointConfig {
    /// Every 10 s, ten minutes of patience, one in flight, no failure tolerated, one kept.
    fn default() -> Self {
        CheckpointConfig {
            interval_ms: Some(10_000),
            min_pause_ms: 0,
            timeout_ms: 600_000,
            max_concurrent: 1,
            tolerable_failed_checkpoints: 0,
            num_retained: 1,
        }
    }
}

impl CheckpointConfig {
    /// Checks that the options can work.
    ///
    /// # Errors
    /// Of kind `Config`, naming the option.
    pub fn validate(&self) -> Result<()> {
        let must_not_be_zero = [
            ("execution.checkpointing.interval", self.interval_ms.unwrap_or(1)),
            ("execution.checkpointing.timeout", self.timeout_ms),
            ("execution.checkpointing.max-concurrent-checkpoints", u64::from(self.max_concurrent)),
            ("execution.checkpointing.num-retained", u64::from(self.num_retained)),
        ];
        match must_not_be_zero.iter().find(|(_, value)| *value == 0) {
            None => Ok(()),
            Some((name, _)) => Err(Error::config(format!("option `{name}` must not be zero"))
                .with_hint(format!("set `{name}` to a positive value or leave it out"))),
        }
    }
}

/// Tells apart those who ask for savepoints; given by whoever hands the answers on.
pub type SavepointRequest = u64;

/// What an attempt starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The checkpoint that was restored.
    pub checkpoint: CheckpointId,
    /// [`Manifest::finished`] of it: only its commit is left to do.
    pub finished: bool,
    /// [`Manifest::origin`] of what follows.
    pub origin: Option<String>,
}

/// What the driver of the coordinator has to do now, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointDecision {
    /// Tell the tick leader to cut.
    Trigger {
        /// The new checkpoint.
        id: CheckpointId,
        /// Why it is taken.
        kind: CheckpointKind,
    },
    /// Write COMPLETE durably and report by `on_complete_written` or, if it is certain that it is *not* there, by
    /// `on_complete_failed`. At most one such write is open at a time.
    WriteComplete(Box<Manifest>),
    /// Tell all workers to commit everything up to this checkpoint.
    NotifyCommit {
        /// The durable checkpoint.
        id: CheckpointId,
    },
    /// Tell all workers to give the checkpoint up.
    Abort {
        /// The checkpoint.
        id: CheckpointId,
        /// Why, for the log.
        reason: String,
    },
    /// Delete those files of a checkpoint that never completed to which no kept manifest refers.
    DiscardParts {
        /// The checkpoint.
        id: CheckpointId,
    },
    /// Delete a complete checkpoint: its manifest first, then those of its files to which no kept manifest refers.
    Retire {
        /// The checkpoint.
        id: CheckpointId,
    },
    /// The checkpoint that somebody asked for is complete: copy it to where it was asked for. Until that has ended it
    /// must not be deleted, whatever else is decided.
    SavepointComplete {
        /// Who asked.
        request: SavepointRequest,
        /// The complete checkpoint.
        id: CheckpointId,
    },
    /// A savepoint that was asked for will not be taken.
    SavepointFailed {
        /// Who asked.
        request: SavepointRequest,
        /// Why.
        reason: String,
    },
    /// The attempt is not able to take checkpoints (or to commit): end it; the restart strategy has the next word.
    FailAttempt {
        /// Why.
        reason: String,
    },
    /// The final checkpoint is committed by all workers: the job is done.
    Finished,
}
