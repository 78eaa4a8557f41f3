//! States of a checkpoint, read with the reader's types.

use super::{Entries, SavedEntry, SavedState, SavepointReader};
use crate::restore::{Decoder, explain};
use eddyline_core::data::to_bytes;
use eddyline_core::{Data, DataType, DecodeError, Error, Key, Result};
use eddyline_protocol::{StateDescriptor, StateKind};
use std::marker::PhantomData;
use std::sync::Arc;

/// The entries of a state as keys and values, read key group by key group.
pub struct TypedEntries<K, V> {
    entries: Entries,
    decoder: TypedDecoder<K, V>,
}

/// Decodes entries by the schema of whoever wrote them.
struct TypedDecoder<K, V> {
    uid: String,
    /// For the writer that wrote the entry before.
    known: Option<(Arc<StateDescriptor>, Decoder<K>, Decoder<V>)>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Data, V: Data> TypedDecoder<K, V> {
    fn decode(&mut self, entry: &SavedEntry) -> Result<(K, V)> {
        let written = entry.shared_descriptor();
        if self.known.as_ref().is_none_or(|(known, ..)| !Arc::ptr_eq(known, written)) {
            self.known = Some((written.clone(), Decoder::new(&written.key), Decoder::new(&written.value)));
        }
        let Some((_, keys, values)) = &self.known else {
            return Err(Error::internal("a decoder that was just made is gone"));
        };
        let decoded = keys
            .decode_all(&entry.key_bytes)
            .and_then(|key| Ok((key, values.decode_all(&entry.value_bytes)?)));
        decoded.map_err(|error| self.unmappable(written, &error))
    }

    fn unmappable(&self, written: &StateDescriptor, error: &DecodeError) -> Error {
        let wanted = StateDescriptor { key: K::schema(), value: V::schema(), ..written.clone() };
        explain::unmappable(&self.uid, written, &wanted, error)
    }
}

impl<K: Data, V: Data> Iterator for TypedEntries<K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(entry.and_then(|entry| self.decoder.decode(&entry)))
    }
}

impl SavedState {
    fn typed<K: Data, V: Data>(&self) -> TypedEntries<K, V> {
        let decoder = TypedDecoder { uid: self.uid().to_owned(), known: None, types: PhantomData };
        TypedEntries { entries: self.entries(), decoder }
    }

    fn of_kind(self, kinds: &[StateKind]) -> Result<Self> {
        if kinds.contains(&self.descriptor().kind) {
            return Ok(self);
        }
        let wanted = StateDescriptor { kind: kinds[0], ..self.descriptor().clone() };
        Err(explain::wrong_kind(self.uid(), self.descriptor(), &wanted))
    }
}

impl SavepointReader {
    /// The keys and values of a keyed state: `V` is the value of a value, reducing or aggregating state, a `Vec` for a
    /// list state, a `BTreeMap` for a map state. Times to live are left out, and what has expired is there until it is
    /// cleaned up. The state of windows has keys of type `(i64, K)`, the window in front.
    ///
    /// # Errors
    /// If there is no such state or it is of another kind; while reading, if it is of another shape or damaged.
    pub fn keyed<K: Key, V: Data>(&self, uid: &str, state: &str) -> Result<TypedEntries<K, V>> {
        Ok(self.state(uid, state)?.of_kind(&[StateKind::KeyedValue])?.typed())
    }

    /// The value of one key of a keyed state; reads the key's group and nothing else, unless the key was written with
    /// another type.
    ///
    /// # Errors
    /// As [`SavepointReader::keyed`].
    pub fn get<K: Key, V: Data>(&self, uid: &str, state: &str, key: &K) -> Result<Option<V>> {
        let saved = self.state(uid, state)?.of_kind(&[StateKind::KeyedValue])?;
        if saved.parts().any(|(written, _)| !written.key.same_layout(&K::schema())) {
            let mut entries =
                saved.typed::<K, V>().filter(|entry| !matches!(entry, Ok((found, _)) if found != key));
            return entries.next().transpose().map(|found| found.map(|(_, value)| value));
        }
        let Some(entry) = saved.entry(&to_bytes(key))? else { return Ok(None) };
        Ok(Some(saved.typed::<K, V>().decoder.decode(&entry)?.1))
    }

    /// The times and keys of timers, by key group.
    ///
    /// # Errors
    /// As [`SavepointReader::keyed`].
    pub fn timers<K: Key>(
        &self,
        uid: &str,
        state: &str,
    ) -> Result<impl Iterator<Item = Result<(i64, K)>> + use<K>> {
        let saved = self.state(uid, state)?.of_kind(&[StateKind::Timers])?;
        let timers = saved.typed::<(i64, (K, i64)), ()>();
        Ok(timers.map(|timer| timer.map(|((time, (key, _)), ())| (time, key))))
    }

    /// The items of a list or union state, in the order of the instances that wrote them.
    ///
    /// # Errors
    /// As [`SavepointReader::keyed`].
    pub fn items<T: Data>(&self, uid: &str, state: &str) -> Result<Vec<T>> {
        let saved = self.state(uid, state)?.of_kind(&[StateKind::List, StateKind::Union])?;
        let mut decoder = TypedDecoder::<(), T> { uid: uid.to_owned(), known: None, types: PhantomData };
        saved.entries().map(|entry| Ok(decoder.decode(&entry?)?.1)).collect()
    }

    /// The entries of a broadcast state, in the order of the keys' bytes.
    ///
    /// # Errors
    /// As [`SavepointReader::keyed`].
    pub fn broadcast<K: Data, V: Data>(&self, uid: &str, state: &str) -> Result<Vec<(K, V)>> {
        let saved = self.state(uid, state)?.of_kind(&[StateKind::Broadcast])?;
        saved.typed().collect()
    }

    /// The schemas of the keys and of the values of a state, times to live aside.
    ///
    /// # Errors
    /// If there is no such state.
    pub fn schemas(&self, uid: &str, state: &str) -> Result<(DataType, DataType)> {
        let saved = self.state(uid, state)?;
        let StateDescriptor { key, value, .. } = saved.descriptor();
        Ok((key.clone(), crate::ttl::without_times(value)))
    }
}
