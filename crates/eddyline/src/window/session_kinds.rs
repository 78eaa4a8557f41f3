//! Session windows: how long a pause ends one, by whose time.

use super::assign::{TIME_MAX, without_time};
use super::{
    AssignerContext, EventTimeTrigger, MergeWindows, ProcessingTimeTrigger, SessionGapOf, TimeWindow,
    WindowAssigner,
};
use crate::watermark::millis;
use eddyline_core::{Error, EventTime, Result};
use std::sync::Arc;
use std::time::Duration;

/// Sessions in event time: a window lasts until its key has been quiet for a gap.
///
/// A record at `t` opens the window `[t, t + gap)`, which merges with every window of its key that it touches.
///
/// # Examples
/// ```
/// use eddyline::window::EventTimeSessionWindows;
/// use eddyline::{Environment, WatermarkStrategy};
/// use std::time::Duration;
///
/// let environment = Environment::new();
/// let items = vec![(1u64, 1_000), (1, 4_000), (1, 20_000)];
/// let clicks = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = EventTimeSessionWindows::with_gap(Duration::from_secs(10));
/// let sessions = clicks.key_by(|user| *user).window(windows).count().collect();
/// environment.execute("sessions")?;
/// let rows: Vec<_> = sessions.rows().into_iter().map(|row| (row.window.start, row.window.end, row.value)).collect();
/// assert_eq!(rows, [(1_000, 14_000, 2), (20_000, 30_000, 1)]);
///
/// // The gap may depend on the record.
/// let items = vec![("call".to_string(), 1_000), ("chat".to_string(), 2_000)];
/// let contacts = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = EventTimeSessionWindows::with_dynamic_gap(|kind: &String| {
///     Duration::from_secs(if kind == "call" { 3_600 } else { 60 })
/// });
/// contacts.key_by(|_| 0u8).window(windows).count().print();
/// # environment.explain()?;
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimeSessionWindows<G = FixedGap> {
    gap: G,
}

/// Sessions in processing time: a window lasts until no record of its key has come for a gap.
///
/// # Examples
/// ```
/// use eddyline::window::ProcessingTimeSessionWindows;
/// use std::time::Duration;
///
/// let windows = ProcessingTimeSessionWindows::with_gap(Duration::from_secs(30));
/// # let _ = windows;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessingTimeSessionWindows<G = FixedGap> {
    gap: G,
}

/// How long a pause ends a session that a record of type `T` belongs to.
pub trait SessionGap<T>: Clone + Send + Sync + 'static {
    /// The gap after `value`, milliseconds.
    ///
    /// # Errors
    /// If it is not possible.
    fn gap_ms(&self, value: &T) -> Result<i64>;

    /// The gap if it is the same for all records.
    fn fixed_ms(&self) -> Option<i64>;
}

/// A gap that is the same for all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedGap {
    gap_ms: i64,
}

/// A gap that each record decides for itself.
#[derive(Debug, Clone, Copy)]
pub struct DynamicGap<F> {
    gap_of: F,
}

impl<T> SessionGap<T> for FixedGap {
    fn gap_ms(&self, _value: &T) -> Result<i64> {
        Ok(self.gap_ms)
    }

    fn fixed_ms(&self) -> Option<i64> {
        Some(self.gap_ms)
    }
}

impl<T, F: Fn(&T) -> Duration + Clone + Send + Sync + 'static> SessionGap<T> for DynamicGap<F> {
    fn gap_ms(&self, value: &T) -> Result<i64> {
        let gap_ms = millis((self.gap_of)(value));
        if is_possible(gap_ms) {
            return Ok(gap_ms);
        }
        Err(Error::user(format!("a record asks for a session gap of {gap_ms} ms"))
            .with_hint("a gap is whole milliseconds greater than 0"))
    }

    fn fixed_ms(&self) -> Option<i64> {
        None
    }
}

impl EventTimeSessionWindows {
    /// Sessions that a pause of more than `gap` ends.
    pub fn with_gap(gap: Duration) -> Self {
        EventTimeSessionWindows { gap: FixedGap { gap_ms: millis(gap) } }
    }

    /// Sessions whose gap each record decides for itself: a record at `t` opens the window `[t, t + gap)`.
    pub fn with_dynamic_gap<T, F: Fn(&T) -> Duration>(gap_of: F) -> EventTimeSessionWindows<DynamicGap<F>> {
        EventTimeSessionWindows { gap: DynamicGap { gap_of } }
    }
}

impl ProcessingTimeSessionWindows {
    /// Sessions that a pause of more than `gap` ends.
    pub fn with_gap(gap: Duration) -> Self {
        ProcessingTimeSessionWindows { gap: FixedGap { gap_ms: millis(gap) } }
    }

    /// Sessions whose gap each record decides for itself.
    pub fn with_dynamic_gap<T, F: Fn(&T) -> Duration>(
        gap_of: F,
    ) -> ProcessingTimeSessionWindows<DynamicGap<F>> {
        ProcessingTimeSessionWindows { gap: DynamicGap { gap_of } }
    }
}

fn is_possible(gap_ms: i64) -> bool {
    (1..=TIME_MAX).contains(&gap_ms)
}

fn check<T>(gap: &impl SessionGap<T>) -> Result<()> {
    match gap.fixed_ms() {
        Some(gap_ms) if !is_possible(gap_ms) => {
            Err(Error::config(format!("sessions with a gap of {gap_ms} ms are not possible"))
                .with_hint("the gap is whole milliseconds greater than 0"))
        }
        _ => Ok(()),
    }
}

/// Pushes the window that a record opens.
fn open(time: EventTime, gap_ms: i64, windows: &mut Vec<TimeWindow>) {
    if (-TIME_MAX..=TIME_MAX).contains(&time) {
        windows.push(TimeWindow { start: time, end: time + gap_ms });
    }
}

/// The window that both become if one touches or overlaps the other.
fn cover(one: &TimeWindow, other: &TimeWindow) -> Option<TimeWindow> {
    let touch = one.start <= other.end && one.end >= other.start;
    touch.then(|| TimeWindow { start: one.start.min(other.start), end: one.end.max(other.end) })
}

impl<T, G: SessionGap<T>> WindowAssigner<T> for EventTimeSessionWindows<G> {
    type Window = TimeWindow;
    type DefaultTrigger = EventTimeTrigger;

    fn assign_windows(
        &self,
        value: &T,
        timestamp: EventTime,
        _context: &AssignerContext,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<()> {
        if timestamp == EventTime::MIN {
            return Err(without_time());
        }
        open(timestamp, self.gap.gap_ms(value)?, windows);
        Ok(())
    }

    fn default_trigger(&self) -> EventTimeTrigger {
        EventTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        true
    }

    fn merging(&self) -> Option<MergeWindows<TimeWindow>> {
        Some(cover)
    }

    fn check(&self) -> Result<()> {
        check(&self.gap)
    }

    fn name(&self) -> &'static str {
        "session window"
    }

    const HAS_SESSIONS: bool = true;

    fn as_session_gap_ms(&self) -> Option<i64> {
        self.gap.fixed_ms()
    }

    fn as_sessions(&self) -> Option<SessionGapOf<T>>
    where
        T: 'static,
    {
        let gap = self.gap.clone();
        let each = || SessionGapOf::Each(Arc::new(move |value: &T| gap.gap_ms(value)));
        Some(self.gap.fixed_ms().map_or_else(each, SessionGapOf::Fixed))
    }
}

impl<T, G: SessionGap<T>> WindowAssigner<T> for ProcessingTimeSessionWindows<G> {
    type Window = TimeWindow;
    type DefaultTrigger = ProcessingTimeTrigger;

    fn assign_windows(
        &self,
        value: &T,
        _timestamp: EventTime,
        context: &AssignerContext,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<()> {
        open(context.processing_time_ms(), self.gap.gap_ms(value)?, windows);
        Ok(())
    }

    fn default_trigger(&self) -> ProcessingTimeTrigger {
        ProcessingTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        false
    }

    fn merging(&self) -> Option<MergeWindows<TimeWindow>> {
        Some(cover)
    }

    fn check(&self) -> Result<()> {
        check(&self.gap)
    }

    fn name(&self) -> &'static str {
        "session window"
    }
}
