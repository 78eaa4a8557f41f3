//! Cases whose outcome is known: what Flink's window operator is documented to do, and what is left behind.

use super::{AsRow, Given, Incremental, Settings, WindowOperator};
use crate::function::Collector;
use crate::operators::ProcessingTimersAtEnd;
use crate::side_output::SidePorts;
use crate::window::test_support::{CountAndSum, Row};
use crate::window::{
    CountTrigger, Elements, EventTimeSessionWindows, EventTimeTrigger, LATE_OUTPUT, ProcessWindowFunction,
    ProcessingTimeSessionWindows, ProcessingTimeTrigger, PurgingTrigger, TimeWindow, Trigger,
    TumblingEventTimeWindows, WindowAssigner, WindowContext, WindowOpenContext, WindowResult,
};
use eddyline_core::key::owner_of;
use eddyline_core::{Data, EventTime, ManualClock, Record, Result, key_group_of};
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use eddyline_state::ValueState;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

type Output = WindowResult<String, (u64, i64)>;

fn settings(allowed_lateness_ms: i64) -> Settings {
    Settings { allowed_lateness_ms, emits_late: true, at_end: ProcessingTimersAtEnd::Fire }
}

fn start<A, Tr>(windows: (A, Tr), lateness_ms: i64, config: HarnessConfig) -> OperatorHarness
where
    A: WindowAssigner<Row, Window = TimeWindow>,
    Tr: Trigger<Row, TimeWindow>,
{
    let contents =
        Incremental { aggregator: CountAndSum, finish: AsRow, evictor: None, _output: PhantomData };
    let key_of = Arc::new(|row: &Row| row.0.clone());
    let operator =
        WindowOperator::new(windows, key_of, contents, settings(lateness_ms), SidePorts::default());
    OperatorHarness::start(operator, config, &[]).unwrap()
}

fn push(harness: &mut OperatorHarness, time: EventTime) {
    harness.push(0, vec![Record::new(("k".to_string(), 1i64), time)]).unwrap();
}

/// Start, end and count of what has fired since, and how many records were late.
fn taken(harness: &mut OperatorHarness) -> (Vec<(i64, i64, u64)>, usize) {
    let fired = harness.take::<Output>(0).into_iter().map(|row| {
        let WindowResult { window, value, .. } = row.value;
        assert_eq!(row.timestamp, window.end - 1);
        (window.start, window.end, value.0)
    });
    (fired.collect(), harness.take::<Row>(LATE_OUTPUT).len())
}

#[test]
fn late_records_fire_again_until_the_lateness_is_over() {
    let tumbling = TumblingEventTimeWindows::of(Duration::from_secs(2));
    let purging = PurgingTrigger::of(EventTimeTrigger);
    let mut with = start((tumbling, purging), 500, HarnessConfig::default());
    let mut without = start((tumbling, EventTimeTrigger), 500, HarnessConfig::default());
    for (harness, again) in [(&mut with, 1), (&mut without, 3)] {
        push(harness, 500);
        harness.advance_watermark(1_500).unwrap();
        push(harness, 1_300);
        harness.advance_watermark(2_300).unwrap();
        assert_eq!(taken(harness), (vec![(0, 2_000, 2)], 0));
        // Behind the watermark, but its window is still there.
        push(harness, 1_997);
        assert_eq!(taken(harness), (vec![(0, 2_000, again)], 0));
        harness.advance_watermark(2_498).unwrap();
        push(harness, 1_998);
        assert_eq!(taken(harness), (vec![(0, 2_000, if again == 1 { 1 } else { 4 })], 0));
        // The window's life ends when the watermark reaches its greatest timestamp and the lateness.
        harness.advance_watermark(2_499).unwrap();
        push(harness, 1_998);
        assert_eq!(taken(harness), (vec![], 1));
        assert_eq!(harness.late(), 1);
        harness.end().unwrap();
        assert_eq!(taken(harness), (vec![], 0));
    }
}

#[test]
fn sessions_that_have_fired_grow_while_they_are_kept() {
    let sessions = EventTimeSessionWindows::with_gap(Duration::from_secs(3));
    let purging = PurgingTrigger::of(EventTimeTrigger);
    let mut with = start((sessions, purging), 10, HarnessConfig::default());
    let mut without = start((sessions, EventTimeTrigger), 10, HarnessConfig::default());
    for (harness, purges) in [(&mut with, true), (&mut without, false)] {
        push(harness, 1_000);
        harness.advance_watermark(1_999).unwrap();
        push(harness, 2_000);
        harness.advance_watermark(4_998).unwrap();
        // Late by itself, but it joins the session that is open.
        push(harness, 4_500);
        push(harness, 8_500);
        harness.advance_watermark(7_400).unwrap();
        // The one that joins both.
        push(harness, 7_000);
        harness.advance_watermark(11_501).unwrap();
        assert_eq!(taken(harness), (vec![(1_000, 11_500, 5)], 0));
        harness.advance_watermark(11_600).unwrap();
        push(harness, 11_600);
        harness.advance_watermark(14_600).unwrap();
        assert_eq!(taken(harness), (vec![(11_600, 14_600, 1)], 0));
        // The session has fired but is kept for ten milliseconds: it grows backwards and fires at once ...
        push(harness, 10_000);
        assert_eq!(taken(harness), (vec![(10_000, 14_600, if purges { 1 } else { 2 })], 0));
        // ... and forwards, and fires when its new end has come.
        push(harness, 14_500);
        assert_eq!(taken(harness), (vec![], 0));
        harness.advance_watermark(20_000).unwrap();
        assert_eq!(taken(harness), (vec![(10_000, 17_500, if purges { 1 } else { 3 })], 0));
        push(harness, 16_000);
        assert_eq!(taken(harness), (vec![], 1));
    }
}

#[test]
fn sessions_end_by_the_clock() {
    let config = HarnessConfig { clock: ManualClock::new(3_000), ..HarnessConfig::default() };
    let sessions = ProcessingTimeSessionWindows::with_gap(Duration::from_secs(3));
    let mut harness = start((sessions, ProcessingTimeTrigger), 0, config);
    push(&mut harness, i64::MIN);
    harness.advance_clock(1_000).unwrap();
    push(&mut harness, i64::MIN);
    harness.advance_clock(3_999).unwrap();
    assert_eq!(taken(&mut harness), (vec![], 0));
    harness.advance_clock(4_000).unwrap();
    assert_eq!(taken(&mut harness), (vec![(3, 4_000, 2)], 0));
    push(&mut harness, i64::MIN);
    harness.end().unwrap();
    assert_eq!(taken(&mut harness), (vec![(4_000, 7_000, 1)], 0));
}

#[test]
fn a_lateness_without_end_keeps_windows_for_ever() {
    let tumbling = TumblingEventTimeWindows::of(Duration::from_millis(10));
    let mut harness = start((tumbling, EventTimeTrigger), i64::MAX, HarnessConfig::default());
    push(&mut harness, 5);
    harness.advance_watermark(i64::MAX - 1).unwrap();
    push(&mut harness, 6);
    assert_eq!(taken(&mut harness), (vec![(0, 10, 1), (0, 10, 2)], 0));
    assert_eq!(harness.output_watermark(), -1);
}

#[test]
fn nothing_is_left_of_windows_that_are_over() {
    let tumbling = TumblingEventTimeWindows::of(Duration::from_millis(10));
    let sessions = EventTimeSessionWindows::with_gap(Duration::from_millis(5));
    let harnesses = [
        start((tumbling, EventTimeTrigger), 25, HarnessConfig::default()),
        start((tumbling, CountTrigger::of(2)), 0, HarnessConfig::default()),
        start((sessions, PurgingTrigger::of(EventTimeTrigger)), 25, HarnessConfig::default()),
        start((sessions, CountTrigger::of(2)), 0, HarnessConfig::default()),
    ];
    for mut harness in harnesses {
        let empty = harness.state_bytes();
        for time in 0..4_000i64 {
            let key = format!("k{}", time % 50);
            harness.push(0, vec![Record::new((key, 1i64), time - time % 7)]).unwrap();
            harness.advance_watermark(time - 20).unwrap();
        }
        let full = harness.state_bytes();
        harness.advance_watermark(10_000).unwrap();
        let left = harness.state_bytes() - empty;
        // Tables keep some room for what may come.
        assert!(left < 20_000 && full > empty, "{empty} bytes empty, {full} full, {left} left");
    }
}

/// Numbers the firings of a window.
#[derive(Default)]
struct Firings(Option<ValueState<u64>>);

impl ProcessWindowFunction<String, TimeWindow, (u64, i64), (i64, u64, u64)> for Firings {
    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, String, TimeWindow>) -> Result<()> {
        self.0 = Some(context.window_value_state("firings")?);
        Ok(())
    }

    fn process(
        &mut self,
        _key: &String,
        result: Elements<'_, (u64, i64)>,
        context: &mut WindowContext<'_, TimeWindow>,
        out: &mut Collector<(i64, u64, u64)>,
    ) -> Result<()> {
        let state = self.0.as_ref().unwrap();
        state.update(state.get().unwrap_or(0) + 1);
        out.collect((context.window().start, state.get().unwrap(), result.first().unwrap().0));
        Ok(())
    }
}

#[test]
fn states_of_windows_are_restored_and_go_with_their_window() {
    let start = |instance, parallelism, snapshots: &[HarnessSnapshot]| {
        let finish = Given(Firings::default());
        let contents = Incremental { aggregator: CountAndSum, finish, evictor: None, _output: PhantomData };
        let windows = (TumblingEventTimeWindows::of(Duration::from_millis(10)), EventTimeTrigger);
        let key_of = Arc::new(|row: &Row| row.0.clone());
        let operator = WindowOperator::new(windows, key_of, contents, settings(20), SidePorts::default());
        let config = HarnessConfig { instance, parallelism, ..HarnessConfig::default() };
        OperatorHarness::start(operator, config, snapshots).unwrap()
    };
    let mut one = start(0, 1, &[]);
    push(&mut one, 5);
    push(&mut one, 15);
    one.advance_watermark(12).unwrap();
    push(&mut one, 6);
    let values = |harness: &mut OperatorHarness| -> Vec<(i64, u64, u64)> {
        harness.take(0).into_iter().map(|row| row.value).collect()
    };
    assert_eq!(values(&mut one), [(0, 1, 1), (0, 2, 2)]);
    let snapshot = one.snapshot().unwrap();
    let mut halves = [start(0, 2, std::slice::from_ref(&snapshot)), start(1, 2, &[snapshot])];
    let mut fired = Vec::new();
    for half in &mut halves {
        half.advance_watermark(20).unwrap();
        fired.extend(values(half));
    }
    assert_eq!(fired, [(10, 1, 1)]);
    // The key belongs to one half; the window has fired twice before.
    let owner = owner_of(key_group_of("k".to_string().stable_hash(), 128), 128, 2);
    let owner = &mut halves[owner as usize];
    push(owner, 7);
    assert_eq!(values(owner), [(0, 3, 3)]);
    owner.advance_watermark(100).unwrap();
    push(owner, 105);
    owner.end().unwrap();
    assert_eq!(values(owner), [(100, 1, 1)]);
}
