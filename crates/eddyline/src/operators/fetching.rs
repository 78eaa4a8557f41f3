//! Fetching what lies in a store, on behalf of records and of timers.

use eddyline_core::{Batch, Data, Key, Result};
use eddyline_runtime::panics::at_row;
use eddyline_runtime::{Fetch, Fetching};
use eddyline_state::TimerTable;
use std::ops::Range;

/// Timers for which state is fetched at a time, at most.
const TIMERS_PER_FETCH: usize = 256;

/// The stable hashes of the keys of some rows of a batch.
pub(crate) fn hashes_of<T: Data, K: Key>(
    batch: &Batch,
    rows: Range<usize>,
    key_of: impl Fn(&T) -> K,
) -> Result<Vec<u64>> {
    let numbered = (rows.start as u64..).zip(&batch.rows::<T>()?[rows]);
    Ok(numbered
        .map(|(number, record)| {
            at_row(number);
            key_of(&record.value).stable_hash()
        })
        .collect())
}

/// Whether the next timer may fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// What its key has is in memory, or no timer is due.
    Ready,
    /// What its key has is on its way.
    Waiting,
}

/// What is fetched for the timers that fire next.
#[derive(Debug, Default)]
pub(crate) struct DueTimers {
    /// With sorted hashes.
    fetch: Option<Fetch>,
}

impl DueTimers {
    /// Whether something is on its way, or in memory for timers that have not fired.
    pub(crate) fn is_fetching(&self) -> bool {
        self.fetch.is_some()
    }

    /// Whether the next timer that is due at `up_to` may fire; fetches what it needs, and what those after it do.
    pub(crate) fn next<K: Key>(
        &mut self,
        timers: &mut TimerTable<K>,
        up_to: i64,
        states: &mut (impl Fetching + ?Sized),
    ) -> Result<Due> {
        let Some(most) = states.keys_per_fetch() else { return Ok(Due::Ready) };
        let next = timers.next_due_hash(up_to);
        let is_covered = |fetch: &Fetch| next.is_some_and(|hash| fetch.hashes.binary_search(&hash).is_ok());
        if let Some(done) = self.fetch.take_if(|fetch| !is_covered(fetch)) {
            states.release(&done);
        }
        if next.is_none() {
            return Ok(Due::Ready);
        }
        if self.fetch.is_none() {
            let mut hashes = timers.due_hashes(up_to, most.min(TIMERS_PER_FETCH));
            hashes.sort_unstable();
            hashes.dedup();
            self.fetch = Some(states.fetch(hashes));
        }
        match &self.fetch {
            Some(fetch) if !states.is_fetched(fetch)? => Ok(Due::Waiting),
            _ => Ok(Due::Ready),
        }
    }
}
