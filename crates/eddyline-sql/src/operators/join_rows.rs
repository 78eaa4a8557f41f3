//! The rows that one side of a join keeps for a key.

use eddyline_core::Data;
use eddyline_state::ttl::Timed;
use std::collections::BTreeMap;

/// Different rows for which a search from the first to the last is quick enough.
const FEW: usize = 32;

/// Bytes in front of each packed row: its length, how often it is there, how many rows match it.
const HEADER: usize = 4 + 8 + 8;

/// How often a row is there, and how many rows of the other side match it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Data)]
pub(crate) struct Copies {
    pub(super) count: i64,
    pub(super) matches: i64,
}

/// The rows of one key on one side.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) enum Rows {
    /// One after the other, each behind its header: few different ones, or rows that are never sought.
    Packed(Vec<u8>),
    Sorted(BTreeMap<Vec<u8>, Copies>),
    /// Rows with a time to live: see [`super::join_ttl`].
    Timed(BTreeMap<Vec<u8>, Timed<Copies>>),
}

impl Default for Rows {
    fn default() -> Self {
        Rows::Packed(Vec::new())
    }
}

/// The touch of a row that has no time.
pub(super) const NEVER_TOUCHED: i64 = i64::MIN;

fn untouched() -> Timed<Copies> {
    Timed { touched_ms: NEVER_TOUCHED, value: Copies::default() }
}

/// Whether a row was touched at `limit` or before.
pub(super) fn is_expired(copies: &Timed<Copies>, limit: i64) -> bool {
    copies.touched_ms != NEVER_TOUCHED && copies.touched_ms <= limit
}

/// The rows of a packed buffer and where their headers are.
fn unpack(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8], Copies)> {
    let mut place = 0;
    std::iter::from_fn(move || {
        let header = bytes.get(place..place + HEADER)?;
        let number = |from: usize| i64::from_le_bytes(header[from..from + 8].try_into().expect("8 bytes"));
        let length = u32::from_le_bytes(header[..4].try_into().expect("4 bytes")) as usize;
        let found = (
            place,
            bytes.get(place + HEADER..place + HEADER + length)?,
            Copies { count: number(4), matches: number(12) },
        );
        place += HEADER + length;
        Some(found)
    })
}

fn pack(bytes: &mut Vec<u8>, row: &[u8], copies: Copies) {
    bytes.reserve(HEADER + row.len());
    bytes.extend_from_slice(&(row.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&copies.count.to_le_bytes());
    bytes.extend_from_slice(&copies.matches.to_le_bytes());
    bytes.extend_from_slice(row);
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Rows::Packed(bytes) => bytes.is_empty(),
            Rows::Sorted(rows) => rows.is_empty(),
            Rows::Timed(rows) => rows.is_empty(),
        }
    }

    /// All rows. A row that was only appended may come several times.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Copies)> {
        self.iter_after(i64::MIN)
    }

    /// All rows that were not touched at `limit` or before, as far as it is known when they were.
    pub(super) fn iter_after(&self, limit: i64) -> impl Iterator<Item = (&[u8], Copies)> {
        let (packed, sorted, timed) = match self {
            Rows::Packed(bytes) => (Some(unpack(bytes)), None, None),
            Rows::Sorted(rows) => (None, Some(rows.iter()), None),
            Rows::Timed(rows) => (None, None, Some(rows.iter())),
        };
        let packed = packed.into_iter().flatten().map(|(_, row, copies)| (row, copies));
        let sorted = sorted.into_iter().flatten().map(|(row, copies)| (row.as_slice(), *copies));
        let timed = timed.into_iter().flatten().filter(move |(_, copies)| !is_expired(copies, limit));
        packed.chain(sorted).chain(timed.map(|(row, copies)| (row.as_slice(), copies.value)))
    }

    /// Adds a row that nobody will look for.
    pub(super) fn append(&mut self, row: &[u8]) {
        match self {
            Rows::Packed(bytes) => pack(bytes, row, Copies { count: 1, matches: 0 }),
            Rows::Sorted(rows) => rows.entry(row.to_vec()).or_default().count += 1,
            Rows::Timed(rows) => rows.entry(row.to_vec()).or_insert_with(untouched).value.count += 1,
        }
    }

    pub(super) fn get(&self, row: &[u8]) -> Option<Copies> {
        match self {
            Rows::Packed(bytes) => {
                unpack(bytes).find(|(_, known, _)| *known == row).map(|(.., copies)| copies)
            }
            Rows::Sorted(rows) => rows.get(row).copied(),
            Rows::Timed(rows) => rows.get(row).map(|copies| copies.value),
        }
    }

    /// Says how often a row is there; 0 removes it.
    pub(super) fn set(&mut self, row: &[u8], copies: Copies) {
        if let Rows::Packed(bytes) = self {
            let mut different = 0;
            let found = unpack(bytes).inspect(|_| different += 1).find(|(_, known, _)| *known == row);
            let found = found.map(|(place, ..)| place);
            match found {
                Some(place) if copies.count == 0 => {
                    bytes.drain(place..place + HEADER + row.len());
                    return;
                }
                Some(place) => {
                    bytes[place + 4..place + 12].copy_from_slice(&copies.count.to_le_bytes());
                    bytes[place + 12..place + HEADER].copy_from_slice(&copies.matches.to_le_bytes());
                    return;
                }
                None if copies.count == 0 => return,
                None if different < FEW => return pack(bytes, row, copies),
                None => self.sort(),
            }
        }
        match self {
            Rows::Packed(_) => {}
            Rows::Sorted(rows) if copies.count == 0 => drop(rows.remove(row)),
            Rows::Sorted(rows) => drop(rows.insert(row.to_vec(), copies)),
            Rows::Timed(_) => self.set_at(row, copies, NEVER_TOUCHED),
        }
    }

    /// As [`Rows::set`], at a time: from then on all rows have one.
    pub(super) fn set_at(&mut self, row: &[u8], copies: Copies, touched_ms: i64) {
        let rows = self.timed();
        if copies.count == 0 {
            rows.remove(row);
        } else {
            rows.insert(row.to_vec(), Timed { touched_ms, value: copies });
        }
    }

    /// The rows with their times, which are not known at first.
    pub(super) fn timed(&mut self) -> &mut BTreeMap<Vec<u8>, Timed<Copies>> {
        if !matches!(self, Rows::Timed(_)) {
            let mut timed = BTreeMap::new();
            for (row, copies) in self.iter() {
                let known = timed.entry(row.to_vec()).or_insert_with(untouched);
                known.value.count += copies.count;
                known.value.matches = copies.matches;
            }
            *self = Rows::Timed(timed);
        }
        match self {
            Rows::Timed(rows) => rows,
            _ => unreachable!("invariant: the rows were just given times"),
        }
    }

    /// Makes a packed buffer a tree.
    fn sort(&mut self) {
        let mut sorted: BTreeMap<Vec<u8>, Copies> = BTreeMap::new();
        for (row, copies) in self.iter() {
            let known = sorted.entry(row.to_vec()).or_default();
            known.count += copies.count;
            known.matches = copies.matches;
        }
        *self = Rows::Sorted(sorted);
    }

    /// A row comes or goes; `appends` if no row of this side ever goes.
    pub(super) fn add(&mut self, row: &[u8], sign: i64, appends: bool) {
        if appends {
            return self.append(row);
        }
        let known = self.get(row).unwrap_or_default();
        self.set(row, Copies { count: known.count + sign, ..known });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_counted_as_in_a_map(changes in prop::collection::vec((0u8..60, any::<bool>(), 0i64..5), 0..300)) {
            let mut rows = Rows::default();
            let mut model: BTreeMap<Vec<u8>, Copies> = BTreeMap::new();
            for (number, comes, matches) in changes {
                let row = vec![number; usize::from(number % 7)];
                let known = model.get(&row).copied().unwrap_or_default();
                let copies = Copies { count: known.count + if comes { 1 } else { -1 }, matches };
                rows.set(&row, copies);
                if copies.count == 0 { model.remove(&row); } else { model.insert(row.clone(), copies); }
                prop_assert_eq!(rows.get(&row), model.get(&row).copied());
                let mut all: Vec<(Vec<u8>, Copies)> = rows.iter().map(|(row, copies)| (row.to_vec(), copies)).collect();
                all.sort_by(|one, other| one.0.cmp(&other.0));
                prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(rows.is_empty(), model.is_empty());
            }
        }
    }

    #[test]
    fn appended_rows_come_as_often_as_they_were_appended() {
        let mut rows = Rows::default();
        (0..100).for_each(|_| rows.add(b"a", 1, true));
        assert_eq!(rows.iter().map(|(_, copies)| copies.count).sum::<i64>(), 100);
    }
}
