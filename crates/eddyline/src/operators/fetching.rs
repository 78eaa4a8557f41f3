//! Fetching what lies in a store, on behalf of records and of timers.

use eddyline_core::{Batch, Data, Key, Result};
use eddyline_runtime::panics::at_row;
use std::ops::Range;

pub(crate) use eddyline_runtime::{Due, DueTimers};

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
