//! Running aggregates of sliding windows: what makes a slide cost the same however many slices a window has.
//!
//! Slices are numbered; per key they form *blocks* of as many slices as a window has. A window then is the end of
//! one block and the beginning of the next:
//!
//! ```text
//! block            |     one     |     next    |
//! slices           | a b c d e f | g h i . . . |
//! window up to i          [d e f   g h i]
//! ```
//!
//! So a key needs the merged beginning of its current block (one merge per slice) and the merged ends of the block
//! before (made in one go when a block is full, one merge per slice): about three merges per slice and window,
//! however long the window. Blocks of different keys begin at different slices, chosen by the key's hash, so that
//! every slide makes its share of ends instead of one slide all of them.
//!
//! Nothing here is state: all of it can be made again from the slices.

use super::{Aggregator, SlicedWindows};
use eddyline_core::{EventTime, Key};
use eddyline_state::NamespacedTable;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The running aggregate of one key.
struct Run<K, S> {
    hash: u64,
    key: K,
    /// The number of the current block's first slice.
    block: i64,
    /// The slices of the current block, merged.
    beginning: Option<S>,
    /// The ends of the slices of the current block that have records, in order.
    present: Vec<EventTime>,
    /// The ends of the block before: the slice's number, and everything from it on merged; the longest one last.
    ends: Vec<(i64, S)>,
}

/// The running aggregates of all keys that have records in the current window.
pub(super) struct Runs<K, S> {
    runs: Vec<Run<K, S>>,
    index: HashTable<u32>,
    windows: SlicedWindows,
    per_window: i64,
}

/// The bits of a key's hash that neither place it nor find it decide where its blocks begin.
fn block_of(hash: u64, slice: i64, per_window: i64) -> i64 {
    let phase = ((hash >> 32) % per_window as u64) as i64;
    slice - slice.wrapping_sub(phase).rem_euclid(per_window)
}

impl<K: Key, S: eddyline_core::Data> Runs<K, S> {
    pub(super) fn new(windows: SlicedWindows) -> Self {
        let per_window = windows.slices_per_window();
        Runs { runs: Vec::new(), index: HashTable::new(), windows, per_window }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// About how many bytes of memory the running aggregates occupy.
    pub(super) fn memory_bytes(&self) -> usize {
        let parts = |run: &Run<K, S>| {
            run.present.capacity() * size_of::<EventTime>() + run.ends.capacity() * size_of::<(i64, S)>()
        };
        let stride = self.runs.len().div_ceil(64).max(1);
        let sampled: usize = self.runs.iter().step_by(stride).map(parts).sum();
        self.runs.capacity() * size_of::<Run<K, S>>() + sampled * stride + self.index.allocation_size()
    }

    fn find_or_insert(&mut self, hash: u64, key: &K, slice: i64) -> usize {
        let Runs { runs, index, per_window, .. } = self;
        let slot = index.entry(
            hash.rotate_left(32),
            |place| runs[*place as usize].hash == hash && runs[*place as usize].key == *key,
            |place| runs[*place as usize].hash.rotate_left(32),
        );
        match slot {
            Entry::Occupied(found) => *found.get() as usize,
            Entry::Vacant(free) => {
                let place = runs.len();
                free.insert(u32::try_from(place).expect("invariant: an instance has fewer than 2^32 keys"));
                let block = block_of(hash, slice, *per_window);
                let (present, ends) = (Vec::new(), Vec::new());
                runs.push(Run { hash, key: key.clone(), block, beginning: None, present, ends });
                place
            }
        }
    }

    /// Takes in a slice that is newer than all before it.
    pub(super) fn add_slice<A: Aggregator<State = S>>(
        &mut self,
        aggregator: &A,
        slices: &NamespacedTable<K, S>,
        slice_end: EventTime,
    ) {
        let slice = self.windows.index_of(slice_end);
        for (hash, key, state) in slices.iter_namespace(slice_end) {
            let place = self.find_or_insert(hash, key, slice);
            let run = &mut self.runs[place];
            run.roll(aggregator, slices, slice, self.per_window, &self.windows);
            run.begin_with(aggregator, state);
            run.present.push(slice_end);
        }
    }

    /// Takes in a record's worth of state for a slice that has been taken in already, all slices up to `newest`
    /// having been.
    pub(super) fn add_late<A: Aggregator<State = S>>(
        &mut self,
        aggregator: &A,
        slices: &NamespacedTable<K, S>,
        (hash, key): (u64, &K),
        (slice_end, newest): (EventTime, EventTime),
        state: &S,
    ) {
        let newest = self.windows.index_of(newest);
        let place = self.find_or_insert(hash, key, newest);
        let run = &mut self.runs[place];
        run.roll(aggregator, slices, newest, self.per_window, &self.windows);
        let slice = self.windows.index_of(slice_end);
        if slice >= run.block {
            run.begin_with(aggregator, state);
            if let Err(gap) = run.present.binary_search(&slice_end) {
                run.present.insert(gap, slice_end);
            }
            return;
        }
        let place = run.ends.partition_point(|(known, _)| *known > slice);
        if run.ends.get(place).is_none_or(|(known, _)| *known != slice) {
            let end = match place.checked_sub(1) {
                Some(before) => run.ends[before].1.clone(),
                None => aggregator.create(),
            };
            run.ends.insert(place, (slice, end));
        }
        run.ends[place..].iter_mut().for_each(|(_, end)| aggregator.merge(end, state));
    }

    /// The key number `place` and its result for the window that ends at `window_end`, all slices up to there
    /// having been taken in. If it has no record in the window it is forgotten, and another one takes its number.
    pub(super) fn result<A: Aggregator<State = S>>(
        &mut self,
        aggregator: &A,
        slices: &NamespacedTable<K, S>,
        place: usize,
        window_end: EventTime,
    ) -> Option<(K, A::Output)> {
        let newest = self.windows.index_of(window_end);
        let run = &mut self.runs[place];
        run.roll(aggregator, slices, newest, self.per_window, &self.windows);
        while run.ends.last().is_some_and(|(slice, _)| *slice <= newest - self.per_window) {
            run.ends.pop();
        }
        let output = match (run.ends.last(), &run.beginning) {
            (Some((_, end)), Some(beginning)) => {
                let mut whole = end.clone();
                aggregator.merge(&mut whole, beginning);
                aggregator.result(&whole)
            }
            (Some((_, part)), None) | (None, Some(part)) => aggregator.result(part),
            (None, None) => {
                self.forget(place);
                return None;
            }
        };
        Some((run.key.clone(), output))
    }

    fn forget(&mut self, place: usize) {
        let hash = self.runs[place].hash.rotate_left(32);
        if let Ok(found) = self.index.find_entry(hash, |other| *other as usize == place) {
            found.remove();
        }
        let last = self.runs.len() - 1;
        self.runs.swap_remove(place);
        if place < last {
            let hash = self.runs[place].hash.rotate_left(32);
            if let Some(moved) = self.index.find_mut(hash, |other| *other as usize == last) {
                *moved = place as u32;
            }
        }
        if self.runs.is_empty() {
            self.runs = Vec::new();
            self.index = HashTable::new();
        }
    }
}

impl<K: Key, S: eddyline_core::Data> Run<K, S> {
    fn begin_with<A: Aggregator<State = S>>(&mut self, aggregator: &A, state: &S) {
        match &mut self.beginning {
            Some(beginning) => aggregator.merge(beginning, state),
            none => *none = Some(state.clone()),
        }
    }

    /// Goes on to the block of `slice`: what was the current block becomes the one before.
    fn roll<A: Aggregator<State = S>>(
        &mut self,
        aggregator: &A,
        slices: &NamespacedTable<K, S>,
        slice: i64,
        per_window: i64,
        windows: &SlicedWindows,
    ) {
        let block = block_of(self.hash, slice, per_window);
        if block <= self.block {
            return;
        }
        self.ends.clear();
        if block == self.block + per_window {
            for slice_end in self.present.iter().rev() {
                let number = windows.index_of(*slice_end);
                if number <= slice - per_window {
                    break;
                }
                // A slice whose windows have all fired is gone; its end would never be used.
                let Some(state) = slices.get(*slice_end, self.hash, &self.key) else { continue };
                let mut end = state.clone();
                if let Some((_, later)) = self.ends.last() {
                    aggregator.merge(&mut end, later);
                }
                self.ends.push((number, end));
            }
        }
        self.present.clear();
        self.beginning = None;
        self.block = block;
    }
}
