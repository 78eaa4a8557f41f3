//! Finds which nodes of a graph hang together, by a delta iteration:
//! `cargo run -p eddyline-examples --example connected_components -- -p 2 -- FILE…`, with a line `ONE OTHER` per edge;
//! without files, a small graph. Prints each node with the least node it can reach.

use eddyline::{Collector, DataSet, Environment, Result, WatermarkStrategy};
use eddyline_connectors::files::{TextFiles, TextLine};

/// Enough for graphs whose components are no wider.
const ROUNDS_MAX: u32 = 30;

type Edge = (u64, u64);

fn edges(environment: &Environment) -> DataSet<Edge> {
    let files = environment.arguments();
    if files.is_empty() {
        return environment.from_collection(vec![(1, 2), (2, 3), (4, 3), (5, 6), (7, 7)]).bounded();
    }
    let files = TextFiles::new(files);
    let lines =
        environment.from_source("edges", move || files.read_lines(), WatermarkStrategy::no_watermarks());
    let edges = lines.flat_map(|line: TextLine, out: &mut Collector<Edge>| {
        let mut numbers = line.line.split_whitespace().map_while(|word| word.parse().ok());
        if let (Some(one), Some(other)) = (numbers.next(), numbers.next()) {
            out.collect((one, other));
        }
    });
    edges.bounded()
}

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let edges = edges(&environment);
    let both_ways = edges.flat_map(|(one, other): Edge, out: &mut Collector<Edge>| {
        out.collect((one, other));
        out.collect((other, one));
    });
    let nodes = both_ways.map(|edge| edge.0).distinct().map(|node| (node, node));
    // A node whose component has changed offers it to its neighbours; what is better than what they know, counts.
    let components = nodes.iterate_delta(
        &nodes,
        ROUNDS_MAX,
        |node| node.0,
        |components, changed| {
            let offers = changed.join(&both_ways, |node| node.0, |edge| edge.0);
            let offers = offers.inner(|node, edge| (edge.1, node.1));
            let least = offers.group_by(|offer| offer.0).min_by(|offer| offer.1);
            let known = least.join(components, |offer| offer.0, |node| node.0);
            let better =
                known.inner(|offer, node| (*offer, node.1)).filter(|(offer, known)| offer.1 < *known);
            let better = better.map(|(offer, _)| offer);
            (better.clone(), better)
        },
    );
    components.map(|(node, component)| format!("{node} {component}")).print();
    environment.execute("connected-components")?;
    Ok(())
}
