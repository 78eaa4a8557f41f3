//! Window joins and co-groups against models that know all records and all windows.

use super::{BothSides, EachPair, JoinWindows, LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, WindowJoinOperator};
use crate::function::Collector;
use crate::window::{SlicedWindows, TimeWindow};
use eddyline_core::key::owner_of;
use eddyline_core::{Data, ManualClock, Record, WATERMARK_MAX, WATERMARK_MIN, key_group_of};
use eddyline_runtime::Operator;
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// Key and number.
type Row = (u64, u32);
/// Key, start, end, left numbers, right numbers.
type Group = (u64, i64, i64, Vec<u32>, Vec<u32>);

#[derive(Debug, Clone)]
enum Step {
    /// To the left side, else to the right one.
    Rows(bool, Vec<(u8, i16)>),
    Watermark(i16),
    Restore(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = prop::collection::vec((0u8..3, -50i16..120), 1..8);
    let step = prop_oneof![
        6 => (any::<bool>(), rows).prop_map(|(left, rows)| Step::Rows(left, rows)),
        2 => (0i16..30).prop_map(Step::Watermark),
        1 => (1u32..5).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..20)
}

fn windows() -> impl Strategy<Value = JoinWindows> {
    prop_oneof![
        (1i64..30).prop_map(|gap_ms| JoinWindows::Session { gap_ms }),
        (1i64..30, -5i64..5).prop_map(|(size, offset)| {
            JoinWindows::Sliced(SlicedWindows::tumbling(size).with_offset(offset))
        }),
        (1i64..30, 1i64..20)
            .prop_map(|(size, slide)| JoinWindows::Sliced(SlicedWindows::sliding(size, slide))),
    ]
}

fn co_group(windows: JoinWindows) -> impl Operator + 'static {
    let numbers = |rows: &[Row]| rows.iter().map(|row| row.1).collect::<Vec<_>>();
    let group =
        move |key: &u64, window: &TimeWindow, left: &[Row], right: &[Row], out: &mut Collector<Group>| {
            out.collect((*key, window.start, window.end, numbers(left), numbers(right)));
            Ok(())
        };
    let function = BothSides { function: group, _window: PhantomData };
    WindowJoinOperator::<u64, Row, Row, Group, _, _, _>::new(
        windows,
        |left: &Row| left.0,
        |right: &Row| right.0,
        function,
        true,
    )
    .unwrap()
}

fn start(windows: JoinWindows, parallelism: u32, snapshots: &[HarnessSnapshot]) -> Vec<OperatorHarness> {
    (0..parallelism)
        .map(|instance| {
            let config = HarnessConfig {
                instance,
                parallelism,
                max_parallelism: 16,
                batch_rows_max: 2,
                batches_per_call: 2,
                ..Default::default()
            };
            OperatorHarness::start(co_group(windows), config, snapshots).unwrap()
        })
        .collect()
}

fn push(harnesses: &mut [OperatorHarness], input: usize, rows: &[Record<Row>]) {
    let parallelism = harnesses.len() as u32;
    for (instance, harness) in harnesses.iter_mut().enumerate() {
        let owner =
            |row: &&Record<Row>| owner_of(key_group_of(row.value.0.stable_hash(), 16), 16, parallelism);
        let own = rows.iter().filter(|row| owner(row) as usize == instance).cloned().collect();
        harness.push(input, own).unwrap();
    }
}

/// Start and end of an open window, and what is in it.
type Open = (i64, i64, Vec<u32>, Vec<u32>);

/// Open windows by key; everything is looked through at each record.
struct Model {
    windows: JoinWindows,
    open: BTreeMap<u64, Vec<Open>>,
    fired: Vec<Group>,
    late: [usize; 2],
}

impl Model {
    fn windows_of(&self, time: i64) -> Vec<(i64, i64)> {
        match self.windows {
            JoinWindows::Session { gap_ms } => vec![(time, time + gap_ms)],
            JoinWindows::Sliced(_) => {
                let mut found = Vec::new();
                self.windows.assign(time, &mut found);
                found.into_iter().map(|window| (window.start, window.end)).collect()
            }
        }
    }

    fn add(&mut self, side: usize, row: &Record<Row>, watermark: i64) {
        let assigned = self.windows_of(row.timestamp);
        if assigned.is_empty() {
            return;
        }
        let open = self.open.entry(row.value.0).or_default();
        let mut added = false;
        for (start, end) in assigned {
            let mut window = (start, end, Vec::new(), Vec::new());
            if matches!(self.windows, JoinWindows::Session { .. }) {
                let (touched, others) = std::mem::take(open)
                    .into_iter()
                    .partition::<Vec<Open>, _>(|known| known.0 <= end && start <= known.1);
                *open = others;
                for known in touched {
                    window.0 = window.0.min(known.0);
                    window.1 = window.1.max(known.1);
                    window.2.extend(known.2);
                    window.3.extend(known.3);
                }
            } else if let Some(known) = open.iter().position(|known| (known.0, known.1) == (start, end)) {
                window = open.remove(known);
            }
            if window.1 - 1 > watermark {
                added = true;
                let rows = if side == 0 { &mut window.2 } else { &mut window.3 };
                rows.push(row.value.1);
                open.push(window);
            }
        }
        self.late[side] += usize::from(!added);
    }

    fn fire(&mut self, watermark: i64) {
        for (key, open) in &mut self.open {
            let (due, rest) = std::mem::take(open)
                .into_iter()
                .partition::<Vec<Open>, _>(|window| window.1 - 1 <= watermark);
            *open = rest;
            self.fired
                .extend(due.into_iter().map(|(start, end, left, right)| (*key, start, end, left, right)));
        }
    }
}

fn in_order(mut groups: Vec<Group>) -> Vec<Group> {
    for group in &mut groups {
        group.3.sort();
        group.4.sort();
    }
    groups.sort();
    groups
}

fn agrees(steps: &[Step], windows: JoinWindows) {
    let mut harnesses = start(windows, 1, &[]);
    let mut model = Model { windows, open: BTreeMap::new(), fired: Vec::new(), late: [0, 0] };
    let (mut watermark, mut serial) = (WATERMARK_MIN, 0);
    let (mut found, mut late): (Vec<Group>, _) = (Vec::new(), [0, 0]);
    let end = [Step::Watermark(0)];
    for (number, step) in steps.iter().chain(&end).enumerate() {
        match step {
            Step::Rows(is_left, of) => {
                let side = usize::from(!is_left);
                let mut rows = Vec::new();
                for (key, time) in of {
                    serial += 1;
                    rows.push(Record::new((u64::from(*key), serial), i64::from(*time)));
                }
                push(&mut harnesses, side, &rows);
                rows.iter().for_each(|row| model.add(side, row, watermark));
            }
            Step::Watermark(ahead) => {
                watermark = watermark.max(-60) + i64::from(*ahead);
                if number == steps.len() {
                    watermark = WATERMARK_MAX;
                }
                for harness in &mut harnesses {
                    harness.advance_watermark(watermark).unwrap();
                    assert!(harness.accepts_input());
                }
                model.fire(watermark);
            }
            Step::Restore(parallelism) => {
                let snapshots: Vec<_> =
                    harnesses.iter_mut().map(|harness| harness.snapshot().unwrap()).collect();
                harnesses = start(windows, *parallelism, &snapshots);
            }
        }
        for harness in &mut harnesses {
            let fired = harness.take::<Group>(0);
            assert!(fired.is_sorted_by_key(|row| row.value.2), "in the order of window ends");
            assert!(fired.iter().all(|row| row.timestamp == row.value.2 - 1));
            found.extend(fired.into_iter().map(|row| row.value));
            late[0] += harness.take::<Row>(LATE_LEFT_OUTPUT).len();
            late[1] += harness.take::<Row>(LATE_RIGHT_OUTPUT).len();
        }
    }
    assert_eq!((in_order(found), late), (in_order(model.fired), model.late));
    for harness in &mut harnesses {
        assert!(harness.state("window-ends").unwrap().timers::<u64>().unwrap().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn groups_agree_with_the_model(steps in steps(), windows in windows()) {
        agrees(&steps, windows);
    }
}

fn pairs(windows: JoinWindows, config: HarnessConfig) -> OperatorHarness {
    let pair = |left: &Row, right: &Row, out: &mut Collector<(u32, u32)>| out.collect((left.1, right.1));
    let operator = WindowJoinOperator::<u64, Row, Row, (u32, u32), _, _, _>::new(
        windows,
        |left: &Row| left.0,
        |right: &Row| right.0,
        EachPair(pair),
        false,
    );
    OperatorHarness::start(operator.unwrap(), config, &[]).unwrap()
}

#[test]
fn many_pairs_of_a_window_leave_in_as_many_calls_as_there_is_room_for() {
    let config = HarnessConfig { batch_rows_max: 7, batches_per_call: 1, ..HarnessConfig::default() };
    let mut harness = pairs(JoinWindows::Sliced(SlicedWindows::tumbling(100)), config);
    for number in 0..40u32 {
        harness.push(0, vec![Record::new((1u64, number), 5)]).unwrap();
        harness.push(1, vec![Record::new((1u64, number), 99)]).unwrap();
    }
    harness.push(0, vec![Record::new((2u64, 77u32), 5)]).unwrap();
    assert_eq!(harness.step_watermark(99).unwrap(), eddyline_runtime::Progress::More);
    assert!(!harness.accepts_input());
    harness.advance_watermark(99).unwrap();
    assert!(harness.accepts_input());
    let found: Vec<_> = harness.take::<(u32, u32)>(0).into_iter().map(|row| row.value).collect();
    let expected: Vec<_> = (0..40).flat_map(|left| (0..40).map(move |right| (left, right))).collect();
    assert_eq!(found, expected);
}

#[test]
fn in_processing_time_the_clock_fires_and_the_end_of_input_fires_the_rest() {
    let clock = ManualClock::new(1_000_000);
    let config = HarnessConfig { clock: clock.clone(), ..HarnessConfig::default() };
    let mut harness = pairs(JoinWindows::Sliced(SlicedWindows::processing_time_tumbling(100)), config);
    harness.push(0, vec![Record::new((1u64, 1u32), 7)]).unwrap();
    clock.advance(60_000);
    harness.push(1, vec![Record::new((1u64, 2u32), i64::MIN)]).unwrap();
    harness.advance_watermark(1_000_000).unwrap();
    assert_eq!(harness.take::<(u32, u32)>(0), []);
    harness.advance_clock(1_100).unwrap();
    assert_eq!(harness.take::<(u32, u32)>(0), [Record::new((1, 2), 1_099)]);
    harness.push(0, vec![Record::new((1u64, 3u32), 7)]).unwrap();
    harness.push(1, vec![Record::new((1u64, 4u32), 7)]).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take::<(u32, u32)>(0), [Record::new((3, 4), 1_199)]);
}

#[test]
fn records_so_far_off_that_they_have_no_window_are_late() {
    for windows in [JoinWindows::Session { gap_ms: 10 }, JoinWindows::Sliced(SlicedWindows::tumbling(10))] {
        let mut harness = pairs(windows, HarnessConfig::default());
        harness.push(0, vec![Record::new((1u64, 1u32), i64::MAX - 1)]).unwrap();
        assert_eq!(harness.late(), 1, "{windows:?}");
    }
}

#[test]
fn records_without_a_time_are_an_error() {
    let mut harness = pairs(JoinWindows::Session { gap_ms: 10 }, HarnessConfig::default());
    assert!(harness.push(0, vec![Record::new((1u64, 1u32), i64::MIN)]).is_err());
}
