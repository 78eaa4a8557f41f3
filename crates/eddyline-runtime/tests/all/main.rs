//! Whole jobs on the runtime alone.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod first_job;
mod flow_control;
