//! The time to live of a join's rows: each row of a side ages by itself, from when it was last written.

use super::join_rows::{Copies, NEVER_TOUCHED, Rows, is_expired};
use crate::row::RowBytes;
use eddyline_state::KeyedTable;
use eddyline_state::ttl::{Age, Aging, Sweeper};

impl Aging for Rows {
    fn age(&self, limit: i64) -> Age {
        match self {
            Rows::Timed(rows) => rows.age(limit),
            _ if self.is_empty() => Age::Expired,
            // They were written without times.
            _ => Age::Partly,
        }
    }

    fn last_touch(&self) -> i64 {
        match self {
            Rows::Timed(rows) => rows.last_touch(),
            _ => i64::MAX,
        }
    }

    fn trim(&mut self, limit: i64, stamp: i64) {
        self.timed().trim(limit, stamp);
    }
}

/// How the rows of a side age, and what time it is.
#[derive(Debug)]
pub(super) struct Life {
    ttl_ms: i64,
    now_ms: i64,
    limit: i64,
    sweeper: Sweeper,
}

/// They live for ever.
impl Default for Life {
    fn default() -> Self {
        Life { ttl_ms: 0, now_ms: NEVER_TOUCHED, limit: i64::MIN, sweeper: Sweeper::default() }
    }
}

impl Life {
    /// The rows of `table`, which is empty, live for `ttl_ms` milliseconds.
    pub(super) fn new(table: &mut KeyedTable<RowBytes, Rows>, ttl_ms: i64) -> Self {
        Life { ttl_ms, sweeper: Sweeper::new(table), ..Life::default() }
    }

    /// A batch of `records` records comes at `now_ms`.
    pub(super) fn begin(&mut self, table: &mut KeyedTable<RowBytes, Rows>, now_ms: i64, records: usize) {
        if self.ttl_ms > 0 {
            (self.now_ms, self.limit) = (now_ms, now_ms.saturating_sub(self.ttl_ms));
            self.sweeper.sweep(table, records, self.limit, now_ms);
        }
    }

    /// The rows that live.
    #[inline]
    pub(super) fn living<'r>(&self, rows: &'r Rows) -> impl Iterator<Item = (&'r [u8], Copies)> + use<'r> {
        rows.iter_after(self.limit)
    }

    /// Says how often a row is there; 0 removes it.
    #[inline]
    pub(super) fn set(&self, rows: &mut Rows, row: &[u8], copies: Copies) {
        if self.ttl_ms > 0 { rows.set_at(row, copies, self.now_ms) } else { rows.set(row, copies) }
    }

    /// A row comes or goes; `appends` if no row of this side ever goes.
    #[inline]
    pub(super) fn add(&self, rows: &mut Rows, row: &[u8], sign: i64, appends: bool) {
        if self.ttl_ms == 0 {
            return rows.add(row, sign, appends);
        }
        let known = rows.get(row).unwrap_or_default();
        rows.set_at(row, Copies { count: known.count + sign, ..known }, self.now_ms);
    }

    /// Takes `row` out if it has expired.
    #[inline]
    pub(super) fn forget(&self, rows: &mut Rows, row: &[u8]) {
        if let Rows::Timed(timed) = rows
            && timed.get(row).is_some_and(|copies| is_expired(copies, self.limit))
        {
            timed.remove(row);
        }
    }
}
