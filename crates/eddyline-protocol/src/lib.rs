//! Eddyline's decisions as pure state machines: observed facts in, decisions out.
//!
//! - [`message`] and [`fence`](mod@fence): what supervisor and workers say, and whose word counts.
//! - [`checkpoint`]: when to cut, what is complete, what to commit and to delete.
//! - [`attempt`] and [`restart`]: starting, watching and ending attempts; whether there is another one.
//! - [`restore`]: which checkpoint an attempt starts from.
//! - [`control`]: what is said at the door of a running job.
//! - [`manifest`] and [`failure`]: what is kept of a checkpoint and of a failure.
//!
//! **Architecture invariant:** nothing here does I/O, reads a clock or draws a random number; whoever drives a
//! machine tells it the time and carries out what it decides.

pub mod attempt;
pub mod checkpoint;
pub mod control;
pub mod failure;
pub mod fence;
pub mod manifest;
pub mod message;
pub mod observed;
pub mod restart;
pub mod restore;

pub use attempt::{AttemptConfig, AttemptDecision, AttemptState, JobMaster, ProcessExit, RestoreHint};
pub use checkpoint::{
    CheckpointConfig, CheckpointCoordinator, CheckpointDecision, Moment, Restored, SavepointRequest,
};
pub use failure::{FailureKind, FailureReport};
pub use fence::{Verdict, fence};
pub use manifest::{
    AttemptId, CheckpointId, MANIFEST_FORMAT, MANIFEST_FORMAT_OLDEST, Manifest, ManifestKind,
    OperatorManifest, PartManifest, SegmentChain, SegmentKind, SegmentRef, StateDescriptor, StateKind,
    StateManifest,
};
pub use message::{
    CheckpointKind, Envelope, FromWorker, ProcessIndex, ProgressReport, StopMode, ToWorker, WorkerActivity,
    WorkerIndex,
};
pub use observed::{AccumulatorPart, MetricReport, MetricValue};
pub use restart::{RestartPolicy, RestartStrategy, RestartVerdict};
pub use restore::{
    Candidate, DropState, Finding, RestoreChoice, RestoreNotice, RestoreRequest, check_snapshot,
    choose_restore, drop_state,
};
