//! The timers of a window: the trigger's, and the one at the end of the window's life.

use super::super::Window;
use super::super::trigger::{TriggerContext, WindowTimers};
use super::firing::Moment;
use super::pane::{TimerNotes, WindowKey};
use crate::function::TimeDomain;
use crate::timers::KeyedTimers;
use eddyline_core::{EventTime, Key};
use eddyline_state::TimerTable;

/// When a window's life ends, and by whose time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) is_event_time: bool,
    pub(super) lateness_ms: i64,
}

impl Lifetime {
    /// The notion of time that ends a window's life.
    pub(super) fn domain(&self) -> TimeDomain {
        if self.is_event_time { TimeDomain::EventTime } else { TimeDomain::ProcessingTime }
    }

    /// When everything about `window` is dropped; `i64::MAX` if never.
    pub(super) fn cleanup_time<W: Window>(&self, window: &W) -> EventTime {
        let end = window.max_timestamp();
        if self.is_event_time { end.saturating_add(self.lateness_ms) } else { end }
    }

    /// Whether records of `window` are not taken any more.
    pub(super) fn is_over<W: Window>(&self, window: &W, watermark: EventTime) -> bool {
        self.is_event_time && self.cleanup_time(window) <= watermark
    }
}

/// The timers of one window, with what its pane has noted of them.
pub(super) struct PaneTimers<'a, K, W> {
    pub(super) timers: &'a mut KeyedTimers<WindowKey<K, W>>,
    pub(super) hash: u64,
    pub(super) place: &'a WindowKey<K, W>,
    pub(super) notes: &'a mut TimerNotes,
    /// The domain and the time of the timer at the end of the window's life, if it has to stay.
    pub(super) kept: Option<(TimeDomain, EventTime)>,
}

impl<K: Key, W: Window> PaneTimers<'_, K, W> {
    fn register(&mut self, domain: TimeDomain, time: i64) {
        let note = self.notes.of(domain);
        if self.kept != Some((domain, time)) && (*note != time || time == i64::MIN) {
            *note = time;
            table_of(self.timers, domain).register(time, self.hash, self.place, 0);
        }
    }

    fn delete(&mut self, domain: TimeDomain, time: i64) {
        if self.kept == Some((domain, time)) {
            return;
        }
        self.notes.forget(domain, time);
        table_of(self.timers, domain).delete(time, self.hash, self.place, 0);
    }
}

impl<K: Key, W: Window> WindowTimers for PaneTimers<'_, K, W> {
    fn register_event_time(&mut self, time: EventTime) {
        self.register(TimeDomain::EventTime, time);
    }

    fn delete_event_time(&mut self, time: EventTime) {
        self.delete(TimeDomain::EventTime, time);
    }

    fn register_processing_time(&mut self, time_ms: i64) {
        self.register(TimeDomain::ProcessingTime, time_ms);
    }

    fn delete_processing_time(&mut self, time_ms: i64) {
        self.delete(TimeDomain::ProcessingTime, time_ms);
    }
}

/// Asks a trigger about windows that are merged, whose panes are on their way.
pub(super) struct Asking<'a, K, W> {
    pub(super) timers: &'a mut KeyedTimers<WindowKey<K, W>>,
    pub(super) hash: u64,
    pub(super) moment: Moment,
}

impl<K: Key, W: Window> Asking<'_, K, W> {
    pub(super) fn of<S>(
        &mut self,
        place: &WindowKey<K, W>,
        state: &mut Option<S>,
        ask: impl FnOnce(&mut TriggerContext<'_, S>),
    ) {
        // What is registered now may be registered again: then it is there once all the same.
        let mut notes = TimerNotes::NONE;
        let timers =
            &mut PaneTimers { timers: self.timers, hash: self.hash, place, notes: &mut notes, kept: None };
        let Moment { watermark, processing_time_ms } = self.moment;
        ask(&mut TriggerContext { state, timers, watermark, processing_time_ms });
    }
}

/// The timers of a notion of time.
pub(super) fn table_of<K>(timers: &mut KeyedTimers<K>, domain: TimeDomain) -> &mut TimerTable<K> {
    match domain {
        TimeDomain::EventTime => &mut timers.event,
        TimeDomain::ProcessingTime => &mut timers.processing,
    }
}
