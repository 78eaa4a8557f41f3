//! What the job knows, as tables for SQL: what is stored and what is shown live, each row once.

use crate::server::Observed;
use eddyline_core::{Error, EventTime, Result};
use eddyline_logs::Session;
use eddyline_logs::detect::{Alert, Severity};
use eddyline_logs::job::{Figures, WindowKind};
use eddyline_sql::{HostTable, HostType, HostValue, TakeRow};
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use HostType::{Text, Time, Whole};

const WINDOW_KINDS: [WindowKind; 3] = [WindowKind::Minute, WindowKind::Sliding, WindowKind::Day];

/// Which rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Lines,
    Windows,
    Statuses,
    Sessions,
    Alerts,
}

/// The tables, by name.
const TABLES: [(&str, Subject); 5] = [
    ("lines", Subject::Lines),
    ("windows", Subject::Windows),
    ("statuses", Subject::Statuses),
    ("sessions", Subject::Sessions),
    ("alerts", Subject::Alerts),
];

/// Rows of one subject within a time.
struct LiveTable {
    subject: Subject,
    observed: Observed,
    times: Range<EventTime>,
}

/// All tables with the rows of `times`.
pub(crate) fn tables(
    observed: &Observed,
    times: &Range<EventTime>,
) -> impl Iterator<Item = (&'static str, Arc<dyn HostTable>)> {
    let table = |subject| LiveTable { subject, observed: observed.clone(), times: times.clone() };
    let tables: Vec<_> = TABLES.iter().map(|(name, subject)| (*name, table(*subject))).collect();
    tables.into_iter().map(|(name, table)| (name, Arc::new(table) as Arc<dyn HostTable>))
}

impl HostTable for LiveTable {
    fn columns(&self) -> Vec<(&'static str, HostType)> {
        let window = [("kind", Text), ("window_start", Time), ("window_end", Time)];
        let columns: &[(&str, HostType)] = match self.subject {
            Subject::Lines => &[
                ("event_time", Time),
                ("status", Whole),
                ("host", Text),
                ("path", Text),
                ("method", Text),
                ("bytes", Whole),
                ("latency_us", Whole),
                ("level", Whole),
                ("file", Text),
                ("file_offset", Whole),
                ("line", Text),
            ],
            Subject::Windows => &[
                ("lines", Whole),
                ("requests", Whole),
                ("bytes", Whole),
                ("errors", Whole),
                ("visitors", Whole),
                ("latency_p50_us", Whole),
                ("latency_p90_us", Whole),
                ("latency_p99_us", Whole),
            ],
            Subject::Statuses => &[("status", Whole), ("requests", Whole)],
            Subject::Sessions => &[
                ("host", Text),
                ("session_start", Time),
                ("session_end", Time),
                ("requests", Whole),
                ("bytes", Whole),
            ],
            Subject::Alerts => &[
                ("id", Text),
                ("kind", Text),
                ("subject", Text),
                ("severity", Text),
                ("opened", Time),
                ("updated", Time),
                ("closed", Time),
                ("events", Whole),
                ("message", Text),
            ],
        };
        let is_windowed = matches!(self.subject, Subject::Windows | Subject::Statuses);
        let window = window.iter().filter(|_| is_windowed);
        window.chain(columns).copied().collect()
    }

    fn scan(&self, take: &mut TakeRow<'_>) -> Result<()> {
        match self.subject {
            Subject::Lines => self.lines(take),
            Subject::Windows => self.each_window(&mut |kind, window| take(&figures(kind, window))),
            Subject::Statuses => self.each_window(&mut |kind, window| {
                window.status.iter().try_for_each(|(status, requests)| {
                    let [kind, start, end] = bounds(kind, window);
                    take(&[kind, start, end, u64::from(*status).into(), (*requests).into()])
                })
            }),
            Subject::Sessions => self.sessions(take),
            Subject::Alerts => self.alerts(take),
        }
    }
}

fn bounds(kind: WindowKind, window: &Figures) -> [HostValue<'_>; 3] {
    [kind.name().into(), window.start.into(), window.end.into()]
}

fn figures(kind: WindowKind, window: &Figures) -> [HostValue<'_>; 11] {
    let [kind, start, end] = bounds(kind, window);
    [
        kind,
        start,
        end,
        window.lines.into(),
        window.requests.into(),
        window.bytes.into(),
        window.errors.into(),
        window.visitors.into(),
        window.latency_p50_us.into(),
        window.latency_p90_us.into(),
        window.latency_p99_us.into(),
    ]
}

/// A text; none if it is empty.
fn text(text: &str) -> HostValue<'_> {
    if text.is_empty() { HostValue::Null } else { text.into() }
}

impl LiveTable {
    fn lines(&self, take: &mut TakeRow<'_>) -> Result<()> {
        let Some(store) = &self.observed.store else {
            return Err(Error::input("lines are not stored")
                .with_hint("start with --store DIRECTORY; windows, sessions and alerts are there without"));
        };
        store.scan_lines(self.times.clone(), |line| {
            let status = (line.status > 0).then_some(u64::from(line.status));
            take(&[
                line.time.into(),
                status.into(),
                text(&line.host),
                text(&line.path),
                text(&line.method),
                line.bytes.into(),
                line.latency_us.into(),
                u64::from(line.level).into(),
                line.source.as_str().into(),
                line.offset.into(),
                line.line.as_str().into(),
            ])
        })
    }

    /// Windows of all kinds: stored ones, and from the first that is live on the live ones.
    fn each_window(&self, take: &mut dyn FnMut(WindowKind, &Figures) -> ControlFlow<()>) -> Result<()> {
        for kind in WINDOW_KINDS {
            let live = self.observed.board.windows(kind, self.times.clone(), usize::MAX);
            let earliest = live.first().map_or(self.times.end, |window| window.start);
            let stored = match &self.observed.store {
                Some(store) if self.times.start < earliest => {
                    store.windows(kind, self.times.start..earliest, usize::MAX)?
                }
                _ => Vec::new(),
            };
            if stored.iter().chain(&live).try_for_each(|window| take(kind, window)).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn sessions(&self, take: &mut TakeRow<'_>) -> Result<()> {
        let live = self.observed.board.sessions(usize::MAX);
        let stored = match &self.observed.store {
            Some(store) => store.sessions(self.times.clone(), None, usize::MAX)?,
            None => Vec::new(),
        };
        let mut known = BTreeSet::new();
        let wanted = live.iter().chain(&stored).filter(|session| self.times.contains(&session.start));
        for Session { host, start, end, requests, bytes } in wanted {
            let values = [text(host), (*start).into(), (*end).into(), (*requests).into(), (*bytes).into()];
            if known.insert((start, host)) && take(&values).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn alerts(&self, take: &mut TakeRow<'_>) -> Result<()> {
        let live = self.observed.board.alerts();
        let stored = match &self.observed.store {
            Some(store) => store.alerts(self.times.clone(), usize::MAX)?,
            None => Vec::new(),
        };
        let mut known = BTreeSet::new();
        for alert in live.iter().chain(&stored).filter(|alert| self.times.contains(&alert.opened)) {
            // The live one is the latest revision.
            if known.insert(&alert.id) && take(&alert_row(alert)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn alert_row(alert: &Alert) -> [HostValue<'_>; 9] {
    let severity = match alert.severity {
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    [
        alert.id.as_str().into(),
        alert.kind.name().into(),
        alert.subject.as_str().into(),
        severity.into(),
        alert.opened.into(),
        alert.updated.into(),
        alert.closed.into(),
        alert.count.into(),
        alert.message.as_str().into(),
    ]
}
