//! A trigger that empties what another one fires.

use super::{Trigger, TriggerContext, TriggerResult};
use crate::window::Window;
use eddyline_core::EventTime;

/// Fires when another trigger does, and then drops the window's contents.
///
/// # Examples
/// ```
/// use eddyline::window::{CountTrigger, PurgingTrigger};
///
/// let by_threes = PurgingTrigger::of(CountTrigger::of(3));
/// # let _ = by_threes;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgingTrigger<Tr> {
    nested: Tr,
}

impl<Tr> PurgingTrigger<Tr> {
    /// Fires when `nested` does.
    pub fn of(nested: Tr) -> Self {
        PurgingTrigger { nested }
    }
}

fn purging(result: TriggerResult) -> TriggerResult {
    if result.is_fire() { TriggerResult::FireAndPurge } else { result }
}

impl<T, W: Window, Tr: Trigger<T, W>> Trigger<T, W> for PurgingTrigger<Tr> {
    type State = Tr::State;

    fn on_element(
        &self,
        element: &T,
        timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, Tr::State>,
    ) -> TriggerResult {
        purging(self.nested.on_element(element, timestamp, window, context))
    }

    fn on_event_time(
        &self,
        time: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, Tr::State>,
    ) -> TriggerResult {
        purging(self.nested.on_event_time(time, window, context))
    }

    fn on_processing_time(
        &self,
        time_ms: i64,
        window: &W,
        context: &mut TriggerContext<'_, Tr::State>,
    ) -> TriggerResult {
        purging(self.nested.on_processing_time(time_ms, window, context))
    }

    fn can_merge(&self) -> bool {
        self.nested.can_merge()
    }

    fn on_merge(&self, window: &W, merged: Vec<Tr::State>, context: &mut TriggerContext<'_, Tr::State>) {
        self.nested.on_merge(window, merged, context);
    }

    fn clear(&self, window: &W, context: &mut TriggerContext<'_, Tr::State>) {
        self.nested.clear(window, context);
    }
}
