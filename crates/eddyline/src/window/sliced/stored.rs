//! Tumbling windows whose slices have a store.
//!
//! What a record needs is fetched before it is processed. A window that fires is fetched and emitted some keys at a time,
//! so that it need not fit in memory.

use super::super::emission::Emission;
use super::super::{Aggregator, TimeWindow};
use eddyline_core::{Data, EventTime, Key, Record, Result};
use eddyline_runtime::{Fetch, Fetching, Progress, panics};
use eddyline_state::{ManagedState, StoredWindows};

/// The slices, and how far the first of them is fetched.
pub(super) struct Stored<K, S> {
    slices: StoredWindows<K, S>,
    /// What is fetched of the window that fires, and how many keys of it are not emitted.
    due: Option<(Fetch, usize)>,
}

impl<K: Key, S: Data> Stored<K, S> {
    pub(super) fn new(slices: StoredWindows<K, S>) -> Self {
        Stored { slices, due: None }
    }

    /// The state as the runtime sees it.
    pub(super) fn table(&mut self) -> &mut dyn ManagedState {
        &mut self.slices
    }

    /// The end of the first slice that has records.
    pub(super) fn first_slice(&self) -> Option<EventTime> {
        self.slices.first_namespace()
    }

    /// Whether part of a window is on its way, or in memory and not emitted.
    pub(super) fn is_fetching(&self) -> bool {
        self.due.is_some()
    }

    /// Adds records, the first of which is number `row` of its batch, to the slice that ends at `slice_end`.
    pub(super) fn add<A: Aggregator<State = S>>(
        &mut self,
        records: impl Iterator<Item = Record<A::Input>>,
        slice_end: EventTime,
        row: u64,
        aggregator: &A,
        key_of: &impl Fn(&A::Input) -> K,
    ) {
        for (number, record) in (row..).zip(records) {
            panics::at_row(number);
            let key = key_of(&record.value);
            let state = self.slices.entry(slice_end, key.stable_hash(), &key, || aggregator.create());
            aggregator.add(state, record.value);
        }
    }

    /// Emits the windows that end at `limit` at the latest, as far as there is room and they are in memory.
    pub(super) fn fire<A: Aggregator<State = S>>(
        &mut self,
        limit: EventTime,
        size_ms: i64,
        aggregator: &A,
        emission: &mut Emission<'_, '_, K, A::Output>,
    ) -> Result<Progress> {
        while let Some(end) = self.first_slice().filter(|end| *end <= limit) {
            let (fetch, left) = match self.due.take() {
                Some(due) => due,
                None => {
                    let most = self.slices.keys_per_fetch().unwrap_or(1);
                    let hashes = self.slices.last_hashes(end, most).to_vec();
                    let left = hashes.len();
                    ([self.table()].fetch(hashes), left)
                }
            };
            if ![self.table()].is_fetched(&fetch)? {
                self.due = Some((fetch, left));
                return Ok(Progress::Waiting);
            }
            let window = TimeWindow { start: end - size_ms, end };
            for done in 1..=left {
                let mut has_room = true;
                for (key, state) in self.slices.take_last(end) {
                    has_room &= emission.push(key, window, aggregator.result(&state))?;
                }
                if !has_room && done < left {
                    self.due = Some((fetch, left - done));
                    return Ok(Progress::More);
                }
            }
            [self.table()].release(&fetch);
        }
        Ok(Progress::Done)
    }
}
