//! Triggers that fire a window once its time has passed, or never.

use super::{Trigger, TriggerContext, TriggerResult};
use crate::window::{Window, WindowTime};
use eddyline_core::{EventTime, WATERMARK_MAX};

/// Fires when the watermark has passed the window, and at once for each record that comes later: the default of
/// windows in event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTimeTrigger;

impl<T, W: Window> Trigger<T, W> for EventTimeTrigger {
    type State = ();

    fn on_element(
        &self,
        _element: &T,
        _timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        if window.max_timestamp() <= context.watermark() {
            return TriggerResult::Fire;
        }
        context.register_event_time_timer(window.max_timestamp());
        TriggerResult::Continue
    }

    fn on_event_time(
        &self,
        time: EventTime,
        window: &W,
        _context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        if time == window.max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue }
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, window: &W, _merged: Vec<()>, context: &mut TriggerContext<'_, ()>) {
        if window.max_timestamp() > context.watermark() {
            context.register_event_time_timer(window.max_timestamp());
        }
    }

    fn clear(&self, window: &W, context: &mut TriggerContext<'_, ()>) {
        context.delete_event_time_timer(window.max_timestamp());
    }
}

/// Fires when the clock has passed the window: the default of windows in processing time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessingTimeTrigger;

impl<T, W: Window> Trigger<T, W> for ProcessingTimeTrigger {
    type State = ();

    fn on_element(
        &self,
        _element: &T,
        _timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        context.register_processing_time_timer(window.max_timestamp());
        TriggerResult::Continue
    }

    fn on_processing_time(
        &self,
        _time_ms: i64,
        _window: &W,
        _context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, window: &W, _merged: Vec<()>, context: &mut TriggerContext<'_, ()>) {
        if window.max_timestamp() > context.processing_time_ms() {
            context.register_processing_time_timer(window.max_timestamp());
        }
    }

    fn clear(&self, window: &W, context: &mut TriggerContext<'_, ()>) {
        context.delete_processing_time_timer(window.max_timestamp());
    }
}

/// [`EventTimeTrigger`] or [`ProcessingTimeTrigger`], by the time that the windows are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowEndTrigger {
    time: WindowTime,
}

impl WindowEndTrigger {
    pub(crate) fn of(time: WindowTime) -> Self {
        WindowEndTrigger { time }
    }
}

impl<T, W: Window> Trigger<T, W> for WindowEndTrigger {
    type State = ();

    fn on_element(
        &self,
        element: &T,
        timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        match self.time {
            WindowTime::Event => EventTimeTrigger.on_element(element, timestamp, window, context),
            WindowTime::Processing => ProcessingTimeTrigger.on_element(element, timestamp, window, context),
        }
    }

    fn on_event_time(
        &self,
        time: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        match self.time {
            WindowTime::Event => Trigger::<T, W>::on_event_time(&EventTimeTrigger, time, window, context),
            WindowTime::Processing => TriggerResult::Continue,
        }
    }

    fn on_processing_time(
        &self,
        _time_ms: i64,
        _window: &W,
        _context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        match self.time {
            WindowTime::Event => TriggerResult::Continue,
            WindowTime::Processing => TriggerResult::Fire,
        }
    }

    fn clear(&self, window: &W, context: &mut TriggerContext<'_, ()>) {
        match self.time {
            WindowTime::Event => context.delete_event_time_timer(window.max_timestamp()),
            WindowTime::Processing => context.delete_processing_time_timer(window.max_timestamp()),
        }
    }
}

/// Never fires: the default of global windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NeverTrigger;

impl<T, W: Window> Trigger<T, W> for NeverTrigger {
    type State = ();

    fn on_element(
        &self,
        _element: &T,
        _timestamp: EventTime,
        _window: &W,
        _context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    fn can_merge(&self) -> bool {
        true
    }
}

/// Fires when the input has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndOfStreamTrigger;

impl<T, W: Window> Trigger<T, W> for EndOfStreamTrigger {
    type State = ();

    fn on_element(
        &self,
        _element: &T,
        _timestamp: EventTime,
        _window: &W,
        context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        context.register_event_time_timer(WATERMARK_MAX);
        TriggerResult::Continue
    }

    fn on_event_time(
        &self,
        time: EventTime,
        _window: &W,
        _context: &mut TriggerContext<'_, ()>,
    ) -> TriggerResult {
        if time == WATERMARK_MAX { TriggerResult::Fire } else { TriggerResult::Continue }
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, _window: &W, _merged: Vec<()>, context: &mut TriggerContext<'_, ()>) {
        context.register_event_time_timer(WATERMARK_MAX);
    }

    fn clear(&self, _window: &W, context: &mut TriggerContext<'_, ()>) {
        context.delete_event_time_timer(WATERMARK_MAX);
    }
}
