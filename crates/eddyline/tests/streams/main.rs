//! Whole jobs on the public API: functions, state, recovery, savepoints.
//!
//! A few programs beside each other are built in parallel; what belongs together is one, so that it is linked once.
//! Jobs of several processes have programs of their own beside these: a worker process is the test program once more.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod async_functions;
mod functions;
mod handle;
mod idleness;
mod process;
mod recovery;
mod savepoints;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod transformations;
