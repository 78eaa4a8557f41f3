//! State by windows, in memory or in the job's backend: what fires is taken out as a whole, or some keys at a time.

use super::Settings;
use crate::row::RowBytes;
use eddyline_core::{Data, EventTime, KeyGroupRange, Result};
use eddyline_runtime::{Fetch, Fetching, OperatorContext};
use eddyline_state::{ManagedState, NamespacedTable, StoredWindows};

/// The values of the keys of windows, which are told apart by their ends.
pub(crate) struct Windows<V> {
    kept: Kept<V>,
    /// Whether input was refused while a window was fetched.
    was_waiting: bool,
}

enum Kept<V> {
    Memory(NamespacedTable<RowBytes, V>),
    Stored(Stored<V>),
}

struct Stored<V> {
    table: StoredWindows<RowBytes, V>,
    /// What is on its way of the window that fires, and how many hashes of keys that is.
    due: Option<(Fetch, usize)>,
}

/// What [`Windows::next`] answers.
pub(crate) enum Due<V> {
    /// The end of a window, and keys of it in order.
    Keys(Vec<(RowBytes, V)>),
    /// No window is due.
    None,
    /// Keys are on their way.
    Waiting,
}

impl<V: Data> Windows<V> {
    /// What an operator has before it is opened.
    pub(crate) fn unopened(name: &str) -> Self {
        let table = NamespacedTable::new(name, KeyGroupRange { start: 0, end: 1 }, 1);
        Windows { kept: Kept::Memory(table), was_waiting: false }
    }

    /// An empty table for the keys of the instance. Final results are given by reading all of it at the end: then it is
    /// always in memory.
    pub(crate) fn open(name: &str, settings: &Settings, context: &OperatorContext<'_>) -> Result<Self> {
        let stored = if settings.batch { None } else { context.states().stored_windows(name)? };
        let kept = match stored {
            Some(table) => Kept::Stored(Stored { table, due: None }),
            None => {
                let info = context.info();
                Kept::Memory(NamespacedTable::new(name, info.key_groups, info.max_parallelism))
            }
        };
        Ok(Windows { kept, was_waiting: false })
    }

    /// The value of `key` in the window that ends at `end`, made by `make` if there is none, to be changed.
    #[inline]
    pub(crate) fn entry(
        &mut self,
        end: EventTime,
        hash: u64,
        key: &RowBytes,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        match &mut self.kept {
            Kept::Memory(table) => table.entry(end, hash, key, make),
            Kept::Stored(stored) => stored.table.entry(end, hash, key, make),
        }
    }

    /// The end of the first window that has keys.
    pub(crate) fn first(&self) -> Option<EventTime> {
        match &self.kept {
            Kept::Memory(table) => table.first_namespace(),
            Kept::Stored(stored) => stored.table.first_namespace(),
        }
    }

    /// Whether records can be taken in: not while keys of a window are on their way.
    pub(crate) fn accepts_input(&self) -> bool {
        !matches!(&self.kept, Kept::Stored(stored) if stored.due.is_some())
    }

    /// Takes out keys of the first window that ends at `until` or before.
    pub(crate) fn next(&mut self, until: EventTime, context: &OperatorContext<'_>) -> Result<Due<V>> {
        let Some(end) = self.first().filter(|end| *end <= until) else {
            if std::mem::take(&mut self.was_waiting) {
                context.waker().wake_by_ref();
            }
            return Ok(Due::None);
        };
        let mut keys: Vec<(RowBytes, V)> = match &mut self.kept {
            Kept::Memory(table) => table.take_namespace(end).map(|(_, key, value)| (key, value)).collect(),
            Kept::Stored(stored) => match stored.take(end)? {
                Some(keys) => keys,
                None => {
                    self.was_waiting = true;
                    return Ok(Due::Waiting);
                }
            },
        };
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(Due::Keys(keys))
    }

    /// The state for checkpoints.
    pub(crate) fn managed(&mut self) -> &mut dyn ManagedState {
        match &mut self.kept {
            Kept::Memory(table) => table,
            Kept::Stored(stored) => &mut stored.table,
        }
    }
}

impl<V: Data> Stored<V> {
    /// Some keys of a window; none if they are not in memory yet.
    fn take(&mut self, end: EventTime) -> Result<Option<Vec<(RowBytes, V)>>> {
        let (fetch, count) = match self.due.take() {
            Some(due) => due,
            None => {
                let most = self.table.keys_per_fetch().unwrap_or(1);
                let hashes = self.table.last_hashes(end, most).to_vec();
                let count = hashes.len();
                let mut states: [&mut dyn ManagedState; 1] = [&mut self.table];
                (states.fetch(hashes), count)
            }
        };
        let mut states: [&mut dyn ManagedState; 1] = [&mut self.table];
        if !states.is_fetched(&fetch)? {
            self.due = Some((fetch, count));
            return Ok(None);
        }
        let keys = (0..count).flat_map(|_| self.table.take_last(end)).collect();
        let mut states: [&mut dyn ManagedState; 1] = [&mut self.table];
        states.release(&fetch);
        Ok(Some(keys))
    }
}
