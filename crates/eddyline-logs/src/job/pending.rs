//! What has been counted and not been handed on yet.
//!
//! # Contract
//! - Sums of a slice of ten seconds and counts of a minute's values are handed on when the watermark has come to their
//!   end: not before, as nobody can use them earlier, and not after, as they would be late.
//! - Visits are handed on when the watermark comes to the minute they are of. A session ends when the watermark has come
//!   to its end, so whatever could prolong it is there by then.
//! - What belongs before the watermark already is handed on at the next opportunity, and is judged by those who get it.
//! - Everything can be taken as [`Kept`] parts, and taken back from them in any number and order, also by others.

use super::block::{Block, BlockLine};
use super::hosts::{Accesses, Hosts};
use super::tally::{Counts, Tally, hash_of};
use super::totals::Totals;
use crate::summary::{MINUTE_MS, minute_of};
use eddyline::{Data, EventTime};

/// The length of a slice: what all windows are made of.
pub(super) const SLICE_MS: i64 = 10_000;

/// The values of a minute.
#[derive(Default)]
pub(super) struct Minute {
    pub(super) paths: Tally,
    pub(super) agents: Tally,
    pub(super) hosts: Hosts,
}

/// The sums of a slice.
#[derive(Default)]
pub(super) struct Slice {
    totals: Totals,
    /// Accesses by status: few, and the frequent ones come first.
    status: Vec<(u16, u64)>,
}

impl Slice {
    /// Adds a line of a host of this hash.
    #[inline]
    fn add(&mut self, line: &BlockLine, host_hash: Option<u64>) {
        let totals = &mut self.totals;
        totals.lines += 1;
        totals.errors += u64::from(line.is_error());
        if let Some(host_hash) = host_hash {
            totals.visitors.add(host_hash);
        }
        if let Some(latency_us) = line.latency_us() {
            totals.latency.add(latency_us);
        }
        if line.status != 0 {
            totals.requests += 1;
            totals.bytes = totals.bytes.saturating_add(line.bytes);
            self.add_status(line.status);
        }
    }

    #[inline]
    fn add_status(&mut self, status: u16) {
        match self.status.iter().position(|(known, _)| *known == status) {
            Some(place) => {
                self.status[place].1 += 1;
                if place > 0 && self.status[place].1 > self.status[place - 1].1 {
                    self.status.swap(place, place - 1);
                }
            }
            None => self.status.push((status, 1)),
        }
    }

    fn into_totals(mut self) -> Totals {
        for (status, count) in self.status {
            *self.totals.status.entry(status).or_default() += count;
        }
        self.totals
    }
}

/// Things by the start of the stretch of time that they are of. The one that was asked for last is found at once.
struct ByTime<T> {
    /// In the order of time.
    entries: Vec<(EventTime, Box<T>)>,
    latest: usize,
    /// Empty ones that have memory already.
    spare: Vec<Box<T>>,
}

/// So many are kept for those that begin next.
const SPARE_MAX: usize = 2;

impl<T> Default for ByTime<T> {
    fn default() -> Self {
        ByTime { entries: Vec::new(), latest: 0, spare: Vec::new() }
    }
}

impl<T: Default> ByTime<T> {
    #[inline]
    fn at(&mut self, start: EventTime) -> &mut T {
        if self.entries.get(self.latest).is_none_or(|(known, _)| *known != start) {
            self.find(start);
        }
        &mut self.entries[self.latest].1
    }

    fn find(&mut self, start: EventTime) {
        let found = self.entries.binary_search_by_key(&start, |(known, _)| *known);
        self.latest = found.unwrap_or_else(|place| {
            self.entries.insert(place, (start, self.spare.pop().unwrap_or_default()));
            place
        });
    }

    /// The first, if it begins at `limit` at the latest.
    fn take_until(&mut self, limit: EventTime) -> Option<(EventTime, Box<T>)> {
        self.entries.first().filter(|(start, _)| *start <= limit)?;
        self.latest = 0;
        Some(self.entries.remove(0))
    }
}

/// A part of what is pending, as it is kept in a checkpoint.
#[derive(Debug, Clone, Data)]
pub(super) enum Kept {
    Slice { start: EventTime, totals: Totals },
    Minute { start: EventTime, paths: Counts, agents: Counts, hosts: Counts, accesses: Vec<Accesses> },
}

/// Sums, counts and visits that wait for the watermark.
#[derive(Default)]
pub(super) struct Pending {
    slices: ByTime<Slice>,
    minutes: ByTime<Minute>,
    /// Room for the hashes of a block's hosts.
    hashes: Vec<u64>,
}

impl Pending {
    /// Counts the lines of a block: one kind of thing after the other, so that a processor can go on to the next line
    /// while it waits for memory.
    pub(super) fn add(&mut self, block: &Block) {
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.clear();
        hashes.extend(block.lines().iter().map(|line| hash_of(block.host(line))));
        let mut hosts = hashes.as_slice();
        for run in block.lines().chunk_by(|one, next| minute_of(one.time) == minute_of(next.time)) {
            let minute = self.minutes.at(minute_of(run[0].time));
            let (of_run, rest) = hosts.split_at(run.len());
            hosts = rest;
            for (line, &hash) in run.iter().zip(of_run) {
                let host = block.host(line);
                if !host.is_empty() {
                    let place = minute.hosts.add(hash, host, 1);
                    if line.status != 0 {
                        let (first, last) = (line.time, line.time);
                        minute.hosts.visit(place, Accesses { first, last, requests: 1, bytes: line.bytes });
                    }
                }
            }
            for line in run.iter().filter(|line| line.status != 0) {
                let path = block.path(line);
                if !path.is_empty() {
                    minute.paths.add(hash_of(path), path, 1);
                }
            }
            for line in run {
                let agent = block.agent(line);
                if !agent.is_empty() {
                    minute.agents.add(hash_of(agent), agent, 1);
                }
            }
        }
        for (line, &hash) in block.lines().iter().zip(&hashes) {
            self.slices.at(slice_of(line.time)).add(line, (!block.host(line).is_empty()).then_some(hash));
        }
        self.hashes = hashes;
    }

    /// The sums of the next slice that `watermark` has passed.
    pub(super) fn next_slice(&mut self, watermark: EventTime) -> Option<(EventTime, Totals)> {
        let (start, slice) = self.slices.take_until(watermark.saturating_sub(SLICE_MS - 1))?;
        Some((start, slice.into_totals()))
    }

    /// The values of the next minute that `watermark` has passed. Its visits have to be taken before.
    pub(super) fn next_minute(&mut self, watermark: EventTime) -> Option<(EventTime, Box<Minute>)> {
        self.minutes.take_until(watermark.saturating_sub(MINUTE_MS - 1))
    }

    /// A minute's values are not needed any more: the next minute will have about as many.
    pub(super) fn give_back(&mut self, mut minute: Box<Minute>) {
        if self.minutes.spare.len() < SPARE_MAX {
            minute.paths.clear();
            minute.agents.clear();
            minute.hosts.clear();
            self.minutes.spare.push(minute);
        }
    }

    /// Hands over the accesses of about `most` hosts of minutes that `watermark` has come to; answers whether none is
    /// left.
    pub(super) fn take_visits(
        &mut self,
        watermark: EventTime,
        most: usize,
        mut take: impl FnMut(&[u8], Accesses),
    ) -> bool {
        let reached = watermark.saturating_add(1);
        let mut minutes = self.minutes.entries.iter_mut().take_while(|(start, _)| *start <= reached);
        minutes.all(|(_, minute)| minute.hosts.take_visits(most, &mut take))
    }

    /// Everything there is, in parts.
    pub(super) fn keep(&self) -> Vec<Kept> {
        let slices = self.slices.entries.iter().map(|(start, slice)| {
            let slice = Slice { totals: slice.totals.clone(), status: slice.status.clone() };
            Kept::Slice { start: *start, totals: slice.into_totals() }
        });
        let minutes = self.minutes.entries.iter().map(|(start, minute)| {
            let (paths, agents) = (minute.paths.counts(), minute.agents.counts());
            let (hosts, accesses) = minute.hosts.keep();
            Kept::Minute { start: *start, paths, agents, hosts, accesses }
        });
        slices.chain(minutes).collect()
    }

    /// Adds a part that [`Pending::keep`] gave.
    pub(super) fn restore(&mut self, kept: Kept) {
        match kept {
            Kept::Slice { start, totals } => self.slices.at(start).totals.merge(&totals),
            Kept::Minute { start, paths, agents, hosts, accesses } => {
                let minute = self.minutes.at(start);
                minute.paths.add_all(&paths);
                minute.agents.add_all(&agents);
                for ((host, count), accesses) in hosts.iter().zip(accesses) {
                    let place = minute.hosts.add(hash_of(host), host, count);
                    if accesses.requests > 0 {
                        minute.hosts.visit(place, accesses);
                    }
                }
            }
        }
    }
}

/// The start of the slice that a time lies in.
#[inline]
pub(super) fn slice_of(time: EventTime) -> EventTime {
    const { assert!(MINUTE_MS % SLICE_MS == 0) };
    time.saturating_sub(time.rem_euclid(SLICE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{LineReader, ReadOptions};
    use std::collections::BTreeMap;

    fn block(lines: &[&str]) -> Block {
        let mut reader = LineReader::new(ReadOptions::default().into());
        let mut block = Block::default();
        for line in lines {
            let fields = reader.read(line.as_bytes()).expect("an access line");
            block.push(line.as_bytes(), 0, &fields);
        }
        block
    }

    /// What is handed on at `watermark`: lines by slice, requests by host and bounds, hosts by minute.
    #[allow(clippy::type_complexity)] // said once, compared often
    fn handed_on(
        pending: &mut Pending,
        watermark: EventTime,
    ) -> (Vec<(EventTime, u64)>, BTreeMap<Vec<u8>, Vec<Accesses>>, Vec<(EventTime, usize)>) {
        let mut visits: BTreeMap<Vec<u8>, Vec<Accesses>> = BTreeMap::new();
        let take = |host: &[u8], accesses| visits.entry(host.to_vec()).or_default().push(accesses);
        assert!(pending.take_visits(watermark, usize::MAX, take));
        let slices = std::iter::from_fn(|| pending.next_slice(watermark));
        let slices = slices.map(|(start, totals)| (start, totals.lines)).collect();
        let minutes = std::iter::from_fn(|| pending.next_minute(watermark));
        (slices, visits, minutes.map(|(start, minute)| (start, minute.hosts.keep().1.len())).collect())
    }

    #[test]
    fn everything_is_handed_on_when_its_time_has_come() {
        let lines = [
            r#"a - - [01/Jan/1970:00:00:05 +0000] "GET /x HTTP/1.1" 200 5"#,
            r#"b - - [01/Jan/1970:00:00:15 +0000] "GET /x HTTP/1.1" 503 5"#,
            r#"a - - [01/Jan/1970:00:00:09 +0000] "GET /y HTTP/1.1" 200 5"#,
            r#"a - - [01/Jan/1970:00:01:00 +0000] "GET /y HTTP/1.1" 200 7"#,
        ];
        let (first, lines) = (block(&lines[..1]), block(&lines));
        let mut pending = Pending::default();
        pending.add(&lines);
        let mut again = Pending::default();
        pending.keep().into_iter().rev().for_each(|kept| again.restore(kept));
        let accesses = |first, last, requests, bytes| Accesses { first, last, requests, bytes };
        for mut pending in [pending, again] {
            assert_eq!(handed_on(&mut pending, -2), (vec![], BTreeMap::new(), vec![]));
            let visits = BTreeMap::from([
                (b"a".to_vec(), vec![accesses(5_000, 9_000, 2, 10)]),
                (b"b".to_vec(), vec![accesses(15_000, 15_000, 1, 5)]),
            ]);
            assert_eq!(handed_on(&mut pending, -1), (vec![], visits, vec![]));
            assert_eq!(handed_on(&mut pending, 9_998).0, []);
            assert_eq!(handed_on(&mut pending, 9_999).0, [(0, 2)]);
            // A line behind the watermark does not wait.
            pending.add(&first);
            let again = BTreeMap::from([(b"a".to_vec(), vec![accesses(5_000, 5_000, 1, 5)])]);
            assert_eq!(handed_on(&mut pending, 9_999), (vec![(0, 1)], again, vec![]));
            let (slices, visits, minutes) = handed_on(&mut pending, 59_999);
            assert_eq!((slices, minutes), (vec![(10_000, 1)], vec![(0, 2)]));
            assert_eq!(visits[&b"a"[..]], [accesses(60_000, 60_000, 1, 7)]);
            let (slices, visits, minutes) = handed_on(&mut pending, EventTime::MAX);
            assert_eq!((slices, visits.len(), minutes), (vec![(60_000, 1)], 0, vec![(60_000, 1)]));
            assert!(pending.keep().is_empty());
        }
    }
}
