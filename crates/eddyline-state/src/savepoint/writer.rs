//! A checkpoint written by a program.

use super::SavepointReader;
use crate::checkpoint_store::{CheckpointStore, PartFile};
use crate::part::PartWriter;
use crate::restore::describe;
use crate::savepoint::Placement;
use crate::segment::Removals;
use eddyline_core::data::to_bytes;
use eddyline_core::{Data, DataType, Error, Key, KeyGroup, Result, Tick};
use eddyline_protocol::{
    AttemptId, CheckpointId, MANIFEST_FORMAT, Manifest, ManifestKind, OperatorManifest, SegmentChain,
    SegmentKind, SegmentRef, StateDescriptor, StateKind, StateManifest,
};
use std::collections::BTreeMap;

/// Bytes of entries that are collected before they are written, over all key groups.
const BUFFERED_BYTES_MAX: usize = 64 << 20;

/// Writes the first checkpoint of a job, with state that comes from anywhere: a job that is started with this directory
/// goes on from there.
///
/// Entries are taken one by one and written in pieces of some megabytes: there may be more of them than fit in memory.
/// Nothing counts before [`SavepointWriter::finish`].
///
/// # Examples
/// ```
/// use eddyline_state::{CheckpointStore, MemoryFileSystem, SavepointReader, SavepointWriter};
/// use std::sync::Arc;
///
/// let files = Arc::new(MemoryFileSystem::new());
/// let old = CheckpointStore::new(files.clone(), "/old", "visits")?;
/// let mut writer = SavepointWriter::create(&old, 128)?;
/// let mut operator = writer.operator("count-visits");
/// operator.keyed_state("count", (0..1_000u64).map(|visitor| (visitor, 1u32)))?;
/// operator.list_state("positions", [7u64, 9])?;
/// writer.finish(0)?;
///
/// // The same, with one state changed.
/// let reader = SavepointReader::newest(&old)?;
/// let new = CheckpointStore::new(files, "/new", "visits")?;
/// let mut writer = SavepointWriter::create_like(&new, &reader)?;
/// writer.copy(&reader, |_uid, state| state.name != "count", &mut |_bytes| {})?;
/// let doubled = reader.keyed::<u64, u32>("count-visits", "count")?;
/// let doubled = doubled.map(|entry| entry.map(|(visitor, count)| (visitor, 2 * count)));
/// writer.operator("count-visits").try_keyed_state("count", doubled)?;
/// writer.finish(0)?;
///
/// let reader = SavepointReader::newest(&new)?;
/// assert_eq!(reader.get::<u64, u32>("count-visits", "count", &7)?, Some(2));
/// assert_eq!(reader.items::<u64>("count-visits", "positions")?, [7, 9]);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
pub struct SavepointWriter {
    store: CheckpointStore,
    attempt: AttemptId,
    checkpoint: CheckpointId,
    tick: Tick,
    max_parallelism: u32,
    part: PartWriter,
    file: Option<PartFile>,
    operators: BTreeMap<String, Vec<StateManifest>>,
    buffered_bytes_max: usize,
}

/// Writes the states of one operator.
pub struct OperatorWriter<'a> {
    writer: &'a mut SavepointWriter,
    uid: String,
}

/// What was collected for a key group and what was written of it.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    entries: u64,
    segments: Vec<SegmentRef>,
}

impl SavepointWriter {
    /// Begins the first checkpoint of the job that `store` is for, whose keys are divided into `max_parallelism` groups.
    ///
    /// # Errors
    /// If the job has checkpoints there already, or the store cannot be written to.
    pub fn create(store: &CheckpointStore, max_parallelism: u32) -> Result<Self> {
        Self::begin(store, max_parallelism, 0)
    }

    /// As [`SavepointWriter::create`], for state that goes on where that of `reader` was.
    ///
    /// # Errors
    /// As [`SavepointWriter::create`].
    pub fn create_like(store: &CheckpointStore, reader: &SavepointReader) -> Result<Self> {
        Self::begin(store, reader.manifest().max_parallelism, reader.manifest().tick)
    }

    fn begin(store: &CheckpointStore, max_parallelism: u32, tick: Tick) -> Result<Self> {
        if max_parallelism == 0 {
            return Err(Error::config("keys cannot be divided into no group").with_hint(
                "give the maximum parallelism of the job that is to start from this: 128 by default",
            ));
        }
        if let Some(newest) = store.complete_checkpoints()?.last() {
            return Err(Error::config(format!("job `{}` has checkpoints there already", store.job()))
                .with_detail(format!("the newest is {newest}"))
                .with_hint("choose a directory that the job has no checkpoints in"));
        }
        let attempt = store.claim_attempt()?;
        let checkpoint = store.next_checkpoint()?;
        let part = PartWriter::new(store.part_path(checkpoint, attempt, 0));
        Ok(SavepointWriter {
            store: store.clone(),
            attempt,
            checkpoint,
            tick,
            max_parallelism,
            part,
            file: None,
            operators: BTreeMap::new(),
            buffered_bytes_max: BUFFERED_BYTES_MAX,
        })
    }

    #[cfg(test)]
    pub(super) fn set_buffered_bytes_max(&mut self, bytes: usize) {
        self.buffered_bytes_max = bytes;
    }

    /// The states of the operator `uid`; operators without state need not be named.
    pub fn operator(&mut self, uid: impl Into<String>) -> OperatorWriter<'_> {
        OperatorWriter { writer: self, uid: uid.into() }
    }

    /// Copies the states of `reader` that `wanted` (uid and state) wants, as they are. `progress` is told of the bytes.
    ///
    /// # Errors
    /// If a state was written already, the maximum parallelism is another one, something is damaged, or the store cannot
    /// be written to.
    pub fn copy(
        &mut self,
        reader: &SavepointReader,
        wanted: impl Fn(&str, &StateDescriptor) -> bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let manifest = reader.manifest();
        if manifest.max_parallelism != self.max_parallelism {
            return Err(Error::config(format!(
                "state of {} key groups cannot be copied as it is to {}",
                manifest.max_parallelism, self.max_parallelism
            ))
            .with_hint("read it with its types and write it anew, to other groups"));
        }
        for operator in &manifest.operators {
            for state in operator.states.iter().filter(|state| wanted(&operator.uid, &state.descriptor)) {
                let mut chains = Vec::with_capacity(state.chains.len());
                for chain in &state.chains {
                    let mut segments = Vec::with_capacity(chain.segments.len());
                    for segment in &chain.segments {
                        let bytes = reader.segments().read_segment(segment)?;
                        progress(segment.length);
                        segments.push(self.write_segment(segment.kind, segment.entries, vec![bytes])?);
                    }
                    chains.push(SegmentChain { group: chain.group, segments });
                }
                let copy = StateManifest { descriptor: state.descriptor.clone(), chains };
                // Each worker has written a part of its own, and the parts stay apart.
                self.operators.entry(operator.uid.clone()).or_default().push(copy);
            }
        }
        Ok(())
    }

    /// Makes the checkpoint complete. `completed_at_ms` is the wall time, milliseconds since the epoch.
    ///
    /// # Errors
    /// If it cannot be stored durably, or the job was started meanwhile.
    pub fn finish(mut self, completed_at_ms: i64) -> Result<Manifest> {
        let rest = std::mem::replace(&mut self.part, PartWriter::new("")).finish()?;
        for chunk in rest.chunks {
            self.write_chunk(&chunk)?;
        }
        if let Some(file) = self.file.take() {
            file.finish()?;
        }
        let operators = std::mem::take(&mut self.operators);
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            job: self.store.job().to_owned(),
            checkpoint: self.checkpoint,
            attempt: self.attempt,
            tick: self.tick,
            completed_at_ms,
            max_parallelism: self.max_parallelism,
            finished: false,
            kind: ManifestKind::Checkpoint,
            origin: None,
            operators: operators.into_iter().map(|(uid, states)| OperatorManifest { uid, states }).collect(),
        };
        self.store.write_complete(&manifest)?;
        Ok(manifest)
    }

    fn write_segment(&mut self, kind: SegmentKind, entries: u64, blocks: Vec<Vec<u8>>) -> Result<SegmentRef> {
        self.part.begin_segment()?;
        blocks.into_iter().for_each(|block| self.part.append_block(block));
        let segment = self.part.end_segment(kind, entries)?;
        while let Some(chunk) = self.part.take_chunk() {
            self.write_chunk(&chunk)?;
            self.part.recycle(chunk);
        }
        Ok(segment)
    }

    fn write_chunk(&mut self, chunk: &[u8]) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let path = self.store.part_path(self.checkpoint, self.attempt, 0);
                self.file.insert(self.store.create_part(&path)?)
            }
        };
        file.write(chunk)
    }

    /// Writes what was collected for the groups.
    fn write_groups(&mut self, groups: &mut BTreeMap<KeyGroup, Group>) -> Result<()> {
        for group in groups.values_mut().filter(|group| group.entries > 0) {
            let kind = if group.segments.is_empty() { SegmentKind::Base } else { SegmentKind::Delta };
            let mut header = Vec::new();
            Removals::default().encode(&mut header);
            let entries = std::mem::take(&mut group.entries);
            let bytes = std::mem::take(&mut group.bytes);
            group.segments.push(self.write_segment(kind, entries, vec![header, bytes])?);
        }
        Ok(())
    }

    fn add(&mut self, uid: &str, state: StateManifest) -> Result<()> {
        let states = self.operators.entry(uid.to_owned()).or_default();
        if states.iter().any(|known| known.descriptor.name == state.descriptor.name) {
            return Err(Error::config(format!(
                "state `{}` of operator `{uid}` is written twice",
                state.descriptor.name
            ))
            .with_hint("give each state of an operator once, with all its entries"));
        }
        states.push(state);
        Ok(())
    }
}

impl OperatorWriter<'_> {
    /// A value per key. For a list state give vectors, for a map state maps; of two entries with the same key the later
    /// counts.
    ///
    /// # Errors
    /// If the operator has such a state already, or the store cannot be written to.
    pub fn keyed_state<K: Key, V: Data>(
        &mut self,
        name: &str,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<u64> {
        self.try_keyed_state(name, entries.into_iter().map(Ok))
    }

    /// As [`OperatorWriter::keyed_state`], from what may fail on the way. Answers how many entries it were.
    ///
    /// # Errors
    /// As [`OperatorWriter::keyed_state`], and the first error of the entries.
    pub fn try_keyed_state<K: Key, V: Data>(
        &mut self,
        name: &str,
        entries: impl IntoIterator<Item = Result<(K, V)>>,
    ) -> Result<u64> {
        let descriptor = descriptor(name, StateKind::KeyedValue, K::schema(), V::schema());
        let encoded =
            entries.into_iter().map(|entry| entry.map(|(key, value)| (to_bytes(&key), to_bytes(&value))));
        self.encoded(descriptor, Placement::OfKeys, encoded)
    }

    /// Timers of keys, `name` being that of the operator's timers (see `eddyline state ls` on a checkpoint of the job).
    ///
    /// # Errors
    /// As [`OperatorWriter::keyed_state`].
    pub fn timers<K: Key>(&mut self, name: &str, timers: impl IntoIterator<Item = (i64, K)>) -> Result<u64> {
        let key = <(i64, (K, i64))>::schema();
        let descriptor = descriptor(name, StateKind::Timers, key, DataType::Unit);
        let encoded = timers.into_iter().map(|(time, key)| Ok((to_bytes(&(time, (key, 0i64))), Vec::new())));
        self.encoded(descriptor, Placement::OfTimers, encoded)
    }

    /// Items that are dealt out over the instances when the job starts.
    ///
    /// # Errors
    /// As [`OperatorWriter::keyed_state`].
    pub fn list_state<T: Data>(&mut self, name: &str, items: impl IntoIterator<Item = T>) -> Result<u64> {
        self.items(name, StateKind::List, items)
    }

    /// Items that every instance gets all of when the job starts.
    ///
    /// # Errors
    /// As [`OperatorWriter::keyed_state`].
    pub fn union_state<T: Data>(&mut self, name: &str, items: impl IntoIterator<Item = T>) -> Result<u64> {
        self.items(name, StateKind::Union, items)
    }

    fn items<T: Data>(
        &mut self,
        name: &str,
        kind: StateKind,
        items: impl IntoIterator<Item = T>,
    ) -> Result<u64> {
        let descriptor = descriptor(name, kind, DataType::Unit, T::schema());
        let encoded = items.into_iter().map(|item| Ok((Vec::new(), to_bytes(&item))));
        self.encoded(descriptor, Placement::OfInstances, encoded)
    }

    /// Entries that all instances have.
    ///
    /// # Errors
    /// As [`OperatorWriter::keyed_state`].
    pub fn broadcast_state<K: Data + Ord, V: Data>(
        &mut self,
        name: &str,
        entries: BTreeMap<K, V>,
    ) -> Result<u64> {
        let descriptor = descriptor(name, StateKind::Broadcast, K::schema(), V::schema());
        let encoded = entries.iter().map(|(key, value)| Ok((to_bytes(key), to_bytes(value))));
        self.encoded(descriptor, Placement::OfInstances, encoded)
    }

    /// Entries that are encoded already, for whoever knows them by their schemas alone. Answers how many it were.
    ///
    /// # Errors
    /// As [`OperatorWriter::keyed_state`], and the first error of the entries.
    pub fn encoded(
        &mut self,
        descriptor: StateDescriptor,
        placement: Placement,
        entries: impl IntoIterator<Item = Result<(Vec<u8>, Vec<u8>)>>,
    ) -> Result<u64> {
        let max_parallelism = self.writer.max_parallelism;
        let (mut groups, mut buffered, mut count) = (BTreeMap::<KeyGroup, Group>::new(), 0, 0);
        for entry in entries {
            let (key, value) = entry?;
            let group = groups.entry(placement.group(&key, max_parallelism)).or_default();
            group.bytes.extend_from_slice(&key);
            group.bytes.extend_from_slice(&value);
            group.entries += 1;
            count += 1;
            buffered += key.len() + value.len();
            if buffered >= self.writer.buffered_bytes_max {
                self.refuse_pieces(&descriptor, placement)?;
                self.writer.write_groups(&mut groups)?;
                buffered = 0;
            }
        }
        self.writer.write_groups(&mut groups)?;
        let chains =
            groups.into_iter().map(|(group, Group { segments, .. })| SegmentChain { group, segments });
        self.writer.add(&self.uid, StateManifest { descriptor, chains: chains.collect() })?;
        Ok(count)
    }

    /// Operator state is one piece.
    fn refuse_pieces(&self, descriptor: &StateDescriptor, placement: Placement) -> Result<()> {
        if placement != Placement::OfInstances {
            return Ok(());
        }
        Err(Error::config(format!(
            "state `{}` of operator `{}` is too large for state without keys",
            descriptor.name, self.uid
        ))
        .with_detail(format!("more than {BUFFERED_BYTES_MAX} bytes of {}", describe(&descriptor.value)))
        .with_hint("keep it by key"))
    }
}

fn descriptor(name: &str, kind: StateKind, key: DataType, value: DataType) -> StateDescriptor {
    StateDescriptor { name: name.to_owned(), kind, key, value }
}
