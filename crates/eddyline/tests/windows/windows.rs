//! Windows in whole jobs: whichever operator runs them the results are the same, at any parallelism and through
//! failures.

use crate::support::{Shape, environment, exact, run, shapes, sorted};
use eddyline::window::{
    Aggregator, ContinuousProcessingTimeTrigger, CountTrigger, CumulativeWindows, DeltaTrigger, Elements,
    EventTimeSessionWindows, EventTimeTrigger, GlobalWindow, GlobalWindows, ProcessWindowFunction,
    ProcessingTimeSessionWindows, PurgingTrigger, SlicedWindows, SlidingEventTimeWindows, TimeWindow,
    Trigger, TumblingEventTimeWindows, TumblingProcessingTimeWindows, WindowAssigner, WindowContext,
    WindowOpenContext, WindowResult,
};
use eddyline::{
    Collector, DataGenerator, DataStream, Environment, KeyedStream, OutputTag, ProcessingTimersAtEnd,
    RestartStrategy, Result, ValueState, WatermarkStrategy,
};
use eddyline_state::MemoryFileSystem;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

type Row = (u8, i64);
type Rows<R, W = TimeWindow> = DataStream<WindowResult<u8, R, W>>;

/// Records in order, so that none is late whatever the shape.
fn keyed(environment: &Environment, rows: &[(Row, i64)]) -> KeyedStream<u8, Row> {
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(millis(1_000));
    environment.from_collection_with(rows.to_vec(), strategy).key_by(|row| row.0)
}

fn sums<A, Tr>(windows: A, trigger: Tr) -> impl Fn(&KeyedStream<u8, Row>) -> (Rows<i64>, Rows<i64>)
where
    A: WindowAssigner<Row, Window = TimeWindow>,
    Tr: Trigger<Row, TimeWindow>,
{
    move |stream| {
        let fast = stream.window(windows.clone()).sum(|row| row.1);
        (fast, stream.window(windows.clone()).trigger(trigger.clone()).sum(|row| row.1))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn fast_and_general_operators_agree(
        rows in prop::collection::vec(((0u8..4, -9i64..9), 0i64..200), 1..80),
        shape in shapes(),
    ) {
        let purging = PurgingTrigger::of(EventTimeTrigger);
        let environment = environment(shape);
        let stream = keyed(&environment, &rows);
        let pairs = [
            sums(TumblingEventTimeWindows::of(millis(20)), purging)(&stream),
            sums(SlidingEventTimeWindows::of(millis(30), millis(20)).with_offset(millis(7)), purging)(&stream),
            sums(EventTimeSessionWindows::with_gap(millis(9)), purging)(&stream),
        ];
        let pairs = pairs.map(|(fast, general)| (fast.collect(), general.collect()));
        run(&environment, "windows");
        for (fast, general) in pairs {
            prop_assert_eq!(sorted(fast.rows()), sorted(general.rows()));
        }
    }

    #[test]
    fn all_functions_agree_with_iterators(
        rows in prop::collection::vec(((0u8..4, -9i64..9), 0i64..100), 1..60),
        shape in shapes(),
    ) {
        let environment = environment(shape);
        let stream = keyed(&environment, &rows);
        let windows = stream.window(TumblingEventTimeWindows::of(millis(25)));
        let (count, sum) = (windows.count().collect(), windows.sum(|row| row.1).collect());
        let (min, max) = (windows.min(|row| row.1).collect(), windows.max(|row| row.1).collect());
        let (least, most) = (windows.min_by(|row| row.1).collect(), windows.max_by(|row| row.1).collect());
        let product = windows.fold(1i64, |product: &mut i64, row| *product = product.wrapping_mul(row.1)).collect();
        let sliding = stream.window(SlidingEventTimeWindows::of(millis(25), millis(5)));
        let folded = sliding.fold(0i64, |sum: &mut i64, row| *sum += row.1).collect();
        let summed = sliding.sum(|row| row.1).collect();
        let reduced = windows.reduce(|one, other| (one.0, one.1 + other.1)).collect();
        let listed = windows.apply(|key, window: &TimeWindow, all: Elements<'_, Row>, out: &mut Collector<_>| {
            let mut numbers: Vec<i64> = all.iter().map(|row| row.1).collect();
            numbers.sort();
            out.collect((*key, window.start, numbers));
        }).collect();
        run(&environment, "functions");
        let listed = sorted(listed.rows());
        let made = |make: &dyn Fn(&[i64]) -> i64| -> Vec<(u8, i64, i64)> {
            listed.iter().map(|(key, start, numbers)| (*key, *start, make(numbers))).collect()
        };
        let mut expected = std::collections::BTreeMap::new();
        for ((key, number), time) in &rows {
            expected.entry((*key, time / 25 * 25)).or_insert_with(Vec::new).push(*number);
        }
        expected.values_mut().for_each(|numbers| numbers.sort());
        let expected: Vec<_> = expected.into_iter().map(|((key, start), all)| (key, start, all)).collect();
        prop_assert_eq!(&listed, &expected);
        let plain = |rows: Vec<WindowResult<u8, i64>>| {
            sorted(rows.into_iter().map(|row| (row.key, row.window.start, row.value)).collect())
        };
        let second = |rows: Vec<WindowResult<u8, Row>>| {
            sorted(rows.into_iter().map(|row| (row.key, row.window.start, row.value.1)).collect())
        };
        let counts = count.rows().into_iter().map(|row| (row.key, row.window.start, row.value as i64));
        prop_assert_eq!(sorted(counts.collect()), made(&|all| all.len() as i64));
        prop_assert_eq!(plain(sum.rows()), made(&|all| all.iter().sum()));
        prop_assert_eq!(plain(min.rows()), made(&|all| all[0]));
        prop_assert_eq!(plain(max.rows()), made(&|all| *all.last().unwrap()));
        prop_assert_eq!(second(least.rows()), made(&|all| all[0]));
        prop_assert_eq!(second(most.rows()), made(&|all| *all.last().unwrap()));
        prop_assert_eq!(second(reduced.rows()), made(&|all| all.iter().sum()));
        prop_assert_eq!(plain(product.rows()), made(&|all| all.iter().fold(1, |one, other| one.wrapping_mul(*other))));
        prop_assert_eq!(sorted(folded.rows()), sorted(summed.rows()));
    }
}

#[test]
fn late_results_are_not_late_for_what_follows() {
    let environment = exact();
    let items = vec![(1u64, 2), (10, 12), (100, 3), (1_000, 26), (10_000, 13), (100_000, 90)];
    let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    let late = OutputTag::new("late");
    let first = numbers.window_all(TumblingEventTimeWindows::of(millis(10))).allowed_lateness(millis(20));
    let sums = first.sum(|number| *number);
    let second = sums.window_all(TumblingEventTimeWindows::of(millis(10))).side_output_late_data(&late);
    let (all, late) = {
        let all = second.apply(
            |_,
             window: &TimeWindow,
             elements: Elements<'_, WindowResult<(), u64>>,
             out: &mut Collector<_>| {
                out.collect((window.start, elements.iter().map(|row| row.value).collect::<Vec<u64>>()));
            },
        );
        (all.clone().collect(), all.side_output(&late).collect())
    };
    run(&environment, "updates");
    // The second window sees every update of a window of the first.
    let expected = vec![(0, vec![1, 101]), (10, vec![10, 10_010]), (20, vec![1_000]), (90, vec![100_000])];
    assert_eq!(all.rows(), expected);
    assert!(late.rows().is_empty());
}

#[test]
fn count_windows_and_windows_of_all_keys() {
    for parallelism in 1..=3 {
        let environment = environment(Shape { parallelism, batch_rows: 3, tick_millis: 1 });
        let numbers = environment.from_collection((0..20u64).collect());
        let by_three = numbers.key_by(|number| number % 2).count_window(3).count().collect();
        let all: Rows0 = numbers.count_window_all(6).count();
        let all = all.collect();
        let sliding = numbers.count_window_all_sliding(4, 2).count().collect();
        let total =
            numbers.window_all(GlobalWindows::with_end_of_stream_trigger()).sum(|number| *number).collect();
        run(&environment, "counts");
        assert_eq!(by_three.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [3; 6]);
        assert_eq!(all.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [6; 3]);
        let expected: Vec<u64> = [2].into_iter().chain([4; 9]).collect();
        assert_eq!(sliding.rows().iter().map(|row| row.value).collect::<Vec<_>>(), expected);
        assert_eq!(total.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [190]);
    }
}

type Rows0 = DataStream<WindowResult<(), u64, GlobalWindow>>;

#[test]
fn windows_in_processing_time_fire_at_the_end_or_are_dropped() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    let environment = environment(Shape { parallelism: 2, batch_rows: 4, tick_millis: 1 });
    let numbers = environment.from_collection((1..=10u64).collect()).key_by(|_| 0u8);
    let tumbling = numbers.window(TumblingProcessingTimeWindows::of(century));
    let session = numbers.window(ProcessingTimeSessionWindows::with_gap(century));
    let fired = [tumbling.sum(|number| *number), session.sum(|number| *number)];
    let early = numbers.window(TumblingProcessingTimeWindows::of(century));
    let early =
        early.trigger(ContinuousProcessingTimeTrigger::of(century / 2)).sum(|number| *number).collect();
    let dropped = [
        tumbling.processing_time_at_end(ProcessingTimersAtEnd::Drop).sum(|number| *number),
        session.processing_time_at_end(ProcessingTimersAtEnd::Drop).sum(|number| *number),
    ];
    let (fired, dropped) = (fired.map(|rows| rows.collect()), dropped.map(|rows| rows.collect()));
    run(&environment, "at the end");
    assert!(fired.iter().all(|rows| rows.rows().iter().map(|row| row.value).eq([55])));
    assert!(dropped.iter().all(|rows| rows.rows().is_empty()));
    assert!(early.rows().iter().map(|row| row.value).eq([55]));
}

/// Numbers the firings of each window, and the windows of each key; says on the side when a window is gone.
#[derive(Default)]
struct Firings {
    of_window: Option<ValueState<u64>>,
    of_key: Option<ValueState<u64>>,
}

impl ProcessWindowFunction<u8, TimeWindow, i64, (i64, i64, u64, u64)> for Firings {
    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, u8, TimeWindow>) -> Result<()> {
        self.of_window = Some(context.window_value_state("of window")?);
        self.of_key = Some(context.value_state("of key")?);
        Ok(())
    }

    fn process(
        &mut self,
        _key: &u8,
        sum: Elements<'_, i64>,
        context: &mut WindowContext<'_, TimeWindow>,
        out: &mut Collector<(i64, i64, u64, u64)>,
    ) -> Result<()> {
        let next = |state: &Option<ValueState<u64>>| {
            state.as_ref().unwrap().with_mut(
                || 0,
                |count| {
                    *count += 1;
                    *count
                },
            )
        };
        let of_window = next(&self.of_window);
        out.collect((context.window().start, *sum.first().unwrap(), of_window, next(&self.of_key)));
        Ok(())
    }

    fn clear(&mut self, key: &u8, context: &mut WindowContext<'_, TimeWindow>) -> Result<()> {
        let firings = self.of_window.as_ref().unwrap().get().unwrap();
        context.side_output(&OutputTag::new("gone"), (*key, context.window().start, firings));
        Ok(())
    }
}

#[test]
fn functions_keep_states_per_window_and_per_key() {
    let environment = exact();
    let items = [(1i64, 2), (10, 12), (100, 3), (1_000, 15), (10_000, 40), (7, 11)];
    let items = items.into_iter().map(|(number, time)| ((0u8, number), time)).collect();
    let stream = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    let windows = stream.key_by(|row: &Row| row.0).window(TumblingEventTimeWindows::of(millis(10)));
    let late = OutputTag::new("late");
    let windows = windows.allowed_lateness(millis(5)).side_output_late_data(&late);
    let fired = windows.aggregate_with(SumOfRows, Firings::default);
    let gone = fired.side_output(&OutputTag::<(u8, i64, u64)>::new("gone")).collect();
    let (late, fired) = (fired.side_output(&late).collect(), fired.collect());
    run(&environment, "firings");
    assert_eq!(fired.rows(), [(0, 1, 1, 1), (0, 101, 2, 2), (10, 1_010, 1, 3), (40, 10_000, 1, 4)]);
    assert_eq!(gone.rows(), [(0, 0, 2), (0, 10, 1), (0, 40, 1)]);
    assert_eq!(late.rows(), [(0, 7)]);
}

#[derive(Clone)]
struct SumOfRows;

impl Aggregator for SumOfRows {
    type Input = Row;
    type State = i64;
    type Output = i64;

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, state: &mut i64, input: Row) {
        *state += input.1;
    }

    fn merge(&self, state: &mut i64, other: &i64) {
        *state += other;
    }

    fn result(&self, state: &i64) -> i64 {
        *state
    }
}

#[test]
fn every_window_is_there_once_after_panics() {
    const COUNT: u64 = 3_000;
    for parallelism in 1..=3 {
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
        let failures = Arc::new(AtomicU32::new(0));
        let failed = failures.clone();
        let numbers = DataGenerator::new(|index| index).with_count(COUNT).with_rate_per_second(6_000.0);
        let times = WatermarkStrategy::for_bounded_out_of_orderness(millis(COUNT))
            .with_timestamp_assigner(|number: &u64, _| *number as i64);
        let keyed = environment
            .from_generator(numbers, times)
            .map(move |number| {
                let fatal = [1_000, 1_900, 2_800].contains(&number);
                let seen = failures.load(Ordering::SeqCst);
                assert!(!fatal || number < 1_000 + u64::from(seen) * 900, "{}", {
                    failures.fetch_add(1, Ordering::SeqCst);
                    "too much"
                });
                number
            })
            .key_by(|number| number % 7);
        let purging = PurgingTrigger::of(EventTimeTrigger);
        let windows = keyed.window(SlidingEventTimeWindows::of(millis(100), millis(50))).trigger(purging);
        let lists =
            windows.apply(|key, window: &TimeWindow, all: Elements<'_, u64>, out: &mut Collector<_>| {
                out.collect((*key, window.start, sorted(all.iter().copied().collect())));
            });
        let lists = lists.uid("lists").collect();
        let gap = |number: &u64| millis(if (number / 700).is_multiple_of(2) { 8 } else { 5 });
        let sessions =
            keyed.window(EventTimeSessionWindows::with_dynamic_gap(gap)).count().uid("sessions").collect();
        let fives = keyed.count_window(5).count().uid("fives").collect();
        run(&environment, "panics");
        assert_eq!(failed.load(Ordering::SeqCst), 3, "every failure has happened");
        let mut expected = Vec::new();
        for start in (-50..COUNT as i64).step_by(50) {
            for key in 0..7 {
                let of_key = (0..COUNT).filter(|number| number % 7 == key);
                let all: Vec<u64> =
                    of_key.filter(|n| start <= *n as i64 && (*n as i64) < start + 100).collect();
                expected.extend((!all.is_empty()).then_some((key, start, all)));
            }
        }
        assert_eq!(sorted(lists.rows()), sorted(expected), "parallelism {parallelism}");
        let total: u64 = sessions.rows().iter().map(|row| row.value).sum();
        assert_eq!(total, COUNT);
        let alone = sessions.rows().iter().filter(|row| row.value == 1).count();
        assert!((1_000..2_000).contains(&alone), "{alone} numbers are sessions of their own");
        let counts = |key: u64| (COUNT - key).div_ceil(7);
        assert_eq!(fives.rows().len() as u64, (0..7).map(|key| counts(key) / 5).sum::<u64>());
    }
}

/// Says why a description is refused.
fn refusal(describe: impl Fn(KeyedStream<u8, Row>)) -> String {
    let environment = Environment::new();
    describe(keyed(&environment, &[((0, 1), 1)]));
    environment.explain().unwrap_err().report()
}

#[test]
fn windows_that_cannot_work_are_refused() {
    let sum = |row: &Row| row.1;
    let minute = Duration::from_secs(60);
    let delta = DeltaTrigger::of(1.0, |one: &Row, other: &Row| (one.1 - other.1) as f64);
    let refusals = [
        (
            refusal(|rows| drop(rows.window(SlicedWindows::sliding(10, 0)).sum(sum).print())),
            "10 ms every 0 ms",
        ),
        (refusal(|rows| drop(rows.session_window(Duration::ZERO).sum(sum).print())), "gap of 0 ms"),
        (
            refusal(|rows| {
                drop(rows.window(CumulativeWindows::event_time(minute, minute * 2)).sum(sum).print())
            }),
            "cumulative windows",
        ),
        (
            refusal(|rows| drop(rows.session_window(minute).trigger(delta).sum(sum).print())),
            "windows that merge",
        ),
        (refusal(|rows| drop(rows.count_window(0).sum(sum).print())), "0 records"),
        (refusal(|rows| drop(rows.count_window_sliding(3, 0).sum(sum).print())), "0 records"),
    ];
    for (report, expected) in refusals {
        assert!(report.contains(expected), "{expected}: {report}");
    }

    let environment = Environment::new();
    let rows = keyed(&environment, &[((0, 1), 1)]);
    rows.session_window(minute).aggregate_with(SumOfRows, Firings::default).print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("cannot be kept for windows that merge"), "{report}");
    let environment = Environment::new();
    let rows = environment.from_collection(vec![1u8]).key_by(|row| *row);
    rows.window(TumblingEventTimeWindows::of(minute)).trigger(CountTrigger::of(2)).count().print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("without an event time"), "{report}");
}
