//! Two streams of different types that are processed together.
//!
//! For a stream together with one that reaches all instances, see [`DataStream::connect_broadcast`].

use super::{DataStream, KeyedStream};
use crate::function::{
    CoClosures, CoFlatMapFunction, CoFlatMapped, CoMapFunction, CoMapped, CoProcessFunction, Collector,
    KeyedCoProcessFunction,
};
use crate::operators::{CoProcessOperator, KeyedCoProcessOperator, ProcessingTimersAtEnd};
use crate::side_output::SidePorts;
use eddyline_core::{Data, Error, Key};
use eddyline_runtime::graph::NodeSpec;
use std::rc::Rc;

/// Two streams of different types.
pub struct ConnectedStreams<A, B> {
    first: DataStream<A>,
    second: DataStream<B>,
}

impl<A, B> Clone for ConnectedStreams<A, B> {
    fn clone(&self) -> Self {
        ConnectedStreams { first: self.first.clone(), second: self.second.clone() }
    }
}

/// Two streams of different types whose records with equal keys meet in the same instance of what follows.
pub struct KeyedConnectedStreams<K, A, B> {
    first: KeyedStream<K, A>,
    second: KeyedStream<K, B>,
}

impl<K, A, B> Clone for KeyedConnectedStreams<K, A, B> {
    fn clone(&self) -> Self {
        KeyedConnectedStreams { first: self.first.clone(), second: self.second.clone() }
    }
}

/// Streams of different environments are refused in both of them.
fn check_together<A, B>(first: &DataStream<A>, second: &DataStream<B>) {
    if !Rc::ptr_eq(&first.graph, &second.graph) {
        let problem = Error::config("streams of different environments cannot be connected")
            .with_hint("describe a job on one environment");
        first.graph.borrow_mut().refuse(problem.clone());
        second.graph.borrow_mut().refuse(problem);
    }
}

impl<A: Data> DataStream<A> {
    /// Connects the stream with one of another type, to process both together.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2]);
    /// let words = environment.from_collection(vec!["three".to_string()]);
    /// let lengths = numbers.connect(&words).map(|number| number, |word| word.len() as u64).collect();
    /// environment.execute("lengths")?;
    /// let mut rows = lengths.rows();
    /// rows.sort();
    /// assert_eq!(rows, [1, 2, 5]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn connect<B: Data>(&self, other: &DataStream<B>) -> ConnectedStreams<A, B> {
        check_together(self, other);
        ConnectedStreams { first: self.clone(), second: other.clone() }
    }
}

impl<K: Key, A: Data> KeyedStream<K, A> {
    /// Connects the stream with one that has the same keys, to process both together with the state and the timers of
    /// a key. See [`KeyedCoProcessFunction`].
    pub fn connect<B: Data>(&self, other: &KeyedStream<K, B>) -> KeyedConnectedStreams<K, A, B> {
        check_together(&self.stream, &other.stream);
        KeyedConnectedStreams { first: self.clone(), second: other.clone() }
    }
}

impl<A: Data, B: Data> ConnectedStreams<A, B> {
    /// Makes a value of each record, with a function for each of the streams.
    pub fn map<U: Data>(
        &self,
        first: impl FnMut(A) -> U + Clone + Send + Sync + 'static,
        second: impl FnMut(B) -> U + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("co-map"), move || {
            let (mut first, mut second) = (first.clone(), second.clone());
            CoFlatMapped(CoClosures(
                move |value, out: &mut Collector<U>| out.collect(first(value)),
                move |value, out: &mut Collector<U>| out.collect(second(value)),
            ))
        })
    }

    /// Emits any number of values for each record, with a function for each of the streams.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Collector, Environment};
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![3u64]);
    /// let words = environment.from_collection(vec!["ab".to_string()]);
    /// let characters = numbers.connect(&words).flat_map(
    ///     |number, out: &mut Collector<char>| (0..number).for_each(|_| out.collect('#')),
    ///     |word, out: &mut Collector<char>| word.chars().for_each(|letter| out.collect(letter)),
    /// );
    /// let characters = characters.collect();
    /// environment.execute("characters")?;
    /// assert_eq!(characters.len(), 5);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn flat_map<U: Data>(
        &self,
        first: impl FnMut(A, &mut Collector<U>) + Clone + Send + Sync + 'static,
        second: impl FnMut(B, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("co-flat_map"), move || {
            CoFlatMapped(CoClosures(first.clone(), second.clone()))
        })
    }

    /// As [`ConnectedStreams::map`] with a function that is opened and closed; `make` is called once per instance.
    pub fn map_with<U: Data, F: CoMapFunction<A, B, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("co-map"), move || CoMapped(make()))
    }

    /// As [`ConnectedStreams::flat_map`] with a function that is opened and closed; `make` is called once per
    /// instance.
    pub fn flat_map_with<U: Data, F: CoFlatMapFunction<A, B, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("co-flat_map"), move || CoFlatMapped(make()))
    }

    /// Runs a function on both streams; `make` is called once per instance. See [`CoProcessFunction`].
    pub fn process<U: Data, F: CoProcessFunction<A, B, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("co-process").with_watermarks(), make)
    }

    fn process_as<U: Data, F: CoProcessFunction<A, B, U>>(
        &self,
        spec: NodeSpec,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        let sides = SidePorts::default();
        let ports = sides.clone();
        let stream =
            self.first.transform(spec, move || CoProcessOperator::<A, B, U, F>::new(make(), ports.clone()));
        self.second.lead_into(stream.upstreams[0].node, 1);
        stream.with_sides(sides)
    }

    /// Partitions both streams by a key of the same type.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let orders = environment.from_collection(vec![(7u64, 30u64)]);
    /// let payments = environment.from_collection(vec![7u64]);
    /// let by_order = orders.connect(&payments).key_by(|(order, _)| *order, |order| *order);
    /// # let _ = by_order;
    /// ```
    pub fn key_by<K: Key>(
        &self,
        first: impl Fn(&A) -> K + Clone + Send + Sync + 'static,
        second: impl Fn(&B) -> K + Clone + Send + Sync + 'static,
    ) -> KeyedConnectedStreams<K, A, B> {
        KeyedConnectedStreams { first: self.first.key_by(first), second: self.second.key_by(second) }
    }
}

impl<K: Key, A: Data, B: Data> KeyedConnectedStreams<K, A, B> {
    /// Runs a function on both streams, which share the state and the timers of a key; `make` is called once per
    /// instance. Processing-time timers that are not due at the end of the input are dropped.
    pub fn process<U: Data, F: KeyedCoProcessFunction<K, A, B, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_with(ProcessingTimersAtEnd::Drop, make)
    }

    /// As [`KeyedConnectedStreams::process`], saying what becomes of processing-time timers at the end of the input.
    pub fn process_with<U: Data, F: KeyedCoProcessFunction<K, A, B, U>>(
        &self,
        at_end: ProcessingTimersAtEnd,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        let (sides, keys) = (SidePorts::default(), (self.first.key_of.clone(), self.second.key_of.clone()));
        let ports = sides.clone();
        let spec = NodeSpec::named("co-process").with_watermarks();
        let stream = self.first.stream.transform(spec, move || {
            KeyedCoProcessOperator::<K, A, B, U, F>::new(make(), keys.clone(), ports.clone(), at_end)
        });
        self.second.stream.lead_into(stream.upstreams[0].node, 1);
        stream.with_sides(sides)
    }
}
