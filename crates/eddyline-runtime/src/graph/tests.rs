//! Tests of building, checking, fusing and explaining graphs.

use super::*;
use crate::context::OperatorContext;
use crate::operator::{SourceStatus, Stateful};
use crate::partition;
use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, Result};

struct Nothing;
impl Stateful for Nothing {}
impl Source for Nothing {
    fn poll(&mut self, _: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        Ok(SourceStatus::Finished)
    }
}
impl Operator for Nothing {
    fn on_batch(&mut self, _: usize, _: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }
}
impl Stage for Nothing {
    fn apply(&mut self, batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        emit(batch)
    }
}

fn forward(builder: &mut JobBuilder, from: NodeHandle, to: NodeHandle) {
    builder.connect((from, 0), (to, 0), Partitioning::Forward, None, decode_rows::<u64>);
}

fn by_key(builder: &mut JobBuilder, from: NodeHandle, to: NodeHandle) {
    let partitioner = Some(partition::rows_by_key(|value: &u64| *value));
    builder.connect((from, 0), (to, 0), Partitioning::Hash, partitioner, decode_rows::<u64>);
}

/// source → a → b ⇒ count → sink, with what `change` does to it.
fn build(change: impl FnOnce(&mut JobBuilder, [NodeHandle; 5])) -> Result<Job> {
    let mut builder = JobBuilder::new("job", 128);
    let source = builder.add_source(NodeSpec::named("source"), || Nothing);
    let first = builder.add_stage(NodeSpec::named("a"), || Nothing);
    let second = builder.add_stage(NodeSpec::named("b"), || Nothing);
    let count = builder.add_operator(NodeSpec::named("count").with_watermarks(), || Nothing);
    let sink = builder.add_sink(NodeSpec::named("sink"), || Nothing);
    forward(&mut builder, source, first);
    forward(&mut builder, first, second);
    by_key(&mut builder, second, count);
    forward(&mut builder, count, sink);
    change(&mut builder, [source, first, second, count, sink]);
    builder.build()
}

fn message(outcome: Result<Job>) -> String {
    outcome.err().map(|error| error.report()).unwrap_or_default()
}

#[test]
fn stages_in_a_row_are_fused_and_nothing_else() {
    let graph = build(|_, _| {}).unwrap().graph;
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["source", "a → b", "count", "sink"]);
    assert_eq!(graph.nodes[1].chain, ["a", "b"]);
    assert_eq!(graph.edges.len(), 3);
    assert_eq!(graph.generators_before(2), [0]);
}

#[test]
fn chaining_and_slot_sharing_groups_keep_stages_apart() {
    let nodes_of = |change: fn(&mut Node)| {
        let graph = build(|builder, [_, _, second, ..]| change(builder.node_mut(second)));
        graph.unwrap().graph
    };
    assert_eq!(nodes_of(|_| {}).nodes.len(), 4);
    let apart = nodes_of(|node| node.chaining = Chaining::Head);
    assert_eq!(apart.nodes.len(), 5);
    assert!(apart.to_text().contains("starts a chain"));
    assert!(nodes_of(|node| node.chaining = Chaining::Never).to_text().contains("never chained"));
    let before = build(|builder, [_, first, ..]| builder.node_mut(first).chaining = Chaining::Never);
    assert_eq!(before.unwrap().graph.nodes.len(), 5);
    let groups = nodes_of(|node| node.slot_sharing_group = Some("heavy".into()));
    let named: Vec<Option<&str>> =
        groups.nodes.iter().map(|node| node.slot_sharing_group.as_deref()).collect();
    assert_eq!(named, [None, None, Some("heavy"), Some("heavy"), Some("heavy")], "groups are inherited");
    assert!(groups.to_text().contains("slot sharing group `heavy`"));
    let json = groups.to_json();
    assert_eq!(serde_json::from_str::<JobGraph>(&json).unwrap(), groups);
}

#[test]
fn a_stage_that_two_read_is_not_fused() {
    let graph = build(|builder, [_, first, ..]| {
        let other = builder.add_sink(NodeSpec::named("other"), || Nothing);
        forward(builder, first, other);
    });
    assert_eq!(graph.unwrap().graph.nodes.len(), 6);
}

#[test]
fn explanations_name_every_operator_and_every_edge() {
    let graph = build(|_, _| {}).unwrap().graph;
    let text = graph.to_text();
    for part in ["job `job` (128 key groups)", "[1] a → b (stage", "input 0 ← hash ← [1]", "[3] sink (sink"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let back: JobGraph = serde_json::from_str(&graph.to_json()).unwrap();
    assert_eq!(back, graph);
    assert!(graph.to_dot().contains("n1 -> n2 [label=\"hash\"]"));
}

#[test]
fn uids_depend_on_what_an_operator_does_not_on_what_stands_beside_it() {
    let alone = build(|_, _| {}).unwrap().graph;
    let accompanied = build(|builder, [source, ..]| {
        let other = builder.add_sink(NodeSpec::named("other"), || Nothing);
        forward(builder, source, other);
    });
    let accompanied = accompanied.unwrap().graph;
    for node in &alone.nodes {
        assert!(accompanied.nodes.iter().any(|other| other.uid == node.uid), "{}", node.uid);
    }
}

#[test]
fn misuse_is_refused_before_anything_starts() {
    let twice = build(|builder, [.., count, sink]| {
        builder.set_uid(count, "x");
        builder.set_uid(sink, "x");
    });
    assert!(message(twice).contains("uid `x` is given twice"));
    let wide = build(|builder, [.., count, _]| builder.node_mut(count).parallelism = 1_000);
    assert!(message(wide).contains("more than the job's 128 key groups"));
    let uneven = build(|builder, [.., sink]| builder.node_mut(sink).parallelism = 1);
    assert!(message(uneven).contains("cannot forward"));
    let open = build(|builder, [source, ..]| {
        let head = builder.add_loop_head(NodeSpec::named("round"));
        forward(builder, source, head);
    });
    assert!(message(open).contains("loop `round` is never closed"));
    assert!(message(JobBuilder::new("empty", 128).build()).contains("no source"));
    assert!(message(JobBuilder::new("none", 0).build()).contains("maximum parallelism 0"));
}

#[test]
fn a_loop_s_body_is_what_lies_between_its_ends() {
    let job = build(|builder, [source, ..]| {
        let head = builder.add_loop_head(NodeSpec::named("head"));
        forward(builder, source, head);
        let body = builder.add_operator(NodeSpec::named("body"), || Nothing);
        forward(builder, head, body);
        let tail = builder.add_loop_tail(head, NodeSpec::named("tail"));
        forward(builder, body, tail);
        let after = builder.add_sink(NodeSpec::named("after"), || Nothing);
        forward(builder, body, after);
    });
    let graph = job.unwrap().graph;
    let number = |name: &str| graph.nodes.iter().position(|node| node.name == name).unwrap();
    assert_eq!(graph.loops_around(number("body")), [0]);
    assert!(graph.loops_around(number("after")).is_empty());
    assert!(graph.loops_around(number("count")).is_empty());
    assert!(graph.to_dot().contains("feedback"));
}
