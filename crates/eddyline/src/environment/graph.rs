//! The graph while it is being described.
//!
//! Nodes are added at once, edges are only noted: how an edge whose partitioning was left open distributes records
//! (forward, or rebalanced if the parallelisms differ) is known only when everybody has said how parallel they are.

use super::Options;
use super::recipe::Recipe;
use crate::watermark::alignment::AlignmentGroups;
use eddyline_core::batch::DecodeRows;
use eddyline_core::{Error, Result};
use eddyline_runtime::graph::{JobBuilder, NodeHandle, Partitioning};
use eddyline_runtime::partition::PartitionerFactory;

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
pub(super) struct NotedEdge {
    pub(super) from: (NodeHandle, usize),
    pub(super) to: (NodeHandle, usize),
    pub(super) route: Route,
    pub(super) decode: DecodeRows,
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

    /// What the finished description says, for any number of workers.
    ///
    /// # Errors
    /// Of kind `Config` for the first thing that cannot work.
    pub(crate) fn recipe(&self, name: &str, options: &Options) -> Result<Recipe> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if self.collects && options.runtime.processes > 1 {
            return Err(Error::config(
                "a job of several processes cannot collect rows in the program that starts it",
            )
            .with_hint("run it in one process, or write to a sink that others can read"));
        }
        let mut nodes = self.nodes.clone();
        nodes.set_name(name);
        nodes.set_max_parallelism(options.max_parallelism);
        let (edges, aligned) = (self.edges.clone(), self.aligned.clone());
        Ok(Recipe { nodes, edges, groups: self.groups.clone(), aligned })
    }
}
