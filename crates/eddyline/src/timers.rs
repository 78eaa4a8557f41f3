//! The timers of an operator instance, of both notions of time.

use eddyline_core::{Key, Result};
use eddyline_runtime::InstanceInfo;
use eddyline_state::{ManagedState, TimerTable};

/// The state of event-time timers.
pub(crate) const EVENT_TIMERS: &str = "__event-timers";
/// The state of processing-time timers.
pub(crate) const PROCESSING_TIMERS: &str = "__processing-timers";

/// Event-time and processing-time timers by key.
pub(crate) struct KeyedTimers<K> {
    pub(crate) event: TimerTable<K>,
    pub(crate) processing: TimerTable<K>,
}

impl<K: Key> KeyedTimers<K> {
    /// No timers, for the keys of an instance.
    pub(crate) fn new(info: &InstanceInfo) -> Self {
        let table = |name: &str| TimerTable::new(name, info.key_groups, info.max_parallelism);
        KeyedTimers { event: table(EVENT_TIMERS), processing: table(PROCESSING_TIMERS) }
    }

    /// Shows both tables.
    pub(crate) fn visit(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.event)?;
        visit(&mut self.processing)
    }
}
