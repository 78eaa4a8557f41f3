//! The join against a model that compares each row with each.

use super::{JoinOperator, JoinOptions, LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT};
use eddyline_core::key::owner_of;
use eddyline_core::{Data, EventTime, Record, WATERMARK_MAX, WATERMARK_MIN, key_group_of};
use eddyline_runtime::Operator;
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use proptest::prelude::*;

type Left = (u64, i32);
type Right = (u64, String);
/// Key, left number, right text.
type Pair = (u64, i32, String);

#[derive(Debug, Clone)]
enum Step {
    Left(Vec<(u8, i16)>),
    Right(Vec<(u8, i16)>),
    Watermark(i16),
    Restore(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = || prop::collection::vec((0u8..4, 0i16..100), 1..8);
    let step = prop_oneof![
        3 => rows().prop_map(Step::Left),
        3 => rows().prop_map(Step::Right),
        2 => (0i16..30).prop_map(Step::Watermark),
        1 => (1u32..5).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..20)
}

fn operator(retention_ms: Option<i64>) -> impl Operator + 'static {
    let join = |left: &Left, right: &Right| (left.0, left.1, right.1.clone());
    let options = JoinOptions { retention_ms, emits_late: true };
    JoinOperator::new(|left: &Left| left.0, |right: &Right| right.0, join, options).unwrap()
}

fn start(retention: Option<i64>, parallelism: u32, snapshots: &[HarnessSnapshot]) -> Vec<OperatorHarness> {
    (0..parallelism)
        .map(|instance| {
            let config = HarnessConfig {
                instance,
                parallelism,
                max_parallelism: 16,
                batch_rows_max: 3,
                ..Default::default()
            };
            OperatorHarness::start(operator(retention), config, snapshots).unwrap()
        })
        .collect()
}

fn push<T: Data>(harnesses: &mut [OperatorHarness], input: usize, rows: &[Record<(u64, T)>]) {
    let parallelism = harnesses.len() as u32;
    for (instance, harness) in harnesses.iter_mut().enumerate() {
        let owner =
            |row: &&Record<(u64, T)>| owner_of(key_group_of(row.value.0.stable_hash(), 16), 16, parallelism);
        harness
            .push(input, rows.iter().filter(|row| owner(row) as usize == instance).cloned().collect())
            .unwrap();
    }
}

#[derive(Default)]
struct Model {
    left: Vec<Record<Left>>,
    right: Vec<Record<Right>>,
    pairs: Vec<(EventTime, Pair)>,
    late: (usize, usize),
}

impl Model {
    fn pair(&mut self, left: &Record<Left>, right: &Record<Right>) {
        if left.value.0 == right.value.0 {
            let pair = (left.value.0, left.value.1, right.value.1.clone());
            self.pairs.push((left.timestamp.max(right.timestamp), pair));
        }
    }
}

fn agrees(steps: &[Step], retention: Option<i64>) {
    let mut harnesses = start(retention, 1, &[]);
    let (mut model, mut watermark, mut serial) = (Model::default(), WATERMARK_MIN, 0);
    let alive = |time: i64, watermark: i64| retention.is_none_or(|retention| time + retention >= watermark);
    let mut found: Vec<(EventTime, Pair)> = Vec::new();
    let mut late = (0, 0);
    for step in steps {
        match step {
            Step::Left(of) => {
                let mut rows = Vec::new();
                for (key, time) in of {
                    serial += 1;
                    rows.push(Record::new((u64::from(*key), serial), i64::from(*time)));
                }
                push(&mut harnesses, 0, &rows);
                for row in rows {
                    if alive(row.timestamp, watermark) {
                        model.right.clone().iter().for_each(|right| model.pair(&row, right));
                        model.left.push(row);
                    } else {
                        model.late.0 += 1;
                    }
                }
            }
            Step::Right(of) => {
                let mut rows = Vec::new();
                for (key, time) in of {
                    serial += 1;
                    rows.push(Record::new((u64::from(*key), format!("r{serial}")), i64::from(*time)));
                }
                push(&mut harnesses, 1, &rows);
                for row in rows {
                    if alive(row.timestamp, watermark) {
                        model.left.clone().iter().for_each(|left| model.pair(left, &row));
                        model.right.push(row);
                    } else {
                        model.late.1 += 1;
                    }
                }
            }
            Step::Watermark(ahead) => {
                watermark = watermark.max(-10) + i64::from(*ahead);
                harnesses.iter_mut().for_each(|harness| harness.advance_watermark(watermark).unwrap());
                model.left.retain(|row| alive(row.timestamp, watermark));
                model.right.retain(|row| alive(row.timestamp, watermark));
            }
            Step::Restore(parallelism) => {
                let snapshots: Vec<_> =
                    harnesses.iter_mut().map(|harness| harness.snapshot().unwrap()).collect();
                harnesses = start(retention, *parallelism, &snapshots);
            }
        }
        for harness in &mut harnesses {
            found.extend(harness.take::<Pair>(0).into_iter().map(|row| (row.timestamp, row.value)));
            late.0 += harness.take::<Left>(LATE_LEFT_OUTPUT).len();
            late.1 += harness.take::<Right>(LATE_RIGHT_OUTPUT).len();
        }
    }
    found.sort();
    model.pairs.sort();
    assert_eq!((found, late), (model.pairs, model.late));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn pairs_agree_with_the_model(
        steps in steps(),
        retention in prop_oneof![Just(None), Just(Some(0i64)), Just(Some(10)), Just(Some(40))],
    ) {
        agrees(&steps, retention);
    }
}

#[test]
fn a_side_that_waits_alone_is_state_and_goes_when_its_time_has_passed() {
    let mut harness = OperatorHarness::start(operator(Some(100)), HarnessConfig::default(), &[]).unwrap();
    let empty = harness.state_bytes();
    for time in 0..1_000i64 {
        harness.push(0, vec![Record::new((1u64, time as i32), time)]).unwrap();
        harness.advance_watermark(time).unwrap();
    }
    assert!(harness.accepts_input());
    // About a retention time and an eighth of rows is there, not all of them.
    assert!(harness.state_bytes() - empty < 300 * size_of::<super::Kept<Left>>());
    harness.push(1, vec![Record::new((1u64, "r".to_string()), 999)]).unwrap();
    assert_eq!(harness.take::<Pair>(0).len(), 101);
    harness.advance_watermark(WATERMARK_MAX).unwrap();
    harness.push(1, vec![Record::new((1u64, "r".to_string()), WATERMARK_MAX)]).unwrap();
    assert_eq!(harness.take::<Pair>(0).len(), 0);
}

#[test]
fn a_negative_retention_is_refused() {
    let join = |left: &u64, right: &u64| left + right;
    let options = JoinOptions { retention_ms: Some(-1), emits_late: false };
    assert!(JoinOperator::new(|left: &u64| *left, |right: &u64| *right, join, options).is_err());
}
