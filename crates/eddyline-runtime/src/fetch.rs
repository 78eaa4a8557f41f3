//! Fetching what lies in stores before it is used.

use eddyline_core::{Key, Result};
use eddyline_state::{ManagedState, TimerTable};

/// Timers for which state is fetched at a time, at most.
const TIMERS_PER_FETCH: usize = 256;

/// What was asked for.
#[derive(Debug, Default)]
pub struct Fetch {
    /// The stable hashes of the keys.
    pub hashes: Vec<u64>,
    /// What each state said, in their order.
    tickets: Vec<u64>,
}

/// States that are asked together.
///
/// # Examples
/// ```
/// use eddyline_core::{Data, KeyGroupRange};
/// use eddyline_runtime::Fetching;
/// use eddyline_state::store::{MemoryBackend, StateBackend, StatePlace};
/// use eddyline_state::{KeyedTable, ManagedState};
/// use std::task::Waker;
///
/// let place = StatePlace {
///     worker: 0,
///     worker_memory_bytes: 1 << 20,
///     attempt: 1,
///     uid: "count".into(),
///     state: "total".into(),
///     expires: false,
/// };
/// let store = MemoryBackend::new(1_000).open(&place, Waker::noop().clone())?;
/// let mut table = KeyedTable::<u64, u64>::with_store("total", KeyGroupRange { start: 0, end: 8 }, 8, store);
/// for round in 0..3u64 {
///     for key in 0..100u64 {
///         let mut states: [&mut dyn ManagedState; 1] = [&mut table];
///         let fetch = states.fetch(vec![key.stable_hash()]);
///         assert!(states.is_fetched(&fetch)?);
///         *table.entry_or_insert_with(key.stable_hash(), &key, || 0) += 1;
///         assert_eq!(table.get(key.stable_hash(), &key), Some(&(round + 1)));
///         let mut states: [&mut dyn ManagedState; 1] = [&mut table];
///         states.release(&fetch);
///     }
/// }
/// assert!(table.len() < 100, "most of the entries are in the store");
/// # Ok::<(), eddyline_core::Error>(())
/// ```
pub trait Fetching {
    /// Calls `visit` once per state, in the same order each time.
    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState));

    /// For how many keys to fetch at a time; none if all is in memory.
    fn keys_per_fetch(&mut self) -> Option<usize> {
        let mut least: Option<usize> = None;
        self.each(&mut |state| {
            if let Some(keys) = state.keys_per_fetch() {
                least = Some(least.map_or(keys, |least| least.min(keys)));
            }
        });
        least
    }

    /// Asks for what keys have, and keeps it in memory until it is released.
    fn fetch(&mut self, hashes: Vec<u64>) -> Fetch {
        let mut tickets = Vec::new();
        self.each(&mut |state| tickets.push(state.fetch(&hashes)));
        Fetch { hashes, tickets }
    }

    /// Whether all that was asked for is in memory; if not, the operator's waker will be called.
    ///
    /// # Errors
    /// If a store failed.
    fn is_fetched(&mut self, fetch: &Fetch) -> Result<bool> {
        let (mut all, mut tickets) = (Ok(true), fetch.tickets.iter());
        self.each(&mut |state| {
            if let (Ok(so_far), Some(ticket)) = (&all, tickets.next()) {
                let so_far = *so_far;
                all = state.is_fetched(*ticket).map(|is_there| is_there && so_far);
            }
        });
        all
    }

    /// What was asked for may leave memory.
    fn release(&mut self, fetch: &Fetch) {
        self.each(&mut |state| state.release(&fetch.hashes));
    }
}

impl<const N: usize> Fetching for [&mut dyn ManagedState; N] {
    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState)) {
        self.iter_mut().for_each(|state| visit(*state));
    }
}

/// Whether the next timer may fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// What its key has is in memory, or no timer is due.
    Ready,
    /// What its key has is on its way.
    Waiting,
}

/// What is fetched for the timers that fire next.
#[derive(Debug, Default)]
pub struct DueTimers {
    /// With sorted hashes.
    fetch: Option<Fetch>,
}

impl DueTimers {
    /// Whether something is on its way, or in memory for timers that have not fired.
    pub fn is_fetching(&self) -> bool {
        self.fetch.is_some()
    }

    /// Whether the next timer that is due at `up_to` may fire; fetches what it needs, and what those after it do.
    ///
    /// # Errors
    /// If a store failed.
    pub fn next<K: Key>(
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
