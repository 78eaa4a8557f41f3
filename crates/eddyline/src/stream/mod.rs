//! Streams: what is described, step by step.
//!
//! A [`DataStream`] is a handle to an output of the graph that is being described; nothing flows before the job is
//! executed. Handles are cheap to clone, and a stream can be read by several steps.

mod aggregations;
mod async_call;
mod broadcast;
mod connect;
mod interval_join;
mod iterate;
mod join;
mod keyed;
mod ports;
mod process;
mod sinks;
mod transformations;
mod window_join;
mod windowed;

pub use aggregations::Ties;
pub use broadcast::{BroadcastConnectedStream, KeyedBroadcastConnectedStream};
pub use connect::{ConnectedStreams, KeyedConnectedStreams};
pub use interval_join::{IntervalJoin, IntervalJoined};
pub use join::JoinedStreams;
pub use keyed::KeyedStream;
pub use sinks::DataStreamSink;
pub use window_join::{CoGroupedStreams, WindowCoGroupedStreams, WindowJoinedStreams};
pub use windowed::WindowedStream;

use crate::environment::{GraphBuilder, Route};
use crate::function::{Collector, OutputTag};
use crate::operators::{FilterStage, MapStage, TryFlatMapStage};
use crate::side_output::SidePorts;
use crate::watermark::WatermarkStrategy;
use crate::watermark::assigner::TimestampAssigner;
use eddyline_core::batch::decode_rows;
use eddyline_core::{Data, Error, Key};
use eddyline_runtime::graph::{NodeHandle, NodeSpec, Partitioning};
use eddyline_runtime::{Operator, Stage, partition};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

/// An output of a node, and how records get from it to whoever reads the stream.
#[derive(Clone)]
struct Upstream {
    node: NodeHandle,
    port: usize,
    route: Route,
}

/// A stream of values of type `T`, each perhaps with an event time.
///
/// # Examples
/// ```
/// use eddyline::{Collector, Environment};
///
/// let environment = Environment::new();
/// let lines = environment.from_collection(vec!["to be or not".to_string(), "to be".to_string()]);
/// let words = lines.flat_map(|line: String, out: &mut Collector<String>| {
///     line.split(' ').for_each(|word| out.collect(word.to_owned()));
/// });
/// words.filter(|word| word.len() > 2).name("long words").print();
/// assert!(environment.explain()?.to_text().contains("long words"));
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct DataStream<T> {
    pub(crate) graph: Rc<RefCell<GraphBuilder>>,
    upstreams: Vec<Upstream>,
    /// The side outputs of the node, if it can have any.
    sides: Option<SidePorts>,
    _value: PhantomData<fn() -> T>,
}

impl<T> Clone for DataStream<T> {
    fn clone(&self) -> Self {
        DataStream {
            graph: self.graph.clone(),
            upstreams: self.upstreams.clone(),
            sides: self.sides.clone(),
            _value: PhantomData,
        }
    }
}

impl<T: Data> DataStream<T> {
    /// The main output of `node`.
    pub(crate) fn new(graph: Rc<RefCell<GraphBuilder>>, node: NodeHandle) -> Self {
        let upstreams = vec![Upstream { node, port: 0, route: Route::Open }];
        DataStream { graph, upstreams, sides: None, _value: PhantomData }
    }

    /// Leads the stream into `input` of `node`.
    pub(crate) fn lead_into(&self, node: NodeHandle, input: usize) {
        let mut graph = self.graph.borrow_mut();
        for upstream in &self.upstreams {
            graph.connect(
                (upstream.node, upstream.port),
                (node, input),
                upstream.route.clone(),
                decode_rows::<T>,
            );
        }
    }

    /// The same stream with another way to distribute its records.
    pub(crate) fn routed(&self, route: Route) -> Self {
        let mut routed = self.clone();
        routed.upstreams.iter_mut().for_each(|upstream| upstream.route = route.clone());
        routed.sides = None;
        routed
    }

    /// The node that the stream comes from, if it is a single one.
    pub(crate) fn only_node(&self) -> Option<NodeHandle> {
        match self.upstreams.as_slice() {
            [only] => Some(only.node),
            _ => None,
        }
    }

    fn stage<U: Data, S: Stage + 'static>(
        &self,
        name: &str,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> DataStream<U> {
        let node = self.graph.borrow_mut().nodes.add_stage(NodeSpec::named(name), make);
        self.lead_into(node, 0);
        DataStream::new(self.graph.clone(), node)
    }

    /// Leads the stream into an operator of your own, whose main output has values of type `U`. The operator gets
    /// the records by input 0.
    pub fn transform<U: Data, O: Operator + 'static>(
        &self,
        spec: NodeSpec,
        make: impl Fn() -> O + Send + Sync + 'static,
    ) -> DataStream<U> {
        let node = self.graph.borrow_mut().nodes.add_operator(spec, make);
        self.lead_into(node, 0);
        DataStream::new(self.graph.clone(), node)
    }

    fn with_sides(mut self, sides: SidePorts) -> Self {
        self.sides = Some(sides);
        self
    }

    /// Calls `function` for each value. Steps like this in a row are fused into one operator.
    pub fn map<U: Data>(
        &self,
        function: impl FnMut(T) -> U + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.stage("map", move || MapStage::<T, U, _>::new(function.clone()))
    }

    /// Keeps the values for which `function` says so.
    pub fn filter(&self, function: impl FnMut(&T) -> bool + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.stage("filter", move || FilterStage::<T, _>::new(function.clone()))
    }

    /// Calls `function` for each value, which emits any number of values.
    pub fn flat_map<U: Data>(
        &self,
        function: impl FnMut(T, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.stage("flat_map", move || {
            let mut function = function.clone();
            TryFlatMapStage::<T, U, _>::new(move |value, out: &mut Collector<U>| {
                function(value, out);
                Ok(())
            })
        })
    }

    /// Assigns timestamps and generates watermarks in mid-pipeline, one generator per instance. Watermarks from
    /// before are replaced, except the end of the stream.
    pub fn assign_timestamps_and_watermarks(&self, strategy: WatermarkStrategy<T>) -> DataStream<T> {
        let spec = NodeSpec::named("timestamps").generating_watermarks();
        self.transform(spec, move || TimestampAssigner::new(strategy.clone()))
    }

    /// All values of this stream and of `other`, in the order in which they come.
    pub fn union(&self, other: &DataStream<T>) -> DataStream<T> {
        if !Rc::ptr_eq(&self.graph, &other.graph) {
            let problem = Error::config("streams of different environments cannot be united")
                .with_hint("describe a job on one environment");
            self.graph.borrow_mut().refuse(problem);
            return self.clone();
        }
        let mut all = self.clone();
        all.upstreams.extend(other.upstreams.iter().cloned());
        all.sides = None;
        all
    }

    /// Partitions the stream by a key: what follows sees all values of a key in one instance.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let visits = environment.from_collection(vec![("anna".to_string(), 3u64), ("ben".to_string(), 5)]);
    /// let by_name = visits.key_by(|(name, _)| name.clone());
    /// # let _ = by_name;
    /// ```
    pub fn key_by<K: Key>(&self, key: impl Fn(&T) -> K + Clone + Send + Sync + 'static) -> KeyedStream<K, T> {
        KeyedStream::new(self, key)
    }

    /// Hands batches out evenly to all instances of what follows.
    pub fn rebalance(&self) -> DataStream<T> {
        self.routed(Route::By(Partitioning::Rebalance, partition::rebalance()))
    }

    /// Gives every record to all instances of what follows.
    pub fn broadcast(&self) -> DataStream<T> {
        // The runtime copies batches for all instances; the partitioner is not asked.
        self.routed(Route::By(Partitioning::Broadcast, partition::global()))
    }

    /// Gives all records to the first instance of what follows.
    pub fn global(&self) -> DataStream<T> {
        self.routed(Route::By(Partitioning::Global, partition::global()))
    }

    /// Keeps records with the instance of the same number; both sides must be equally parallel.
    pub fn forward(&self) -> DataStream<T> {
        self.routed(Route::Forward)
    }

    /// Gives each record to the instance that `choose` names, given the value and the number of instances; a number
    /// that is too large ends the job.
    pub fn partition_custom(
        &self,
        choose: impl Fn(&T, usize) -> usize + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        let partitioner = partition::rows_by::<T, _, _>(move |setup| {
            let choose = choose.clone();
            move |value: &T| choose(value, setup.targets)
        });
        self.routed(Route::By(Partitioning::Custom, partitioner))
    }

    /// What the operator that this stream comes from emits on a side output.
    pub fn side_output<S: Data>(&self, tag: &OutputTag<S>) -> DataStream<S> {
        let mut graph = self.graph.borrow_mut();
        let found = match (&self.sides, self.upstreams.as_slice()) {
            (Some(sides), [only]) => {
                let next = graph.nodes.graph().nodes[only.node.0].outputs;
                sides.port(tag, next).map(|(port, is_new)| {
                    if is_new {
                        graph.nodes.node_mut(only.node).outputs = next + 1;
                    }
                    (only.node, port)
                })
            }
            _ => Err(Error::config(format!("there is no side output `{}` here", tag.name())).with_hint(
                "ask the stream that a process function, a window or a join gives, before further steps",
            )),
        };
        let (node, port) = match found {
            Ok(found) => found,
            Err(problem) => {
                graph.refuse(problem);
                (self.upstreams[0].node, 0)
            }
        };
        drop(graph);
        let mut stream = DataStream::new(self.graph.clone(), node);
        stream.upstreams[0].port = port;
        stream
    }

    /// Names the operator that this stream comes from, for people.
    pub fn name(self, name: &str) -> Self {
        self.change("name", |graph, node| graph.nodes.node_mut(node).name = name.to_owned())
    }

    /// Gives the operator that this stream comes from its stable identity: its state is found again by it, however
    /// the program changes around it.
    pub fn uid(self, uid: &str) -> Self {
        self.change("uid", |graph, node| graph.nodes.set_uid(node, uid))
    }

    /// Sets the number of instances of the operator that this stream comes from; without it there is one per worker.
    pub fn set_parallelism(self, parallelism: u32) -> Self {
        self.change("parallelism", |graph, node| {
            if parallelism == 0 {
                graph.refuse(
                    Error::config("an operator cannot have 0 instances")
                        .with_hint("leave set_parallelism out for one instance per worker"),
                );
            }
            graph.nodes.node_mut(node).parallelism = parallelism;
        })
    }

    fn change(self, what: &str, change: impl FnOnce(&mut GraphBuilder, NodeHandle)) -> Self {
        match self.upstreams.as_slice() {
            [only] => change(&mut self.graph.borrow_mut(), only.node),
            _ => self.graph.borrow_mut().refuse(
                Error::config(format!("a union has no {what}"))
                    .with_hint("set it on the streams that were united"),
            ),
        }
        self
    }
}
