//! One side of a join: the rows that wait for partners.

use crate::operators::fetching::{Due, DueTimers};
use eddyline_core::{Data, EventTime, Key, Record, Result};
use eddyline_runtime::StateFactory;
use eddyline_state::{KeyedTable, ManagedState, TimerTable};

/// The rows of a key are looked through for expired ones at most this many times per retention time: each look costs
/// as much as there are rows, and expired rows find no partners anyway.
const LOOKS_PER_RETENTION: i64 = 8;

/// A row that waits for partners.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Kept<T> {
    /// Its event time.
    pub timestamp: EventTime,
    /// The row.
    pub value: T,
}

/// The rows of one key.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct KeptRows<T> {
    /// When the key's timer is due; `i64::MAX` if it has none.
    pub timer: EventTime,
    /// In the order of arrival.
    pub rows: Vec<Kept<T>>,
}

/// The rows of one side.
pub(super) struct Side<K, T> {
    pub(super) rows: KeyedTable<K, KeptRows<T>>,
    timers: TimerTable<K>,
    retention_ms: Option<i64>,
    /// What is fetched for the keys that are looked through next.
    due: DueTimers,
}

impl<K: Key, T: Data> Side<K, T> {
    pub(super) fn new(name: &str, retention_ms: Option<i64>, states: &StateFactory) -> Result<Self> {
        let (groups, max) = (states.info().key_groups, states.info().max_parallelism);
        Ok(Side {
            rows: states.keyed_table(format!("{name}-rows"))?,
            timers: TimerTable::new(format!("{name}-expiry"), groups, max),
            retention_ms,
            due: DueTimers::default(),
        })
    }

    pub(super) fn visit_states(
        &mut self,
        visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>,
    ) -> Result<()> {
        visit(&mut self.rows)?;
        visit(&mut self.timers)
    }

    /// Whether a row of `timestamp` is too old to find partners.
    #[inline]
    pub(super) fn is_expired(&self, timestamp: EventTime, watermark: EventTime) -> bool {
        self.retention_ms.is_some_and(|retention| timestamp.saturating_add(retention) < watermark)
    }

    /// The rows of `key`, expired ones among them.
    pub(super) fn rows(&self, hash: u64, key: &K) -> &[Kept<T>] {
        self.rows.get(hash, key).map_or(&[], |kept| kept.rows.as_slice())
    }

    pub(super) fn keep(&mut self, hash: u64, key: &K, row: Record<T>) {
        let kept =
            self.rows.entry_or_insert_with(hash, key, || KeptRows { timer: i64::MAX, rows: Vec::new() });
        if let Some(retention) = self.retention_ms
            && kept.timer == i64::MAX
        {
            kept.timer = row.timestamp.saturating_add(retention).saturating_add(1);
            self.timers.register(kept.timer, hash, key, 0);
        }
        kept.rows.push(Kept { timestamp: row.timestamp, value: row.value });
    }

    /// Drops rows that have expired, some of them a little later than at once; answers whether that is done.
    pub(super) fn expire(&mut self, watermark: EventTime) -> Result<bool> {
        let Some(retention) = self.retention_ms else { return Ok(true) };
        loop {
            let rows: &mut dyn ManagedState = &mut self.rows;
            if self.due.next(&mut self.timers, watermark, &mut [rows])? == Due::Waiting {
                return Ok(false);
            }
            let Some(timer) = self.timers.pop_due(watermark) else { return Ok(true) };
            let hash = timer.key.stable_hash();
            let Some(kept) = self.rows.get_mut(hash, &timer.key) else { continue };
            kept.rows.retain(|row| row.timestamp.saturating_add(retention) >= watermark);
            let Some(oldest) = kept.rows.iter().map(|row| row.timestamp).min() else {
                self.rows.remove(hash, &timer.key);
                continue;
            };
            let soonest = watermark.saturating_add(retention / LOOKS_PER_RETENTION);
            kept.timer = oldest.saturating_add(retention).saturating_add(1).max(soonest).max(timer.time + 1);
            self.timers.register(kept.timer, hash, &timer.key, 0);
        }
    }
}
