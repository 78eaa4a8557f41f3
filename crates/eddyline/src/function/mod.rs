//! What users write: functions, and what functions are given to work with.

mod broadcast;
mod connected;
mod keyed;
mod process;
mod runtime;

pub use broadcast::{
    BroadcastContext, BroadcastHandle, BroadcastOpenContext, BroadcastProcessFunction, BroadcastReadContext,
    BroadcastReader, KeyedBroadcastProcessFunction,
};
pub use keyed::{KeyedContext, KeyedOpenContext, KeyedProcessFunction, TimeDomain};

pub(crate) use connected::{CoClosures, CoFlatMapped, CoMapped};
pub use connected::{CoFlatMapFunction, CoMapFunction, CoProcessFunction, KeyedCoProcessFunction};
pub use process::{FilterFunction, FlatMapFunction, MapFunction, ProcessContext, ProcessFunction};
pub(crate) use process::{Filtered, FlatMapped, Mapped};
pub use runtime::{OperatorList, OperatorMap, RuntimeContext};

use eddyline_core::{Data, EventTime, Record, Result};
use eddyline_runtime::OperatorContext;
use std::marker::PhantomData;

/// Takes what a function has to say.
///
/// # Examples
/// ```
/// use eddyline::Collector;
///
/// let mut out = Collector::at(1_000);
/// out.collect("a");
/// out.collect_with_time("b", 2_000);
/// let times: Vec<i64> = out.take_rows().iter().map(|record| record.timestamp).collect();
/// assert_eq!(times, [1_000, 2_000]);
/// ```
#[derive(Debug, Default)]
pub struct Collector<T> {
    rows: Vec<Record<T>>,
    timestamp: EventTime,
}

impl<T> Collector<T> {
    /// An empty collector that gives records the timestamp `timestamp`.
    pub fn at(timestamp: EventTime) -> Self {
        Collector { rows: Vec::new(), timestamp }
    }

    /// Emits `value` with the timestamp of the record (or timer) that is being processed.
    #[inline]
    pub fn collect(&mut self, value: T) {
        self.rows.push(Record { value, timestamp: self.timestamp });
    }

    /// Emits `value` with a timestamp of its own, milliseconds since the epoch.
    #[inline]
    pub fn collect_with_time(&mut self, value: T, timestamp: EventTime) {
        self.rows.push(Record { value, timestamp });
    }

    /// How many records have been collected and not yet sent on.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing waits to be sent on.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes out what was collected.
    pub fn take_rows(&mut self) -> Vec<Record<T>> {
        std::mem::take(&mut self.rows)
    }

    /// Sets the timestamp of what is collected from now on.
    #[inline]
    pub(crate) fn set_timestamp(&mut self, timestamp: EventTime) {
        self.timestamp = timestamp;
    }
}

impl<T: Data> Collector<T> {
    /// Sends on what was collected, on output `port`, in batches of the right size.
    pub(crate) fn flush(
        &mut self,
        port: usize,
        created_micros: u64,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let rows_max = context.batch_rows_max().max(1);
        while self.rows.len() > rows_max {
            let rest = self.rows.split_off(rows_max);
            context.emit_rows(port, std::mem::replace(&mut self.rows, rest), created_micros)?;
        }
        context.emit_rows(port, std::mem::take(&mut self.rows), created_micros)
    }

    /// Sends on what was collected if that is a whole batch.
    #[inline]
    pub(crate) fn flush_full(
        &mut self,
        port: usize,
        created_micros: u64,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        if self.rows.len() >= context.batch_rows_max() {
            self.flush(port, created_micros, context)
        } else {
            Ok(())
        }
    }
}

/// The name and the type of a side output.
///
/// # Examples
/// ```
/// use eddyline::OutputTag;
///
/// let rejected: OutputTag<String> = OutputTag::new("rejected");
/// assert_eq!(rejected.name(), "rejected");
/// ```
#[derive(Debug)]
pub struct OutputTag<T> {
    name: String,
    _value: PhantomData<fn() -> T>,
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        OutputTag { name: self.name.clone(), _value: PhantomData }
    }
}

impl<T: Data> OutputTag<T> {
    /// A side output of that name; names are unique per operator.
    pub fn new(name: impl Into<String>) -> Self {
        OutputTag { name: name.into(), _value: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}
