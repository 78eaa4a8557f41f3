//! What is kept by namespace and key and only ever asked for by both: in memory or with a store.

use super::NamespacedTable;
use super::stored::Spaced;
use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::RestoreSource;
use crate::store::StateStore;
use crate::table::KeyedTable;
use eddyline_core::{Data, Key, KeyGroupRange, Result};
use eddyline_protocol::{StateDescriptor, StateManifest};

/// A map from namespaces and keys to values that is asked by both. With a store, keys have to be fetched before they are
/// used. Either kind reads what the other one has written.
pub struct PlacedTable<K, V> {
    kind: Kind<K, V>,
}

enum Kind<K, V> {
    InMemory(NamespacedTable<K, V>),
    Stored(KeyedTable<Spaced<K>, V>),
}

macro_rules! both {
    ($self:ident, $table:ident => $call:expr) => {
        match &$self.kind {
            Kind::InMemory($table) => $call,
            Kind::Stored($table) => $call,
        }
    };
    (mut $self:ident, $table:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::InMemory($table) => $call,
            Kind::Stored($table) => $call,
        }
    };
}

fn placed<K: Clone>(namespace: i64, key: &K) -> Spaced<K> {
    Spaced { namespace, key: key.clone() }
}

impl<K: Key, V: Data> PlacedTable<K, V> {
    /// An empty table for the keys of `range`, out of `max_parallelism` key groups; with a store if there is one.
    pub fn new(
        name: impl Into<String>,
        range: KeyGroupRange,
        max_parallelism: u32,
        store: Option<Box<dyn StateStore>>,
    ) -> Self {
        let kind = match store {
            None => Kind::InMemory(NamespacedTable::new(name, range, max_parallelism)),
            Some(store) => {
                let mut table = KeyedTable::with_store(name, range, max_parallelism, store);
                table.set_namespaces(|key: &Spaced<K>| key.namespace);
                Kind::Stored(table)
            }
        };
        PlacedTable { kind }
    }

    /// The value of `key` in `namespace`, made by `make` if there is none, to be changed.
    pub fn entry(&mut self, namespace: i64, hash: u64, key: &K, make: impl FnOnce() -> V) -> &mut V {
        match &mut self.kind {
            Kind::InMemory(table) => table.entry(namespace, hash, key, make),
            Kind::Stored(table) => table.entry_or_insert_with(hash, &placed(namespace, key), make),
        }
    }

    /// The value of `key` in `namespace`.
    pub fn get(&self, namespace: i64, hash: u64, key: &K) -> Option<&V> {
        match &self.kind {
            Kind::InMemory(table) => table.get(namespace, hash, key),
            Kind::Stored(table) => table.get(hash, &placed(namespace, key)),
        }
    }

    /// The value of `key` in `namespace`, to be changed.
    pub fn get_mut(&mut self, namespace: i64, hash: u64, key: &K) -> Option<&mut V> {
        match &mut self.kind {
            Kind::InMemory(table) => table.get_mut(namespace, hash, key),
            Kind::Stored(table) => table.get_mut(hash, &placed(namespace, key)),
        }
    }

    /// Takes `key` out of `namespace` and returns its value.
    pub fn remove(&mut self, namespace: i64, hash: u64, key: &K) -> Option<V> {
        match &mut self.kind {
            Kind::InMemory(table) => table.remove(namespace, hash, key),
            Kind::Stored(table) => table.remove(hash, &placed(namespace, key)),
        }
    }
}

impl<K: Key, V: Data> ManagedState for PlacedTable<K, V> {
    fn descriptor(&self) -> StateDescriptor {
        both!(self, table => table.descriptor())
    }

    fn freeze(&mut self, full: bool) {
        both!(mut self, table => table.freeze(full));
    }

    fn write_frozen(&mut self, budget_entries: usize, part: &mut PartWriter) -> Result<bool> {
        both!(mut self, table => table.write_frozen(budget_entries, part))
    }

    fn manifest_of_frozen(&mut self) -> Result<StateManifest> {
        both!(mut self, table => table.manifest_of_frozen())
    }

    fn abandon(&mut self) {
        both!(mut self, table => table.abandon());
    }

    fn restore(&mut self, source: &mut RestoreSource) -> Result<()> {
        both!(mut self, table => table.restore(source))
    }

    fn keys_per_fetch(&self) -> Option<usize> {
        both!(self, table => ManagedState::keys_per_fetch(table))
    }

    fn fetch(&mut self, hashes: &[u64]) -> u64 {
        both!(mut self, table => ManagedState::fetch(table, hashes))
    }

    fn is_fetched(&mut self, ticket: u64) -> Result<bool> {
        both!(mut self, table => ManagedState::is_fetched(table, ticket))
    }

    fn release(&mut self, hashes: &[u64]) {
        both!(mut self, table => ManagedState::release(table, hashes));
    }

    fn waits_for_store(&self) -> bool {
        both!(self, table => table.waits_for_store())
    }

    fn memory_bytes(&self) -> usize {
        both!(self, table => table.memory_bytes())
    }
}
