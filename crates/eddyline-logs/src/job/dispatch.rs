//! One pass over the lines: everything that is counted is counted here first.
//!
//! What leaves are sums, not lines: totals of ten seconds, counts of values per minute, and visits per host, each when
//! the watermark asks for it (see [`super::pending`]); and at once the few lines that detectors look at. So windows,
//! exchanges and states see a fraction of the lines. All windows are of whole slices of ten seconds, so a sum belongs to
//! a window whole, and is late whole.

use super::block::{Block, BlockLine};
use super::pending::{Kept, Pending, slice_of};
use super::sessions::Visits;
use super::tally::{Counts, hash_of, part_of};
use crate::detect::{Pulse, Signal, SignalKind};
use crate::format::Login;
use crate::record::{LogRecord, text_of};
use eddyline::{
    CheckpointId, Data, EventTime, ManagedState, Operator, OperatorContext, OperatorListState, Progress,
    Result, WATERMARK_MIN,
};
use eddyline_connectors::sink::DeadLetter;
use eddyline_core::{Batch, Record};
use eddyline_runtime::{Stateful, panics};

/// What became of lines.
#[derive(Debug, Clone, Data)]
pub(super) enum Parsed {
    /// They were read.
    Lines(Block),
    /// One was not.
    Dead(DeadLetter),
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

/// How often values came up in a minute: those of a dimension whose hashes are of one part of all.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub(super) struct Counted {
    pub(super) dimension: Dimension,
    pub(super) part: u8,
    pub(super) counts: Counts,
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

/// Into how many parts hosts are divided for sessions.
const SESSION_PARTS: usize = 128;
/// Into how many parts the values of a dimension are divided: more than that many workers cannot share in counting.
const PARTS: usize = 16;
/// Time between two lines of a file that is told to the detector of silence.
const PAUSE_MS: i64 = 60_000;
/// How much of a line is shown as evidence, in bytes.
const EVIDENCE_BYTES_MAX: usize = 400;
/// How many lines of a slice are kept as evidence.
const EVIDENCE_LINES_MAX: usize = 3;

/// Takes blocks apart.
pub(super) struct Dispatch {
    /// Whether lines are handed on too.
    with_lines: bool,
    pending: Pending,
    /// What is pending, as it was at the last checkpoint.
    kept: Option<OperatorListState<Kept>>,
    /// Whether a watermark has been told that not everything was handed on for yet.
    handing_on: bool,
}

impl Dispatch {
    pub(super) fn new(with_lines: bool) -> Self {
        Dispatch { with_lines, pending: Pending::default(), kept: None, handing_on: false }
    }

    /// Hands on what `watermark` has come to, as far as there should be room for it.
    fn hand_on(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let most = context.batch_rows_max();
        let mut visits: Vec<Visits> = Vec::new();
        let all_visits = self.pending.take_visits(watermark, most, |host, accesses| {
            if visits.is_empty() {
                let parts = 0..SESSION_PARTS as u16;
                visits.extend(parts.map(Visits::of_part));
            }
            let of_part = &mut visits[part_of(hash_of(host), SESSION_PARTS)];
            of_part.hosts.push(host, accesses.requests);
            of_part.accesses.push(accesses);
        });
        let visits = visits.into_iter().filter_map(|visits| {
            let last = visits.accesses.iter().map(|accesses| accesses.last).max()?;
            Some(Record::new(visits, last))
        });
        context.emit_rows(VISITS, visits.collect(), 0)?;
        if !all_visits {
            return Ok(Progress::More);
        }
        let mut totals = Vec::new();
        while totals.len() < most
            && let Some((start, sums)) = self.pending.next_slice(watermark)
        {
            totals.push(Record::new(sums, start));
        }
        let is_full = totals.len() >= most;
        context.emit_rows(0, totals, 0)?;
        if is_full {
            return Ok(Progress::More);
        }
        let Some((start, minute)) = self.pending.next_minute(watermark) else { return Ok(Progress::Done) };
        let mut counted = Vec::new();
        for (dimension, parts) in [
            (Dimension::Path, minute.paths.parts(PARTS)),
            (Dimension::Host, minute.hosts.parts(PARTS)),
            (Dimension::Agent, minute.agents.parts(PARTS)),
        ] {
            for (part, counts) in parts.into_iter().enumerate() {
                if counts.len() > 0 {
                    counted.push(Record::new(Counted { dimension, part: part as u8, counts }, start));
                }
            }
        }
        self.pending.give_back(minute);
        context.emit_rows(COUNTS, counted, 0)?;
        Ok(Progress::More)
    }

    /// Counts the lines of a block, and hands on what detectors look at.
    fn take(&mut self, block: &Block, out: &mut Telling) {
        self.pending.add(block);
        for line in block.lines() {
            let pulse = out.pulse(slice_of(line.time));
            pulse.lines += 1;
            if line.is_error() {
                pulse.errors += 1;
                if pulse.samples.len() < EVIDENCE_LINES_MAX {
                    pulse.samples.push(evidence(block, line));
                }
            }
            if let Some(signal) = signal_of(block, line) {
                out.signals.push(Record::new(signal, line.time));
            }
        }
        heartbeats(block, &mut out.beats);
        if self.with_lines {
            out.lines.extend(block.lines().iter().map(|line| Record::new(block.record(line), line.time)));
        }
    }
}

/// What is told of a batch at once.
#[derive(Default)]
struct Telling {
    /// One per slice.
    pulses: Vec<Pulse>,
    signals: Vec<Record<Signal>>,
    beats: Vec<Record<Heartbeat>>,
    lines: Vec<Record<LogRecord>>,
    dead: Vec<Record<DeadLetter>>,
}

impl Telling {
    /// The pulse of a slice. Lines come nearly in order: it is nearly always the last one.
    #[inline]
    fn pulse(&mut self, slice: EventTime) -> &mut Pulse {
        let known = self.pulses.iter().rposition(|pulse| pulse.slice == slice);
        let place = known.unwrap_or_else(|| {
            self.pulses.push(Pulse { slice, lines: 0, errors: 0, samples: Vec::new() });
            self.pulses.len() - 1
        });
        &mut self.pulses[place]
    }
}

impl Stateful for Dispatch {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.kept.as_mut().map_or(Ok(()), |kept| visit(kept))
    }
}

impl Operator for Dispatch {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.kept = Some(OperatorListState::list("pending", context.info().instance));
        Ok(())
    }

    fn restored(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(kept) = &mut self.kept {
            kept.items().iter().for_each(|part| self.pending.restore(part.clone()));
            kept.set(Vec::new());
        }
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created = batch.created_micros;
        let mut told = Telling::default();
        for (row, Record { value, timestamp }) in batch.take_rows::<Parsed>()?.into_iter().enumerate() {
            panics::at_row(row as u64);
            match value {
                Parsed::Lines(block) => self.take(&block, &mut told),
                Parsed::Dead(letter) => told.dead.push(Record::new(letter, timestamp)),
            }
        }
        let pulses = told.pulses.into_iter().map(|pulse| (pulse.slice, pulse));
        let pulses = pulses.map(|(start, pulse)| Record::new(pulse, start)).collect();
        context.emit_rows(PULSES, pulses, created)?;
        context.emit_rows(SIGNALS, told.signals, created)?;
        context.emit_rows(HEARTBEATS, told.beats, created)?;
        context.emit_rows(DEAD_LETTERS, told.dead, created)?;
        context.emit_rows(LINES, told.lines, created)?;
        // What belongs before the watermark does not wait for the next one.
        let watermark = context.watermark();
        while watermark != WATERMARK_MIN && self.hand_on(watermark, context)? == Progress::More {}
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let before = std::mem::replace(&mut self.handing_on, true);
        if self.hand_on(watermark, context)? == Progress::More {
            return Ok(Progress::More);
        }
        self.handing_on = false;
        if before {
            // Input was refused meanwhile.
            context.waker().wake_by_ref();
        }
        Ok(Progress::Done)
    }

    fn accepts_input(&self) -> bool {
        !self.handing_on
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        if let Some(kept) = &mut self.kept {
            kept.set(self.pending.keep());
        }
        Ok(())
    }
}

/// A line as evidence: short, and text.
fn evidence(block: &Block, line: &BlockLine) -> String {
    let text = block.text(line);
    text_of(&text[..text.len().min(EVIDENCE_BYTES_MAX)])
}

/// What detectors of hosts want to know of a line, if anything.
#[inline]
fn signal_of(block: &Block, line: &BlockLine) -> Option<Signal> {
    let kind = match (line.login(), line.status) {
        (Some(Login::Failed), _) => SignalKind::LoginFailed,
        (Some(Login::Succeeded), _) => SignalKind::LoginSucceeded,
        (None, 404) => SignalKind::NotFound { path_hash: hash_of(block.path(line)) },
        _ => return None,
    };
    let host = block.host(line);
    (!host.is_empty()).then(|| Signal {
        host: text_of(host),
        time: line.time,
        kind,
        line: evidence(block, line),
    })
}

/// One heartbeat per run of lines of a file without a pause; a block goes on with that of the one before.
fn heartbeats(block: &Block, beats: &mut Vec<Record<Heartbeat>>) {
    let Some(start) = block.lines().first() else { return };
    let before = beats.pop_if(|beat| {
        beat.value.source == block.source() && start.time <= beat.value.last.saturating_add(PAUSE_MS)
    });
    let (mut first, mut last) =
        before.map_or((start.time, start.time), |Record { value, .. }| (value.first, value.last));
    let mut end = |first: EventTime, last: EventTime| {
        beats.push(Record::new(Heartbeat { source: block.source().to_owned(), first, last }, last));
    };
    for line in block.lines() {
        let time = line.time;
        if time > last.saturating_add(PAUSE_MS) {
            end(first, last);
            (first, last) = (time, time);
        }
        (first, last) = (first.min(time), last.max(time));
    }
    end(first, last);
}
