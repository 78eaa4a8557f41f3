//! Reading the state of one operator instance back from a checkpoint.
//!
//! Segments are read with the schema of their writer. Where it is laid out as the reader's is, bytes are decoded
//! directly; where it is not, they go through the evolution rules of [`eddyline_core::Value`]. Keys deserve care:
//! when their encoding changes, so do their hash and their key group. Such a state is read whole by every
//! instance, and each keeps what is its own now.

mod chains;
pub(crate) mod explain;
mod migration;
mod schema;

pub(crate) use chains::{Chains, Resolved};
pub use migration::Migration;
pub use schema::describe;
pub(crate) use schema::{Decoder, same_layout};

use crate::segment::SegmentVisitor;
use crate::ttl::carries_times;
use eddyline_core::{Data, DataType, DecodeError, Error, Result};
use eddyline_protocol::{Manifest, SegmentChain, SegmentRef, StateDescriptor, StateManifest};
use std::collections::BTreeSet;
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
    chains: Chains,
    states: Vec<StateManifest>,
    migrations: Vec<Migration>,
    claimed: BTreeSet<String>,
    notices: Vec<String>,
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
            chains: Chains { reader, uid: uid.to_string() },
            states: operators.flat_map(|operator| operator.states.iter().cloned()).collect(),
            migrations: Vec::new(),
            claimed: BTreeSet::new(),
            notices: Vec::new(),
            instance,
            parallelism,
            max_parallelism: manifest.max_parallelism,
        }
    }

    /// Says what becomes of values whose types have changed beyond the rules.
    pub fn set_migrations(&mut self, migrations: Vec<Migration>) {
        self.migrations = migrations;
    }

    /// What a person has to know about the states that were claimed so far.
    pub fn notices(&self) -> &[String] {
        &self.notices
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
    /// If the checkpoint has a state of that name but of another kind.
    pub fn claim(&mut self, descriptor: &StateDescriptor) -> Result<Vec<StateManifest>> {
        self.claimed.insert(descriptor.name.clone());
        let found: Vec<_> =
            self.states.iter().filter(|state| state.descriptor.name == descriptor.name).cloned().collect();
        let had_times = |state: &StateManifest| carries_times(&state.descriptor.value);
        if !carries_times(&descriptor.value) && found.iter().any(had_times) {
            self.notices.push(format!(
                "state `{}` of operator `{}` had a time to live and has none now: what had expired and was not cleaned \
                 up yet is there again",
                descriptor.name, self.chains.uid
            ));
        }
        match found.iter().find(|state| state.descriptor.kind != descriptor.kind) {
            None => Ok(found),
            Some(other) => Err(explain::wrong_kind(&self.chains.uid, &other.descriptor, descriptor)),
        }
    }

    /// The bytes of a segment, checked.
    ///
    /// # Errors
    /// As [`SegmentReader::read_segment`].
    pub fn read(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        self.chains.read(segment)
    }

    /// Decodes the values of a state that was written as `written`.
    pub(crate) fn value_decoder<V: Data>(&self, written: &StateDescriptor) -> Decoder<V> {
        let takes = |migration: &&Migration| migration.takes(&written.name, &written.value);
        Decoder::migrating(&written.value, self.migrations.iter().find(takes).cloned())
    }

    /// Decodes the entries of a state that was written as `written`, with keys of schema `key`.
    pub(crate) fn entry_decoder<K: Data, V: Data>(
        &self,
        key: &DataType,
        written: &StateDescriptor,
    ) -> EntryDecoder<K, V> {
        EntryDecoder { key: Decoder::new(key), value: self.value_decoder(written) }
    }

    /// Checks that the checkpoint divides keys into as many groups as the job does now.
    pub(crate) fn check_max_parallelism(&self, descriptor: &StateDescriptor, now: u32) -> Result<()> {
        if self.max_parallelism == now {
            return Ok(());
        }
        Err(Error::state("the checkpoint has another maximum parallelism than the job")
            .with_detail(format!(
                "operator `{}`, state `{}`: {} key groups written, {now} wanted",
                self.chains.uid, descriptor.name, self.max_parallelism
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
        self.chains.visit(descriptor, chain, visitor)
    }

    /// What a chain says in the end, as canonical bytes of the writer's schema.
    pub(crate) fn resolve_chain(&self, written: &StateDescriptor, chain: &SegmentChain) -> Result<Resolved> {
        self.chains.resolve(written, chain)
    }

    /// The error for a state that the reader's types cannot take.
    pub(crate) fn unmappable(
        &self,
        written: &StateDescriptor,
        wanted: &StateDescriptor,
        error: &DecodeError,
    ) -> Error {
        explain::unmappable(&self.chains.uid, written, wanted, error)
    }

    /// The error for two keys that became one.
    pub(crate) fn keys_merged(&self, wanted: &StateDescriptor) -> Error {
        explain::keys_merged(&self.chains.uid, wanted)
    }
}

/// Keys and values decoded by their writer's schemas.
pub(crate) struct EntryDecoder<K, V> {
    pub(crate) key: Decoder<K>,
    pub(crate) value: Decoder<V>,
}

impl<K: Data, V: Data> EntryDecoder<K, V> {
    /// Whether what was written may be continued by deltas of the types of now.
    pub(crate) fn is_direct(&self) -> bool {
        self.key.is_direct() && self.value.is_direct()
    }
}
