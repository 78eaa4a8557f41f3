//! A table whose entries age: where accesses, clean-ups and snapshots meet.

use super::{Age, Aging, StateTtlConfig, Ttl, TtlTime};
use crate::keyed_state::{KeyContext, ValueBackend};
use crate::managed::ManagedState;
use crate::table::{KeyedTable, SnapshotFilter, SweepCursor};
use eddyline_core::{Key, Result};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A state that can be cleaned up a little at a time.
pub trait CleanUp {
    /// Does what belongs to `records` records that were processed, if the state is to be cleaned up by records.
    fn after_records(&self, records: usize);
}

/// The values of all keys with their times, as one operator instance keeps them.
pub struct TtlTable<K, W> {
    context: KeyContext<K>,
    table: Rc<RefCell<KeyedTable<K, W>>>,
    ttl: Rc<Ttl>,
    cursor: RefCell<SweepCursor>,
}

impl<K: Key, W: Aging> TtlTable<K, W> {
    /// Lets the entries of `table`, which is empty, age as `config` says, by `time`.
    ///
    /// # Errors
    /// As [`StateTtlConfig::check`].
    pub fn new(
        context: &KeyContext<K>,
        mut table: KeyedTable<K, W>,
        config: StateTtlConfig,
        time: Rc<dyn TtlTime>,
    ) -> Result<Rc<Self>> {
        config.check()?;
        let ttl = Rc::new(Ttl { config, time });
        if config.in_full_snapshots {
            let frozen = Cell::new((i64::MIN, i64::MIN));
            table.set_snapshot_filter(Rc::new(Unexpired { ttl: ttl.clone(), frozen }));
        }
        table.set_expiry(W::last_touch);
        let table = Rc::new(RefCell::new(table));
        Ok(Rc::new(TtlTable { context: context.clone(), table, ttl, cursor: RefCell::default() }))
    }

    /// The state as the runtime sees it.
    pub fn table(&self) -> Rc<RefCell<KeyedTable<K, W>>> {
        self.table.clone()
    }

    pub(crate) fn ttl(&self) -> Rc<Ttl> {
        self.ttl.clone()
    }

    fn sweep(&self, entries: usize) {
        if entries > 0 {
            let (limit, stamp) = (self.ttl.limit(), self.ttl.stamp());
            let mut table = self.table.borrow_mut();
            table.expire(limit);
            table.sweep(
                &mut self.cursor.borrow_mut(),
                entries,
                |value| value.age(limit),
                |value| {
                    value.trim(limit, stamp);
                },
            );
        }
    }
}

impl<K: Key, W: Aging> CleanUp for TtlTable<K, W> {
    fn after_records(&self, records: usize) {
        if self.ttl.config.for_every_record {
            self.sweep(records.saturating_mul(self.ttl.config.entries_per_access));
        }
    }
}

/// Entries as they are stored, and clean-up elsewhere.
pub(crate) trait AgingBackend<W>: ValueBackend<W> {
    /// An access is over.
    fn after_access(&self);
}

impl<K: Key, W: Aging> AgingBackend<W> for TtlTable<K, W> {
    fn after_access(&self) {
        self.sweep(self.ttl.config.entries_per_access);
    }
}

impl<K: Key, W: Aging> ValueBackend<W> for TtlTable<K, W> {
    fn read(&self, see: &mut dyn FnMut(Option<&W>)) {
        let table = self.table.borrow();
        self.context.with(|hash, key| see(table.get(hash, key)));
    }

    fn change(&self, make: &mut dyn FnMut() -> W, change: &mut dyn FnMut(&mut W)) {
        let mut table = self.table.borrow_mut();
        self.context.with(|hash, key| change(table.entry_or_insert_with(hash, key, make)));
    }

    fn take(&self) -> Option<W> {
        let mut table = self.table.borrow_mut();
        self.context.with(|hash, key| table.remove(hash, key))
    }
}

/// Keeps what had expired when it was frozen out of snapshots that stand alone.
struct Unexpired {
    ttl: Rc<Ttl>,
    /// Limit and stamp at the newest freeze.
    frozen: Cell<(i64, i64)>,
}

impl<W: Aging> SnapshotFilter<W> for Unexpired {
    fn freeze(&self) {
        self.frozen.set((self.ttl.limit(), self.ttl.stamp()));
    }

    fn written<'v>(&self, value: &'v W) -> Option<Cow<'v, W>> {
        let (limit, stamp) = self.frozen.get();
        match value.age(limit) {
            Age::Fresh => Some(Cow::Borrowed(value)),
            Age::Expired => None,
            Age::Partly => {
                let mut value = value.clone();
                value.trim(limit, stamp);
                Some(Cow::Owned(value))
            }
        }
    }
}

impl<K: Key, W: Aging> TtlTable<K, W> {
    /// The state for checkpoints.
    pub fn managed(&self) -> Rc<RefCell<dyn ManagedState>> {
        self.table.clone()
    }
}
