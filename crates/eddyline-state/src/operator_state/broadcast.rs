//! State that is equal in all instances of an operator.

use super::image::{self, Images};
use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::{EntryDecoder, RestoreSource};
use crate::segment::SegmentVisitor;
use eddyline_core::{Data, DecodeError, Reader, Result};
use eddyline_protocol::{StateDescriptor, StateKind, StateManifest};
use std::collections::BTreeMap;

/// A map that every instance of an operator has a copy of, changed by the same broadcast records everywhere.
///
/// Every instance writes its copy; at restore each instance reads one of them.
pub struct BroadcastState<K, V> {
    name: String,
    entries: BTreeMap<K, V>,
    images: Images,
}

impl<K: Data + Ord, V: Data> BroadcastState<K, V> {
    /// The empty copy of instance number `instance`.
    pub fn new(name: impl Into<String>, instance: u32) -> Self {
        BroadcastState { name: name.into(), entries: BTreeMap::new(), images: Images::new(instance) }
    }

    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// Sets the value of `key` and returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.images.touch();
        self.entries.insert(key, value)
    }

    /// Takes `key` out and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.images.touch();
        self.entries.remove(key)
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.images.touch();
        self.entries.clear();
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    /// The entries whose keys lie in `range`, in key order.
    pub fn range(&self, range: impl std::ops::RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.range(range)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Collects entries as they are read.
struct Collector<'a, K, V> {
    decoder: &'a EntryDecoder<K, V>,
    entries: &'a mut BTreeMap<K, V>,
    merged: bool,
}

impl<K: Data + Ord, V: Data> SegmentVisitor for Collector<'_, K, V> {
    fn remove_namespace(&mut self, _namespace: i64) {
        // Operator state is always written whole: there is nothing to be removed.
    }

    fn remove(&mut self, _input: &mut Reader<'_>) -> Result<(), DecodeError> {
        Err(DecodeError::new("broadcast state holds a removal"))
    }

    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = self.decoder.key.decode(input)?;
        let value = self.decoder.value.decode(input)?;
        self.merged |= self.entries.insert(key, value).is_some();
        Ok(())
    }
}

impl<K: Data + Ord, V: Data> ManagedState for BroadcastState<K, V> {
    fn descriptor(&self) -> StateDescriptor {
        StateDescriptor {
            name: self.name.clone(),
            kind: StateKind::Broadcast,
            key: K::schema(),
            value: V::schema(),
        }
    }

    fn freeze(&mut self, full: bool) {
        let entries = &self.entries;
        self.images.freeze(full, |out| {
            for (key, value) in entries {
                key.encode(out);
                value.encode(out);
            }
            entries.len() as u64
        });
    }

    fn write_frozen(&mut self, _budget_entries: usize, part: &mut PartWriter) -> Result<bool> {
        self.images.write(part)
    }

    fn manifest_of_frozen(&mut self) -> Result<StateManifest> {
        self.images.manifest(self.descriptor())
    }

    fn abandon(&mut self) {
        self.images.abandon();
    }

    fn restore(&mut self, source: &mut RestoreSource) -> Result<()> {
        let descriptor = self.descriptor();
        self.entries.clear();
        self.images.abandon();
        let copies = image::in_order_of_writers(source.claim(&descriptor)?);
        if copies.is_empty() {
            return Ok(());
        }
        // Instances read different copies, so that no one file is read by all.
        let state = &copies[source.instance() as usize % copies.len()];
        let decoder = source.entry_decoder::<K, V>(&state.descriptor.key, &state.descriptor);
        let mut collector = Collector { decoder: &decoder, entries: &mut self.entries, merged: false };
        for chain in &state.chains {
            source
                .visit_chain(&state.descriptor, chain, &mut collector)
                .map_err(|error| image::explain(source, &state.descriptor, &descriptor, error))?;
        }
        if collector.merged { Err(source.keys_merged(&descriptor)) } else { Ok(()) }
    }

    fn memory_bytes(&self) -> usize {
        self.entries.heap_bytes() + self.images.memory_bytes()
    }
}
