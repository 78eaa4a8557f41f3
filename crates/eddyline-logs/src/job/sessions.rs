//! Sessions: the accesses of a host without a pause of more than the gap.
//!
//! The same as session windows by host, for very many hosts: hosts are divided into parts by their hashes, what comes
//! are the visits of a part's hosts in one record, and the open sessions of a part are one state. So what a record needs
//! is close together in memory, and a timer serves a part.
//!
//! # Contract
//! - Accesses from `first` to `last` keep a session open from `first` until the gap after `last`. Sessions of a host
//!   that touch or overlap are one.
//! - A session is emitted, with its last moment as timestamp, when the watermark has come to its end; what would have
//!   prolonged it begins another one from then on. Visits that are over by then are dropped, unless they belong to a
//!   session that is open.

use super::hosts::Accesses;
use super::tally::{Counts, hash_of};
use crate::record::text_of;
use crate::summary::{SESSION_GAP_MS, Session};
use eddyline::{
    Collector, Data, EventTime, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain,
    ValueState,
};
use eddyline_core::DecodeError;
use eddyline_core::data::{DataType, Reader, Value};
use hashbrown::HashTable;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Visits of hosts whose hashes are of one part of all.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub(super) struct Visits {
    pub(super) part: u16,
    /// The hosts, and how many requests each has made.
    pub(super) hosts: Counts,
    pub(super) accesses: Vec<Accesses>,
}

impl Visits {
    /// None yet, of hosts of this part.
    pub(super) fn of_part(part: u16) -> Self {
        Visits { part, hosts: Counts::default(), accesses: Vec::new() }
    }
}

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
struct OpenSession {
    host: Vec<u8>,
    accesses: Accesses,
}

impl OpenSession {
    fn end(&self) -> EventTime {
        self.accesses.last.saturating_add(SESSION_GAP_MS)
    }

    fn touches(&self, other: &Accesses) -> bool {
        self.accesses.first <= other.last.saturating_add(SESSION_GAP_MS) && other.first <= self.end()
    }

    fn add(&mut self, other: &Accesses) {
        let mine = &mut self.accesses;
        (mine.first, mine.last) = (mine.first.min(other.first), mine.last.max(other.last));
        mine.requests += other.requests;
        mine.bytes = mine.bytes.saturating_add(other.bytes);
    }

    fn close(self) -> Session {
        let Accesses { first, last, requests, bytes } = self.accesses;
        Session { host: text_of(&self.host), start: first, end: last, requests, bytes }
    }
}

/// The open sessions of a part's hosts.
#[derive(Debug, Clone)]
struct OpenSessions {
    /// Places of sessions by the hashes of their hosts.
    table: HashTable<u32>,
    /// None: the place is free, or will be when it comes up in `ends`.
    sessions: Vec<Option<(u64, OpenSession)>>,
    free: Vec<u32>,
    /// For every place that is not free, a time that its session does not end before.
    ends: BinaryHeap<Reverse<(EventTime, u32)>>,
    host_bytes: usize,
    /// The timer that is set.
    timer: EventTime,
}

impl Default for OpenSessions {
    fn default() -> Self {
        OpenSessions {
            table: HashTable::new(),
            sessions: Vec::new(),
            free: Vec::new(),
            ends: BinaryHeap::new(),
            host_bytes: 0,
            timer: EventTime::MAX,
        }
    }
}

impl OpenSessions {
    /// The place of a session of `host` that `accesses` touch, other than `except`.
    fn touched(&self, hash: u64, host: &[u8], accesses: &Accesses, except: Option<u32>) -> Option<u32> {
        let found = self.table.iter_hash(hash).find(|&&place| {
            Some(place) != except
                && self.sessions[place as usize].as_ref().is_some_and(|(known, session)| {
                    *known == hash && session.host == host && session.touches(accesses)
                })
        });
        found.copied()
    }

    /// Adds accesses of a host; answers whether they came too late.
    fn add(&mut self, hash: u64, host: &[u8], accesses: Accesses, watermark: EventTime) -> bool {
        if let Some(place) = self.touched(hash, host, &accesses, None) {
            self.extend(place, hash, &accesses);
            return false;
        }
        let added = OpenSession { host: host.to_vec(), accesses };
        let end = added.end();
        if end - 1 <= watermark {
            return true;
        }
        self.insert(hash, added);
        false
    }

    fn insert(&mut self, hash: u64, added: OpenSession) {
        let end = added.end();
        self.host_bytes += added.host.len();
        let place = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() as u32 - 1
        });
        self.sessions[place as usize] = Some((hash, added));
        self.ends.push(Reverse((end, place)));
        let sessions = &self.sessions;
        let hash_at = |&place: &u32| sessions[place as usize].as_ref().map_or(0, |(hash, _)| *hash);
        self.table.insert_unique(hash, place, hash_at);
    }

    /// Adds accesses to the session at `place`, and then the sessions of its host that it touches by then.
    fn extend(&mut self, place: u32, hash: u64, accesses: &Accesses) {
        let Some((_, session)) = &mut self.sessions[place as usize] else { return };
        let before = session.accesses;
        session.add(accesses);
        // Nearly always the session only goes on, into a time in which there is no other.
        if self.table.iter_hash(hash).nth(1).is_none() || session.accesses == before {
            return;
        }
        loop {
            let Some((_, session)) = &self.sessions[place as usize] else { return };
            let (host, accesses) = (session.host.clone(), session.accesses);
            let Some(other) = self.touched(hash, &host, &accesses, Some(place)) else { return };
            if let Some(other) = self.take(other)
                && let Some((_, session)) = &mut self.sessions[place as usize]
            {
                session.add(&other.accesses);
            }
        }
    }

    /// Takes the session out of its place, which is free when it comes up in `ends`.
    fn take(&mut self, place: u32) -> Option<OpenSession> {
        let (hash, session) = self.sessions[place as usize].take()?;
        if let Ok(entry) = self.table.find_entry(hash, |known| *known == place) {
            entry.remove();
        }
        self.host_bytes -= session.host.len();
        Some(session)
    }

    /// The next session that is over at `watermark`, and its last moment.
    fn next_over(&mut self, watermark: EventTime) -> Option<(OpenSession, EventTime)> {
        loop {
            let Reverse((end, place)) = *self.ends.peek().filter(|Reverse((end, _))| end - 1 <= watermark)?;
            self.ends.pop();
            let Some((_, session)) = &self.sessions[place as usize] else {
                self.free.push(place);
                continue;
            };
            let now_ends = session.end();
            if now_ends > end {
                // It has gone on since.
                self.ends.push(Reverse((now_ends, place)));
                continue;
            }
            self.free.push(place);
            if let Some(session) = self.take(place) {
                return Some((session, end - 1));
            }
        }
    }

    fn keep(&self) -> (Vec<OpenSession>, EventTime) {
        let open = self.sessions.iter().flatten().map(|(_, session)| session.clone());
        (open.collect(), self.timer)
    }

    fn of((open, timer): (Vec<OpenSession>, EventTime)) -> Self {
        let mut sessions = OpenSessions { timer, ..OpenSessions::default() };
        open.into_iter().for_each(|session| sessions.insert(hash_of(&session.host), session));
        sessions
    }
}

impl Data for OpenSessions {
    fn schema() -> DataType {
        <(Vec<OpenSession>, EventTime)>::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.keep().encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> std::result::Result<Self, DecodeError> {
        Data::decode(input).map(Self::of)
    }

    fn from_value(value: Value) -> std::result::Result<Self, DecodeError> {
        Data::from_value(value).map(Self::of)
    }

    fn heap_bytes(&self) -> usize {
        let place = size_of::<Option<(u64, OpenSession)>>() + size_of::<(EventTime, u32)>() + 8;
        self.sessions.capacity() * place + self.host_bytes
    }
}

/// Makes sessions of visits; keyed by part.
#[derive(Default)]
pub(super) struct Sessions {
    open: Option<ValueState<OpenSessions>>,
}

/// Sets the timer of a part for its next session's end, if that is earlier than the one that is set.
fn set_timer(sessions: &mut OpenSessions, context: &mut KeyedContext<'_, u16>) {
    let next = sessions.ends.peek().map_or(EventTime::MAX, |Reverse((end, _))| end - 1);
    if next < sessions.timer {
        context.register_event_time_timer(next);
        sessions.timer = next;
    }
}

impl KeyedProcessFunction<u16, Visits, Session> for Sessions {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u16>) -> Result<()> {
        self.open = Some(context.value_state("open-sessions")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        visits: Visits,
        context: &mut KeyedContext<'_, u16>,
        _out: &mut Collector<Session>,
    ) -> Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let watermark = context.watermark();
        open.with_mut(OpenSessions::default, |sessions| {
            for ((host, _), accesses) in visits.hosts.iter().zip(&visits.accesses) {
                sessions.add(hash_of(host), host, *accesses, watermark);
            }
            set_timer(sessions, context);
        });
        Ok(())
    }

    fn on_timer(
        &mut self,
        _time: i64,
        _domain: TimeDomain,
        context: &mut KeyedContext<'_, u16>,
        out: &mut Collector<Session>,
    ) -> Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let watermark = context.watermark();
        open.with_mut(OpenSessions::default, |sessions| {
            sessions.timer = EventTime::MAX;
            while let Some((session, last)) = sessions.next_over(watermark) {
                out.collect_with_time(session.close(), last);
            }
            set_timer(sessions, context);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_core::data::{from_bytes, to_bytes};
    use proptest::prelude::*;

    /// Every visit by itself, merged by comparing each with each.
    fn naive(visits: &[(Vec<u8>, Accesses)]) -> Vec<Session> {
        let mut open: Vec<OpenSession> = Vec::new();
        for (host, accesses) in visits {
            let mut merged = OpenSession { host: host.clone(), accesses: *accesses };
            loop {
                let touched = open
                    .iter()
                    .position(|known| known.host == merged.host && known.touches(&merged.accesses));
                let Some(touched) = touched else { break };
                merged.add(&open.swap_remove(touched).accesses);
            }
            open.push(merged);
        }
        sorted(open.into_iter().map(OpenSession::close).collect())
    }

    fn sorted(mut sessions: Vec<Session>) -> Vec<Session> {
        sessions.sort_by(|one, other| (&one.host, one.start).cmp(&(&other.host, other.start)));
        sessions
    }

    fn visit() -> impl Strategy<Value = (Vec<u8>, Accesses)> {
        (0..4u8, 0..40i64, 0..3i64).prop_map(|(host, start, length)| {
            let first = start * SESSION_GAP_MS / 3;
            let last = first + length * SESSION_GAP_MS / 4;
            (vec![b'h', host], Accesses { first, last, requests: 1 + length as u64, bytes: 3 })
        })
    }

    proptest! {
        #[test]
        fn sessions_are_those_of_the_model(visits in prop::collection::vec(visit(), 0..60), cut in 0..60usize) {
            let mut sessions = OpenSessions::default();
            for (number, (host, accesses)) in visits.iter().enumerate() {
                if number == cut {
                    sessions = from_bytes(&to_bytes(&sessions)).unwrap();
                }
                prop_assert!(!sessions.add(hash_of(host), host, *accesses, EventTime::MIN));
            }
            let mut found = Vec::new();
            let mut lasts = Vec::new();
            for watermark in (-1..60).map(|step| step * SESSION_GAP_MS / 2) {
                while let Some((session, last)) = sessions.next_over(watermark) {
                    prop_assert!(last <= watermark && last == session.end() - 1);
                    lasts.push(last);
                    found.push(session.close());
                }
            }
            prop_assert!(lasts.is_sorted());
            prop_assert_eq!(sorted(found), naive(&visits));
            prop_assert_eq!((sessions.table.len(), sessions.host_bytes, sessions.ends.len()), (0, 0, 0));
        }
    }

    #[test]
    fn what_comes_too_late_belongs_only_to_what_is_open() {
        let mut sessions = OpenSessions::default();
        let at = |time| Accesses { first: time, last: time, requests: 1, bytes: 0 };
        assert!(!sessions.add(1, b"a", at(1_000), EventTime::MIN));
        let watermark = SESSION_GAP_MS + 500;
        assert!(!sessions.add(1, b"a", at(0), watermark), "its session is open");
        assert!(sessions.add(2, b"b", at(0), watermark));
        assert!(sessions.next_over(watermark).is_none());
        let (session, last) = sessions.next_over(watermark + 499).expect("it is over");
        assert_eq!((session.accesses.requests, last), (2, SESSION_GAP_MS + 999));
    }
}
