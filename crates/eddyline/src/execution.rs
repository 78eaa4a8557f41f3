//! The one place where a described job becomes a running one.

use eddyline_core::Result;
use eddyline_runtime::attempt::{self, JobHandle, JobOptions, JobReport};
use eddyline_runtime::graph::Job;

/// Runs a job to its end.
pub(crate) fn run((job, options): (Job, JobOptions)) -> Result<JobReport> {
    attempt::run(job, options)
}

/// Starts a job.
pub(crate) fn start((job, options): (Job, JobOptions)) -> Result<JobHandle> {
    attempt::start(job, options)
}
