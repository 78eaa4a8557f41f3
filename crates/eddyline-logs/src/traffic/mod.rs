//! A seeded model of a web site's traffic, which writes the access log such a site would have.
//!
//! # Contract
//! - The same seed, start and rate give the same lines on every machine (integer arithmetic only).
//! - Lines come in the order in which they are written ([`TrafficLine::written`] never decreases). A request is
//!   logged when it is done, under the time it came in: event times are whole seconds, at most
//!   [`DISORDER_MS_MAX`] behind the line's writing. So a watermark that waits that long loses nothing.
//! - Visitors come, look at some pages and go; some come back. Pages are popular by Zipf's law; the day has a
//!   shape (quiet at five, busy at twenty UTC); a few minutes a day are an incident with many 503.
//! - One line in [`MALFORMED_ONE_IN`] is no access log line; how, changes from one to the next.
//! - [`TrafficTruth`] knows the right answers from what the model did, without parsing anything.

mod incidents;
mod random;
mod site;
mod truth;

pub use incidents::{Incident, IncidentTraffic};
pub use truth::TrafficTruth;

use crate::detect::AlertKind;
use crate::parse::{MONTHS, civil_from_days};
use eddyline_core::EventTime;
use random::{Random, mix};
use site::{Site, address};
use std::io::Write;

/// The furthest an event time lies behind the writing of its line, in milliseconds.
pub const DISORDER_MS_MAX: i64 = 5_000;

/// How many lines there are to one malformed one, on average.
pub const MALFORMED_ONE_IN: u64 = 1_000;

/// How long a visitor stays on a page, on average, in seconds; decides how many are there at once.
const PAGE_SECONDS: u64 = 20;

/// The most visitors on the site at once.
const VISITORS_AT_ONCE_MAX: u64 = 20_000;

/// The most lines per second; inter-arrival times are counted in nanoseconds.
const RATE_MAX: u64 = 1_000_000;

/// The traffic of each hour of the day (UTC), of 100 on average.
const HOUR_WEIGHTS: [u64; 24] = [
    60, 45, 35, 28, 24, 22, 30, 50, 80, 105, 120, 125, 130, 128, 125, 122, 125, 135, 150, 170, 185, 180, 140,
    86,
];

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// One line of the log and what the model knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficLine {
    /// When the line is written.
    pub written: EventTime,
    /// The line, without a line end. Not always UTF-8.
    pub line: Vec<u8>,
    /// The access it tells of; none if the line is malformed.
    pub access: Option<Access>,
}

/// The access behind a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// When the request came in.
    pub time: EventTime,
    /// The visitor's address.
    pub host: String,
    /// What was asked for, without the query.
    pub path: String,
    /// The response's status.
    pub status: u16,
    /// The size of the response's body in bytes.
    pub bytes: u64,
}

/// A visitor who is on the site.
#[derive(Debug, Clone)]
struct Visit {
    host: String,
    agent: &'static str,
    referer: String,
    pages_left: u64,
}

/// The endless traffic of a site; an iterator of its log's lines.
///
/// # Examples
/// ```
/// use eddyline_logs::{TrafficModel, TrafficTruth, reference};
/// let lines: Vec<_> = TrafficModel::new(7, 1_431_857_103_000, 100).take(1_000).collect();
/// let truth = TrafficTruth::of(&lines);
/// let (summary, _) = reference::summarise(lines.iter().map(|line| &line.line));
/// assert_eq!(summary, truth.summary());
/// ```
#[derive(Debug, Clone)]
pub struct TrafficModel {
    seed: u64,
    random: Random,
    site: Site,
    visits: Vec<Visit>,
    visits_wanted: u64,
    visitors: u64,
    /// The clock in nanoseconds since the start.
    clock_ns: u64,
    start: EventTime,
    rate: u64,
    malformed: u64,
}

impl TrafficModel {
    /// Traffic from `start_ms` (event time) on, of `rate` lines per second averaged over a day. The rate is taken
    /// into 1 to 1,000,000.
    pub fn new(seed: u64, start_ms: EventTime, rate: u64) -> Self {
        let rate = rate.clamp(1, RATE_MAX);
        TrafficModel {
            seed,
            random: Random::new(seed),
            site: Site::new(seed),
            visits: Vec::new(),
            visits_wanted: (rate * PAGE_SECONDS).clamp(4, VISITORS_AT_ONCE_MAX),
            visitors: 0,
            clock_ns: 0,
            start: start_ms,
            rate,
            malformed: 0,
        }
    }

    fn now(&self) -> EventTime {
        self.start.saturating_add((self.clock_ns / 1_000_000) as i64)
    }

    /// Lets the time to the next line pass: uniform around the mean of the moment, which follows the hours
    /// without steps.
    fn pass_time(&mut self) {
        let of_day = self.now().rem_euclid(DAY_MS);
        let (hour, of_hour) = ((of_day / HOUR_MS) as usize, (of_day % HOUR_MS) as u64);
        let (this, next) = (HOUR_WEIGHTS[hour], HOUR_WEIGHTS[(hour + 1) % 24]);
        let hour_ms = HOUR_MS as u64;
        let weight = (this * (hour_ms - of_hour) + next * of_hour) / hour_ms;
        let mean_ns = 100_000_000_000 / (self.rate * weight.max(1));
        self.clock_ns += self.random.below(2 * mean_ns + 1);
    }

    /// Whether something is broken at `time`: two minutes in a quarter of an hour, one quarter in eight.
    fn is_incident(&self, time: EventTime) -> bool {
        let quarter = time.div_euclid(15 * 60_000);
        let dice = mix(self.seed ^ mix(quarter as u64));
        let first_minute = (dice >> 8) % 13;
        let minute = time.rem_euclid(15 * 60_000) / 60_000;
        dice.is_multiple_of(8) && (first_minute..first_minute + 2).contains(&(minute as u64))
    }

    /// The bursts of errors between two times.
    fn bursts(&self, from: EventTime, to: EventTime) -> Vec<Incident> {
        let mut found: Vec<Incident> = Vec::new();
        let mut minute = from - from.rem_euclid(60_000);
        while minute < to {
            if self.is_incident(minute) {
                let end = minute + 60_000;
                match found.last_mut().filter(|before| before.end == minute) {
                    Some(before) => before.end = end,
                    None => {
                        let kind = AlertKind::ErrorSpike;
                        found.push(Incident { kind, host: String::new(), start: minute, end });
                    }
                }
            }
            minute += 60_000;
        }
        found
    }

    /// The index of the visitor who asks next: someone new, or someone who is there.
    fn visit(&mut self) -> usize {
        let wanted = self.visits_wanted as usize;
        if self.visits.is_empty() || self.visits.len() < wanted && self.random.chance(1, 4) {
            // Every third visit is by someone who was there before.
            let returns = self.visitors > 0 && self.random.chance(1, 3);
            let visitor = if returns { self.random.below(self.visitors) } else { self.visitors };
            self.visitors = self.visitors.max(visitor + 1);
            // Short visits are frequent: the smaller of two dice.
            let pages_left = 1 + self.random.below(16).min(self.random.below(16));
            let host = address(self.seed, visitor);
            let agent = self.site.agent(&mut self.random);
            let referer = Site::entry_referer(&mut self.random).to_string();
            self.visits.push(Visit { host, agent, referer, pages_left });
            self.visits.len() - 1
        } else {
            self.random.below(self.visits.len() as u64) as usize
        }
    }

    fn well_formed(&mut self) -> TrafficLine {
        let written = self.now();
        // Most requests take no time worth speaking of.
        let taken_ms =
            if self.random.chance(1, 5) { self.random.below(DISORDER_MS_MAX as u64 - 999) } else { 0 };
        let received = written.saturating_sub(taken_ms as i64);
        let time = received.saturating_sub(received.rem_euclid(1_000));
        let incident = self.is_incident(time);
        let status = Site::status(&mut self.random, incident);
        let chosen = self.visit();
        let random = &mut self.random;
        let page = self.site.page(random);
        let (path, usual_bytes) = if status == 404 {
            (format!("/missing/{}", random.below(50)), 512)
        } else {
            (page.path.clone(), page.bytes)
        };
        let bytes = match status {
            304 | 499 => 0,
            200 | 206 => usual_bytes - random.below(usual_bytes / 8 + 1),
            _ => 200 + random.below(400),
        };
        let method = if random.chance(1, 20) { "POST" } else { "GET" };
        let query = if random.chance(1, 10) { format!("?page={}", random.below(9)) } else { String::new() };
        let visit = &mut self.visits[chosen];
        let mut line = Vec::with_capacity(256);
        let host = visit.host.clone();
        write_start(&mut line, &host, time);
        let size = if bytes == 0 { "-".to_string() } else { bytes.to_string() };
        let (referer, agent) = (&visit.referer, visit.agent);
        append(
            &mut line,
            format_args!("\"{method} {path}{query} HTTP/1.1\" {status} {size} \"{referer}\" \"{agent}\""),
        );
        visit.referer = format!("https://eddyline.example{path}");
        visit.pages_left -= 1;
        if visit.pages_left == 0 {
            self.visits.swap_remove(chosen);
        }
        TrafficLine { written, line, access: Some(Access { time, host, path, status, bytes }) }
    }

    /// A line that no parser of the format may read: each kind in its turn.
    fn ill_formed(&mut self) -> TrafficLine {
        let written = self.now();
        let mut line = Vec::new();
        let host = address(self.seed, self.random.below(self.visitors + 1));
        match self.malformed % 6 {
            0 => append(
                &mut line,
                format_args!("{host} - - [31/Feb/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1"),
            ),
            1 => {
                write_start(&mut line, &host, written);
                append(&mut line, format_args!("\"GET /cut-of"));
            }
            2 => line.extend((0..40).map(|_| 0x80 | self.random.below(128) as u8)),
            3 => {
                write_start(&mut line, &host, written);
                append(&mut line, format_args!("\"GET / HTTP/1.1\" OK 17 \"-\" \"-\""));
            }
            4 => {}
            _ => append(
                &mut line,
                format_args!("{host} - - [17/May/2026:10:00:00 +0000 \"GET / HTTP/1.1\" 200 1"),
            ),
        }
        self.malformed += 1;
        TrafficLine { written, line, access: None }
    }
}

impl Iterator for TrafficModel {
    type Item = TrafficLine;

    fn next(&mut self) -> Option<TrafficLine> {
        self.pass_time();
        let malformed = self.random.chance(1, MALFORMED_ONE_IN);
        Some(if malformed { self.ill_formed() } else { self.well_formed() })
    }
}

fn append(line: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("invariant: a vector takes every write");
}

/// A time, in milliseconds since the epoch, as access logs have it.
///
/// # Examples
/// ```
/// assert_eq!(eddyline_logs::traffic::log_time(1_431_857_103_000), "17/May/2015:10:05:03 +0000");
/// ```
pub fn log_time(time: EventTime) -> String {
    let seconds = time.div_euclid(1_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let month = MONTHS[month as usize - 1];
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// Writes host, nobody and the time, which is given in milliseconds.
fn write_start(line: &mut Vec<u8>, host: &str, time: EventTime) {
    append(line, format_args!("{host} - - [{}] ", log_time(time)));
}

#[cfg(test)]
mod tests;
