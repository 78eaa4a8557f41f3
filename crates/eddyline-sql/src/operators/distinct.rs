//! The distinct arguments that a group has seen, shared by all of its DISTINCT calls over the same columns.

use super::accumulator::Aggregator;
use crate::row::{ColumnView, RowBytes};
use crate::types::{SqlType, TypeKind};
use eddyline_core::{Data, DataType, DecodeError, Reader, Value};
use hashbrown::HashTable;
use std::collections::BTreeMap;

/// Calls that can share their arguments.
const CALLS_MAX: usize = 64;

/// What arguments are kept as.
pub(crate) trait Argument: Data + Ord {
    fn hash(&self) -> u64;
}

impl Argument for i64 {
    #[inline]
    fn hash(&self) -> u64 {
        // Fibonacci hashing, with the well-mixed upper half in the lower one, too.
        let mixed = (*self as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    }
}

impl Argument for Vec<u8> {
    #[inline]
    fn hash(&self) -> u64 {
        eddyline_core::stable_hash(self)
    }
}

/// Values, and for each the calls that saw it, a bit each. Written in the order of the values.
#[derive(Debug, Clone)]
pub(crate) struct Seen<K>(HashTable<(K, u64)>);

impl<K: Argument> Seen<K> {
    /// Adds `calls` to those that saw `value`; answers which of them are new.
    #[inline]
    fn add(&mut self, value: &K, calls: u64) -> u64 {
        let hash = value.hash();
        if let Some((_, known)) = self.0.find_mut(hash, |(key, _)| key == value) {
            let new = calls & !*known;
            *known |= calls;
            return new;
        }
        self.0.insert_unique(hash, (value.clone(), calls), |(key, _)| key.hash());
        calls
    }

    fn sorted(&self) -> BTreeMap<K, u64> {
        self.0.iter().cloned().collect()
    }

    fn of(values: BTreeMap<K, u64>) -> Self {
        let mut table = HashTable::with_capacity(values.len());
        for (value, calls) in values {
            table.insert_unique(value.hash(), (value, calls), |(key, _): &(K, u64)| key.hash());
        }
        Seen(table)
    }
}

impl<K: Argument> Data for Seen<K> {
    fn schema() -> DataType {
        BTreeMap::<K, u64>::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.sorted().encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        BTreeMap::decode(input).map(Seen::of)
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        BTreeMap::from_value(value).map(Seen::of)
    }

    fn heap_bytes(&self) -> usize {
        let flat = self.0.capacity() * (size_of::<(K, u64)>() + 1);
        flat + if K::HAS_HEAP { self.0.iter().map(|(key, _)| key.heap_bytes()).sum() } else { 0 }
    }
}

/// The arguments of the calls over some columns.
#[derive(Debug, Clone, Data)]
pub(crate) enum Distinct {
    /// One whole number each; rows are never taken back.
    Whole(Seen<i64>),
    /// Encoded; rows are never taken back.
    Encoded(Seen<Vec<u8>>),
    /// Encoded, with how often each call saw them.
    Counted(BTreeMap<Vec<u8>, Vec<i64>>),
}

/// The DISTINCT calls over some columns.
#[derive(Debug, Clone)]
pub(crate) struct DistinctSet {
    args: Vec<usize>,
    /// Their places among all calls.
    pub(crate) calls: Vec<usize>,
    whole: bool,
    counted: bool,
}

impl DistinctSet {
    /// The sets that `aggregators` need; `input` are the types of the rows.
    pub(crate) fn all(aggregators: &[Aggregator], input: &[SqlType], updating: bool) -> Vec<DistinctSet> {
        let mut sets: Vec<DistinctSet> = Vec::new();
        for (number, call) in aggregators.iter().enumerate().filter(|(_, call)| call.is_distinct()) {
            let fits = |set: &&mut DistinctSet| set.args == call.args() && set.calls.len() < CALLS_MAX;
            match sets.iter_mut().find(fits) {
                Some(set) => {
                    set.calls.push(number);
                    set.whole &= !call.takes_nulls();
                }
                None => {
                    let args = call.args().to_vec();
                    let is_whole = |kind: &TypeKind| kind.is_integer() || kind.is_temporal();
                    let whole = args.len() == 1 && is_whole(&input[args[0]].kind) && !call.takes_nulls();
                    sets.push(DistinctSet { args, calls: vec![number], whole, counted: updating });
                }
            }
        }
        sets
    }

    pub(crate) fn create(&self) -> Distinct {
        if self.counted {
            Distinct::Counted(BTreeMap::new())
        } else if self.whole {
            Distinct::Whole(Seen(HashTable::new()))
        } else {
            Distinct::Encoded(Seen(HashTable::new()))
        }
    }

    /// Takes a row's arguments in or, with `retracts`, out for the calls of `wanted`, a bit each; answers for which of
    /// them that makes a difference.
    #[inline]
    pub(crate) fn change(
        &self,
        distinct: &mut Distinct,
        views: &[ColumnView<'_>],
        row: usize,
        wanted: u64,
        retracts: bool,
        scratch: &mut RowBytes,
    ) -> u64 {
        if let Distinct::Whole(seen) = distinct {
            return views[self.args[0]].int(row).map_or(0, |value| seen.add(&value, wanted));
        }
        scratch.clear();
        for arg in &self.args {
            views[*arg].encode(row, scratch);
        }
        match distinct {
            Distinct::Encoded(seen) => seen.add(scratch, wanted),
            Distinct::Counted(counts) => {
                let counts_of = counts.entry(scratch.clone()).or_insert_with(|| vec![0; self.calls.len()]);
                let mut changed = 0;
                for (bit, count) in counts_of.iter_mut().enumerate().filter(|(bit, _)| wanted >> bit & 1 == 1)
                {
                    let before = *count;
                    *count += if retracts { -1 } else { 1 };
                    if (before == 0 && *count == 1) || (before == 1 && *count == 0) {
                        changed |= 1 << bit;
                    }
                }
                if counts_of.iter().all(|count| *count == 0) {
                    counts.remove(scratch);
                }
                changed
            }
            Distinct::Whole(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_sees_a_value_once() {
        let mut seen = Seen(HashTable::new());
        assert_eq!(seen.add(&7i64, 0b01), 0b01);
        assert_eq!(seen.add(&7, 0b11), 0b10);
        assert_eq!(seen.add(&7, 0b11), 0);
        assert_eq!(seen.add(&8, 0b10), 0b10);
        let mut bytes = Vec::new();
        seen.encode(&mut bytes);
        let again = Seen::<i64>::decode(&mut Reader::new(&bytes)).expect("what was written");
        assert_eq!(again.sorted(), BTreeMap::from([(7, 0b11), (8, 0b10)]));
    }
}
