//! Global windows: everything of a key in one window that never ends.

use super::{
    AssignerContext, EndOfStreamTrigger, FixedWindowAssigner, GlobalWindow, NeverTrigger, Trigger,
    WindowAssigner,
};
use eddyline_core::{EventTime, Result};

/// One window per key that never ends. It fires only if a trigger says so: choose one, or wait for the end of the
/// input.
///
/// # Examples
/// ```
/// use eddyline::Environment;
/// use eddyline::window::{CountTrigger, GlobalWindows, PurgingTrigger};
///
/// let environment = Environment::new();
/// let numbers = environment.from_collection(vec![1u64, 2, 3, 4, 5]);
/// let all = numbers.window_all(GlobalWindows::with_end_of_stream_trigger()).sum(|number| *number).collect();
/// let pairs = numbers.window_all(GlobalWindows::create()).trigger(PurgingTrigger::of(CountTrigger::of(2)));
/// let pairs = pairs.sum(|number| *number).collect();
/// environment.execute("sums")?;
/// assert_eq!(all.rows()[0].value, 15);
/// assert_eq!(pairs.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [3, 7]);
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalWindows<Tr = NeverTrigger> {
    trigger: Tr,
}

impl GlobalWindows {
    /// Windows that never fire by themselves.
    pub fn create() -> Self {
        GlobalWindows { trigger: NeverTrigger }
    }

    /// Windows that fire when the input has ended.
    pub fn with_end_of_stream_trigger() -> GlobalWindows<EndOfStreamTrigger> {
        GlobalWindows { trigger: EndOfStreamTrigger }
    }
}

impl<T, Tr: Trigger<T, GlobalWindow>> WindowAssigner<T> for GlobalWindows<Tr> {
    type Window = GlobalWindow;
    type DefaultTrigger = Tr;

    fn assign_windows(
        &self,
        _value: &T,
        _timestamp: EventTime,
        _context: &AssignerContext,
        windows: &mut Vec<GlobalWindow>,
    ) -> Result<()> {
        windows.push(GlobalWindow);
        Ok(())
    }

    fn default_trigger(&self) -> Tr {
        self.trigger.clone()
    }

    fn is_event_time(&self) -> bool {
        false
    }

    fn name(&self) -> &'static str {
        "global window"
    }
}

impl<Tr> FixedWindowAssigner for GlobalWindows<Tr> {}
