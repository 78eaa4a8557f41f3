//! A stream together with one that reaches all instances.

use super::{DataStream, KeyedStream};
use crate::function::{BroadcastProcessFunction, KeyedBroadcastProcessFunction};
use crate::operators::{BroadcastOperator, KeyedBroadcastOperator};
use crate::side_output::SidePorts;
use eddyline_core::{Data, Key};
use eddyline_runtime::graph::NodeSpec;

/// A stream and a broadcast stream.
pub struct BroadcastConnectedStream<T, B> {
    stream: DataStream<T>,
    broadcast: DataStream<B>,
}

/// A keyed stream and a broadcast stream.
pub struct KeyedBroadcastConnectedStream<K, T, B> {
    keyed: KeyedStream<K, T>,
    broadcast: DataStream<B>,
}

impl<T: Data> DataStream<T> {
    /// Connects the stream with one whose records reach every instance, to change a state that is equal in all.
    pub fn connect_broadcast<B: Data>(&self, broadcast: &DataStream<B>) -> BroadcastConnectedStream<T, B> {
        BroadcastConnectedStream { stream: self.clone(), broadcast: broadcast.broadcast() }
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Connects the stream with one whose records reach every instance, to change a state that is equal in all.
    pub fn connect_broadcast<B: Data>(
        &self,
        broadcast: &DataStream<B>,
    ) -> KeyedBroadcastConnectedStream<K, T, B> {
        KeyedBroadcastConnectedStream { keyed: self.clone(), broadcast: broadcast.broadcast() }
    }
}

impl<T: Data, B: Data> BroadcastConnectedStream<T, B> {
    /// Runs a function on both streams; `make` is called once per instance. Records of the two sides come in any
    /// order.
    pub fn process<U: Data, F: BroadcastProcessFunction<T, B, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        let sides = SidePorts::default();
        let ports = sides.clone();
        let spec = NodeSpec::named("process with broadcast").with_watermarks();
        let node = self
            .stream
            .graph
            .borrow_mut()
            .nodes
            .add_operator(spec, move || BroadcastOperator::<T, B, U, F>::new(make(), ports.clone()));
        self.stream.lead_into(node, 0);
        self.broadcast.lead_into(node, 1);
        DataStream::new(self.stream.graph.clone(), node).with_sides(sides)
    }
}

impl<K: Key, T: Data, B: Data> KeyedBroadcastConnectedStream<K, T, B> {
    /// Runs a function on both streams, with state and timers per key for the keyed one; `make` is called once per
    /// instance. Records of the two sides come in any order.
    pub fn process<U: Data, F: KeyedBroadcastProcessFunction<K, T, B, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        let (sides, key_of) = (SidePorts::default(), self.keyed.key_of.clone());
        let ports = sides.clone();
        let stream = &self.keyed.stream;
        let spec = NodeSpec::named("process with broadcast").with_watermarks();
        let node = stream.graph.borrow_mut().nodes.add_operator(spec, move || {
            KeyedBroadcastOperator::<K, T, B, U, F>::new(make(), key_of.clone(), ports.clone())
        });
        stream.lead_into(node, 0);
        self.broadcast.lead_into(node, 1);
        DataStream::new(stream.graph.clone(), node).with_sides(sides)
    }
}
