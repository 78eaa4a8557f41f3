//! When windows fire.
//!
//! A trigger is asked about each record of a window and when its timers are due, and says whether the window fires,
//! whether its contents are dropped, or neither. It keeps a state of its own per key and window.

mod continuous;
mod count;
mod delta;
mod purging;
mod time;

pub use continuous::{ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger};
pub use count::CountTrigger;
pub use delta::DeltaTrigger;
pub use purging::PurgingTrigger;
pub use time::{EndOfStreamTrigger, EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger, WindowEndTrigger};

use super::Window;
use eddyline_core::{Data, EventTime};

/// What a trigger wants to happen to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// The window is given to its function; its contents stay.
    Fire,
    /// The window's contents are dropped.
    Purge,
    /// The window is given to its function, then its contents are dropped.
    FireAndPurge,
}

impl TriggerResult {
    /// Whether the window is given to its function.
    pub fn is_fire(self) -> bool {
        matches!(self, TriggerResult::Fire | TriggerResult::FireAndPurge)
    }

    /// Whether the window's contents are dropped.
    pub fn is_purge(self) -> bool {
        matches!(self, TriggerResult::Purge | TriggerResult::FireAndPurge)
    }
}

/// Decides when windows `W` over records of type `T` fire.
///
/// One trigger serves all windows of an instance: what belongs to a window is kept in
/// [`TriggerContext::state`], not in fields. A timer belongs to a window, fires once, and is the only way to be called
/// later.
///
/// # Examples
/// Windows that fire as soon as they have what they wait for, else at their end:
/// ```
/// use eddyline::EventTime;
/// use eddyline::window::{Trigger, TriggerContext, TriggerResult, Window};
///
/// #[derive(Clone)]
/// struct AtZero;
///
/// impl<W: Window> Trigger<i64, W> for AtZero {
///     type State = ();
///
///     fn on_element(
///         &self,
///         element: &i64,
///         _timestamp: EventTime,
///         window: &W,
///         context: &mut TriggerContext<'_, ()>,
///     ) -> TriggerResult {
///         context.register_event_time_timer(window.max_timestamp());
///         if *element == 0 { TriggerResult::FireAndPurge } else { TriggerResult::Continue }
///     }
///
///     fn on_event_time(
///         &self,
///         time: EventTime,
///         window: &W,
///         _context: &mut TriggerContext<'_, ()>,
///     ) -> TriggerResult {
///         if time == window.max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue }
///     }
///
///     fn clear(&self, window: &W, context: &mut TriggerContext<'_, ()>) {
///         context.delete_event_time_timer(window.max_timestamp());
///     }
/// }
///
/// use eddyline::window::TumblingEventTimeWindows;
/// use eddyline::{Environment, WatermarkStrategy};
/// use std::time::Duration;
/// let environment = Environment::new();
/// let items = vec![(3i64, 1), (0, 2), (5, 3), (7, 12)];
/// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = numbers.key_by(|_| 0u8).window(TumblingEventTimeWindows::of(Duration::from_millis(10)));
/// let sums = windows.trigger(AtZero).sum(|number| *number).collect();
/// environment.execute("sums")?;
/// assert_eq!(sums.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [3, 5, 7]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait Trigger<T, W: Window>: Clone + Send + Sync + 'static {
    /// What is kept per key and window.
    type State: Data;

    /// A record has been added to `window`.
    fn on_element(
        &self,
        element: &T,
        timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, Self::State>,
    ) -> TriggerResult;

    /// An event-time timer of `window` is due. The engine's own timer at the end of a window's life, which is its
    /// greatest timestamp plus the allowed lateness, counts as one.
    fn on_event_time(
        &self,
        time: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, Self::State>,
    ) -> TriggerResult {
        let _ = (time, window, context);
        TriggerResult::Continue
    }

    /// A processing-time timer of `window` is due; else as [`Trigger::on_event_time`].
    fn on_processing_time(
        &self,
        time_ms: i64,
        window: &W,
        context: &mut TriggerContext<'_, Self::State>,
    ) -> TriggerResult {
        let _ = (time_ms, window, context);
        TriggerResult::Continue
    }

    /// Whether [`Trigger::on_merge`] can be called. Windows that merge, such as sessions, need such a trigger.
    fn can_merge(&self) -> bool {
        false
    }

    /// Several windows have become `window`, whose state is empty: `merged` are their states. Their timers are gone
    /// after this.
    fn on_merge(&self, window: &W, merged: Vec<Self::State>, context: &mut TriggerContext<'_, Self::State>) {
        let _ = (window, merged, context);
    }

    /// The window is dropped: deletes the timers that were registered for it. Its state is gone after this.
    fn clear(&self, window: &W, context: &mut TriggerContext<'_, Self::State>) {
        let _ = (window, context);
    }
}

/// Where the timers of a window are registered.
pub(crate) trait WindowTimers {
    fn register_event_time(&mut self, time: EventTime);
    fn delete_event_time(&mut self, time: EventTime);
    fn register_processing_time(&mut self, time_ms: i64);
    fn delete_processing_time(&mut self, time_ms: i64);
}

/// What a trigger may ask and keep for a window.
pub struct TriggerContext<'a, S> {
    pub(crate) state: &'a mut Option<S>,
    pub(crate) timers: &'a mut dyn WindowTimers,
    pub(crate) watermark: EventTime,
    pub(crate) processing_time_ms: i64,
}

impl<S> TriggerContext<'_, S> {
    /// The watermark as last applied.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The time of the job's clock, milliseconds since the epoch; never goes back.
    pub fn processing_time_ms(&self) -> i64 {
        self.processing_time_ms
    }

    /// What is kept for the window.
    pub fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// What is kept for the window, to be changed.
    pub fn state_mut(&mut self) -> &mut Option<S> {
        self.state
    }

    /// Keeps `state` for the window.
    pub fn set_state(&mut self, state: S) {
        *self.state = Some(state);
    }

    /// Takes out what is kept for the window.
    pub fn take_state(&mut self) -> Option<S> {
        self.state.take()
    }

    /// Asks for [`Trigger::on_event_time`] when the watermark has passed `time`. A timer that is registered already
    /// is not registered twice.
    pub fn register_event_time_timer(&mut self, time: EventTime) {
        self.timers.register_event_time(time);
    }

    /// Asks for [`Trigger::on_processing_time`] when the job's clock has passed `time_ms`.
    pub fn register_processing_time_timer(&mut self, time_ms: i64) {
        self.timers.register_processing_time(time_ms);
    }

    /// Deletes a timer of the window; without one nothing happens.
    pub fn delete_event_time_timer(&mut self, time: EventTime) {
        self.timers.delete_event_time(time);
    }

    /// Deletes a timer of the window; without one nothing happens.
    pub fn delete_processing_time_timer(&mut self, time_ms: i64) {
        self.timers.delete_processing_time(time_ms);
    }

    /// The same window with another state, for triggers made of others: each of them is given its own part.
    pub fn with_state<'b, S2>(&'b mut self, state: &'b mut Option<S2>) -> TriggerContext<'b, S2> {
        TriggerContext {
            state,
            timers: &mut *self.timers,
            watermark: self.watermark,
            processing_time_ms: self.processing_time_ms,
        }
    }
}
