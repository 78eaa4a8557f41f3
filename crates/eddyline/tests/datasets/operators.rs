//! Operators on bounded data against what a few lines over vectors say, with so little memory that they spill.

use crate::support::{Shape, environment, run, shapes, sorted};
use eddyline::dataset::SortBy;
use eddyline::window::{Aggregator, Count};
use eddyline::{Collector, Environment, RestartStrategy};
use eddyline_state::MemoryFileSystem;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

type Row = (u16, String);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Long and short values, few and many keys; now and then so many that they do not fit in memory.
    let row = (prop_oneof![0u16..10, 0u16..2_000], prop_oneof!["[a-c]{0,2}", "[a-z]{20,60}"]);
    prop_oneof![prop::collection::vec(row.clone(), 0..100), prop::collection::vec(row, 1_000..4_000)]
}

fn little_memory(shape: Shape) -> Environment {
    let mut environment = environment(shape);
    environment.options_mut().runtime.memory_bytes = 2 << 20;
    environment
}

fn by_key(rows: &[Row]) -> BTreeMap<u16, Vec<Row>> {
    let mut groups: BTreeMap<u16, Vec<Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(row.0).or_default().push(row.clone());
    }
    groups
}

/// How many letters, and how many values.
#[derive(Clone)]
struct Letters;

impl Aggregator for Letters {
    type Input = Row;
    type State = (u64, u64);
    type Output = (u64, u64);

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }
    fn add(&self, state: &mut (u64, u64), input: Row) {
        *state = (state.0 + input.1.len() as u64, state.1 + 1);
    }
    fn merge(&self, state: &mut (u64, u64), other: &(u64, u64)) {
        *state = (state.0 + other.0, state.1 + other.1);
    }
    fn result(&self, state: &(u64, u64)) -> (u64, u64) {
        *state
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn sorted_data_is_in_order_over_all_instances(rows in rows(), shape in shapes()) {
        let environment = little_memory(shape);
        let data = environment.from_collection(rows.clone()).bounded();
        let order = SortBy::descending(|row: &Row| row.0).then_ascending(|row: &Row| row.1.clone());
        let whole = data.sort_by(order.clone()).collect();
        let parts = data.sort_partition(order).collect();
        run(&environment, "sort");
        let mut expected = rows.clone();
        expected.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        prop_assert_eq!(whole.rows(), expected);
        prop_assert_eq!(parts.rows().len(), rows.len());
    }

    #[test]
    fn distinct_first_and_count_equal_sets(rows in rows(), shape in shapes(), some in 0u64..50) {
        let environment = little_memory(shape);
        let data = environment.from_collection(rows.clone()).bounded();
        let distinct = data.distinct().collect();
        let keys = data.distinct_by(|row| row.0).map(|row| row.0).collect();
        let count = data.count().collect();
        let first = data.first(some).collect();
        run(&environment, "distinct");
        let mut expected = sorted(rows.clone());
        expected.dedup();
        prop_assert_eq!(sorted(distinct.rows()), expected);
        prop_assert_eq!(sorted(keys.rows()), by_key(&rows).into_keys().collect::<Vec<_>>());
        prop_assert_eq!(count.rows(), [rows.len() as u64]);
        prop_assert_eq!(first.rows().len() as u64, some.min(rows.len() as u64));
        let all = sorted(rows);
        prop_assert!(first.rows().iter().all(|row| all.binary_search(row).is_ok()));
    }

    #[test]
    fn groups_are_reduced_like_vectors(rows in rows(), shape in shapes()) {
        let environment = little_memory(shape);
        let groups = environment.from_collection(rows.clone()).bounded().group_by(|row| row.0);
        let greatest = groups.reduce(std::cmp::max).collect();
        let letters = groups.aggregate(Letters).collect();
        let counts = groups.count().collect();
        let sums = groups.sum(|row| row.1.len() as u64).collect();
        let lists = groups.reduce_group(|key, rows, out: &mut Collector<(u16, Vec<Row>)>| {
            out.collect((*key, sorted(rows.collect())));
        }).collect();
        run(&environment, "groups");
        let expected = by_key(&rows);
        let most = expected.values().map(|rows| rows.iter().max().unwrap().clone());
        prop_assert_eq!(sorted(greatest.rows()), most.collect::<Vec<_>>());
        let length = |rows: &[Row]| rows.iter().map(|row| row.1.len() as u64).sum::<u64>();
        let both = expected.iter().map(|(key, rows)| (*key, (length(rows), rows.len() as u64)));
        prop_assert_eq!(sorted(letters.rows()), both.collect::<Vec<_>>());
        let counted = expected.iter().map(|(key, rows)| (*key, rows.len() as u64));
        prop_assert_eq!(sorted(counts.rows()), counted.collect::<Vec<_>>());
        let summed = expected.iter().map(|(key, rows)| (*key, length(rows)));
        prop_assert_eq!(sorted(sums.rows()), summed.collect::<Vec<_>>());
        let listed = expected.into_iter().map(|(key, rows)| (key, sorted(rows)));
        prop_assert_eq!(sorted(lists.rows()), listed.collect::<Vec<_>>());
    }

    #[test]
    fn groups_are_seen_in_their_order(rows in rows(), shape in shapes(), some in 0usize..4) {
        let environment = little_memory(shape);
        let groups = environment.from_collection(rows.clone()).bounded().group_by(|row| row.0);
        let ordered = groups.sort_group(SortBy::descending(|row: &Row| row.1.clone()));
        let first = ordered.first(some).collect();
        let any = groups.first(some).collect();
        let told = ordered.reduce_group(|key, mut rows, out: &mut Collector<(u16, Option<Row>)>| {
            out.collect((*key, rows.next()));
        }).collect();
        let local = ordered.combine_group(|_, rows, out: &mut Collector<u64>| out.collect(rows.count() as u64));
        let local = local.sum(|count| *count).collect();
        run(&environment, "sorted groups");
        let mut expected = by_key(&rows);
        expected.values_mut().for_each(|rows| rows.sort_by(|one, other| other.1.cmp(&one.1)));
        let heads = expected.values().flat_map(|rows| rows.iter().take(some).cloned());
        prop_assert_eq!(sorted(first.rows()), sorted(heads.collect()));
        let sizes = expected.values().map(|rows| rows.len().min(some)).sum::<usize>();
        prop_assert_eq!(any.rows().len(), sizes);
        let tops = expected.iter().map(|(key, rows)| (*key, rows.first().cloned()));
        prop_assert_eq!(sorted(told.rows()), tops.collect::<Vec<_>>());
        let all = if rows.is_empty() { Vec::new() } else { vec![rows.len() as u64] };
        prop_assert_eq!(local.rows(), all);
    }
}

#[test]
fn nothing_gives_nothing_but_a_count() {
    for parallelism in 1..=3 {
        let environment = little_memory(Shape { parallelism, batch_rows: 16, tick_millis: 1 });
        let nothing = environment.from_collection(Vec::<u64>::new()).bounded();
        let count = nothing.count().collect();
        let sum = nothing.sum(|number| *number).collect();
        let sort = nothing.sort_by(SortBy::ascending(|number: &u64| *number)).collect();
        let least = nothing.min_by(|number| *number).collect();
        let counted = nothing.aggregate(Count::new()).collect();
        run(&environment, "nothing");
        assert_eq!(count.rows(), [0]);
        assert!(sum.is_empty() && sort.is_empty() && least.is_empty() && counted.is_empty());
    }
}

#[test]
fn a_job_that_fails_begins_again_and_gives_each_result_once() {
    for parallelism in 1..=3 {
        let mut environment = little_memory(Shape { parallelism, batch_rows: 64, tick_millis: 1 });
        {
            let mut options = environment.options_mut();
            options.runtime.checkpoint_dir = Some("/checkpoints".into());
            options.runtime.file_system = Arc::new(MemoryFileSystem::new());
            options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1 });
        }
        let failures = Arc::new(AtomicU32::new(0));
        let failed = failures.clone();
        let numbers = environment.from_collection((0..20_000u64).collect()).bounded();
        let sums = numbers.group_by(|number| number % 10).sum(|number| *number).map(move |(key, sum)| {
            // The first result of all comes when everything has been collected.
            assert!(failures.fetch_add(1, Ordering::SeqCst) > 0, "not yet");
            (key, sum)
        });
        let sums = sums.collect();
        run(&environment, "sums");
        assert!(failed.load(Ordering::SeqCst) > 10);
        let expected = (0..10u64).map(|key| (key, (0..2_000).map(|step| key + 10 * step).sum::<u64>()));
        assert_eq!(sorted(sums.rows()), expected.collect::<Vec<_>>());
    }
}

#[test]
fn periodic_checkpoints_are_refused() {
    let mut environment = Environment::new();
    environment.options_mut().set("execution.checkpointing.interval", "1 s").unwrap();
    environment.from_collection(vec![1u8]).bounded().distinct().print();
    let error = environment.execute("job").unwrap_err();
    assert!(error.report().contains("execution.checkpointing.interval"), "{}", error.report());
}

#[test]
fn a_panic_in_a_group_names_the_operator() {
    let environment = Environment::new();
    let numbers = environment.from_collection(vec![1u8, 2]).bounded();
    let groups = numbers.group_by(|number| *number).reduce_group(|key, _, out: &mut Collector<u8>| {
        assert!(*key < 2, "too much");
        out.collect(*key);
    });
    groups.name("careful").print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("too much") && report.contains("careful"), "{report}");
}
