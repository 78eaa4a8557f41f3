//! Freezing a [`NamespacedTable`] and writing what was frozen.
//!
//! The whole table is written either as bases or as deltas. First the namespaces are walked, in order, and entries
//! encoded into a buffer per key group; then the buffers become segments. Buffers that grow large become segments
//! in between: a chain may begin with a base in several pieces.

use super::{NamespacedTable, Placement};
use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::RestoreSource;
use crate::segment::{Chain, Removals};
use crate::table::entries::{EPOCH_STEP, Entry, FIRST_EPOCH, Frozen, LAST_EPOCH};
use crate::table::{not_written, nothing_frozen};
use eddyline_core::{Data, Key, Result};
use eddyline_protocol::{SegmentKind, StateDescriptor, StateManifest};

/// From this many buffered bytes on, buffers are written out in between.
const BUFFERED_BYTES_MAX: usize = 8 << 20;

/// A snapshot in flight.
pub(super) struct Snapshot {
    frozen: Frozen,
    stage: Stage,
    removed_namespaces: Vec<i64>,
    groups: Vec<GroupBuffer>,
    buffered_bytes: usize,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Namespaces before this one are encoded; the flag says whether it has been begun.
    Walk { namespace: i64, begun: bool },
    /// Everything is encoded; groups before this one are written.
    Write { group: usize },
}

/// The encoded entries of a key group.
#[derive(Default)]
struct GroupBuffer {
    removals: Removals,
    bytes: Vec<u8>,
    entries: u64,
    /// Whether a part of the group has become a segment already, and whether that was a base.
    written: Option<SegmentKind>,
}

impl Snapshot {
    pub(super) fn memory_bytes(&self) -> usize {
        self.buffered_bytes + self.removed_namespaces.capacity() * size_of::<i64>()
    }

    /// Encodes an entry that is about to change, if it is still needed.
    pub(super) fn copy<K: Data, V: Data>(
        &mut self,
        placement: Placement,
        namespace: i64,
        entry: &Entry<u64, K, V>,
    ) {
        if matches!(self.stage, Stage::Walk { .. }) && self.frozen.needs(entry.epoch) {
            encode(&mut self.groups, &mut self.buffered_bytes, placement, namespace, entry);
        }
    }

    /// Writes the buffer of group `index` as a segment of `chain`, if there is anything to say.
    fn flush(&mut self, index: usize, chain: &mut Chain, part: &mut PartWriter) -> Result<()> {
        let group = &mut self.groups[index];
        let first = group.written.is_none();
        let namespaces_matter = first && !self.frozen.full && !chain.is_empty();
        if self.frozen.full && first {
            // Chains of earlier checkpoints end here, also that of a group that has become empty.
            chain.clear();
        }
        let keys_matter = first && !group.removals.is_empty() && !chain.is_empty();
        let has_removals = keys_matter || (namespaces_matter && !self.removed_namespaces.is_empty());
        if group.entries == 0 && !has_removals {
            return Ok(());
        }
        let mut removals =
            if keys_matter { std::mem::take(&mut group.removals) } else { Removals::default() };
        if namespaces_matter {
            removals.namespaces = self.removed_namespaces.clone();
        }
        let kind = if first && chain.is_empty() { SegmentKind::Base } else { SegmentKind::Delta };
        part.begin_segment()?;
        part.append(|out| removals.encode(out));
        part.append(|out| out.extend_from_slice(&group.bytes));
        let segment = part.end_segment(kind, std::mem::take(&mut group.entries))?;
        if group.written == Some(SegmentKind::Base) {
            chain.push_more_base(segment);
        } else {
            chain.push(segment);
        }
        group.written.get_or_insert(kind);
        self.buffered_bytes -= group.bytes.len();
        group.bytes = Vec::new();
        Ok(())
    }
}

fn encode<K: Data, V: Data>(
    groups: &mut [GroupBuffer],
    buffered_bytes: &mut usize,
    placement: Placement,
    namespace: i64,
    entry: &Entry<u64, K, V>,
) {
    let group = groups
        .get_mut(placement.index_of(entry.hash))
        .expect("invariant: a key is only used by the owner of its key group");
    let before = group.bytes.len();
    namespace.encode(&mut group.bytes);
    entry.key.encode(&mut group.bytes);
    entry.value.encode(&mut group.bytes);
    group.entries += 1;
    *buffered_bytes += group.bytes.len() - before;
}

impl<K: Key, V: Data> NamespacedTable<K, V> {
    /// Encodes what the snapshot in flight still needs of a namespace that is about to be dropped.
    pub(super) fn copy_namespace(&mut self, namespace: i64, slot: usize) {
        let placement = self.placement;
        let Some(snapshot) = self.snapshots.back_mut() else { return };
        let Stage::Walk { namespace: next, .. } = snapshot.stage else { return };
        if namespace < next {
            return;
        }
        let Snapshot { groups, buffered_bytes, frozen, .. } = snapshot;
        let entries = &mut self.slots[slot].entries;
        entries.begin_walk();
        entries.walk(*frozen, &mut usize::MAX.clone(), |entry| {
            encode(groups, buffered_bytes, placement, namespace, entry);
        });
    }

    /// Encodes entries of the newest snapshot into its buffers until the budget is spent; returns whether all are.
    fn walk_namespaces(&mut self, position: usize, budget: &mut usize) -> bool {
        let Some(snapshot) = self.snapshots.get_mut(position) else { return true };
        let placement = self.placement;
        while let Stage::Walk { namespace, begun } = snapshot.stage {
            let Some((&current, &slot)) = self.slots_by_namespace.range(namespace..).next() else {
                snapshot.stage = Stage::Write { group: 0 };
                break;
            };
            if *budget == 0 {
                return false;
            }
            let Snapshot { groups, buffered_bytes, frozen, .. } = &mut *snapshot;
            let entries = &mut self.slots[slot].entries;
            if !begun || current != namespace {
                entries.begin_walk();
                *budget -= 1;
            }
            let finished = entries.walk(*frozen, budget, |entry| {
                encode(groups, buffered_bytes, placement, current, entry);
            });
            snapshot.stage = match (finished, current.checked_add(1)) {
                (false, _) => Stage::Walk { namespace: current, begun: true },
                (true, Some(next)) => Stage::Walk { namespace: next, begun: false },
                (true, None) => Stage::Write { group: 0 },
            };
            if !finished {
                return false;
            }
        }
        true
    }

    /// Writes all buffers of the oldest snapshot, however little is in them.
    fn flush_all(&mut self, part: &mut PartWriter) -> Result<()> {
        let snapshot = self.snapshots.front_mut().ok_or_else(nothing_frozen)?;
        for (index, chain) in self.chains.iter_mut().enumerate() {
            if snapshot.groups[index].entries > 0 {
                snapshot.flush(index, chain, part)?;
            }
        }
        Ok(())
    }

    fn wants_base(&self) -> bool {
        let (base, delta) = self
            .chains
            .iter()
            .map(Chain::bytes)
            .fold((0, 0), |(base, delta), (more, other)| (base + more, delta + other));
        delta > base + base / 2 || self.chains.iter().any(Chain::is_long)
    }

    fn start_epochs_again(&mut self) {
        for slot in &mut self.slots {
            slot.entries.reset_epochs();
            slot.born = 0;
        }
        self.epoch = FIRST_EPOCH;
    }
}

impl<K: Key, V: Data> ManagedState for NamespacedTable<K, V> {
    fn descriptor(&self) -> StateDescriptor {
        self.descriptor()
    }

    fn freeze(&mut self, full: bool) {
        if let Some(newest) = self.snapshots.len().checked_sub(1) {
            self.walk_namespaces(newest, &mut usize::MAX.clone());
        }
        let again = self.epoch >= LAST_EPOCH;
        if again {
            self.start_epochs_again();
        }
        let full = full || again || !self.in_segments || self.wants_base();
        let mut groups: Vec<GroupBuffer> = Vec::new();
        groups.resize_with(self.chains.len(), GroupBuffer::default);
        for (group, removals) in groups.iter_mut().zip(std::mem::take(&mut self.removed_keys)) {
            group.removals = removals;
        }
        self.snapshots.push_back(Snapshot {
            frozen: Frozen { epoch: self.epoch, full },
            stage: Stage::Walk { namespace: i64::MIN, begun: false },
            removed_namespaces: std::mem::take(&mut self.removed_namespaces),
            groups,
            buffered_bytes: 0,
        });
        self.in_segments = true;
        self.epoch += EPOCH_STEP;
    }

    fn write_frozen(&mut self, budget_entries: usize, part: &mut PartWriter) -> Result<bool> {
        let mut budget = budget_entries.max(1);
        let walked = self.walk_namespaces(0, &mut budget);
        if self.snapshots.front().ok_or_else(nothing_frozen)?.buffered_bytes > BUFFERED_BYTES_MAX {
            self.flush_all(part)?;
        }
        if !walked {
            return Ok(false);
        }
        let snapshot = self.snapshots.front_mut().ok_or_else(nothing_frozen)?;
        while let Stage::Write { group } = snapshot.stage {
            let Some(chain) = self.chains.get_mut(group) else { break };
            if budget == 0 {
                return Ok(false);
            }
            // Copying encoded bytes is about an eighth of the work of encoding them.
            let cost = 1 + snapshot.groups[group].entries as usize / 8;
            budget = budget.saturating_sub(cost);
            snapshot.flush(group, chain, part)?;
            snapshot.stage = Stage::Write { group: group + 1 };
        }
        Ok(true)
    }

    fn manifest_of_frozen(&mut self) -> Result<StateManifest> {
        let written = Stage::Write { group: self.chains.len() };
        match self.snapshots.front() {
            None => Err(nothing_frozen()),
            Some(snapshot) if snapshot.stage != written => Err(not_written()),
            Some(_) => {
                self.snapshots.pop_front();
                let numbered = self.chains.iter().zip(self.placement.range.start..);
                let chains = numbered.filter_map(|(chain, number)| chain.manifest(number)).collect();
                Ok(StateManifest { descriptor: self.descriptor(), chains })
            }
        }
    }

    fn abandon(&mut self) {
        self.snapshots.clear();
        self.removed_keys = Vec::new();
        self.removed_namespaces = Vec::new();
        self.chains.iter_mut().for_each(Chain::clear);
        self.in_segments = false;
    }

    fn restore(&mut self, source: &mut RestoreSource) -> Result<()> {
        self.restore_from(source)
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes()
    }
}
