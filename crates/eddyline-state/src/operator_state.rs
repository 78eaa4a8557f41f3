//! State that belongs to an operator rather than to a key.
//!
//! - list state: every instance has items of its own; at restore all items are dealt out, round robin;
//! - union state: the same, but every instance receives all items;
//! - broadcast state: entries that are equal in all instances.
//!
//! Operator state is small (offsets, rules), so a freeze encodes it at once, and a snapshot is always a base.

mod broadcast;
mod image;

pub use broadcast::BroadcastState;

use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::{Decoder, RestoreSource};
use crate::segment::SegmentVisitor;
use eddyline_core::{Data, DataType, DecodeError, KeyGroup, Reader, Result};
use eddyline_protocol::{StateDescriptor, StateKind, StateManifest};
use image::Images;

/// A list of items of one operator instance.
pub struct OperatorListState<T> {
    name: String,
    kind: StateKind,
    items: Vec<T>,
    images: Images,
}

impl<T: Data> OperatorListState<T> {
    /// An empty list of instance number `instance`, whose items are dealt out over all instances at restore.
    pub fn list(name: impl Into<String>, instance: u32) -> Self {
        Self::of_kind(StateKind::List, name.into(), instance)
    }

    /// An empty list of instance number `instance`, of which every instance receives all items at restore.
    pub fn union(name: impl Into<String>, instance: u32) -> Self {
        Self::of_kind(StateKind::Union, name.into(), instance)
    }

    fn of_kind(kind: StateKind, name: String, instance: KeyGroup) -> Self {
        OperatorListState { name, kind, items: Vec::new(), images: Images::new(instance) }
    }

    /// The items.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The items, to be changed.
    pub fn items_mut(&mut self) -> &mut Vec<T> {
        self.images.touch();
        &mut self.items
    }

    /// Appends an item.
    pub fn add(&mut self, item: T) {
        self.items_mut().push(item);
    }

    /// Replaces all items.
    pub fn set(&mut self, items: Vec<T>) {
        *self.items_mut() = items;
    }
}

/// Collects items as they are read.
struct Collector<'a, T> {
    decoder: &'a Decoder<T>,
    items: Vec<T>,
}

impl<T: Data> SegmentVisitor for Collector<'_, T> {
    fn remove_namespace(&mut self, _namespace: i64) {
        // Operator state is always written whole: there is nothing to be removed.
    }

    fn remove(&mut self, _input: &mut Reader<'_>) -> Result<(), DecodeError> {
        Err(DecodeError::new("operator state holds a removal"))
    }

    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.items.push(self.decoder.decode(input)?);
        Ok(())
    }
}

impl<T: Data> ManagedState for OperatorListState<T> {
    fn descriptor(&self) -> StateDescriptor {
        StateDescriptor { name: self.name.clone(), kind: self.kind, key: DataType::Unit, value: T::schema() }
    }

    fn freeze(&mut self, full: bool) {
        let items = &self.items;
        self.images.freeze(full, |out| {
            items.iter().for_each(|item| item.encode(out));
            items.len() as u64
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
        self.items.clear();
        self.images.abandon();
        let mut position = 0u64;
        for state in image::in_order_of_writers(source.claim(&descriptor)?) {
            let decoder = source.value_decoder::<T>(&state.descriptor);
            for chain in &state.chains {
                let mut collector = Collector { decoder: &decoder, items: Vec::new() };
                source
                    .visit_chain(&state.descriptor, chain, &mut collector)
                    .map_err(|error| image::explain(source, &state.descriptor, &descriptor, error))?;
                for item in collector.items {
                    let instance = position % u64::from(source.parallelism().max(1));
                    if self.kind == StateKind::Union || instance == u64::from(source.instance()) {
                        self.items.push(item);
                    }
                    position += 1;
                }
            }
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        let heap: usize = if T::HAS_HEAP { self.items.iter().map(T::heap_bytes).sum() } else { 0 };
        self.items.capacity() * size_of::<T>() + heap + self.images.memory_bytes()
    }
}
