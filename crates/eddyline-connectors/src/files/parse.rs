//! What is made of a line.

use super::progress::{FileProgress, InstanceProgress};
use eddyline::source::{SplitId, SplitOutput};
use eddyline_core::{Data, Error, EventTime};
use eddyline_formats::Framing;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Records left out of which an instance tells in warnings.
const SKIPPED_TOLD_MAX: u64 = 10;

/// A line and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The path of its file, as it was when the file was opened.
    pub file: &'a Arc<str>,
    /// The offset of its first byte in the file.
    pub offset: u64,
    /// The line itself.
    pub content: LineContent<'a>,
}

/// The content of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineContent<'a> {
    /// The bytes of the line, without its line end. They may be anything.
    Whole(&'a [u8]),
    /// The line is longer than the limit and was skipped.
    TooLong {
        /// Its length in bytes, without `\n`.
        length: u64,
        /// Its first bytes.
        start: &'a [u8],
    },
}

/// A compressed file that cannot be read on: it is damaged or was cut off.
#[derive(Debug, Clone, Copy)]
pub struct Damage<'a> {
    /// The path of the file.
    pub file: &'a Arc<str>,
    /// Where the first line starts that could not be read, in unpacked bytes.
    pub offset: u64,
    /// What is wrong.
    pub reason: &'a str,
}

impl Damage<'_> {
    /// The error that says so.
    pub fn to_error(&self) -> Error {
        Error::input("a compressed input file cannot be read to its end")
            .with_detail(format!("{}, from unpacked byte {} on: {}", self.file, self.offset, self.reason))
            .with_hint(
                "put a whole copy in its place and restart, or have the rest of bad files skipped or kept",
            )
    }
}

/// Makes records of lines, within the source.
pub trait LineParser<T: Data>: 'static {
    /// How lines are told apart.
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    /// Says what is to be done about a file that cannot be read on; all lines before were parsed. By default the
    /// attempt ends; if not, the file counts as read.
    fn damaged(&mut self, damage: Damage<'_>, out: &mut LineOutput<'_, '_, T>) {
        out.fail(damage.to_error());
    }

    /// Hands over what `line` means: nothing, a record or some. Called once per line, in order within a file.
    fn parse(&mut self, line: Line<'_>, out: &mut LineOutput<'_, '_, T>);

    /// How many lines were parsed and not handed over yet: a parser may make one record of many lines.
    fn held(&self) -> usize {
        0
    }

    /// Hands over what was held back. Called after each run of lines, all of which are of one file, and before
    /// anything is saved: what is held back now would be lost.
    fn flush(&mut self, out: &mut LineOutput<'_, '_, T>) {
        let _ = out;
    }
}

impl<T: Data, F: FnMut(Line<'_>, &mut LineOutput<'_, '_, T>) + 'static> LineParser<T> for F {
    fn parse(&mut self, line: Line<'_>, out: &mut LineOutput<'_, '_, T>) {
        self(line, out);
    }
}

/// Takes what a [`LineParser`] makes of a line.
pub struct LineOutput<'a, 'b, T: Data> {
    pub(super) out: &'a mut SplitOutput<'b, T>,
    pub(super) split: SplitId,
    pub(super) failure: &'a mut Option<Error>,
    pub(super) counters: &'a InstanceProgress,
    pub(super) progress: &'a FileProgress,
}

impl<T: Data> LineOutput<'_, '_, T> {
    /// Hands over a record without event time: the watermark strategy assigns it.
    #[inline]
    pub fn emit(&mut self, value: T) {
        self.out.push(self.split, value);
    }

    /// Hands over a record of event time `timestamp`, milliseconds since the epoch.
    #[inline]
    pub fn emit_with_time(&mut self, value: T, timestamp: EventTime) {
        self.out.push_with_time(self.split, value, timestamp);
    }

    /// Ends the attempt: a line cannot be used, and going on without it will not do.
    pub fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Counts a record that is left out, and warns of the first few.
    pub fn skip(&mut self, file: &str, offset: u64, reason: &str) {
        let before = self.counters.records_bad.fetch_add(1, Ordering::Relaxed);
        if before < SKIPPED_TOLD_MAX {
            let more = if before + 1 == SKIPPED_TOLD_MAX { "; others are only counted" } else { "" };
            self.progress.warn(format!("{file}, byte {offset}: left out: {reason}{more}"));
        }
    }
}

/// A line as text.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct TextLine {
    /// The path of its file, as it was when the file was opened.
    pub file: String,
    /// The offset of its first byte in the file.
    pub offset: u64,
    /// The line without its line end; of one that is too long, the beginning.
    pub line: String,
    /// Whether bytes that are no UTF-8 were replaced by U+FFFD.
    pub lossy: bool,
    /// Whether the line was too long and `line` is only its beginning.
    pub truncated: bool,
}

/// The parser that hands out every line as [`TextLine`].
#[derive(Debug, Clone, Copy, Default)]
pub struct WholeLines;

impl LineParser<TextLine> for WholeLines {
    fn parse(&mut self, line: Line<'_>, out: &mut LineOutput<'_, '_, TextLine>) {
        let (bytes, truncated) = match line.content {
            LineContent::Whole(bytes) => (bytes, false),
            LineContent::TooLong { start, .. } => (start, true),
        };
        let text = String::from_utf8_lossy(bytes);
        out.emit(TextLine {
            file: line.file.to_string(),
            offset: line.offset,
            lossy: matches!(text, std::borrow::Cow::Owned(_)),
            line: text.into_owned(),
            truncated,
        });
    }
}
