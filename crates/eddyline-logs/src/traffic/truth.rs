//! The right answers about a made-up log.

use super::{Access, TrafficLine};
use crate::reference::Windows;
use crate::summary::{HIGHLIGHTS_MAX, SESSION_GAP_MS, Session, Summary, minute_of, top_paths};
use eddyline_core::EventTime;
use std::collections::BTreeMap;

/// What a log job should find in the lines of a [`super::TrafficModel`]. It looks at what the model did, never at
/// the text, and builds sessions one access at a time by joining intervals: another way than
/// [`crate::reference`] goes, so that the two check one another.
#[derive(Debug, Clone, Default)]
pub struct TrafficTruth {
    summary: Summary,
    windows: Windows,
    /// Of each host the sessions so far by their start.
    sessions: BTreeMap<String, BTreeMap<EventTime, Session>>,
}

impl TrafficTruth {
    /// The truth about some lines.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a TrafficLine>) -> Self {
        let mut truth = TrafficTruth::default();
        lines.into_iter().for_each(|line| truth.observe(line));
        truth
    }

    /// Takes one more line into account. Memory grows with sessions and minutes, not with lines.
    pub fn observe(&mut self, line: &TrafficLine) {
        self.summary.lines += 1;
        let Some(access) = &line.access else {
            self.summary.unparsed += 1;
            return;
        };
        self.summary.bytes = self.summary.bytes.saturating_add(access.bytes);
        *self.summary.status.entry(access.status).or_default() += 1;
        let minute = self.windows.minutes.entry(minute_of(access.time)).or_default();
        *minute.entry(access.status).or_default() += 1;
        *self.windows.paths.entry(access.path.clone()).or_default() += 1;
        self.join_session(access);
    }

    /// Adds an access to its host's sessions; it may bridge two.
    fn join_session(&mut self, access: &Access) {
        let sessions = self.sessions.entry(access.host.clone()).or_default();
        let mut session = Session {
            host: access.host.clone(),
            start: access.time,
            end: access.time,
            requests: 1,
            bytes: access.bytes,
        };
        let reach = access.time.saturating_add(SESSION_GAP_MS);
        // Sessions do not touch one another, so at most one begins before and one behind.
        while let Some((&start, near)) = sessions.range(..=reach).next_back() {
            if near.end.saturating_add(SESSION_GAP_MS) < access.time {
                break;
            }
            session.start = session.start.min(near.start);
            session.end = session.end.max(near.end);
            session.requests += near.requests;
            session.bytes = session.bytes.saturating_add(near.bytes);
            sessions.remove(&start);
        }
        sessions.insert(session.start, session);
    }

    /// The summary of the lines so far. Nothing is late in it.
    pub fn summary(&self) -> Summary {
        let windows = self.windows();
        let mut summary = self.summary.clone();
        summary.sessions = windows.sessions.len() as u64;
        summary.highlights.visitors = self.sessions.len() as u64;
        for (&minute, statuses) in &windows.minutes {
            statuses
                .iter()
                .for_each(|(&status, &count)| summary.highlights.add_minute(minute, status, count));
        }
        windows.sessions.iter().for_each(|session| summary.highlights.add_session(session));
        let counts = windows.paths.iter().map(|(path, &count)| (path.as_str(), count));
        summary.highlights.top_paths = top_paths(counts, HIGHLIGHTS_MAX);
        summary
    }

    /// What the windows should hold after the lines so far.
    pub fn windows(&self) -> Windows {
        let sessions = self.sessions.values().flat_map(|sessions| sessions.values().cloned()).collect();
        Windows { sessions, ..self.windows.clone() }
    }
}
