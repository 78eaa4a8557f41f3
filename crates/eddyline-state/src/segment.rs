//! Segments: how the entries of a key group are encoded, and the chains they form.
//!
//! A segment is a header followed by entries until its end:
//!
//! ```text
//! u32 count, i64…   namespaces of which nothing earlier counts any more (window tables and timers; else none)
//! u32 count, key…   keys of which nothing earlier counts any more
//! (key, value)…     entries as of the freeze, in no particular order
//! ```
//!
//! Reading a chain means: for each segment, oldest first, remove, then put. Keys and values are encoded by
//! [`eddyline_core::Data::encode`]; a window table's key is the namespace followed by the key.

use eddyline_core::{DecodeError, KeyGroup, Reader};
use eddyline_protocol::{SegmentChain, SegmentKind, SegmentRef};

/// Chains of more deltas than this are rewritten even if the deltas are small: every segment costs a read at
/// restore and keeps a file of an old checkpoint alive.
pub(crate) const DELTAS_MAX: usize = 32;

/// What a segment removes before it puts.
#[derive(Default)]
pub(crate) struct Removals {
    pub(crate) namespaces: Vec<i64>,
    key_count: u32,
    keys: Vec<u8>,
}

impl Removals {
    pub(crate) fn add_key(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.key_count += 1;
        encode(&mut self.keys);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && self.key_count == 0
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.namespaces.len() as u32).to_le_bytes());
        for namespace in &self.namespaces {
            out.extend_from_slice(&namespace.to_le_bytes());
        }
        out.extend_from_slice(&self.key_count.to_le_bytes());
        out.extend_from_slice(&self.keys);
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.namespaces.capacity() * size_of::<i64>() + self.keys.capacity()
    }
}

/// What is told while a segment is read.
pub(crate) trait SegmentVisitor {
    /// Nothing said so far about `namespace` counts any more.
    fn remove_namespace(&mut self, namespace: i64);
    /// Reads a key, of which nothing said so far counts any more.
    fn remove(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError>;
    /// Reads a key and its value.
    fn put(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError>;
}

/// Reads a segment of `entries` entries.
pub(crate) fn visit_segment(
    bytes: &[u8],
    entries: u64,
    visitor: &mut impl SegmentVisitor,
) -> Result<(), DecodeError> {
    let mut input = Reader::new(bytes);
    for _ in 0..input.count()? {
        visitor.remove_namespace(i64::from_le_bytes(input.array()?));
    }
    for _ in 0..input.count()? {
        visitor.remove(&mut input)?;
    }
    for _ in 0..entries {
        visitor.put(&mut input)?;
    }
    match input.remaining() {
        0 => Ok(()),
        left => Err(DecodeError::new(format!("{left} bytes are left over after {entries} entries"))),
    }
}

/// The segments of a key group as they grow.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    segments: Vec<SegmentRef>,
    base_segments: usize,
    base_bytes: u64,
    delta_bytes: u64,
}

impl Chain {
    /// A chain that a manifest tells of.
    pub(crate) fn restored(segments: &[SegmentRef]) -> Self {
        let mut chain = Chain::default();
        segments.iter().for_each(|segment| chain.push(segment.clone()));
        chain
    }

    /// Adds a segment; a base replaces everything.
    pub(crate) fn push(&mut self, segment: SegmentRef) {
        match segment.kind {
            SegmentKind::Base => {
                self.segments.clear();
                self.base_segments = 1;
                self.base_bytes = segment.length;
                self.delta_bytes = 0;
            }
            SegmentKind::Delta => self.delta_bytes += segment.length,
        }
        self.segments.push(segment);
    }

    /// Adds a piece of the base that came before it.
    pub(crate) fn push_more_base(&mut self, segment: SegmentRef) {
        self.base_bytes += segment.length;
        self.base_segments += 1;
        self.segments.push(segment);
    }

    pub(crate) fn clear(&mut self) {
        *self = Chain::default();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether reading the deltas at a restore has become dearer than rewriting the base now: half as much again as
    /// the base, so that rewriting adds no more than two thirds to what is written anyway.
    pub(crate) fn wants_base(&self) -> bool {
        self.delta_bytes > self.base_bytes + self.base_bytes / 2 || self.is_long()
    }

    /// Whether there are too many deltas.
    pub(crate) fn is_long(&self) -> bool {
        self.segments.len() - self.base_segments > DELTAS_MAX
    }

    /// Bytes of the base and of the deltas.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.base_bytes, self.delta_bytes)
    }

    /// The chain for the manifest, if there is anything in it.
    pub(crate) fn manifest(&self, group: KeyGroup) -> Option<SegmentChain> {
        (!self.segments.is_empty()).then(|| SegmentChain { group, segments: self.segments.clone() })
    }
}
