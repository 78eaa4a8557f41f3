//! Showing a graph to people and to programs.

use super::{JobGraph, Partitioning};
use std::fmt::Write;

impl JobGraph {
    /// The graph as indented text: a line per operator, its inputs below it.
    pub fn to_text(&self) -> String {
        let mut text = format!("job `{}` ({} key groups)\n", self.name, self.max_parallelism);
        for node in &self.nodes {
            let parallelism =
                if node.parallelism == 0 { "one per worker".into() } else { node.parallelism.to_string() };
            let kind = format!("{:?}", node.kind).to_lowercase();
            let _ = writeln!(
                text,
                "[{}] {} ({kind}, uid `{}`, parallelism {parallelism})",
                node.id, node.name, node.uid
            );
            for edge in self.inputs_of(node.id) {
                let side =
                    if edge.output == 0 { String::new() } else { format!(" side output {}", edge.output) };
                let how = word(edge.partitioning);
                let _ = writeln!(text, "    input {} ← {how} ← [{}]{side}", edge.input, edge.from);
            }
        }
        text
    }

    /// The graph as JSON, with the field names of this type.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("invariant: a graph has only string keys")
    }

    /// The graph in the DOT language of Graphviz.
    pub fn to_dot(&self) -> String {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", escape(&self.name));
        for node in &self.nodes {
            let parallelism =
                if node.parallelism == 0 { String::new() } else { format!(" ×{}", node.parallelism) };
            let _ = writeln!(text, "  n{} [label=\"{}{parallelism}\"];", node.id, escape(&node.name));
        }
        for edge in &self.edges {
            let _ =
                writeln!(text, "  n{} -> n{} [label=\"{}\"];", edge.from, edge.to, word(edge.partitioning));
        }
        for tail in self.nodes.iter().filter(|node| node.kind == super::NodeKind::LoopTail) {
            for head in self.nodes.iter().filter(|node| node.kind == super::NodeKind::LoopHead) {
                if head.loop_id == tail.loop_id {
                    let _ =
                        writeln!(text, "  n{} -> n{} [label=\"feedback\", style=dashed];", tail.id, head.id);
                }
            }
        }
        text.push_str("}\n");
        text
    }
}

fn word(partitioning: Partitioning) -> &'static str {
    match partitioning {
        Partitioning::Forward => "forward",
        Partitioning::Hash => "hash",
        Partitioning::Rebalance => "rebalance",
        Partitioning::Rescale => "rescale",
        Partitioning::Shuffle => "shuffle",
        Partitioning::Broadcast => "broadcast",
        Partitioning::Global => "global",
        Partitioning::Custom => "custom",
    }
}
