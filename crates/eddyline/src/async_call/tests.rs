//! Async calls, answered by the test in whatever order it likes.

use super::{
    AsyncCallOperator, AsyncExecutor, AsyncFailure, AsyncOptions, AsyncOrder, FAILURE_OUTPUT, OnFailure,
    RetryStrategy,
};
use eddyline_core::{Error, Record, Result, WATERMARK_MAX};
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use eddyline_runtime::{Operator, Progress, Services};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// What the outside has been asked and has not answered: question → waker and answer.
#[derive(Clone, Default)]
struct Outside(Arc<Mutex<BTreeMap<u64, Vec<Question>>>>);

#[derive(Default)]
struct Question {
    answer: Option<Result<Vec<u64>>>,
    waker: Option<Waker>,
}

struct Asking {
    outside: Outside,
    question: u64,
    attempt: usize,
}

impl Future for Asking {
    type Output = Result<Vec<u64>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut questions = self.outside.0.lock().unwrap();
        let question = &mut questions.get_mut(&self.question).unwrap()[self.attempt];
        match question.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                question.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Outside {
    fn ask(&self, question: u64) -> Asking {
        let mut questions = self.0.lock().unwrap();
        let attempts = questions.entry(question).or_default();
        attempts.push(Question::default());
        Asking { outside: self.clone(), question, attempt: attempts.len() - 1 }
    }

    /// How often a question was asked.
    fn asked(&self, question: u64) -> usize {
        self.0.lock().unwrap().get(&question).map_or(0, Vec::len)
    }

    /// Answers the newest attempt.
    fn answer(&self, question: u64, answer: Result<Vec<u64>>) {
        let waker = {
            let mut questions = self.0.lock().unwrap();
            let newest = questions.get_mut(&question).unwrap().last_mut().unwrap();
            newest.answer = Some(answer);
            newest.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn operator(&self, options: AsyncOptions) -> impl Operator + 'static {
        let outside = self.clone();
        AsyncCallOperator::new(move |question: u64| outside.ask(question), options).unwrap()
    }
}

fn config() -> HarnessConfig {
    let mut services = Services::default();
    services.insert(Arc::new(AsyncExecutor::inline()));
    HarnessConfig { services, batch_rows_max: 2, ..HarnessConfig::default() }
}

fn rows(values: impl IntoIterator<Item = u64>) -> Vec<Record<u64>> {
    values.into_iter().map(|value| Record::new(value, value as i64 * 10)).collect()
}

fn options(order: AsyncOrder, capacity: usize) -> AsyncOptions {
    AsyncOptions { capacity, ..AsyncOptions::new(order) }
}

fn taken(harness: &mut OperatorHarness) -> Vec<u64> {
    harness.take::<u64>(0).into_iter().map(|row| row.value).collect()
}

#[test]
fn ordered_answers_wait_for_those_before_them_and_hold_the_watermark() {
    let outside = Outside::default();
    let mut harness =
        OperatorHarness::start(outside.operator(options(AsyncOrder::Ordered, 3)), config(), &[]).unwrap();
    harness.push(0, rows([1, 2, 3, 4])).unwrap();
    harness.wake().unwrap();
    harness.advance_watermark(1_000).unwrap();
    assert_eq!((harness.output_watermark(), harness.in_flight(), harness.accepts_input()), (9, 4, false));
    assert_eq!(outside.asked(4), 0, "a fourth call has no place yet");
    outside.answer(2, Ok(vec![20, 21]));
    harness.wake().unwrap();
    assert!(taken(&mut harness).is_empty());
    harness.wake().unwrap();
    assert_eq!(outside.asked(4), 1);
    outside.answer(1, Ok(vec![]));
    harness.wake().unwrap();
    assert_eq!(harness.take::<u64>(0), [Record::new(20, 20), Record::new(21, 20)]);
    assert_eq!((harness.output_watermark(), harness.accepts_input()), (29, true));
    assert_eq!(harness.end().unwrap(), Progress::Waiting);
    outside.answer(4, Ok(vec![40]));
    outside.answer(3, Ok(vec![30]));
    harness.wake().unwrap();
    assert_eq!(taken(&mut harness), [30, 40]);
    assert_eq!((harness.end().unwrap(), harness.output_watermark()), (Progress::Done, WATERMARK_MAX));
}

#[test]
fn unordered_answers_leave_as_they_come() {
    let outside = Outside::default();
    let mut harness =
        OperatorHarness::start(outside.operator(options(AsyncOrder::Unordered, 9)), config(), &[]).unwrap();
    harness.push(0, rows([1, 2, 3])).unwrap();
    harness.wake().unwrap();
    harness.advance_watermark(1_000).unwrap();
    outside.answer(3, Ok(vec![30]));
    outside.answer(1, Ok(vec![10]));
    harness.wake().unwrap();
    assert_eq!(taken(&mut harness), [30, 10]);
    assert_eq!(harness.output_watermark(), 19);
}

#[test]
fn attempts_are_repeated_after_failures_and_time_outs() {
    let outside = Outside::default();
    let retry = RetryStrategy::exponential(3, 100, 150).only_if(|error| error.message() != "hopeless");
    let options = AsyncOptions {
        retry,
        timeout_ms: Some(1_000),
        on_failure: OnFailure::SideOutput,
        ..AsyncOptions::new(AsyncOrder::Ordered)
    };
    let mut harness = OperatorHarness::start(outside.operator(options), config(), &[]).unwrap();
    let start = 1_000_000;
    harness.push(0, rows([1, 2])).unwrap();
    harness.wake().unwrap();
    outside.answer(1, Err(Error::user("busy")));
    outside.answer(2, Err(Error::user("hopeless")));
    harness.wake().unwrap();
    harness.advance_clock(start + 99).unwrap();
    assert_eq!(outside.asked(1), 1);
    harness.advance_clock(start + 100).unwrap();
    assert_eq!(outside.asked(1), 2);
    // The second attempt runs out of time; what it answers later is ignored.
    harness.advance_clock(start + 1_100).unwrap();
    outside.answer(1, Ok(vec![666]));
    harness.wake().unwrap();
    assert!(taken(&mut harness).is_empty());
    harness.advance_clock(start + 1_250).unwrap();
    assert_eq!(outside.asked(1), 3);
    outside.answer(1, Ok(vec![10]));
    harness.wake().unwrap();
    assert_eq!(taken(&mut harness), [10]);
    let failure = AsyncFailure { record: 2, error: "hopeless".to_string(), attempts: 1 };
    assert_eq!(harness.take::<AsyncFailure<u64>>(FAILURE_OUTPUT), [Record::new(failure, 20)]);
    assert_eq!((outside.asked(2), harness.in_flight()), (1, 0));
}

#[test]
fn a_failure_or_a_panic_fails_the_job_if_nothing_else_was_said() {
    let outside = Outside::default();
    let mut harness =
        OperatorHarness::start(outside.operator(options(AsyncOrder::Ordered, 9)), config(), &[]).unwrap();
    harness.push(0, rows([1])).unwrap();
    harness.wake().unwrap();
    outside.answer(1, Err(Error::user("refused")));
    let report = harness.wake().unwrap_err();
    assert_eq!(report.message, "an async call failed after 1 attempts: refused");

    let panicking = |_: u64| async { panic!("bad luck") };
    let operator = AsyncCallOperator::<u64, u64, _>::new(panicking, options(AsyncOrder::Ordered, 1)).unwrap();
    let mut harness = OperatorHarness::start(operator, config(), &[]).unwrap();
    harness.push(0, rows([1])).unwrap();
    assert!(harness.wake().unwrap_err().message.contains("panicked: bad luck"));
    assert!(AsyncOptions { capacity: 0, ..AsyncOptions::new(AsyncOrder::Ordered) }.check().is_err());
}

#[test]
fn threads_answer_and_wake_the_operator() {
    let mut services = Services::default();
    services.insert(Arc::new(AsyncExecutor::threads(2)));
    let config = HarnessConfig { services, ..HarnessConfig::default() };
    let call = |value: u64| async move { Ok(vec![value + 1]) };
    let operator = AsyncCallOperator::new(call, options(AsyncOrder::Ordered, 10)).unwrap();
    let mut harness = OperatorHarness::start(operator, config, &[]).unwrap();
    harness.push(0, rows(0..100)).unwrap();
    let mut found = Vec::new();
    while found.len() < 100 {
        while !harness.is_woken() {
            std::thread::yield_now();
        }
        harness.wake().unwrap();
        found.extend(taken(&mut harness));
    }
    assert_eq!(found, (1..=100).collect::<Vec<u64>>());
}

fn instances(
    outside: &Outside,
    order: AsyncOrder,
    parallelism: u32,
    from: &[HarnessSnapshot],
) -> Vec<OperatorHarness> {
    (0..parallelism)
        .map(|instance| {
            let config = HarnessConfig { instance, parallelism, max_parallelism: 16, ..config() };
            OperatorHarness::start(outside.operator(options(order, 4)), config, from).unwrap()
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    /// Answers one of the open questions.
    Answer(u16),
    Restore(u32),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_record_has_its_answer_once_whatever_happens(
        steps in prop::collection::vec(prop_oneof![
            2 => (1u8..6).prop_map(Step::Push),
            5 => any::<u16>().prop_map(Step::Answer),
            1 => (1u32..4).prop_map(Step::Restore),
        ], 1..40),
        ordered in any::<bool>(),
    ) {
        let order = if ordered { AsyncOrder::Ordered } else { AsyncOrder::Unordered };
        let outside = Outside::default();
        let mut harnesses = instances(&outside, order, 1, &[]);
        let (mut next, mut open, mut found, mut rescaled) = (0u64, Vec::new(), Vec::new(), false);
        // How often each was asked before the last restore: those attempts are nobody's any more.
        let mut before: BTreeMap<u64, usize> = BTreeMap::new();
        let last_answers = std::iter::repeat_n(Step::Answer(0), 200);
        for step in steps.into_iter().chain(last_answers) {
            match step {
                Step::Push(count) => {
                    let numbers = next..next + u64::from(count);
                    next = numbers.end;
                    open.extend(numbers.clone());
                    let instance = next as usize % harnesses.len();
                    harnesses[instance].push(0, rows(numbers)).unwrap();
                }
                Step::Answer(which) => {
                    let asked: Vec<u64> = open.iter().copied().filter(|open| outside.asked(*open) > before.get(open).copied().unwrap_or(0)).collect();
                    if !asked.is_empty() {
                        let number = asked[which as usize % asked.len()];
                        open.retain(|other| *other != number);
                        outside.answer(number, Ok(vec![number]));
                    }
                }
                Step::Restore(parallelism) => {
                    rescaled |= parallelism > 1;
                    let snapshots: Vec<_> = harnesses.iter_mut().map(|harness| harness.snapshot().unwrap()).collect();
                    let held: usize = harnesses.iter().map(OperatorHarness::in_flight).sum();
                    before = (0..next).map(|number| (number, outside.asked(number))).collect();
                    harnesses = instances(&outside, order, parallelism, &snapshots);
                    prop_assert_eq!(harnesses.iter().map(OperatorHarness::in_flight).sum::<usize>(), held);
                    // What was answered and not emitted is asked again.
                    open = (0..next).filter(|number| !found.contains(number)).collect();
                }
            }
            for harness in &mut harnesses {
                harness.wake().unwrap();
                harness.wake().unwrap();
                found.extend(taken(harness));
            }
        }
        if ordered && !rescaled {
            prop_assert!(found.is_sorted());
        }
        found.sort_unstable();
        prop_assert_eq!(found, (0..next).collect::<Vec<u64>>());
    }
}
