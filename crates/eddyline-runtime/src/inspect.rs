//! Reading the states of operators from outside, by name: for tests.
//!
//! A [`StateImage`] is what a snapshot of one state would hold, collected from the instances of an operator. It is
//! read with types that the reader names, under the same rules as a restore. State with a time to live is shown
//! without its times, expired or not.

use crate::instance::Instance;
use eddyline_core::data::to_bytes;
use eddyline_core::{Data, Error, Key, KeyGroupRange, Result};
use eddyline_protocol::{
    MANIFEST_FORMAT, Manifest, ManifestKind, OperatorManifest, SegmentRef, StateKind, StateManifest,
};
use eddyline_state::ttl::Untimed;
use eddyline_state::{
    BroadcastState, KeyedTable, ManagedState, OperatorListState, PartWriter, RestoreSource, SegmentReader,
    TimerTable,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The uid of the operator in an image.
const UID: &str = "image";

/// A state of an operator, from some or all of its instances, as it is now.
#[derive(Clone)]
pub struct StateImage {
    name: String,
    states: Vec<StateManifest>,
    files: BTreeMap<String, Vec<u8>>,
    max_parallelism: u32,
}

/// Segments in memory.
struct Files(BTreeMap<String, Vec<u8>>);

impl SegmentReader for Files {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        let range = segment.offset as usize..(segment.offset + segment.length) as usize;
        let bytes = self.0.get(&segment.file).and_then(|bytes| bytes.get(range));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| Error::internal("an image of a state lacks a segment"))
    }
}

impl StateImage {
    /// An image of the state `name` that has nothing yet.
    pub fn new(name: &str) -> Self {
        StateImage { name: name.into(), states: Vec::new(), files: BTreeMap::new(), max_parallelism: 1 }
    }

    /// Adds what `instance` has of the state. The next snapshot of the state will be a full one. Must not be called
    /// while a snapshot is in flight.
    pub(crate) fn add(&mut self, instance: &mut Instance) -> Result<()> {
        self.max_parallelism = instance.info.max_parallelism;
        let (name, number) = (self.name.clone(), self.files.len());
        let (states, files) = (&mut self.states, &mut self.files);
        instance.visit_states(&mut |state| {
            if state.descriptor().name != name {
                return Ok(());
            }
            let file = number.to_string();
            let mut writer = PartWriter::new(file.clone());
            state.freeze(true);
            while !state.write_frozen(usize::MAX, &mut writer)? {}
            states.push(state.manifest_of_frozen()?);
            state.abandon();
            let mut bytes = Vec::new();
            while let Some(chunk) = writer.take_chunk() {
                bytes.extend(chunk);
            }
            bytes.extend(writer.finish()?.chunks.concat());
            files.insert(file, bytes);
            Ok(())
        })
    }

    /// Whether no instance has such a state.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    fn read<S: ManagedState>(&self, mut into: S) -> Result<S> {
        let operators =
            self.states.iter().map(|state| OperatorManifest { uid: UID.into(), states: vec![state.clone()] });
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            job: UID.into(),
            checkpoint: 1,
            attempt: 1,
            tick: 1,
            completed_at_ms: 0,
            max_parallelism: self.max_parallelism,
            finished: false,
            kind: ManifestKind::Checkpoint,
            origin: None,
            operators: operators.collect(),
        };
        let reader = Arc::new(Files(self.files.clone()));
        into.restore(&mut RestoreSource::new(reader, &manifest, UID, 0, 1))?;
        Ok(into)
    }

    fn all_keys(&self) -> KeyGroupRange {
        KeyGroupRange { start: 0, end: self.max_parallelism }
    }

    /// The keys and values of a keyed state, in the order of the keys' bytes: `V` is the value of a value, reducing
    /// or aggregating state, a `Vec` for a list state, a `BTreeMap` for a map state.
    ///
    /// # Errors
    /// If the state is of another kind or shape.
    pub fn keyed<K: Key, V: Data>(&self) -> Result<Vec<(K, V)>> {
        let table = KeyedTable::<K, Untimed<V>>::new(&self.name, self.all_keys(), self.max_parallelism);
        let table = self.read(table)?;
        let mut entries: Vec<(K, V)> =
            table.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
        entries.sort_by_cached_key(|(key, _)| to_bytes(key));
        Ok(entries)
    }

    /// The times and keys of timers, by time.
    ///
    /// # Errors
    /// As [`StateImage::keyed`].
    pub fn timers<K: Key>(&self) -> Result<Vec<(i64, K)>> {
        let table = self.read(TimerTable::<K>::new(&self.name, self.all_keys(), self.max_parallelism))?;
        let mut timers: Vec<(i64, K)> = table.iter().map(|(time, key, _)| (time, key.clone())).collect();
        timers.sort_by_cached_key(|(time, key)| (*time, to_bytes(key)));
        Ok(timers)
    }

    /// The items of a list or union state, instance by instance. Many operators bring such states up to date at cuts
    /// only.
    ///
    /// # Errors
    /// As [`StateImage::keyed`].
    pub fn items<T: Data>(&self) -> Result<Vec<T>> {
        let is_union = self.states.iter().any(|state| state.descriptor.kind == StateKind::Union);
        let list = if is_union {
            OperatorListState::union(&self.name, 0)
        } else {
            OperatorListState::list(&self.name, 0)
        };
        Ok(self.read(list)?.items().to_vec())
    }

    /// The entries of a broadcast state, which are the same in all instances.
    ///
    /// # Errors
    /// As [`StateImage::keyed`].
    pub fn broadcast<K: Data + Ord, V: Data>(&self) -> Result<Vec<(K, V)>> {
        let state = self.read(BroadcastState::<K, V>::new(&self.name, 0))?;
        Ok(state.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
