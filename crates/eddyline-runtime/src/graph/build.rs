//! Building and checking a job.

use super::{Edge, EdgeSpec, Job, JobGraph, Node, NodeFactory, NodeId, NodeKind, Partitioning};
use crate::operator::{Operator, Source, Stage};
use crate::partition::PartitionerFactory;
use eddyline_core::batch::DecodeRows;
use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the author of a node says about it.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Stable identity; derived from position and kind if not given.
    pub uid: Option<String>,
    /// Name, for people.
    pub name: String,
    /// Number of instances; 0 means one per worker.
    pub parallelism: u32,
    /// Number of outputs.
    pub outputs: usize,
    /// Whether it wants to know the watermark.
    pub uses_watermarks: bool,
    /// Whether it generates watermarks for what follows it.
    pub generates_watermarks: bool,
    /// Whether it keeps its input until the end, with a share of the worker's memory for it.
    pub holds_input: bool,
}

impl NodeSpec {
    /// A node called `name` with one output and an instance per worker.
    pub fn named(name: impl Into<String>) -> Self {
        NodeSpec {
            uid: None,
            name: name.into(),
            parallelism: 0,
            outputs: 1,
            uses_watermarks: false,
            generates_watermarks: false,
            holds_input: false,
        }
    }

    /// The same node, told about watermarks.
    #[must_use]
    pub fn with_watermarks(mut self) -> Self {
        self.uses_watermarks = true;
        self
    }

    /// The same node, generating the watermarks of what follows it.
    #[must_use]
    pub fn generating_watermarks(mut self) -> Self {
        self.generates_watermarks = true;
        self
    }

    /// The same node, keeping its input until the end: it gets a share of the worker's memory for that (see
    /// [`OperatorContext::managed_memory_bytes`](crate::OperatorContext::managed_memory_bytes)).
    #[must_use]
    pub fn holding_input(mut self) -> Self {
        self.holds_input = true;
        self
    }

    /// The same node with `outputs` outputs.
    #[must_use]
    pub fn with_outputs(mut self, outputs: usize) -> Self {
        self.outputs = outputs;
        self
    }

    /// The same node with `parallelism` instances.
    #[must_use]
    pub fn with_parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = parallelism;
        self
    }
}

/// A node that was added, to connect others to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeHandle(pub NodeId);

/// Builds a [`Job`] node by node; a node can only be connected to nodes before it, so the graph is acyclic.
#[derive(Clone)]
pub struct JobBuilder {
    graph: JobGraph,
    factories: Vec<NodeFactory>,
    edges: Vec<EdgeSpec>,
    explicit_uids: Vec<bool>,
    loops: usize,
}

impl JobBuilder {
    /// An empty job.
    pub fn new(name: impl Into<String>, max_parallelism: u32) -> Self {
        let graph = JobGraph { name: name.into(), max_parallelism, nodes: Vec::new(), edges: Vec::new() };
        JobBuilder { graph, factories: Vec::new(), edges: Vec::new(), explicit_uids: Vec::new(), loops: 0 }
    }

    /// The graph so far.
    pub fn graph(&self) -> &JobGraph {
        &self.graph
    }

    /// Renames the job.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.graph.name = name.into();
    }

    /// Changes the number of key groups.
    pub fn set_max_parallelism(&mut self, max_parallelism: u32) {
        self.graph.max_parallelism = max_parallelism;
    }

    /// Changes a node that was added: its name, uid, parallelism.
    pub fn node_mut(&mut self, node: NodeHandle) -> &mut Node {
        &mut self.graph.nodes[node.0]
    }

    /// Gives a node its stable identity.
    pub fn set_uid(&mut self, node: NodeHandle, uid: impl Into<String>) {
        self.graph.nodes[node.0].uid = uid.into();
        self.explicit_uids[node.0] = true;
    }

    /// Adds a source.
    pub fn add_source<S: Source + 'static>(
        &mut self,
        spec: NodeSpec,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> NodeHandle {
        let factory = NodeFactory::Source(Arc::new(move || Box::new(make())));
        self.add(spec.generating_watermarks(), NodeKind::Source, factory, None)
    }

    /// Adds a stateless step.
    pub fn add_stage<S: Stage + 'static>(
        &mut self,
        spec: NodeSpec,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> NodeHandle {
        let factory = NodeFactory::Stages(vec![Arc::new(move || Box::new(make()))]);
        self.add(spec, NodeKind::Stage, factory, None)
    }

    /// Adds an operator.
    pub fn add_operator<O: Operator + 'static>(
        &mut self,
        spec: NodeSpec,
        make: impl Fn() -> O + Send + Sync + 'static,
    ) -> NodeHandle {
        let factory = NodeFactory::Operator(Arc::new(move || Box::new(make())));
        self.add(spec, NodeKind::Operator, factory, None)
    }

    /// Adds an operator without outputs.
    pub fn add_sink<O: Operator + 'static>(
        &mut self,
        spec: NodeSpec,
        make: impl Fn() -> O + Send + Sync + 'static,
    ) -> NodeHandle {
        let factory = NodeFactory::Operator(Arc::new(move || Box::new(make())));
        self.add(spec.with_outputs(0), NodeKind::Sink, factory, None)
    }

    /// Adds the head of a loop: connect the loop's entry to its input 0, the loop's body to its output, and give
    /// what goes round to [`JobBuilder::add_loop_tail`].
    pub fn add_loop_head(&mut self, spec: NodeSpec) -> NodeHandle {
        self.loops += 1;
        let number = self.loops - 1;
        self.add(
            spec.with_watermarks().generating_watermarks(),
            NodeKind::LoopHead,
            NodeFactory::LoopEnd,
            Some(number),
        )
    }

    /// Adds the tail of the loop that `head` began.
    pub fn add_loop_tail(&mut self, head: NodeHandle, spec: NodeSpec) -> NodeHandle {
        let number = self.graph.nodes[head.0].loop_id;
        self.add(spec.with_outputs(0), NodeKind::LoopTail, NodeFactory::LoopEnd, number)
    }

    /// Connects output `output` of `from` with input `input` of `to`. Edges that are not forward need a
    /// partitioner.
    pub fn connect(
        &mut self,
        (from, output): (NodeHandle, usize),
        (to, input): (NodeHandle, usize),
        partitioning: Partitioning,
        partitioner: Option<PartitionerFactory>,
        decode: DecodeRows,
    ) {
        let id = self.graph.edges.len();
        self.graph.edges.push(Edge { id, from: from.0, output, to: to.0, input, partitioning });
        self.edges.push(EdgeSpec { decode, partitioner });
    }

    fn add(
        &mut self,
        spec: NodeSpec,
        kind: NodeKind,
        factory: NodeFactory,
        loop_id: Option<usize>,
    ) -> NodeHandle {
        let id = self.graph.nodes.len();
        self.explicit_uids.push(spec.uid.is_some());
        self.graph.nodes.push(Node {
            id,
            uid: spec.uid.unwrap_or_default(),
            name: spec.name,
            kind,
            parallelism: spec.parallelism,
            outputs: spec.outputs,
            uses_watermarks: spec.uses_watermarks,
            generates_watermarks: spec.generates_watermarks,
            holds_input: spec.holds_input,
            chain: Vec::new(),
            loop_id,
        });
        self.factories.push(factory);
        NodeHandle(id)
    }

    /// Checks the job, derives the uids that were not given and fuses stateless chains.
    ///
    /// # Errors
    /// Of kind `Config`, naming the operator: a uid twice, a parallelism above the maximum, a forward edge between
    /// different parallelisms, a loop without a tail, no source.
    pub fn build(mut self) -> Result<Job> {
        self.derive_uids();
        self.check()?;
        let job = Job { graph: self.graph, factories: self.factories, edges: self.edges };
        Ok(super::fuse::fuse_stages(job))
    }

    /// A derived uid says what the node does and what it follows, so that adding an unrelated operator does not
    /// change it; equal ones are numbered in order.
    fn derive_uids(&mut self) {
        let mut used: BTreeMap<String, usize> = BTreeMap::new();
        for id in 0..self.graph.nodes.len() {
            if self.explicit_uids[id] {
                continue;
            }
            let before: Vec<String> =
                self.graph.inputs_of(id).iter().map(|edge| self.graph.nodes[edge.from].uid.clone()).collect();
            let node = &self.graph.nodes[id];
            let described = format!("{:?}|{}|{}", node.kind, node.name, before.join(","));
            let hash = eddyline_core::stable_hash(described.as_bytes());
            let base = format!("{}-{:08x}", node.name.replace([' ', '/'], "-"), hash as u32);
            let count = used.entry(base.clone()).or_default();
            *count += 1;
            let uid = if *count == 1 { base } else { format!("{base}-{count}") };
            self.graph.nodes[id].uid = uid;
        }
    }

    fn check(&self) -> Result<()> {
        let graph = &self.graph;
        if graph.max_parallelism == 0 || graph.max_parallelism > 32_768 {
            return Err(Error::config(format!(
                "maximum parallelism {} is not possible",
                graph.max_parallelism
            ))
            .with_hint("choose pipeline.max-parallelism between 1 and 32768"));
        }
        if !graph.nodes.iter().any(|node| node.kind == NodeKind::Source) {
            return Err(Error::config("the job has no source").with_hint("start with a read or from_… call"));
        }
        let mut uids: BTreeMap<&str, &str> = BTreeMap::new();
        for node in &graph.nodes {
            if let Some(other) = uids.insert(&node.uid, &node.name) {
                return Err(Error::config(format!("uid `{}` is given twice", node.uid))
                    .with_detail(format!("operators `{other}` and `{}`", node.name))
                    .with_hint("give each operator a uid of its own: state is found again by it"));
            }
            if node.parallelism > graph.max_parallelism {
                return Err(Error::config(format!(
                    "operator `{}` has parallelism {}, more than the job's {} key groups",
                    node.name, node.parallelism, graph.max_parallelism
                ))
                .with_hint("raise pipeline.max-parallelism (only possible without old state) or lower it"));
            }
            self.check_loop(node)?;
        }
        for edge in &graph.edges {
            self.check_edge(edge)?;
        }
        Ok(())
    }

    fn check_loop(&self, node: &Node) -> Result<()> {
        let tail_exists = self
            .graph
            .nodes
            .iter()
            .any(|other| other.kind == NodeKind::LoopTail && other.loop_id == node.loop_id);
        if node.kind == NodeKind::LoopHead && !tail_exists {
            return Err(Error::config(format!("loop `{}` is never closed", node.name))
                .with_hint("return the feedback stream from the closure given to iterate"));
        }
        Ok(())
    }

    fn check_edge(&self, edge: &Edge) -> Result<()> {
        let (from, to) = (&self.graph.nodes[edge.from], &self.graph.nodes[edge.to]);
        if edge.from >= edge.to {
            return Err(Error::internal(format!("edge {} leads backwards", edge.id)));
        }
        if edge.output >= from.outputs {
            return Err(Error::internal(format!("operator `{}` has no output {}", from.name, edge.output)));
        }
        if edge.partitioning == Partitioning::Forward && from.parallelism != to.parallelism {
            return Err(Error::config(format!(
                "`{}` (parallelism {}) cannot forward to `{}` (parallelism {})",
                from.name, from.parallelism, to.name, to.parallelism
            ))
            .with_hint("put a rebalance between them"));
        }
        if edge.partitioning != Partitioning::Forward && self.edges[edge.id].partitioner.is_none() {
            return Err(Error::internal(format!("edge {} has no partitioner", edge.id)));
        }
        Ok(())
    }
}
