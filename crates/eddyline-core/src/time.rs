//! Units of time.

/// The logical unit of progress: a counter that only grows, across restarts too.
///
/// A tick bounds what is cut, flushed and measured together; it carries no wall time of its own.
pub type Tick = u64;

/// A point in event time: milliseconds since 1970-01-01T00:00:00Z.
pub type EventTime = i64;

/// The watermark of a stream about which nothing is known yet.
pub const WATERMARK_MIN: EventTime = EventTime::MIN;

/// The watermark of a stream that has ended: no record follows it.
pub const WATERMARK_MAX: EventTime = EventTime::MAX;
