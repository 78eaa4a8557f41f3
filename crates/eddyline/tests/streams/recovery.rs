//! Jobs whose functions fail on the way: restarted from a checkpoint, they give every result exactly once.

use crate::support::sorted;
use eddyline::{
    Collector, DataGenerator, Environment, KeyedContext, KeyedOpenContext, KeyedProcessFunction,
    RestartStrategy, Result, ValueState, WatermarkStrategy,
};
use eddyline_state::MemoryFileSystem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts the records of each key and numbers them; its timer at the end of time tells the sum.
#[derive(Default)]
struct Number {
    count: Option<ValueState<u64>>,
}

impl KeyedProcessFunction<u64, u64, (u64, u64)> for Number {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        _: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        let count = self.count.as_ref().unwrap().with_mut(
            || 0,
            |count| {
                *count += 1;
                *count
            },
        );
        out.collect((*context.key(), count));
        context.register_event_time_timer(i64::MAX);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: eddyline::TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        out.collect((*context.key(), 1_000_000 + self.count.as_ref().unwrap().get().unwrap()));
        Ok(())
    }
}

fn with_checkpoints(parallelism: u32) -> Environment {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.parallelism = parallelism;
        options.runtime.checkpoint_dir = Some("/checkpoints".into());
        options.runtime.file_system = Arc::new(MemoryFileSystem::new());
        options.runtime.checkpoints.interval_ms = Some(20);
        options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
        options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 10, delay_ms: 1 });
    }
    environment
}

#[test]
fn results_are_there_once_after_panics() {
    const COUNT: u64 = 3_000;
    for parallelism in 1..=3 {
        let environment = with_checkpoints(parallelism);
        let failures = Arc::new(AtomicU32::new(0));
        let failed = failures.clone();
        let numbers = DataGenerator::new(|index| index).with_count(COUNT).with_rate_per_second(6_000.0);
        let numbered = environment
            .from_generator(numbers, WatermarkStrategy::no_watermarks())
            .map(move |number| {
                // Three records, each on its first way through, are too much.
                let fatal = [1_000, 1_900, 2_800].contains(&number);
                let seen = failures.load(Ordering::SeqCst);
                assert!(!fatal || number < 1_000 + u64::from(seen) * 900, "{}", {
                    failures.fetch_add(1, Ordering::SeqCst);
                    "too much"
                });
                number
            })
            .key_by(|number| number % 7)
            .process(Number::default)
            .uid("number")
            .collect();
        crate::support::run(&environment, "numbered");
        assert_eq!(failed.load(Ordering::SeqCst), 3, "every failure has happened");
        let counts = |key: u64| (COUNT - key).div_ceil(7);
        let expected = (0..7)
            .flat_map(|key| (1..=counts(key)).map(move |n| (key, n)).chain([(key, 1_000_000 + counts(key))]));
        assert_eq!(sorted(numbered.rows()), expected.collect::<Vec<_>>(), "parallelism {parallelism}");
    }
}

#[test]
fn rows_are_visible_at_once_or_with_a_checkpoint_while_the_job_runs() {
    let environment = with_checkpoints(2);
    let numbers = DataGenerator::new(|index| index).with_rate_per_second(1_000.0);
    let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks());
    let (now, committed) = (numbers.collect_now(), numbers.collect());
    let job = environment.start("endless").unwrap();
    assert!(now.wait_for(100, Duration::from_secs(30)));
    assert!(committed.wait_for(100, Duration::from_secs(30)));
    job.stop(eddyline::StopMode::Drain);
    job.wait().unwrap();
    assert_eq!(sorted(now.rows()), sorted(committed.rows()));
    let rows = sorted(committed.rows());
    assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "no row twice");
}
