//! Calls made by functions with a life of their own, and what stands in for answers that do not come.

use crate::support::{Shape, environment, run, sorted};
use eddyline::async_call::{AsyncFunction, AsyncOptions, AsyncOrder, RetryStrategy};
use eddyline::{Error, OutputTag, Parameters, Result, RuntimeContext};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Opened, closed, asked.
#[derive(Default)]
struct Lives {
    opened: AtomicU32,
    closed: AtomicU32,
    asked: AtomicU32,
}

/// Answers even numbers, and no others; what is divisible by 5 has no stand-in.
struct Moody {
    lives: Arc<Lives>,
    plus: u64,
}

impl AsyncFunction<u64, u64> for Moody {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.plus = context.parameters().require_parsed("plus")?;
        self.lives.opened.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn call(&self, record: u64) -> impl Future<Output = Result<Vec<u64>>> + Send + 'static {
        self.lives.asked.fetch_add(1, Ordering::SeqCst);
        let plus = self.plus;
        async move {
            if !record.is_multiple_of(2) {
                std::future::pending::<()>().await;
            }
            Ok(vec![record + plus])
        }
    }

    fn timed_out(&mut self, record: &u64) -> Result<Option<Vec<u64>>> {
        Ok((!record.is_multiple_of(5)).then(|| vec![1_000 + record]))
    }

    fn close(&mut self) {
        self.lives.closed.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn functions_are_opened_and_closed_and_stand_in_for_what_takes_too_long() {
    for order in [AsyncOrder::Ordered, AsyncOrder::Unordered] {
        let environment = environment(Shape { parallelism: 2, batch_rows: 4, tick_millis: 1 });
        environment.set_parameters(Parameters::default().with("plus", "100"));
        let lives = Arc::new(Lives::default());
        let mut options = AsyncOptions::new(order);
        options.timeout_ms = Some(30);
        options.retry = RetryStrategy::fixed(2, 1);
        let late = OutputTag::new("late");
        let numbers = environment.from_collection((0..20u64).collect());
        let seen = lives.clone();
        let answers = numbers
            .async_function_with_failures(options, &late, move || Moody { lives: seen.clone(), plus: 0 });
        let (late, answers) = (answers.side_output(&late).collect(), answers.collect());
        run(&environment, "moody");
        let expected = (0..20).filter_map(|number: u64| match (number % 2, number % 5) {
            (0, _) => Some(number + 100),
            (_, 0) => None,
            _ => Some(number + 1_000),
        });
        assert_eq!(sorted(answers.rows()), sorted(expected.collect::<Vec<_>>()));
        let mut failed: Vec<(u64, u32)> =
            late.rows().into_iter().map(|failure| (failure.record, failure.attempts)).collect();
        failed.sort_unstable();
        assert_eq!(failed, [(5, 2), (15, 2)], "attempts are made again before anything stands in");
        assert_eq!(lives.opened.load(Ordering::SeqCst), 2);
        assert_eq!(lives.closed.load(Ordering::SeqCst), 2);
        assert_eq!(lives.asked.load(Ordering::SeqCst), 30);
    }
}

#[test]
fn a_stand_in_that_fails_ends_the_job() {
    struct Hopeless;
    impl AsyncFunction<u64, u64> for Hopeless {
        fn call(&self, _: u64) -> impl Future<Output = Result<Vec<u64>>> + Send + 'static {
            std::future::pending()
        }
        fn timed_out(&mut self, record: &u64) -> Result<Option<Vec<u64>>> {
            Err(Error::user(format!("no answer for {record}, and none to invent")))
        }
    }
    let environment = eddyline::Environment::new();
    let mut options = AsyncOptions::new(AsyncOrder::Ordered);
    options.timeout_ms = Some(5);
    environment.from_collection(vec![7u64]).async_function(options, || Hopeless).name("hopeless").print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("no answer for 7") && report.contains("hopeless"), "{report}");
}
