//! Joining by looking one side up, which is in memory.

use super::blocking::{Out, Produce};
use super::group::Hashed;
use super::product::PairFunction;
use crate::operators::KeyOf;
use crate::spill::{Sequence, Spooled};
use eddyline_core::{Data, Error, Key, Result};
use hashbrown::HashTable;
use std::sync::Arc;

/// What becomes of the values of both sides. The pairs of flags say: those without a partner, those with one (once).
pub(super) struct Probed<B, P, O> {
    pub(super) pair: PairFunction<B, P, O>,
    pub(super) build_alone: Arc<dyn Fn(&B) -> O + Send + Sync>,
    pub(super) probe_alone: Arc<dyn Fn(&P) -> O + Send + Sync>,
    pub(super) pairs: bool,
    pub(super) emits_build: (bool, bool),
    pub(super) emits_probe: (bool, bool),
}

/// The end of a chain of rows.
const NONE: u32 = u32::MAX;

/// The rows of a key on the side that is looked up: a chain through [`HashJoin::next`], in the order of arrival.
struct Group {
    hash: u64,
    first: u32,
    last: u32,
    matched: bool,
}

/// The group of a key.
fn find<K: Key, B>(
    index: &HashTable<u32>,
    (groups, build): (&[Group], &[Hashed<B>]),
    key_of: &KeyOf<B, K>,
    hash: u64,
    key: &K,
) -> Option<u32> {
    let found = index.find(hash, |group| {
        let group = &groups[*group as usize];
        group.hash == hash && key_of(&build[group.first as usize].value) == *key
    });
    found.copied()
}

/// Looks up each probed value among those of the build side.
pub(super) struct HashJoin<K, B, P, O> {
    build_key: KeyOf<B, K>,
    probe_key: KeyOf<P, K>,
    spooled: Option<Spooled<Hashed<B>>>,
    build: Vec<Hashed<B>>,
    /// The next row with the key of each row.
    next: Vec<u32>,
    groups: Vec<Group>,
    index: HashTable<u32>,
    probe: Sequence<Hashed<P>>,
    probed: Probed<B, P, O>,
    /// A probed value and the next row that it has to meet.
    current: Option<(P, u32)>,
    /// Once the probe side is at its end: the group and the row to look at next.
    rest: Option<(usize, u32)>,
}

impl<K: Key, B: Data, P: Data, O: Data> HashJoin<K, B, P, O> {
    pub(super) fn new(
        (build_key, build): (KeyOf<B, K>, Spooled<Hashed<B>>),
        (probe_key, probe): (KeyOf<P, K>, Spooled<Hashed<P>>),
        probed: Probed<B, P, O>,
    ) -> Self {
        HashJoin {
            build_key,
            probe_key,
            spooled: Some(build),
            build: Vec::new(),
            next: Vec::new(),
            groups: Vec::new(),
            index: HashTable::new(),
            probe: probe.into_sequence(),
            probed,
            current: None,
            rest: None,
        }
    }

    /// Makes the index: a group per key, whose rows are chained.
    fn index(&mut self) -> Result<()> {
        let Some(spooled) = self.spooled.take() else { return Ok(()) };
        self.build = spooled.into_arrived();
        if self.build.len() >= NONE as usize {
            return Err(Error::memory("a join cannot look up a side with more than four billion records")
                .with_hint("choose JoinStrategy::SortMerge, or run more workers"));
        }
        self.next = vec![NONE; self.build.len()];
        self.index.reserve(self.build.len(), |_| 0);
        for (row, Hashed { hash, value }) in self.build.iter().enumerate() {
            let (row, key) = (row as u32, (self.build_key)(value));
            match find(&self.index, (&self.groups, &self.build), &self.build_key, *hash, &key) {
                Some(group) => {
                    let group = &mut self.groups[group as usize];
                    self.next[group.last as usize] = row;
                    group.last = row;
                }
                None => {
                    let groups = &self.groups;
                    self.index
                        .insert_unique(*hash, groups.len() as u32, |group| groups[*group as usize].hash);
                    self.groups.push(Group { hash: *hash, first: row, last: row, matched: false });
                }
            }
        }
        Ok(())
    }

    fn look_up(&self, hash: u64, key: &K) -> Option<usize> {
        let group = find(&self.index, (&self.groups, &self.build), &self.build_key, hash, key)?;
        Some(group as usize)
    }

    /// Takes the next probed value; says whether there was one.
    fn probe(&mut self, out: &mut Out<O>) -> Result<bool> {
        let Some(Hashed { hash, value }) = self.probe.next()? else { return Ok(false) };
        let found = self.look_up(hash, &(self.probe_key)(&value));
        let (alone, once) = self.probed.emits_probe;
        match found {
            None if alone => out.push((self.probed.probe_alone)(&value)),
            None => {}
            Some(group) => {
                let group = &mut self.groups[group];
                group.matched = true;
                if once {
                    out.push((self.probed.probe_alone)(&value));
                }
                if self.probed.pairs {
                    self.current = Some((value, group.first));
                }
            }
        }
        Ok(true)
    }

    /// Gives what is left of the build side; says whether there is more.
    fn finish(&mut self, (mut at, mut row): (usize, u32), out: &mut Out<O>) -> bool {
        let (alone, once) = self.probed.emits_build;
        while let Some(group) = self.groups.get(at) {
            if if group.matched { once } else { alone } {
                // `NONE` stands for the group's first row here, as a group always has one.
                row = if row == NONE { group.first } else { row };
                while row != NONE {
                    if out.is_full() {
                        self.rest = Some((at, row));
                        return true;
                    }
                    out.push((self.probed.build_alone)(&self.build[row as usize].value));
                    row = self.next[row as usize];
                }
            }
            (at, row) = (at + 1, NONE);
        }
        self.rest = Some((at, row));
        false
    }
}

impl<K: Key, B: Data, P: Data, O: Data> Produce<O> for HashJoin<K, B, P, O> {
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        self.index()?;
        while !out.is_full() {
            if let Some(rest) = self.rest {
                return Ok(self.finish(rest, out));
            }
            if let Some((value, row)) = &mut self.current {
                out.push((self.probed.pair)(&self.build[*row as usize].value, value));
                *row = self.next[*row as usize];
                if *row == NONE {
                    self.current = None;
                }
            } else if !self.probe(out)? {
                self.rest = Some((0, NONE));
            }
        }
        Ok(true)
    }
}
