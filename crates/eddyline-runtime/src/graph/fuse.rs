//! Fusing stateless steps in a row into one operator.

use super::{Chaining, Edge, Job, Node, NodeFactory, NodeKind, Partitioning};

/// Fuses every stage into the stage before it where a forward edge is the only connection between the two.
pub(super) fn fuse_stages(job: Job) -> Job {
    let Job { graph, factories, edges } = job;
    // Where each old node went: the number of a new node.
    let mut target: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    let mut nodes: Vec<Node> = Vec::new();
    let mut new_factories: Vec<NodeFactory> = Vec::new();
    let mut dropped_edges = vec![false; graph.edges.len()];
    for node in &graph.nodes {
        if let Some(edge) = fusable_edge(&graph.nodes, &graph.edges, node) {
            let into = target[edge.from];
            if nodes[into].chain.is_empty() {
                let first = nodes[into].name.clone();
                nodes[into].chain.push(first);
            }
            nodes[into].chain.push(node.name.clone());
            nodes[into].name = nodes[into].chain.join(" → ");
            if let (NodeFactory::Stages(chain), NodeFactory::Stages(more)) =
                (&mut new_factories[into], &factories[node.id])
            {
                chain.extend(more.iter().cloned());
            }
            dropped_edges[edge.id] = true;
            target.push(into);
        } else {
            let mut kept = node.clone();
            kept.id = nodes.len();
            target.push(kept.id);
            nodes.push(kept);
            new_factories.push(factories[node.id].clone());
        }
    }
    let mut new_edges = Vec::new();
    let mut new_specs = Vec::new();
    for edge in graph.edges.iter().filter(|edge| !dropped_edges[edge.id]) {
        let id = new_edges.len();
        new_edges.push(Edge { id, from: target[edge.from], to: target[edge.to], ..edge.clone() });
        new_specs.push(edges[edge.id].clone());
    }
    let graph = super::JobGraph { nodes, edges: new_edges, ..graph };
    Job { graph, factories: new_factories, edges: new_specs }
}

fn fusable_edge<'a>(nodes: &[Node], edges: &'a [Edge], node: &Node) -> Option<&'a Edge> {
    if node.kind != NodeKind::Stage {
        return None;
    }
    let mut inputs = edges.iter().filter(|edge| edge.to == node.id);
    let (edge, none) = (inputs.next()?, inputs.next());
    let only_reader = edges.iter().filter(|other| other.from == edge.from).count() == 1;
    let before = &nodes[edge.from];
    let fits = none.is_none()
        && only_reader
        && edge.partitioning == Partitioning::Forward
        && before.kind == NodeKind::Stage
        && before.parallelism == node.parallelism
        && before.slot_sharing_group == node.slot_sharing_group
        && before.chaining != Chaining::Never
        && node.chaining == Chaining::Always;
    fits.then_some(edge)
}
