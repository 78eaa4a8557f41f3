//! The time to live of a join's rows: each row of a side ages by itself, from when it was last written.

use super::join::{Copies, Rows};
use crate::row::RowBytes;
use eddyline_state::KeyedTable;
use eddyline_state::ttl::{Age, Aging, Sweeper};

/// The touch of a row that has no time to live.
pub(super) const NEVER_TOUCHED: i64 = i64::MIN;

impl Copies {
    fn is_expired(&self, limit: i64) -> bool {
        self.touched_ms != NEVER_TOUCHED && self.touched_ms <= limit
    }
}

impl Aging for Rows {
    fn age(&self, limit: i64) -> Age {
        let (mut expired, mut unknown) = (0, false);
        for copies in self.rows.values() {
            expired += usize::from(copies.is_expired(limit));
            unknown |= copies.touched_ms == NEVER_TOUCHED;
        }
        match expired {
            _ if expired == self.rows.len() => Age::Expired,
            0 if !unknown => Age::Fresh,
            _ => Age::Partly,
        }
    }

    fn last_touch(&self) -> i64 {
        let touch = |copies: &Copies| match copies.touched_ms {
            NEVER_TOUCHED => i64::MAX,
            touched_ms => touched_ms,
        };
        self.rows.values().map(touch).max().unwrap_or(i64::MAX)
    }

    fn trim(&mut self, limit: i64, stamp: i64) {
        self.rows.retain(|_, copies| !copies.is_expired(limit));
        for copies in self.rows.values_mut().filter(|copies| copies.touched_ms == NEVER_TOUCHED) {
            copies.touched_ms = stamp;
        }
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

    /// The time of a row that is written now.
    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The rows that live.
    #[inline]
    pub(super) fn living<'r>(
        &self,
        rows: &'r Rows,
    ) -> impl Iterator<Item = (&'r [u8], &'r Copies)> + use<'r> {
        let limit = self.limit;
        let living = rows.rows.iter().filter(move |(_, copies)| !copies.is_expired(limit));
        living.map(|(row, copies)| (row.as_slice(), copies))
    }

    /// Takes `row` out if it has expired.
    #[inline]
    pub(super) fn forget(&self, rows: &mut Rows, row: &[u8]) {
        if self.ttl_ms > 0 && rows.rows.get(row).is_some_and(|copies| copies.is_expired(self.limit)) {
            rows.rows.remove(row);
        }
    }
}
