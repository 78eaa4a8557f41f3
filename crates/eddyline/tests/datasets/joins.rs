//! Joins, co-groups and what else needs two inputs or whole partitions, against loops over vectors.

use crate::support::{Shape, environment, run, shapes, sorted};
use eddyline::dataset::{JoinStrategy, SortBy};
use eddyline::{Collector, DataSet, Environment};
use proptest::prelude::*;
use std::collections::BTreeSet;

type Row = (u16, String);
/// Key and length of both sides: less to collect than the rows.
type Pair = (Option<(u16, u16)>, Option<(u16, u16)>);

fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    // Few values share their key, so that what the test collects fits in memory.
    let row = (prop_oneof![1 => 0u16..6, 3 => 0u16..800], prop_oneof!["[a-c]{0,2}", "[a-z]{30,60}"]);
    prop_oneof![prop::collection::vec(row.clone(), 0..40), prop::collection::vec(row, most / 2..most)]
}

fn little_memory(shape: Shape) -> Environment {
    let mut environment = environment(shape);
    environment.options_mut().runtime.memory_bytes = 2 << 20;
    environment
}

fn shown(row: &Row) -> (u16, u16) {
    (row.0, row.1.len() as u16)
}

/// All pairs with equal keys, and what is alone on either side.
fn joined(left: &[Row], right: &[Row]) -> (Vec<Pair>, Vec<Row>, Vec<Row>) {
    let pairs = left.iter().flat_map(|one| {
        let partners = right.iter().filter(|other| other.0 == one.0);
        partners.map(|other| (Some(shown(one)), Some(shown(other)))).collect::<Vec<_>>()
    });
    let keys = |rows: &[Row]| rows.iter().map(|row| row.0).collect::<BTreeSet<_>>();
    let (left_keys, right_keys) = (keys(left), keys(right));
    let left_alone = left.iter().filter(|row| !right_keys.contains(&row.0)).cloned().collect();
    let right_alone = right.iter().filter(|row| !left_keys.contains(&row.0)).cloned().collect();
    (pairs.collect(), left_alone, right_alone)
}

fn strategies() -> impl Strategy<Value = JoinStrategy> {
    prop::sample::select(vec![
        JoinStrategy::Automatic,
        JoinStrategy::HashBuildLeft,
        JoinStrategy::HashBuildRight,
        JoinStrategy::BroadcastLeft,
        JoinStrategy::BroadcastRight,
        JoinStrategy::SortMerge,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn joins_equal_nested_loops(
        left in rows(600),
        right in rows(300),
        shape in shapes(),
        strategy in strategies(),
    ) {
        let environment = little_memory(shape);
        let data = |rows: &Vec<Row>| environment.from_collection(rows.clone()).bounded();
        let both = data(&left).join(&data(&right), |row| row.0, |row| row.0).with_strategy(strategy);
        let pair = |one: Option<&Row>, other: Option<&Row>| (one.map(shown), other.map(shown));
        let inner = both.inner(move |one, other| pair(Some(one), Some(other))).collect();
        let broadcast_left = strategy == JoinStrategy::BroadcastLeft;
        let broadcast_right = strategy == JoinStrategy::BroadcastRight;
        let from_left = (!broadcast_left).then(|| {
            let outer = both.left_outer(move |one, other| pair(Some(one), other)).collect();
            (outer, both.left_semi().collect(), both.left_anti().collect())
        });
        let from_right =
            (!broadcast_right).then(|| both.right_outer(move |one, other| pair(one, Some(other))).collect());
        let full = (!broadcast_left && !broadcast_right).then(|| both.full_outer(pair).collect());
        run(&environment, "joins");

        let (pairs, left_alone, right_alone) = joined(&left, &right);
        let left_pairs: Vec<Pair> = left_alone.iter().map(|row| (Some(shown(row)), None)).collect();
        let right_pairs: Vec<Pair> = right_alone.iter().map(|row| (None, Some(shown(row)))).collect();
        prop_assert_eq!(sorted(inner.rows()), sorted(pairs.clone()));
        if let Some((outer, semi, anti)) = from_left {
            prop_assert_eq!(sorted(outer.rows()), sorted([pairs.clone(), left_pairs.clone()].concat()));
            let alone: BTreeSet<u16> = left_alone.iter().map(|row| row.0).collect();
            let kept = left.iter().filter(|row| !alone.contains(&row.0)).cloned();
            prop_assert_eq!(sorted(semi.rows()), sorted(kept.collect()));
            prop_assert_eq!(sorted(anti.rows()), sorted(left_alone));
        }
        if let Some(outer) = from_right {
            prop_assert_eq!(sorted(outer.rows()), sorted([pairs.clone(), right_pairs.clone()].concat()));
        }
        if let Some(full) = full {
            prop_assert_eq!(sorted(full.rows()), sorted([pairs, left_pairs, right_pairs].concat()));
        }
    }

    #[test]
    fn co_groups_see_both_groups_of_every_key(left in rows(1_500), right in rows(1_500), shape in shapes()) {
        let environment = little_memory(shape);
        let data = |rows: &Vec<Row>| environment.from_collection(rows.clone()).bounded().group_by(|row| row.0);
        let told = data(&left).co_group(&data(&right), |key, left, right, out: &mut Collector<_>| {
            // The left rows are only looked at, not all taken.
            out.collect((*key, left.take(2).count() as u64, sorted(right.collect::<Vec<Row>>())));
        });
        let told = told.collect();
        run(&environment, "co-group");
        let keys: BTreeSet<u16> = left.iter().chain(&right).map(|row| row.0).collect();
        let expected = keys.into_iter().map(|key| {
            let of = |rows: &[Row]| rows.iter().filter(|row| row.0 == key).cloned().collect::<Vec<_>>();
            (key, of(&left).len().min(2) as u64, sorted(of(&right)))
        });
        prop_assert_eq!(sorted(told.rows()), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_cross_is_every_pair(left in rows(200), right in rows(150), shape in shapes()) {
        let mut environment = environment(shape);
        environment.options_mut().runtime.memory_bytes = 1 << 20;
        let data = |rows: &Vec<Row>| environment.from_collection(rows.clone()).bounded();
        let crossed = data(&left).cross(&data(&right), |one, other| (one.0, one.1.len() as u64, other.clone()));
        let crossed = crossed.collect();
        run(&environment, "cross");
        let expected = left.iter().flat_map(|one| {
            right.iter().map(|other| (one.0, one.1.len() as u64, other.clone())).collect::<Vec<_>>()
        });
        prop_assert_eq!(sorted(crossed.rows()), sorted(expected.collect()));
    }

    #[test]
    fn partitions_and_numbers(rows in rows(3_000), shape in shapes()) {
        let environment = little_memory(shape);
        let data = environment.from_collection(rows.clone()).bounded();
        let sizes = data.map_partition(|rows| std::iter::once(rows.count() as u64)).collect();
        let doubled = data.map_partition(|rows| rows.flat_map(|row| [row.clone(), row])).collect();
        let numbered = data.zip_with_index().collect();
        let unique = data.zip_with_unique_id().collect();
        let order = SortBy::ascending(|row: &Row| row.clone());
        let ranks = data.sort_by(order).zip_with_index().collect();
        run(&environment, "partitions");
        prop_assert_eq!(sizes.rows().iter().sum::<u64>(), rows.len() as u64);
        prop_assert_eq!(sizes.rows().len(), shape.parallelism as usize);
        prop_assert_eq!(sorted(doubled.rows()), sorted([rows.clone(), rows.clone()].concat()));
        let numbers = |rows: Vec<(u64, Row)>| sorted(rows.into_iter().map(|(number, _)| number).collect());
        prop_assert_eq!(numbers(numbered.rows()), (0..rows.len() as u64).collect::<Vec<_>>());
        let ids = numbers(unique.rows());
        prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(ids.len(), rows.len());
        let ranked: Vec<(u64, Row)> = (0..).zip(sorted(rows)).collect();
        prop_assert_eq!(sorted(ranks.rows()), ranked);
    }
}

#[test]
fn broadcasting_a_side_that_is_emitted_alone_is_refused() {
    let environment = Environment::new();
    let numbers = |numbers: Vec<u64>| -> DataSet<u64> { environment.from_collection(numbers).bounded() };
    let both = numbers(vec![1]).join(&numbers(vec![2]), |number| *number, |number| *number);
    let both = both.with_strategy(JoinStrategy::BroadcastRight);
    both.right_outer(|_, right| *right).print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("right outer join cannot be done by BroadcastRight"), "{report}");
}
