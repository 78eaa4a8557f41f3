//! The rows of a partition in the order of their sort keys.

use eddyline_core::Data;
use std::collections::BTreeMap;

/// Rows that may lie one after the other: more than most partitions keep, few enough to be walked through.
const FEW: usize = 32;

/// Bytes in front of each packed row: the lengths of its sort key and of itself.
const HEADER: usize = 4 + 4;

/// The rows of a partition by their sort key; equal ones in the order in which they came.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) enum Sorted {
    /// One after the other, each behind its header and its sort key.
    Packed(Vec<u8>),
    Tree(BTreeMap<Vec<u8>, Vec<Vec<u8>>>),
}

impl Default for Sorted {
    fn default() -> Self {
        Sorted::Packed(Vec::new())
    }
}

/// A packed row: where it begins, its sort key, and itself.
type Entry<'a> = (usize, &'a [u8], &'a [u8]);

fn unpack(bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut place = 0;
    std::iter::from_fn(move || {
        let length = |from: usize| -> Option<usize> {
            Some(u32::from_le_bytes(bytes.get(from..from + 4)?.try_into().ok()?) as usize)
        };
        let (key_length, row_length) = (length(place)?, length(place + 4)?);
        let (start, middle) = (place, place + HEADER + key_length);
        let found = (start, bytes.get(start + HEADER..middle)?, bytes.get(middle..middle + row_length)?);
        place = middle + row_length;
        Some(found)
    })
}

/// Puts a row into a packed buffer at `place`.
fn pack(bytes: &mut Vec<u8>, place: usize, key: &[u8], row: &[u8]) {
    let length = HEADER + key.len() + row.len();
    let end = bytes.len();
    bytes.reserve(length);
    bytes.resize(end + length, 0);
    bytes.copy_within(place..end, place + length);
    let (header, rest) = bytes[place..place + length].split_at_mut(HEADER);
    header[..4].copy_from_slice(&(key.len() as u32).to_le_bytes());
    header[4..].copy_from_slice(&(row.len() as u32).to_le_bytes());
    rest[..key.len()].copy_from_slice(key);
    rest[key.len()..].copy_from_slice(row);
}

impl Sorted {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Sorted::Packed(bytes) => bytes.is_empty(),
            Sorted::Tree(rows) => rows.is_empty(),
        }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> u64 {
        match self {
            Sorted::Packed(bytes) => unpack(bytes).count() as u64,
            Sorted::Tree(rows) => rows.values().map(|equals| equals.len() as u64).sum(),
        }
    }

    /// The sort keys and rows, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (packed, tree) = match self {
            Sorted::Packed(bytes) => (Some(unpack(bytes)), None),
            Sorted::Tree(rows) => (None, Some(rows.iter())),
        };
        let packed = packed.into_iter().flatten().map(|(_, key, row)| (key, row));
        let tree = tree.into_iter().flatten();
        packed.chain(tree.flat_map(|(key, rows)| rows.iter().map(|row| (key.as_slice(), row.as_slice()))))
    }

    /// The sort key of the last row.
    pub(super) fn last_key(&self) -> Option<&[u8]> {
        match self {
            Sorted::Packed(bytes) => unpack(bytes).last().map(|(_, key, _)| key),
            Sorted::Tree(rows) => rows.last_key_value().map(|(key, _)| key.as_slice()),
        }
    }

    /// Adds a row: behind those with an equal key, or before them if it is to come `first`.
    pub(super) fn insert(&mut self, key: &[u8], row: &[u8], first: bool) {
        if let Sorted::Packed(bytes) = self {
            if unpack(bytes).count() < FEW {
                let is_behind = |known: &[u8]| if first { known >= key } else { known > key };
                let place = unpack(bytes).find(|(_, known, _)| is_behind(known));
                let place = place.map_or(bytes.len(), |(place, ..)| place);
                return pack(bytes, place, key, row);
            }
            let mut tree: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
            for (_, key, row) in unpack(bytes) {
                tree.entry(key.to_vec()).or_default().push(row.to_vec());
            }
            *self = Sorted::Tree(tree);
        }
        if let Sorted::Tree(rows) = self {
            let equals = rows.entry(key.to_vec()).or_default();
            let place = if first { 0 } else { equals.len() };
            equals.insert(place, row.to_vec());
        }
    }

    /// Removes the last one of the rows that are equal to `row`.
    pub(super) fn remove(&mut self, key: &[u8], row: &[u8]) {
        match self {
            Sorted::Packed(bytes) => {
                let found = unpack(bytes).filter(|(_, known, other)| *known == key && *other == row).last();
                if let Some(place) = found.map(|(place, ..)| place) {
                    bytes.drain(place..place + HEADER + key.len() + row.len());
                }
            }
            Sorted::Tree(rows) => {
                let Some(equals) = rows.get_mut(key) else { return };
                if let Some(place) = equals.iter().rposition(|known| known == row) {
                    equals.remove(place);
                }
                if equals.is_empty() {
                    rows.remove(key);
                }
            }
        }
    }

    /// Removes the last row.
    pub(super) fn pop(&mut self) {
        match self {
            Sorted::Packed(bytes) => {
                let last = unpack(bytes).last().map(|(place, ..)| place);
                bytes.truncate(last.unwrap_or(0));
            }
            Sorted::Tree(rows) => {
                let Some(mut last) = rows.last_entry() else { return };
                last.get_mut().pop();
                if last.get().is_empty() {
                    last.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(sorted: &Sorted) -> Vec<(Vec<u8>, Vec<u8>)> {
        sorted.iter().map(|(key, row)| (key.to_vec(), row.to_vec())).collect()
    }

    proptest! {
        #[test]
        fn rows_are_in_order_however_many_there_are(
            changes in prop::collection::vec((0u8..12, 0u8..4, 0u8..8, any::<bool>()), 0..200),
        ) {
            let mut sorted = Sorted::default();
            let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            for (key, row, what, first) in changes {
                let (key, row) = (vec![key; 1 + usize::from(key % 3)], vec![row; usize::from(row)]);
                match what {
                    0 => {
                        sorted.remove(&key, &row);
                        let found = model.iter().rposition(|known| *known == (key.clone(), row.clone()));
                        found.into_iter().for_each(|place| drop(model.remove(place)));
                    }
                    1 => {
                        sorted.pop();
                        model.pop();
                    }
                    _ => {
                        sorted.insert(&key, &row, first);
                        let place = model.partition_point(|(known, _)| if first { *known < key } else { *known <= key });
                        model.insert(place, (key, row));
                    }
                }
                prop_assert_eq!(&all(&sorted), &model);
                prop_assert_eq!(sorted.len(), model.len() as u64);
                prop_assert_eq!(sorted.last_key(), model.last().map(|(key, _)| key.as_slice()));
                prop_assert_eq!(sorted.is_empty(), model.is_empty());
            }
        }
    }
}
