//! Text files as a source: read once, or followed as they grow and are rotated.
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
//!   as they come. Hidden (`.x`) and compressed files of a directory are left out. Two rotations between two looks
//!   ([`TextFiles::poll_interval`]) cannot be told from one unless the directory is followed.
//! - Offsets are the source's state: after a restore, each split goes on with the first line that was not emitted.
//!   A file that was renamed in the meantime is found again in its directory by device, inode and first bytes.
//! - Lines longer than [`TextFiles::line_bytes_max`] are skipped in bounded memory; the parser is told
//!   ([`LineContent::TooLong`]).
//! - Reading is done on a thread per instance, at most [`RUNS_MAX`] runs of 256 KiB ahead.
//!
//! **Architecture invariant:** nothing here parses a line: what it means is the business of a [`LineParser`].

mod directory;
mod event;
mod followed;
mod identity;
mod line_reader;
mod open;
mod parse;
mod pieces;
mod plan;
mod progress;
mod reader;
mod source;
mod split;
#[cfg(test)]
mod tests;

pub use identity::{FileIdentity, Fingerprint};
pub use parse::{Line, LineContent, LineOutput, LineParser, TextLine, WholeLines};
pub use progress::FileProgress;
pub use source::{FileSource, RUNS_MAX};
pub use split::{FileSplit, OPEN_END};

use eddyline_core::Data;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    follow: bool,
    line_bytes_max: usize,
    poll_interval_ms: i64,
    progress: Arc<FileProgress>,
}

impl TextFiles {
    /// The files at `paths`, and those directly in the directories among them.
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        TextFiles {
            paths: paths.into_iter().map(Into::into).collect(),
            follow: false,
            line_bytes_max: LINE_BYTES_MAX_DEFAULT,
            poll_interval_ms: 100,
            progress: Arc::new(FileProgress::default()),
        }
    }

    /// Reads on as the files grow, are rotated and come anew, without end.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
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
}
