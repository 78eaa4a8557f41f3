//! Restoring a [`KeyedTable`].

use super::KeyedTable;
use super::entries::Entries;
use crate::restore::{EntryDecoder, RestoreSource};
use crate::segment::{Chain, SegmentVisitor};
use eddyline_core::{Data, DecodeError, Error, Key, Reader, Result};
use eddyline_protocol::{SegmentChain, StateManifest};

/// Applies segments to the table of a group.
struct Applier<'a, K, V> {
    entries: &'a mut Entries<u32, K, V>,
    decoder: &'a EntryDecoder<K, V>,
    namespace_of: Option<fn(&K) -> i64>,
}

impl<K: Key, V: Data> SegmentVisitor for Applier<'_, K, V> {
    fn remove_namespace(&mut self, namespace: i64) {
        // Segments of keys without namespaces name none.
        let Some(namespace_of) = self.namespace_of else { return };
        let keys = self.entries.iter().map(|entry| &entry.key);
        let gone: Vec<K> = keys.filter(|key| namespace_of(key) == namespace).cloned().collect();
        gone.iter().for_each(|key| self.entries.restore_removal(key.stable_hash(), key));
    }

    fn remove(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = self.decoder.key.decode(input)?;
        self.entries.restore_removal(key.stable_hash(), &key);
        Ok(())
    }

    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = self.decoder.key.decode(input)?;
        let value = self.decoder.value.decode(input)?;
        self.entries.restore(key.stable_hash(), key, value);
        Ok(())
    }
}

impl<K: Key, V: Data> KeyedTable<K, V> {
    pub(super) fn restore_from(&mut self, source: &mut RestoreSource) -> Result<()> {
        self.restore_noting(source, &mut |_, _| {})
    }

    /// As [`ManagedState::restore`](crate::ManagedState::restore); tells `note` of each key with its hash.
    pub(crate) fn restore_noting(
        &mut self,
        source: &mut RestoreSource,
        note: &mut dyn FnMut(u64, &K),
    ) -> Result<()> {
        let (namespace_of, last_touch) = (self.namespace_of, self.last_touch);
        let (filter, residency) = (self.filter.take(), self.residency.take());
        *self = KeyedTable::new(std::mem::take(&mut self.name), self.range, self.max_parallelism);
        (self.filter, self.residency) = (filter, residency);
        (self.namespace_of, self.last_touch) = (namespace_of, last_touch);
        let descriptor = self.descriptor();
        let states = source.claim(&descriptor)?;
        if !states.is_empty() {
            source.check_max_parallelism(&descriptor, self.max_parallelism)?;
        }
        for state in &states {
            let decoder = source.entry_decoder::<K, V>(&state.descriptor.key, &state.descriptor);
            for chain in &state.chains {
                if !decoder.key.is_direct() {
                    self.restore_evolved_keys(source, state, chain, &decoder)?;
                } else if self.range.contains(chain.group) {
                    self.restore_chain(source, state, chain, &decoder)?;
                    self.settle((chain.group - self.range.start) as usize, note)?;
                }
            }
        }
        (0..self.groups.len()).try_for_each(|index| self.settle(index, note))
    }

    fn restore_chain(
        &mut self,
        source: &RestoreSource,
        state: &StateManifest,
        chain: &SegmentChain,
        decoder: &EntryDecoder<K, V>,
    ) -> Result<()> {
        let namespace_of = self.namespace_of;
        let group = &mut self.groups[(chain.group - self.range.start) as usize];
        if group.entries.len() > 0 || group.record.in_store || !group.record.chain.is_empty() {
            return Err(Error::state(format!("key group {} comes twice in the checkpoint", chain.group))
                .with_detail(format!("state `{}`", self.name))
                .with_hint("the checkpoint is damaged: restore from an older one"));
        }
        let mut applier = Applier { entries: &mut group.entries, decoder, namespace_of };
        if decoder.is_direct() {
            source.visit_chain(&state.descriptor, chain, &mut applier)?;
            group.record.chain = Chain::restored(&chain.segments);
            group.record.in_segments = !group.record.chain.is_empty();
            return Ok(());
        }
        // Values of another shape: deltas of the new shape must not continue segments of the old one.
        for (key, value) in source.resolve_chain(&state.descriptor, chain)? {
            let bytes = [key, value].concat();
            applier.put(&mut Reader::new(&bytes)).map_err(|error| {
                source.unmappable(&state.descriptor, &descriptor_of::<K, V>(state), &error)
            })?;
        }
        Ok(())
    }

    fn restore_evolved_keys(
        &mut self,
        source: &RestoreSource,
        state: &StateManifest,
        chain: &SegmentChain,
        decoder: &EntryDecoder<K, V>,
    ) -> Result<()> {
        let wanted = self.descriptor();
        for (key, value) in source.resolve_chain(&state.descriptor, chain)? {
            let unmappable = |error| source.unmappable(&state.descriptor, &wanted, &error);
            let key = decoder.key.decode(&mut Reader::new(&key)).map_err(unmappable)?;
            let hash = key.stable_hash();
            let index = self.index_of(hash);
            if let Some(group) = self.groups.get_mut(index) {
                let value = decoder.value.decode(&mut Reader::new(&value)).map_err(unmappable)?;
                if !group.entries.restore(hash, key, value) {
                    return Err(source.keys_merged(&wanted));
                }
            }
        }
        Ok(())
    }
}

fn descriptor_of<K: Key, V: Data>(state: &StateManifest) -> eddyline_protocol::StateDescriptor {
    let (key, value) = KeyedTable::<K, V>::schemas();
    eddyline_protocol::StateDescriptor { key, value, ..state.descriptor.clone() }
}
