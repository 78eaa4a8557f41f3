//! Whole jobs on the public API: windows, joins by time, and streams of two inputs.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod aggregations;
mod connected;
mod joins;
#[path = "../support/mod.rs"]
mod support;
mod windows;
