//! The keys of the next records, found before the first of them is processed.
//!
//! State of many keys lies all over memory. Whoever goes from record to record waits for memory once per record; whoever
//! knows the next keys can ask for all their entries first (see [`eddyline_state::ManagedState::warm`]).

use super::core::KeyOf;
use eddyline_core::{Data, Key, Record};
use eddyline_runtime::panics::at_row;

/// As many keys as a processor can wait for at once, and then some.
const KEYS_MAX: usize = 64;

/// Room for the keys of some records and their stable hashes.
pub(crate) struct KeyRun<K> {
    hashes: Vec<u64>,
    keys: Vec<K>,
}

impl<K: Key> KeyRun<K> {
    pub(crate) fn new() -> Self {
        KeyRun { hashes: Vec::new(), keys: Vec::new() }
    }

    /// Finds the keys of the first of `records`, which are rows `row` and following of their batch.
    pub(crate) fn read<T: Data>(&mut self, key_of: &KeyOf<T, K>, records: &[Record<T>], row: u64) {
        self.hashes.clear();
        self.keys.clear();
        for (number, record) in (row..).zip(&records[..records.len().min(KEYS_MAX)]) {
            at_row(number);
            let key = key_of(&record.value);
            self.hashes.push(key.stable_hash());
            self.keys.push(key);
        }
    }

    /// The stable hashes of the keys that were found.
    pub(crate) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Takes out the keys that were found, with their hashes.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (u64, K)> {
        self.hashes.iter().copied().zip(self.keys.drain(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn runs_cover_all_records_in_order() {
        let records: Vec<Record<u64>> = (0..200).map(|number| Record::new(number, 0)).collect();
        let key_of: KeyOf<u64, u64> = Arc::new(|number| number % 7);
        let mut run = KeyRun::new();
        let mut rows = records.into_iter();
        let mut seen = 0;
        while !rows.as_slice().is_empty() {
            run.read(&key_of, rows.as_slice(), seen);
            assert!(run.hashes().len() <= KEYS_MAX);
            for ((hash, key), record) in run.drain().zip(rows.by_ref()) {
                assert_eq!((record.value, key), (seen, seen % 7));
                assert_eq!(hash, key.stable_hash());
                seen += 1;
            }
        }
        assert_eq!(seen, 200);
    }
}
