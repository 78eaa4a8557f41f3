//! The test kit itself: what it runs is what jobs do, and it says what is wrong.

use super::{CrashPoint, Harness, TestPipeline};
use crate::async_call::{AsyncOptions, AsyncOrder};
use crate::function::{
    Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, OutputTag, TimeDomain,
};
use crate::window::{Count, SlicedWindows, WindowResult};
use crate::{DataStream, Error, Options, StateTtlConfig, WatermarkStrategy};
use eddyline_core::{Record, Result};
use eddyline_state::{ListState, MapState, ValueState};
use std::collections::BTreeMap;
use std::time::Duration;

/// Counts records; tells the count 10 s of processing time after the first one; refuses negative numbers.
#[derive(Default)]
struct Bursts {
    count: Option<ValueState<u64>>,
    numbers: Option<ListState<i64>>,
    recent: Option<MapState<i64, u64>>,
}

const REFUSED: &str = "refused";

impl KeyedProcessFunction<u64, (u64, i64), (u64, u64)> for Bursts {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        self.numbers = Some(context.list_state("numbers")?);
        let ttl = StateTtlConfig::new(Duration::from_secs(60));
        self.recent = Some(context.time_to_live(ttl).map_state("recent")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        (key, number): (u64, i64),
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        if number == i64::MAX {
            return Err(Error::user("this number is too large"));
        }
        if number < 0 {
            context.side_output(&OutputTag::new(REFUSED), number);
            context.count_late();
            return Ok(());
        }
        let count = self.count.as_ref().unwrap();
        if count.get().is_none() {
            context.register_processing_time_timer(context.processing_time_ms() + 10_000);
        }
        count.with_mut(|| 0, |count| *count += 1);
        self.numbers.as_ref().unwrap().add(number);
        self.recent.as_ref().unwrap().insert(number, key);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        assert_eq!(domain, TimeDomain::ProcessingTime);
        out.collect((*context.key(), self.count.as_ref().unwrap().take().unwrap()));
        Ok(())
    }
}

fn bursts(numbers: DataStream<(u64, i64)>) -> DataStream<(u64, u64)> {
    numbers.key_by(|(key, _)| *key).process(Bursts::default).name("bursts")
}

#[test]
fn a_harness_shows_outputs_states_and_timers_of_a_function() {
    let mut harness = Harness::with_parallelism(3, bursts);
    let refused = harness.side_output(&OutputTag::<i64>::new(REFUSED));
    for number in [5, -1, 6] {
        harness.push((1, number), 0).unwrap();
    }
    harness.advance(Duration::from_secs(4)).unwrap();
    harness.push((2, 7), 0).unwrap();
    assert_eq!(refused.take(), [Record::new(-1, 0)]);
    assert_eq!(harness.pipeline().late("bursts").unwrap(), 1);
    assert_eq!(harness.state("count").unwrap().keyed::<u64, u64>().unwrap(), [(1, 2), (2, 1)]);
    assert_eq!(
        harness.state("numbers").unwrap().keyed::<u64, Vec<i64>>().unwrap(),
        [(1, vec![5, 6]), (2, vec![7])]
    );
    let recent = harness.pipeline().state("bursts", "recent").unwrap();
    let recent = recent.keyed::<u64, BTreeMap<i64, u64>>().unwrap();
    assert_eq!(recent, [(1, BTreeMap::from([(5, 1), (6, 1)])), (2, BTreeMap::from([(7, 2)]))]);
    let timers = harness.timers::<u64>(TimeDomain::ProcessingTime).unwrap();
    assert_eq!(timers, [(10_000, 1), (14_000, 2)]);
    harness.advance(Duration::from_millis(5_999)).unwrap();
    assert_eq!(harness.take_values(), []);
    harness.advance(Duration::from_secs(100)).unwrap();
    assert_eq!(harness.take_values(), [(1, 2), (2, 1)]);
    assert_eq!(harness.pipeline().processing_time_ms(), 109_999);
    let error = harness.state("counts").err().unwrap();
    assert!(error.message().contains("no state `counts`"), "{error}");
}

#[test]
fn what_a_function_says_ends_the_attempt_and_a_restart_goes_on() {
    let mut harness = Harness::new(bursts);
    harness.push((1, 5), 0).unwrap();
    harness.pipeline().checkpoint().unwrap();
    harness.push((1, 6), 0).unwrap();
    let error = harness.push((1, i64::MAX), 0).unwrap_err();
    assert!(error.report().contains("this number is too large"), "{}", error.report());
    assert!(harness.push((1, 7), 0).is_err(), "it has crashed");
    let again = harness.pipeline().restart().unwrap_err();
    assert!(again.report().contains("too large"), "the record comes again");
}

/// Counts per key and minute, with what came too late.
fn counts(clicks: DataStream<u64>) -> DataStream<(u64, i64, u64)> {
    let late = OutputTag::new("late");
    let windows = clicks.key_by(|page| *page).window(SlicedWindows::tumbling(60_000));
    let counted = windows.side_output_late_data(&late).aggregate(Count::new());
    let late = counted.side_output(&late).map(|page| (page, -1, 1));
    counted.map(|row: WindowResult<u64, u64>| (row.key, row.window.end, row.value)).union(&late)
}

#[test]
fn output_is_committed_once_wherever_the_pipeline_crashes() {
    let run = |crashes: &[(CrashPoint, u32)]| {
        let mut pipeline = TestPipeline::with_parallelism(2);
        let clicks = pipeline.source::<u64>("clicks");
        let sink = pipeline.sink(&counts(clicks.stream()));
        let mut crashes = crashes.iter();
        for step in 0..30i64 {
            for page in 0..7 {
                clicks.push(page, step * 9_000 + i64::from(page as u32));
            }
            clicks.watermark(step * 9_000 - 10_000).push(3, step * 9_000 - 70_000);
            match step % 5 {
                2 => pipeline.settle().unwrap(),
                3 => drop(pipeline.checkpoint().unwrap()),
                4 => {
                    if let Some((point, parallelism)) = crashes.next() {
                        pipeline.crash_during_checkpoint(*point).unwrap();
                        pipeline.restart_with_parallelism(*parallelism).unwrap();
                    }
                }
                _ => {}
            }
        }
        pipeline.finish().unwrap();
        let mut rows = sink.committed_values();
        rows.sort();
        rows
    };
    let expected = run(&[]);
    assert!(expected.len() > 30 && expected.iter().any(|(_, end, _)| *end == -1));
    for point in [CrashPoint::AtCut, CrashPoint::BeforeComplete, CrashPoint::BeforeCommit] {
        assert_eq!(run(&[(point, 1), (point, 3), (point, 2), (point, 2)]), expected, "{point:?}");
    }
}

#[test]
fn a_crash_at_any_moment_loses_what_no_checkpoint_holds_until_it_is_repeated() {
    let mut pipeline = TestPipeline::new();
    let numbers = pipeline.source::<u64>("numbers");
    let sink = pipeline.sink(&numbers.stream().map(|number| number * 2));
    numbers.push_value(1);
    pipeline.checkpoint().unwrap();
    numbers.push_value(2);
    pipeline.settle().unwrap();
    assert_eq!((sink.take_values(), sink.committed_values()), (vec![2, 4], vec![2]));
    pipeline.crash().unwrap();
    pipeline.restart().unwrap();
    assert_eq!(sink.take_values(), [4], "what was not committed comes again");
    pipeline.crash_during_checkpoint(CrashPoint::BeforeCommit).unwrap();
    assert_eq!(sink.committed_values(), [2]);
    pipeline.restart().unwrap();
    assert_eq!(sink.committed_values(), [2, 4], "the commit is repeated");
    pipeline.finish().unwrap();
    assert_eq!(sink.committed_values(), [2, 4]);
    let error = pipeline.checkpoint().unwrap_err();
    assert!(error.message().contains("has finished"), "{error}");
}

#[test]
fn strategies_make_watermarks_and_records_come_one_by_one_if_that_is_wanted() {
    let mut options = Options::default();
    options.set("eddyline.watermark-mode", "on-event").unwrap();
    let mut pipeline = TestPipeline::with_options(options);
    let strategy = WatermarkStrategy::<(u64, i64)>::for_monotonous_timestamps()
        .with_timestamp_assigner(|(_, time), _| *time);
    let clicks = pipeline.source_with_strategy("clicks", strategy);
    let rows = pipeline.sink(&counts(clicks.stream().map(|(page, _)| page)));
    clicks.push_value((1, 1_000)).push_value((1, 61_000)).push_value((1, 2_000));
    pipeline.settle().unwrap();
    assert_eq!(
        rows.take_values(),
        [(1, 60_000, 1), (1, -1, 1)],
        "the third one is late for the first window"
    );
    pipeline.crash().unwrap();
    pipeline.restart().unwrap();
    assert_eq!(rows.take_values().len(), 2, "there was no checkpoint");
}

#[test]
fn async_calls_run_in_the_thread_of_the_test() {
    let call = |number: u64| async move { Ok::<_, Error>(vec![number + 1]) };
    let mut harness = Harness::new(move |numbers: DataStream<u64>| {
        numbers.async_call(AsyncOptions::new(AsyncOrder::Ordered), call)
    });
    harness.push(1, 0).unwrap();
    harness.push(2, 0).unwrap();
    assert_eq!(harness.take_values(), [2, 3]);
    harness.finish().unwrap();
}

#[test]
fn what_is_added_to_a_pipeline_that_runs_is_an_error() {
    let mut pipeline = TestPipeline::new();
    let numbers = pipeline.source::<u64>("numbers");
    pipeline.sink(&numbers.stream());
    pipeline.settle().unwrap();
    pipeline.sink(&numbers.stream());
    assert!(pipeline.settle().unwrap_err().message().contains("was added to a pipeline that runs"));
    assert!(pipeline.restart().is_err());
}

#[test]
fn a_savepoint_goes_on_in_a_pipeline_that_has_sources_of_its_own() {
    let mut harness = Harness::with_parallelism(2, counts);
    for time in 0..50 {
        harness.push(time as u64 % 5, time).unwrap();
    }
    let savepoint = harness.savepoint().unwrap();
    for parallelism in [1, 4] {
        let mut restored = Harness::restore(&savepoint, parallelism, counts).unwrap();
        restored.push(3, 100).unwrap();
        restored.watermark(59_999).unwrap();
        let mut rows = restored.take_values();
        rows.sort();
        assert_eq!(rows, [0, 1, 2, 3, 4].map(|page| (page, 60_000, if page == 3 { 11 } else { 10 })));
    }
}

#[test]
fn bounded_data_is_collected_sorted_and_given_at_the_end() {
    let mut pipeline = TestPipeline::with_parallelism(2);
    let numbers = pipeline.source::<u64>("numbers");
    let order = crate::dataset::SortBy::ascending(|number: &u64| *number);
    let sorted = pipeline.sink(&numbers.stream().bounded().sort_by(order).into_stream());
    for number in 0..100 {
        numbers.push_value(number * 7 % 100);
    }
    pipeline.settle().unwrap();
    assert_eq!(sorted.take_values(), [0u64; 0], "the input has not ended");
    pipeline.finish().unwrap();
    let mut values = sorted.take_values();
    values.sort_unstable();
    assert_eq!(values, (0..100).collect::<Vec<_>>());
}
