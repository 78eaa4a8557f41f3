//! Functions with a life of their own on streams without keys.

use super::DataStream;
use crate::function::{
    FilterFunction, Filtered, FlatMapFunction, FlatMapped, MapFunction, Mapped, ProcessFunction,
};
use crate::operators::ProcessOperator;
use crate::side_output::SidePorts;
use eddyline_core::Data;
use eddyline_runtime::graph::NodeSpec;

impl<T: Data> DataStream<T> {
    /// Runs a function on the stream; `make` is called once per instance. See [`ProcessFunction`].
    pub fn process<U: Data, F: ProcessFunction<T, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("process").with_watermarks(), make)
    }

    /// As [`DataStream::map`] with a function that is opened and closed; `make` is called once per instance. See
    /// [`MapFunction`]. Unlike closures, such functions are not fused with the steps around them.
    pub fn map_with<U: Data, F: MapFunction<T, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("map"), move || Mapped(make()))
    }

    /// As [`DataStream::filter`] with a function that is opened and closed; `make` is called once per instance. See
    /// [`FilterFunction`].
    pub fn filter_with<F: FilterFunction<T>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<T> {
        self.process_as(NodeSpec::named("filter"), move || Filtered(make()))
    }

    /// As [`DataStream::flat_map`] with a function that is opened and closed; `make` is called once per instance. See
    /// [`FlatMapFunction`].
    pub fn flat_map_with<U: Data, F: FlatMapFunction<T, U>>(
        &self,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process_as(NodeSpec::named("flat_map"), move || FlatMapped(make()))
    }

    fn process_as<U: Data, F: ProcessFunction<T, U>>(
        &self,
        spec: NodeSpec,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        let sides = SidePorts::default();
        let ports = sides.clone();
        let stream = self.transform(spec, move || ProcessOperator::<T, U, F>::new(make(), ports.clone()));
        stream.with_sides(sides)
    }
}
