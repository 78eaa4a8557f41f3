//! What a log job finds out: the figures for machines, highlights for people.
//!
//! [`Summary`] as JSON has exactly the keys `lines`, `unparsed`, `late`, `bytes`, `status`, `sessions` and `alerts`;
//! [`Highlights`] are bounded in size however long the log is, but for one entry per minute of it.

use eddyline_core::{Data, EventTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The pause after which a visitor's next access begins a new session, in milliseconds. A pause of exactly this
/// length does not: session windows that touch are one.
pub const SESSION_GAP_MS: i64 = 30 * 60 * 1_000;

/// One minute, in milliseconds.
pub const MINUTE_MS: i64 = 60_000;

/// How many sessions, and how many paths, the highlights keep.
pub const HIGHLIGHTS_MAX: usize = 10;

/// The start of the minute a time lies in, also before 1970.
pub fn minute_of(time: EventTime) -> EventTime {
    time.saturating_sub(time.rem_euclid(MINUTE_MS))
}

/// The accesses of one visitor without a pause of more than [`SESSION_GAP_MS`].
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Session {
    /// The visitor's address or name.
    pub host: String,
    /// The time of the first access.
    pub start: EventTime,
    /// The time of the last access.
    pub end: EventTime,
    /// The number of accesses.
    pub requests: u64,
    /// The sum of the bodies sent, in bytes.
    pub bytes: u64,
}

impl Session {
    /// From first to last access, in milliseconds.
    pub fn duration_ms(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }
}

/// How often something was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct PathCount {
    /// What was asked for, without its query.
    pub path: String,
    /// How often.
    pub count: u64,
}

/// The most frequent of `counts`, most frequent first, equals by name.
pub fn top_paths<P: Into<String>>(
    counts: impl IntoIterator<Item = (P, u64)>,
    limit: usize,
) -> Vec<PathCount> {
    let mut paths: Vec<PathCount> =
        counts.into_iter().map(|(path, count)| PathCount { path: path.into(), count }).collect();
    paths.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.path.cmp(&other.path)));
    paths.truncate(limit);
    paths
}

/// Accesses by class of status: 1xx, 2xx, 3xx, 4xx, 5xx.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusClasses(pub [u64; 5]);

impl StatusClasses {
    /// Counts `count` accesses with `status`; one outside 100 to 599 counts to the nearest class.
    pub fn add(&mut self, status: u16, count: u64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.0[class] += count;
    }

    /// All accesses.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The accesses that failed by the server's fault.
    pub fn server_errors(&self) -> u64 {
        self.0[4]
    }
}

/// What is worth telling beyond the figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Highlights {
    /// The accesses of each minute that had any, by the minute's start.
    pub minutes: BTreeMap<EventTime, StatusClasses>,
    /// The most frequent paths, most frequent first.
    pub top_paths: Vec<PathCount>,
    /// The number of different hosts.
    pub visitors: u64,
    /// The sessions with the most accesses, most first.
    pub busiest_sessions: Vec<Session>,
    /// The sum of the durations of all sessions, in milliseconds.
    pub session_time_ms: u64,
}

impl Highlights {
    /// Counts accesses of one minute (a window's result).
    pub fn add_minute(&mut self, minute: EventTime, status: u16, count: u64) {
        self.minutes.entry(minute).or_default().add(status, count);
    }

    /// Counts a closed session; keeps the [`HIGHLIGHTS_MAX`] busiest. The order of calls does not matter.
    pub fn add_session(&mut self, session: &Session) {
        self.session_time_ms += session.duration_ms().unsigned_abs();
        let is_before = |kept: &Session| {
            let order = session.requests.cmp(&kept.requests).then_with(|| kept.start.cmp(&session.start));
            order.then_with(|| kept.host.cmp(&session.host)).is_le()
        };
        // Nearly every session is less busy than the last that is kept.
        let is_full = self.busiest_sessions.len() >= HIGHLIGHTS_MAX;
        if is_full && self.busiest_sessions.last().is_some_and(is_before) {
            return;
        }
        let place = self.busiest_sessions.partition_point(is_before);
        if place < HIGHLIGHTS_MAX {
            self.busiest_sessions.insert(place, session.clone());
            self.busiest_sessions.truncate(HIGHLIGHTS_MAX);
        }
    }

    /// The minute with the most accesses, the first of equals.
    pub fn peak_minute(&self) -> Option<(EventTime, StatusClasses)> {
        self.first_largest(StatusClasses::total)
    }

    /// The minute with the most server errors, the first of equals; none if there were no errors.
    pub fn worst_minute(&self) -> Option<(EventTime, StatusClasses)> {
        self.first_largest(StatusClasses::server_errors).filter(|(_, classes)| classes.server_errors() > 0)
    }

    fn first_largest(&self, measure: fn(&StatusClasses) -> u64) -> Option<(EventTime, StatusClasses)> {
        // `max_by_key` takes the last of equals, so the minutes go by backwards.
        let largest = self.minutes.iter().rev().max_by_key(|(_, classes)| measure(classes));
        largest.map(|(&minute, &classes)| (minute, classes))
    }
}

/// The figures of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The lines read, whatever became of them.
    pub lines: u64,
    /// The lines that are no access log lines, empty ones included.
    pub unparsed: u64,
    /// The lines whose event time came too late to be counted by minute and session.
    pub late: u64,
    /// The sum of the bodies sent, in bytes, over all parsed lines, late ones included; saturating.
    pub bytes: u64,
    /// The parsed lines by status, late ones included.
    pub status: BTreeMap<u16, u64>,
    /// The number of sessions.
    pub sessions: u64,
    /// The number of alerts that were opened.
    #[serde(default)]
    pub alerts: u64,
    /// Whether the job was stopped before it had come to an end: what was read of minutes and sessions that are open
    /// still is in its checkpoint, and not in these figures. Part of the JSON only if it is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// For people; not part of the JSON.
    #[serde(skip)]
    pub highlights: Highlights,
}

impl Summary {
    /// The figures as one line of JSON.
    ///
    /// # Examples
    /// ```
    /// let mut summary = eddyline_logs::Summary { lines: 2, unparsed: 1, ..Default::default() };
    /// summary.status.insert(200, 1);
    /// let json = r#"{"lines":2,"unparsed":1,"late":0,"bytes":0,"status":{"200":1},"sessions":0,"alerts":0}"#;
    /// assert_eq!(summary.to_json(), json);
    /// ```
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("invariant: numbers and maps of numbers are always JSON")
    }

    /// The lines that were read as accesses.
    pub fn parsed(&self) -> u64 {
        self.lines.saturating_sub(self.unparsed)
    }

    /// Counts by class of status over the whole log.
    pub fn classes(&self) -> StatusClasses {
        let mut classes = StatusClasses::default();
        for (&status, &count) in &self.status {
            classes.add(status, count);
        }
        classes
    }

    /// The share of accesses that failed by the server's fault (5xx), 0 to 1.
    pub fn error_rate(&self) -> f64 {
        let classes = self.classes();
        classes.server_errors() as f64 / classes.total().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(host: &str, start: EventTime, requests: u64) -> Session {
        Session { host: host.into(), start, end: start + 10, requests, bytes: 1 }
    }

    #[test]
    fn json_round_trips_the_figures() {
        let status = BTreeMap::from([(200, 7), (404, 2)]);
        let summary = Summary {
            lines: 10,
            unparsed: 1,
            late: 2,
            bytes: 3,
            status,
            sessions: 4,
            alerts: 5,
            ..Summary::default()
        };
        let back: Summary = serde_json::from_str(&summary.to_json()).expect("JSON");
        assert_eq!(back, summary);
        assert!(serde_json::from_str::<Summary>(r#"{"lines":1,"words":2}"#).is_err());
    }

    #[test]
    fn highlights_do_not_depend_on_order() {
        let sessions: Vec<Session> = (0..50)
            .map(|number| session(&format!("h{number}"), number % 3, (number * 7 % 11) as u64))
            .collect();
        let (mut forwards, mut backwards) = (Highlights::default(), Highlights::default());
        sessions.iter().for_each(|session| forwards.add_session(session));
        sessions.iter().rev().for_each(|session| backwards.add_session(session));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.busiest_sessions.len(), HIGHLIGHTS_MAX);
        assert!(forwards.busiest_sessions.is_sorted_by_key(|kept| std::cmp::Reverse(kept.requests)));
        assert_eq!(forwards.session_time_ms, 500);
    }

    #[test]
    fn peak_is_the_first_of_equals_and_worst_needs_errors() {
        let mut highlights = Highlights::default();
        for minute in [0, MINUTE_MS, 2 * MINUTE_MS] {
            highlights.add_minute(minute, 200, 5);
        }
        assert_eq!(highlights.peak_minute().map(|(minute, _)| minute), Some(0));
        assert_eq!(highlights.worst_minute(), None);
        highlights.add_minute(MINUTE_MS, 503, 1);
        assert_eq!(highlights.worst_minute(), highlights.peak_minute());
    }

    #[test]
    fn minutes_and_ranks() {
        assert_eq!((minute_of(59_999), minute_of(60_000), minute_of(-1)), (0, 60_000, -60_000));
        let top = top_paths([("/b", 2), ("/c", 1), ("/a", 2)], 2);
        assert_eq!(top.iter().map(|path| path.path.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
    }
}
