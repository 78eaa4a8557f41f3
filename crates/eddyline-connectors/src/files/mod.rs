//! Text files as a source: read once, discovered as they come, or followed as they grow and are rotated.
//!
//! # Contract
//! - A record is a line, without its line end (`\n` or `\r\n`). The last line of a bounded file counts without one;
//!   that of a followed file counts when its line end has come, or when the file is done with.
//! - *Bounded* (the default): files are cut into pieces at fixed offsets, so that all instances share large ones; a
//!   line belongs to the piece in which it starts. The pieces of a file that fall to one instance are read in order,
//!   and files take turns, so sorted files come out nearly sorted.
//! - *Followed* ([`TextFiles::follow`]): a rotated file is read to its end through the old handle before the new one
//!   is begun; one that was cut off or overwritten is read from its start, with a warning. A file that is given by
//!   its own path is one split; the files of a directory are read by one instance, each a split, new ones are found
//!   as they come. Compressed files of a directory are left out. Files that had a path and lost it again between two
//!   looks, or while the job was down, are found if rotation appended a number or a date to their names.
//! - *Discovered* ([`TextFiles::discover`]): files are read once each, whenever they come, the oldest first; they
//!   must not change. Which were read is state for as long as they are there.
//! - Directories are read with those below them if [`TextFiles::recursive`]; hidden files and directories (`.x`,
//!   `_x`) and files in the making (`x.inprogress`, `x.tmp`) are left out.
//! - Compressed files (`.gz`, `.zst`) are read by one instance each; offsets are those of the unpacked text, so that
//!   after a restore a file is unpacked anew up to where it was left. Damage is told to the parser
//!   ([`LineParser::damaged`]) after all lines before it.
//! - What is a record is said by the parser's or decoder's [`Framing`](eddyline_formats::Framing); where quotes may
//!   hold line feeds a file is read by one instance.
//! - Offsets are the source's state: after a restore, each split goes on with the first line that was not emitted.
//!   A file that was renamed in the meantime is found again in its directory by device, inode and first bytes.
//! - Lines longer than [`TextFiles::line_bytes_max`] are skipped in bounded memory; the parser is told
//!   ([`LineContent::TooLong`]).
//! - Reading is done on a thread per instance, at most [`RUNS_MAX`] runs of 256 KiB ahead.
//!
//! **Architecture invariant:** nothing here parses a line: what it means is the business of a [`LineParser`].

mod bytes;
mod directory;
mod event;
mod followed;
mod format;
mod identity;
mod line_reader;
mod listing;
mod monitor;
mod open;
mod parse;
mod pieces;
mod plan;
mod progress;
mod reader;
mod rotation;
mod source;
mod split;
#[cfg(test)]
mod tests;

pub use format::{Decoded, DecodedStream, Decoding, DecodingAll, OnBadRecord};
pub use identity::{FileIdentity, Fingerprint};
pub use parse::{Damage, Line, LineContent, LineOutput, LineParser, TextLine, WholeLines};
pub use progress::FileProgress;
pub use source::{FileSource, RUNS_MAX};
pub use split::{FileSplit, OPEN_END};

use eddyline_core::Data;
use eddyline_formats::{Compression, Decoder};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Which files are read, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What is there at the start.
    Bounded,
    /// Files that grow and are rotated.
    Followed,
    /// What is there at the start and comes later, each file once.
    Monitored,
}

/// The longest line, unless said otherwise: 1 MiB.
pub const LINE_BYTES_MAX_DEFAULT: usize = 1 << 20;

/// Which text files to read, and how.
///
/// # Examples
/// ```
/// use eddyline::{Environment, WatermarkStrategy};
/// use eddyline_connectors::files::TextFiles;
///
/// let path = std::env::temp_dir().join("eddyline-lines.txt");
/// std::fs::write(&path, "one\ntwo\n").expect("a writable directory");
/// let files = TextFiles::new([&path]);
/// let environment = Environment::new();
/// let lines = environment
///     .from_source("lines", move || files.read_lines(), WatermarkStrategy::no_watermarks())
///     .collect();
/// environment.execute("lines")?;
/// assert_eq!(lines.rows()[1].line, "two");
/// assert_eq!(lines.rows()[1].offset, 4);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TextFiles {
    paths: Vec<PathBuf>,
    mode: Mode,
    recursive: bool,
    compression: Option<Compression>,
    line_bytes_max: usize,
    poll_interval_ms: i64,
    progress: Arc<FileProgress>,
}

impl TextFiles {
    /// The files at `paths`, those directly in the directories among them, and those that match the patterns among
    /// them: `*`, `?` and `[ab]` within a name, `**` as a whole name for any directories.
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        TextFiles {
            paths: paths.into_iter().map(Into::into).collect(),
            mode: Mode::Bounded,
            recursive: false,
            compression: None,
            line_bytes_max: LINE_BYTES_MAX_DEFAULT,
            poll_interval_ms: 100,
            progress: Arc::new(FileProgress::default()),
        }
    }

    /// Reads on as the files grow, are rotated and come anew, without end.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.mode = Mode::Followed;
        self
    }

    /// Goes on looking for new files every `interval`, without end. Each is read once, when it is found: it must not
    /// change any more, so it is best written elsewhere, or as `x.tmp`, and renamed.
    #[must_use]
    pub fn discover(mut self, interval: Duration) -> Self {
        self.mode = Mode::Monitored;
        self.poll_interval(interval)
    }

    /// Whether files in directories below those given are read too (default: no).
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// How all files are packed (default: as the endings of their names say, `.gz` or `.zst`).
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// The longest line, in bytes without its line end; at least 1.
    #[must_use]
    pub fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.line_bytes_max = bytes.max(1);
        self
    }

    /// How often followed files and directories are looked at when there is nothing to read (default 100 ms).
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        self
    }

    fn compression_of(&self, path: &str) -> Compression {
        self.compression.unwrap_or_else(|| Compression::of_name(path))
    }

    /// How far reading has come in this process.
    pub fn progress(&self) -> Arc<FileProgress> {
        self.progress.clone()
    }

    /// A source of lines as text.
    pub fn read_lines(&self) -> FileSource<TextLine, WholeLines> {
        self.parse_with(WholeLines)
    }

    /// A source of what `parser` makes of the lines, without a record per line in between.
    pub fn parse_with<T: Data, P: LineParser<T>>(&self, parser: P) -> FileSource<T, P> {
        FileSource::new(self.clone(), parser)
    }

    /// A source of the records of a format; what is done about bad ones is said by `on_bad`.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, WatermarkStrategy};
    /// use eddyline_connectors::files::{OnBadRecord, TextFiles};
    /// use eddyline_formats::Csv;
    ///
    /// let path = std::env::temp_dir().join("eddyline-trades.csv");
    /// std::fs::write(&path, "a,1\n\"b,\nc\",2\nd\n").expect("a writable directory");
    /// let files = TextFiles::new([&path]);
    /// let environment = Environment::new();
    /// let trades = environment
    ///     .from_source(
    ///         "trades",
    ///         move || files.decode(Csv::new().decoder::<(String, u32)>(), OnBadRecord::Skip),
    ///         WatermarkStrategy::no_watermarks(),
    ///     )
    ///     .collect();
    /// environment.execute("trades")?;
    /// assert_eq!(trades.rows(), [("a".to_string(), 1), ("b,\nc".to_string(), 2)]);
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn decode<T: Data, D: Decoder<T>>(
        &self,
        decoder: D,
        on_bad: OnBadRecord,
    ) -> FileSource<T, Decoding<D>> {
        self.parse_with(Decoding::new(decoder, on_bad))
    }

    /// A source of the records of a format and, as [`Decoded::Bad`], of those that could not be decoded.
    pub fn decode_or_dead_letter<T: Data, D: Decoder<T>>(
        &self,
        decoder: D,
    ) -> FileSource<Decoded<T>, DecodingAll<D>> {
        self.parse_with(DecodingAll::new(decoder))
    }
}
