//! Whole jobs on the public API, in one program so that it is linked once.
//!
//! Jobs of several processes have programs of their own beside this one: a worker process is the test program once
//! more.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod aggregations;
mod async_functions;
mod connected;
mod dataset_iterations;
mod dataset_joins;
mod datasets;
mod functions;
mod handle;
mod idleness;
mod process;
mod recovery;
mod savepoints;
mod spilling;
mod streams;
mod support;
mod transformations;
mod window_joins;
mod windows;
