//! Reading the state of one operator instance back from a checkpoint.
//!
//! Segments are read with the schema of their writer. Where it is laid out as the reader's is, bytes are decoded
//! directly; where it is not, they go through the evolution rules of [`eddyline_core::Value`]. Keys deserve care:
//! when their encoding changes, so do their hash and their key group. Such a state is read whole by every
//! instance, and each keeps what is its own now.

mod schema;

pub use schema::describe;
pub(crate) use schema::{Decoder, same_layout};

use crate::segment::{SegmentVisitor, visit_segment};
use crate::ttl::{carries_times, time_to_live_lost};
use eddyline_core::{Data, DataType, DecodeError, Error, Reader, Result, Value};
use eddyline_protocol::{Manifest, SegmentChain, SegmentKind, SegmentRef, StateDescriptor, StateManifest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Reads the bytes of a segment and checks them.
pub trait SegmentReader: Send + Sync {
    /// The bytes of `segment`.
    ///
    /// # Errors
    /// If they cannot be read or are not the ones that were written.
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>>;
}

/// What a checkpoint holds for one operator, as one instance reads it.
pub struct RestoreSource {
    reader: Arc<dyn SegmentReader>,
    uid: String,
    states: Vec<StateManifest>,
    claimed: BTreeSet<String>,
    instance: u32,
    parallelism: u32,
    max_parallelism: u32,
}

impl RestoreSource {
    /// What `manifest` holds for the operator `uid`, for instance number `instance` of `parallelism`.
    pub fn new(
        reader: Arc<dyn SegmentReader>,
        manifest: &Manifest,
        uid: &str,
        instance: u32,
        parallelism: u32,
    ) -> Self {
        let operators = manifest.operators.iter().filter(|operator| operator.uid == uid);
        RestoreSource {
            reader,
            uid: uid.to_string(),
            states: operators.flat_map(|operator| operator.states.iter().cloned()).collect(),
            claimed: BTreeSet::new(),
            instance,
            parallelism,
            max_parallelism: manifest.max_parallelism,
        }
    }

    /// The number of the instance that reads.
    pub fn instance(&self) -> u32 {
        self.instance
    }

    /// How many instances read.
    pub fn parallelism(&self) -> u32 {
        self.parallelism
    }

    /// The states that the checkpoint holds for the operator and that no state has asked for: they would be lost.
    pub fn unclaimed(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.states.iter().map(|state| &state.descriptor.name).collect();
        names.into_iter().filter(|name| !self.claimed.contains(*name)).cloned().collect()
    }

    /// The parts of the state `descriptor` names, from all workers that wrote one; none if the checkpoint has no
    /// such state.
    ///
    /// # Errors
    /// If the checkpoint has a state of that name but of another kind, or one with a time to live that is to be read
    /// without.
    pub fn claim(&mut self, descriptor: &StateDescriptor) -> Result<Vec<StateManifest>> {
        self.claimed.insert(descriptor.name.clone());
        let found: Vec<_> =
            self.states.iter().filter(|state| state.descriptor.name == descriptor.name).cloned().collect();
        let loses_times = |state: &StateManifest| carries_times(&state.descriptor.value);
        if !carries_times(&descriptor.value) && found.iter().any(loses_times) {
            return Err(time_to_live_lost(&descriptor.name, &self.uid));
        }
        match found.iter().find(|state| state.descriptor.kind != descriptor.kind) {
            None => Ok(found),
            Some(other) => Err(self.wrong_shape(descriptor).with_detail(format!(
                "written as {:?}, read as {:?}",
                other.descriptor.kind, descriptor.kind
            ))),
        }
    }

    /// The bytes of a segment, checked.
    ///
    /// # Errors
    /// As [`SegmentReader::read_segment`].
    pub fn read(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        self.reader
            .read_segment(segment)
            .map_err(|error| error.with_detail(format!("operator `{}`", self.uid)))
    }

    /// Checks that the checkpoint divides keys into as many groups as the job does now.
    pub(crate) fn check_max_parallelism(&self, descriptor: &StateDescriptor, now: u32) -> Result<()> {
        if self.max_parallelism == now {
            return Ok(());
        }
        Err(Error::state("the checkpoint has another maximum parallelism than the job")
            .with_detail(format!(
                "operator `{}`, state `{}`: {} key groups written, {now} wanted",
                self.uid, descriptor.name, self.max_parallelism
            ))
            .with_hint(format!(
                "set the maximum parallelism to {}: it is fixed for the life of a job's state",
                self.max_parallelism
            )))
    }

    /// Reads all segments of a chain.
    pub(crate) fn visit_chain(
        &self,
        descriptor: &StateDescriptor,
        chain: &SegmentChain,
        visitor: &mut impl SegmentVisitor,
    ) -> Result<()> {
        if chain.segments.first().is_some_and(|first| first.kind != SegmentKind::Base) {
            return Err(Error::state("the checkpoint is damaged: a chain of segments has no beginning")
                .with_detail(format!(
                    "operator `{}`, state `{}`, key group {}",
                    self.uid, descriptor.name, chain.group
                ))
                .with_hint("restore from an older checkpoint"));
        }
        for segment in &chain.segments {
            let bytes = self.read(segment)?;
            visit_segment(&bytes, segment.entries, visitor)
                .map_err(|error| self.undecodable(descriptor, segment, &error))?;
        }
        Ok(())
    }

    /// What a chain says in the end, as canonical bytes of the writer's schema.
    pub(crate) fn resolve_chain(
        &self,
        written: &StateDescriptor,
        chain: &SegmentChain,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut resolver = Resolver { written, entries: BTreeMap::new() };
        self.visit_chain(written, chain, &mut resolver)?;
        Ok(resolver.entries)
    }

    /// The error for a state that the reader's types cannot take.
    pub(crate) fn unmappable(
        &self,
        written: &StateDescriptor,
        wanted: &StateDescriptor,
        error: &DecodeError,
    ) -> Error {
        self.wrong_shape(wanted).with_detail(format!(
            "{error}; written as {} → {}, read as {} → {}",
            describe(&written.key),
            describe(&written.value),
            describe(&wanted.key),
            describe(&wanted.value)
        ))
    }

    /// The error for two keys that became one.
    pub(crate) fn keys_merged(&self, wanted: &StateDescriptor) -> Error {
        self.wrong_shape(wanted).with_detail(format!(
            "two keys of the checkpoint become the same key when read as {}",
            describe(&wanted.key)
        ))
    }

    fn wrong_shape(&self, wanted: &StateDescriptor) -> Error {
        Error::state(format!(
            "state `{}` of operator `{}` cannot be read: it was written with another shape",
            wanted.name, self.uid
        ))
        .with_hint(
            "make new fields optional, give renamed fields an alias, only widen numbers; or give the state another \
             name to start it empty; or run the program that wrote the checkpoint",
        )
    }

    fn undecodable(&self, descriptor: &StateDescriptor, segment: &SegmentRef, error: &DecodeError) -> Error {
        Error::state(format!(
            "state `{}` of operator `{}` cannot be decoded: {error}",
            descriptor.name, self.uid
        ))
        .with_detail(format!(
            "{} at byte {}, read as {} → {}",
            segment.file,
            segment.offset,
            describe(&descriptor.key),
            describe(&descriptor.value)
        ))
        .with_hint(
            "make sure that the types did not change without their schema, or restore an older checkpoint",
        )
    }
}

/// Follows a chain without knowing the Rust types.
struct Resolver<'a> {
    written: &'a StateDescriptor,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Resolver<'_> {
    fn slice(schema: &DataType, input: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
        let mut ahead = input.clone();
        Value::decode(schema, &mut ahead)?;
        Ok(input.take(input.remaining() - ahead.remaining())?.to_vec())
    }
}

impl SegmentVisitor for Resolver<'_> {
    fn remove_namespace(&mut self, namespace: i64) {
        let prefix = namespace.to_le_bytes();
        self.entries.retain(|key, _| !key.starts_with(&prefix));
    }

    fn remove(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = Self::slice(&self.written.key, input)?;
        self.entries.remove(&key);
        Ok(())
    }

    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = Self::slice(&self.written.key, input)?;
        let value = Self::slice(&self.written.value, input)?;
        self.entries.insert(key, value);
        Ok(())
    }
}

/// Keys and values decoded by their writer's schemas.
pub(crate) struct EntryDecoder<K, V> {
    pub(crate) key: Decoder<K>,
    pub(crate) value: Decoder<V>,
}

impl<K: Data, V: Data> EntryDecoder<K, V> {
    pub(crate) fn new(key: &DataType, value: &DataType) -> Self {
        EntryDecoder { key: Decoder::new(key), value: Decoder::new(value) }
    }

    /// Whether what was written may be continued by deltas of the types of now.
    pub(crate) fn is_direct(&self) -> bool {
        self.key.is_direct() && self.value.is_direct()
    }
}
