//! Iterations, broadcast sets and the mode of a job, against loops over vectors.

use crate::support::{Shape, environment, run, shapes, sorted};
use eddyline::{Collector, DataSet, Environment};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Edge = (u64, u64);

/// The least number that each node can reach, and how many rounds that takes.
fn components(nodes: u64, edges: &[Edge]) -> Vec<Edge> {
    let mut least: Vec<u64> = (0..nodes).collect();
    loop {
        let before = least.clone();
        for (one, other) in edges {
            let (one, other) = (*one as usize, *other as usize);
            let both = least[one].min(least[other]);
            (least[one], least[other]) = (both, both);
        }
        if before == least {
            return (0..nodes).zip(least).collect();
        }
    }
}

fn ranks(nodes: u64, edges: &[Edge], rounds: usize) -> Vec<f64> {
    let links = |node: u64| edges.iter().filter(move |edge| edge.0 == node);
    let mut ranks = vec![1.0; nodes as usize];
    for _ in 0..rounds {
        let mut next = vec![0.15; nodes as usize];
        for node in 0..nodes {
            let share = ranks[node as usize] / links(node).count().max(1) as f64;
            links(node).for_each(|edge| next[edge.1 as usize] += 0.85 * share);
        }
        ranks = next;
    }
    ranks
}

fn page_rank(nodes: &DataSet<(u64, f64)>, edges: &DataSet<Edge>, rounds: u32) -> DataSet<(u64, f64)> {
    let links =
        edges.group_by(|edge| edge.0).reduce_group(|node, edges, out: &mut Collector<(u64, Vec<u64>)>| {
            out.collect((*node, edges.map(|edge| edge.1).collect()));
        });
    nodes.iterate(rounds, |ranks| {
        let shares = ranks
            .join(&links, |rank| rank.0, |links| links.0)
            .inner(|rank, links| (links.1.clone(), rank.1 / links.1.len() as f64));
        let shares = shares.flat_map(|(targets, share): (Vec<u64>, f64), out: &mut Collector<(u64, f64)>| {
            targets.into_iter().for_each(|target| out.collect((target, 0.85 * share)));
        });
        let base = ranks.map(|(node, _)| (node, 0.15));
        shares.union(&base).group_by(|share| share.0).sum(|share| share.1)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn connected_components_by_delta_iteration(
        edges in prop::collection::vec((0u64..10, 0u64..10), 0..12),
        shape in shapes(),
    ) {
        let environment = environment(shape);
        let both = edges.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
        let both = environment.from_collection(both.collect()).bounded();
        let nodes = environment.from_collection((0..10u64).map(|node| (node, node)).collect()).bounded();
        let found = nodes.iterate_delta(&nodes, 12, |node| node.0, |known, changed| {
            let offers = changed.join(&both, |node| node.0, |edge| edge.0).inner(|node, edge| (edge.1, node.1));
            let least = offers.group_by(|offer| offer.0).min_by(|offer| offer.1);
            let better = least.join(known, |offer| offer.0, |node| node.0).inner(|offer, node| {
                if offer.1 < node.1 { Some(*offer) } else { None }
            });
            let better = better.flat_map(|better: Option<Edge>, out: &mut Collector<Edge>| {
                better.into_iter().for_each(|better| out.collect(better));
            });
            (better.clone(), better)
        });
        let found = found.collect();
        run(&environment, "components");
        prop_assert_eq!(sorted(found.rows()), components(10, &edges));
    }

    #[test]
    fn page_ranks_equal_a_loop(
        edges in prop::collection::btree_set((0u64..8, 0u64..8), 0..30),
        shape in shapes(),
        rounds in 0u32..5,
    ) {
        let environment = environment(shape);
        let edges: Vec<Edge> = edges.into_iter().collect();
        let nodes = environment.from_collection((0..8u64).map(|node| (node, 1.0)).collect()).bounded();
        let found = page_rank(&nodes, &environment.from_collection(edges.clone()).bounded(), rounds).collect();
        run(&environment, "ranks");
        let found: BTreeMap<u64, f64> = found.rows().into_iter().collect();
        for (node, rank) in ranks(8, &edges, rounds as usize).into_iter().enumerate() {
            prop_assert!((found[&(node as u64)] - rank).abs() < 1e-9, "{node}: {found:?}, not {rank}");
        }
    }

    #[test]
    fn an_iteration_ends_when_its_criterion_is_empty(
        numbers in prop::collection::vec(1u64..100, 0..40),
        limit in 1u64..2_000,
        rounds in 0u32..8,
        shape in shapes(),
    ) {
        let environment = environment(shape);
        let data = environment.from_collection(numbers.clone()).bounded();
        // What is added in each round must not come out again once the iteration has ended.
        let added = environment.from_collection(vec![1u64]).bounded();
        let found = data.iterate_until(rounds, |numbers| {
            let next = numbers.map(|number| number * 2).union(&added);
            let small = next.filter(move |number| *number < limit);
            (next.clone(), small.filter(|number| *number > 1))
        });
        let found = found.collect();
        run(&environment, "doubled");
        let mut expected = numbers;
        for _ in 0..rounds {
            expected = expected.into_iter().map(|number| number * 2).chain([1]).collect();
            if !expected.iter().any(|number| *number > 1 && *number < limit) {
                break;
            }
        }
        prop_assert_eq!(sorted(found.rows()), sorted(expected));
    }

    #[test]
    fn a_broadcast_set_is_there_before_the_first_value(
        values in prop::collection::vec(0u64..50, 0..500),
        set in prop::collection::vec(0u64..50, 0..20),
        shape in shapes(),
    ) {
        let environment = environment(shape);
        let data = environment.from_collection(values.clone()).bounded();
        let whole = environment.from_collection(set.clone()).bounded();
        let with_set = data.with_broadcast_set(&whole);
        let sums = with_set.map(|value, set| value + set.iter().sum::<u64>()).collect();
        let members = with_set.filter(|value, set| set.contains(value)).collect();
        let pairs = with_set.flat_map(|set| {
            let greatest = set.into_iter().max();
            move |value: u64, out: &mut Collector<(u64, Option<u64>)>| out.collect((value, greatest))
        });
        let pairs = pairs.collect();
        run(&environment, "broadcast set");
        let sum = set.iter().sum::<u64>();
        prop_assert_eq!(sorted(sums.rows()), sorted(values.iter().map(|value| value + sum).collect()));
        let expected = values.iter().copied().filter(|value| set.contains(value));
        prop_assert_eq!(sorted(members.rows()), sorted(expected.collect()));
        let greatest = set.iter().copied().max();
        prop_assert_eq!(sorted(pairs.rows()), sorted(values.iter().map(|value| (*value, greatest)).collect()));
    }
}

#[test]
fn too_many_rounds_are_refused() {
    let environment = Environment::new();
    environment.from_collection(vec![1u8]).bounded().iterate(1_000, |data| data.clone()).print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("1000 rounds"), "{report}");
}

#[test]
fn batch_mode_is_told_to_operators_and_takes_no_checkpoints() {
    use eddyline::{DataGenerator, WatermarkStrategy};
    let mode = |mode: &str, endless: bool| {
        let mut environment = environment(Shape { parallelism: 2, batch_rows: 4, tick_millis: 1 });
        environment.options_mut().set("execution.runtime-mode", mode).unwrap();
        let generator = DataGenerator::new(|index| index);
        let generator = if endless { generator } else { generator.with_count(10) };
        environment.from_generator(generator, WatermarkStrategy::no_watermarks()).print();
        environment.build("job").unwrap().1
    };
    let is_batch = |options: &eddyline::JobOptions| options.services.get::<eddyline::BatchMode>().is_some();
    for (name, endless, batch) in [
        ("streaming", false, false),
        ("BATCH", true, true),
        ("automatic", false, true),
        ("AUTOMATIC", true, false),
    ] {
        let options = mode(name, endless);
        assert_eq!(is_batch(&options), batch, "{name}");
        assert_eq!(options.checkpoints.interval_ms.is_none(), batch, "{name}");
    }
    let mut environment = Environment::new();
    assert!(environment.options_mut().set("execution.runtime-mode", "sometimes").is_err());
    environment.options_mut().set("execution.runtime-mode", "batch").unwrap();
    environment.options_mut().set("execution.checkpointing.interval", "1 s").unwrap();
    environment.from_collection(vec![1u8]).print();
    assert!(environment.execute("job").unwrap_err().report().contains("execution.checkpointing.interval"));
}

#[test]
fn a_cached_file_is_found_or_missed_before_the_start() {
    let path = std::env::temp_dir().join(format!("eddyline-cached-{}", std::process::id()));
    std::fs::write(&path, "7").unwrap();
    let environment = Environment::new();
    let file = environment.register_cached_file(&path, "factor");
    let numbers = environment.from_collection(vec![1u64, 2]).bounded();
    let products = numbers.map_partition(move |rows| {
        let factor: u64 = std::fs::read_to_string(file.path()).unwrap().parse().unwrap();
        rows.map(move |number| number * factor)
    });
    let products = products.collect();
    run(&environment, "products");
    assert_eq!(sorted(products.rows()), [7, 14]);
    std::fs::remove_file(&path).unwrap();
    let report = environment.execute("again").unwrap_err().report();
    assert!(report.contains("cached file `factor` cannot be read"), "{report}");
    environment.register_cached_file(&path, "factor");
    assert!(environment.explain().unwrap_err().report().contains("twice"));
}
