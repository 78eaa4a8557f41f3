//! Freezing a [`KeyedTable`] and writing what was frozen.
//!
//! A freeze decides for each key group what its part of the snapshot is: nothing (the chain that exists is
//! referenced), a delta, or a base. Groups are then written one after the other as one segment each: first the
//! removals, then whatever the slices of [`ManagedState::write_frozen`] find in the table, then the entries that
//! changed in the meantime and were encoded just before.

use super::entries::{EPOCH_STEP, Entry, FIRST_EPOCH, Frozen, LAST_EPOCH};
use super::export::{Export, GroupExport};
use super::{Group, KeyedTable};
use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::RestoreSource;
use crate::segment::Removals;
use eddyline_core::{Data, Error, Key, Result};
use eddyline_protocol::{SegmentKind, StateDescriptor, StateManifest};
use std::borrow::Cow;

/// At most this share of the groups (one in so many) is rewritten in one snapshot because of its many deltas.
const COMPACTED_SHARE: usize = 8;

/// What a snapshot in flight has of a group, apart from the entries that still wait in the table.
pub(super) struct GroupCopy {
    pub(super) frozen: Frozen,
    removals: Removals,
    encoded: Blocks,
    entries: u64,
}

/// Encoded entries in blocks: what grows without bound must neither be moved nor be copied as it grows.
#[derive(Default)]
struct Blocks {
    full: Vec<Vec<u8>>,
    full_bytes: usize,
    current: Vec<u8>,
}

/// From so many bytes on a block is full.
const BLOCK_BYTES: usize = 32 << 10;

impl Blocks {
    /// Lets `encode` append an entry.
    #[inline]
    fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let written = encode(&mut self.current);
        if self.current.len() >= BLOCK_BYTES {
            self.turn();
        }
        written
    }

    #[cold]
    fn turn(&mut self) {
        let next = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 16);
        let full = std::mem::replace(&mut self.current, next);
        self.full_bytes += full.capacity();
        self.full.push(full);
    }

    fn memory_bytes(&self) -> usize {
        self.full_bytes + self.current.capacity()
    }

    fn append_to(self, part: &mut PartWriter) {
        self.full.into_iter().for_each(|block| part.append_block(block));
        part.append_block(self.current);
    }
}

/// Decides what a base need not have. Deltas have all that changed: what they left out would come back as it was.
pub(crate) trait SnapshotFilter<V: Clone> {
    /// A snapshot is frozen: what is decided from now on is decided for it.
    fn freeze(&self);

    /// What is to be written of a value; none if nothing is.
    fn written<'v>(&self, value: &'v V) -> Option<Cow<'v, V>>;
}

/// Encodes an entry for a snapshot; answers whether there was something to write.
fn encode_entry<K: Data, V: Data>(
    entry: &Entry<u32, K, V>,
    frozen: Frozen,
    filter: Option<&dyn SnapshotFilter<V>>,
    out: &mut Vec<u8>,
) -> bool {
    let written = match filter {
        Some(filter) if frozen.full => filter.written(&entry.value),
        _ => Some(Cow::Borrowed(&entry.value)),
    };
    if let Some(value) = &written {
        entry.key.encode(out);
        value.encode(out);
    }
    written.is_some()
}

impl GroupCopy {
    pub(super) fn encode<K: Data, V: Data>(
        &mut self,
        entry: &Entry<u32, K, V>,
        filter: Option<&dyn SnapshotFilter<V>>,
    ) {
        let frozen = self.frozen;
        let written = self.encoded.append(|out| encode_entry(entry, frozen, filter, out));
        self.entries += u64::from(written);
    }

    fn kind(&self) -> SegmentKind {
        if self.frozen.full { SegmentKind::Base } else { SegmentKind::Delta }
    }

    fn memory_bytes(&self) -> usize {
        self.encoded.memory_bytes() + self.removals.memory_bytes()
    }
}

/// What is to be done for a group.
enum Work {
    /// Its chain stays as it is.
    Keep,
    /// It is empty: its chain ends.
    Clear,
    /// Its copy and the table's entries are written.
    Table,
    /// All of it has been encoded already, since another freeze came.
    Encoded(GroupCopy),
}

/// A snapshot in flight.
pub(super) struct Snapshot {
    work: Vec<Work>,
    next: usize,
    /// Entries written to the open segment of group `next`.
    open: Option<u64>,
    /// What comes from the table's store.
    pub(super) export: Option<Export>,
}

impl Snapshot {
    pub(super) fn memory_bytes(&self) -> usize {
        let bytes = |work: &Work| if let Work::Encoded(copy) = work { copy.memory_bytes() } else { 0 };
        self.work.iter().map(bytes).sum::<usize>() + self.export.as_ref().map_or(0, Export::memory_bytes)
    }
}

impl<K: Key, V: Data> Group<K, V> {
    pub(super) fn copied_bytes(&self) -> usize {
        self.record.removals.memory_bytes() + self.record.copy.as_ref().map_or(0, |copy| copy.memory_bytes())
    }

    /// Encodes everything that the snapshot in flight still needs from the table.
    pub(super) fn encode_rest(&mut self, filter: Option<&dyn SnapshotFilter<V>>) {
        if let Some(copy) = &mut self.record.copy {
            let frozen = copy.frozen;
            self.entries.walk(frozen, &mut usize::MAX.clone(), |entry| copy.encode(entry, filter));
        }
    }

    /// Ends `epoch` for the group.
    fn freeze(&mut self, epoch: u32, full: bool, may_compact: &mut usize) -> Work {
        let removals = std::mem::take(&mut self.record.removals);
        let in_store = self.record.in_store;
        if self.entries.len() == 0 && !in_store {
            self.record.in_segments = false;
            return Work::Clear;
        }
        let base = if full || !self.record.in_segments || self.record.mostly_evicted {
            true
        } else if !self.entries.changed_in(epoch) && self.record.evicted.is_empty() {
            return Work::Keep;
        } else if !in_store && self.entries.mostly_changed_in(epoch) {
            true
        } else if self.record.chain.wants_base() && *may_compact > 0 {
            *may_compact -= 1;
            true
        } else {
            false
        };
        self.record.in_segments = true;
        self.entries.begin_walk();
        let removals = if base { Removals::default() } else { removals };
        let frozen = Frozen { epoch, full: base };
        self.record.copy = Some(GroupCopy { frozen, removals, encoded: Blocks::default(), entries: 0 });
        Work::Table
    }
}

impl<K: Key, V: Data> KeyedTable<K, V> {
    /// Encodes what is left of the snapshot that is being written, so that the table is free for the next.
    fn encode_snapshot_in_flight(&mut self) {
        let Some(snapshot) = self.snapshots.back_mut() else { return };
        for (work, group) in snapshot.work.iter_mut().zip(&mut self.groups) {
            if matches!(work, Work::Table) {
                group.encode_rest(self.filter.as_deref());
                // A group without a copy has been written already.
                *work = group.record.copy.take().map_or(Work::Keep, Work::Encoded);
            }
        }
    }

    fn start_epochs_again(&mut self) {
        self.groups.iter_mut().for_each(|group| group.entries.reset_epochs());
        self.epoch = FIRST_EPOCH;
    }

    /// Writes on the segment of group `index`; returns whether it is complete.
    fn write_group(&mut self, index: usize, budget: &mut usize, part: &mut PartWriter) -> Result<bool> {
        let snapshot = self.snapshots.front_mut().ok_or_else(nothing_frozen)?;
        let group = &mut self.groups[index];
        let work = &mut snapshot.work[index];
        match work {
            Work::Keep => return Ok(true),
            Work::Clear => {
                group.record.chain.clear();
                return Ok(true);
            }
            Work::Table | Work::Encoded(_) => {}
        }
        let in_table = matches!(work, Work::Table);
        let copy = match work {
            Work::Encoded(copy) => copy,
            _ => group.record.copy.as_mut().ok_or_else(nothing_frozen)?,
        };
        if snapshot.open.is_none() {
            part.begin_segment()?;
            part.append(|out| copy.removals.encode(out));
        }
        snapshot.open.get_or_insert(0);
        let full = copy.frozen.full;
        let (exported, all) = self.export_group(index, full, budget, part)?;
        let snapshot = self.snapshots.front_mut().ok_or_else(nothing_frozen)?;
        let written = snapshot.open.get_or_insert(0);
        *written += exported;
        if !all {
            return Ok(false);
        }
        let group = &mut self.groups[index];
        let work = &mut snapshot.work[index];
        if in_table {
            let copy = group.record.copy.as_ref().ok_or_else(nothing_frozen)?;
            let (frozen, filter) = (copy.frozen, self.filter.as_deref());
            let finished = group.entries.walk(frozen, budget, |entry| {
                part.append(|out| *written += u64::from(encode_entry(entry, frozen, filter, out)));
            });
            if !finished {
                return Ok(false);
            }
        }
        let copy = match std::mem::replace(work, Work::Keep) {
            Work::Encoded(copy) => copy,
            _ => group.record.copy.take().ok_or_else(nothing_frozen)?,
        };
        let (kind, entries) = (copy.kind(), *written + copy.entries);
        *budget = budget.saturating_sub(copy.entries as usize / 8);
        copy.encoded.append_to(part);
        snapshot.open = None;
        group.record.chain.push(part.end_segment(kind, entries)?);
        Ok(true)
    }
}

#[cold]
pub(crate) fn nothing_frozen() -> Error {
    Error::internal("a snapshot was to be written, but none is in flight")
}

#[cold]
pub(crate) fn not_written() -> Error {
    Error::internal("a snapshot's manifest was asked for before the snapshot was written")
}

impl<K: Key, V: Data> ManagedState for KeyedTable<K, V> {
    fn descriptor(&self) -> StateDescriptor {
        self.descriptor()
    }

    fn freeze(&mut self, full: bool) {
        self.encode_snapshot_in_flight();
        if let Some(filter) = &self.filter {
            filter.freeze();
        }
        let again = self.epoch >= LAST_EPOCH;
        if again {
            self.start_epochs_again();
        }
        let mut may_compact = (self.groups.len() / COMPACTED_SHARE).max(1);
        let count = self.groups.len();
        let mut work: Vec<Work> = (0..count).map(|_| Work::Keep).collect();
        let mut exports: Vec<GroupExport> = Vec::new();
        if self.has_store() {
            exports.resize_with(count, GroupExport::default);
        }
        for step in 0..count {
            let index = (self.compaction_cursor + step) % count;
            let group = &mut self.groups[index];
            work[index] = group.freeze(self.epoch, full || again, &mut may_compact);
            if let (Some(export), Work::Table) = (exports.get_mut(index), &work[index]) {
                let base = group.record.copy.as_ref().is_some_and(|copy| copy.frozen.full);
                *export = GroupExport::new(&mut group.record, self.range.start + index as u32, base);
            }
        }
        let export = self.begin_export(exports);
        self.compaction_cursor = (self.compaction_cursor + count / COMPACTED_SHARE + 1) % count.max(1);
        self.epoch += EPOCH_STEP;
        self.snapshots.push_back(Snapshot { work, next: 0, open: None, export });
    }

    fn write_frozen(&mut self, budget_entries: usize, part: &mut PartWriter) -> Result<bool> {
        let mut budget = budget_entries.max(1);
        loop {
            let snapshot = self.snapshots.front().ok_or_else(nothing_frozen)?;
            let next = snapshot.next;
            if next == snapshot.work.len() {
                return Ok(true);
            }
            if budget == 0 || !self.write_group(next, &mut budget, part)? {
                return Ok(false);
            }
            self.snapshots.front_mut().ok_or_else(nothing_frozen)?.next += 1;
        }
    }

    fn manifest_of_frozen(&mut self) -> Result<StateManifest> {
        match self.snapshots.front() {
            None => Err(nothing_frozen()),
            Some(snapshot) if snapshot.next < snapshot.work.len() => Err(not_written()),
            Some(_) => {
                let export = self.snapshots.pop_front().and_then(|snapshot| snapshot.export);
                self.end_export(export);
                let numbered = self.groups.iter().zip(self.range.start..);
                let chains =
                    numbered.filter_map(|(group, number)| group.record.chain.manifest(number)).collect();
                Ok(StateManifest { descriptor: self.descriptor(), chains })
            }
        }
    }

    fn abandon(&mut self) {
        for snapshot in std::mem::take(&mut self.snapshots) {
            self.end_export(snapshot.export);
        }
        for group in &mut self.groups {
            group.record.copy = None;
            group.record.removals = Removals::default();
            group.record.in_segments = false;
            group.record.chain.clear();
        }
    }

    fn restore(&mut self, source: &mut RestoreSource) -> Result<()> {
        self.restore_from(source)
    }

    fn warm(&self, hashes: &[u64]) {
        if self.outgrows_cache() {
            self.warm(hashes);
        }
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes()
    }

    fn keys_per_fetch(&self) -> Option<usize> {
        self.keys_per_fetch()
    }

    fn fetch(&mut self, hashes: &[u64]) -> u64 {
        self.fetch(hashes)
    }

    fn is_fetched(&mut self, ticket: u64) -> Result<bool> {
        self.is_fetched(ticket)
    }

    fn release(&mut self, hashes: &[u64]) {
        self.release(hashes);
    }

    fn waits_for_store(&self) -> bool {
        let waits = |snapshot: &Snapshot| snapshot.export.as_ref().is_some_and(|export| export.is_waiting);
        self.snapshots.front().is_some_and(waits)
    }
}
