//! Triggers that fire again and again while a window lasts: early results.

use super::{Trigger, TriggerContext, TriggerResult};
use crate::watermark::millis;
use crate::window::Window;
use eddyline_core::{EventTime, WATERMARK_MAX};
use std::time::Duration;

/// Fires whenever the watermark passes a multiple of an interval, and when it has passed the window. Global windows
/// fire once more when the input ends.
///
/// # Examples
/// ```
/// use eddyline::window::{ContinuousEventTimeTrigger, TumblingEventTimeWindows};
/// use eddyline::{Environment, WatermarkStrategy};
/// use std::time::Duration;
///
/// let mut environment = Environment::new();
/// // Watermarks exactly between records, so that the example always gives the same.
/// environment.options_mut().set("eddyline.watermark-mode", "on-event")?;
/// let items = vec![((), 1), ((), 5), ((), 12), ((), 31)];
/// let clicks = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = clicks.window_all(TumblingEventTimeWindows::of(Duration::from_millis(30)));
/// let so_far = windows.trigger(ContinuousEventTimeTrigger::of(Duration::from_millis(10))).count().collect();
/// environment.execute("clicks")?;
/// let counts: Vec<_> = so_far.rows().iter().map(|row| (row.window.start, row.value)).collect();
/// assert_eq!(counts, [(0, 3), (0, 3), (0, 3), (30, 1), (30, 1), (30, 1)]);
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContinuousEventTimeTrigger {
    interval_ms: i64,
}

impl ContinuousEventTimeTrigger {
    /// Fires every `interval` of event time; less than a millisecond means a millisecond.
    pub fn of(interval: Duration) -> Self {
        ContinuousEventTimeTrigger { interval_ms: millis(interval).max(1) }
    }

    fn register_next<W: Window>(&self, time: EventTime, window: &W, context: &mut TriggerContext<'_, i64>) {
        let next = time.saturating_add(self.interval_ms).min(window.max_timestamp());
        context.set_state(next);
        context.register_event_time_timer(next);
    }
}

impl<T, W: Window> Trigger<T, W> for ContinuousEventTimeTrigger {
    /// When the trigger fires next.
    type State = i64;

    fn on_element(
        &self,
        _element: &T,
        timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, i64>,
    ) -> TriggerResult {
        if window.max_timestamp() <= context.watermark() {
            return TriggerResult::Fire;
        }
        context.register_event_time_timer(window.max_timestamp());
        if context.state().is_none() {
            self.register_next(start_of(timestamp, self.interval_ms), window, context);
        }
        TriggerResult::Continue
    }

    fn on_event_time(
        &self,
        time: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, i64>,
    ) -> TriggerResult {
        if time == window.max_timestamp() {
            return TriggerResult::Fire;
        }
        if context.watermark() == WATERMARK_MAX && window.max_timestamp() == WATERMARK_MAX {
            // The input has ended: a window without an end fires once more, not for ever.
            context.take_state();
            return TriggerResult::Continue;
        }
        if context.state() == Some(&time) {
            self.register_next(time, window, context);
            return TriggerResult::Fire;
        }
        TriggerResult::Continue
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, _window: &W, merged: Vec<i64>, context: &mut TriggerContext<'_, i64>) {
        if let Some(next) = merged.into_iter().min() {
            context.set_state(next);
            context.register_event_time_timer(next);
        }
    }

    fn clear(&self, window: &W, context: &mut TriggerContext<'_, i64>) {
        context.delete_event_time_timer(window.max_timestamp());
        if let Some(next) = context.take_state() {
            context.delete_event_time_timer(next);
        }
    }
}

/// Fires whenever the clock passes a multiple of an interval while the window has records. It does not fire when the
/// watermark passes the window.
///
/// # Examples
/// ```
/// use eddyline::window::{ContinuousProcessingTimeTrigger, TumblingProcessingTimeWindows};
/// use std::time::Duration;
///
/// let a_day = TumblingProcessingTimeWindows::of(Duration::from_secs(86_400));
/// let every_minute = ContinuousProcessingTimeTrigger::of(Duration::from_secs(60));
/// # let _ = (a_day, every_minute);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContinuousProcessingTimeTrigger {
    interval_ms: i64,
}

impl ContinuousProcessingTimeTrigger {
    /// Fires every `interval` of processing time; less than a millisecond means a millisecond.
    pub fn of(interval: Duration) -> Self {
        ContinuousProcessingTimeTrigger { interval_ms: millis(interval).max(1) }
    }

    fn register_next<W: Window>(&self, time: i64, window: &W, context: &mut TriggerContext<'_, i64>) {
        let next = time.saturating_add(self.interval_ms);
        let end = window.max_timestamp();
        // A window of an event time that is long past by the clock has no end to fire at.
        let next = if end > time { next.min(end) } else { next };
        context.set_state(next);
        context.register_processing_time_timer(next);
    }
}

impl<T, W: Window> Trigger<T, W> for ContinuousProcessingTimeTrigger {
    /// When the trigger fires next.
    type State = i64;

    fn on_element(
        &self,
        _element: &T,
        _timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, i64>,
    ) -> TriggerResult {
        if context.state().is_none() {
            self.register_next(start_of(context.processing_time_ms(), self.interval_ms), window, context);
        }
        TriggerResult::Continue
    }

    fn on_processing_time(
        &self,
        time_ms: i64,
        window: &W,
        context: &mut TriggerContext<'_, i64>,
    ) -> TriggerResult {
        if context.state() == Some(&time_ms) {
            self.register_next(time_ms, window, context);
            return TriggerResult::Fire;
        }
        TriggerResult::Continue
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, _window: &W, merged: Vec<i64>, context: &mut TriggerContext<'_, i64>) {
        if let Some(next) = merged.into_iter().min() {
            context.set_state(next);
            context.register_processing_time_timer(next);
        }
    }

    fn clear(&self, _window: &W, context: &mut TriggerContext<'_, i64>) {
        if let Some(next) = context.take_state() {
            context.delete_processing_time_timer(next);
        }
    }
}

fn start_of(time: i64, interval_ms: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(interval_ms))
}
