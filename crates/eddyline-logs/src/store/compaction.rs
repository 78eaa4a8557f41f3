//! One file of many: checkpoints leave small files, and a query has to open each of them.
//!
//! Files of a partition that is over are merged into a hidden file, which is made durable and then renamed: from that
//! moment on it stands for the files that its footer names, whether they have been removed yet or not. They are removed
//! by the next call, so that a query that has found them can still read them. Rows that come late to the partition are in files of their
//! own, and merged with the next ones.

use super::Store;
use super::columns::merged_properties;
use super::files::{MERGED, Partition, REPLACES, files, name_of, partitions, visible};
use super::lines::LINES;
use super::results::{ALERTS, SESSIONS, WINDOWS};
use eddyline_core::{Error, EventTime, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Fewer files are left as they are.
const FILES_MIN: usize = 4;
/// A partition is over when this much time has passed since its end: lines come late.
const SETTLED_MS: i64 = 10 * 60_000;
/// At most so many files are merged at a time.
const FILES_MAX: usize = 2_000;

impl Store {
    /// Merges the files of partitions that are over, by the time of day `now_ms`, while `go_on` says so. Answers how many
    /// files were replaced.
    ///
    /// # Errors
    /// If files cannot be read, written or removed.
    pub fn compact(&self, now_ms: EventTime, go_on: &dyn Fn() -> bool) -> Result<u64> {
        let mut replaced = 0;
        for table in [LINES, SESSIONS, WINDOWS, ALERTS] {
            let directory = self.settings().directory.join(table);
            for partition in partitions(&directory, &(EventTime::MIN..EventTime::MAX))? {
                let is_over = partition.times.end.saturating_add(SETTLED_MS) <= now_ms;
                if is_over && go_on() {
                    replaced += self.compact_partition(&partition)?;
                }
            }
        }
        Ok(replaced)
    }

    fn compact_partition(&self, partition: &Partition) -> Result<u64> {
        let live = files(&self.cache, &partition.directory)?;
        // What an earlier call has replaced.
        for path in visible(&partition.directory)? {
            if !live.contains(&path) {
                self.remove(&path)?;
            }
        }
        if live.len() < FILES_MIN {
            return Ok(0);
        }
        let chosen = &live[..live.len().min(FILES_MAX)];
        self.merge(&partition.directory, chosen)?;
        Ok(chosen.len() as u64)
    }

    /// Writes the rows of `chosen` into one file.
    fn merge(&self, directory: &Path, chosen: &[PathBuf]) -> Result<()> {
        // The number is larger than that of any merged file there is.
        let numbers = visible(directory)?;
        let numbers = numbers.iter().filter_map(|path| {
            name_of(path).strip_prefix(MERGED)?.strip_suffix(".parquet")?.parse::<u64>().ok()
        });
        let name = format!("{MERGED}{:06}.parquet", numbers.max().map_or(0, |number| number + 1));
        let hidden = directory.join(format!(".{name}.inprogress"));
        let failed = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
            Error::storage(format!("cannot {what} a stored file while merging: {error}"))
                .with_detail(path.display().to_string())
                .with_hint("free some space, or see to it that this user may write there; nothing is lost")
        };
        let mut writer: Option<ArrowWriter<File>> = None;
        for path in chosen {
            let Some((file, footer)) = self.cache.open(path)? else { continue };
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer);
            for batch in reader.build().map_err(|error| failed("read", path, &error))? {
                let batch = batch.map_err(|error| failed("read", path, &error))?;
                if writer.is_none() {
                    let file = File::create(&hidden).map_err(|error| failed("create", &hidden, &error))?;
                    let made =
                        ArrowWriter::try_new(file, batch.schema(), Some(merged_properties(&batch.schema())));
                    writer = Some(made.map_err(|error| failed("write", &hidden, &error))?);
                }
                if let Some(writer) = &mut writer {
                    writer.write(&batch).map_err(|error| failed("write", &hidden, &error))?;
                }
            }
        }
        let Some(mut writer) = writer else { return Ok(()) };
        let names: Vec<&str> = chosen.iter().map(|path| name_of(path)).collect();
        writer.append_key_value_metadata(KeyValue::new(REPLACES.to_owned(), names.join("\n")));
        let file = writer.into_inner().map_err(|error| failed("write", &hidden, &error))?;
        file.sync_all().map_err(|error| failed("write", &hidden, &error))?;
        fs::rename(&hidden, directory.join(&name)).map_err(|error| failed("rename", &hidden, &error))?;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| failed("write", directory, &error))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.cache.forget(path);
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::storage(format!("cannot remove a stored file that was merged: {error}"))
                    .with_detail(path.display().to_string()))
            }
            _ => Ok(()),
        }
    }
}
