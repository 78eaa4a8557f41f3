//! Eddyline's DataStream API: what a program that processes streams depends on.
//!
//! A program describes a job on an [`Environment`]: sources give [`DataStream`]s, streams are transformed, keyed,
//! joined, and end in sinks. Nothing runs before [`Environment::execute`].
//!
//! **Architecture invariant:** a thin typed layer. What runs is `eddyline-runtime`'s graph of type-erased operators;
//! nothing here knows of Timely, threads or networks.

pub mod function;
mod side_output;
pub mod sink;
pub mod source;
mod state;
mod timers;
mod watermark;

pub use eddyline_core::{
    Clock, Data, Error, ErrorKind, EventTime, Key, ManualClock, Record, Result, SystemClock, WATERMARK_MAX,
    WATERMARK_MIN,
};
pub use eddyline_protocol::RestartStrategy;
pub use eddyline_runtime::SourceStatus;
pub use eddyline_runtime::graph::JobGraph;
pub use eddyline_state::{
    Accumulator, AggregatingState, BroadcastState, ListState, ManagedState, MapState, OperatorListState,
    ReducingState, ValueState,
};
pub use function::*;
pub use sink::{CollectHandle, SinkFunction};
pub use source::{DataGenerator, SplitSource};
pub use watermark::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};

/// What `#[derive(Data)]` refers to.
#[doc(hidden)]
pub use eddyline_core as __core;
