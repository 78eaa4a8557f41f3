//! Traffic with incidents planted into it, and the truth about them.
//!
//! Each day has a burst of errors, a scanner and a brute force that gets in, at times that the seed decides, besides
//! the short bursts of errors that [`TrafficModel`] has by itself. What looks a little like an incident is there too:
//! users who forgot their passwords, and visitors with old bookmarks.

use super::random::{Random, mix};
use super::site::address;
use super::{Access, TrafficLine, TrafficModel, append, write_start};
use crate::detect::AlertKind;
use eddyline_core::EventTime;
use std::collections::VecDeque;
use std::iter::Peekable;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Incidents are not planted into the first hours: nothing is usual yet.
const QUIET_START_MS: i64 = 3 * 3_600_000;
/// Visitors of incidents have numbers from here on, so that they are nobody else.
const OUTSIDERS: u64 = 1 << 23;

/// Something that was planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The alert that it should raise.
    pub kind: AlertKind,
    /// Who does it; empty for bursts of errors.
    pub host: String,
    /// The time of its first line.
    pub start: EventTime,
    /// The time of its last line.
    pub end: EventTime,
}

/// The traffic of some days, with incidents.
///
/// # Examples
/// ```
/// use eddyline_logs::detect::AlertKind;
/// use eddyline_logs::traffic::IncidentTraffic;
/// let traffic = IncidentTraffic::new(7, 1_780_000_000_000, 1, 1);
/// let planted = traffic.incidents();
/// assert!(planted.iter().any(|incident| incident.kind == AlertKind::BruteForce));
/// assert!(traffic.count() > 50_000);
/// ```
pub struct IncidentTraffic {
    usual: Peekable<TrafficModel>,
    planted: VecDeque<TrafficLine>,
    incidents: Vec<Incident>,
    end: EventTime,
}

impl IncidentTraffic {
    /// `days` days of traffic from `start_ms` on, of `rate` lines per second on average.
    pub fn new(seed: u64, start_ms: EventTime, rate: u64, days: u64) -> Self {
        let spans =
            (0..days as i64).map(|day| (start_ms + day * DAY_MS + QUIET_START_MS, DAY_MS - QUIET_START_MS));
        Self::planted(seed, start_ms, rate, days, spans)
    }

    /// A day of traffic with a burst, a scanner and a brute force in each hour, for people who are not to wait.
    pub fn eventful(seed: u64, start_ms: EventTime, rate: u64) -> Self {
        let hour_ms = 60 * MINUTE_MS;
        let spans =
            (0..24).map(|hour| (start_ms + hour * hour_ms + 15 * MINUTE_MS, hour_ms + 20 * MINUTE_MS));
        Self::planted(seed, start_ms, rate, 1, spans)
    }

    /// Plants one of each incident into each stretch of time (start and length).
    fn planted(
        seed: u64,
        start_ms: EventTime,
        rate: u64,
        days: u64,
        spans: impl Iterator<Item = (EventTime, i64)>,
    ) -> Self {
        let model = TrafficModel::new(seed, start_ms, rate);
        let end = start_ms.saturating_add(days as i64 * DAY_MS);
        let mut incidents = model.bursts(start_ms, end);
        let mut planted = Vec::new();
        let mut planter =
            Planter { seed, random: Random::new(mix(seed ^ 0x1c1d)), outsiders: 0, lines: &mut planted };
        for span in spans {
            incidents.push(planter.burst(span, rate));
            incidents.push(planter.scanner(span));
            incidents.push(planter.brute_force(span));
            (0..20).for_each(|_| planter.forgetful(span));
            (0..20).for_each(|_| planter.old_bookmarks(span));
        }
        planted.sort_by_key(|line| line.written);
        incidents.sort_by_key(|incident| incident.start);
        IncidentTraffic { usual: model.peekable(), planted: planted.into(), incidents, end }
    }

    /// What was planted, in the order of time.
    pub fn incidents(&self) -> Vec<Incident> {
        self.incidents.clone()
    }
}

impl Iterator for IncidentTraffic {
    type Item = TrafficLine;

    fn next(&mut self) -> Option<TrafficLine> {
        let usual = self.usual.peek().map(|line| line.written).filter(|written| *written < self.end);
        match (usual, self.planted.front()) {
            (Some(usual), Some(planted)) if planted.written <= usual => self.planted.pop_front(),
            (Some(_), _) => self.usual.next(),
            (None, _) => self.planted.pop_front(),
        }
    }
}

/// Writes the lines of incidents.
struct Planter<'a> {
    seed: u64,
    random: Random,
    outsiders: u64,
    lines: &'a mut Vec<TrafficLine>,
}

impl Planter<'_> {
    fn outsider(&mut self) -> String {
        self.outsiders += 1;
        address(self.seed, OUTSIDERS + self.outsiders)
    }

    /// A time in a stretch, early enough for what takes less than an hour.
    fn moment(&mut self, (from, length_ms): (EventTime, i64)) -> EventTime {
        from + self.random.below((length_ms - 60 * MINUTE_MS).max(1) as u64) as i64
    }

    fn line(&mut self, host: &str, time: EventTime, (method, path, status): (&str, &str, u16)) {
        let time = time - time.rem_euclid(1_000);
        let bytes = 200 + self.random.below(400);
        let mut line = Vec::with_capacity(160);
        write_start(&mut line, host, time);
        append(
            &mut line,
            format_args!(
                "\"{method} {path} HTTP/1.1\" {status} {bytes} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\""
            ),
        );
        let access = Access { time, host: host.to_owned(), path: path.to_owned(), status, bytes };
        self.lines.push(TrafficLine { written: time, line, access: Some(access) });
    }

    /// Five to ten minutes in which as many requests as usual come besides, and fail.
    fn burst(&mut self, span: (EventTime, i64), rate: u64) -> Incident {
        let start = self.moment(span);
        let end = start + (5 + self.random.below(6) as i64) * MINUTE_MS;
        let mut time = start;
        while time < end {
            let host = self.outsider();
            self.line(&host, time, ("GET", "/api/v1/orders", 503));
            time += 1 + self.random.below(2_000 / rate.max(1)) as i64;
        }
        Incident { kind: AlertKind::ErrorSpike, host: String::new(), start, end: time }
    }

    /// A host that looks for a hundred to four hundred things that are not there.
    fn scanner(&mut self, span: (EventTime, i64)) -> Incident {
        let (start, host) = (self.moment(span), self.outsider());
        let mut time = start;
        for number in 0..100 + self.random.below(300) {
            self.line(&host, time, ("GET", &format!("/old/backup-{number}.zip"), 404));
            time += 500 + self.random.below(3_000) as i64;
        }
        Incident { kind: AlertKind::Scanner, host, start, end: time }
    }

    /// A host that tries thirty to eighty passwords, the last of which is right.
    fn brute_force(&mut self, span: (EventTime, i64)) -> Incident {
        let (start, host) = (self.moment(span), self.outsider());
        let mut time = start;
        for _ in 0..30 + self.random.below(50) {
            self.line(&host, time, ("POST", "/login", 401));
            time += 1_000 + self.random.below(5_000) as i64;
        }
        self.line(&host, time, ("POST", "/login", 302));
        Incident { kind: AlertKind::BruteForce, host, start, end: time }
    }

    /// A user who finds the password after some tries.
    fn forgetful(&mut self, span: (EventTime, i64)) {
        let (start, host) = (self.moment(span), self.outsider());
        let tries = 1 + self.random.below(5) as i64;
        (0..tries).for_each(|number| self.line(&host, start + number * 9_000, ("POST", "/login", 401)));
        self.line(&host, start + tries * 9_000, ("POST", "/login", 302));
    }

    /// A visitor with bookmarks of things that are gone.
    fn old_bookmarks(&mut self, span: (EventTime, i64)) {
        let (start, host) = (self.moment(span), self.outsider());
        for number in 0..1 + self.random.below(8) as i64 {
            self.line(&host, start + number * 40_000, ("GET", &format!("/2009/post-{number}"), 404));
        }
    }
}
