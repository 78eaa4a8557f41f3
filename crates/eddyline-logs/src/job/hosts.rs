//! The hosts of a minute: how many lines each has, and its accesses that were not handed on yet.
//!
//! There are many, and each line looks one up: what is known of a host is one line of the processor's cache, its name
//! included if that is not too long.

use super::tally::Counts;
use eddyline::{Data, EventTime};
use hashbrown::HashTable;

/// Accesses of a host within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Data)]
pub(super) struct Accesses {
    pub(super) first: EventTime,
    pub(super) last: EventTime,
    pub(super) requests: u64,
    pub(super) bytes: u64,
}

/// Names up to this length are kept with the host.
const NAME_BYTES_MAX: usize = 23;
/// In place of the length: the name is longer, and elsewhere.
const IS_ELSEWHERE: u8 = u8::MAX;

/// A name and its length, padded with zeros; or where it is.
type Name = [u8; NAME_BYTES_MAX + 1];

/// What is known of a host.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Host {
    hash: u64,
    name: Name,
    first: EventTime,
    last: EventTime,
    bytes: u64,
    /// Accesses that were not handed on.
    requests: u32,
    lines: u32,
}

const _: () = assert!(size_of::<Host>() == 64);

/// The hosts of a minute.
#[derive(Default)]
pub(super) struct Hosts {
    table: HashTable<u32>,
    hosts: Vec<Host>,
    /// Names that are too long.
    long_names: Vec<u8>,
    /// The hosts that have accesses that were not handed on.
    visitors: Vec<u32>,
}

#[inline]
fn short(name: &[u8]) -> Option<Name> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut packed = [0; NAME_BYTES_MAX + 1];
    packed[..name.len()].copy_from_slice(name);
    packed[NAME_BYTES_MAX] = name.len() as u8;
    Some(packed)
}

impl Hosts {
    /// Counts lines of a host, the hash of whose name is `hash`; answers its place.
    #[inline]
    pub(super) fn add(&mut self, hash: u64, name: &[u8], lines: u64) -> usize {
        let packed = short(name);
        let Hosts { table, hosts, long_names, .. } = self;
        let found = table.find(hash, |&place| {
            let host = &hosts[place as usize];
            host.hash == hash
                && match &packed {
                    Some(packed) => host.name == *packed,
                    None => long_name(long_names, &host.name) == Some(name),
                }
        });
        let place = match found {
            Some(&place) => place,
            None => self.insert(hash, name, packed),
        };
        let host = &mut self.hosts[place as usize];
        host.lines = host.lines.saturating_add(lines.min(u64::from(u32::MAX)) as u32);
        place as usize
    }

    #[inline(never)]
    fn insert(&mut self, hash: u64, name: &[u8], packed: Option<Name>) -> u32 {
        let name = packed.unwrap_or_else(|| {
            let mut elsewhere = [0; NAME_BYTES_MAX + 1];
            elsewhere[..4].copy_from_slice(&(self.long_names.len() as u32).to_le_bytes());
            elsewhere[4..8].copy_from_slice(&(name.len() as u32).to_le_bytes());
            elsewhere[NAME_BYTES_MAX] = IS_ELSEWHERE;
            self.long_names.extend_from_slice(name);
            elsewhere
        });
        let place = self.hosts.len() as u32;
        self.hosts.push(Host { hash, name, first: 0, last: 0, bytes: 0, requests: 0, lines: 0 });
        let hosts = &self.hosts;
        self.table.insert_unique(hash, place, |&place| hosts[place as usize].hash);
        place
    }

    /// Adds accesses of the host at `place`.
    #[inline]
    pub(super) fn visit(&mut self, place: usize, added: Accesses) {
        let host = &mut self.hosts[place];
        let requests = added.requests.min(u64::from(u32::MAX)) as u32;
        if host.requests == 0 {
            self.visitors.push(place as u32);
            (host.first, host.last, host.bytes, host.requests) =
                (added.first, added.last, added.bytes, requests);
        } else {
            (host.first, host.last) = (host.first.min(added.first), host.last.max(added.last));
            host.bytes = host.bytes.saturating_add(added.bytes);
            host.requests = host.requests.saturating_add(requests);
        }
    }

    /// Hands over the accesses of at most `most` hosts; answers whether none is left.
    pub(super) fn take_visits(&mut self, most: usize, mut take: impl FnMut(&[u8], Accesses)) -> bool {
        for _ in 0..most {
            let Some(place) = self.visitors.pop() else { return true };
            let host = &mut self.hosts[place as usize];
            let accesses = accesses_of(host);
            host.requests = 0;
            take(name_of(&self.long_names, &self.hosts[place as usize].name), accesses);
        }
        self.visitors.is_empty()
    }

    /// Forgets everything but the memory that it took.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.hosts.clear();
        self.long_names.clear();
        self.visitors.clear();
    }

    /// All hosts and how many lines they have, packed into `parts` by their hashes.
    pub(super) fn parts(&self, parts: usize) -> Vec<Counts> {
        let mut packed = vec![Counts::default(); parts];
        for host in &self.hosts {
            let name = name_of(&self.long_names, &host.name);
            packed[super::tally::part_of(host.hash, parts)].push(name, u64::from(host.lines));
        }
        packed
    }

    /// All hosts and how many lines they have, and what was not handed on of each.
    pub(super) fn keep(&self) -> (Counts, Vec<Accesses>) {
        let mut counts = Counts::default();
        let hosts = self.hosts.iter();
        hosts.for_each(|host| counts.push(name_of(&self.long_names, &host.name), u64::from(host.lines)));
        (counts, self.hosts.iter().map(accesses_of).collect())
    }
}

fn accesses_of(host: &Host) -> Accesses {
    let Host { first, last, bytes, requests, .. } = *host;
    Accesses { first, last, requests: u64::from(requests), bytes }
}

/// A name that is elsewhere.
fn long_name<'a>(long_names: &'a [u8], name: &Name) -> Option<&'a [u8]> {
    if name[NAME_BYTES_MAX] != IS_ELSEWHERE {
        return None;
    }
    let number = |at: usize| {
        let bytes = name[at..at + 4].try_into().expect("invariant: four bytes are four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    long_names.get(number(0)..number(0) + number(4))
}

fn name_of<'a>(long_names: &'a [u8], name: &'a Name) -> &'a [u8] {
    long_name(long_names, name)
        .unwrap_or_else(|| &name[..usize::from(name[NAME_BYTES_MAX]).min(NAME_BYTES_MAX)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_of_any_length_are_told_apart() {
        let mut hosts = Hosts::default();
        let mut expected: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
        for round in 0..3_u64 {
            for length in 0..60_usize {
                for ending in [&b""[..], b"a", b"\0"] {
                    let name = [vec![b'h'; length], ending.to_vec()].concat();
                    // All hashes are equal: what is the same is decided by the names.
                    let place = hosts.add(7, &name, 2);
                    let time = round as i64 * 100 + length as i64;
                    hosts.visit(place, Accesses { first: time, last: time, requests: 1, bytes: 3 });
                    let known = expected.entry(name).or_default();
                    (known.0, known.1) = (known.0 + 2, known.1 + 1);
                }
            }
        }
        let mut found: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
        let (counts, accesses) = hosts.keep();
        for ((name, lines), accesses) in counts.iter().zip(&accesses) {
            found.insert(name.to_vec(), (lines, accesses.requests));
            assert!(accesses.bytes == 3 * accesses.requests && accesses.first <= accesses.last);
        }
        assert_eq!(found, expected);
        let mut taken = 0;
        while !hosts.take_visits(10, |name, accesses| {
            assert_eq!(expected[name].1, accesses.requests);
            taken += 1;
        }) {}
        assert_eq!(taken, expected.len());
        assert!(hosts.take_visits(10, |_, _| panic!("nothing is handed on twice")));
        let parts = hosts.parts(4);
        assert_eq!(parts.iter().map(Counts::len).sum::<usize>(), expected.len());
    }
}
