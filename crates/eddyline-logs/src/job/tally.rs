//! How often values came up: counted in place, sent as a few long pieces of memory.

use eddyline::Data;
use hashbrown::HashTable;

/// Values and how often each of them came up, packed: what travels, and what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Data)]
pub(super) struct Counts {
    /// The values, one behind the other.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<u32>,
    counts: Vec<u64>,
}

impl Counts {
    /// Adds a value that is not there yet.
    #[inline]
    pub(super) fn push(&mut self, value: &[u8], count: u64) {
        self.text.extend_from_slice(value);
        self.ends.push(self.text.len() as u32);
        self.counts.push(count);
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// The values and their counts, in the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).zip(&self.counts).map(|((start, end), count)| {
            (self.text.get(start as usize..*end as usize).unwrap_or_default(), *count)
        })
    }
}

struct Entry {
    hash: u64,
    start: u32,
    length: u32,
    count: u64,
}

/// Counts values.
#[derive(Default)]
pub(super) struct Tally {
    table: HashTable<u32>,
    entries: Vec<Entry>,
    text: Vec<u8>,
}

impl Tally {
    /// Counts `value`, whose hash is `hash`, `count` times.
    #[inline]
    pub(super) fn add(&mut self, hash: u64, value: &[u8], count: u64) {
        let Tally { table, entries, text } = self;
        let found = table.find(hash, |&place| {
            let entry = &entries[place as usize];
            entry.hash == hash && bytes_of(text, entry) == value
        });
        if let Some(&place) = found {
            entries[place as usize].count += count;
            return;
        }
        let place = entries.len();
        entries.push(Entry { hash, start: text.len() as u32, length: value.len() as u32, count });
        text.extend_from_slice(value);
        let entries = &self.entries;
        self.table.insert_unique(hash, place as u32, |&place| entries[place as usize].hash);
    }

    /// Forgets everything but the memory that it took.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.entries.clear();
        self.text.clear();
    }

    /// Adds what was counted elsewhere.
    pub(super) fn add_all(&mut self, counts: &Counts) {
        for (value, count) in counts.iter() {
            self.add(hash_of(value), value, count);
        }
    }

    /// All values and counts, packed.
    pub(super) fn counts(&self) -> Counts {
        let mut packed = Counts::default();
        self.entries.iter().for_each(|entry| packed.push(bytes_of(&self.text, entry), entry.count));
        packed
    }

    /// All values and counts, packed into `parts` by their hashes: the same value is always in the same part.
    pub(super) fn parts(&self, parts: usize) -> Vec<Counts> {
        let mut packed = vec![Counts::default(); parts];
        for entry in &self.entries {
            packed[part_of(entry.hash, parts)].push(bytes_of(&self.text, entry), entry.count);
        }
        packed
    }
}

#[inline]
fn bytes_of<'a>(text: &'a [u8], entry: &Entry) -> &'a [u8] {
    text.get(entry.start as usize..(entry.start + entry.length) as usize).unwrap_or_default()
}

/// The part of all that a hash is of. The low bits choose the bucket of a table, the highest seven are compared there.
#[inline]
pub(super) fn part_of(hash: u64, parts: usize) -> usize {
    (hash >> 32) as usize % parts
}

/// The hash by which values are counted.
#[inline]
pub(super) fn hash_of(value: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn map(parts: &[Counts]) -> BTreeMap<Vec<u8>, u64> {
        let mut found = BTreeMap::new();
        for (value, count) in parts.iter().flat_map(Counts::iter) {
            assert_eq!(found.insert(value.to_vec(), count), None, "each value is in one part");
        }
        found
    }

    #[test]
    fn what_was_counted_is_there_in_any_packing() {
        let mut tally = Tally::default();
        let mut expected: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for number in 0..2_000_u64 {
            let value = format!("/{}", number * number % 301).into_bytes();
            // Equal hashes are told apart by the values.
            tally.add(number * number % 301 % 7, &value, number % 3);
            *expected.entry(value).or_default() += number % 3;
        }
        assert_eq!(map(&[tally.counts()]), expected);
        assert_eq!(map(&tally.parts(5)), expected);
        assert_eq!(tally.counts().len(), expected.len());
        let mut again = Tally::default();
        tally.parts(3).iter().for_each(|part| again.add_all(part));
        tally.parts(4).iter().for_each(|part| again.add_all(part));
        let doubled: BTreeMap<_, _> = expected.into_iter().map(|(value, count)| (value, 2 * count)).collect();
        assert_eq!(map(&[again.counts()]), doubled);
    }
}
