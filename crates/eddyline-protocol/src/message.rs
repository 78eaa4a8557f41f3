//! What supervisor and workers say to one another.
//!
//! Every message travels in an [`Envelope`] that names job and attempt, so that [`fence`](crate::fence::fence) can
//! refuse what another attempt says. Messages may be delivered twice; every receiver here is idempotent.

use crate::failure::FailureReport;
use crate::manifest::{AttemptId, CheckpointId, Manifest, PartManifest};
use crate::observed::{AccumulatorPart, MetricReport};
use eddyline_core::{EventTime, Tick};
use serde::{Deserialize, Serialize};

/// The number of a process within an attempt, from 0.
pub type ProcessIndex = u32;

/// The number of a worker thread within an attempt, from 0, counted over all processes.
pub type WorkerIndex = u32;

/// Why a checkpoint is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// Taken periodically, subsumed by later ones.
    Checkpoint,
    /// Asked for and kept until somebody deletes it.
    Savepoint,
    /// The last of its job: at the end of input, or at a stop that suspends.
    Final,
}

/// How a job is stopped cleanly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// As if the input had ended: the final watermark fires what is open.
    Drain,
    /// A final checkpoint, nothing is fired: the job can be resumed where it stopped.
    Suspend,
}

/// From the supervisor to a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorker {
    /// Build the dataflow, restore, connect to the peers and run.
    Start {
        /// The attempt that the process belongs to from now on.
        attempt: AttemptId,
        /// What to restore; `None` starts from nothing.
        restore: Option<Box<Manifest>>,
        /// Where that is, if it is none of the job's own checkpoints.
        restore_path: Option<String>,
        /// The addresses of all processes of the attempt by [`ProcessIndex`]; one entry means no mesh.
        addresses: Vec<String>,
        /// Worker threads of each process.
        workers_per_process: u32,
    },
    /// Cut the stream. Only the process of the tick leader acts on it.
    TriggerCheckpoint {
        /// The number of the checkpoint; greater than that of any before.
        checkpoint: CheckpointId,
        /// Why it is taken.
        kind: CheckpointKind,
    },
    /// The checkpoint is durable: make visible what was written up to its cut, also what belongs to earlier cuts
    /// that were aborted or subsumed. Repeated after a restart; must be idempotent. Only from here on may a later
    /// part refer to segments of this checkpoint.
    Commit {
        /// The durable checkpoint.
        checkpoint: CheckpointId,
    },
    /// The checkpoint will not complete: stop working on it and never refer to its segments.
    AbortCheckpoint {
        /// The checkpoint given up.
        checkpoint: CheckpointId,
        /// Why.
        reason: String,
    },
    /// Stop reading.
    Stop {
        /// Drain or suspend.
        mode: StopMode,
    },
    /// All is committed: close and exit with code 0.
    Shutdown,
}

/// What one worker thread is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerActivity {
    /// The worker.
    pub worker: WorkerIndex,
    /// The name of the operator that is running now; `None` between operators.
    pub operator: Option<String>,
    /// The uid of that operator.
    pub uid: Option<String>,
    /// Microseconds since the worker entered that operator; 0 between operators.
    pub since_micros: u64,
}

/// How far a process is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// The newest tick known to the process.
    pub tick: Tick,
    /// The lowest watermark of its workers, milliseconds since the epoch.
    pub watermark: EventTime,
    /// Records read by sources since the attempt started.
    pub records_in: u64,
    /// Records given to sinks since the attempt started.
    pub records_out: u64,
    /// What its workers are doing.
    pub workers: Vec<WorkerActivity>,
    /// Which generator holds the watermark or which queue is full, if nothing moves.
    pub held_by: Option<String>,
    /// The metrics that functions keep.
    pub metrics: Vec<MetricReport>,
    /// What its instances have added to accumulators.
    pub accumulators: Vec<AccumulatorPart>,
}

/// From a process to the supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWorker {
    /// The process is there and waits for [`ToWorker::Start`].
    Hello {
        /// Which process.
        process: ProcessIndex,
        /// The address at which its peers reach it.
        address: String,
    },
    /// State is restored, peers are connected, sources read.
    Running {
        /// Which process.
        process: ProcessIndex,
    },
    /// The process is alive; sent by a thread of its own.
    Heartbeat {
        /// Which process.
        process: ProcessIndex,
        /// How far it is.
        progress: ProgressReport,
    },
    /// The tick leader has told all drivers where the cut is.
    CutAnnounced {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The cut.
        tick: Tick,
    },
    /// A worker's part of a checkpoint is durable.
    PartDone {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The worker.
        worker: WorkerIndex,
        /// The cut it was taken at.
        tick: Tick,
        /// What it wrote.
        part: PartManifest,
    },
    /// A worker could not write its part.
    PartFailed {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The worker.
        worker: WorkerIndex,
        /// Why.
        reason: String,
    },
    /// A worker's sinks have made everything up to the checkpoint visible.
    Committed {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The worker.
        worker: WorkerIndex,
    },
    /// All sources of all workers have ended and everything is drained.
    InputEnded,
    /// A worker has closed its dataflow.
    Finished {
        /// The worker.
        worker: WorkerIndex,
    },
    /// A worker cannot go on.
    Failed {
        /// The worker.
        worker: WorkerIndex,
        /// Why.
        error: Box<FailureReport>,
    },
}

/// A message with the address that fences it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<M> {
    /// The job.
    pub job: String,
    /// The attempt.
    pub attempt: AttemptId,
    /// The process that sent it or is meant by it.
    pub process: ProcessIndex,
    /// What is said.
    pub message: M,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    fn round_trip<M: Serialize + for<'a> Deserialize<'a> + PartialEq + std::fmt::Debug>(message: M) {
        let envelope = Envelope { job: "logs".into(), attempt: 3, process: 1, message };
        let text = serde_json::to_string(&envelope).unwrap();
        assert_eq!(serde_json::from_str::<Envelope<M>>(&text).unwrap(), envelope, "{text}");
    }

    #[test]
    fn messages_to_workers_survive_json() {
        let addresses = vec!["127.0.0.1:1".to_owned()];
        round_trip(ToWorker::Start {
            attempt: 1,
            restore: None,
            restore_path: None,
            addresses,
            workers_per_process: 2,
        });
        round_trip(ToWorker::TriggerCheckpoint { checkpoint: 1, kind: CheckpointKind::Final });
        round_trip(ToWorker::Commit { checkpoint: 1 });
        round_trip(ToWorker::AbortCheckpoint { checkpoint: 1, reason: "late".into() });
        round_trip(ToWorker::Stop { mode: StopMode::Suspend });
        round_trip(ToWorker::Shutdown);
    }

    #[test]
    fn messages_from_workers_survive_json() {
        let part = PartManifest { operators: Vec::new(), bytes_written: 5 };
        let progress = ProgressReport { watermark: EventTime::MIN, tick: Tick::MAX, ..Default::default() };
        let error = Box::new(FailureReport::new(FailureKind::User, "panic"));
        round_trip(FromWorker::Hello { process: 1, address: "127.0.0.1:1".into() });
        round_trip(FromWorker::Running { process: 1 });
        round_trip(FromWorker::Heartbeat { process: 1, progress });
        round_trip(FromWorker::CutAnnounced { checkpoint: 1, tick: 9 });
        round_trip(FromWorker::PartDone { checkpoint: 1, worker: 2, tick: 9, part });
        round_trip(FromWorker::PartFailed { checkpoint: 1, worker: 2, reason: "disk full".into() });
        round_trip(FromWorker::Committed { checkpoint: 1, worker: 2 });
        round_trip(FromWorker::InputEnded);
        round_trip(FromWorker::Finished { worker: 2 });
        round_trip(FromWorker::Failed { worker: 2, error });
    }
}
