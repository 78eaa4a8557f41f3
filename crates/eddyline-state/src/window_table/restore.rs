//! Restoring a [`NamespacedTable`].

use super::{NamespacedTable, Slot};
use crate::restore::{EntryDecoder, RestoreSource};
use crate::segment::{Chain, SegmentVisitor};
use eddyline_core::{Data, DataType, DecodeError, Error, Key, Reader, Result};
use eddyline_protocol::{SegmentChain, StateManifest};

/// Applies segments to a table.
struct Applier<'a, K, V> {
    table: &'a mut NamespacedTable<K, V>,
    decoder: &'a EntryDecoder<K, V>,
    /// The key group that is read.
    group: usize,
}

impl<K: Key, V: Data> SegmentVisitor for Applier<'_, K, V> {
    fn remove_namespace(&mut self, namespace: i64) {
        // Chains are read group by group: what other groups have put into the namespace counts.
        let Some(slot) = self.table.find_slot(namespace) else { return };
        let (placement, group) = (self.table.placement, self.group);
        let entries = &mut self.table.slots[slot].entries;
        let gone: Vec<_> = entries
            .iter()
            .filter(|entry| placement.index_of(entry.hash) == group)
            .map(|entry| (entry.hash, entry.key.clone()))
            .collect();
        gone.iter().for_each(|(hash, key)| entries.restore_removal(*hash, key));
        self.table.free_if_empty(namespace, slot);
    }

    fn remove(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let namespace = i64::decode(input)?;
        let key = self.decoder.key.decode(input)?;
        if let Some(slot) = self.table.find_slot(namespace) {
            self.table.slots[slot].entries.restore_removal(key.stable_hash(), &key);
            self.table.free_if_empty(namespace, slot);
        }
        Ok(())
    }

    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let namespace = i64::decode(input)?;
        let key = self.decoder.key.decode(input)?;
        let value = self.decoder.value.decode(input)?;
        self.table.restore_entry(namespace, key.stable_hash(), key, value);
        Ok(())
    }
}

impl<K: Key, V: Data> NamespacedTable<K, V> {
    fn free_if_empty(&mut self, namespace: i64, slot: usize) {
        if self.slots[slot].entries.len() == 0 {
            self.free(namespace, slot);
        }
    }

    fn restore_entry(&mut self, namespace: i64, hash: u64, key: K, value: V) -> bool {
        let slot = self.slot_or_insert(namespace);
        let Slot { entries, born } = &mut self.slots[slot];
        *born = 0;
        entries.restore(hash, key, value)
    }

    pub(super) fn restore_from(&mut self, source: &mut RestoreSource) -> Result<()> {
        let placement = self.placement;
        let name = std::mem::take(&mut self.name);
        *self = NamespacedTable::of_kind(self.kind, name, placement.range, placement.max_parallelism);
        let descriptor = self.descriptor();
        let states = source.claim(&descriptor)?;
        if !states.is_empty() {
            source.check_max_parallelism(&descriptor, placement.max_parallelism)?;
        }
        // All states are laid out alike, or the chains of none may be continued.
        let mut continued = !states.is_empty();
        for state in &states {
            let DataType::Tuple(parts) = &state.descriptor.key else {
                return Err(self.not_namespaced(source, state));
            };
            let [DataType::Int(64), key] = parts.as_slice() else {
                return Err(self.not_namespaced(source, state));
            };
            let decoder = source.entry_decoder::<K, V>(key, &state.descriptor);
            continued &= decoder.is_direct();
            for chain in &state.chains {
                if !decoder.is_direct() {
                    self.restore_evolved(source, state, chain, &decoder)?;
                } else if placement.range.contains(chain.group) {
                    self.restore_chain(source, state, chain, &decoder)?;
                }
            }
        }
        self.in_segments = continued;
        if !continued {
            self.chains.iter_mut().for_each(Chain::clear);
        }
        Ok(())
    }

    fn not_namespaced(&self, source: &RestoreSource, state: &StateManifest) -> Error {
        let error = DecodeError::new("the state was written without windows");
        source.unmappable(&state.descriptor, &self.descriptor(), &error)
    }

    fn restore_chain(
        &mut self,
        source: &RestoreSource,
        state: &StateManifest,
        chain: &SegmentChain,
        decoder: &EntryDecoder<K, V>,
    ) -> Result<()> {
        let group = (chain.group - self.placement.range.start) as usize;
        if !self.chains[group].is_empty() {
            return Err(Error::state(format!("key group {} comes twice in the checkpoint", chain.group))
                .with_detail(format!("state `{}`", self.name))
                .with_hint("the checkpoint is damaged: restore from an older one"));
        }
        source.visit_chain(&state.descriptor, chain, &mut Applier { table: self, decoder, group })?;
        self.chains[group] = Chain::restored(&chain.segments);
        Ok(())
    }

    fn restore_evolved(
        &mut self,
        source: &RestoreSource,
        state: &StateManifest,
        chain: &SegmentChain,
        decoder: &EntryDecoder<K, V>,
    ) -> Result<()> {
        let wanted = self.descriptor();
        for (key, value) in source.resolve_chain(&state.descriptor, chain)? {
            let unmappable = |error| source.unmappable(&state.descriptor, &wanted, &error);
            let mut input = Reader::new(&key);
            let namespace = i64::decode(&mut input).map_err(unmappable)?;
            let key = decoder.key.decode(&mut input).map_err(unmappable)?;
            let hash = key.stable_hash();
            if self.placement.index_of(hash) < self.chains.len() {
                let value = decoder.value.decode(&mut Reader::new(&value)).map_err(unmappable)?;
                if !self.restore_entry(namespace, hash, key, value) {
                    return Err(source.keys_merged(&wanted));
                }
            }
        }
        Ok(())
    }
}
