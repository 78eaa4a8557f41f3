//! The log job: raw lines in, a summary, sessions and dead letters out.
//!
//! ```text
//! text files ─ parse ─┬─ status, bytes ── tumbling minute ──┬────────── summary board
//!                     ├─ host, bytes ──── session 30 min ───┤
//!                     ├─ path ─────────── tumbling minute ──┘
//!                     └─ dead letters ─── exactly-once files
//! ```
//!
//! The job is a client of the public API like any other.

mod aggregate;
mod board;
mod caution;
mod dispatch;

pub use board::{Board, BoardView};

use crate::event::LogEvent;
use crate::parse::parse_line;
use crate::summary::{MINUTE_MS, SESSION_GAP_MS, Session};
use aggregate::{Bytes, Visits};
use board::{Entry, SummarySink};
use caution::Cautious;
use dispatch::{DEAD_LETTERS, Dispatch, OUTPUTS, PATHS, Parsed, VISITS, Visit};
use eddyline::window::{Count, SlicedWindows};
use eddyline::{Collector, Environment, NodeSpec, OutputTag, WatermarkStrategy};
use eddyline_connectors::files::{FileProgress, Line, LineContent, LineOutput, TextFiles};
use eddyline_connectors::sink::{DeadLetter, dead_letter_sink};
use eddyline_core::{EventTime, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
}

/// What can be watched of a running log job.
pub struct LogJobWatch {
    /// The figures so far.
    pub board: Arc<Board>,
    /// How far the files are read.
    pub progress: Arc<FileProgress>,
}

/// How much of a line that cannot be read is kept.
const DEAD_LINE_BYTES_MAX: usize = 64 << 10;
/// Without a line for this long, a file does not hold the others' time back.
const IDLENESS: Duration = Duration::from_secs(10);

impl LogJob {
    /// Describes the job on `environment`.
    ///
    /// # Errors
    /// If an input does not exist or cannot be read.
    pub fn describe(&self, environment: &Environment) -> Result<LogJobWatch> {
        let mut files = TextFiles::new(self.inputs.clone());
        if self.follow {
            files = files.follow();
        }
        let progress = files.progress();
        let delay_ms = i64::try_from(self.delay.as_millis()).unwrap_or(i64::MAX);
        let mut strategy = WatermarkStrategy::for_generator(move || Cautious::new(delay_ms));
        if self.follow {
            strategy = strategy.with_idleness(IDLENESS);
        }
        let source = move || files.parse_with(parse);
        let parsed = environment.from_source("read and parse", source, strategy).uid("lines");
        let spec = NodeSpec::named("dispatch").with_outputs(OUTPUTS);
        let accesses = parsed.transform::<(u16, u64), _>(spec, || Dispatch).uid("dispatch");

        let late = OutputTag::<(u16, u64)>::new("late");
        let minutes = accesses
            .key_by(|(status, _)| *status)
            .window(SlicedWindows::tumbling(MINUTE_MS))
            .side_output_late_data(&late)
            .aggregate(Bytes)
            .name("per minute and status")
            .uid("minutes");
        let late = minutes.side_output(&late).map(|(status, bytes)| Entry::Late { status, count: 1, bytes });
        let minutes = minutes.map(|result| Entry::Minute {
            minute: result.window.start,
            status: result.key,
            count: result.value.0,
            bytes: result.value.1,
        });
        let sessions = accesses
            .output::<Visit>(VISITS)
            .key_by(|visit| visit.host.clone())
            .session_window(Duration::from_millis(SESSION_GAP_MS as u64))
            .aggregate(Visits)
            .name("sessions")
            .uid("sessions")
            .map(|result| {
                let (start, end) = aggregate::bounds(result.window.start, result.window.end, SESSION_GAP_MS);
                let (requests, bytes) = result.value;
                Entry::Closed(Session { host: result.key, start, end, requests, bytes })
            });
        let paths = accesses
            .output::<String>(PATHS)
            .key_by(|path| path.clone())
            .window(SlicedWindows::tumbling(MINUTE_MS))
            .aggregate(Count::new())
            .name("per path")
            .uid("paths")
            .map(|result| Entry::Path { path: result.key, count: result.value });
        let letters = accesses.output::<DeadLetter>(DEAD_LETTERS);
        let unparsed = letters.flat_map(|_letter: DeadLetter, out: &mut Collector<Entry>| {
            out.collect(Entry::Unparsed { count: 1 })
        });
        if let Some(directory) = &self.dead_letters {
            let sink = dead_letter_sink(directory);
            let spec = NodeSpec::named("dead letters");
            let _ = letters.add_sink_operator(spec, move || sink.operator()).uid("dead-letters");
        }

        let board = Arc::new(Board::default());
        let shown = board.clone();
        let entries = minutes.union(&late).union(&sessions).union(&paths).union(&unparsed).global();
        let _ = entries
            .add_sink_operator(NodeSpec::named("summary"), move || SummarySink::new(shown.clone()))
            .uid("summary")
            .set_parallelism(1);
        Ok(LogJobWatch { board, progress })
    }
}

/// Makes a record of a line, or a dead letter.
fn parse(line: Line<'_>, out: &mut LineOutput<'_, '_, Parsed>) {
    let dead = |reason: String, bytes: &[u8]| {
        Parsed::Dead(DeadLetter {
            file: line.file.to_string(),
            offset: line.offset,
            reason,
            line: bytes[..bytes.len().min(DEAD_LINE_BYTES_MAX)].to_vec(),
        })
    };
    match line.content {
        LineContent::Whole(bytes) => match parse_line(bytes) {
            Ok(parsed) => {
                let event = LogEvent::from(&parsed);
                let time = event.time;
                out.emit_with_time(Parsed::Access(event), time);
            }
            // No time of its own: it must not move the watermark.
            Err(unparsed) => out.emit_with_time(dead(unparsed.to_string(), bytes), EventTime::MIN),
        },
        LineContent::TooLong { length, start } => {
            out.emit_with_time(dead(format!("line too long: {length} bytes"), start), EventTime::MIN);
        }
    }
}

#[cfg(test)]
mod tests;
