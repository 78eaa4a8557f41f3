//! A trigger that fires when something has changed enough.

use super::{Trigger, TriggerContext, TriggerResult};
use crate::window::Window;
use eddyline_core::{Data, EventTime};

/// Fires when a record is further than a threshold from the one that fired last (or came first).
///
/// It cannot be used with windows that merge.
///
/// # Examples
/// ```
/// use eddyline::Environment;
/// use eddyline::window::{DeltaTrigger, GlobalWindows, PurgingTrigger};
///
/// let environment = Environment::new();
/// let meters = environment.from_collection(vec![0.0f64, 40.0, 90.0, 150.0, 160.0, 270.0]);
/// let every_hundred = DeltaTrigger::of(100.0, |before: &f64, now: &f64| now - before);
/// let counts = meters.window_all(GlobalWindows::create()).trigger(PurgingTrigger::of(every_hundred)).count();
/// let counts = counts.collect();
/// environment.execute("meters")?;
/// assert_eq!(counts.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [4, 2]);
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct DeltaTrigger<F> {
    threshold: f64,
    delta: F,
}

impl<F> DeltaTrigger<F> {
    /// Fires when `delta` of the record that fired last and a new one is greater than `threshold`.
    pub fn of<T>(threshold: f64, delta: F) -> Self
    where
        F: Fn(&T, &T) -> f64,
    {
        DeltaTrigger { threshold, delta }
    }
}

impl<T, W, F> Trigger<T, W> for DeltaTrigger<F>
where
    T: Data,
    W: Window,
    F: Fn(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    type State = T;

    fn on_element(
        &self,
        element: &T,
        _timestamp: EventTime,
        _window: &W,
        context: &mut TriggerContext<'_, T>,
    ) -> TriggerResult {
        let Some(last) = context.state() else {
            context.set_state(element.clone());
            return TriggerResult::Continue;
        };
        if (self.delta)(last, element) > self.threshold {
            context.set_state(element.clone());
            return TriggerResult::Fire;
        }
        TriggerResult::Continue
    }
}
