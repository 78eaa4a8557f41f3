//! The figures behind the board: what comes in, what is kept of it, and for how long.
//!
//! Everything is bounded: windows, sessions, alerts and values by the limits here. Sums are kept for ever.

use super::board::{Unreadable, WindowKind};
use super::dispatch::Dimension;
use super::totals::Figures;
use crate::detect::Alert;
use crate::sketch::Distinct;
use crate::summary::{Session, StatusClasses, Summary};
use eddyline::{Data, EventTime};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Minutes that are kept: a week.
const MINUTES_MAX: usize = 7 * 24 * 60;
/// Sliding windows that are kept: six hours.
const SLIDING_MAX: usize = 6 * 360;
/// Days that are kept.
const DAYS_MAX: usize = 400;
/// Tops of a minute that are kept: four hours of three dimensions.
const TOPS_MAX: usize = 3 * 240;
/// Sessions that are kept.
const SESSIONS_MAX: usize = 500;
/// Alerts that are kept; closed ones go first.
const ALERTS_MAX: usize = 2_000;
/// Changes to alerts that are kept for those who listen.
const CHANGES_MAX: usize = 1_024;
/// Paths whose counts are kept; of more, the rarest half is forgotten.
const PATHS_MAX: usize = 100_000;
/// Visitors that are told apart exactly; more are estimated.
const VISITORS_MAX: usize = 100_000;
/// Unreadable lines that are shown.
const UNREADABLE_MAX: usize = 20;

/// Something for the board.
#[derive(Debug, Clone, Data)]
pub(super) enum Entry {
    /// A minute is over.
    Minute(Figures),
    /// Lines came too late for their minute.
    Late {
        /// How many.
        lines: u64,
        /// The sum of their bytes.
        bytes: u64,
        /// The accesses among them by status.
        status: BTreeMap<u16, u64>,
    },
    /// A sliding window is over.
    Sliding(Figures),
    /// A day so far.
    Day(Figures),
    /// The most frequent values of a minute.
    Top { minute: EventTime, dimension: Dimension, values: Vec<(String, u64)> },
    /// Accesses to a path.
    Path { path: String, count: u64 },
    /// A line that could not be read.
    Unparsed { file: String, offset: u64, reason: String },
    /// A session has ended.
    Closed(Session),
    /// An alert opened, was updated or closed.
    Alert(Alert),
}

/// A part of a ledger, as it is kept in a checkpoint.
#[derive(Debug, Clone, Data)]
pub(super) enum Kept {
    Sums { counts: [u64; 6], session_time_ms: u64, status: BTreeMap<u16, u64> },
    Classes { minute: EventTime, counts: [u64; 5] },
    Busiest(Session),
    Window { kind: u8, figures: Figures },
    Top { minute: EventTime, dimension: Dimension, values: Vec<(String, u64)> },
    Path { path: String, count: u64 },
    Visitors { exact: Vec<u64>, sketch: Distinct },
    Session(Session),
    Alert(Alert),
    Reason { reason: String, count: u64 },
}

/// Who was there: exactly while there are few.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    exact: BTreeSet<u64>,
    sketch: Distinct,
}

impl Visitors {
    fn add(&mut self, hash: u64) {
        self.sketch.add(hash);
        if self.exact.len() <= VISITORS_MAX {
            self.exact.insert(hash);
        }
    }

    pub(super) fn count(&self) -> u64 {
        if self.exact.len() <= VISITORS_MAX { self.exact.len() as u64 } else { self.sketch.estimate() }
    }
}

/// The latest changes to alerts, numbered.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) next: u64,
    latest: VecDeque<Alert>,
}

impl Changes {
    fn add(&mut self, alert: Alert) {
        self.next += 1;
        self.latest.push_back(alert);
        if self.latest.len() > CHANGES_MAX {
            self.latest.pop_front();
        }
    }

    /// None if changes from `from` on are not kept any more.
    pub(super) fn since(&self, from: u64) -> Option<Vec<(u64, Alert)>> {
        let first = self.next - self.latest.len() as u64;
        if from < first {
            return None;
        }
        let skipped = (from - first) as usize;
        Some((from..).zip(self.latest.iter().skip(skipped).cloned()).collect())
    }
}

/// The figures so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) summary: Summary,
    pub(super) paths: BTreeMap<String, u64>,
    pub(super) minutes: BTreeMap<EventTime, Figures>,
    sliding: BTreeMap<EventTime, Figures>,
    days: BTreeMap<EventTime, Figures>,
    pub(super) tops: BTreeMap<(EventTime, Dimension), Vec<(String, u64)>>,
    /// Latest first.
    pub(super) sessions: VecDeque<Session>,
    pub(super) visitors: Visitors,
    /// In the order in which they were opened.
    pub(super) alerts: VecDeque<Alert>,
    pub(super) changes: Changes,
    pub(super) unreadable: Unreadable,
    /// Whether everything that was read is counted: the input has ended.
    pub(super) ended: bool,
}

impl Ledger {
    /// Windows of a kind by their start.
    pub(super) fn windows(&self, kind: WindowKind) -> &BTreeMap<EventTime, Figures> {
        match kind {
            WindowKind::Minute => &self.minutes,
            WindowKind::Sliding => &self.sliding,
            WindowKind::Day => &self.days,
        }
    }

    pub(super) fn add(&mut self, entry: Entry) {
        let summary = &mut self.summary;
        match entry {
            Entry::Minute(figures) => {
                add_sums(summary, figures.lines, figures.bytes, &figures.status);
                for (&status, &count) in &figures.status {
                    summary.highlights.add_minute(figures.start, status, count);
                }
                insert_bounded(&mut self.minutes, figures.start, figures, MINUTES_MAX);
            }
            Entry::Late { lines, bytes, status } => {
                add_sums(summary, lines, bytes, &status);
                summary.late += lines;
            }
            Entry::Sliding(figures) => insert_bounded(&mut self.sliding, figures.start, figures, SLIDING_MAX),
            Entry::Day(figures) => insert_bounded(&mut self.days, figures.start, figures, DAYS_MAX),
            Entry::Top { minute, dimension, values } => {
                insert_bounded(&mut self.tops, (minute, dimension), values, TOPS_MAX);
            }
            Entry::Path { path, count } => {
                *self.paths.entry(path).or_default() += count;
                if self.paths.len() > PATHS_MAX {
                    forget_rarest(&mut self.paths);
                }
            }
            Entry::Unparsed { file, offset, reason } => {
                summary.lines += 1;
                summary.unparsed += 1;
                self.unreadable.add(file, offset, reason);
            }
            Entry::Closed(session) => {
                summary.sessions += 1;
                summary.highlights.add_session(&session);
                self.visitors.add(session.host.stable_hash());
                self.sessions.push_front(session);
                self.sessions.truncate(SESSIONS_MAX);
            }
            Entry::Alert(alert) => {
                summary.alerts += u64::from(alert.revision == 0);
                self.changes.add(alert.clone());
                self.set_alert(alert);
            }
        }
    }

    /// Takes the newest revision of an alert.
    fn set_alert(&mut self, alert: Alert) {
        match self.alerts.iter_mut().rfind(|known| known.id == alert.id) {
            Some(known) if known.revision <= alert.revision => *known = alert,
            Some(_) => {}
            None => self.alerts.push_back(alert),
        }
        if self.alerts.len() > ALERTS_MAX {
            let oldest = self.alerts.iter().position(|alert| !alert.is_open()).unwrap_or(0);
            self.alerts.remove(oldest);
        }
    }

    /// Everything there is, in parts.
    pub(super) fn keep(&self) -> Vec<Kept> {
        let summary = &self.summary;
        let Summary { lines, unparsed, late, bytes, sessions, alerts, .. } = *summary;
        let highlights = &summary.highlights;
        let mut kept = vec![Kept::Sums {
            counts: [lines, unparsed, late, bytes, sessions, alerts],
            session_time_ms: highlights.session_time_ms,
            status: summary.status.clone(),
        }];
        let classes = highlights.minutes.iter();
        kept.extend(classes.map(|(&minute, classes)| Kept::Classes { minute, counts: classes.0 }));
        kept.extend(highlights.busiest_sessions.iter().cloned().map(Kept::Busiest));
        for (kind, windows) in [(0, &self.minutes), (1, &self.sliding), (2, &self.days)] {
            kept.extend(windows.values().map(|figures| Kept::Window { kind, figures: figures.clone() }));
        }
        kept.extend(self.tops.iter().map(|(&(minute, dimension), values)| Kept::Top {
            minute,
            dimension,
            values: values.clone(),
        }));
        kept.extend(self.paths.iter().map(|(path, &count)| Kept::Path { path: path.clone(), count }));
        let exact = self.visitors.exact.iter().copied().collect();
        kept.push(Kept::Visitors { exact, sketch: self.visitors.sketch.clone() });
        kept.extend(self.sessions.iter().cloned().map(Kept::Session));
        kept.extend(self.alerts.iter().cloned().map(Kept::Alert));
        let reasons = self.unreadable.reasons.iter();
        kept.extend(reasons.map(|(reason, &count)| Kept::Reason { reason: reason.clone(), count }));
        kept
    }

    /// Takes back a part that [`Ledger::keep`] gave.
    pub(super) fn restore(&mut self, kept: Kept) {
        let highlights = &mut self.summary.highlights;
        match kept {
            Kept::Sums {
                counts: [lines, unparsed, late, bytes, sessions, alerts],
                session_time_ms,
                status,
            } => {
                highlights.session_time_ms = session_time_ms;
                let highlights = std::mem::take(highlights);
                let figures =
                    Summary { lines, unparsed, late, bytes, sessions, alerts, ..Summary::default() };
                self.summary = Summary { status, highlights, ..figures };
            }
            Kept::Classes { minute, counts } => {
                highlights.minutes.insert(minute, StatusClasses(counts));
            }
            Kept::Busiest(session) => highlights.busiest_sessions.push(session),
            Kept::Window { kind, figures } => {
                let windows = match kind {
                    0 => &mut self.minutes,
                    1 => &mut self.sliding,
                    _ => &mut self.days,
                };
                windows.insert(figures.start, figures);
            }
            Kept::Top { minute, dimension, values } => {
                self.tops.insert((minute, dimension), values);
            }
            Kept::Path { path, count } => {
                self.paths.insert(path, count);
            }
            Kept::Visitors { exact, sketch } => {
                self.visitors = Visitors { exact: exact.into_iter().collect(), sketch };
            }
            Kept::Session(session) => self.sessions.push_back(session),
            Kept::Alert(alert) => self.alerts.push_back(alert),
            Kept::Reason { reason, count } => {
                self.unreadable.reasons.insert(reason, count);
            }
        }
    }
}

fn add_sums(summary: &mut Summary, lines: u64, bytes: u64, status: &BTreeMap<u16, u64>) {
    summary.lines += lines;
    summary.bytes = summary.bytes.saturating_add(bytes);
    for (&status, &count) in status {
        *summary.status.entry(status).or_default() += count;
    }
}

fn insert_bounded<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, limit: usize) {
    map.insert(key, value);
    if map.len() > limit {
        map.pop_first();
    }
}

/// Drops the rarer half of the paths, so that what is frequent is counted on.
fn forget_rarest(paths: &mut BTreeMap<String, u64>) {
    let mut counts: Vec<u64> = paths.values().copied().collect();
    let middle = counts.len() / 2;
    let median = *counts.select_nth_unstable(middle).1;
    let mut to_drop = middle;
    paths.retain(|_, count| {
        let is_dropped = *count <= median && to_drop > 0;
        to_drop -= usize::from(is_dropped);
        !is_dropped
    });
}

impl Unreadable {
    fn add(&mut self, file: String, offset: u64, reason: String) {
        // Where in the line it was does not tell reasons apart.
        let kind = reason.split(" at byte ").next().unwrap_or(&reason);
        let kind = kind.split(':').next().unwrap_or(kind);
        *self.reasons.entry(kind.to_owned()).or_default() += 1;
        self.latest.insert(0, (file, offset, reason));
        self.latest.truncate(UNREADABLE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{AlertKind, Severity};

    #[test]
    fn what_is_kept_is_what_was_there() {
        let mut ledger = Ledger::default();
        let status = BTreeMap::from([(200, 3), (503, 1)]);
        let figures =
            Figures { start: 60_000, end: 120_000, lines: 4, bytes: 9, status, ..Figures::default() };
        ledger.add(Entry::Minute(figures.clone()));
        ledger.add(Entry::Sliding(figures.clone()));
        ledger.add(Entry::Day(figures));
        ledger.add(Entry::Path { path: "/".into(), count: 4 });
        ledger.add(Entry::Unparsed { file: "f".into(), offset: 1, reason: "empty line at byte 1".into() });
        ledger.add(Entry::Closed(Session { host: "h".into(), start: 1, end: 9, requests: 4, bytes: 9 }));
        let mut alert = Alert::open(AlertKind::Scanner, "h", Severity::Warning, 5);
        ledger.add(Entry::Alert(alert.revised()));
        ledger.add(Entry::Alert(alert.close(9)));
        let mut restored = Ledger::default();
        ledger.keep().into_iter().for_each(|kept| restored.restore(kept));
        assert_eq!(restored.summary, ledger.summary);
        assert_eq!((&restored.minutes, &restored.paths), (&ledger.minutes, &ledger.paths));
        assert_eq!((&restored.alerts, &restored.sessions), (&ledger.alerts, &ledger.sessions));
        assert_eq!(
            (ledger.summary.alerts, ledger.alerts[0].closed, ledger.visitors.count()),
            (1, Some(9), 1)
        );
        assert_eq!(restored.visitors.count(), 1);
        assert_eq!(ledger.changes.since(1).map(|changes| changes.len()), Some(1));
    }

    #[test]
    fn frequent_paths_stay() {
        let mut paths: BTreeMap<String, u64> = (0..1_000).map(|number| (format!("/{number}"), 1)).collect();
        paths.insert("/often".into(), 9);
        forget_rarest(&mut paths);
        assert_eq!((paths.len(), paths["/often"]), (501, 9));
    }

    #[test]
    fn changes_that_are_gone_are_told() {
        let mut changes = Changes::default();
        for number in 0..CHANGES_MAX as i64 + 10 {
            changes.add(Alert::open(AlertKind::Scanner, "h", Severity::Warning, number));
        }
        assert_eq!(changes.since(9), None);
        assert_eq!(changes.since(10).map(|found| found.len()), Some(CHANGES_MAX));
        assert_eq!(changes.since(changes.next), Some(Vec::new()));
    }
}
