//! The reference model: what a log's summary is, computed in the simplest way there is.
//!
//! One thread, everything in memory, sorted maps, no windows and no watermarks. It defines the right answer that
//! the log job is compared with. Since it sees the whole log before it answers, nothing is ever late to it
//! (`late` is 0); a job agrees with it where its watermark waits for the log's disorder.

use crate::event::LogEvent;
use crate::parse::parse_line;
use crate::summary::{HIGHLIGHTS_MAX, SESSION_GAP_MS, Session, Summary, minute_of, top_paths};
use eddyline_core::EventTime;
use std::collections::BTreeMap;

/// Everything the job's windows should find, in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    /// Accesses per minute (by its start) and status.
    pub minutes: BTreeMap<EventTime, BTreeMap<u16, u64>>,
    /// All sessions, by host and then by time.
    pub sessions: Vec<Session>,
    /// Accesses per path.
    pub paths: BTreeMap<String, u64>,
}

/// Computes a log's summary and windows from its lines.
///
/// # Examples
/// ```
/// let log = b"a - - [01/Jan/2020:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\nnonsense\n";
/// let (summary, windows) = eddyline_logs::reference::summarise(eddyline_logs::reference::lines_of(log));
/// assert_eq!((summary.lines, summary.unparsed, summary.bytes, summary.sessions), (2, 1, 5, 1));
/// assert_eq!(windows.paths["/"], 1);
/// ```
pub fn summarise<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> (Summary, Windows) {
    let mut summary = Summary::default();
    let mut windows = Windows::default();
    let mut accesses: BTreeMap<String, Vec<(EventTime, u64)>> = BTreeMap::new();
    for line in lines {
        summary.lines += 1;
        let Ok(line) = parse_line(line.as_ref()) else {
            summary.unparsed += 1;
            continue;
        };
        let event = LogEvent::from(&line);
        summary.bytes = summary.bytes.saturating_add(event.bytes);
        *summary.status.entry(event.status).or_default() += 1;
        *windows.minutes.entry(minute_of(event.time)).or_default().entry(event.status).or_default() += 1;
        *windows.paths.entry(event.path).or_default() += 1;
        accesses.entry(event.host).or_default().push((event.time, event.bytes));
    }
    summary.highlights.visitors = accesses.len() as u64;
    for (host, mut times) in accesses {
        times.sort_unstable();
        windows.sessions.extend(sessions_of(&host, &times));
    }
    summary.sessions = windows.sessions.len() as u64;
    for (&minute, statuses) in &windows.minutes {
        for (&status, &count) in statuses {
            summary.highlights.add_minute(minute, status, count);
        }
    }
    windows.sessions.iter().for_each(|session| summary.highlights.add_session(session));
    let counts = windows.paths.iter().map(|(path, &count)| (path.as_str(), count));
    summary.highlights.top_paths = top_paths(counts, HIGHLIGHTS_MAX);
    (summary, windows)
}

/// The lines of a log, without their line ends; what follows the last line end is a line if it is not empty.
pub fn lines_of(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// Splits one host's accesses, sorted by time, where the pause is longer than the gap.
fn sessions_of(host: &str, accesses: &[(EventTime, u64)]) -> Vec<Session> {
    let in_one_session = |one: &(EventTime, u64), next: &(EventTime, u64)| next.0 - one.0 <= SESSION_GAP_MS;
    let session = |part: &[(EventTime, u64)]| Session {
        host: host.to_string(),
        start: part[0].0,
        end: part[part.len() - 1].0,
        requests: part.len() as u64,
        bytes: part.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes)),
    };
    accesses.chunk_by(in_one_session).map(session).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(host: &str, time: &str, status: u16) -> String {
        format!(r#"{host} - - [01/Jan/2020:{time} +0000] "GET /{status}?x HTTP/1.1" {status} 10"#)
    }

    #[test]
    fn sessions_split_only_beyond_the_gap_and_whatever_the_order() {
        let lines = [
            line("a", "00:30:00", 200),
            line("a", "00:00:00", 200),
            line("a", "01:00:01", 404),
            line("b", "00:00:00", 200),
        ];
        let (summary, windows) = summarise(&lines);
        assert_eq!((summary.sessions, summary.highlights.visitors), (3, 2));
        let requests: Vec<_> =
            windows.sessions.iter().map(|session| (&*session.host, session.requests)).collect();
        assert_eq!(requests, [("a", 2), ("a", 1), ("b", 1)]);
        assert_eq!(windows.sessions[0].duration_ms(), SESSION_GAP_MS);
        assert_eq!(windows.sessions[0].bytes, 20);
    }

    #[test]
    fn counts_by_minute_and_path() {
        let lines = [line("a", "00:00:59", 200), line("a", "00:01:00", 200), line("a", "00:01:30", 404)];
        let (summary, windows) = summarise(&lines);
        assert_eq!(windows.minutes.values().map(|minute| minute.len()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(windows.paths, BTreeMap::from([("/200".to_string(), 2), ("/404".to_string(), 1)]));
        assert_eq!(summary.highlights.top_paths[0].path, "/200");
        assert_eq!((summary.bytes, summary.late), (30, 0));
    }

    #[test]
    fn an_empty_log_has_no_lines_and_an_empty_line_is_one() {
        assert_eq!(summarise(lines_of(b"")).0, Summary::default());
        let (summary, _) = summarise(lines_of(b"\nhalf"));
        assert_eq!((summary.lines, summary.unparsed), (2, 2));
    }
}
