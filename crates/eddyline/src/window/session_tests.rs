//! Session windows against a model that keeps every record by itself.

use super::test_support::{CountAndSum, Fired, Instances, Row, Step, rows, steps};
use super::{Count, SessionGapOf, SessionWindowOperator, WindowResult};
use eddyline_core::{EventTime, Record, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_runtime::harness::{HarnessConfig, OperatorHarness};
use proptest::prelude::*;
use std::sync::Arc;

/// A session per entry: key, start, end, count, sum; merged by comparing each with each.
#[derive(Default)]
struct Model {
    sessions: Vec<(String, EventTime, EventTime, u64, i64)>,
    late: u64,
}

impl Model {
    fn add(&mut self, gap: i64, row: &Record<Row>, watermark: EventTime) {
        let mut merged = (row.value.0.clone(), row.timestamp, row.timestamp + gap, 1, row.value.1);
        let mut rest = Vec::new();
        let mut alone = true;
        for session in std::mem::take(&mut self.sessions) {
            let touches =
                session.0 == merged.0 && session.1 <= row.timestamp + gap && session.2 >= row.timestamp;
            if touches {
                alone = false;
                merged.1 = merged.1.min(session.1);
                merged.2 = merged.2.max(session.2);
                merged.3 += session.3;
                merged.4 += session.4;
            } else {
                rest.push(session);
            }
        }
        if alone && merged.2 - 1 <= watermark {
            self.late += 1;
        } else {
            rest.push(merged);
        }
        self.sessions = rest;
    }

    fn fire(&mut self, watermark: EventTime) -> (Vec<Fired>, u64) {
        let (due, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sessions).into_iter().partition(|session| session.2 - 1 <= watermark);
        self.sessions = open;
        let mut fired: Vec<Fired> =
            due.into_iter().map(|(key, start, end, n, sum)| (end, start, key, n, sum)).collect();
        fired.sort();
        (fired, std::mem::take(&mut self.late))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn sessions_agree_with_the_model(
        steps in steps(),
        gap in prop_oneof![Just(1i64), Just(3), Just(10), Just(25)],
        // 1: the gap is the same for all records.
        gaps in prop_oneof![Just(1i64), Just(2), Just(20)],
        batches_per_call in prop_oneof![Just(1usize), Just(2), Just(usize::MAX)],
    ) {
        let gap_of = move |row: &Row| gap + row.1.rem_euclid(gaps);
        let make = || {
            let own = SessionGapOf::Each(Arc::new(move |row: &Row| Ok(gap_of(row))));
            let gap = if gaps == 1 { SessionGapOf::Fixed(gap) } else { own };
            SessionWindowOperator::with_gap(gap, |row: &Row| row.0.clone(), CountAndSum, true).unwrap()
        };
        let mut instances = Instances::new(make, batches_per_call);
        let (mut model, mut watermark) = (Model::default(), WATERMARK_MIN);
        for step in &steps {
            match step {
                Step::Rows(of) => {
                    let rows = rows(of);
                    rows.iter().for_each(|row| model.add(gap_of(&row.value), row, watermark));
                    instances.push(rows);
                }
                Step::Watermark(ahead) => {
                    watermark = watermark.max(-40) + i64::from(*ahead);
                    prop_assert_eq!(instances.watermark(watermark), model.fire(watermark));
                }
                Step::Restore(parallelism) => {
                    prop_assert_eq!(instances.watermark(watermark), model.fire(watermark));
                    instances.restore(*parallelism);
                }
            }
        }
        prop_assert_eq!(instances.watermark(WATERMARK_MAX), model.fire(WATERMARK_MAX));
    }
}

#[test]
fn a_pause_of_exactly_the_gap_does_not_end_a_session() {
    let operator = SessionWindowOperator::new(10, |key: &u64| *key, Count::new(), false).unwrap();
    let mut harness = OperatorHarness::start(operator, HarnessConfig::default(), &[]).unwrap();
    harness.push(0, [0, 10, 21, i64::MAX].map(|time| Record::new(1u64, time)).to_vec()).unwrap();
    harness.end().unwrap();
    let fired: Vec<_> = harness.take::<WindowResult<u64, u64>>(0).into_iter().map(|row| row.value).collect();
    assert_eq!(
        fired.iter().map(|row| (row.window.start, row.window.end, row.value)).collect::<Vec<_>>(),
        [(0, 20, 2), (21, 31, 1)]
    );
    assert_eq!(harness.late(), 1);
    assert!(SessionWindowOperator::new(0, |key: &u64| *key, Count::<u64>::new(), false).is_err());
}
