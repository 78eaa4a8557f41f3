//! What a snapshot gets from the store of a [`KeyedTable`].
//!
//! A store keeps a snapshot of its own, taken at the freeze. A group's segment begins with what comes from there: for a
//! base everything, for a delta the entries that changed and have left memory since the freeze before. Entries in memory
//! that are as the store has them are not written a second time.

use super::residency::{damaged, entries_of};
use super::snapshot::SnapshotFilter;
use super::{GroupRecord, KeyedTable};
use crate::part::PartWriter;
use crate::store::{Found, Request, StoreKey, store_key};
use eddyline_core::{Data, DecodeError, Key, KeyGroup, Reader, Result};

/// How many keys are asked for at once.
const KEYS_PER_REQUEST: usize = 1024;
/// About how many bytes are asked for at once.
const BYTES_PER_REQUEST: usize = 256 << 10;

/// What is to be got for a group.
#[derive(Debug, Default)]
pub(super) enum GroupExport {
    /// Nothing, or nothing more.
    #[default]
    Nothing,
    /// What is under the last of these hashes.
    Hashes(Vec<u64>),
    /// Everything from this key on.
    From(StoreKey),
}

impl GroupExport {
    /// What a base of a group needs, or a delta.
    pub(super) fn new(record: &mut GroupRecord, number: KeyGroup, base: bool) -> Self {
        let mut hashes = std::mem::take(&mut record.evicted);
        record.mostly_evicted = false;
        if base {
            return if record.in_store {
                GroupExport::From(store_key(number, 0))
            } else {
                GroupExport::Nothing
            };
        }
        hashes.sort_unstable_by(|one, other| other.cmp(one));
        hashes.dedup();
        if hashes.is_empty() { GroupExport::Nothing } else { GroupExport::Hashes(hashes) }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            GroupExport::Hashes(hashes) => hashes.capacity() * size_of::<u64>(),
            GroupExport::Nothing | GroupExport::From(_) => 0,
        }
    }
}

/// What a snapshot in flight gets from the store.
pub(super) struct Export {
    snapshot: u64,
    groups: Vec<GroupExport>,
    /// A request has not been answered yet.
    pub(super) is_waiting: bool,
}

impl Export {
    pub(super) fn memory_bytes(&self) -> usize {
        self.groups.iter().map(GroupExport::memory_bytes).sum()
    }

    fn is_done(&self, index: usize) -> bool {
        matches!(self.groups[index], GroupExport::Nothing)
    }

    /// What to ask for next about group `index`, whose number is `number`.
    fn next_request(&mut self, index: usize, number: KeyGroup) -> Option<Request> {
        let snapshot = self.snapshot;
        match &mut self.groups[index] {
            GroupExport::Nothing => None,
            GroupExport::From(from) => {
                let (from, to) = (*from, store_key(number, u64::MAX));
                Some(Request::ScanFrozen { snapshot, from, to, bytes_max: BYTES_PER_REQUEST })
            }
            GroupExport::Hashes(hashes) => {
                let left = hashes.len().saturating_sub(KEYS_PER_REQUEST);
                let keys = hashes[left..].iter().rev().map(|hash| store_key(number, *hash)).collect();
                hashes.truncate(left);
                Some(Request::ReadFrozen { snapshot, keys })
            }
        }
    }

    fn answered(&mut self, index: usize, next: Option<StoreKey>) {
        let group = &mut self.groups[index];
        match (&mut *group, next) {
            (GroupExport::From(from), Some(next)) => *from = next,
            (GroupExport::Hashes(hashes), _) if !hashes.is_empty() => {}
            _ => *group = GroupExport::Nothing,
        }
    }
}

/// Appends what the store has found to the open segment; answers how many entries that are.
fn append<K: Data, V: Data>(
    found: &Found,
    (filter, has_touch): (Option<&dyn SnapshotFilter<V>>, bool),
    part: &mut PartWriter,
) -> Result<u64, DecodeError> {
    let mut entries = 0;
    for value in found.iter().flatten() {
        let (count, bytes) = entries_of(value, has_touch)?;
        let Some(filter) = filter else {
            entries += count;
            part.append(|out| out.extend_from_slice(bytes));
            continue;
        };
        let mut input = Reader::new(bytes);
        while input.remaining() > 0 {
            let (key, value) = (K::decode(&mut input)?, V::decode(&mut input)?);
            if let Some(value) = filter.written(&value) {
                entries += 1;
                part.append(|out| {
                    key.encode(out);
                    value.encode(out);
                });
            }
        }
    }
    Ok(entries)
}

impl<K: Key, V: Data> KeyedTable<K, V> {
    /// Lets the store keep what a snapshot needs that begins now.
    pub(super) fn begin_export(&mut self, groups: Vec<GroupExport>) -> Option<Export> {
        let residency = self.residency.as_mut()?;
        if groups.iter().all(|group| matches!(group, GroupExport::Nothing)) {
            return None;
        }
        residency.tell_removals();
        let snapshot = residency.next_snapshot;
        residency.next_snapshot += 1;
        residency.submit(Request::Freeze { snapshot });
        Some(Export { snapshot, groups, is_waiting: false })
    }

    /// Appends what the oldest snapshot needs from the store for group `index` to the open segment. Answers how many
    /// entries that were, and whether it was all; if not, the store has to answer first or the budget is spent.
    pub(super) fn export_group(
        &mut self,
        index: usize,
        full: bool,
        budget: &mut usize,
        part: &mut PartWriter,
    ) -> Result<(u64, bool)> {
        let number = self.range.start + index as KeyGroup;
        let mut entries = 0;
        loop {
            self.poll_store()?;
            let Some(export) = self.snapshots.front_mut().and_then(|snapshot| snapshot.export.as_mut())
            else {
                return Ok((entries, true));
            };
            let Some(residency) = self.residency.as_mut() else { return Ok((entries, true)) };
            if !export.is_waiting {
                // Nothing may be taken off the list that is not asked for.
                if *budget == 0 && !export.is_done(index) {
                    return Ok((entries, false));
                }
                match export.next_request(index, number) {
                    None => return Ok((entries, true)),
                    Some(request) => residency.submit(request),
                }
                export.is_waiting = true;
                continue;
            }
            let Some((found, next)) = residency.frozen.pop_front() else { return Ok((entries, false)) };
            export.is_waiting = false;
            export.answered(index, next);
            let seen = (self.filter.as_deref().filter(|_| full), self.last_touch.is_some());
            let written = append::<K, V>(&found, seen, part).map_err(|error| damaged(&self.name, &error))?;
            entries += written;
            // Copying encoded bytes is about an eighth of the work of encoding them.
            *budget = budget.saturating_sub(1 + written as usize / 8);
        }
    }

    /// The store need not keep a snapshot any more, which may have been given up.
    pub(super) fn end_export(&mut self, export: Option<Export>) {
        if let (Some(export), Some(residency)) = (export, self.residency.as_mut()) {
            if export.is_waiting && residency.frozen.pop_front().is_none() {
                residency.stale_answers += 1;
            }
            residency.submit(Request::Release { snapshot: export.snapshot });
        }
    }
}
