//! From a finished description to a job, for any number of workers: once when it starts, and again whenever it goes on
//! with another number.

use super::graph::{NotedEdge, Route};
use crate::watermark::alignment::AlignmentGroups;
use eddyline_core::{Error, Result};
use eddyline_runtime::attempt::Rescaler;
use eddyline_runtime::graph::{Job, JobBuilder, JobGraph, NodeHandle, NodeKind, Partitioning};
use eddyline_runtime::partition;
use std::collections::BTreeMap;

/// A finished description.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(super) nodes: JobBuilder,
    pub(super) edges: Vec<NotedEdge>,
    pub(super) groups: AlignmentGroups,
    pub(super) aligned: Vec<(String, NodeHandle)>,
}

impl Recipe {
    fn check_parallelism(&self, workers: u32) -> Result<()> {
        match self.nodes.graph().nodes.iter().find(|node| node.parallelism > workers) {
            None => Ok(()),
            Some(node) => Err(Error::config(format!(
                "operator `{}` wants {} instances, but the job has {workers} workers",
                node.name, node.parallelism
            ))
            .with_hint("run the job with more workers (-p), or lower the operator's parallelism")),
        }
    }

    /// The job for `workers` workers, and the numbers of its sources: as described, and as built.
    fn assemble(&self, workers: u32) -> Result<(Job, BTreeMap<usize, usize>)> {
        self.check_parallelism(workers)?;
        let mut builder = self.nodes.clone();
        for edge in &self.edges {
            let parallelism = |node: NodeHandle| {
                let chosen = builder.graph().nodes[node.0].parallelism;
                if chosen == 0 { workers } else { chosen }
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
            if node.parallelism == workers {
                node.parallelism = 0;
            }
        }
        // Fusing changes the numbers of nodes, but it never fuses a source, so sources keep their order.
        let described = sources_of(builder.graph());
        let job = builder.build()?;
        let sources = described.into_iter().zip(sources_of(&job.graph)).collect();
        Ok((job, sources))
    }
}

impl Rescaler for Recipe {
    fn check(&self, parallelism: u32) -> Result<()> {
        self.assemble(parallelism).map(drop)
    }

    fn build(&self, parallelism: u32) -> Result<Job> {
        let (job, sources) = self.assemble(parallelism)?;
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (group, source) in &self.aligned {
            groups.entry(group.clone()).or_default().extend(sources.get(&source.0));
        }
        self.groups.fill(groups);
        Ok(job)
    }
}

fn sources_of(graph: &JobGraph) -> Vec<usize> {
    graph.nodes.iter().filter(|node| node.kind == NodeKind::Source).map(|node| node.id).collect()
}
