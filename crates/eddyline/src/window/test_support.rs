//! Driving several instances of a window operator through batches, watermarks and restores at other parallelism.

use super::{LATE_OUTPUT, WindowResult};
use eddyline_core::key::owner_of;
use eddyline_core::{Data, EventTime, Record, key_group_of};
use eddyline_runtime::Operator;
use eddyline_runtime::harness::{HarnessConfig, OperatorHarness};
use proptest::prelude::*;

/// Key, number, time.
pub(super) type Row = (String, i64);
/// End, start, key, count, sum of numbers.
pub(super) type Fired = (EventTime, EventTime, String, u64, i64);

/// What happens to the operator under test.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Rows(Vec<(u8, i8, i16)>),
    Watermark(i16),
    Restore(u32),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (0u8..4, -5i8..5, -60i16..120);
    let step = prop_oneof![
        4 => prop::collection::vec(row, 1..12).prop_map(Step::Rows),
        3 => (0i16..40).prop_map(Step::Watermark),
        1 => (1u32..5).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..25)
}

pub(super) fn rows(of: &[(u8, i8, i16)]) -> Vec<Record<Row>> {
    of.iter()
        .map(|(key, number, time)| Record::new((format!("k{key}"), i64::from(*number)), i64::from(*time)))
        .collect()
}

/// Counts and sums.
#[derive(Clone)]
pub(super) struct CountAndSum;

impl super::Aggregator for CountAndSum {
    type Input = Row;
    type State = (u64, i64);
    type Output = (u64, i64);

    fn create(&self) -> (u64, i64) {
        (0, 0)
    }

    fn add(&self, state: &mut (u64, i64), input: Row) {
        *state = (state.0 + 1, state.1 + input.1);
    }

    fn merge(&self, state: &mut (u64, i64), other: &(u64, i64)) {
        *state = (state.0 + other.0, state.1 + other.1);
    }

    fn result(&self, state: &(u64, i64)) -> (u64, i64) {
        *state
    }
}

/// All instances of an operator.
pub(super) struct Instances<M> {
    make: M,
    harnesses: Vec<OperatorHarness>,
    batches_per_call: usize,
}

impl<O: Operator + 'static, M: Fn() -> O> Instances<M> {
    pub(super) fn new(make: M, batches_per_call: usize) -> Self {
        let mut instances = Instances { make, harnesses: Vec::new(), batches_per_call };
        instances.start(1, &[]);
        instances
    }

    fn start(&mut self, parallelism: u32, snapshots: &[eddyline_runtime::harness::HarnessSnapshot]) {
        self.harnesses = (0..parallelism)
            .map(|instance| {
                let config = HarnessConfig {
                    instance,
                    parallelism,
                    max_parallelism: 16,
                    batch_rows_max: if self.batches_per_call == 1 { 1 } else { 3 },
                    batches_per_call: self.batches_per_call,
                    ..HarnessConfig::default()
                };
                OperatorHarness::start((self.make)(), config, snapshots).unwrap()
            })
            .collect();
    }

    pub(super) fn push(&mut self, rows: Vec<Record<Row>>) {
        let parallelism = self.harnesses.len() as u32;
        for (instance, harness) in self.harnesses.iter_mut().enumerate() {
            let owner =
                |row: &Record<Row>| owner_of(key_group_of(row.value.0.stable_hash(), 16), 16, parallelism);
            let own = rows.iter().filter(|row| owner(row) as usize == instance).cloned().collect();
            harness.push(0, own).unwrap();
        }
    }

    /// Moves the watermark everywhere; answers what fired, in order, and how many records were late since.
    pub(super) fn watermark(&mut self, watermark: EventTime) -> (Vec<Fired>, u64) {
        let (mut fired, mut late) = (Vec::new(), 0);
        for harness in &mut self.harnesses {
            harness.advance_watermark(watermark).unwrap();
            assert!(harness.accepts_input());
            let rows = harness.take::<WindowResult<String, (u64, i64)>>(0);
            assert!(rows.is_sorted_by_key(|row| row.value.window.end));
            fired.extend(rows.into_iter().map(|row| {
                let WindowResult { key, window, value } = row.value;
                assert_eq!(row.timestamp, window.end - 1);
                (window.end, window.start, key, value.0, value.1)
            }));
            late += harness.take::<Row>(LATE_OUTPUT).len() as u64;
        }
        fired.sort();
        (fired, late)
    }

    pub(super) fn restore(&mut self, parallelism: u32) {
        let late: u64 = self.harnesses.iter().map(OperatorHarness::late).sum();
        assert!(late < u64::MAX);
        let snapshots: Vec<_> =
            self.harnesses.iter_mut().map(|harness| harness.snapshot().unwrap()).collect();
        self.start(parallelism, &snapshots);
    }
}
