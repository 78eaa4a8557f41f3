//! Stored lines, windows, sessions and alerts: columnar files (Parquet), written exactly once, found again by queries.
//!
//! ```text
//! DIRECTORY/lines/dt=2026-01-31/hour=10/part-….parquet       every line, if that is wanted
//! DIRECTORY/{windows,sessions,alerts}/dt=2026-01-31/part-….parquet
//! ```
//!
//! # Contract
//! - Files are those of the exactly-once sink: what can be seen belongs to one complete checkpoint. Partitions are of
//!   the lines' own time, in UTC.
//! - Until a line's file can be seen, it is in the *tail*, in memory, so that queries find a line as soon as it has
//!   been read. A line is found once, whether it is in the tail, in a file, or in both.
//! - A query opens only partitions of its time, reads only row groups that may have what it asks for (by least and
//!   greatest time and status, and by a Bloom filter of hosts), and holds no more lines than its limit.
//! - Checkpoints leave many small files; [`Store::compact`] makes one of those of a partition that is over. A merged
//!   file names the files that it replaces, so that no row is found twice whenever the program dies.
//! - [`Store::maintain`] removes partitions that are too old, and the oldest when all are too large.

mod columns;
mod compaction;
mod files;
mod lines;
mod query;
mod results;
mod retention;
mod scan;
mod tail;
#[cfg(test)]
mod tests;

pub use lines::StoredLine;
pub use query::{LineAnswer, LineQuery};
pub use results::WindowRow;
pub use retention::{Removed, Retention};

use crate::detect::Alert;
use crate::record::LogRecord;
use crate::summary::Session;
use columns::TableEncoder;
use eddyline::{DataStream, NodeSpec, Result};
use eddyline_connectors::sink::{BucketTime, FileSink};
use eddyline_core::{Clock, Data, Error, SystemClock};
use files::FileCache;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tail::Tail;

/// What is stored, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSettings {
    /// The directory of all files.
    pub directory: PathBuf,
    /// Whether every line is stored.
    pub lines: bool,
    /// Whether lines can be found as soon as they are read. Needs memory, and is of no use for input that ends.
    pub live: bool,
}

/// The stored results of a log job.
pub struct Store {
    settings: StoreSettings,
    tail: Arc<Tail>,
    cache: FileCache,
    /// Limits how long queries take.
    clock: Arc<dyn Clock>,
}

/// A file is ended at this size at the latest, in bytes.
const FILE_BYTES_MAX: u64 = 128 << 20;
/// A file is ended at this age at the latest; checkpoints end it earlier.
const FILE_AGE_MAX: Duration = Duration::from_secs(600);

impl Store {
    /// Opens the store, and makes its directory if it is missing.
    ///
    /// # Errors
    /// If the directory cannot be made or written.
    pub fn open(settings: StoreSettings) -> Result<Self> {
        std::fs::create_dir_all(&settings.directory).map_err(|error| {
            Error::storage(format!("cannot make the store's directory: {error}"))
                .with_detail(settings.directory.display().to_string())
                .with_hint("give a directory that this user may write")
        })?;
        let (tail, cache) = (Arc::new(Tail::default()), FileCache::default());
        Ok(Store { settings, tail, cache, clock: Arc::new(SystemClock::new()) })
    }

    /// Where the files are.
    pub fn settings(&self) -> &StoreSettings {
        &self.settings
    }

    fn sink<T: Data, C: columns::Columns<T>>(
        &self,
        table: &str,
        pattern: &str,
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> FileSink<T> {
        FileSink::with_bulk_encoder(self.settings.directory.join(table), move || TableEncoder::new(make()))
            .bucket_by_time(BucketTime::Event, pattern)
            .suffix(".parquet")
            .roll_bytes(FILE_BYTES_MAX)
            .roll_interval(FILE_AGE_MAX)
    }

    /// Stores windows, sessions and alerts.
    pub(crate) fn keep_results(
        &self,
        windows: &DataStream<WindowRow>,
        sessions: &DataStream<Session>,
        alerts: &DataStream<Alert>,
    ) {
        const DAYS: &str = "dt=%Y-%m-%d";
        let sink = self.sink(results::WINDOWS, DAYS, results::WindowColumns::default);
        let spec = NodeSpec::named("store windows");
        let _ = windows.add_sink_operator(spec, move || sink.operator()).uid("store-windows");
        let sink = self.sink(results::SESSIONS, DAYS, results::SessionColumns::default);
        let spec = NodeSpec::named("store sessions");
        let _ = sessions.add_sink_operator(spec, move || sink.operator()).uid("store-sessions");
        let sink = self.sink(results::ALERTS, DAYS, results::AlertColumns::default);
        let spec = NodeSpec::named("store alerts");
        let _ = alerts.add_sink_operator(spec, move || sink.operator()).uid("store-alerts");
    }

    /// Stores every line.
    pub(crate) fn keep_lines(&self, lines: &DataStream<LogRecord>) {
        let tail = self.settings.live.then(|| self.tail.clone());
        let columns = move || lines::LineColumns::new(tail.clone());
        let sink = self.sink(lines::LINES, "dt=%Y-%m-%d/hour=%H", columns);
        let spec = NodeSpec::named("store lines");
        let _ = lines.add_sink_operator(spec, move || sink.operator()).uid("store-lines");
    }
}
