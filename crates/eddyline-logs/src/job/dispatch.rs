//! One pass over a batch of lines: everything that is counted is counted here first.
//!
//! What leaves are sums per batch, not lines: totals of ten seconds, counts of values per minute, visits per host, and
//! the few lines that detectors look at. So windows, exchanges and states see a fraction of the lines. All windows
//! are of whole slices of ten seconds, so a sum belongs to a window whole, and is late whole.

use super::groups::{Groups, VisitGroups};
use super::latency::Arrival;
use super::totals::Totals;
use crate::detect::{Pulse, Signal, SignalKind};
use crate::format::Login;
use crate::record::{LogRecord, text_of};
use crate::summary::{MINUTE_MS, SESSION_GAP_MS, minute_of};
use eddyline::{Data, EventTime, Operator, OperatorContext, Result};
use eddyline_connectors::sink::DeadLetter;
use eddyline_core::{Batch, Record};
use eddyline_runtime::Stateful;

/// What became of a line.
#[derive(Debug, Clone, Data)]
pub(super) enum Parsed {
    /// It was read.
    Line(LogRecord),
    /// It was not.
    Dead(DeadLetter),
}

/// Accesses of a host close to one another.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub(super) struct Visit {
    pub(super) host: String,
    pub(super) requests: u64,
    pub(super) bytes: u64,
}

/// What a value is a value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Data)]
pub enum Dimension {
    /// What was asked for.
    Path,
    /// Who asked.
    Host,
    /// By which program.
    Agent,
}

/// How often a value came up.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub(super) struct Counted {
    pub(super) dimension: Dimension,
    pub(super) value: String,
    pub(super) count: u64,
}

/// That a file had lines.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub(crate) struct Heartbeat {
    pub(crate) source: String,
    pub(crate) first: EventTime,
    pub(crate) last: EventTime,
}

/// The number of outputs; output 0 has totals.
pub(super) const OUTPUTS: usize = 8;
/// Visits.
pub(super) const VISITS: usize = 1;
/// Counted values.
pub(super) const COUNTS: usize = 2;
/// Dead letters.
pub(super) const DEAD_LETTERS: usize = 3;
/// What the detector of error spikes looks at.
pub(super) const PULSES: usize = 4;
/// What the detectors of hosts look at.
pub(super) const SIGNALS: usize = 5;
/// Which files had lines.
pub(super) const HEARTBEATS: usize = 6;
/// The lines themselves, if they are stored.
pub(super) const LINES: usize = 7;

/// The length of a slice: what all windows are made of.
pub(super) const SLICE_MS: i64 = 10_000;
/// Time between two lines of a file that is told to the detector of silence.
const PAUSE_MS: i64 = 60_000;
/// How much of a line is shown as evidence, in bytes.
const EVIDENCE_BYTES_MAX: usize = 400;
/// How many lines of a slice are kept as evidence.
const EVIDENCE_LINES_MAX: usize = 3;

/// Takes batches apart.
pub(super) struct Dispatch {
    /// Whether lines are handed on too.
    with_lines: bool,
    arrival: Arrival,
    slices: Vec<(EventTime, Totals, Vec<String>)>,
    paths: Groups,
    agents: Groups,
    hosts: Groups,
    visits: VisitGroups,
}

impl Dispatch {
    pub(super) fn new(with_lines: bool) -> Self {
        Dispatch {
            with_lines,
            arrival: Arrival::default(),
            slices: Vec::new(),
            paths: Groups::default(),
            agents: Groups::default(),
            hosts: Groups::default(),
            visits: VisitGroups::default(),
        }
    }

    /// Counts one line; `row` is its place in `lines`.
    fn count(&mut self, lines: &[Record<LogRecord>], row: u32) {
        let record = &lines[row as usize].value;
        let host = record.host();
        let host_hash = xxhash_rust::xxh3::xxh3_64(host);
        self.add_to_slice(record, host_hash);
        let minute = minute_of(record.time);
        if !host.is_empty() {
            let is_same = |other: u32| lines[other as usize].value.host() == host;
            self.hosts.add(host_hash, minute, row, is_same);
            if record.status != 0 {
                self.visits.add(host_hash, row, (record.time, record.bytes), SESSION_GAP_MS, is_same);
            }
        }
        let path = record.path();
        if !path.is_empty() && record.status != 0 {
            let hash = xxhash_rust::xxh3::xxh3_64(path);
            self.paths.add(hash, minute, row, |other| lines[other as usize].value.path() == path);
        }
        let agent = record.agent();
        if !agent.is_empty() {
            let hash = xxhash_rust::xxh3::xxh3_64(agent);
            self.agents.add(hash, minute, row, |other| lines[other as usize].value.agent() == agent);
        }
    }

    fn add_to_slice(&mut self, record: &LogRecord, host_hash: u64) {
        let start = slice_of(record.time);
        // Lines come nearly in order: the slice is nearly always the last one.
        let place = match self.slices.iter().rposition(|(known, _, _)| *known == start) {
            Some(place) => place,
            None => {
                self.slices.push((start, Totals::default(), Vec::new()));
                self.slices.len() - 1
            }
        };
        let (_, totals, samples) = &mut self.slices[place];
        totals.lines += 1;
        if record.status != 0 {
            totals.requests += 1;
            totals.bytes = totals.bytes.saturating_add(record.bytes);
            *totals.status.entry(record.status).or_default() += 1;
        }
        if !record.host().is_empty() {
            totals.visitors.add(host_hash);
        }
        if let Some(latency_us) = record.latency_us() {
            totals.latency.add(latency_us);
        }
        if record.is_error() {
            totals.errors += 1;
            if samples.len() < EVIDENCE_LINES_MAX {
                samples.push(evidence(record));
            }
        }
    }

    /// Hands over what was counted, and begins anew.
    fn flush(
        &mut self,
        lines: &[Record<LogRecord>],
        created: u64,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let mut totals = Vec::with_capacity(self.slices.len());
        let mut pulses = Vec::with_capacity(self.slices.len());
        for (start, sums, samples) in self.slices.drain(..) {
            let pulse = Pulse { slice: start, lines: sums.lines, errors: sums.errors, samples };
            pulses.push(Record::new(pulse, start));
            totals.push(Record::new(sums, start));
        }
        let mut counts = Vec::with_capacity(self.paths.len() + self.hosts.len() + self.agents.len());
        let record_of = |row: u32| &lines[row as usize].value;
        for (dimension, groups) in [
            (Dimension::Path, &mut self.paths),
            (Dimension::Host, &mut self.hosts),
            (Dimension::Agent, &mut self.agents),
        ] {
            for (minute, row, count) in groups.drain() {
                let record = record_of(row);
                let value = text_of(match dimension {
                    Dimension::Path => record.path(),
                    Dimension::Host => record.host(),
                    Dimension::Agent => record.agent(),
                });
                counts.push(Record::new(Counted { dimension, value, count }, minute));
            }
        }
        let mut visits = Vec::with_capacity(self.visits.len() * 2);
        for group in self.visits.drain() {
            let host = text_of(record_of(group.row).host());
            if group.last > group.first {
                // The last access is a visit of its own without requests: both together reach as far as all would.
                let last = Visit { host: host.clone(), requests: 0, bytes: 0 };
                visits.push(Record::new(last, group.last));
            }
            visits
                .push(Record::new(Visit { host, requests: group.requests, bytes: group.bytes }, group.first));
        }
        context.emit_rows(0, totals, created)?;
        context.emit_rows(VISITS, visits, created)?;
        context.emit_rows(COUNTS, counts, created)?;
        context.emit_rows(PULSES, pulses, created)
    }
}

impl Stateful for Dispatch {}

impl Operator for Dispatch {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.arrival = Arrival::open(context)?;
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created = batch.created_micros;
        self.arrival.record(created, context);
        let rows = batch.take_rows::<Parsed>()?;
        let mut lines = Vec::with_capacity(rows.len());
        let mut dead = Vec::new();
        for Record { value, timestamp } in rows {
            match value {
                Parsed::Line(record) => lines.push(Record::new(record, timestamp)),
                Parsed::Dead(letter) => dead.push(Record::new(letter, timestamp)),
            }
        }
        for row in 0..lines.len() as u32 {
            self.count(&lines, row);
        }
        self.flush(&lines, created, context)?;
        let signals =
            lines.iter().filter_map(|line| Some(Record::new(signal_of(&line.value)?, line.timestamp)));
        context.emit_rows(SIGNALS, signals.collect(), created)?;
        context.emit_rows(HEARTBEATS, heartbeats(&lines), created)?;
        context.emit_rows(DEAD_LETTERS, dead, created)?;
        if self.with_lines { context.emit_rows(LINES, lines, created) } else { Ok(()) }
    }
}

/// The start of the slice that a time lies in.
fn slice_of(time: EventTime) -> EventTime {
    const { assert!(MINUTE_MS % SLICE_MS == 0) };
    time.saturating_sub(time.rem_euclid(SLICE_MS))
}

/// A line as evidence: short, and text.
fn evidence(record: &LogRecord) -> String {
    let line = record.line();
    text_of(&line[..line.len().min(EVIDENCE_BYTES_MAX)])
}

/// What detectors of hosts want to know of a line, if anything.
fn signal_of(record: &LogRecord) -> Option<Signal> {
    let kind = match (record.login(), record.status) {
        (Some(Login::Failed), _) => SignalKind::LoginFailed,
        (Some(Login::Succeeded), _) => SignalKind::LoginSucceeded,
        (None, 404) => SignalKind::NotFound { path_hash: xxhash_rust::xxh3::xxh3_64(record.path()) },
        _ => return None,
    };
    let host = record.host();
    (!host.is_empty()).then(|| Signal {
        host: text_of(host),
        time: record.time,
        kind,
        line: evidence(record),
    })
}

/// One heartbeat per run of lines of the same file without a pause; batches are nearly always of one file.
fn heartbeats(lines: &[Record<LogRecord>]) -> Vec<Record<Heartbeat>> {
    let mut beats: Vec<Record<Heartbeat>> = Vec::new();
    for run in lines.chunk_by(|one, next| one.value.source() == next.value.source()) {
        let (mut first, mut last) = (run[0].value.time, run[0].value.time);
        let mut end = |first: EventTime, last: EventTime| {
            let source = text_of(run[0].value.source());
            beats.push(Record::new(Heartbeat { source, first, last }, last));
        };
        for line in run {
            let time = line.value.time;
            if time > last.saturating_add(PAUSE_MS) {
                end(first, last);
                (first, last) = (time, time);
            }
            (first, last) = (first.min(time), last.max(time));
        }
        end(first, last);
    }
    beats
}
