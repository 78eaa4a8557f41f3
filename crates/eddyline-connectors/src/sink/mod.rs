//! Files as a sink, each record in them exactly once.
//!
//! # Contract
//! - Records are written to hidden files (`.NAME.inprogress`) of the output directory, or of directories below it,
//!   the *buckets*, which depend on the record and its time. A file is sealed when it is large enough
//!   ([`FileSink::roll_bytes`]), old enough ([`FileSink::roll_interval`]), quiet for long enough
//!   ([`FileSink::roll_inactivity`]), when too many are open ([`FileSink::open_files_max`]), and at every cut: so a
//!   file belongs to one checkpoint whole, and nothing need be cut off after a crash.
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

mod bucket;
mod commit;
mod dead_letter;
mod name;
mod open_file;
mod operator;
#[cfg(test)]
mod tests;
mod writer;

pub use bucket::{BucketTime, partition_path};
pub use dead_letter::{DeadLetter, dead_letter_sink, encode_dead_letter};
pub use operator::{FileSinkOperator, PendingFile};

use bucket::{Assigner, TimePattern};
use eddyline_core::Data;
use eddyline_formats::{BulkEncoder, Compression, Encoder};
use open_file::{ByClosure, Rows};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Makes an encoder for each file.
pub(crate) type Encoders<T> = Arc<dyn Fn() -> Box<dyn BulkEncoder<T>> + Send + Sync>;

/// The name of the file that says that output is complete; see [`FileSink::success_marker`].
pub const SUCCESS_MARKER: &str = "_SUCCESS";

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
    encoders: Encoders<T>,
    compression: Compression,
    bucket: Option<Assigner<T>>,
    open_files_max: usize,
    roll_bytes: u64,
    roll_interval_ms: i64,
    roll_inactivity_ms: i64,
    marks_success: bool,
}

impl<T> Clone for FileSink<T> {
    fn clone(&self) -> Self {
        FileSink {
            directory: self.directory.clone(),
            prefix: self.prefix.clone(),
            suffix: self.suffix.clone(),
            encoders: self.encoders.clone(),
            compression: self.compression,
            bucket: self.bucket.clone(),
            open_files_max: self.open_files_max,
            roll_inactivity_ms: self.roll_inactivity_ms,
            roll_bytes: self.roll_bytes,
            roll_interval_ms: self.roll_interval_ms,
            marks_success: self.marks_success,
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
        Self::with_encoder(directory, ByClosure(encoder))
    }

    /// A sink that writes to `directory` in a format that has each record by itself.
    ///
    /// # Examples
    /// ```
    /// use eddyline_connectors::sink::{BucketTime, FileSink};
    /// use eddyline_formats::{Compression, Csv};
    ///
    /// let sink: FileSink<(String, u64)> = FileSink::with_encoder("/data/out", Csv::new().encoder())
    ///     .bucket_by_time(BucketTime::Event, "dt=%Y-%m-%d/hour=%H")
    ///     .suffix(".csv")
    ///     .compression(Compression::Gzip);
    /// ```
    pub fn with_encoder(directory: impl Into<PathBuf>, encoder: impl Encoder<T>) -> Self {
        let encoder = Arc::new(encoder);
        Self::with_bulk_encoder(directory, move || Rows::new(encoder.clone()))
    }

    /// A sink that writes to `directory` in a format of whole files; `make` is called for each file.
    pub fn with_bulk_encoder<B: BulkEncoder<T>>(
        directory: impl Into<PathBuf>,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        FileSink {
            directory: directory.into(),
            prefix: "part".to_string(),
            suffix: String::new(),
            encoders: Arc::new(move || Box::new(make())),
            compression: Compression::None,
            bucket: None,
            open_files_max: 64,
            roll_bytes: 128 << 20,
            roll_interval_ms: 60_000,
            roll_inactivity_ms: i64::MAX,
            marks_success: false,
        }
    }

    /// Makes an empty file [`SUCCESS_MARKER`] in the directory once the input of the job has ended and all files of all
    /// instances are visible: whoever waits for it reads complete output. One of an earlier run is removed when the job
    /// starts.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, NodeSpec};
    /// use eddyline_connectors::sink::{FileSink, SUCCESS_MARKER};
    ///
    /// # let out = std::env::temp_dir().join("eddyline-doc-success");
    /// # std::fs::remove_dir_all(&out).ok();
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2, 3]);
    /// let sink = FileSink::new(&out, |number: &u64, line| line.extend_from_slice(format!("{number}\n").as_bytes()));
    /// let sink = sink.success_marker();
    /// numbers.add_sink_operator(NodeSpec::named("numbers"), move || sink.operator());
    /// environment.execute("numbers")?;
    /// assert!(out.join(SUCCESS_MARKER).exists());
    /// # std::fs::remove_dir_all(out).ok();
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    #[must_use]
    pub fn success_marker(mut self) -> Self {
        self.marks_success = true;
        self
    }

    /// Packs the files, and appends `.gz` or `.zst` to their names (default: they are not packed).
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Writes each record to the directory below the output that `bucket` says; [`partition_path`] makes one of
    /// values. A record whose bucket is no such directory ends the attempt.
    #[must_use]
    pub fn bucket_by(mut self, bucket: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        self.bucket = Some(Assigner::Record(Arc::new(bucket)));
        self
    }

    /// Writes each record to the directory of its event time, or of the time of day, in UTC: `pattern` has
    /// `%Y %m %d %H %M %S`, as in `dt=%Y-%m-%d/hour=%H`.
    #[must_use]
    pub fn bucket_by_time(self, time: BucketTime, pattern: &str) -> Self {
        self.bucket_by_time_at(time, pattern, 0)
    }

    /// The same, in the time of a zone that is always `offset_minutes` ahead of UTC (negative: behind).
    #[must_use]
    pub fn bucket_by_time_at(mut self, time: BucketTime, pattern: &str, offset_minutes: i32) -> Self {
        let offset_ms = i64::from(offset_minutes) * 60_000;
        let pattern = TimePattern::new(pattern, offset_ms);
        self.bucket = Some(Assigner::Time(time, pattern));
        self
    }

    /// The most files that an instance writes to at a time (default 64, at least 1); beyond, the one is sealed that
    /// was not written to for longest.
    #[must_use]
    pub fn open_files_max(mut self, files: usize) -> Self {
        self.open_files_max = files.max(1);
        self
    }

    /// The time without a record after which a file is sealed, by processing time (default: never for that reason).
    #[must_use]
    pub fn roll_inactivity(mut self, time: Duration) -> Self {
        self.roll_inactivity_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1);
        self
    }

    fn full_suffix(&self) -> String {
        format!("{}{}", self.suffix, self.compression.ending())
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
