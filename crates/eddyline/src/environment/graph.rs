//! The graph while it is being described.
//!
//! Nodes are added at once, edges are only noted: how an edge whose partitioning was left open distributes records
//! (forward, or rebalanced if the parallelisms differ) is known only when everybody has said how parallel they are.

use super::Options;
use crate::watermark::alignment::AlignmentGroups;
use eddyline_core::batch::DecodeRows;
use eddyline_core::{Error, Result};
use eddyline_runtime::graph::{Job, JobBuilder, JobGraph, NodeHandle, NodeKind, Partitioning};
use eddyline_runtime::partition::{self, PartitionerFactory};
use std::collections::BTreeMap;

/// How records get from one node to another; open means: as is best.
#[derive(Clone)]
pub(crate) enum Route {
    /// Forward, or rebalanced where the parallelisms differ.
    Open,
    /// Forward, or an error.
    Forward,
    /// By a partitioner.
    By(Partitioning, PartitionerFactory),
}

#[derive(Clone)]
struct NotedEdge {
    from: (NodeHandle, usize),
    to: (NodeHandle, usize),
    route: Route,
    decode: DecodeRows,
}

/// Most instances an operator can have: the greatest number of key groups.
const MAX_PARALLELISM_LIMIT: u32 = 32_768;

/// Nodes, noted edges, and what was wrong with the description.
pub(crate) struct GraphBuilder {
    pub(crate) nodes: JobBuilder,
    edges: Vec<NotedEdge>,
    problem: Option<Error>,
    groups: AlignmentGroups,
    aligned: Vec<(String, NodeHandle)>,
    pub(crate) collects: bool,
    /// Tell of each source whether it ends by itself.
    bounded: Vec<Box<dyn Fn() -> bool>>,
}

impl GraphBuilder {
    pub(crate) fn new(groups: AlignmentGroups) -> Self {
        GraphBuilder {
            nodes: JobBuilder::new("job", MAX_PARALLELISM_LIMIT),
            edges: Vec::new(),
            problem: None,
            groups,
            aligned: Vec::new(),
            collects: false,
            bounded: Vec::new(),
        }
    }

    /// Notes that the description cannot work; the first reason counts.
    pub(crate) fn refuse(&mut self, problem: Error) {
        self.problem.get_or_insert(problem);
    }

    /// Notes an edge.
    pub(crate) fn connect(
        &mut self,
        from: (NodeHandle, usize),
        to: (NodeHandle, usize),
        route: Route,
        decode: DecodeRows,
    ) {
        self.edges.push(NotedEdge { from, to, route, decode });
    }

    /// Notes a source; `is_bounded` is asked only where it matters.
    pub(crate) fn note_source(&mut self, is_bounded: impl Fn() -> bool + 'static) {
        self.bounded.push(Box::new(is_bounded));
    }

    /// Whether all sources end by themselves.
    pub(crate) fn all_bounded(&self) -> bool {
        self.bounded.iter().all(|is_bounded| is_bounded())
    }

    /// Makes the source `node` a member of an alignment group.
    pub(crate) fn align(&mut self, group: String, node: NodeHandle) {
        self.aligned.push((group, node));
    }

    fn check_parallelism(&self, options: &Options) -> Result<()> {
        let workers = options.parallelism;
        match self.nodes.graph().nodes.iter().find(|node| node.parallelism > workers) {
            None => Ok(()),
            Some(node) => Err(Error::config(format!(
                "operator `{}` wants {} instances, but the job has {workers} workers",
                node.name, node.parallelism
            ))
            .with_hint("run the job with more workers (-p), or lower the operator's parallelism")),
        }
    }

    /// The finished job.
    pub(crate) fn build(&self, name: &str, options: &Options) -> Result<Job> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if self.collects && options.runtime.processes > 1 {
            return Err(Error::config(
                "a job of several processes cannot collect rows in the program that starts it",
            )
            .with_hint("run it in one process, or write to a sink that others can read"));
        }
        self.check_parallelism(options)?;
        let mut builder = self.nodes.clone();
        builder.set_name(name);
        builder.set_max_parallelism(options.max_parallelism);
        for edge in &self.edges {
            let parallelism = |node: NodeHandle| {
                let chosen = builder.graph().nodes[node.0].parallelism;
                if chosen == 0 { options.parallelism } else { chosen }
            };
            let (partitioning, partitioner) = match &edge.route {
                Route::Open if parallelism(edge.from.0) != parallelism(edge.to.0) => {
                    (Partitioning::Rebalance, Some(partition::rebalance()))
                }
                Route::Open | Route::Forward => (Partitioning::Forward, None),
                Route::By(partitioning, partitioner) => (*partitioning, Some(partitioner.clone())),
            };
            builder.connect(edge.from, edge.to, partitioning, partitioner, edge.decode);
        }
        // 0 and the number of workers mean the same, but only equal numbers can forward and fuse.
        for node in 0..builder.graph().nodes.len() {
            let node = builder.node_mut(NodeHandle(node));
            if node.parallelism == options.parallelism {
                node.parallelism = 0;
            }
        }
        // Fusing changes the numbers of nodes, but it never fuses a source, so sources keep their order.
        let described = sources_of(builder.graph());
        let job = builder.build()?;
        let built: BTreeMap<usize, usize> = described.into_iter().zip(sources_of(&job.graph)).collect();
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (group, source) in &self.aligned {
            groups.entry(group.clone()).or_default().extend(built.get(&source.0));
        }
        self.groups.fill(groups);
        Ok(job)
    }
}

fn sources_of(graph: &JobGraph) -> Vec<usize> {
    graph.nodes.iter().filter(|node| node.kind == NodeKind::Source).map(|node| node.id).collect()
}
