//! A trigger that counts.

use super::{Trigger, TriggerContext, TriggerResult};
use crate::window::Window;
use eddyline_core::EventTime;

/// Fires with every so many records of a window; what is left over at the window's end does not fire.
///
/// # Examples
/// ```
/// use eddyline::window::{CountTrigger, PurgingTrigger};
///
/// let every_third = CountTrigger::of(3);
/// let by_threes = PurgingTrigger::of(CountTrigger::of(3));
/// # let _ = (every_third, by_threes);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountTrigger {
    count_max: u64,
}

impl CountTrigger {
    /// Fires with every `count_max` records; 0 means the same as 1.
    pub fn of(count_max: u64) -> Self {
        CountTrigger { count_max }
    }
}

impl<T, W: Window> Trigger<T, W> for CountTrigger {
    type State = u64;

    fn on_element(
        &self,
        _element: &T,
        _timestamp: EventTime,
        _window: &W,
        context: &mut TriggerContext<'_, u64>,
    ) -> TriggerResult {
        let count = context.take_state().unwrap_or(0) + 1;
        if count >= self.count_max {
            return TriggerResult::Fire;
        }
        context.set_state(count);
        TriggerResult::Continue
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, _window: &W, merged: Vec<u64>, context: &mut TriggerContext<'_, u64>) {
        if !merged.is_empty() {
            context.set_state(merged.iter().sum());
        }
    }
}
