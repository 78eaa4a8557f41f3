//! Rolling aggregates against a model that goes over the records one by one.

use crate::support::{environment, run, shapes, sorted};
use eddyline::window::{Aggregator, Count};
use eddyline::{
    Data, DataGenerator, DataStream, Environment, KeyedStream, RestartStrategy, Ties, WatermarkStrategy,
};
use eddyline_state::MemoryFileSystem;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Key, a value to compare by, and a number that tells records apart.
type Row = (u8, i64, u32);

/// How an aggregate is described, and how the model of it takes in a record.
type Described = fn(&KeyedStream<u8, Row>) -> DataStream<Row>;
type Modelled = fn(Row, Row) -> Row;

const AGGREGATES: [(&str, Described, Modelled); 8] = [
    (
        "reduce",
        |keyed| keyed.reduce(|old, new| (old.0, old.1 * 3 - new.1, new.2)),
        |old, new| (old.0, old.1 * 3 - new.1, new.2),
    ),
    ("sum", |keyed| keyed.sum(|row| &mut row.1), |old, new| (old.0, old.1 + new.1, old.2)),
    ("min", |keyed| keyed.min(|row| &mut row.1), |old, new| (old.0, old.1.min(new.1), old.2)),
    ("max", |keyed| keyed.max(|row| &mut row.1), |old, new| (old.0, old.1.max(new.1), old.2)),
    ("min_by", |keyed| keyed.min_by(|row| row.1), |old, new| if new.1 < old.1 { new } else { old }),
    ("max_by", |keyed| keyed.max_by(|row| row.1), |old, new| if new.1 > old.1 { new } else { old }),
    (
        "min_by, last",
        |keyed| keyed.min_by_with(Ties::Last, |row| row.1),
        |old, new| {
            if new.1 <= old.1 { new } else { old }
        },
    ),
    (
        "max_by, last",
        |keyed| keyed.max_by_with(Ties::Last, |row| row.1),
        |old, new| {
            if new.1 >= old.1 { new } else { old }
        },
    ),
];

/// What leaves, in the order of the records.
fn model(rows: &[Row], next: Modelled) -> Vec<Row> {
    let mut states: BTreeMap<u8, Row> = BTreeMap::new();
    rows.iter()
        .map(|row| {
            let state = states.entry(row.0).and_modify(|state| *state = next(*state, *row)).or_insert(*row);
            *state
        })
        .collect()
}

/// The rows of each key, in order.
fn by_key(rows: &[Row]) -> BTreeMap<u8, Vec<Row>> {
    let mut keys: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
    rows.iter().for_each(|row| keys.entry(row.0).or_default().push(*row));
    keys
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0u8..4, -3i64..4), 0..60).prop_map(|rows| {
        rows.into_iter().enumerate().map(|(number, (key, value))| (key, value, number as u32)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_aggregate_equals_its_model(rows in rows(), shape in shapes()) {
        let environment = environment(shape);
        // One source instance keeps the order of the records of each key.
        let stream = environment.from_collection(rows.clone()).set_parallelism(1);
        let keyed = stream.key_by(|row| row.0);
        let results = AGGREGATES.map(|(name, describe, next)| (name, describe(&keyed).collect(), next));
        let folded = keyed.fold(Vec::new(), |all: &mut Vec<Row>, row| all.push(row)).collect();
        let counts = keyed.count().collect();
        let aggregated = keyed.aggregate(Count::new()).collect();
        run(&environment, "rolling");
        for (name, result, next) in results {
            prop_assert_eq!(by_key(&result.rows()), by_key(&model(&rows, next)), "{}", name);
        }
        let mut all: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
        let expected = rows.iter().map(|row| {
            let all = all.entry(row.0).or_default();
            all.push(*row);
            all.clone()
        });
        prop_assert_eq!(sorted(folded.rows()), sorted(expected.collect::<Vec<_>>()));
        let numbered = by_key(&rows).into_iter().flat_map(|(key, rows)| (1..=rows.len() as u64).map(move |n| (key, n)));
        let numbered: Vec<(u8, u64)> = numbered.collect();
        prop_assert_eq!(sorted(counts.rows()), numbered.clone());
        prop_assert_eq!(sorted(aggregated.rows()), numbered);
    }
}

#[test]
fn results_have_the_timestamps_of_their_records() {
    let environment = Environment::new();
    let rows = vec![((1u8, 5i64), 10), ((1, 6), 20), ((2, 7), 15)];
    let stream = environment.from_collection_with(rows, WatermarkStrategy::for_monotonous_timestamps());
    let sums = stream.key_by(|row| row.0).sum(|row| &mut row.1).collect();
    run(&environment, "timestamps");
    let times: Vec<(i64, i64)> =
        sums.records().iter().map(|record| (record.value.1, record.timestamp)).collect();
    assert_eq!(times, [(5, 10), (11, 20), (7, 15)]);
}

/// The mean, to see states and outputs of different types.
#[derive(Clone)]
struct Mean;

#[derive(Debug, Clone, PartialEq, Data)]
struct MeanState {
    sum: i64,
    count: i64,
}

impl Aggregator for Mean {
    type Input = u64;
    type State = MeanState;
    type Output = i64;

    fn create(&self) -> MeanState {
        MeanState { sum: 0, count: 0 }
    }
    fn add(&self, state: &mut MeanState, input: u64) {
        state.sum += input as i64;
        state.count += 1;
    }
    fn merge(&self, state: &mut MeanState, other: &MeanState) {
        state.sum += other.sum;
        state.count += other.count;
    }
    fn result(&self, state: &MeanState) -> i64 {
        state.sum / state.count
    }
}

#[test]
fn aggregates_go_on_where_they_were_after_failures() {
    const COUNT: u64 = 2_000;
    for parallelism in [1, 3] {
        let mut environment = Environment::new();
        {
            let mut options = environment.options_mut();
            options.parallelism = parallelism;
            options.runtime.checkpoint_dir = Some("/checkpoints".into());
            options.runtime.file_system = Arc::new(MemoryFileSystem::new());
            options.runtime.checkpoints.interval_ms = Some(20);
            options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
            options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 5, delay_ms: 1 });
        }
        let failures = Arc::new(AtomicU32::new(0));
        let failed = failures.clone();
        let numbers = DataGenerator::new(|index| index).with_count(COUNT).with_rate_per_second(6_000.0);
        let keyed = environment
            .from_generator(numbers, WatermarkStrategy::no_watermarks())
            .try_map(move |number| {
                let fatal = [700, 1_500].contains(&number);
                if fatal && number / 700 > u64::from(failures.load(Ordering::SeqCst)) {
                    failures.fetch_add(1, Ordering::SeqCst);
                    return Err("too much");
                }
                Ok(number)
            })
            .key_by(|number| number % 3);
        let counts = keyed.count().uid("count").collect();
        let means = keyed.aggregate(Mean).uid("mean").collect();
        run(&environment, "rolling");
        assert_eq!(failed.load(Ordering::SeqCst), 2, "both failures have happened");
        let numbered = (0..3u64).flat_map(|key| (1..=(COUNT - key).div_ceil(3)).map(move |n| (key, n)));
        assert_eq!(sorted(counts.rows()), numbered.collect::<Vec<_>>(), "parallelism {parallelism}");
        assert_eq!(means.len(), COUNT as usize);
    }
}

#[test]
fn batch_mode_gives_the_last_result_of_each_key_only() {
    for parallelism in [1, 3] {
        let mut environment = Environment::new();
        environment.set_parallelism(parallelism);
        environment.options_mut().set("execution.runtime-mode", "BATCH").unwrap();
        environment.options_mut().set("eddyline.batch-rows", "7").unwrap();
        let rows: Vec<(Row, i64)> =
            (0..5_000u32).map(|number| ((number as u8, 1, number), i64::from(number))).collect();
        let times = WatermarkStrategy::for_monotonous_timestamps();
        let sums = environment
            .from_collection_with(rows, times)
            .key_by(|row| row.0)
            .sum(|row| &mut row.1)
            .map(|row| (row.0, row.1))
            .collect();
        environment.execute("final sums").unwrap();
        let expected: Vec<(u8, i64)> = (0..=255u8)
            .map(|key| (key, (0..5_000u32).filter(|number| *number as u8 == key).count() as i64))
            .collect();
        assert_eq!(sorted(sums.rows()), expected);
    }
}
