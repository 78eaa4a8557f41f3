//! Keyed state by namespace: a window's end, a slice, the time of a timer.
//!
//! A namespace is one hash table, so that adding to a window costs what a bare hash map costs, and a window that
//! has fired is dropped whole. Key groups matter only when a snapshot is written: entries are then sorted into one
//! buffer per group. Snapshots are copy-on-write as a [`KeyedTable`](crate::KeyedTable)'s are.

mod placed;
mod restore;
mod snapshot;
mod stored;

pub use placed::PlacedTable;
pub use stored::StoredWindows;

use crate::segment::{Chain, Removals};
use crate::table::CACHE_BYTES;
use crate::table::entries::{Entries, Entry, FIRST_EPOCH};
use eddyline_core::{Data, DataType, Key, KeyGroupRange, key_group_of};
use eddyline_protocol::{StateDescriptor, StateKind};
use snapshot::Snapshot;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

/// How many namespaces are measured to estimate the memory of all.
const SAMPLED_NAMESPACES: usize = 64;
/// How many entries of a namespace are measured.
const SAMPLED_ENTRIES: usize = 8;

/// A map from namespaces and keys to values that can be frozen while it is used.
///
/// All methods that take a `hash` expect [`Data::stable_hash`] of the key.
pub struct NamespacedTable<K, V> {
    name: String,
    kind: StateKind,
    placement: Placement,
    epoch: u32,
    /// Where each namespace's table is.
    slots_by_namespace: BTreeMap<i64, usize>,
    slots: Vec<Slot<K, V>>,
    free_slots: Vec<usize>,
    /// The namespace used last and its slot; the slot is out of bounds if there is none.
    last: (i64, usize),
    /// What was removed since the last freeze: keys by group, and whole namespaces.
    removed_keys: Vec<Removals>,
    removed_namespaces: Vec<i64>,
    chains: Vec<Chain>,
    /// Whether some segment, written or about to be, will count at restore: else removals need not be told.
    in_segments: bool,
    snapshots: VecDeque<Snapshot>,
}

/// Which key groups are owned.
#[derive(Clone, Copy)]
pub(crate) struct Placement {
    range: KeyGroupRange,
    max_parallelism: u32,
}

impl Placement {
    fn index_of(self, hash: u64) -> usize {
        key_group_of(hash, self.max_parallelism).wrapping_sub(self.range.start) as usize
    }
}

struct Slot<K, V> {
    entries: Entries<u64, K, V>,
    /// The epoch in which the namespace came to be: no segment knows it before the next freeze.
    born: u32,
}

/// Encodes the frozen value of an entry that is about to change, if the snapshot in flight still needs it.
#[inline(never)]
fn copy_frozen<K: Data, V: Data>(
    snapshots: &mut VecDeque<Snapshot>,
    placement: Placement,
    namespace: i64,
    entry: &Entry<u64, K, V>,
) {
    if let Some(snapshot) = snapshots.back_mut() {
        snapshot.copy(placement, namespace, entry);
    }
}

impl<K: Key, V: Data> NamespacedTable<K, V> {
    /// An empty table for the keys of `range`, out of `max_parallelism` key groups.
    pub fn new(name: impl Into<String>, range: KeyGroupRange, max_parallelism: u32) -> Self {
        Self::of_kind(StateKind::KeyedValue, name.into(), range, max_parallelism)
    }

    pub(crate) fn of_kind(kind: StateKind, name: String, range: KeyGroupRange, max_parallelism: u32) -> Self {
        NamespacedTable {
            name,
            kind,
            placement: Placement { range, max_parallelism },
            epoch: FIRST_EPOCH,
            slots_by_namespace: BTreeMap::new(),
            slots: Vec::new(),
            free_slots: Vec::new(),
            last: (0, usize::MAX),
            removed_keys: Vec::new(),
            removed_namespaces: Vec::new(),
            chains: (0..range.len()).map(|_| Chain::default()).collect(),
            in_segments: false,
            snapshots: VecDeque::new(),
        }
    }

    /// The table's name and shape; its keys are pairs of namespace and key.
    pub fn descriptor(&self) -> StateDescriptor {
        StateDescriptor {
            name: self.name.clone(),
            kind: self.kind,
            key: DataType::Tuple(vec![DataType::Int(64), K::schema()]),
            value: V::schema(),
        }
    }

    /// The slot of `namespace`, made if there is none.
    #[inline]
    fn slot_or_insert(&mut self, namespace: i64) -> usize {
        let (last, slot) = self.last;
        if last == namespace && slot < self.slots.len() { slot } else { self.find_or_insert_slot(namespace) }
    }

    #[cold]
    #[inline(never)]
    fn find_or_insert_slot(&mut self, namespace: i64) -> usize {
        let found = self.slots_by_namespace.get(&namespace).copied();
        let slot = found.unwrap_or_else(|| {
            let fresh = Slot { entries: Entries::new(), born: self.epoch };
            let slot = match self.free_slots.pop() {
                Some(slot) => {
                    self.slots[slot] = fresh;
                    slot
                }
                None => {
                    self.slots.push(fresh);
                    self.slots.len() - 1
                }
            };
            self.slots_by_namespace.insert(namespace, slot);
            slot
        });
        self.last = (namespace, slot);
        slot
    }

    #[inline]
    fn find_slot(&self, namespace: i64) -> Option<usize> {
        let (last, slot) = self.last;
        if last == namespace && slot < self.slots.len() {
            return Some(slot);
        }
        self.slots_by_namespace.get(&namespace).copied()
    }

    /// Whether `namespace` is so large that accesses to it wait for memory.
    #[inline]
    pub fn outgrows_cache(&self, namespace: i64) -> bool {
        self.find_slot(namespace).is_some_and(|slot| self.slots[slot].entries.allocated_bytes() > CACHE_BYTES)
    }

    /// Brings the entries of `hashes` in `namespace` into the cache, before they are accessed one after the other;
    /// worth it for some dozens of keys at a time, and only where [`NamespacedTable::outgrows_cache`].
    pub fn warm(&self, namespace: i64, hashes: impl Iterator<Item = u64>) {
        if let Some(slot) = self.find_slot(namespace) {
            self.slots[slot].entries.warm(hashes);
        }
    }

    /// The value of `key` in `namespace`, made by `make` if there is none, to be changed: it counts as changed
    /// whether it is or not.
    #[inline]
    pub fn entry(&mut self, namespace: i64, hash: u64, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let slot = self.slot_or_insert(namespace);
        let NamespacedTable { slots, snapshots, placement, epoch, .. } = self;
        let copy = |entry: &Entry<u64, K, V>| copy_frozen(snapshots, *placement, namespace, entry);
        slots[slot].entries.entry_or_insert_with(hash, key, *epoch, copy, make)
    }

    /// The value of `key` in `namespace`.
    pub fn get(&self, namespace: i64, hash: u64, key: &K) -> Option<&V> {
        self.slots[self.find_slot(namespace)?].entries.get(hash, key)
    }

    /// The value of `key` in `namespace`, to be changed: it counts as changed whether it is or not.
    pub fn get_mut(&mut self, namespace: i64, hash: u64, key: &K) -> Option<&mut V> {
        let slot = self.find_slot(namespace)?;
        let NamespacedTable { slots, snapshots, placement, epoch, .. } = self;
        let copy = |entry: &Entry<u64, K, V>| copy_frozen(snapshots, *placement, namespace, entry);
        slots[slot].entries.get_mut(hash, key, *epoch, copy)
    }

    /// Takes `key` out of `namespace` and returns its value.
    pub fn remove(&mut self, namespace: i64, hash: u64, key: &K) -> Option<V> {
        let slot = self.find_slot(namespace)?;
        let NamespacedTable { slots, snapshots, placement, epoch, .. } = self;
        let copy = |entry: &Entry<u64, K, V>| copy_frozen(snapshots, *placement, namespace, entry);
        let removed = slots[slot].entries.remove(hash, key, *epoch, copy)?;
        if removed.known_to_segments && self.in_segments {
            if self.removed_keys.is_empty() {
                self.removed_keys.resize_with(self.chains.len(), Removals::default);
            }
            self.removed_keys[self.placement.index_of(hash)].add_key(|out| {
                namespace.encode(out);
                key.encode(out);
            });
        }
        if self.slots[slot].entries.len() == 0 {
            self.free(namespace, slot);
        }
        Some(removed.value)
    }

    /// Takes a whole namespace out: `(hash, key, value)` of each entry, in an order that depends on the table's
    /// history alone.
    pub fn take_namespace(&mut self, namespace: i64) -> impl Iterator<Item = (u64, K, V)> + use<K, V> {
        let taken = self.slots_by_namespace.get(&namespace).copied().map(|slot| {
            self.copy_namespace(namespace, slot);
            if self.in_segments && self.slots[slot].born != self.epoch {
                self.removed_namespaces.push(namespace);
            }
            let entries = self.slots[slot].entries.take_all();
            self.free(namespace, slot);
            entries
        });
        taken.into_iter().flatten().map(|entry| (entry.hash, entry.key, entry.value))
    }

    fn free(&mut self, namespace: i64, slot: usize) {
        self.slots_by_namespace.remove(&namespace);
        self.slots[slot] = Slot { entries: Entries::new(), born: self.epoch };
        self.free_slots.push(slot);
        if self.last.1 == slot {
            self.last = (0, usize::MAX);
        }
        if self.slots_by_namespace.is_empty() {
            self.slots = Vec::new();
            self.free_slots = Vec::new();
        }
    }

    /// The smallest namespace that has entries.
    #[inline]
    pub fn first_namespace(&self) -> Option<i64> {
        self.slots_by_namespace.first_key_value().map(|(namespace, _)| *namespace)
    }

    /// The namespaces within `range` that have entries, in order.
    pub fn namespaces(&self, range: impl RangeBounds<i64>) -> impl DoubleEndedIterator<Item = i64> {
        self.slots_by_namespace.range(range).map(|(namespace, _)| *namespace)
    }

    /// `(hash, key, value)` of each entry of `namespace`, in the order of [`NamespacedTable::take_namespace`].
    pub fn iter_namespace(&self, namespace: i64) -> impl Iterator<Item = (u64, &K, &V)> {
        let slot = self.find_slot(namespace);
        let entries = slot.into_iter().flat_map(|slot| self.slots[slot].entries.iter());
        entries.map(|entry| (entry.hash, &entry.key, &entry.value))
    }

    /// The number of keys in `namespace`.
    pub fn namespace_len(&self, namespace: i64) -> usize {
        self.find_slot(namespace).map_or(0, |slot| self.slots[slot].entries.len())
    }

    /// All entries by namespace: `(namespace, key, value)`.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &K, &V)> {
        let tables = self.slots_by_namespace.iter().map(|(namespace, slot)| (*namespace, &self.slots[*slot]));
        tables.flat_map(|(namespace, slot)| {
            slot.entries.iter().map(move |entry| (namespace, &entry.key, &entry.value))
        })
    }

    /// The number of entries in all namespaces.
    pub fn len(&self) -> usize {
        self.slots.iter().map(|slot| slot.entries.len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.slots_by_namespace.is_empty()
    }

    /// About how many bytes of memory the table occupies, by measuring some namespaces and some of their entries.
    pub fn memory_bytes(&self) -> usize {
        let stride = self.slots.len().div_ceil(SAMPLED_NAMESPACES).max(1);
        let mut measured = 0;
        for slot in self.slots.iter().step_by(stride) {
            measured += slot.entries.allocated_bytes() + size_of::<Slot<K, V>>();
            if K::HAS_HEAP || V::HAS_HEAP {
                measured += estimated_heap_bytes(&slot.entries);
            }
        }
        let removed: usize = self.removed_keys.iter().map(Removals::memory_bytes).sum();
        let frozen: usize = self.snapshots.iter().map(Snapshot::memory_bytes).sum();
        measured * stride + removed + frozen
    }
}

fn estimated_heap_bytes<K: Key, V: Data>(entries: &Entries<u64, K, V>) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for entry in entries.sample(SAMPLED_ENTRIES) {
        count += 1;
        bytes += entry.key.heap_bytes() + entry.value.heap_bytes();
    }
    (bytes * entries.len()).checked_div(count).unwrap_or(0)
}
