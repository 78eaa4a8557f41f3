//! The interval join against a model that compares each record with each.

use super::{Interval, IntervalJoinOperator, LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, PairTimes};
use crate::function::Collector;
use eddyline_core::key::owner_of;
use eddyline_core::{Data, EventTime, Record, WATERMARK_MAX, WATERMARK_MIN, key_group_of};
use eddyline_runtime::Operator;
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use proptest::prelude::*;

/// Key and number.
type Row = (u64, u32);
/// Key, left number, right number.
type Pair = (u64, u32, u32);

#[derive(Debug, Clone)]
enum Step {
    /// To the left side, else to the right one.
    Rows(bool, Vec<(u8, i16)>),
    Watermark(i16),
    Restore(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = prop::collection::vec((0u8..4, 0i16..120), 1..8);
    let step = prop_oneof![
        6 => (any::<bool>(), rows).prop_map(|(left, rows)| Step::Rows(left, rows)),
        2 => (0i16..30).prop_map(Step::Watermark),
        1 => (1u32..5).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..20)
}

fn operator(interval: Interval) -> impl Operator + 'static {
    let pair = |left: &Row, right: &Row, times: PairTimes, out: &mut Collector<(Pair, i64)>| {
        out.collect(((left.0, left.1, right.1), times.right - times.left));
        Ok(())
    };
    IntervalJoinOperator::new(interval, |left: &Row| left.0, |right: &Row| right.0, pair, true).unwrap()
}

fn start(interval: Interval, parallelism: u32, snapshots: &[HarnessSnapshot]) -> Vec<OperatorHarness> {
    (0..parallelism)
        .map(|instance| {
            let config = HarnessConfig {
                instance,
                parallelism,
                max_parallelism: 16,
                batch_rows_max: 3,
                ..Default::default()
            };
            OperatorHarness::start(operator(interval), config, snapshots).unwrap()
        })
        .collect()
}

fn push<T: Data>(harnesses: &mut [OperatorHarness], input: usize, rows: &[Record<(u64, T)>]) {
    let parallelism = harnesses.len() as u32;
    for (instance, harness) in harnesses.iter_mut().enumerate() {
        let owner =
            |row: &&Record<(u64, T)>| owner_of(key_group_of(row.value.0.stable_hash(), 16), 16, parallelism);
        let own = rows.iter().filter(|row| owner(row) as usize == instance).cloned().collect();
        harness.push(input, own).unwrap();
    }
}

fn agrees(steps: &[Step], interval: Interval) {
    let mut harnesses = start(interval, 1, &[]);
    let mut sides: [Vec<Record<Row>>; 2] = Default::default();
    let (mut watermark, mut serial, mut late) = (WATERMARK_MIN, 0, [0, 0]);
    let (mut found, mut found_late): (Vec<(EventTime, Pair, i64)>, _) = (Vec::new(), [0, 0]);
    for step in steps {
        match step {
            Step::Rows(is_left, of) => {
                let side = usize::from(!is_left);
                let mut rows = Vec::new();
                for (key, time) in of {
                    serial += 1;
                    rows.push(Record::new((u64::from(*key), serial), i64::from(*time)));
                }
                push(&mut harnesses, side, &rows);
                for row in rows {
                    if row.timestamp < watermark {
                        late[side] += 1;
                    } else {
                        sides[side].push(row);
                    }
                }
            }
            Step::Watermark(ahead) => {
                watermark = watermark.max(-10) + i64::from(*ahead);
                for harness in &mut harnesses {
                    harness.advance_watermark(watermark).unwrap();
                    assert_eq!(harness.output_watermark(), watermark - 1);
                }
            }
            Step::Restore(parallelism) => {
                let snapshots: Vec<_> =
                    harnesses.iter_mut().map(|harness| harness.snapshot().unwrap()).collect();
                harnesses = start(interval, *parallelism, &snapshots);
            }
        }
        for harness in &mut harnesses {
            for row in harness.take::<(Pair, i64)>(0) {
                assert!(row.timestamp > harness.output_watermark(), "behind the watermark that was promised");
                found.push((row.timestamp, row.value.0, row.value.1));
            }
            found_late[0] += harness.take::<Row>(LATE_LEFT_OUTPUT).len();
            found_late[1] += harness.take::<Row>(LATE_RIGHT_OUTPUT).len();
        }
    }
    let mut expected = Vec::new();
    for left in &sides[0] {
        for right in sides[1].iter().filter(|right| right.value.0 == left.value.0) {
            let distance = right.timestamp - left.timestamp;
            if (interval.lower_ms..=interval.upper_ms).contains(&distance) {
                let pair = (left.value.0, left.value.1, right.value.1);
                expected.push((left.timestamp.max(right.timestamp), pair, distance));
            }
        }
    }
    found.sort();
    expected.sort();
    assert_eq!((found, found_late), (expected, late));
    // Nothing is kept that cannot be of use any more.
    for harness in &mut harnesses {
        harness.advance_watermark(WATERMARK_MAX).unwrap();
        for state in ["left-rows", "right-rows"] {
            let kept =
                harness.state(state).unwrap().keyed::<u64, std::collections::BTreeMap<i64, Vec<Row>>>();
            assert_eq!(kept.unwrap(), []);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn pairs_agree_with_the_model(steps in steps(), lower in -40i64..30, width in 0i64..40) {
        agrees(&steps, Interval { lower_ms: lower, upper_ms: lower + width });
    }
}

#[test]
fn rows_go_as_soon_as_all_partners_are_late() {
    let interval = Interval { lower_ms: -10, upper_ms: 100 };
    let mut harness = OperatorHarness::start(operator(interval), HarnessConfig::default(), &[]).unwrap();
    for time in 0..1_000i64 {
        harness.push(0, vec![Record::new((1u64, time as u32), time)]).unwrap();
        harness.push(1, vec![Record::new((2u64, time as u32), time)]).unwrap();
        harness.advance_watermark(time).unwrap();
    }
    type Kept = std::collections::BTreeMap<i64, Vec<Row>>;
    let times = |harness: &mut OperatorHarness, state: &str| {
        let kept = harness.state(state).unwrap().keyed::<u64, Kept>().unwrap();
        kept.into_iter().map(|(_, rows)| (rows.len(), *rows.keys().next().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(times(&mut harness, "left-rows"), [(101, 899)]);
    assert_eq!(times(&mut harness, "right-rows"), [(11, 989)]);
}

#[test]
fn impossible_intervals_are_refused() {
    assert!(Interval { lower_ms: 1, upper_ms: 0 }.check().is_err());
    assert!(Interval { lower_ms: 0, upper_ms: 0 }.check().is_ok());
    let mut harness = OperatorHarness::start(
        operator(Interval { lower_ms: 0, upper_ms: 0 }),
        HarnessConfig::default(),
        &[],
    )
    .unwrap();
    assert!(harness.push(0, vec![Record::new((1u64, 1u32), i64::MIN)]).is_err(), "no event time");
}
