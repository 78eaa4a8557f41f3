//! One hash table whose entries know when they last changed.
//!
//! This is the core of copy-on-write snapshots. The owner counts *epochs*; a freeze ends one and starts the next,
//! and that is all a freeze costs. Every entry carries the epoch of its last change, so "does a snapshot in flight
//! still need the old value?" is one comparison, made on the way of every access that may change the entry:
//!
//! | entry's epoch, `C` being the current one and `F = C - EPOCH_STEP` the frozen one | meaning |
//! |---|---|
//! | `C + BORN` | came to be since the freeze: no segment knows it |
//! | `C` | changed since the freeze; its frozen value, if any, has been encoded |
//! | `F + WRITTEN` | not changed since the freeze, and encoded |
//! | any epoch `+ STORED` | as its store has it: nothing to write back, and snapshots get it from there |
//! | `F`, `F + BORN` | not yet encoded; changed in the frozen epoch: belongs into a delta |
//! | smaller | not yet encoded; unchanged for longer: belongs into a base only |
//!
//! To find what belongs into a delta without looking at everything, the buckets of changed entries are listed. A
//! bucket number is good until the table is rehashed; then the lists are given up and that table is scanned, which
//! costs no more than the rehash did.

use eddyline_core::Data;
use hashbrown::HashTable;
use hashbrown::hash_table::{Entry as Slot, VacantEntry};

/// How far apart two epochs are; the numbers between tell entries of one epoch apart.
pub(crate) const EPOCH_STEP: u32 = 8;
/// The epoch a table starts in; restored entries have epoch 0.
pub(crate) const FIRST_EPOCH: u32 = EPOCH_STEP;
/// Past this epoch the numbers are about to run out, and the owner starts again from [`FIRST_EPOCH`].
pub(crate) const LAST_EPOCH: u32 = u32::MAX - 4 * EPOCH_STEP;

const BORN: u32 = 1;
const WRITTEN: u32 = 3;
const STORED: u32 = 5;

/// Whether an entry of this epoch is as its store has it.
#[inline]
pub(crate) fn is_stored(entry_epoch: u32) -> bool {
    entry_epoch % EPOCH_STEP == STORED
}

/// Tables up to this length are scanned for changes rather than listed: cheaper, and no allocation.
const SCANNED_LENGTH: usize = 16;

/// Entries larger than this may need several loads from memory.
const ONE_LINE_BYTES: usize = 32;

/// How many listed entries are asked for at once.
const WARMED_POSITIONS: usize = 64;

/// What an entry keeps of its key's stable hash.
pub(crate) trait StoredHash: Copy + Eq {
    /// The part of `hash` to keep.
    fn of(hash: u64) -> Self;
    /// The hash to use in the table, mixed so that neither the bucket (low bits) nor the tag (high bits) depends on
    /// the bits that decided the key group: those are equal for all keys of a group.
    fn table_hash(self) -> u64;
}

impl StoredHash for u32 {
    #[inline]
    fn of(hash: u64) -> Self {
        (hash >> 32) as u32
    }

    #[inline]
    fn table_hash(self) -> u64 {
        u64::from(self).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl StoredHash for u64 {
    #[inline]
    fn of(hash: u64) -> Self {
        hash
    }

    #[inline]
    fn table_hash(self) -> u64 {
        self.rotate_left(32)
    }
}

/// A key, its value, and when they last changed: what every access looks at lies together, at the front.
#[repr(C)]
pub(crate) struct Entry<H, K, V> {
    pub(crate) hash: H,
    pub(crate) epoch: u32,
    pub(crate) key: K,
    pub(crate) value: V,
}

impl<H, K, V: Data> Entry<H, K, V> {
    /// Begins to load the entry from memory: its first cache line, and those of a value that does not fit there.
    #[inline]
    fn touch(&self) -> u64 {
        let value = if size_of::<Self>() > ONE_LINE_BYTES { self.value.touch() } else { 0 };
        u64::from(self.epoch) ^ value
    }
}

/// Whether an entry is that of `key`; keys that own memory are compared only if their hashes agree.
#[inline]
fn same<H: StoredHash, K: Data + Eq, V>(entry: &Entry<H, K, V>, hash: H, key: &K) -> bool {
    (!K::HAS_HEAP || entry.hash == hash) && entry.key == *key
}

/// Which entries a snapshot covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frozen {
    /// The epoch that the freeze ended.
    pub(crate) epoch: u32,
    /// Whether unchanged entries belong to it too.
    pub(crate) full: bool,
}

impl Frozen {
    /// Whether the snapshot needs an entry that has not been written to it yet.
    #[inline]
    pub(crate) fn needs(self, entry_epoch: u32) -> bool {
        entry_epoch < self.epoch + WRITTEN
            && (self.full || entry_epoch >= self.epoch)
            && !is_stored(entry_epoch)
    }
}

/// Where the changed entries of an epoch are.
enum Positions {
    List(Vec<u32>),
    Scan,
}

/// The changes of the current epoch and of the one before it that had any.
struct Changes {
    epoch: u32,
    /// How many entries changed and are still there.
    count: u32,
    positions: Positions,
    earlier_epoch: u32,
    earlier: Positions,
    /// How far the snapshot in flight has come.
    walk: usize,
}

impl Changes {
    fn new() -> Box<Self> {
        let none = || Positions::List(Vec::new());
        Box::new(Changes {
            epoch: 0,
            count: 0,
            positions: none(),
            earlier_epoch: 0,
            earlier: none(),
            walk: 0,
        })
    }

    #[inline(never)]
    fn record(&mut self, index: usize, epoch: u32, length: usize) {
        if self.epoch != epoch {
            self.roll(epoch);
        }
        self.count += 1;
        if let Positions::List(list) = &mut self.positions {
            if length <= SCANNED_LENGTH || list.len() >= length / 4 {
                self.positions = Positions::Scan;
            } else {
                list.push(index as u32);
            }
        }
    }

    #[cold]
    fn roll(&mut self, epoch: u32) {
        self.earlier_epoch = self.epoch;
        self.earlier = std::mem::replace(&mut self.positions, Positions::List(Vec::new()));
        self.epoch = epoch;
        self.count = 0;
    }

    fn in_epoch(&self, epoch: u32) -> Option<&Positions> {
        if self.epoch == epoch {
            Some(&self.positions)
        } else if self.earlier_epoch == epoch {
            Some(&self.earlier)
        } else {
            None
        }
    }
}

/// A hash table with change tracking; see the module.
pub(crate) struct Entries<H, K, V> {
    table: HashTable<Entry<H, K, V>>,
    /// Apart, so that the tables of all key groups fit in the cache.
    changes: Box<Changes>,
}

/// Apart from the way of those accesses that find their key, which it would slow down.
#[inline(never)]
fn insert_new<'a, H, K, V>(
    vacant: VacantEntry<'a, Entry<H, K, V>>,
    entry: Entry<H, K, V>,
    changes: &mut Changes,
    length: usize,
) -> &'a mut V {
    let epoch = entry.epoch - BORN;
    let occupied = vacant.insert(entry);
    changes.record(occupied.bucket_index(), epoch, length + 1);
    &mut occupied.into_mut().value
}

/// A removed entry, and whether an earlier segment may contain it.
pub(crate) struct Removed<V> {
    pub(crate) value: V,
    pub(crate) known_to_segments: bool,
}

impl<H: StoredHash, K: Data + Eq, V: Data> Entries<H, K, V> {
    pub(crate) fn new() -> Self {
        Entries { table: HashTable::new(), changes: Changes::new() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn allocated_bytes(&self) -> usize {
        self.table.allocation_size()
    }

    #[inline]
    pub(crate) fn get(&self, hash: u64, key: &K) -> Option<&V> {
        let hash = H::of(hash);
        let found = self.table.find(hash.table_hash(), |entry| same(entry, hash, key));
        found.map(|entry| &entry.value)
    }

    /// Brings what accesses by `hashes` are going to touch into the cache.
    ///
    /// Accesses that follow one another each wait for memory, as what is done with one entry fills the processor's
    /// window before the next access begins. These loads depend on nothing, so that many are on their way at once.
    pub(crate) fn warm(&self, hashes: impl Iterator<Item = u64>) {
        let mut seen = 0;
        for hash in hashes {
            let candidate = self.table.iter_hash(H::of(hash).table_hash()).next();
            seen ^= candidate.map_or(0, Entry::touch);
        }
        std::hint::black_box(seen);
    }

    /// The value of `key`, about to be changed; `copy` is shown the entry as it was frozen, if it changes for the
    /// first time since.
    #[inline]
    pub(crate) fn get_mut(
        &mut self,
        hash: u64,
        key: &K,
        epoch: u32,
        copy: impl FnOnce(&Entry<H, K, V>),
    ) -> Option<&mut V> {
        let hash = H::of(hash);
        let length = self.table.len();
        let occupied = self.table.find_entry(hash.table_hash(), |entry| same(entry, hash, key)).ok()?;
        let index = occupied.bucket_index();
        let entry = occupied.into_mut();
        if entry.epoch < epoch {
            copy(entry);
            entry.epoch = epoch;
            self.changes.record(index, epoch, length);
        }
        Some(&mut entry.value)
    }

    /// The value of `key`, made by `make` if there is none, about to be changed.
    #[inline]
    pub(crate) fn entry_or_insert_with(
        &mut self,
        hash: u64,
        key: &K,
        epoch: u32,
        copy: impl FnOnce(&Entry<H, K, V>),
        make: impl FnOnce() -> V,
    ) -> &mut V
    where
        K: Clone,
    {
        if self.table.len() == self.table.capacity() {
            self.grow();
        }
        let hash = H::of(hash);
        let length = self.table.len();
        let slot = self.table.entry(
            hash.table_hash(),
            |entry| same(entry, hash, key),
            |entry| entry.hash.table_hash(),
        );
        match slot {
            Slot::Occupied(occupied) => {
                if occupied.get().epoch < epoch {
                    let index = occupied.bucket_index();
                    let entry = occupied.into_mut();
                    copy(entry);
                    entry.epoch = epoch;
                    self.changes.record(index, epoch, length);
                    return &mut entry.value;
                }
                &mut occupied.into_mut().value
            }
            Slot::Vacant(vacant) => {
                let entry = Entry { hash, epoch: epoch + BORN, key: key.clone(), value: make() };
                insert_new(vacant, entry, &mut self.changes, length)
            }
        }
    }

    /// Takes `key` out.
    pub(crate) fn remove(
        &mut self,
        hash: u64,
        key: &K,
        epoch: u32,
        copy: impl FnOnce(&Entry<H, K, V>),
    ) -> Option<Removed<V>> {
        let hash = H::of(hash);
        let length = self.table.len();
        let occupied = self.table.find_entry(hash.table_hash(), |entry| same(entry, hash, key)).ok()?;
        let unchanged = occupied.get().epoch < epoch;
        if unchanged {
            copy(occupied.get());
        }
        // A removal is a change of the table even though no entry is left to carry the epoch.
        self.changes.record(occupied.bucket_index(), epoch, length);
        self.changes.count -= if unchanged { 1 } else { 2 };
        let (entry, _) = occupied.remove();
        Some(Removed { value: entry.value, known_to_segments: entry.epoch != epoch + BORN })
    }

    /// Puts an entry as a segment has it: it counts as unchanged.
    pub(crate) fn restore(&mut self, hash: u64, key: K, value: V) -> bool {
        let hash = H::of(hash);
        let slot = self.table.entry(
            hash.table_hash(),
            |entry| same(entry, hash, &key),
            |entry| entry.hash.table_hash(),
        );
        match slot {
            Slot::Occupied(mut occupied) => {
                occupied.get_mut().value = value;
                false
            }
            Slot::Vacant(vacant) => {
                vacant.insert(Entry { hash, epoch: 0, key, value });
                true
            }
        }
    }

    /// Puts an entry as the store has it, in the epoch `epoch`.
    pub(crate) fn insert_stored(&mut self, hash: u64, key: K, value: V, epoch: u32) {
        if self.table.len() == self.table.capacity() {
            self.grow();
        }
        let hash = H::of(hash);
        let entry = Entry { hash, epoch: epoch - EPOCH_STEP + STORED, key, value };
        self.table.insert_unique(hash.table_hash(), entry, |entry| entry.hash.table_hash());
    }

    /// Whether there is an entry of `hash` with a key for which `is` holds.
    pub(crate) fn has(&self, hash: u64, is: impl Fn(&K) -> bool) -> bool {
        let hash = H::of(hash);
        self.table.find(hash.table_hash(), |entry| entry.hash == hash && is(&entry.key)).is_some()
    }

    /// The keys of entries that may be of `hash`.
    pub(crate) fn keys_of(&self, hash: u64) -> impl Iterator<Item = &K> {
        let hash = H::of(hash);
        let entries = self.table.iter_hash(hash.table_hash());
        entries.filter(move |entry| entry.hash == hash).map(|entry| &entry.key)
    }

    /// Counts the entries of `hash` with keys for which `is` holds as changed.
    pub(crate) fn mark_changed(
        &mut self,
        hash: u64,
        is: impl Fn(&K) -> bool,
        epoch: u32,
        mut copy: impl FnMut(&Entry<H, K, V>),
    ) {
        let (stored, length) = (H::of(hash), self.table.len());
        let unchanged =
            |entry: &Entry<H, K, V>| entry.hash == stored && entry.epoch < epoch && is(&entry.key);
        while let Ok(occupied) = self.table.find_entry(stored.table_hash(), unchanged) {
            let index = occupied.bucket_index();
            let entry = occupied.into_mut();
            copy(entry);
            entry.epoch = epoch;
            self.changes.record(index, epoch, length);
        }
    }

    /// Gives all entries of `hash` with keys for which `is` holds away to a store: it does not count as a change.
    pub(crate) fn evict(&mut self, hash: u64, is: impl Fn(&K) -> bool, mut give: impl FnMut(Entry<H, K, V>)) {
        let stored = H::of(hash);
        let wanted = |entry: &Entry<H, K, V>| entry.hash == stored && is(&entry.key);
        while let Ok(occupied) = self.table.find_entry(stored.table_hash(), wanted) {
            let (entry, _) = occupied.remove();
            if entry.epoch >= self.changes.epoch {
                self.changes.count = self.changes.count.saturating_sub(1);
            }
            give(entry);
        }
    }

    /// Takes an entry out as a segment says: it does not count as a change.
    pub(crate) fn restore_removal(&mut self, hash: u64, key: &K) {
        let hash = H::of(hash);
        if let Ok(occupied) = self.table.find_entry(hash.table_hash(), |entry| same(entry, hash, key)) {
            occupied.remove();
        }
    }

    /// Makes room before an insertion could rehash the table behind our back: bucket numbers become worthless.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.table.reserve(1, |entry| entry.hash.table_hash());
        self.changes.positions = Positions::Scan;
        self.changes.earlier = Positions::Scan;
        self.changes.walk = 0;
    }

    /// Whether anything changed in `epoch`.
    pub(crate) fn changed_in(&self, epoch: u32) -> bool {
        match self.changes.in_epoch(epoch) {
            None => false,
            Some(Positions::Scan) => true,
            Some(Positions::List(list)) => !list.is_empty(),
        }
    }

    /// Whether so much changed in `epoch` that writing everything costs hardly more than writing the changes.
    pub(crate) fn mostly_changed_in(&self, epoch: u32) -> bool {
        self.changes.epoch == epoch && self.changes.count as usize >= self.table.len() / 2
    }

    /// Starts to write a snapshot from the first entry on.
    pub(crate) fn begin_walk(&mut self) {
        self.changes.walk = 0;
    }

    /// Shows `write` the entries that the snapshot still needs, at most about `budget` of them, which is reduced.
    /// Returns whether that was all.
    pub(crate) fn walk(
        &mut self,
        frozen: Frozen,
        budget: &mut usize,
        mut write: impl FnMut(&Entry<H, K, V>),
    ) -> bool {
        let mut at = self.changes.walk;
        let positions =
            if frozen.full { Some(&Positions::Scan) } else { self.changes.in_epoch(frozen.epoch) };
        let (list, end) = match positions {
            None => return true,
            Some(Positions::List(list)) => (Some(list), list.len()),
            Some(Positions::Scan) => (None, self.table.num_buckets()),
        };
        let mut passed = 0;
        while at < end && *budget > 0 {
            let chunk = at..end.min(at + WARMED_POSITIONS);
            if let Some(list) = list {
                // Listed entries lie anywhere: ask for all of them before waiting for the first.
                let entries = list[chunk.clone()].iter().map(|index| self.table.get_bucket(*index as usize));
                std::hint::black_box(entries.flatten().fold(0, |seen, entry| seen ^ entry.touch()));
            }
            for position in chunk {
                if *budget == 0 {
                    break;
                }
                let index = list.map_or(position, |list| list[position] as usize);
                at += 1;
                match self.table.get_bucket_mut(index) {
                    Some(entry) if frozen.needs(entry.epoch) => {
                        write(entry);
                        entry.epoch = frozen.epoch + WRITTEN;
                        *budget -= 1;
                    }
                    // Passing over a bucket is work too, about an eighth of writing an entry.
                    _ => {
                        passed += 1;
                        if passed % 8 == 0 {
                            *budget -= 1;
                        }
                    }
                }
            }
        }
        self.changes.walk = at;
        at == end
    }

    /// Forgets all epochs; the owner starts again from [`FIRST_EPOCH`] with a full snapshot.
    pub(crate) fn reset_epochs(&mut self) {
        self.table.iter_mut().for_each(|entry| entry.epoch = 0);
        self.changes = Changes::new();
    }

    /// How many buckets there are.
    pub(crate) fn buckets(&self) -> usize {
        self.table.num_buckets()
    }

    /// The entry in a bucket.
    pub(crate) fn at_bucket(&self, index: usize) -> Option<&Entry<H, K, V>> {
        self.table.get_bucket(index)
    }

    /// All entries in bucket order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<H, K, V>> {
        self.table.iter()
    }

    /// Takes all entries, in bucket order, and the memory they lie in.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Entry<H, K, V>> + use<H, K, V> {
        let table = std::mem::take(&mut self.table);
        self.changes = Changes::new();
        table.into_iter()
    }

    /// Up to `count` entries from here and there in the table, for estimates.
    pub(crate) fn sample(&self, count: usize) -> impl Iterator<Item = &Entry<H, K, V>> {
        let buckets = self.table.num_buckets();
        let stride = (buckets / count.max(1)).max(1);
        (0..buckets).step_by(stride).filter_map(move |start| {
            (start..(start + stride).min(buckets)).find_map(|index| self.table.get_bucket(index))
        })
    }
}
