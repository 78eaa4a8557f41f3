//! Joining by looking one side up, which is in memory.

use super::blocking::{Out, Produce};
use super::group::Hashed;
use super::product::PairFunction;
use crate::operators::KeyOf;
use crate::spill::{Sequence, Spooled};
use eddyline_core::{Data, Key, Result};
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

/// The rows of a key on the side that is looked up.
struct Group {
    hash: u64,
    start: usize,
    end: usize,
    matched: bool,
}

/// Looks up each probed value among those of the build side.
pub(super) struct HashJoin<K, B, P, O> {
    build_key: KeyOf<B, K>,
    probe_key: KeyOf<P, K>,
    spooled: Option<Spooled<Hashed<B>>>,
    build: Vec<Hashed<B>>,
    groups: Vec<Group>,
    index: HashTable<usize>,
    probe: Sequence<Hashed<P>>,
    probed: Probed<B, P, O>,
    /// A probed value and the rows that it still has to meet.
    current: Option<(P, std::ops::Range<usize>)>,
    /// Once the probe side is at its end: the group and the row to look at next.
    rest: Option<(usize, usize)>,
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
            groups: Vec::new(),
            index: HashTable::new(),
            probe: probe.into_sequence(),
            probed,
            current: None,
            rest: None,
        }
    }

    /// Makes the index: sorted rows, a group per key.
    fn index(&mut self) {
        let Some(spooled) = self.spooled.take() else { return };
        self.build = spooled.into_rows();
        let same = |one: &Hashed<B>, other: &Hashed<B>| {
            one.hash == other.hash && (self.build_key)(&one.value) == (self.build_key)(&other.value)
        };
        let mut start = 0;
        for rows in self.build.chunk_by(same) {
            let hash = rows[0].hash;
            self.index.insert_unique(hash, self.groups.len(), |group| self.groups[*group].hash);
            self.groups.push(Group { hash, start, end: start + rows.len(), matched: false });
            start += rows.len();
        }
    }

    fn look_up(&self, hash: u64, key: &K) -> Option<usize> {
        let found = self.index.find(hash, |group| {
            let group = &self.groups[*group];
            group.hash == hash && (self.build_key)(&self.build[group.start].value) == *key
        });
        found.copied()
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
                    self.current = Some((value, group.start..group.end));
                }
            }
        }
        Ok(true)
    }

    /// Gives what is left of the build side; says whether there is more.
    fn finish(&mut self, (mut at, mut row): (usize, usize), out: &mut Out<O>) -> bool {
        let (alone, once) = self.probed.emits_build;
        while let Some(group) = self.groups.get(at) {
            if if group.matched { once } else { alone } {
                for build in &self.build[group.start + row..group.end] {
                    if out.is_full() {
                        self.rest = Some((at, row));
                        return true;
                    }
                    out.push((self.probed.build_alone)(&build.value));
                    row += 1;
                }
            }
            (at, row) = (at + 1, 0);
        }
        self.rest = Some((at, row));
        false
    }
}

impl<K: Key, B: Data, P: Data, O: Data> Produce<O> for HashJoin<K, B, P, O> {
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        self.index();
        while !out.is_full() {
            if let Some(rest) = self.rest {
                return Ok(self.finish(rest, out));
            }
            if let Some((value, rows)) = &mut self.current {
                match rows.next() {
                    Some(row) => out.push((self.probed.pair)(&self.build[row].value, value)),
                    None => self.current = None,
                }
            } else if !self.probe(out)? {
                self.rest = Some((0, 0));
            }
        }
        Ok(true)
    }
}
