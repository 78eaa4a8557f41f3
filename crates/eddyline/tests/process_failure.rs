//! Accumulators when a process dies. A worker process is this program once more, so there is one test only: it would
//! run the others as well.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline::Record;
use eddyline::accumulators::{AccumulatorHandle, Count, Sum};
use eddyline::sink::{SinkContext, SinkFunction};
use eddyline::{
    Collector, DataGenerator, Environment, KeyedContext, KeyedOpenContext, KeyedProcessFunction, MapFunction,
    RestartStrategy, Result, RuntimeContext, WatermarkStrategy,
};
use std::path::{Path, PathBuf};

const COUNT: u64 = 3_000;

/// Where checkpoints are, and the mark of the process that has died: the same for all processes.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("process-failure")
}

/// Adds up numbers; one process dies of the number 1,500, once.
#[derive(Default)]
struct Fatal {
    sum: Option<AccumulatorHandle<Sum<u64>>>,
}

impl MapFunction<u64, u64> for Fatal {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.sum = Some(context.accumulator("sum")?);
        Ok(())
    }

    fn map(&mut self, number: u64) -> Result<u64> {
        self.sum.as_ref().unwrap().add(number);
        if number == COUNT / 2 && std::fs::File::create_new(directory().join("died")).is_ok() {
            std::process::abort();
        }
        Ok(number)
    }
}

#[derive(Default)]
struct Counted(Option<AccumulatorHandle<Count>>);

impl KeyedProcessFunction<u64, u64, u64> for Counted {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.runtime().accumulator("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.0.as_ref().unwrap().add(1);
        out.collect(number);
        Ok(())
    }
}

struct Nowhere;

impl SinkFunction<u64> for Nowhere {
    type Committable = ();

    fn write(&mut self, _: Record<u64>, _: &mut SinkContext<'_, '_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn accumulators_count_every_record_once_when_a_process_dies() {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.parallelism = 4;
        options.runtime.processes = 2;
        options.runtime.checkpoint_dir = Some(directory().join("checkpoints"));
        options.runtime.checkpoints.interval_ms = Some(40);
        options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
        options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 5, delay_ms: 1 });
    }
    let is_worker = std::env::var_os("EDDYLINE_PROCESS").is_some();
    if !is_worker {
        let _ = std::fs::remove_dir_all(directory());
        std::fs::create_dir_all(directory()).unwrap();
    }
    let numbers = DataGenerator::new(|index| index).with_count(COUNT).with_rate_per_second(6_000.0);
    environment
        .from_generator(numbers, WatermarkStrategy::no_watermarks())
        .map_with(Fatal::default)
        .uid("fatal")
        .key_by(|number| number % 11)
        .process(Counted::default)
        .uid("counted")
        .add_sink("nowhere", || Nowhere)
        .uid("nowhere");
    let report = environment.execute("dies").unwrap_or_else(|error| panic!("{}", error.report()));
    assert!(directory().join("died").exists(), "a process has died");
    assert!(report.status.restarts >= 1);
    assert_eq!(report.accumulator::<Count>("count").unwrap().unwrap().value(), COUNT);
    let sum = report.accumulator::<Sum<u64>>("sum").unwrap().unwrap().value();
    assert_eq!(sum, COUNT * (COUNT - 1) / 2);
}
