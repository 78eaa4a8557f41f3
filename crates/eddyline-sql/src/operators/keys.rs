//! The keys of a batch's rows: equal ones are found once, so that state is asked once per key and batch.

use super::batches::hash_of;
use crate::row::{ColumnView, RowBytes};
use hashbrown::HashTable;

/// No further row.
const NONE: u32 = u32::MAX;

/// A key and its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRows {
    /// What the key is kept under: a window's end, or 0.
    pub(crate) namespace: i64,
    pub(crate) hash: u64,
    start: u32,
    end: u32,
    first: u32,
    last: u32,
}

/// Where the index has a key.
fn place_of(hash: u64, namespace: i64) -> u64 {
    hash ^ (namespace as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The keys of a batch, in the order in which they come first.
#[derive(Default)]
pub(crate) struct BatchKeys {
    bytes: Vec<u8>,
    keys: Vec<KeyRows>,
    /// For each row the next one of the same key.
    next: Vec<u32>,
    index: HashTable<u32>,
    scratch: RowBytes,
}

impl BatchKeys {
    /// Forgets the batch before; `rows` come.
    pub(crate) fn begin(&mut self, rows: usize) {
        self.bytes.clear();
        self.keys.clear();
        self.index.clear();
        self.next.clear();
        self.next.resize(rows, NONE);
    }

    /// Adds row `row` with the key that `views` have there. With `alone`, it has the key to itself.
    #[inline]
    pub(crate) fn add(&mut self, namespace: i64, views: &[&ColumnView<'_>], row: usize, alone: bool) {
        self.scratch.clear();
        for view in views {
            view.encode(row, &mut self.scratch);
        }
        let hash = hash_of(&self.scratch);
        let row = row as u32;
        let placed = place_of(hash, namespace);
        if !alone {
            let (keys, bytes, scratch) = (&self.keys, &self.bytes, &self.scratch);
            let equal = |number: &u32| {
                let key = &keys[*number as usize];
                key.hash == hash
                    && key.namespace == namespace
                    && bytes[key.start as usize..key.end as usize] == scratch[..]
            };
            if let Some(number) = self.index.find(placed, equal) {
                let key = &mut self.keys[*number as usize];
                self.next[key.last as usize] = row;
                key.last = row;
                return;
            }
        }
        let number = self.keys.len() as u32;
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&self.scratch);
        let end = self.bytes.len() as u32;
        self.keys.push(KeyRows { namespace, hash, start, end, first: row, last: row });
        if !alone {
            let keys = &self.keys;
            let hasher = |number: &u32| {
                let key = &keys[*number as usize];
                place_of(key.hash, key.namespace)
            };
            self.index.insert_unique(placed, number, hasher);
        }
    }

    pub(crate) fn keys(&self) -> &[KeyRows] {
        &self.keys
    }

    /// The bytes of `key`.
    pub(crate) fn bytes(&self, key: &KeyRows) -> &[u8] {
        &self.bytes[key.start as usize..key.end as usize]
    }

    /// The rows of `key`, in order.
    pub(crate) fn rows(&self, key: &KeyRows) -> impl Iterator<Item = usize> + '_ {
        let mut next = key.first;
        std::iter::from_fn(move || {
            let row = next;
            next = *self.next.get(row as usize)?;
            Some(row as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::views_of;
    use arrow_array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    #[test]
    fn rows_are_chained_by_key_and_namespace() {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![Some(1), None, Some(1), Some(1), None]))];
        let views = views_of(&columns);
        let views: Vec<&ColumnView<'_>> = views.iter().collect();
        let mut keys = BatchKeys::default();
        for _ in 0..2 {
            keys.begin(5);
            for (row, namespace) in [0, 0, 0, 7, 0].into_iter().enumerate() {
                keys.add(namespace, &views, row, false);
            }
            let found: Vec<Vec<usize>> = keys.keys().iter().map(|key| keys.rows(key).collect()).collect();
            assert_eq!(found, [vec![0, 2], vec![1, 4], vec![3]]);
            assert_eq!(keys.bytes(&keys.keys()[1]), [0]);
        }
    }
}
