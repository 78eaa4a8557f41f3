//! Keyed state: one hash table per key group, and perhaps a store for what does not fit in memory.
//!
//! Small tables bound the pause of a resize, and keys are where snapshots want them: by key group. See
//! [`entries`](self) (the module's source) for how a freeze costs nothing and an access one comparison.

pub(crate) mod entries;
mod export;
mod residency;
mod restore;
mod snapshot;
mod sweep;

use crate::segment::{Chain, Removals};
use crate::store::StateStore;
use eddyline_core::{Data, DataType, Key, KeyGroup, KeyGroupRange};
use eddyline_protocol::{StateDescriptor, StateKind};
use entries::{Entries, Entry, FIRST_EPOCH};
use residency::Residency;
use snapshot::{GroupCopy, Snapshot};
pub(crate) use snapshot::{SnapshotFilter, not_written, nothing_frozen};
use std::collections::VecDeque;
use std::rc::Rc;
pub(crate) use sweep::SweepCursor;

/// How many entries are measured to estimate the heap memory of all.
const SAMPLED_ENTRIES: usize = 256;

/// A table larger than this is not expected to be in a processor's cache: about the second level's size.
pub(crate) const CACHE_BYTES: usize = 1 << 20;
/// Every how manieth group is looked at to tell the size of a table: keys are spread evenly.
const SIZED_GROUPS: usize = 16;

/// A map from keys to values that is partitioned by key group and can be frozen while it is used.
///
/// All methods that take a `hash` expect [`Data::stable_hash`] of the key, which the caller has at hand from the
/// exchange, and a key whose group the table owns.
///
/// A table [with a store](KeyedTable::with_store) has some of its entries in memory only. The keys that are used next
/// have to be fetched first; see [`KeyedTable::fetch`]. What goes over all entries sees those in memory.
pub struct KeyedTable<K, V> {
    name: String,
    range: KeyGroupRange,
    max_parallelism: u32,
    /// `max_parallelism - 1` where that is a bit mask: a division less on every access.
    mask: Option<u64>,
    epoch: u32,
    groups: Vec<Group<K, V>>,
    snapshots: VecDeque<Snapshot>,
    /// Where the search for chains to compact goes on.
    compaction_cursor: usize,
    /// What decides what snapshots that stand alone need not have.
    filter: Option<Rc<dyn SnapshotFilter<V>>>,
    /// The store of what is not in memory.
    residency: Option<Box<Residency>>,
    /// The namespace of a key, if keys have one: snapshots may tell that all of one is gone.
    namespace_of: Option<fn(&K) -> i64>,
    /// When a value was touched last, if values expire.
    last_touch: Option<fn(&V) -> i64>,
}

struct Group<K, V> {
    entries: Entries<u32, K, V>,
    /// What only snapshots and removals need: apart, so that the tables of all groups fit in the cache.
    record: Box<GroupRecord>,
}

/// What the snapshots of a key group need to know.
#[derive(Default)]
struct GroupRecord {
    /// The snapshot in flight, while it still needs something from here.
    copy: Option<GroupCopy>,
    removals: Removals,
    /// Whether some segment, written or about to be, will count at restore: else removals need not be told.
    in_segments: bool,
    chain: Chain,
    /// Whether the store may have something of the group.
    in_store: bool,
    /// The hashes of entries that changed since the last freeze and are in the store alone.
    evicted: Vec<u64>,
    /// So many of them that the next snapshot of the group is a base.
    mostly_evicted: bool,
}

/// Encodes the frozen value of an entry that is about to change, if a snapshot in flight still needs it. Not marked as
/// cold: while a snapshot is written this is on the way of most changes, and has to be fast.
#[inline(never)]
fn copy_frozen<K: Data, V: Data>(
    record: &mut GroupRecord,
    entry: &Entry<u32, K, V>,
    filter: Option<&dyn SnapshotFilter<V>>,
) {
    if let Some(copy) = &mut record.copy
        && copy.frozen.needs(entry.epoch)
    {
        copy.encode(entry, filter);
    }
}

/// Takes the groups apart from the filter, so that both can be used at once.
macro_rules! group_and_filter {
    ($table:ident, $hash:ident) => {{
        let index = $table.index_of($hash);
        let group = $table.groups.get_mut(index);
        (
            group.expect("invariant: a key is only used by the owner of its key group"),
            $table.filter.as_deref(),
        )
    }};
}

impl<K: Key, V: Data> KeyedTable<K, V> {
    /// An empty table for the keys of `range`, out of `max_parallelism` key groups.
    pub fn new(name: impl Into<String>, range: KeyGroupRange, max_parallelism: u32) -> Self {
        let new_group = |_| Group { entries: Entries::new(), record: Box::default() };
        KeyedTable {
            name: name.into(),
            range,
            max_parallelism,
            mask: max_parallelism.is_power_of_two().then(|| u64::from(max_parallelism - 1)),
            epoch: FIRST_EPOCH,
            groups: (0..range.len()).map(new_group).collect(),
            snapshots: VecDeque::new(),
            compaction_cursor: 0,
            filter: None,
            residency: None,
            namespace_of: None,
            last_touch: None,
        }
    }

    /// An empty table that keeps in `store` what does not fit in memory.
    pub fn with_store(
        name: impl Into<String>,
        range: KeyGroupRange,
        max_parallelism: u32,
        store: Box<dyn StateStore>,
    ) -> Self {
        let mut table = KeyedTable::new(name, range, max_parallelism);
        table.residency = Some(Box::new(Residency::new(store)));
        table
    }

    /// Lets keys have namespaces, which is how a window table's snapshots are read.
    pub(crate) fn set_namespaces(&mut self, namespace_of: fn(&K) -> i64) {
        self.namespace_of = Some(namespace_of);
    }

    /// The keys of `hash` in memory for which `is` holds.
    pub(crate) fn keys_in_memory(&self, hash: u64, is: impl Fn(&K) -> bool) -> Vec<K> {
        let group = self.groups.get(self.index_of(hash));
        let keys = group.into_iter().flat_map(|group| group.entries.keys_of(hash));
        keys.filter(|key| key.stable_hash() == hash && is(key)).cloned().collect()
    }

    /// Lets `filter` decide what snapshots that stand alone need not have.
    pub(crate) fn set_snapshot_filter(&mut self, filter: Rc<dyn SnapshotFilter<V>>) {
        self.filter = Some(filter);
    }

    /// The table's name and shape.
    pub fn descriptor(&self) -> StateDescriptor {
        StateDescriptor {
            name: self.name.clone(),
            kind: StateKind::KeyedValue,
            key: K::schema(),
            value: V::schema(),
        }
    }

    #[inline]
    fn index_of(&self, hash: u64) -> usize {
        let group = match self.mask {
            Some(mask) => hash & mask,
            None => hash % u64::from(self.max_parallelism),
        };
        (group as KeyGroup).wrapping_sub(self.range.start) as usize
    }

    /// Brings the entries of `hashes` into the cache, before they are accessed one after the other; worth it for some
    /// dozens of keys at a time, and only where [`KeyedTable::outgrows_cache`].
    pub fn warm(&self, hashes: &[u64]) {
        for hash in hashes {
            if let Some(group) = self.groups.get(self.index_of(*hash)) {
                group.entries.warm(std::iter::once(*hash));
            }
        }
    }

    /// Whether the table is so large that accesses to it wait for memory.
    pub fn outgrows_cache(&self) -> bool {
        let sampled: usize =
            self.groups.iter().step_by(SIZED_GROUPS).map(|group| group.entries.allocated_bytes()).sum();
        sampled > CACHE_BYTES / SIZED_GROUPS
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, hash: u64, key: &K) -> Option<&V> {
        let found = self.groups.get(self.index_of(hash))?.entries.get(hash, key);
        if found.is_none() {
            self.check_fetched(hash);
        }
        found
    }

    /// Whether `key` has a value.
    #[inline]
    pub fn contains(&self, hash: u64, key: &K) -> bool {
        self.get(hash, key).is_some()
    }

    /// The value of `key`, to be changed: it counts as changed whether it is or not.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        let epoch = self.epoch;
        if self.residency.is_some() {
            self.get(hash, key)?;
        }
        let (Group { entries, record }, filter) = group_and_filter!(self, hash);
        entries.get_mut(hash, key, epoch, |entry| copy_frozen(record, entry, filter))
    }

    /// The value of `key`, made by `make` if there is none, to be changed: it counts as changed whether it is or
    /// not.
    #[inline]
    pub fn entry_or_insert_with(&mut self, hash: u64, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let epoch = self.epoch;
        let (Group { entries, record }, filter) = group_and_filter!(self, hash);
        let residency = self.residency.as_deref();
        let make = || {
            if let Some(residency) = residency {
                residency.check_fetched(hash);
            }
            make()
        };
        entries.entry_or_insert_with(hash, key, epoch, |entry| copy_frozen(record, entry, filter), make)
    }

    /// Sets the value of `key` and returns the one before.
    pub fn insert(&mut self, hash: u64, key: K, value: V) -> Option<V> {
        let mut value = Some(value);
        let place = self.entry_or_insert_with(hash, &key, || {
            value.take().expect("invariant: a value is inserted at most once")
        });
        value.map(|value| std::mem::replace(place, value))
    }

    /// Takes `key` out and returns its value.
    pub fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let epoch = self.epoch;
        let (Group { entries, record }, filter) = group_and_filter!(self, hash);
        let removed = entries.remove(hash, key, epoch, |entry| copy_frozen(record, entry, filter));
        let Some(removed) = removed else {
            self.check_fetched(hash);
            return None;
        };
        if removed.known_to_segments && record.in_segments {
            record.removals.add_key(|out| key.encode(out));
        }
        if self.residency.is_some() {
            self.note_removal(hash);
        }
        Some(removed.value)
    }

    /// All keys and values, by key group and within it in an order that depends on the table's history alone.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.groups.iter().flat_map(|group| group.entries.iter().map(|entry| (&entry.key, &entry.value)))
    }

    /// Takes all keys and values, in the order of [`KeyedTable::iter`], and leaves the table empty.
    ///
    /// # Panics
    /// If the table has a store.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        assert!(self.residency.is_none(), "invariant: a table with a store is not drained");
        let mut taken = Vec::with_capacity(self.groups.len());
        for group in &mut self.groups {
            group.encode_rest(self.filter.as_deref());
            taken.push(group.entries.take_all());
            group.record.removals = Removals::default();
            group.record.in_segments = false;
        }
        taken.into_iter().flatten().map(|entry| (entry.key, entry.value))
    }

    /// The number of keys; of a table with a store, of those in memory.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.entries.len()).sum()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.entries.len() == 0)
    }

    /// About how many bytes of memory the table occupies: tables and encoded copies exactly, what keys and values
    /// own outside by measuring some of them.
    pub fn memory_bytes(&self) -> usize {
        let flat: usize = self.groups.iter().map(|group| group.entries.allocated_bytes()).sum();
        let heap = if K::HAS_HEAP || V::HAS_HEAP { self.estimated_heap_bytes() } else { 0 };
        flat + heap + self.bytes_beside_entries()
    }

    /// Bytes of encoded copies, and of what is on its way from the store and to it.
    fn bytes_beside_entries(&self) -> usize {
        let copied: usize = self.groups.iter().map(Group::copied_bytes).sum();
        let queued: usize = self.snapshots.iter().map(Snapshot::memory_bytes).sum();
        copied + queued + self.residency.as_ref().map_or(0, |residency| residency.memory_bytes())
    }

    fn estimated_heap_bytes(&self) -> usize {
        let length = self.len();
        let stride = self.groups.len().div_ceil(SAMPLED_ENTRIES).max(1);
        let per_group = (SAMPLED_ENTRIES / self.groups.len().max(1)).max(1);
        let (mut count, mut bytes) = (0, 0);
        for group in self.groups.iter().step_by(stride) {
            for entry in group.entries.sample(per_group) {
                count += 1;
                bytes += entry.key.heap_bytes() + entry.value.heap_bytes();
            }
        }
        (bytes * length).checked_div(count).unwrap_or(0)
    }

    /// The shape of what this table writes.
    pub(crate) fn schemas() -> (DataType, DataType) {
        (K::schema(), V::schema())
    }
}

#[cfg(test)]
mod tests {
    use super::entries::{FIRST_EPOCH, LAST_EPOCH};
    use super::*;
    use crate::managed::ManagedState;
    use crate::tests::support::Parts;

    #[test]
    fn epochs_start_again_before_they_run_out() {
        let range = KeyGroupRange { start: 0, end: 4 };
        let (parts, mut table) = (Parts::default(), KeyedTable::<u64, u64>::new("t", range, 4));
        for key in 0..100u64 {
            table.insert(key.stable_hash(), key, 0);
        }
        table.epoch = LAST_EPOCH - 2 * entries::EPOCH_STEP;
        for round in 1..6u64 {
            for key in 0..round {
                table.insert(key.stable_hash(), key, round);
            }
            table.remove((50 + round).stable_hash(), &(50 + round));
            let manifest = parts.snapshot(&mut table, false, &format!("p{round}"));
            let mut restored = KeyedTable::<u64, u64>::new("t", range, 4);
            restored.restore(&mut parts.source(vec![manifest], 4, 0, 1)).unwrap();
            assert_eq!(restored.len(), 100 - round as usize);
            assert!((0..round).all(|key| restored.get(key.stable_hash(), &key) == Some(&round)));
        }
        assert!((FIRST_EPOCH..100).contains(&table.epoch));
    }
}
