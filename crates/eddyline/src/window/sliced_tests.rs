//! Sliced windows against a model that keeps every window of every record by itself.

use super::test_support::{CountAndSum, Fired, Instances, Row, Step, rows, steps};
use super::{Count, Reduce, SlicedWindowOperator, SlicedWindows, Sum, TimeWindow, WindowResult};
use eddyline_core::{EventTime, Record, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_runtime::Progress;
use eddyline_runtime::harness::{HarnessConfig, OperatorHarness};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Default)]
struct Model {
    windows: BTreeMap<(EventTime, EventTime, String), (u64, i64)>,
    late: u64,
}

impl Model {
    fn add(&mut self, (size, slide, offset): (i64, i64, i64), row: &Record<Row>, watermark: EventTime) {
        let time = row.timestamp;
        let mut start = time - (time - offset).rem_euclid(slide);
        let (mut belongs, mut counted) = (false, false);
        while start + size > time {
            belongs = true;
            if start + size - 1 > watermark {
                counted = true;
                let window = self.windows.entry((start + size, start, row.value.0.clone())).or_default();
                *window = (window.0 + 1, window.1 + row.value.1);
            }
            start -= slide;
        }
        self.late += u64::from(belongs && !counted);
    }

    fn fire(&mut self, watermark: EventTime) -> (Vec<Fired>, u64) {
        let open = std::mem::take(&mut self.windows);
        let (due, open) = open.into_iter().partition(|((end, ..), _)| *end - 1 <= watermark);
        self.windows = open;
        let due: BTreeMap<_, _> = due;
        let fired = due.into_iter().map(|((end, start, key), (count, sum))| (end, start, key, count, sum));
        (fired.collect(), std::mem::take(&mut self.late))
    }
}

fn agrees(shape: (i64, i64, i64), batches_per_call: usize, steps: &[Step]) {
    let windows = SlicedWindows::sliding(shape.0, shape.1).with_offset(shape.2);
    let make = || SlicedWindowOperator::new(windows, |row: &Row| row.0.clone(), CountAndSum, true).unwrap();
    let mut instances = Instances::new(make, batches_per_call);
    let (mut model, mut watermark) = (Model::default(), WATERMARK_MIN);
    for step in steps {
        match step {
            Step::Rows(of) => {
                let rows = rows(of);
                rows.iter().for_each(|row| model.add(shape, row, watermark));
                instances.push(rows);
            }
            Step::Watermark(ahead) => {
                watermark = watermark.max(-40) + i64::from(*ahead);
                assert_eq!(instances.watermark(watermark), model.fire(watermark));
            }
            Step::Restore(parallelism) => {
                // What has been emitted by now is taken first: a restore starts with empty outputs.
                assert_eq!(instances.watermark(watermark), model.fire(watermark));
                instances.restore(*parallelism);
            }
        }
    }
    assert_eq!(instances.watermark(WATERMARK_MAX), model.fire(WATERMARK_MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn windows_agree_with_the_model(
        steps in steps(),
        shape in prop_oneof![
            Just((10, 10, 0)), Just((10, 2, 1)), Just((30, 1, 0)), Just((12, 8, 3)), Just((4, 6, 0)), Just((5, 15, 7)),
            Just((1, 1, 0)), Just((64, 4, 2))
        ],
        batches_per_call in prop_oneof![Just(1usize), Just(2), Just(usize::MAX)],
    ) {
        agrees(shape, batches_per_call, &steps);
    }
}

type KeyOf = fn(&u64) -> u64;

fn counting(windows: SlicedWindows) -> SlicedWindowOperator<u64, KeyOf, Count<u64>> {
    let key_of: KeyOf = |key| *key;
    SlicedWindowOperator::new(windows, key_of, Count::new(), false).unwrap()
}

#[test]
fn a_firing_without_room_goes_on_and_takes_no_input_meanwhile() {
    for windows in [SlicedWindows::tumbling(10), SlicedWindows::sliding(10, 5)] {
        let config = HarnessConfig { batch_rows_max: 2, batches_per_call: 1, ..HarnessConfig::default() };
        let mut harness = OperatorHarness::start(counting(windows), config, &[]).unwrap();
        harness.push(0, (0..7u64).map(|key| Record::new(key, 1)).collect()).unwrap();
        assert_eq!(harness.step_watermark(20).unwrap(), Progress::More);
        assert!(!harness.accepts_input());
        assert_eq!(harness.take::<WindowResult<u64, u64>>(0).len(), 2);
        harness.advance_watermark(20).unwrap();
        assert!(harness.accepts_input() && harness.is_woken());
        let rest = harness.take::<WindowResult<u64, u64>>(0).len();
        assert_eq!(rest, if windows == SlicedWindows::tumbling(10) { 5 } else { 12 });
    }
}

#[test]
fn windows_far_ahead_and_times_far_off_cost_nothing() {
    let mut harness = OperatorHarness::start(
        counting(SlicedWindows::sliding(3_600_000, 1_000)),
        HarnessConfig::default(),
        &[],
    )
    .unwrap();
    let year_9999 = 253_370_764_800_000;
    harness
        .push(
            0,
            vec![
                Record::new(1u64, 0),
                Record::new(1, year_9999),
                Record::new(1, i64::MAX),
                Record::new(1, i64::MIN + 1),
            ],
        )
        .unwrap();
    assert_eq!(harness.late(), 2);
    harness.advance_watermark(WATERMARK_MAX).unwrap();
    assert_eq!(harness.take::<WindowResult<u64, u64>>(0).len(), 7200);
    assert!(harness.push(0, vec![Record::new(1u64, i64::MIN)]).is_err());
}

#[test]
fn processing_time_windows_fire_by_the_clock() {
    let config = HarnessConfig::default();
    let windows = SlicedWindows::processing_time_tumbling(1_000);
    let mut harness = OperatorHarness::start(counting(windows), config.clone(), &[]).unwrap();
    harness.advance_clock(1_000_100).unwrap();
    harness.push(0, vec![Record::new(1u64, i64::MIN), Record::new(1, 5)]).unwrap();
    let snapshot = harness.snapshot().unwrap();
    harness.advance_clock(1_000_999).unwrap();
    assert!(harness.take::<WindowResult<u64, u64>>(0).is_empty());
    harness.advance_clock(1_001_000).unwrap();
    let fired = harness.take::<WindowResult<u64, u64>>(0);
    let window = TimeWindow { start: 1_000_000, end: 1_001_000 };
    assert_eq!(fired, [Record::new(WindowResult { key: 1, window, value: 2 }, 1_000_999)]);
    // The same after a restore, though the window is overdue.
    config.clock.advance(5_000_000);
    let mut harness = OperatorHarness::start(counting(windows), config, &[snapshot]).unwrap();
    harness.advance_clock(1_007_000).unwrap();
    assert_eq!(harness.take::<WindowResult<u64, u64>>(0), fired);
}

#[test]
fn sums_and_reductions() {
    let sum = SlicedWindowOperator::new(
        SlicedWindows::tumbling(10),
        |row: &Row| row.0.clone(),
        Sum::of(|row: &Row| row.1),
        false,
    );
    let mut harness = OperatorHarness::start(sum.unwrap(), HarnessConfig::default(), &[]).unwrap();
    let rows = || {
        vec![
            Record::new(("a".to_string(), 3i64), 1),
            Record::new(("a".to_string(), 5), 12),
            Record::new(("a".to_string(), 4), 9),
        ]
    };
    harness.push(0, rows()).unwrap();
    harness.end().unwrap();
    let sums: Vec<i64> =
        harness.take::<WindowResult<String, i64>>(0).into_iter().map(|row| row.value.value).collect();
    assert_eq!(sums, [7, 5]);

    let longest = Reduce::with(|one: Row, other: &Row| if other.1 > one.1 { other.clone() } else { one });
    let reduce =
        SlicedWindowOperator::new(SlicedWindows::sliding(20, 10), |row: &Row| row.0.clone(), longest, false);
    let mut harness = OperatorHarness::start(reduce.unwrap(), HarnessConfig::default(), &[]).unwrap();
    harness.push(0, rows()).unwrap();
    harness.end().unwrap();
    let most: Vec<i64> =
        harness.take::<WindowResult<String, Row>>(0).into_iter().map(|row| row.value.value.1).collect();
    assert_eq!(most, [4, 5, 5]);
}
