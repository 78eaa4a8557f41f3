//! Queries of lines.

use super::Store;
use super::files::{files, partitions};
use super::lines::{LINES, StoredLine};
use super::scan::{self, Group};
use crate::pattern;
use crate::record::LogRecord;
use eddyline_core::{EventTime, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::time::Duration;

/// Which lines are asked for; everything that is given has to hold.
///
/// # Examples
/// ```
/// use eddyline_logs::store::LineQuery;
/// let query = LineQuery { status: Some((500, 599)), path: Some("/api/*".into()), ..LineQuery::default() };
/// assert!(query.wants_status(503) && query.wants_path(b"/api/v1") && !query.wants_path(b"/"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineQuery {
    /// Their times, in milliseconds since the epoch.
    pub times: Range<EventTime>,
    /// Their host; `*` stands for anything.
    pub host: Option<String>,
    /// The least and the greatest status.
    pub status: Option<(u16, u16)>,
    /// Their path; `*` stands for anything.
    pub path: Option<String>,
    /// What stands somewhere in them.
    pub text: Option<String>,
    /// How many lines are wanted at most: the latest.
    pub limit: usize,
    /// How long the query may take.
    pub time_limit: Duration,
}

impl Default for LineQuery {
    fn default() -> Self {
        LineQuery {
            times: EventTime::MIN..EventTime::MAX,
            host: None,
            status: None,
            path: None,
            text: None,
            limit: 100,
            time_limit: Duration::from_secs(30),
        }
    }
}

impl LineQuery {
    /// Whether lines of `status` are asked for.
    pub fn wants_status(&self, status: u16) -> bool {
        self.status.is_none_or(|(least, greatest)| (least..=greatest).contains(&status))
    }

    /// Whether lines of `host` are asked for.
    pub fn wants_host(&self, host: &[u8]) -> bool {
        self.host.as_ref().is_none_or(|wanted| pattern::matches(wanted.as_bytes(), host))
    }

    /// Whether lines about `path` are asked for.
    pub fn wants_path(&self, path: &[u8]) -> bool {
        self.path.as_ref().is_none_or(|wanted| pattern::matches(wanted.as_bytes(), path))
    }

    /// Whether `line` is asked for by what stands in it.
    pub fn wants_text(&self, line: &[u8]) -> bool {
        self.text.as_ref().is_none_or(|text| memchr::memmem::find(line, text.as_bytes()).is_some())
    }

    fn wants(&self, record: &LogRecord) -> bool {
        self.times.contains(&record.time)
            && self.wants_status(record.status)
            && self.wants_host(record.host())
            && self.wants_path(record.path())
            && self.wants_text(record.line())
    }
}

/// What a query has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineAnswer {
    /// The lines, the latest first.
    pub lines: Vec<StoredLine>,
    /// Whether there may be more lines than were asked for.
    pub more: bool,
    /// Whether the time was over before everything had been looked at.
    pub timed_out: bool,
    /// Row groups that were read.
    pub groups_read: usize,
    /// Row groups of the time asked for that did not have to be read.
    pub groups_skipped: usize,
}

/// The latest lines found so far, each once.
struct Latest {
    lines: BTreeMap<(EventTime, String, u64), StoredLine>,
    limit: usize,
    more: bool,
}

impl Latest {
    /// The time before which no line is wanted any more.
    fn earliest(&self) -> Option<EventTime> {
        let full = self.lines.len() >= self.limit;
        full.then(|| self.lines.first_key_value().map_or(EventTime::MAX, |((time, _, _), _)| *time))
    }

    fn add(&mut self, line: StoredLine) {
        self.lines.insert(line.identity(), line);
        if self.lines.len() > self.limit {
            self.lines.pop_first();
            self.more = true;
        }
    }
}

impl Store {
    /// The latest lines that `query` asks for.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn lines(&self, query: &LineQuery) -> Result<LineAnswer> {
        let limit_micros = u64::try_from(query.time_limit.as_micros()).unwrap_or(u64::MAX);
        let deadline = self.clock.monotonic_micros().saturating_add(limit_micros);
        let mut latest = Latest { lines: BTreeMap::new(), limit: query.limit, more: false };
        let mut answer = LineAnswer::default();
        // The tail first: what leaves it afterwards is in a file by then.
        self.tail.visit(|record| {
            if query.wants(record) {
                // Lines come in the order of their arrival: an early one may have come late.
                match latest.earliest() {
                    Some(earliest) if record.time < earliest => latest.more = true,
                    _ => latest.add(StoredLine::from(record)),
                }
            }
            true
        });
        for partition in partitions(&self.settings.directory.join(LINES), &query.times)?.into_iter().rev() {
            if latest.earliest().is_some_and(|earliest| partition.times.end <= earliest) {
                latest.more = true;
                break;
            }
            let mut groups = Vec::new();
            for file in files(&self.cache, &partition.directory)? {
                groups.extend(scan::groups(&self.cache, &file, query)?);
            }
            groups.sort_by_key(|group| std::cmp::Reverse(group.last));
            for group in &groups {
                if latest.earliest().is_some_and(|earliest| group.last < earliest) {
                    answer.groups_skipped += 1;
                    latest.more = true;
                    continue;
                }
                if self.clock.monotonic_micros() >= deadline {
                    answer.timed_out = true;
                    break;
                }
                answer.groups_read += 1;
                let _ = scan::read(&self.cache, group, query, &mut |line| {
                    latest.add(line);
                    ControlFlow::Continue(())
                })?;
            }
        }
        answer.more = latest.more;
        answer.lines = latest.lines.into_values().rev().collect();
        Ok(answer)
    }

    /// Has `visit` look at all lines of `times`, each once and in no order, until it says that it is enough: those that
    /// are in no file yet, and then those in files.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn scan_lines(
        &self,
        times: Range<EventTime>,
        mut visit: impl FnMut(StoredLine) -> ControlFlow<()>,
    ) -> Result<()> {
        let query = LineQuery { times, ..LineQuery::default() };
        // By file and place in it: what leaves the tail meanwhile is in a file by then.
        let mut seen: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let mut is_enough = false;
        self.tail.visit(|record| {
            if query.wants(record) {
                let line = StoredLine::from(record);
                let offset = line.offset;
                match seen.get_mut(&line.source) {
                    Some(offsets) => offsets.insert(offset),
                    None => seen.entry(line.source.clone()).or_default().insert(offset),
                };
                is_enough = visit(line).is_break();
            }
            !is_enough
        });
        if is_enough {
            return Ok(());
        }
        self.each_line(&query, |line| {
            if seen.get(&line.source).is_some_and(|offsets| offsets.contains(&line.offset)) {
                return ControlFlow::Continue(());
            }
            visit(line)
        })
    }

    /// Has `visit` look at all lines in files that `query` asks for, whatever its limit, hour by hour and within an hour
    /// nearly in the order of time, until it says that it is enough. Holds a few thousand lines at most.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn each_line(
        &self,
        query: &LineQuery,
        mut visit: impl FnMut(StoredLine) -> ControlFlow<()>,
    ) -> Result<()> {
        for partition in partitions(&self.settings.directory.join(LINES), &query.times)? {
            let mut groups: Vec<Group> = Vec::new();
            for file in files(&self.cache, &partition.directory)? {
                groups.extend(scan::groups(&self.cache, &file, query)?);
            }
            groups.sort_by_key(|group| group.first);
            for group in &groups {
                if scan::read(&self.cache, group, query, &mut visit)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
