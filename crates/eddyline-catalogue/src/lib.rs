//! A catalogue of jobs on the DataStream API, each with what has to come out of it: whoever runs them kills them on
//! the way and compares.
//!
//! An entry is a description from the source to a stream of text lines, and a reference model that computes the same
//! lines from all records at once. The lines are the same for any parallelism, batch size, tick length and kill
//! point: entries depend on no order but that within a split, and no record is late. The source reads splits that
//! follow from a seed ([`Input`]); what the lines are written to is up to the runner.
//!
//! - `eddyline-simulation` runs the entries under seeds, with faults.
//! - `eddyline-tests` kills them as real processes.
//!
//! An operator that is new gets one entry more in one of the modules, and its line in [`CATALOGUE`].

mod bounded;
mod input;
mod joins;
mod processes;
mod rolling;
mod states;
mod steps;
mod windows;

pub use input::{Event, Input};

use eddyline::{DataStream, Environment};
use std::collections::BTreeMap;
use std::fmt;

/// A job of the catalogue.
#[derive(Clone, Copy)]
pub struct CatalogueJob {
    /// Its name.
    pub name: &'static str,
    /// Describes it up to the stream of its lines.
    pub describe: fn(&Environment, &Input) -> DataStream<String>,
    /// What has to come out, in any order.
    pub expected: fn(&Input) -> Vec<String>,
    /// Whether it collects bounded data: then it takes no periodic checkpoints, and begins again after a failure.
    pub is_bounded: bool,
}

macro_rules! jobs {
    (@ bounded) => { true };
    (@) => { false };
    ($($name:literal $($bounded:ident)?: $describe:path, $expected:path;)*) => {
        &[$(CatalogueJob {
            name: $name,
            describe: $describe,
            expected: $expected,
            is_bounded: jobs!(@ $($bounded)?),
        },)*]
    };
}

/// All jobs.
pub const CATALOGUE: &[CatalogueJob] = jobs! {
    "rolling-sums": processes::rolling_sums, processes::expected_rolling_sums;
    "rolling-aggregates": rolling::aggregates, rolling::expected_aggregates;
    "event-timers": processes::event_timers, processes::expected_event_timers;
    "processing-timers": processes::processing_timers, processes::expected_processing_timers;
    "time-to-live": processes::time_to_live, processes::expected_time_to_live;
    "broadcast": processes::broadcast, processes::expected_broadcast;
    "tumbling-windows": windows::tumbling, windows::expected_tumbling;
    "sliding-windows": windows::sliding, windows::expected_sliding;
    "cumulative-windows": windows::cumulative, windows::expected_cumulative;
    "window-functions": windows::functions, windows::expected_functions;
    "count-windows": windows::counts, windows::expected_counts;
    "session-windows": windows::sessions, windows::expected_sessions;
    "connect": joins::connect, joins::expected_connect;
    "join": joins::join, joins::expected_join;
    "window-join": joins::window_join, joins::expected_window_join;
    "co-group": joins::co_group, joins::expected_co_group;
    "cumulative-co-group": joins::cumulative_co_group, joins::expected_cumulative_co_group;
    "interval-join": joins::interval_join, joins::expected_interval_join;
    "async-calls": steps::async_calls, steps::expected_async_calls;
    "iterate": steps::iterate, steps::expected_iterate;
    "side-outputs": steps::side_outputs, steps::expected_side_outputs;
    "transformations": steps::transformations, steps::expected_transformations;
    "data-sets" bounded: bounded::data_sets, bounded::expected_data_sets;
    "partitioning": steps::partitioning, steps::expected_partitioning;
    "expiring-states": states::expiring, states::expected_expiring;
    "states-of-instances": states::of_instances, states::expected_of_instances;
    "accumulators": states::accumulators, states::expected_accumulators;
};

impl fmt::Debug for CatalogueJob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl CatalogueJob {
    /// The job of that name.
    pub fn named(name: &str) -> Option<CatalogueJob> {
        CATALOGUE.iter().copied().find(|job| job.name == name)
    }

    /// Compares lines that came out with those that had to.
    ///
    /// # Errors
    /// Says how many were lost, doubled or invented, and shows some.
    pub fn judge(&self, input: &Input, found: &[String]) -> Result<(), String> {
        let mut balance: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        (self.expected)(input).into_iter().for_each(|line| balance.entry(line).or_default().0 += 1);
        found.iter().for_each(|line| balance.entry(line.clone()).or_default().1 += 1);
        let wrong: Vec<_> = balance.iter().filter(|(_, (wanted, found))| wanted != found).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let some: Vec<_> = wrong
            .iter()
            .take(5)
            .map(|(line, (wanted, found))| format!("`{line}`: {found} of {wanted}"))
            .collect();
        Err(format!("{}: {} lines are wrong, among them {}", self.name, wrong.len(), some.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline::Options;
    use eddyline_runtime::StateBackendService;
    use eddyline_state::store::MemoryBackend;
    use std::sync::Arc;

    fn input(seed: u64) -> Input {
        Input { seed, splits: 3, records: 60, keys: 5, disorder_ms: 40, rows_per_poll: 7, pace_ms: 0 }
    }

    #[test]
    fn every_job_gives_what_its_model_says_whatever_its_shape() {
        for job in CATALOGUE {
            for (parallelism, batch_rows) in [(1, 4096), (3, 2)] {
                let mut options = Options::default();
                options.parallelism = parallelism;
                options.runtime.batch_rows = batch_rows;
                let (environment, input) = (Environment::with_options(options), input(7 + batch_rows as u64));
                let lines = (job.describe)(&environment, &input).collect();
                environment.execute(job.name).unwrap();
                job.judge(&input, &lines.rows()).unwrap();
                assert!(lines.len() > 10, "{}: a job of few lines proves nothing", job.name);
            }
        }
    }

    #[test]
    fn every_job_gives_the_same_with_a_store_for_nearly_all_of_its_state() {
        for job in CATALOGUE {
            for (parallelism, batch_rows) in [(1, 4096), (3, 2)] {
                let mut options = Options::default();
                options.parallelism = parallelism;
                options.runtime.batch_rows = batch_rows;
                let backend = StateBackendService(Arc::new(MemoryBackend::new(200)));
                options.runtime.services.insert(Arc::new(backend));
                let (environment, input) =
                    (Environment::with_options(options), input(70 + batch_rows as u64));
                let lines = (job.describe)(&environment, &input).collect();
                environment.execute(job.name).unwrap();
                job.judge(&input, &lines.rows()).unwrap();
            }
        }
    }

    #[test]
    fn what_is_lost_doubled_or_invented_is_found() {
        let (input, job) = (input(1), CATALOGUE[0]);
        let lines = (job.expected)(&input);
        job.judge(&input, &lines).unwrap();
        assert!(job.judge(&input, &lines[1..]).is_err());
        let doubled = [&lines[..], &lines[..1]].concat();
        assert!(job.judge(&input, &doubled).is_err());
        let invented = [&lines[..], &["?".to_owned()]].concat();
        assert!(job.judge(&input, &invented).unwrap_err().contains("1 lines are wrong"));
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = CATALOGUE.iter().map(|job| job.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(CatalogueJob::named("join").is_some() && CatalogueJob::named("?").is_none());
    }
}
