//! Jobs on the DataStream API, out of the catalogue.

use super::JOB;
use super::sink::FileSink;
use crate::scenario::{MAX_PARALLELISM, PROCESSES_MAX, Scenario};
use crate::world::Disk;
use eddyline::async_call::AsyncExecutor;
use eddyline::testing::lend_spilling_in_memory;
use eddyline::{Environment, NodeSpec, Options};
use eddyline_catalogue::{CatalogueJob, Input};
use eddyline_core::Result;
use eddyline_runtime::Services;
use eddyline_runtime::graph::Job;
use std::sync::Arc;

/// Fewer keys make too many pairs.
const KEYS_MIN: u64 = 6;

/// The input of a job of the catalogue.
pub fn catalogue_input(scenario: &Scenario) -> Input {
    let input = &scenario.input;
    Input {
        seed: input.seed,
        splits: input.splits,
        records: input.records,
        keys: input.keys.max(KEYS_MIN),
        disorder_ms: input.disorder_ms,
        rows_per_poll: input.rows_per_poll,
        pace_ms: input.pace_ms,
    }
}

/// The job with its sink on `disk`, and an executor that runs calls in the thread of the simulation.
pub(super) fn build(job: CatalogueJob, scenario: &Scenario, disk: &Disk) -> Result<(Job, Services)> {
    let mut options = Options::default();
    // As many workers as there ever are: steps of one instance keep one, others have one on each worker.
    options.parallelism = PROCESSES_MAX as u32;
    options.max_parallelism = MAX_PARALLELISM;
    let environment = Environment::with_options(options);
    environment.add_service(Arc::new(AsyncExecutor::inline()));
    let lines = (job.describe)(&environment, &catalogue_input(scenario));
    let disk = disk.clone();
    lines.add_sink_operator(NodeSpec::named("sink"), move || FileSink::<String>::new(disk.clone()));
    let (job, mut options) = environment.build(JOB)?;
    lend_spilling_in_memory(&mut options.services);
    Ok((job, options.services))
}
