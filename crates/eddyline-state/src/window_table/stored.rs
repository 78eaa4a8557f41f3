//! Windows by key with a store: as a [`NamespacedTable`](crate::NamespacedTable) is for what fits in memory.
//!
//! Entries are in a [`KeyedTable`] whose keys are pairs of namespace and key. Which keys a namespace has is kept in memory,
//! eight bytes for each, so that a window that fires is fetched and taken out a few keys at a time. Both tables write the
//! same segments: either reads what the other one has written.

use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::RestoreSource;
use crate::store::StateStore;
use crate::table::KeyedTable;
use eddyline_core::{Data, DataType, DecodeError, Key, KeyGroupRange, Reader, Result, Value};
use eddyline_protocol::{StateDescriptor, StateManifest};
use std::collections::BTreeMap;

/// A key in a namespace; lives in its key's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spaced<K> {
    pub(super) namespace: i64,
    pub(super) key: K,
}

impl<K: Data> Data for Spaced<K> {
    const HAS_HEAP: bool = K::HAS_HEAP;

    fn schema() -> DataType {
        <(i64, K)>::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.namespace.encode(out);
        self.key.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Spaced { namespace: i64::decode(input)?, key: K::decode(input)? })
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let (namespace, key) = <(i64, K)>::from_value(value)?;
        Ok(Spaced { namespace, key })
    }

    fn heap_bytes(&self) -> usize {
        self.key.heap_bytes()
    }

    fn stable_hash(&self) -> u64 {
        self.key.stable_hash()
    }
}

/// A map from namespaces and keys to values, some of which are in memory.
///
/// All methods that take a `hash` expect [`Data::stable_hash`] of the key. Keys have to be fetched before they are used.
pub struct StoredWindows<K, V> {
    table: KeyedTable<Spaced<K>, V>,
    /// The hashes of the keys of each namespace.
    hashes: BTreeMap<i64, Vec<u64>>,
}

impl<K: Key, V: Data> StoredWindows<K, V> {
    /// An empty table for the keys of `range`, out of `max_parallelism` key groups, that keeps in `store` what does not
    /// fit in memory.
    pub fn new(
        name: impl Into<String>,
        range: KeyGroupRange,
        max_parallelism: u32,
        store: Box<dyn StateStore>,
    ) -> Self {
        let mut table = KeyedTable::with_store(name, range, max_parallelism, store);
        table.set_namespaces(|key: &Spaced<K>| key.namespace);
        StoredWindows { table, hashes: BTreeMap::new() }
    }

    /// The value of `key` in `namespace`, made by `make` if there is none, to be changed.
    pub fn entry(&mut self, namespace: i64, hash: u64, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let mut is_new = false;
        let place = Spaced { namespace, key: key.clone() };
        let value = self.table.entry_or_insert_with(hash, &place, || {
            is_new = true;
            make()
        });
        if is_new {
            self.hashes.entry(namespace).or_default().push(hash);
        }
        value
    }

    /// The smallest namespace that has entries.
    pub fn first_namespace(&self) -> Option<i64> {
        self.hashes.first_key_value().map(|(namespace, _)| *namespace)
    }

    /// The hashes of some keys of `namespace`, at most `most`: those that are to be taken out next, the next one last.
    pub fn last_hashes(&self, namespace: i64, most: usize) -> &[u64] {
        let hashes = self.hashes.get(&namespace).map_or(&[][..], Vec::as_slice);
        &hashes[hashes.len().saturating_sub(most)..]
    }

    /// Takes the last hash of `namespace` out with its keys and values: one, unless keys share a hash.
    pub fn take_last(&mut self, namespace: i64) -> Vec<(K, V)> {
        let Some(hashes) = self.hashes.get_mut(&namespace) else { return Vec::new() };
        let last = hashes.pop();
        if hashes.is_empty() {
            self.hashes.remove(&namespace);
        }
        let Some(hash) = last else { return Vec::new() };
        let places = self.table.keys_in_memory(hash, |place| place.namespace == namespace);
        let taken = places.into_iter().map(|place| (self.table.remove(hash, &place), place.key));
        taken.filter_map(|(value, key)| Some((key, value?))).collect()
    }
}

impl<K: Key, V: Data> ManagedState for StoredWindows<K, V> {
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
        let mut hashes: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        self.table.restore_noting(source, &mut |hash, place| {
            hashes.entry(place.namespace).or_default().push(hash);
        })?;
        self.hashes = hashes;
        Ok(())
    }

    fn keys_per_fetch(&self) -> Option<usize> {
        self.table.keys_per_fetch()
    }

    fn fetch(&mut self, hashes: &[u64]) -> u64 {
        self.table.fetch(hashes)
    }

    fn is_fetched(&mut self, ticket: u64) -> Result<bool> {
        self.table.is_fetched(ticket)
    }

    fn release(&mut self, hashes: &[u64]) {
        self.table.release(hashes);
    }

    fn waits_for_store(&self) -> bool {
        self.table.waits_for_store()
    }

    fn memory_bytes(&self) -> usize {
        let hashes: usize = self.hashes.values().map(Vec::capacity).sum();
        self.table.memory_bytes() + hashes * size_of::<u64>()
    }
}
