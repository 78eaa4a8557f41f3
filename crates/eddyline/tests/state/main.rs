//! State that outlives its program: read while the job runs, taken over by another version, written by another program.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod bootstrap;
mod evolution;
mod live;

use eddyline::{DataGenerator, DataStream, Environment, WatermarkStrategy};
use eddyline_state::{CheckpointStore, MemoryFileSystem};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const ROOT: &str = "/checkpoints";

/// Looks again and again until it is as wanted.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never {what}");
        std::thread::yield_now();
    }
}

/// An environment that keeps checkpoints on `files`, one every `interval_ms` (0: the last one only).
fn environment(files: &Arc<MemoryFileSystem>, parallelism: u32, interval_ms: u64) -> Environment {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.parallelism = parallelism;
        options.max_parallelism = 16;
        options.runtime.checkpoint_dir = Some(ROOT.into());
        options.runtime.file_system = files.clone();
        options.runtime.checkpoints.interval_ms = Some(interval_ms).filter(|ms| *ms > 0);
        options.runtime.restart = Some(eddyline::RestartStrategy::None);
    }
    environment
}

/// The numbers from 0 on, by an operator of uid `numbers`.
fn numbers(environment: &Environment, count: u64, per_second: f64) -> DataStream<u64> {
    let numbers = DataGenerator::new(|index| index).with_count(count).with_rate_per_second(per_second);
    environment.from_generator(numbers, WatermarkStrategy::no_watermarks()).uid("numbers")
}

fn store(files: &Arc<MemoryFileSystem>, job: &str) -> CheckpointStore {
    CheckpointStore::new(files.clone(), ROOT, job).unwrap()
}

/// Runs the job; fails the test with the whole report.
fn run(environment: &Environment, name: &str) {
    if let Err(error) = environment.execute(name) {
        panic!("{}", error.report());
    }
}

/// The rows, sorted.
fn sorted<T: Ord>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort();
    rows
}
