//! What the tests of whole jobs share.

#![allow(dead_code)] // each program that shares this uses a part of it

use eddyline::Environment;
use std::time::Duration;

/// How a job of a property test is run: results must not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub parallelism: u32,
    pub batch_rows: usize,
    pub tick_millis: u64,
}

/// Shapes to be drawn from: parallelism 1 to 4, small and large batches, short and long ticks.
pub fn shapes() -> impl proptest::strategy::Strategy<Value = Shape> {
    use proptest::prelude::*;
    (1u32..=4, prop::sample::select(vec![1usize, 3, 64, 4096]), prop::sample::select(vec![0u64, 1, 10]))
        .prop_map(|(parallelism, batch_rows, tick_millis)| Shape { parallelism, batch_rows, tick_millis })
}

/// An environment of that shape.
pub fn environment(shape: Shape) -> Environment {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.parallelism = shape.parallelism;
        options.runtime.batch_rows = shape.batch_rows;
        options.runtime.tick_length = Duration::from_millis(shape.tick_millis);
    }
    environment
}

/// One worker, and every watermark exactly between two records, as a record-at-a-time processor has it.
pub fn exact() -> Environment {
    let mut environment = Environment::new();
    environment.options_mut().set("eddyline.watermark-mode", "on-event").unwrap();
    environment
}

/// Runs the job; fails the test with the whole report.
pub fn run(environment: &Environment, name: &str) {
    if let Err(error) = environment.execute(name) {
        panic!("{}", error.report());
    }
}

/// The rows, sorted.
pub fn sorted<T: Ord>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort();
    rows
}
