//! From a changelog to the rows that are left.

use crate::row::{RowBytes, kind, row_bytes, views_of};
use arrow_array::RecordBatch;
use std::collections::BTreeMap;

/// The rows that a changelog leaves, in the order in which they came.
#[derive(Default)]
pub(super) struct Materialized {
    rows: Vec<Option<RowBytes>>,
    places: BTreeMap<RowBytes, Vec<usize>>,
}

impl Materialized {
    pub(super) fn apply(&mut self, rows: &RecordBatch, kinds: &[i8]) {
        let views = views_of(rows.columns());
        for (row, meaning) in kinds.iter().enumerate() {
            let bytes = row_bytes(&views, row);
            if kind::is_retraction(*meaning) {
                if let Some(places) = self.places.get_mut(&bytes) {
                    if let Some(place) = places.pop() {
                        self.rows[place] = None;
                    }
                    if places.is_empty() {
                        self.places.remove(&bytes);
                    }
                }
            } else {
                self.places.entry(bytes.clone()).or_default().push(self.rows.len());
                self.rows.push(Some(bytes));
            }
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.iter().flatten().map(Vec::as_slice)
    }
}
