//! What is kept per key and window.

use super::super::Window;
use crate::function::TimeDomain;
use eddyline_core::{Data, DataType, DecodeError, EventTime, Reader, Value};

/// A key and a window; lives in its key's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowKey<K, W> {
    pub(crate) window: W,
    pub(crate) key: K,
}

impl<K: Data, W: Data> Data for WindowKey<K, W> {
    const HAS_HEAP: bool = K::HAS_HEAP || W::HAS_HEAP;

    fn schema() -> DataType {
        <(K, W)>::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        self.window.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = K::decode(input)?;
        Ok(WindowKey { key, window: W::decode(input)? })
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let (key, window) = <(K, W)>::from_value(value)?;
        Ok(WindowKey { key, window })
    }

    fn heap_bytes(&self) -> usize {
        self.key.heap_bytes() + self.window.heap_bytes()
    }

    fn stable_hash(&self) -> u64 {
        self.key.stable_hash()
    }
}

/// A value and when it happened; `i64::MIN` if it has no timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct TimestampedValue<T> {
    /// The value.
    pub value: T,
    /// Its timestamp.
    pub timestamp: EventTime,
}

/// The records of a window: made into one as they came, or kept.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) enum Contents<T, S> {
    /// What an incremental function has made of them.
    Folded(S),
    /// All of them.
    Listed(Vec<TimestampedValue<T>>),
}

/// What is kept of a window.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct Pane<C, S> {
    /// Its records; none if there are none or if they have been purged.
    pub(crate) contents: Option<C>,
    /// The trigger's state.
    pub(crate) trigger: Option<S>,
    /// Whether the timer at the end of the window's life is registered.
    pub(crate) has_cleanup: bool,
    /// The timers that the trigger registered last.
    pub(crate) timers: TimerNotes,
}

/// The timer that a trigger registered last, by its domain, if it is still there: it need not be registered again.
/// `i64::MIN` is no timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Data)]
pub(crate) struct TimerNotes {
    event: EventTime,
    processing: i64,
}

impl TimerNotes {
    pub(crate) const NONE: TimerNotes = TimerNotes { event: i64::MIN, processing: i64::MIN };

    pub(crate) fn of(&mut self, domain: TimeDomain) -> &mut i64 {
        match domain {
            TimeDomain::EventTime => &mut self.event,
            TimeDomain::ProcessingTime => &mut self.processing,
        }
    }

    /// A timer is gone.
    pub(crate) fn forget(&mut self, domain: TimeDomain, time: i64) {
        let note = self.of(domain);
        if *note == time {
            *note = i64::MIN;
        }
    }
}

impl<C, S> Pane<C, S> {
    pub(crate) fn new() -> Self {
        Pane { contents: None, trigger: None, has_cleanup: false, timers: TimerNotes::NONE }
    }

    /// Whether there is nothing that a window without a pane has not got.
    pub(crate) fn is_empty(&self) -> bool {
        self.contents.is_none() && self.trigger.is_none()
    }
}

/// A window that others may merge with, and the window under which its pane is kept: that of one of those which it
/// was merged from, so that a window that grows need not be moved.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct OpenWindow<W> {
    pub(crate) window: W,
    pub(crate) kept_under: W,
}

/// Where a pane is kept: panes of windows that end together are kept together.
pub(crate) fn namespace_of<W: Window>(kept_under: &W) -> i64 {
    kept_under.max_timestamp()
}
