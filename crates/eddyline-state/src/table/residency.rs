//! Which entries of a [`KeyedTable`] with a store are in memory, and how the others get there and back.
//!
//! Entries come and go by their stable hash: all entries of a hash are in memory or none is. Whoever is about to use
//! keys *fetches* their hashes, waits until they are there, uses them, and *releases* them. A hash is *pinned* from the
//! one to the other; what is pinned and not in the table does not exist. What is not pinned leaves when the table
//! outgrows its share, and is written to the store if it has changed: an access to an entry in memory costs the same as
//! without a store.
//!
//! Removals are told to the store before anything else that could tell.

use super::entries::{Entry, is_stored};
use super::{Group, GroupRecord, KeyedTable, SnapshotFilter, SweepCursor, copy_frozen};
use crate::store::{Answer, Found, KEY_BYTES, Request, StateStore, StoreKey, WriteBatch, hash_of, store_key};
use eddyline_core::{Data, DecodeError, Error, Key, KeyGroup, Reader, Result};
use hashbrown::HashTable;
use std::collections::VecDeque;

/// What a hash table may occupy for each entry, times its size, in percent: tables are between half full and full.
const TABLE_PERCENT: usize = 230;
/// After so many entries came in, sizes are measured again.
const MEASURED_EVERY: usize = 4096;
/// How many bytes a restore hands over before it waits for the store, and one in so many of the table's share at most.
const RESTORED_BYTES_AHEAD: usize = 4 << 20;
const RESTORED_SHARE: usize = 4;
/// At most so many keys are fetched at a time, and one in so many of the entries that fit in memory.
const KEYS_PER_FETCH: usize = 512;
const FETCHED_SHARE: usize = 16;
/// Entry counts below this take one byte.
const SHORT_COUNT_MAX: usize = 254;
/// Removals that the store is not told of yet, at most.
const GONE_MAX: usize = 4096;
/// One in so many bytes of a table's share is not for entries: each of them may be copied for a snapshot.
const COPIED_SHARE: usize = 2;
/// One in so many bytes of a table's share is for entries, whatever else is in memory.
const ASIDE_SHARE: usize = 4;
/// One in so many bytes of a table's share may tell which changed entries have left.
const EVICTED_SHARE: usize = 16;

/// A hash that is about to be used.
struct Pin {
    hash: u64,
    users: u32,
}

/// Hashes that were used lately, about.
#[derive(Default)]
struct Recent {
    bits: Vec<u64>,
}

impl Recent {
    fn resize(&mut self, entries: usize) {
        let words = (entries.next_power_of_two() / 8).max(8);
        if self.bits.len() != words {
            self.bits = vec![0; words];
        }
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let bit = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        ((bit >> 6) as usize & (self.bits.len() - 1), 1 << (bit & 63))
    }

    fn note(&mut self, hash: u64) {
        if !self.bits.is_empty() {
            let (word, bit) = self.place(hash);
            self.bits[word] |= bit;
        }
    }

    /// Whether `hash` was used since this was asked last.
    fn forget(&mut self, hash: u64) -> bool {
        if self.bits.is_empty() {
            return false;
        }
        let (word, bit) = self.place(hash);
        let was_noted = self.bits[word] & bit != 0;
        self.bits[word] &= !bit;
        was_noted
    }
}

/// What a table keeps beside its entries if it has a store.
pub(super) struct Residency {
    store: Box<dyn StateStore>,
    pins: HashTable<Pin>,
    requested: u64,
    completed: u64,
    /// Removed, and the store does not know.
    gone: Vec<StoreKey>,
    /// Bytes handed over and not written yet.
    unwritten_bytes: usize,
    cursor: SweepCursor,
    recent: Recent,
    /// How many entries may be in memory, and when that was found.
    entries_max: usize,
    share_bytes: usize,
    since_measured: usize,
    pub(super) next_snapshot: u64,
    /// Answers for the snapshot in flight, and how many are for one that was given up.
    pub(super) frozen: VecDeque<(Found, Option<StoreKey>)>,
    pub(super) stale_answers: usize,
}

impl Residency {
    pub(super) fn new(store: Box<dyn StateStore>) -> Self {
        Residency {
            store,
            pins: HashTable::new(),
            requested: 0,
            completed: 0,
            gone: Vec::new(),
            unwritten_bytes: 0,
            cursor: SweepCursor::default(),
            recent: Recent::default(),
            entries_max: 0,
            share_bytes: 0,
            since_measured: 0,
            next_snapshot: 0,
            frozen: VecDeque::new(),
            stale_answers: 0,
        }
    }

    fn is_pinned(&self, hash: u64) -> bool {
        self.pins.find(hash, |pin| pin.hash == hash).is_some()
    }

    /// A key that is not in memory does not exist only if it was fetched.
    pub(super) fn check_fetched(&self, hash: u64) {
        assert!(
            self.is_pinned(hash),
            "invariant: keys of a table with a store are fetched before they are used"
        );
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.pins.allocation_size()
            + self.gone.capacity() * KEY_BYTES
            + self.unwritten_bytes
            + self.recent.bits.len() * size_of::<u64>()
            + self.frozen.iter().map(|(found, _)| found.bytes()).sum::<usize>()
    }

    /// How many hashes of evicted entries may be remembered for a group.
    fn evicted_max(&self, groups: usize) -> usize {
        (self.share_bytes / EVICTED_SHARE / size_of::<u64>() / groups.max(1)).max(16)
    }

    pub(super) fn submit(&mut self, request: Request) {
        self.store.submit(request);
    }

    /// Tells the store what was removed.
    pub(super) fn tell_removals(&mut self) {
        if !self.gone.is_empty() {
            let mut batch = WriteBatch::default();
            self.gone.drain(..).for_each(|key| batch.delete(key));
            self.write(batch);
        }
    }

    fn write(&mut self, batch: WriteBatch) {
        self.unwritten_bytes += batch.memory_bytes();
        self.store.submit(Request::Write(batch));
    }
}

/// Encodes the entries of a hash as they lie in the store.
fn encode_entries<'e, K: Data + 'e, V: Data + 'e>(
    entries: impl ExactSizeIterator<Item = &'e Entry<u32, K, V>> + Clone,
    last_touch: Option<fn(&V) -> i64>,
    out: &mut Vec<u8>,
) {
    if let Some(last_touch) = last_touch {
        let touches = entries.clone().map(|entry| last_touch(&entry.value));
        out.extend_from_slice(&touches.max().unwrap_or(i64::MAX).to_le_bytes());
    }
    let count = entries.len();
    if count <= SHORT_COUNT_MAX {
        out.push(count as u8);
    } else {
        out.push(u8::MAX);
        out.extend_from_slice(&(count as u32).to_le_bytes());
    }
    for entry in entries {
        entry.key.encode(out);
        entry.value.encode(out);
    }
}

/// How many entries a value of the store has, and their bytes, which are as in a segment.
pub(super) fn entries_of(value: &[u8], has_touch: bool) -> Result<(u64, &[u8]), DecodeError> {
    let mut input = Reader::new(value);
    if has_touch {
        input.take(size_of::<i64>())?;
    }
    let [count] = input.array()?;
    let count = if usize::from(count) <= SHORT_COUNT_MAX {
        u64::from(count)
    } else {
        u64::from(u32::from_le_bytes(input.array()?))
    };
    let length = input.remaining();
    Ok((count, input.take(length)?))
}

/// The error for what a store gives back that was never put there.
pub(super) fn damaged(name: &str, error: &DecodeError) -> Error {
    Error::state(format!("the store of state `{name}` is damaged: {error}")).with_hint(
        "the job goes on from its last checkpoint; check the disk under state.backend.rocksdb.localdir",
    )
}

/// What of values is seen by snapshots, and when a value was touched last.
type Seen<'f, V> = (Option<&'f dyn SnapshotFilter<V>>, Option<fn(&V) -> i64>);

impl<K: Key, V: Data> Group<K, V> {
    /// Takes the entries of `hash` out of memory; adds what the store has to know to `batch`.
    fn evict(
        &mut self,
        key: StoreKey,
        hash: u64,
        epoch: u32,
        (filter, last_touch): Seen<'_, V>,
        batch: &mut WriteBatch,
    ) -> usize {
        let Group { entries, record } = self;
        let mut leaving = Vec::with_capacity(1);
        entries.evict(hash, |key: &K| key.stable_hash() == hash, |entry| leaving.push(entry));
        for entry in &leaving {
            copy_frozen(record, entry, filter);
        }
        if leaving.iter().any(|entry| !is_stored(entry.epoch)) {
            batch.put(key, |out| encode_entries(leaving.iter(), last_touch, out));
            record.in_store = true;
        }
        if leaving.iter().any(|entry| entry.epoch >= epoch) && !record.mostly_evicted {
            record.evicted.push(hash);
        }
        leaving.len()
    }
}

impl GroupRecord {
    fn limit_evicted(&mut self, most: usize) {
        if self.evicted.len() > most {
            self.mostly_evicted = true;
            self.evicted = Vec::new();
        }
    }
}

impl<K: Key, V: Data> KeyedTable<K, V> {
    /// Whether the table has a store.
    pub fn has_store(&self) -> bool {
        self.residency.is_some()
    }

    /// Of how many keys to fetch entries at a time; none without a store. Less for large entries, as all that is fetched
    /// is in memory at once.
    pub fn keys_per_fetch(&self) -> Option<usize> {
        self.residency
            .as_ref()
            .map(|residency| (residency.entries_max / FETCHED_SHARE).clamp(1, KEYS_PER_FETCH))
    }

    /// Lets entries in the store expire, whose values tell by `last_touch` when they were touched last.
    pub(crate) fn set_expiry(&mut self, last_touch: fn(&V) -> i64) {
        self.last_touch = Some(last_touch);
    }

    /// What was touched at `limit` or before has expired.
    pub(crate) fn expire(&mut self, limit: i64) {
        if let Some(residency) = &mut self.residency {
            residency.store.expire(limit);
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn check_fetched(&self, hash: u64) {
        if let Some(residency) = &self.residency {
            residency.check_fetched(hash);
        }
    }

    fn group_number(&self, index: usize) -> KeyGroup {
        self.range.start + index as KeyGroup
    }

    /// Keys of these hashes are going to be used: asks for what is not in memory, and keeps them there until they are
    /// [released](KeyedTable::release). Answers what to ask [`KeyedTable::is_fetched`] for.
    pub fn fetch(&mut self, hashes: &[u64]) -> u64 {
        let mut wanted = Vec::new();
        for hash in hashes {
            let index = self.index_of(*hash);
            let Some(residency) = &mut self.residency else { return 0 };
            residency.recent.note(*hash);
            let pin = residency.pins.entry(*hash, |pin| pin.hash == *hash, |pin| pin.hash);
            match pin {
                hashbrown::hash_table::Entry::Occupied(mut known) => known.get_mut().users += 1,
                hashbrown::hash_table::Entry::Vacant(vacant) => {
                    vacant.insert(Pin { hash: *hash, users: 1 });
                    let group = self
                        .groups
                        .get(index)
                        .expect("invariant: a key is only used by the owner of its key group");
                    if group.record.in_store && !group.entries.has(*hash, |key| key.stable_hash() == *hash) {
                        wanted.push(store_key(self.range.start + index as KeyGroup, *hash));
                    }
                }
            }
        }
        let Some(residency) = &mut self.residency else { return 0 };
        if !wanted.is_empty() {
            residency.tell_removals();
            residency.requested += 1;
            residency.submit(Request::Read { keys: wanted });
        }
        residency.requested
    }

    /// Whether everything is in memory that was asked for up to `ticket`.
    ///
    /// # Errors
    /// If the store failed.
    pub fn is_fetched(&mut self, ticket: u64) -> Result<bool> {
        self.poll_store()?;
        Ok(self.residency.as_ref().is_none_or(|residency| residency.completed >= ticket))
    }

    /// Keys of these hashes, which were fetched, are not used any more.
    pub fn release(&mut self, hashes: &[u64]) {
        let Some(residency) = &mut self.residency else { return };
        residency.since_measured += hashes.len();
        for hash in hashes {
            if let Ok(mut pin) = residency.pins.find_entry(*hash, |pin| pin.hash == *hash) {
                pin.get_mut().users -= 1;
                if pin.get().users == 0 {
                    pin.remove();
                }
            }
        }
        if residency.gone.len() > GONE_MAX {
            residency.tell_removals();
        }
        self.evict();
    }

    /// Takes in what the store has answered.
    pub(super) fn poll_store(&mut self) -> Result<()> {
        while let Some(residency) = &mut self.residency
            && let Some(answer) = residency.store.poll()?
        {
            match answer {
                Answer::Written { bytes, .. } => {
                    residency.unwritten_bytes = residency.unwritten_bytes.saturating_sub(bytes);
                }
                Answer::Frozen { .. } if residency.stale_answers > 0 => residency.stale_answers -= 1,
                Answer::Frozen { found, next } => residency.frozen.push_back((found, next)),
                Answer::Read { keys, found } => {
                    residency.completed += 1;
                    for (key, value) in keys.iter().zip(found.iter()) {
                        if let Some(value) = value {
                            self.take_in(key, value).map_err(|error| damaged(&self.name, &error))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts into memory what lies in the store under `place`.
    fn take_in(&mut self, place: &StoreKey, value: &[u8]) -> Result<(), DecodeError> {
        let (_, bytes) = entries_of(value, self.last_touch.is_some())?;
        let (hash, epoch) = (hash_of(place), self.epoch);
        let index = self.index_of(hash);
        let Some(group) = self.groups.get_mut(index) else { return Ok(()) };
        if group.entries.has(hash, |key| key.stable_hash() == hash) {
            // It was released and fetched again before it came: it is here already.
            return Ok(());
        }
        let mut input = Reader::new(bytes);
        while input.remaining() > 0 {
            let key = K::decode(&mut input)?;
            let value = V::decode(&mut input)?;
            if key.stable_hash() != hash {
                return Err(DecodeError::new("an entry lies under a key that is not its own"));
            }
            group.entries.insert_stored(hash, key, value, epoch);
        }
        Ok(())
    }

    /// A key of `hash` was removed.
    #[cold]
    #[inline(never)]
    pub(super) fn note_removal(&mut self, hash: u64) {
        let (index, epoch) = (self.index_of(hash), self.epoch);
        let number = self.group_number(index);
        let (Some(residency), filter) = (&mut self.residency, self.filter.as_deref()) else { return };
        let Group { entries, record } = &mut self.groups[index];
        if record.in_store {
            residency.gone.push(store_key(number, hash));
            // Others of the same hash lie under the same key.
            let copy = |entry: &Entry<u32, K, V>| copy_frozen(record, entry, filter);
            entries.mark_changed(hash, |key| key.stable_hash() == hash, epoch, copy);
        }
    }

    /// How many entries may be in memory.
    fn entries_max(&mut self) -> usize {
        let Some(residency) = &self.residency else { return usize::MAX };
        let share = residency.store.resident_bytes_max();
        if residency.entries_max == 0
            || share != residency.share_bytes
            || residency.since_measured > MEASURED_EVERY.min(residency.entries_max)
        {
            let length = self.len().max(1);
            let heap = if K::HAS_HEAP || V::HAS_HEAP { self.estimated_heap_bytes() / length } else { 0 };
            let flat = size_of::<Entry<u32, K, V>>() + 1;
            let entry_bytes = flat * TABLE_PERCENT / 100 + heap;
            // What snapshots have copied and what is not written yet takes the place of entries.
            let aside_max = share / ASIDE_SHARE * (ASIDE_SHARE - 1);
            let aside = self.bytes_beside_entries().max(share / COPIED_SHARE).min(aside_max);
            let Some(residency) = &mut self.residency else { return usize::MAX };
            residency.entries_max = ((share - aside) / entry_bytes).max(1);
            residency.share_bytes = share;
            residency.since_measured = 0;
            residency.recent.resize(residency.entries_max);
        }
        self.residency.as_ref().map_or(usize::MAX, |residency| residency.entries_max)
    }

    /// Lets entries leave until the table keeps to its share: those that were not used for longest, about.
    fn evict(&mut self) {
        let most = self.entries_max();
        let mut excess = self.len().saturating_sub(most);
        if excess == 0 {
            return;
        }
        let (epoch, seen) = (self.epoch, (self.filter.as_deref(), self.last_touch));
        let Some(residency) = &mut self.residency else { return };
        let evicted_max = residency.evicted_max(self.groups.len());
        // Twice round: what was used since the last time is passed over once.
        let mut left = 2 * self.groups.iter().map(|group| group.entries.buckets() + 1).sum::<usize>();
        let mut batch = WriteBatch::default();
        residency.gone.drain(..).for_each(|key| batch.delete(key));
        while excess > 0 && left > 0 {
            left -= 1;
            let SweepCursor { group: index, bucket } = residency.cursor;
            let Some(group) = self.groups.get_mut(index) else {
                residency.cursor = SweepCursor::default();
                continue;
            };
            if bucket >= group.entries.buckets() {
                residency.cursor = SweepCursor { group: index + 1, bucket: 0 };
                continue;
            }
            residency.cursor.bucket += 1;
            let Some(entry) = group.entries.at_bucket(bucket) else { continue };
            let hash = entry.key.stable_hash();
            if residency.is_pinned(hash) || residency.recent.forget(hash) {
                continue;
            }
            let key = store_key(self.range.start + index as KeyGroup, hash);
            excess = excess.saturating_sub(group.evict(key, hash, epoch, seen, &mut batch));
            group.record.limit_evicted(evicted_max);
        }
        if !batch.is_empty() {
            residency.write(batch);
        }
    }

    /// Hands everything of a group that was just restored over to the store.
    pub(super) fn settle(&mut self, index: usize, note: &mut dyn FnMut(u64, &K)) -> Result<()> {
        let (number, last_touch) = (self.group_number(index), self.last_touch);
        let Some(residency) = &mut self.residency else { return Ok(()) };
        let ahead = RESTORED_BYTES_AHEAD.min(residency.store.resident_bytes_max() / RESTORED_SHARE);
        let group = &mut self.groups[index];
        let mut all: Vec<_> =
            group.entries.take_all().map(|entry| (entry.key.stable_hash(), entry)).collect();
        all.sort_by_key(|(hash, _)| *hash);
        all.iter().for_each(|(hash, entry)| note(*hash, &entry.key));
        let mut batch = WriteBatch::default();
        for same in all.chunk_by(|(one, _), (other, _)| one == other) {
            let entries = same.iter().map(|(_, entry)| entry);
            batch.put(store_key(number, same[0].0), |out| encode_entries(entries, last_touch, out));
            if batch.memory_bytes() > ahead {
                residency.write(std::mem::take(&mut batch));
                residency.store.wait()?;
            }
        }
        group.record.in_store |= !all.is_empty();
        if !batch.is_empty() {
            residency.write(batch);
        }
        if residency.unwritten_bytes > ahead {
            residency.store.wait()?;
        }
        self.poll_store()
    }
}
