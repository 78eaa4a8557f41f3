//! A keyed table whose values live for ever, or for a time after they were last written.
//!
//! # Contract
//! - A value that was not written for its time to live is as if it were not there.
//! - Expired values leave memory a few at a time, with each batch, and the store when it is tidied.
//! - The time is told once a batch: all accesses of a batch are at that time.
//! - A value can be held: it does not expire before it is written again.
//!
//! Unlike [`TtlTable`](super::TtlTable), the owner names the keys, and what is read is not stamped.

use super::{Aging, NEVER_STAMPED, Timed, is_expired};
use crate::managed::ManagedState;
use crate::table::{KeyedTable, SweepCursor};
use eddyline_core::{Data, Key};

/// Entries that are looked at per record of a batch, and at most.
const SWEPT_PER_RECORD: usize = 2;
const SWEPT_MAX: usize = 1_000;
/// The touch of a value that is held.
const HELD: i64 = i64::MAX;

/// Goes round a table and drops what has expired.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sweeper {
    cursor: SweepCursor,
}

impl Sweeper {
    /// Lets entries of `table` expire in its store, too. The table is empty.
    pub fn new<K: Key, V: Aging>(table: &mut KeyedTable<K, V>) -> Self {
        table.set_expiry(V::last_touch);
        Sweeper::default()
    }

    /// `records` records are about to be processed at `now_ms`: what was touched at `limit` or before has expired.
    pub fn sweep<K: Key, V: Aging>(
        &mut self,
        table: &mut KeyedTable<K, V>,
        records: usize,
        limit: i64,
        now_ms: i64,
    ) {
        table.expire(limit);
        let entries = records.saturating_mul(SWEPT_PER_RECORD).min(SWEPT_MAX);
        let trim = |value: &mut V| value.trim(limit, now_ms);
        table.sweep(&mut self.cursor, entries, |value| value.age(limit), trim);
    }
}

/// Values that age.
struct Aged<K, V> {
    table: KeyedTable<K, Timed<V>>,
    sweeper: Sweeper,
    ttl_ms: i64,
    now_ms: i64,
}

impl<K: Key, V: Data> Aged<K, V> {
    fn limit(&self) -> i64 {
        self.now_ms.saturating_sub(self.ttl_ms)
    }

    /// The value of `key`, and whether it was there and has not expired. What has is replaced; what has no time gets one.
    fn entry(&mut self, hash: u64, key: &K, make: impl FnOnce() -> V) -> &mut Timed<V> {
        let (limit, now_ms) = (self.limit(), self.now_ms);
        let mut make = Some(make);
        let mut create = || {
            let make = make.take().expect("invariant: a value is made at most once");
            Timed { touched_ms: now_ms, value: make() }
        };
        let timed = self.table.entry_or_insert_with(hash, key, &mut create);
        if is_expired(timed.touched_ms, limit) {
            *timed = create();
        } else if timed.touched_ms == NEVER_STAMPED {
            timed.touched_ms = now_ms;
        }
        timed
    }
}

enum Kept<K, V> {
    Forever(KeyedTable<K, V>),
    Aged(Box<Aged<K, V>>),
}

/// A table whose values live for ever, or for a time after they were last written.
pub struct LivingTable<K, V> {
    kept: Kept<K, V>,
}

impl<K: Key, V: Data> LivingTable<K, V> {
    /// Values stay until they are removed.
    pub fn forever(table: KeyedTable<K, V>) -> Self {
        LivingTable { kept: Kept::Forever(table) }
    }

    /// Values live for `ttl_ms` milliseconds.
    pub fn aging(mut table: KeyedTable<K, Timed<V>>, ttl_ms: i64) -> Self {
        let sweeper = Sweeper::new(&mut table);
        LivingTable { kept: Kept::Aged(Box::new(Aged { table, sweeper, ttl_ms, now_ms: i64::MIN })) }
    }

    /// A batch of `records` records is about to be processed at `now_ms`.
    pub fn begin(&mut self, now_ms: i64, records: usize) {
        if let Kept::Aged(aged) = &mut self.kept {
            aged.now_ms = now_ms;
            let limit = aged.limit();
            aged.sweeper.sweep(&mut aged.table, records, limit, now_ms);
        }
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, hash: u64, key: &K) -> Option<&V> {
        match &self.kept {
            Kept::Forever(table) => table.get(hash, key),
            Kept::Aged(aged) => {
                let timed = aged.table.get(hash, key)?;
                (!is_expired(timed.touched_ms, aged.limit())).then_some(&timed.value)
            }
        }
    }

    /// Whether `key` has a value.
    #[inline]
    pub fn contains(&self, hash: u64, key: &K) -> bool {
        self.get(hash, key).is_some()
    }

    /// The value of `key`, to be written: it lives anew.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        match &mut self.kept {
            Kept::Forever(table) => table.get_mut(hash, key),
            Kept::Aged(aged) => {
                let (limit, now_ms) = (aged.limit(), aged.now_ms);
                let timed = aged.table.get_mut(hash, key)?;
                if is_expired(timed.touched_ms, limit) {
                    return None;
                }
                timed.touched_ms = now_ms;
                Some(&mut timed.value)
            }
        }
    }

    /// The value of `key`, made by `make` if there is none, to be written: it lives anew.
    #[inline]
    pub fn entry_or_insert_with(&mut self, hash: u64, key: &K, make: impl FnOnce() -> V) -> &mut V {
        match &mut self.kept {
            Kept::Forever(table) => table.entry_or_insert_with(hash, key, make),
            Kept::Aged(aged) => {
                let now_ms = aged.now_ms;
                let timed = aged.entry(hash, key, make);
                timed.touched_ms = now_ms;
                &mut timed.value
            }
        }
    }

    /// As [`LivingTable::entry_or_insert_with`], of a value of which it is not known whether it is going to be written: it
    /// goes on to age unless it is [touched](LivingTable::touch).
    #[inline]
    pub fn peek_or_insert_with(&mut self, hash: u64, key: &K, make: impl FnOnce() -> V) -> &mut V {
        match &mut self.kept {
            Kept::Forever(table) => table.entry_or_insert_with(hash, key, make),
            Kept::Aged(aged) => &mut aged.entry(hash, key, make).value,
        }
    }

    /// The value of `key`, if it is there, was written.
    #[inline]
    pub fn touch(&mut self, hash: u64, key: &K) {
        if let Kept::Aged(aged) = &mut self.kept {
            let now_ms = aged.now_ms;
            if let Some(timed) = aged.table.get_mut(hash, key) {
                timed.touched_ms = now_ms;
            }
        }
    }

    /// The value of `key`, if it is there, does not expire until it is written or touched.
    #[inline]
    pub fn hold(&mut self, hash: u64, key: &K) {
        if let Kept::Aged(aged) = &mut self.kept
            && let Some(timed) = aged.table.get_mut(hash, key)
        {
            timed.touched_ms = HELD;
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, hash: u64, key: &K) {
        match &mut self.kept {
            Kept::Forever(table) => drop(table.remove(hash, key)),
            Kept::Aged(aged) => drop(aged.table.remove(hash, key)),
        }
    }

    /// Takes all keys and values that live, in an order that depends on the table's history alone.
    ///
    /// # Panics
    /// If the table has a store.
    pub fn drain(&mut self) -> Vec<(K, V)> {
        match &mut self.kept {
            Kept::Forever(table) => table.drain().collect(),
            Kept::Aged(aged) => {
                let limit = aged.limit();
                let living = aged.table.drain().filter(|(_, timed)| !is_expired(timed.touched_ms, limit));
                living.map(|(key, timed)| (key, timed.value)).collect()
            }
        }
    }

    /// The number of keys in memory, expired ones that are not swept yet among them.
    pub fn len(&self) -> usize {
        match &self.kept {
            Kept::Forever(table) => table.len(),
            Kept::Aged(aged) => aged.table.len(),
        }
    }

    /// Whether there is no key in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`KeyedTable::warm`].
    pub fn warm(&self, hashes: &[u64]) {
        match &self.kept {
            Kept::Forever(table) => table.warm(hashes),
            Kept::Aged(aged) => aged.table.warm(hashes),
        }
    }

    /// As [`KeyedTable::outgrows_cache`].
    pub fn outgrows_cache(&self) -> bool {
        match &self.kept {
            Kept::Forever(table) => table.outgrows_cache(),
            Kept::Aged(aged) => aged.table.outgrows_cache(),
        }
    }

    /// The state for checkpoints.
    pub fn managed(&mut self) -> &mut dyn ManagedState {
        match &mut self.kept {
            Kept::Forever(table) => table,
            Kept::Aged(aged) => &mut aged.table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_core::KeyGroupRange;

    const RANGE: KeyGroupRange = KeyGroupRange { start: 0, end: 4 };

    fn table() -> LivingTable<u64, i64> {
        LivingTable::aging(KeyedTable::new("t", RANGE, 4), 100)
    }

    fn hash(key: u64) -> u64 {
        key.stable_hash()
    }

    #[test]
    fn values_live_from_their_last_write_on() {
        let mut table = table();
        table.begin(1_000, 0);
        *table.entry_or_insert_with(hash(1), &1, || 0) += 5;
        table.begin(1_099, 0);
        assert_eq!(table.get(hash(1), &1), Some(&5), "reading does not renew it");
        table.begin(1_100, 0);
        assert_eq!(table.get(hash(1), &1), None);
        assert_eq!(table.get_mut(hash(1), &1), None);
        assert_eq!(*table.entry_or_insert_with(hash(1), &1, || 7), 7, "it begins anew");
        table.begin(1_199, 0);
        *table.get_mut(hash(1), &1).expect("a value") += 1;
        table.begin(1_298, 0);
        assert_eq!(table.get(hash(1), &1), Some(&8), "writing renews it");
    }

    #[test]
    fn what_is_only_looked_at_goes_on_to_age_and_what_is_held_does_not() {
        let mut table = table();
        table.begin(0, 0);
        table.peek_or_insert_with(hash(1), &1, || 1);
        table.peek_or_insert_with(hash(2), &2, || 2);
        table.entry_or_insert_with(hash(3), &3, || 3);
        table.hold(hash(3), &3);
        table.begin(50, 0);
        table.peek_or_insert_with(hash(1), &1, || 0);
        table.touch(hash(2), &2);
        table.begin(100, 0);
        assert_eq!(table.get(hash(1), &1), None);
        assert_eq!(table.get(hash(2), &2), Some(&2));
        table.begin(100_000, 0);
        assert_eq!(table.get(hash(3), &3), Some(&3));
        table.touch(hash(3), &3);
        table.begin(100_100, 0);
        assert_eq!(table.get(hash(3), &3), None);
    }

    #[test]
    fn expired_values_leave_memory_with_later_batches() {
        let mut table = table();
        table.begin(0, 0);
        for key in 0..500 {
            table.entry_or_insert_with(hash(key), &key, || 1);
        }
        assert_eq!(table.len(), 500);
        for _ in 0..100 {
            table.begin(200, 50);
        }
        assert!(table.is_empty(), "{} are left", table.len());
    }
}
