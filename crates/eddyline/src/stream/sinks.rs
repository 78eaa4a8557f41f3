//! The ends of streams.

use super::DataStream;
use crate::environment::{GraphBuilder, Route};
use crate::sink::{CollectHandle, CollectSink, DiscardSink, PrintSink, SinkFunction, SinkOperator};
use eddyline_core::{Data, Error};
use eddyline_runtime::graph::{NodeHandle, NodeSpec, Partitioning};
use eddyline_runtime::{Operator, partition};
use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

/// A sink that was added.
#[derive(Clone)]
pub struct DataStreamSink {
    pub(super) graph: Rc<RefCell<GraphBuilder>>,
    pub(super) node: NodeHandle,
}

impl DataStreamSink {
    /// Names the sink, for people.
    pub fn name(self, name: &str) -> Self {
        self.graph.borrow_mut().nodes.node_mut(self.node).name = name.to_owned();
        self
    }

    /// Gives the sink its stable identity: what it has not committed yet is found again by it.
    pub fn uid(self, uid: &str) -> Self {
        self.graph.borrow_mut().nodes.set_uid(self.node, uid);
        self
    }

    /// Sets the number of instances; without it there is one per worker.
    pub fn set_parallelism(self, parallelism: u32) -> Self {
        let mut graph = self.graph.borrow_mut();
        if parallelism == 0 {
            graph.refuse(
                Error::config("a sink cannot have 0 instances")
                    .with_hint("leave set_parallelism out for one instance per worker"),
            );
        }
        graph.nodes.node_mut(self.node).parallelism = parallelism;
        drop(graph);
        self
    }
}

impl<T: Data> DataStream<T> {
    /// Ends the stream in a sink; `make` is called once per instance.
    pub fn add_sink<S: SinkFunction<T>>(
        &self,
        name: &str,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> DataStreamSink {
        self.add_sink_operator(NodeSpec::named(name), move || SinkOperator::<T, S>::new(make()))
    }

    /// Ends the stream in an operator of your own, which gets the records by input 0.
    pub fn add_sink_operator<O: Operator + 'static>(
        &self,
        spec: NodeSpec,
        make: impl Fn() -> O + Send + Sync + 'static,
    ) -> DataStreamSink {
        let node = self.graph.borrow_mut().nodes.add_sink(spec, make);
        self.lead_into(node, 0);
        DataStreamSink { graph: self.graph.clone(), node }
    }

    /// Prints each value on a line of standard output, as it comes; several instances say which of them prints.
    pub fn print(&self) -> DataStreamSink
    where
        T: Debug,
    {
        self.add_sink("print", || PrintSink::new("", false))
    }

    /// Prints each value on a line of standard output that begins with `identifier`, as in `alarms> …`, or
    /// `alarms:2> …` if there are several instances.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1, 2]);
    /// numbers.print_with_identifier("numbers");
    /// numbers.print_to_err();
    /// numbers.discard();
    /// environment.execute("print")?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn print_with_identifier(&self, identifier: &str) -> DataStreamSink
    where
        T: Debug,
    {
        let identifier = identifier.to_owned();
        self.add_sink("print", move || PrintSink::new(&identifier, false))
    }

    /// Prints each value on a line of standard error, as [`DataStream::print`] does on standard output.
    pub fn print_to_err(&self) -> DataStreamSink
    where
        T: Debug,
    {
        self.add_sink("print to stderr", || PrintSink::new("", true))
    }

    /// Takes the records and drops them: for streams whose work is all that matters, and for measuring.
    pub fn discard(&self) -> DataStreamSink {
        self.add_sink("discard", || DiscardSink)
    }

    /// Collects the records in memory. They become visible when a checkpoint is complete, at the latest when the job
    /// has finished: each exactly once, whatever happens on the way. The job has to run in one process.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["a".to_string()]).collect();
    /// environment.execute("words")?;
    /// assert_eq!(words.rows(), ["a"]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn collect(&self) -> CollectHandle<T> {
        self.collect_into("collect", false)
    }

    /// Collects the records in memory and shows them at once, before they are part of a checkpoint; after a restart
    /// some may be there twice.
    pub fn collect_now(&self) -> CollectHandle<T> {
        self.collect_into("collect now", true)
    }

    fn collect_into(&self, name: &str, at_once: bool) -> CollectHandle<T> {
        let (handle, collected) = CollectHandle::new();
        self.graph.borrow_mut().collects = true;
        let stream = self.routed(Route::By(Partitioning::Global, partition::global()));
        let sink = stream.add_sink(name, move || CollectSink::new(collected.clone(), at_once));
        let _ = sink.set_parallelism(1);
        handle
    }
}
