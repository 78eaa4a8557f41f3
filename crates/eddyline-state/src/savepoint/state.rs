//! One state of a checkpoint, read without its types.

use crate::restore::{Chains, SegmentReader};
use eddyline_core::key::stable_hash;
use eddyline_core::{DataType, DecodeError, Error, KeyGroup, Reader, Result, Value, key_group_of};
use eddyline_protocol::{SegmentChain, StateDescriptor, StateKind, StateManifest};
use std::sync::Arc;

/// How many entries are looked at to tell the state of windows from other state.
const SAMPLED_ENTRIES: usize = 64;
/// The bytes of the time or window in front of a key.
const TIME_BYTES: usize = size_of::<i64>();

/// One state of one operator in a checkpoint, from all workers that wrote a part of it.
pub struct SavedState {
    chains: Chains,
    max_parallelism: u32,
    parts: Vec<(Arc<StateDescriptor>, SegmentChain)>,
    descriptor: Arc<StateDescriptor>,
}

/// A key and its value (or an item of a list, whose key is the unit value), encoded.
#[derive(Debug, Clone)]
pub struct SavedEntry {
    descriptor: Arc<StateDescriptor>,
    /// The key group; of operator state, the instance that wrote it.
    pub group: KeyGroup,
    /// The key's canonical bytes: with its window or time in front, if it is the state of windows or timers.
    pub key_bytes: Vec<u8>,
    /// The value's canonical bytes.
    pub value_bytes: Vec<u8>,
}

impl SavedEntry {
    /// The key.
    ///
    /// # Errors
    /// If its bytes are none of the schema.
    pub fn key(&self) -> Result<Value, DecodeError> {
        Value::decode(&self.descriptor.key, &mut Reader::new(&self.key_bytes))
    }

    /// The value, with its times if the state has a time to live.
    ///
    /// # Errors
    /// If its bytes are none of the schema.
    pub fn value(&self) -> Result<Value, DecodeError> {
        Value::decode(&self.descriptor.value, &mut Reader::new(&self.value_bytes))
    }

    /// How the worker that wrote it describes the state.
    pub fn descriptor(&self) -> &StateDescriptor {
        &self.descriptor
    }

    pub(super) fn shared_descriptor(&self) -> &Arc<StateDescriptor> {
        &self.descriptor
    }
}

impl SavedState {
    /// The state that `parts` make up; none if there is no part.
    pub(super) fn new(
        reader: Arc<dyn SegmentReader>,
        uid: &str,
        max_parallelism: u32,
        states: Vec<StateManifest>,
    ) -> Option<Self> {
        let descriptor = Arc::new(states.first()?.descriptor.clone());
        let mut parts: Vec<(Arc<StateDescriptor>, SegmentChain)> = Vec::new();
        for state in states {
            let written = Arc::new(state.descriptor);
            parts.extend(state.chains.into_iter().map(|chain| (written.clone(), chain)));
        }
        parts.sort_by_key(|(_, chain)| chain.group);
        if descriptor.kind == StateKind::Broadcast {
            // All copies are equal: any one is the state.
            parts.truncate(1);
        }
        Some(SavedState {
            chains: Chains { reader, uid: uid.to_owned() },
            max_parallelism,
            parts,
            descriptor,
        })
    }

    /// The operator's uid.
    pub fn uid(&self) -> &str {
        &self.chains.uid
    }

    /// Name, kind and schemas.
    pub fn descriptor(&self) -> &StateDescriptor {
        &self.descriptor
    }

    /// The number of key groups of the job.
    pub fn max_parallelism(&self) -> u32 {
        self.max_parallelism
    }

    /// The chains with who describes them, by key group (or instance).
    pub fn parts(&self) -> impl Iterator<Item = (&StateDescriptor, &SegmentChain)> {
        self.parts.iter().map(|(descriptor, chain)| (&**descriptor, chain))
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().flat_map(|(_, chain)| &chain.segments).map(|segment| segment.length).sum()
    }

    /// Entries of all segments: at least as many as the state has, for deltas repeat what has changed.
    pub fn entries_written(&self) -> u64 {
        self.parts.iter().flat_map(|(_, chain)| &chain.segments).map(|segment| segment.entries).sum()
    }

    /// All entries: by key group, and within it in the order of the keys' bytes; of operator state in the order in which
    /// they were written.
    pub fn entries(&self) -> Entries {
        Entries {
            chains: self.chains.clone(),
            parts: self.parts.clone().into_iter(),
            current: Vec::new().into_iter(),
            failed: false,
        }
    }

    /// The entries of one key group.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn entries_of_group(&self, group: KeyGroup) -> Result<Vec<SavedEntry>> {
        let mut entries = Vec::new();
        for part in self.parts.iter().filter(|(_, chain)| chain.group == group) {
            entries.extend(read_part(&self.chains, part)?);
        }
        Ok(entries)
    }

    /// The entry of a key, given by its canonical bytes; reads the key's group and nothing else.
    ///
    /// # Errors
    /// If the group cannot be read.
    pub fn entry(&self, key_bytes: &[u8]) -> Result<Option<SavedEntry>> {
        let group = key_group_of(stable_hash(key_bytes), self.max_parallelism);
        let entries = self.entries_of_group(group)?;
        Ok(entries.into_iter().find(|entry| entry.key_bytes == key_bytes))
    }

    /// Checks chains, checksums and encoding.
    pub(super) fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<()> {
        for part in &self.parts {
            for entry in read_part(&self.chains, part)? {
                entry.key().and_then(|_| entry.value()).map_err(|error| self.damaged(&error))?;
            }
            progress(part.1.segments.iter().map(|segment| segment.length).sum());
        }
        Ok(())
    }

    fn damaged(&self, error: &DecodeError) -> Error {
        Error::state(format!(
            "state `{}` of operator `{}` cannot be decoded: {error}",
            self.descriptor.name, self.chains.uid
        ))
        .with_hint("the checkpoint is damaged: take an older one")
    }

    /// Finds out which part of a key decides its key group: all of it, or, of windows and timers, that without times.
    ///
    /// # Errors
    /// If entries cannot be read.
    pub fn placement(&self) -> Result<Placement> {
        let is_timed = match &self.descriptor.key {
            DataType::Tuple(parts) => matches!(parts.as_slice(), [DataType::Int(64), _]),
            _ => false,
        };
        match self.descriptor.kind {
            StateKind::Timers => return Ok(Placement::OfTimers),
            StateKind::KeyedValue if is_timed => {}
            StateKind::KeyedValue => return Ok(Placement::OfKeys),
            StateKind::List | StateKind::Union | StateKind::Broadcast => return Ok(Placement::OfInstances),
        }
        // A key of two parts, or a window in front of a key: the groups that entries were written to tell.
        for entry in self.entries().take(SAMPLED_ENTRIES) {
            let entry = entry?;
            if Placement::OfKeys.group(&entry.key_bytes, self.max_parallelism) != entry.group {
                return Ok(Placement::OfWindows);
            }
        }
        Ok(Placement::OfKeys)
    }
}

/// What decides where an entry lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The whole key.
    OfKeys,
    /// The key behind its window.
    OfWindows,
    /// The key between its time and its namespace.
    OfTimers,
    /// Nothing: it is operator state.
    OfInstances,
}

impl Placement {
    /// The part of a key's canonical bytes that decides its key group; nothing of operator state.
    pub fn hashed(self, key_bytes: &[u8]) -> &[u8] {
        let end = key_bytes.len();
        match self {
            Placement::OfKeys => key_bytes,
            Placement::OfWindows => &key_bytes[TIME_BYTES.min(end)..],
            Placement::OfTimers => {
                let end = end.saturating_sub(TIME_BYTES);
                &key_bytes[TIME_BYTES.min(end)..end]
            }
            Placement::OfInstances => &[],
        }
    }

    /// The key group of a key, given by its canonical bytes.
    pub fn group(self, key_bytes: &[u8], max_parallelism: u32) -> KeyGroup {
        match self {
            Placement::OfInstances => 0,
            _ => key_group_of(stable_hash(self.hashed(key_bytes)), max_parallelism),
        }
    }

    /// The schema of the part of a key that decides its key group, of a key of schema `key`.
    pub fn hashed_schema(self, key: &DataType) -> &DataType {
        match (self, key) {
            (Placement::OfWindows, DataType::Tuple(parts)) => parts.get(1).unwrap_or(key),
            (Placement::OfTimers, DataType::Tuple(parts)) => match parts.get(1) {
                Some(DataType::Tuple(inner)) => inner.first().unwrap_or(key),
                _ => key,
            },
            _ => key,
        }
    }
}

fn read_part(
    chains: &Chains,
    (descriptor, chain): &(Arc<StateDescriptor>, SegmentChain),
) -> Result<Vec<SavedEntry>> {
    let entry = |key_bytes, value_bytes| SavedEntry {
        descriptor: descriptor.clone(),
        group: chain.group,
        key_bytes,
        value_bytes,
    };
    match descriptor.kind {
        StateKind::List | StateKind::Union => {
            let items = chains.items(descriptor, chain)?;
            Ok(items.into_iter().map(|item| entry(Vec::new(), item)).collect())
        }
        StateKind::KeyedValue | StateKind::Timers | StateKind::Broadcast => {
            let entries = chains.resolve(descriptor, chain)?;
            Ok(entries.into_iter().map(|(key, value)| entry(key, value)).collect())
        }
    }
}

/// The entries of a state, read key group by key group.
pub struct Entries {
    chains: Chains,
    parts: std::vec::IntoIter<(Arc<StateDescriptor>, SegmentChain)>,
    current: std::vec::IntoIter<SavedEntry>,
    failed: bool,
}

impl Iterator for Entries {
    type Item = Result<SavedEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.current.next() {
                return Some(Ok(entry));
            }
            let part = if self.failed { None } else { self.parts.next() }?;
            match read_part(&self.chains, &part) {
                Ok(entries) => self.current = entries.into_iter(),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
