//! The job graph: what is to be computed, before any worker exists.
//!
//! A [`JobGraph`] is a typed, serialisable, explainable DAG of nodes with stable uids; a [`Job`] adds the factories
//! from which every worker makes its instances. Loops are cut at their feedback edge into a tail and a head node,
//! so the graph stays acyclic.

mod build;
mod explain;
mod fuse;
#[cfg(test)]
mod tests;

pub use build::{JobBuilder, NodeHandle, NodeSpec};

use crate::operator::{Operator, Source, Stage};
use crate::partition::PartitionerFactory;
use eddyline_core::batch::DecodeRows;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The number of a node in its graph.
pub type NodeId = usize;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Brings records in.
    Source,
    /// A stateless step, fused with its neighbours.
    Stage,
    /// An operator with state, timers or several inputs.
    Operator,
    /// An operator that takes records out.
    Sink,
    /// Where the records of a loop come back in.
    LoopHead,
    /// Where the records of a loop go round.
    LoopTail,
}

/// How the records of an edge are distributed over the instances of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partitioning {
    /// To the instance with the same number, on the same worker.
    Forward,
    /// By key group of the record's key.
    Hash,
    /// Evenly, batch by batch.
    Rebalance,
    /// Evenly, batch by batch, to some of the instances: each sender serves its own share of them.
    Rescale,
    /// Record by record, to instances drawn at random.
    Shuffle,
    /// To all instances.
    Broadcast,
    /// To instance 0.
    Global,
    /// By a function of the user's.
    Custom,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Its stable identity: state is found again by it.
    pub uid: String,
    /// Its name, for people.
    pub name: String,
    /// What it does.
    pub kind: NodeKind,
    /// Number of instances; 0 means one per worker.
    pub parallelism: u32,
    /// Number of outputs; output 0 is the main one, others are side outputs.
    pub outputs: usize,
    /// Whether it wants to know the watermark.
    pub uses_watermarks: bool,
    /// Whether it generates watermarks for what follows it.
    pub generates_watermarks: bool,
    /// Whether it keeps its input until the end, with a share of the worker's memory for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds_input: bool,
    /// The names of the stages fused into it, in order, if it is a chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// For a loop's head and tail: the loop's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_id: Option<usize>,
}

/// An edge of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Its number.
    pub id: usize,
    /// The sender.
    pub from: NodeId,
    /// The sender's output.
    pub output: usize,
    /// The receiver.
    pub to: NodeId,
    /// The receiver's input.
    pub input: usize,
    /// How records are distributed.
    pub partitioning: Partitioning,
}

/// The graph of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobGraph {
    /// The job's name.
    pub name: String,
    /// Number of key groups, the upper bound of every parallelism.
    pub max_parallelism: u32,
    /// Nodes in topological order.
    pub nodes: Vec<Node>,
    /// Edges.
    pub edges: Vec<Edge>,
}

/// Makes the instances of a node; shared by all workers.
#[derive(Clone)]
pub enum NodeFactory {
    /// Makes sources.
    Source(Arc<dyn Fn() -> Box<dyn Source> + Send + Sync>),
    /// Makes the stages of a chain.
    Stages(Vec<StageFactory>),
    /// Makes operators.
    Operator(Arc<dyn Fn() -> Box<dyn Operator> + Send + Sync>),
    /// The runtime itself makes the two ends of a loop; they need to know how to encode its records.
    LoopEnd,
}

/// Makes a stage.
pub type StageFactory = Arc<dyn Fn() -> Box<dyn Stage> + Send + Sync>;

/// What the runtime has to know of an edge beyond the graph.
#[derive(Clone)]
pub struct EdgeSpec {
    /// Decodes rows that come from another process.
    pub decode: DecodeRows,
    /// Distributes rows; none for forward edges.
    pub partitioner: Option<PartitionerFactory>,
}

/// A graph and the factories that bring it to life.
#[derive(Clone)]
pub struct Job {
    /// The graph.
    pub graph: JobGraph,
    /// A factory per node.
    pub factories: Vec<NodeFactory>,
    /// What the runtime has to know per edge.
    pub edges: Vec<EdgeSpec>,
}

impl JobGraph {
    /// The edges that lead into `node`, by input.
    pub fn inputs_of(&self, node: NodeId) -> Vec<&Edge> {
        let mut edges: Vec<&Edge> = self.edges.iter().filter(|edge| edge.to == node).collect();
        edges.sort_by_key(|edge| (edge.input, edge.id));
        edges
    }

    /// The edges that lead out of `node`.
    pub fn outputs_of(&self, node: NodeId) -> Vec<&Edge> {
        self.edges.iter().filter(|edge| edge.from == node).collect()
    }

    /// The watermark generators whose watermark reaches the inputs of `node`, by the shortest way: a generator
    /// stands in for everything before it.
    pub fn generators_before(&self, node: NodeId) -> Vec<NodeId> {
        let mut found = std::collections::BTreeSet::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut open: Vec<NodeId> = self.inputs_of(node).iter().map(|edge| edge.from).collect();
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            if self.nodes[next].generates_watermarks {
                found.insert(next);
            } else {
                open.extend(self.inputs_of(next).iter().map(|edge| edge.from));
            }
        }
        found.into_iter().collect()
    }

    /// The numbers of the loops whose body `node` is part of: it is reached from their head and leads to their tail.
    pub fn loops_around(&self, node: NodeId) -> Vec<usize> {
        let reachable = |start: NodeId, forward: bool| {
            let mut seen = std::collections::BTreeSet::new();
            let mut open = vec![start];
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    let edges = self.edges.iter();
                    if forward {
                        open.extend(edges.filter(|edge| edge.from == next).map(|edge| edge.to));
                    } else {
                        open.extend(edges.filter(|edge| edge.to == next).map(|edge| edge.from));
                    }
                }
            }
            seen
        };
        let (before, after) = (reachable(node, false), reachable(node, true));
        let ends = |kind: NodeKind, among: &std::collections::BTreeSet<NodeId>| -> Vec<usize> {
            let found = among.iter().map(|id| &self.nodes[*id]).filter(|found| found.kind == kind);
            found.filter_map(|found| found.loop_id).collect()
        };
        let tails = ends(NodeKind::LoopTail, &after);
        ends(NodeKind::LoopHead, &before).into_iter().filter(|number| tails.contains(number)).collect()
    }
}
