//! Files as a sink, each record in them exactly once.
//!
//! # Contract
//! - Records are written to hidden files (`.NAME.inprogress`) of the output directory. A file is sealed when it is
//!   large enough ([`FileSink::roll_bytes`]), old enough ([`FileSink::roll_interval`]), and at every cut: so a file
//!   belongs to one checkpoint whole, and nothing need be cut off after a crash.
//! - At a cut all sealed files are made durable, off the worker's thread; names and lengths become state. If that
//!   fails, so does this checkpoint; the job goes on, and the next cut tries again with nothing lost.
//! - When the checkpoint is complete, the files are renamed to their visible names
//!   (`PREFIX-SINK-ATTEMPT-INSTANCE-NUMBER SUFFIX`). A visible file is never changed or overwritten, and always
//!   complete. The renaming itself is done in the commit, so that a commit that is confirmed can be seen; making
//!   the new names durable is not waited for: until it is done, the files stay in the state.
//! - After a restore, files of the restored checkpoint are made visible if they are not yet (one that is nowhere is
//!   taken for read and removed by its readers, with a warning); hidden files of the
//!   same sink that it does not know are removed. Files of others are left alone.
//! - At most 8 MiB wait for the disk; then no more records are taken. If the disk takes none at all by then, the
//!   attempt ends with an error that names file and reason.

mod commit;
mod dead_letter;
mod name;
mod operator;
#[cfg(test)]
mod tests;
mod writer;

pub use dead_letter::{DeadLetter, dead_letter_sink, encode_dead_letter};
pub use operator::{FileSinkOperator, PendingFile};

use eddyline_core::Data;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Appends the bytes of a record.
pub(crate) type Encoder<T> = Arc<dyn Fn(&T, &mut Vec<u8>) + Send + Sync>;

/// A sink that writes records to files of a directory, exactly once.
///
/// # Examples
/// ```
/// use eddyline::{Environment, NodeSpec};
/// use eddyline_connectors::sink::FileSink;
///
/// let out = std::env::temp_dir().join("eddyline-numbers");
/// let sink = FileSink::new(&out, |number: &u64, out| out.extend_from_slice(format!("{number}\n").as_bytes()))
///     .suffix(".txt");
/// let environment = Environment::new();
/// environment
///     .from_collection(vec![1u64, 2, 3])
///     .add_sink_operator(NodeSpec::named("numbers"), move || sink.operator());
/// environment.execute("numbers")?;
/// # std::fs::remove_dir_all(out).ok();
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct FileSink<T> {
    directory: PathBuf,
    prefix: String,
    suffix: String,
    encoder: Encoder<T>,
    roll_bytes: u64,
    roll_interval_ms: i64,
}

impl<T> Clone for FileSink<T> {
    fn clone(&self) -> Self {
        FileSink {
            directory: self.directory.clone(),
            prefix: self.prefix.clone(),
            suffix: self.suffix.clone(),
            encoder: self.encoder.clone(),
            roll_bytes: self.roll_bytes,
            roll_interval_ms: self.roll_interval_ms,
        }
    }
}

impl<T: Data> FileSink<T> {
    /// A sink that writes to `directory`, which is made if it is missing; `encoder` appends the bytes of a record,
    /// a line end included.
    pub fn new(
        directory: impl Into<PathBuf>,
        encoder: impl Fn(&T, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        FileSink {
            directory: directory.into(),
            prefix: "part".to_string(),
            suffix: String::new(),
            encoder: Arc::new(encoder),
            roll_bytes: 128 << 20,
            roll_interval_ms: 60_000,
        }
    }

    /// What file names begin with (default `part`).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What file names end with, such as `.jsonl` (default: nothing).
    #[must_use]
    pub fn suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = suffix.into();
        self
    }

    /// The length in bytes from which on a file is sealed (default 128 MiB).
    #[must_use]
    pub fn roll_bytes(mut self, bytes: u64) -> Self {
        self.roll_bytes = bytes.max(1);
        self
    }

    /// The age, by processing time, from which on a file is sealed (default 60 s).
    #[must_use]
    pub fn roll_interval(mut self, interval: Duration) -> Self {
        self.roll_interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        self
    }

    /// An instance of the sink, for `DataStream::add_sink_operator`.
    pub fn operator(&self) -> FileSinkOperator<T> {
        FileSinkOperator::new(self.clone())
    }
}
