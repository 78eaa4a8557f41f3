//! Eddyline's DataStream API: what a program that processes streams depends on.
//!
//! A program describes a job on an [`Environment`]: sources give [`DataStream`]s, streams are transformed, keyed,
//! joined, and end in sinks. Nothing runs before [`Environment::execute`].
//!
//! **Architecture invariant:** a thin typed layer. What runs is `eddyline-runtime`'s graph of type-erased operators;
//! nothing here knows of Timely, threads or networks.

pub mod async_call;
pub mod dataset;
mod environment;
mod execution;
pub mod function;
pub mod join;
mod late;
mod operators;
mod side_output;
pub mod sink;
pub mod source;
mod spill;
mod state;
mod state_ttl;
pub mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod timers;
mod watermark;
pub mod window;

pub use dataset::DataSet;
pub use eddyline_core::{
    Clock, Data, Error, ErrorKind, EventTime, Key, ManualClock, Record, Result, SystemClock, WATERMARK_MAX,
    WATERMARK_MIN,
};
pub use eddyline_protocol::{CheckpointId, RestartStrategy, StopMode};
pub use eddyline_protocol::{MetricReport, MetricValue};
pub use eddyline_runtime::accumulators::{self, Summand};
pub use eddyline_runtime::attempt::{JobControl, JobHandle, JobOptions, JobReport, JobState, JobStatus};
pub use eddyline_runtime::graph::{JobGraph, NodeSpec};
pub use eddyline_runtime::metrics;
pub use eddyline_runtime::{
    BatchMode, InstanceInfo, Operator, OperatorContext, Progress, SourceStatus, Stateful,
};
pub use eddyline_state::{
    Accumulator, AggregatingState, BroadcastState, CheckpointStore, ListState, LocalFileSystem, ManagedState,
    MapState, OperatorListState, ReducingState, SavepointReader, SavepointWriter, StateTtlConfig,
    StateVisibility, TtlTimeDomain, TtlUpdateType, ValueState,
};
pub use environment::{
    CachedFile, DistributedCache, Environment, Options, Parameters, RuntimeMode, StateBackendOptions,
    StateBackendType,
};
pub use function::{
    BroadcastContext, BroadcastHandle, BroadcastOpenContext, BroadcastProcessFunction, BroadcastReadContext,
    BroadcastReader, CoFlatMapFunction, CoMapFunction, CoProcessFunction, Collector, FilterFunction,
    FlatMapFunction, KeyedBroadcastProcessFunction, KeyedCoProcessFunction, KeyedContext, KeyedOpenContext,
    KeyedProcessFunction, MapFunction, OperatorList, OperatorMap, OutputTag, ProcessContext, ProcessFunction,
    RuntimeContext, TimeDomain,
};
pub use operators::ProcessingTimersAtEnd;
pub use sink::{CollectHandle, SinkFunction};
pub use source::{DataGenerator, SplitSource};
pub use state_ttl::TtlStates;
pub use stream::{DataStream, KeyedStream, Ties};
pub use watermark::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};

/// What `#[derive(Data)]` refers to.
#[doc(hidden)]
pub use eddyline_core as __core;
