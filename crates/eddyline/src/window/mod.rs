//! Windows: what happened to a key in a stretch of time.
//!
//! - [`SlicedWindowOperator`]: tumbling and sliding windows. A record goes to exactly one *slice*; the slices of a
//!   window are merged when it fires.
//! - [`SessionWindowOperator`]: windows that last as long as there is no pause of more than a gap.
//!
//! Semantics, the same for all: a window is `[start, end)`; it fires once, when the watermark reaches `end - 1`; its
//! result has the timestamp `end - 1`. A record is late if every window it belongs to has fired: it is counted, and
//! emitted on [`LATE_OUTPUT`] if that was asked for. A record that is late for some of its windows counts in the
//! others. Results leave in the order of window ends; state of a fired window is dropped.

mod aggregate;
mod assign;
mod emission;
mod running;
mod sessions;
mod sliced;

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
pub use sessions::{Session, SessionWindowOperator, Sessions};
pub use sliced::SlicedWindowOperator;

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
pub struct WindowResult<K, R> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: TimeWindow,
    /// The result of its aggregation.
    pub value: R,
}
