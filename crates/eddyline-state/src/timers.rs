//! Timers: a key and a namespace to be woken at a time.
//!
//! A timer table is a [`NamespacedTable`] whose namespaces are times, so it is frozen, written by key group and
//! restored as any other state. One table holds the timers of one notion of time; an operator that has both event
//! and processing time has two.

use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::RestoreSource;
use crate::window_table::NamespacedTable;
use eddyline_core::data::to_bytes;
use eddyline_core::{Data, DataType, DecodeError, Key, KeyGroupRange, Reader, Result, Value};
use eddyline_protocol::{StateDescriptor, StateKind, StateManifest};

/// A timer that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer<K> {
    /// The time it was registered for, in milliseconds since the epoch.
    pub time: i64,
    /// The key it was registered for.
    pub key: K,
    /// What it means to the operator that registered it: the end of a window, for example.
    pub namespace: i64,
}

/// What tells timers of the same time apart; lives in its key's group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TimerKey<K> {
    key: K,
    namespace: i64,
}

impl<K: Data> Data for TimerKey<K> {
    const HAS_HEAP: bool = K::HAS_HEAP;

    fn schema() -> DataType {
        <(K, i64)>::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        self.namespace.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TimerKey { key: K::decode(input)?, namespace: i64::decode(input)? })
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let (key, namespace) = <(K, i64)>::from_value(value)?;
        Ok(TimerKey { key, namespace })
    }

    fn heap_bytes(&self) -> usize {
        self.key.heap_bytes()
    }

    fn stable_hash(&self) -> u64 {
        self.key.stable_hash()
    }
}

/// The timers of one notion of time, ordered, at most one per time, key and namespace.
pub struct TimerTable<K> {
    table: NamespacedTable<TimerKey<K>, ()>,
    /// The timers of `firing_time` that were there when it came first, the next one last. Only a list of whom to
    /// look at: a timer that is no longer in the table has been deleted.
    firing: Vec<(Vec<u8>, u64, TimerKey<K>)>,
    firing_time: i64,
}

impl<K: Key> TimerTable<K> {
    /// An empty table for the keys of `range`, out of `max_parallelism` key groups.
    pub fn new(name: impl Into<String>, range: KeyGroupRange, max_parallelism: u32) -> Self {
        let table = NamespacedTable::of_kind(StateKind::Timers, name.into(), range, max_parallelism);
        TimerTable { table, firing: Vec::new(), firing_time: i64::MIN }
    }

    /// Registers a timer; returns whether it was not registered before. `hash` is the key's stable hash.
    pub fn register(&mut self, time: i64, hash: u64, key: &K, namespace: i64) -> bool {
        let mut is_new = false;
        self.table.entry(time, hash, &TimerKey { key: key.clone(), namespace }, || is_new = true);
        is_new
    }

    /// Deletes a timer; returns whether it was registered.
    pub fn delete(&mut self, time: i64, hash: u64, key: &K, namespace: i64) -> bool {
        self.table.remove(time, hash, &TimerKey { key: key.clone(), namespace }).is_some()
    }

    /// Whether a timer is registered.
    pub fn contains(&self, time: i64, hash: u64, key: &K, namespace: i64) -> bool {
        self.table.get(time, hash, &TimerKey { key: key.clone(), namespace }).is_some()
    }

    /// When the next timer is due.
    #[inline]
    pub fn next_time(&self) -> Option<i64> {
        self.table.first_namespace()
    }

    /// Takes out the first timer that is due at `up_to`, in the order of time and canonical key bytes. A timer
    /// registered for the time that is just firing comes after those that were there before.
    pub fn pop_due(&mut self, up_to: i64) -> Option<Timer<K>> {
        loop {
            let time = self.next_time().filter(|time| *time <= up_to)?;
            if self.firing.is_empty() || self.firing_time != time {
                self.list_firing(time);
            }
            while let Some((_, hash, due)) = self.firing.pop() {
                if self.table.remove(time, hash, &due).is_some() {
                    return Some(Timer { time, key: due.key, namespace: due.namespace });
                }
            }
        }
    }

    /// The stable hash of the key of the timer that [`TimerTable::pop_due`] would take out.
    pub fn next_due_hash(&mut self, up_to: i64) -> Option<u64> {
        loop {
            let time = self.next_time().filter(|time| *time <= up_to)?;
            if self.firing.is_empty() || self.firing_time != time {
                self.list_firing(time);
            }
            while let Some((_, hash, due)) = self.firing.last() {
                if self.table.get(time, *hash, due).is_some() {
                    return Some(*hash);
                }
                self.firing.pop();
            }
        }
    }

    /// The stable hashes of the keys of about the next `most` timers that are due at `up_to`.
    pub fn due_hashes(&mut self, up_to: i64, most: usize) -> Vec<u64> {
        if self.next_due_hash(up_to).is_none() {
            return Vec::new();
        }
        let mut hashes: Vec<u64> = self.firing.iter().rev().take(most).map(|(_, hash, _)| *hash).collect();
        if self.firing_time >= up_to {
            return hashes;
        }
        for time in self.table.namespaces(self.firing_time + 1..=up_to) {
            if hashes.len() + self.table.namespace_len(time) > most {
                break;
            }
            hashes.extend(self.table.iter_namespace(time).map(|(hash, ..)| hash));
        }
        hashes
    }

    fn list_firing(&mut self, time: i64) {
        self.firing_time = time;
        let timers = self.table.iter_namespace(time);
        self.firing = timers.map(|(hash, timer, ())| (to_bytes(timer), hash, timer.clone())).collect();
        self.firing.sort_unstable_by(|(one, ..), (other, ..)| other.cmp(one));
    }

    /// All timers, by time: `(time, key, namespace)`.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &K, i64)> {
        self.table.iter().map(|(time, timer, ())| (time, &timer.key, timer.namespace))
    }

    /// The number of timers.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no timer.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl<K: Key> ManagedState for TimerTable<K> {
    fn descriptor(&self) -> StateDescriptor {
        self.table.descriptor()
    }

    fn freeze(&mut self, full: bool) {
        self.table.freeze(full);
    }

    fn write_frozen(&mut self, budget_entries: usize, part: &mut PartWriter) -> Result<bool> {
        self.table.write_frozen(budget_entries, part)
    }

    fn manifest_of_frozen(&mut self) -> Result<StateManifest> {
        self.table.manifest_of_frozen()
    }

    fn abandon(&mut self) {
        self.table.abandon();
    }

    fn restore(&mut self, source: &mut RestoreSource) -> Result<()> {
        self.firing.clear();
        self.table.restore(source)
    }

    fn memory_bytes(&self) -> usize {
        self.table.memory_bytes()
    }
}
