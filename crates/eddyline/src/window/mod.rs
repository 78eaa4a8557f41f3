//! Windows: what happened to a key in a stretch of time.
//!
//! A *window assigner* says which windows a record belongs to, a *trigger* when they fire, an *evictor* perhaps which
//! elements are dropped then, and a function what comes out. Kinds of windows:
//!
//! | | event time | processing time |
//! |---|---|---|
//! | one after the other | [`TumblingEventTimeWindows`] | [`TumblingProcessingTimeWindows`] |
//! | overlapping | [`SlidingEventTimeWindows`] | [`SlidingProcessingTimeWindows`] |
//! | growing | [`CumulativeWindows`] | [`CumulativeWindows`] |
//! | until a pause | [`EventTimeSessionWindows`] | [`ProcessingTimeSessionWindows`] |
//! | without an end | [`GlobalWindows`] | |
//!
//! Windows in time are `[start, end)`. Unless something else is asked for, a window fires once, when the watermark
//! reaches `end - 1`; its result has the timestamp `end - 1`; state of a fired window is dropped. A record is late if
//! every window it belongs to has fired: it is counted, and emitted on a side output if that was asked for. A record
//! that is late for some of its windows counts in the others. Results leave in the order of window ends.
//!
//! Three operators do this, of which the cheapest one that can do what is asked for is taken:
//!
//! - [`SlicedWindowOperator`]: tumbling and sliding windows with an aggregation that merges. A record goes to exactly
//!   one *slice*; the slices of a window are merged when it fires.
//! - [`SessionWindowOperator`]: sessions, with a gap for all records or one of each record's own.
//! - the general one: everything else, such as triggers, evictors, lateness, functions that see all elements.

mod aggregate;
mod assign;
mod assigner;
mod cumulative;
mod emission;
mod evictor;
mod fields;
mod function;
mod general;
mod global;
mod kinds;
mod ordered;
mod running;
mod session_kinds;
mod sessions;
mod sliced;
mod stagger;
pub(crate) mod trigger;

#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod sliced_tests;
#[cfg(test)]
mod test_support;

pub use aggregate::{Aggregator, Count, Reduce, Sum};
pub use assign::{SlicedWindows, WindowTime};
pub use assigner::{
    AssignerContext, FixedWindowAssigner, GlobalWindow, MergeWindows, Window, WindowAssigner,
};
pub use cumulative::CumulativeWindows;
pub use evictor::{CountEvictor, DeltaEvictor, Evictor, EvictorContext, TimeEvictor};
pub use fields::{Extreme, ExtremeBy, Number};
pub use function::{Elements, ProcessWindowFunction, WindowContext, WindowOpenContext};
pub use general::TimestampedValue;
pub use global::GlobalWindows;
pub use kinds::{
    SlidingEventTimeWindows, SlidingProcessingTimeWindows, TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
};
pub use ordered::AggregateFunction;
pub use session_kinds::{
    DynamicGap, EventTimeSessionWindows, FixedGap, ProcessingTimeSessionWindows, SessionGap,
};
pub use sessions::{Session, SessionGapOf, SessionWindowOperator, Sessions};
pub use sliced::SlicedWindowOperator;
pub use stagger::{StaggeredWindows, WindowStagger};
pub use trigger::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger,
    EndOfStreamTrigger, EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger, PurgingTrigger, Trigger,
    TriggerContext, TriggerResult, WindowEndTrigger,
};

pub(crate) use function::Apply;
pub(crate) use general::{
    AsRow, Finish, Given, Incremental, Settings, SomeEvictor, Whole, WindowContents, WindowOperator,
};
pub(crate) use ordered::{Fold, Ordered};

use eddyline_core::{Data, EventTime};

/// The output on which results leave.
pub const RESULT_OUTPUT: usize = 0;
/// The output on which late records leave, if that was asked for.
pub const LATE_OUTPUT: usize = 1;

/// A stretch of time: from `start`, inclusive, to `end`, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct TimeWindow {
    /// The first millisecond that belongs to the window.
    pub start: EventTime,
    /// The first millisecond that does not belong to it any more.
    pub end: EventTime,
}

/// What a window has come to for a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct WindowResult<K, R, W = TimeWindow> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: W,
    /// The result of its aggregation.
    pub value: R,
}
