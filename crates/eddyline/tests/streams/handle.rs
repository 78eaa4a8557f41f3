//! What the handle of a running job tells and does.

use eddyline::accumulators::{AccumulatorHandle, Count};
use eddyline::{
    DataGenerator, Environment, Error, ErrorKind, JobHandle, JobState, MapFunction, RestartStrategy, Result,
    RuntimeContext, StopMode, WatermarkStrategy,
};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until the job is as wanted.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never {what}");
        std::thread::yield_now();
    }
}

#[derive(Default)]
struct Seen(Option<AccumulatorHandle<Count>>);

impl MapFunction<u64, u64> for Seen {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.0 = Some(context.accumulator("seen")?);
        Ok(())
    }

    fn map(&mut self, value: u64) -> Result<u64> {
        self.0.as_ref().unwrap().add(1);
        Ok(value)
    }
}

/// A job without an end, some records in.
fn endless(environment: &Environment) -> JobHandle {
    let numbers = DataGenerator::new(|index| index).with_rate_per_second(1_000.0);
    let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks());
    let seen = numbers.map_with(Seen::default).collect_now();
    let handle = environment.execute_async("endless").unwrap();
    assert!(seen.wait_for(10, PATIENCE));
    handle
}

#[test]
fn a_job_that_is_drained_is_finished_and_its_accumulators_were_seen_on_the_way() {
    let environment = Environment::new();
    environment.set_parallelism(2);
    let handle = endless(&environment);
    until("running", || handle.state() == JobState::Running);
    let seen = || handle.accumulator::<Count>("seen").unwrap().map_or(0, |count| count.value());
    until("seen", || seen() >= 10);
    assert!(!handle.is_finished() && !handle.state().is_terminal());
    let control = handle.control();
    handle.stop(StopMode::Drain);
    let report = handle.wait().unwrap();
    assert_eq!((report.status.state, control.state()), (JobState::Finished, JobState::Finished));
    let total = report.accumulator::<Count>("seen").unwrap().unwrap().value();
    assert_eq!(total, report.status.records_out);
    assert_eq!(control.accumulator::<Count>("seen").unwrap().unwrap().value(), total);
}

#[test]
fn a_job_that_is_cancelled_says_so() {
    let environment = Environment::new();
    let handle = endless(&environment);
    let control = handle.control();
    handle.cancel();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(control.state(), JobState::Cancelled);
}

#[test]
fn a_job_that_fails_is_restarting_until_it_has_failed_for_good() {
    let mut environment = Environment::new();
    environment.options_mut().runtime.restart =
        Some(RestartStrategy::FixedDelay { attempts: 3, delay_ms: 3_600_000 });
    let numbers = DataGenerator::new(|index| index).with_rate_per_second(1_000.0);
    let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks());
    numbers
        .try_map(|number| if number > 20 { Err(Error::user("too much")) } else { Ok(number) })
        .collect_now();
    let handle = environment.start("failing").unwrap();
    until("restarting", || handle.state() == JobState::Restarting);
    handle.cancel();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Cancelled);

    let environment = Environment::new();
    environment.from_collection(vec![1u64]).try_map(|_| Err::<u64, _>("too much")).print();
    let handle = environment.start("failing").unwrap();
    let control = handle.control();
    assert!(handle.wait().is_err());
    assert_eq!(control.state(), JobState::Failed);
}
