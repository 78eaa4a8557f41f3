//! Eddyline's decisions as pure state machines: observed facts in, decisions out.
//!
//! **Architecture invariant:** nothing here does I/O, reads a clock or draws a random number; whoever drives a
//! machine tells it the time and carries out what it decides.

pub mod manifest;

pub use manifest::{
    AttemptId, CheckpointId, MANIFEST_FORMAT, Manifest, OperatorManifest, PartManifest, SegmentChain, SegmentKind,
    SegmentRef, StateDescriptor, StateKind, StateManifest,
};
