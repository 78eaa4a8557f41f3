//! Following chains of segments, with types or without.

use super::{SegmentReader, explain};
use crate::segment::{SegmentVisitor, visit_segment};
use eddyline_core::{DataType, DecodeError, Reader, Result, Value};
use eddyline_protocol::{SegmentChain, SegmentKind, SegmentRef, StateDescriptor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys and values as canonical bytes of the writer's schema.
pub(crate) type Resolved = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reads the chains of one operator's states.
#[derive(Clone)]
pub(crate) struct Chains {
    pub(crate) reader: Arc<dyn SegmentReader>,
    pub(crate) uid: String,
}

impl Chains {
    /// The bytes of a segment, checked.
    pub(crate) fn read(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        self.reader
            .read_segment(segment)
            .map_err(|error| error.with_detail(format!("operator `{}`", self.uid)))
    }

    /// Reads all segments of a chain.
    pub(crate) fn visit(
        &self,
        descriptor: &StateDescriptor,
        chain: &SegmentChain,
        visitor: &mut impl SegmentVisitor,
    ) -> Result<()> {
        if chain.segments.first().is_some_and(|first| first.kind != SegmentKind::Base) {
            return Err(explain::headless(&self.uid, descriptor, chain));
        }
        for segment in &chain.segments {
            let bytes = self.read(segment)?;
            visit_segment(&bytes, segment.entries, visitor)
                .map_err(|error| explain::undecodable(&self.uid, descriptor, segment, &error))?;
        }
        Ok(())
    }

    /// What a chain of keys says in the end.
    pub(crate) fn resolve(&self, written: &StateDescriptor, chain: &SegmentChain) -> Result<Resolved> {
        let mut resolver = Resolver { written, entries: BTreeMap::new() };
        self.visit(written, chain, &mut resolver)?;
        Ok(resolver.entries)
    }

    /// The items of a chain without keys, as canonical bytes of the writer's schema.
    pub(crate) fn items(&self, written: &StateDescriptor, chain: &SegmentChain) -> Result<Vec<Vec<u8>>> {
        let mut lister = Lister { written, items: Vec::new() };
        self.visit(written, chain, &mut lister)?;
        Ok(lister.items)
    }
}

/// The bytes of the next value of `schema`.
fn slice(schema: &DataType, input: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let mut ahead = input.clone();
    Value::decode(schema, &mut ahead)?;
    Ok(input.take(input.remaining() - ahead.remaining())?.to_vec())
}

/// Follows a chain without knowing the Rust types.
struct Resolver<'a> {
    written: &'a StateDescriptor,
    entries: Resolved,
}

impl SegmentVisitor for Resolver<'_> {
    fn remove_namespace(&mut self, namespace: i64) {
        let prefix = namespace.to_le_bytes();
        self.entries.retain(|key, _| !key.starts_with(&prefix));
    }

    fn remove(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = slice(&self.written.key, input)?;
        self.entries.remove(&key);
        Ok(())
    }

    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = slice(&self.written.key, input)?;
        let value = slice(&self.written.value, input)?;
        self.entries.insert(key, value);
        Ok(())
    }
}

/// Lists the items of operator state, which is always written whole.
struct Lister<'a> {
    written: &'a StateDescriptor,
    items: Vec<Vec<u8>>,
}

impl SegmentVisitor for Lister<'_> {
    fn remove_namespace(&mut self, _namespace: i64) {
        // Operator state is always written whole: there is nothing to be removed.
    }

    fn remove(&mut self, _input: &mut Reader<'_>) -> Result<(), DecodeError> {
        Err(DecodeError::new("operator state holds a removal"))
    }

    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.items.push(slice(&self.written.value, input)?);
        Ok(())
    }
}
