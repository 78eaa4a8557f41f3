//! The log job: raw lines in; windows, sessions, alerts, stored lines and dead letters out.
//!
//! ```text
//! text files ─ blocks ─ dispatch ┬─ totals of 10 s ──┬─ tumbling minute ─┬─ day so far ──┬─ board, store
//!                                │                   └─ sliding 5 min/10 s ──────────────┤
//!                                ├─ visits ───────────── sessions, gap of 30 min ─────────┤
//!                                ├─ counted values ───── tumbling minute ─ top N ────────┤
//!                                ├─ pulses, signals, heartbeats ─ detectors ─ alerts ────┘
//!                                ├─ lines ────────────── columnar files, exactly once
//!                                └─ dead letters ─────── files, exactly once
//! ```
//!
//! The job is a client of the public API like any other.

mod block;
mod board;
mod caution;
mod dispatch;
mod hosts;
mod ledger;
mod parser;
mod pending;
mod sessions;
mod tally;
mod top;
mod totals;

pub use board::{Board, BoardView, Unreadable, WindowKind};
pub use dispatch::Dimension;
pub(crate) use dispatch::Heartbeat;
pub use parser::FormatRule;
pub use totals::{Figures, Totals};

use crate::detect::hosts::HostDetector;
use crate::detect::silence::SilenceDetector;
use crate::detect::spike::SpikeDetector;
use crate::detect::{Alert, DetectionSettings, Pulse, Signal};
use crate::format::ReadOptions;
use crate::record::LogRecord;
use crate::store::{Store, StoreSettings, WindowRow};
use crate::summary::{MINUTE_MS, Session};
use board::SummarySink;
use caution::Cautious;
use dispatch::{Counted, Dispatch};
use eddyline::window::SlicedWindows;
use eddyline::{DataStream, Environment, NodeSpec, OutputTag, WatermarkStrategy};
use eddyline_connectors::files::{FileProgress, TextFiles};
use eddyline_connectors::sink::{DeadLetter, dead_letter_sink};
use eddyline_core::Result;
use ledger::Entry;
use parser::BlockParser;
use pending::SLICE_MS;
use sessions::{Sessions, Visits};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use totals::Merge;

/// What the log job reads and writes.
#[derive(Debug, Clone)]
pub struct LogJob {
    /// Files and directories.
    pub inputs: Vec<PathBuf>,
    /// Whether to follow the files as they grow.
    pub follow: bool,
    /// How far out of order lines may be.
    pub delay: Duration,
    /// Where lines that cannot be read are kept; none: they are only counted.
    pub dead_letters: Option<PathBuf>,
    /// How lines are read.
    pub reading: ReadOptions,
    /// Formats of files by their names; the first rule that fits holds.
    pub formats: Vec<FormatRule>,
    /// When alerts open.
    pub detection: DetectionSettings,
    /// Where windows, sessions, alerts and lines are stored; none: they are not.
    pub store: Option<StoreSettings>,
}

/// What can be watched of a running log job.
pub struct LogJobWatch {
    /// The figures so far.
    pub board: Arc<Board>,
    /// How far the files are read.
    pub progress: Arc<FileProgress>,
    /// What is stored, to be asked.
    pub store: Option<Arc<Store>>,
}

/// Without a line for this long, a file does not hold the others' time back.
const IDLENESS: Duration = Duration::from_secs(10);
/// The length of the sliding windows.
const SLIDING_MS: i64 = 5 * MINUTE_MS;

impl LogJob {
    /// A job that reads `inputs` to their end, waits a minute for lines out of order, and stores nothing.
    pub fn new(inputs: Vec<PathBuf>) -> Self {
        LogJob {
            inputs,
            follow: false,
            delay: Duration::from_secs(60),
            dead_letters: None,
            reading: ReadOptions::default(),
            formats: Vec::new(),
            detection: DetectionSettings::default(),
            store: None,
        }
    }

    /// Describes the job on `environment`.
    ///
    /// # Errors
    /// If an input does not exist or cannot be read, or the store cannot be opened.
    pub fn describe(&self, environment: &Environment) -> Result<LogJobWatch> {
        let store =
            self.store.as_ref().map(|settings| Store::open(settings.clone())).transpose()?.map(Arc::new);
        let stores_lines = self.store.as_ref().is_some_and(|settings| settings.lines);
        let mut files = TextFiles::new(self.inputs.clone());
        if self.follow {
            files = files.follow();
        }
        let progress = files.progress();
        let delay_ms = self.delay_ms();
        let mut strategy = WatermarkStrategy::for_generator(move || Cautious::new(delay_ms));
        if self.follow {
            strategy = strategy.with_idleness(IDLENESS);
        }
        let (options, rules) =
            (Arc::new(self.reading.clone()), Arc::<[FormatRule]>::from(self.formats.as_slice()));
        let source = move || files.parse_with(BlockParser::new(options.clone(), rules.clone()));
        let parsed = environment.from_source("read and parse", source, strategy).uid("lines");
        let spec = NodeSpec::named("dispatch").with_outputs(dispatch::OUTPUTS).with_watermarks();
        let totals = parsed.transform::<Totals, _>(spec, move || Dispatch::new(stores_lines)).uid("dispatch");

        let (windows, late) = windows(&totals);
        let sessions = sessions(&totals);
        let alerts = self.alerts(&totals);
        let letters = totals.output::<DeadLetter>(dispatch::DEAD_LETTERS);
        if let Some(directory) = &self.dead_letters {
            let sink = dead_letter_sink(directory);
            let spec = NodeSpec::named("dead letters");
            let _ = letters.add_sink_operator(spec, move || sink.operator()).uid("dead-letters");
        }
        if let Some(store) = &store {
            let rows = windows.map(|(kind, figures)| WindowRow { kind, figures });
            store.keep_results(&rows, &sessions, &alerts);
            if stores_lines {
                store.keep_lines(&totals.output::<LogRecord>(dispatch::LINES));
            }
        }

        let board = Arc::new(Board::default());
        let shown = board.clone();
        let windows = windows.map(|(kind, figures)| match kind {
            0 => Entry::Minute(figures),
            1 => Entry::Sliding(figures),
            _ => Entry::Day(figures),
        });
        let unparsed = letters.map(|letter| Entry::Unparsed {
            file: letter.file,
            offset: letter.offset,
            reason: letter.reason,
        });
        let (sessions, alerts) = (sessions.map(Entry::Closed), alerts.map(Entry::Alert));
        let entries = windows.union_all([&late, &sessions, &alerts, &tops(&totals), &unparsed]).global();
        let _ = entries
            .add_sink_operator(NodeSpec::named("summary"), move || SummarySink::new(shown.clone()))
            .uid("summary")
            .set_parallelism(1);
        Ok(LogJobWatch { board, progress, store })
    }

    fn delay_ms(&self) -> i64 {
        i64::try_from(self.delay.as_millis()).unwrap_or(i64::MAX)
    }

    /// All alerts.
    fn alerts(&self, totals: &DataStream<Totals>) -> DataStream<Alert> {
        let (settings, delay_ms, live) = (self.detection.clone(), self.delay_ms(), self.follow);
        let spikes = totals
            .output::<Pulse>(dispatch::PULSES)
            .key_by(|_| ())
            .process(move || SpikeDetector::new(settings.clone(), delay_ms))
            .name("error spikes")
            .uid("error-spikes");
        let settings = self.detection.clone();
        let hosts = totals
            .output::<Signal>(dispatch::SIGNALS)
            .key_by(|signal| signal.host.clone())
            .process(move || HostDetector::new(settings.clone()))
            .name("hosts")
            .uid("hosts");
        let settings = self.detection.clone();
        let silence = totals
            .output::<Heartbeat>(dispatch::HEARTBEATS)
            .key_by(|beat| beat.source.clone())
            .process(move || SilenceDetector::new(settings.clone(), live))
            .name("silent sources")
            .uid("silent-sources");
        spikes.union_all([&hosts, &silence])
    }
}

/// Figures of all kinds of windows (the number of the kind, see [`WindowKind`]), and what came too late for a minute.
fn windows(totals: &DataStream<Totals>) -> (DataStream<(u8, Figures)>, DataStream<Entry>) {
    let late = OutputTag::<Totals>::new("late");
    let minutes = totals
        .window_all(SlicedWindows::tumbling(MINUTE_MS))
        .side_output_late_data(&late)
        .aggregate(Merge)
        .name("per minute")
        .uid("minutes");
    let late = minutes.side_output(&late).map(|totals| Entry::Late {
        lines: totals.lines,
        bytes: totals.bytes,
        status: totals.status,
    });
    let days = minutes
        .map(|result| (result.window.start, result.value))
        .key_by(|_| ())
        .process(top::DaySoFar::default)
        .name("day so far")
        .uid("days");
    let sliding = totals
        .window_all(SlicedWindows::sliding(SLIDING_MS, SLICE_MS))
        .aggregate(Merge)
        .name("sliding five minutes")
        .uid("sliding");
    let minutes = minutes.map(|result| (0, result.value.figures(result.window.start, result.window.end)));
    let sliding = sliding.map(|result| (1, result.value.figures(result.window.start, result.window.end)));
    let days = days.map(|figures| (2, figures));
    (minutes.union_all([&sliding, &days]), late)
}

/// Sessions that are over.
fn sessions(totals: &DataStream<Totals>) -> DataStream<Session> {
    totals
        .output::<Visits>(dispatch::VISITS)
        .key_by(|visits| visits.part)
        .process(Sessions::default)
        .name("sessions")
        .uid("sessions")
}

/// How often each path was asked for, and the most frequent values of all dimensions, minute by minute.
fn tops(totals: &DataStream<Totals>) -> DataStream<Entry> {
    let counts = totals
        .output::<Counted>(dispatch::COUNTS)
        .key_by(|counted| (counted.dimension as u8, counted.part))
        .window(SlicedWindows::tumbling(MINUTE_MS))
        .aggregate(top::Frequent)
        .name("per value")
        .uid("values");
    let paths = counts.flat_map_iter(|result| {
        result.value.paths.into_iter().map(|(path, count)| Entry::Path { path, count })
    });
    let tops = counts
        .key_by(|result| result.key.0)
        .window(SlicedWindows::tumbling(MINUTE_MS))
        .aggregate(top::TopRows)
        .name("top values")
        .uid("tops")
        .map(|result| {
            let dimension = match result.key {
                0 => Dimension::Path,
                1 => Dimension::Host,
                _ => Dimension::Agent,
            };
            Entry::Top { minute: result.window.start, dimension, values: result.value }
        });
    paths.union(&tops)
}

#[cfg(test)]
mod tests;
