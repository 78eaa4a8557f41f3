//! Files and directories as tables.
//!
//! # Contract
//! - *Reading*: files by name, the records of each in order. Names that begin with `_` or `.` are left out, in
//!   directories below, too. Each file is read by one instance, decided by the hash of its path below the table's. A
//!   bounded table (the default) has the files that were there when reading began, also after a restore; with
//!   `source.monitor-interval`, files that come later are read as well, each once: they must not change.
//! - *Writing*: a file has a hidden name until the checkpoint that it belongs to is committed, and is then renamed.
//!   Every checkpoint ends the files that are open. Visible files are never changed. What an attempt left behind
//!   that failed before its checkpoint stays hidden.
//! - The columns of PARTITIONED BY are not in the files but in the names of directories, `key=value`.

mod listing;
mod partition;
mod reader;
mod record_file;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

use super::options::OptionReader;
use super::{TableReader, TableSink, TableSource};
use crate::catalog::{ColumnSource, TableDef};
use crate::expr::{EvalContext, cast_value};
use crate::format::{Format, FormatColumn, FormatSchema};
use crate::parser::span::{SqlError, SqlResult, nearest};
use crate::row::Value;
use crate::types::{SqlType, TypeKind};
use eddyline_core::Result;
use jiff::tz::TimeZone;
use regex::Regex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A file that is written is ended when it has so many bytes, unless said otherwise: 128 MiB.
const ROLL_BYTES: u64 = 128 << 20;

/// What is known of a file besides its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileMetadata {
    Path,
    Name,
    Size,
    ModificationTime,
}

impl FileMetadata {
    const ALL: [(&'static str, FileMetadata); 4] = [
        ("file.path", FileMetadata::Path),
        ("file.name", FileMetadata::Name),
        ("file.size", FileMetadata::Size),
        ("file.modification-time", FileMetadata::ModificationTime),
    ];

    fn kind(self) -> TypeKind {
        match self {
            FileMetadata::Path | FileMetadata::Name => TypeKind::STRING,
            FileMetadata::Size => TypeKind::BigInt,
            FileMetadata::ModificationTime => TypeKind::TimestampLtz(3),
        }
    }
}

/// Where a stored column of the table comes from.
#[derive(Debug, Clone)]
enum Stored {
    /// A column of the records.
    Record(usize),
    /// The directory names: which partition key.
    Partition(usize),
    Metadata(FileMetadata, SqlType),
}

/// A table of files, its options read.
#[derive(Debug, Clone)]
struct FileTable {
    name: String,
    root: PathBuf,
    format: Format,
    /// The columns of the records: physical ones that are no partition keys.
    columns: Vec<FormatColumn>,
    partition_keys: Vec<FormatColumn>,
    stored: Vec<Stored>,
    /// What stands in a directory's name for NULL.
    default_partition: String,
    monitor: Option<Duration>,
    pattern: Option<Regex>,
    roll_bytes: u64,
}

impl FileTable {
    fn read(table: &TableDef) -> SqlResult<Self> {
        let mut options = OptionReader::new(table);
        let root = local_path(options.required("path")?)?;
        let physical = super::physical_columns(table);
        let mut partition_keys = Vec::new();
        for key in &table.partition_keys {
            let column = physical.iter().find(|column| column.name == *key);
            let column = column.ok_or_else(|| {
                SqlError::new(format!(
                    "table `{}`: the partition key `{key}` is no physical column",
                    table.name()
                ))
            })?;
            partition_keys.push(column.clone());
        }
        let is_key = |column: &FormatColumn| table.partition_keys.contains(&column.name);
        let columns: Vec<FormatColumn> = physical.into_iter().filter(|column| !is_key(column)).collect();
        let format = Format::of(&mut options, &columns)?;
        let pattern = match options.text("source.path.regex-pattern") {
            Some(text) => Some(Regex::new(&format!("^(?:{text})$")).map_err(|error| {
                SqlError::new(format!(
                    "'source.path.regex-pattern' = '{text}' is no regular expression: {error}"
                ))
            })?),
            None => None,
        };
        // Every checkpoint ends the open files, which is sooner than these would.
        for key in ["rollover-interval", "inactivity-interval", "check-interval"] {
            options.duration(&format!("sink.rolling-policy.{key}"))?;
        }
        options.whole("sink.parallelism", 1)?;
        options.whole("scan.parallelism", 1)?;
        options.choice("source.report-statistics", &["NONE", "ALL"])?;
        let monitor = options.duration("source.monitor-interval")?;
        if monitor.is_some_and(|interval| interval.is_zero()) {
            return Err(SqlError::new("'source.monitor-interval' must be longer than nothing"));
        }
        let stored = stored_columns(table, &columns)?;
        let read = FileTable {
            name: table.name().to_owned(),
            root,
            format,
            columns,
            partition_keys,
            stored,
            default_partition: options
                .text("partition.default-name")
                .unwrap_or("__DEFAULT_PARTITION__")
                .to_owned(),
            monitor,
            pattern,
            roll_bytes: options.bytes("sink.rolling-policy.file-size")?.unwrap_or(ROLL_BYTES).max(1),
        };
        options.finish()?;
        Ok(read)
    }
}

fn stored_columns(table: &TableDef, columns: &[FormatColumn]) -> SqlResult<Vec<Stored>> {
    let mut stored = Vec::new();
    for column in table.stored_columns() {
        let ColumnSource::Metadata { key, .. } = &column.source else {
            let place = columns.iter().position(|known| known.name == column.name);
            let key = || table.partition_keys.iter().position(|key| *key == column.name).unwrap_or_default();
            stored.push(place.map_or_else(|| Stored::Partition(key()), Stored::Record));
            continue;
        };
        let found = FileMetadata::ALL.iter().find(|(name, _)| name == key).map(|(_, metadata)| *metadata);
        let Some(metadata) = found else {
            let error = SqlError::new(format!("column `{}`: files have no metadata '{key}'", column.name));
            let names: Vec<&str> = FileMetadata::ALL.iter().map(|(name, _)| *name).collect();
            return Err(match nearest(key, names.iter().copied()) {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint(format!("it is one of {}", names.join(", "))),
            });
        };
        let sample = if metadata.kind().is_text() { Value::Text("0".into()) } else { Value::Int(0) };
        if cast_value(&sample, &metadata.kind(), &column.data_type.kind, &utc()).is_none() {
            let (name, kind) = (&column.name, &column.data_type.kind);
            let message =
                format!("column `{name}`: the metadata '{key}' is {} and cannot be {kind}", metadata.kind());
            return Err(SqlError::new(message));
        }
        stored.push(Stored::Metadata(metadata, column.data_type.clone()));
    }
    Ok(stored)
}

fn utc() -> EvalContext {
    EvalContext { zone: TimeZone::UTC, now_micros: 0, lenient_casts: false }
}

/// The path of `path`, which may begin with `file:`.
fn local_path(path: &str) -> SqlResult<PathBuf> {
    let bare = path.strip_prefix("file://").or_else(|| path.strip_prefix("file:")).unwrap_or(path);
    if let Some((scheme, _)) = bare.split_once("://") {
        let message = format!("'path' = '{path}': tables are read from local files, not from {scheme}");
        return Err(SqlError::new(message).hint("give a path of this machine, such as '/data/orders'"));
    }
    if bare.is_empty() {
        return Err(SqlError::new("'path' is empty").hint("give a file or a directory"));
    }
    Ok(PathBuf::from(bare))
}

/// What is asked for of a table of files.
struct FileSource {
    table: Arc<FileTable>,
    /// Indices into the stored columns.
    wanted: Vec<usize>,
}

impl TableSource for FileSource {
    fn is_bounded(&self) -> bool {
        self.table.monitor.is_none()
    }

    fn is_changelog(&self) -> bool {
        self.table.format.is_changelog()
    }

    fn projected(&self, columns: &[usize]) -> Option<Arc<dyn TableSource>> {
        let wanted = columns.iter().map(|column| self.wanted[*column]).collect();
        Some(Arc::new(FileSource { table: self.table.clone(), wanted }))
    }

    fn reader(&self, instance: u32, parallelism: u32) -> Result<Box<dyn TableReader>> {
        let reader =
            reader::FileReader::new(self.table.clone(), &self.wanted, (instance, parallelism.max(1)));
        Ok(Box::new(reader))
    }
}

/// The source of a table of files.
pub(super) fn source_of(table: &TableDef) -> SqlResult<Arc<dyn TableSource>> {
    let table = FileTable::read(table)?;
    Ok(Arc::new(FileSource { wanted: (0..table.stored.len()).collect(), table: Arc::new(table) }))
}

/// The sink of a table of files.
pub(super) fn sink_of(table: &TableDef) -> SqlResult<Arc<dyn TableSink>> {
    let persisted = table
        .columns
        .iter()
        .find(|column| column.is_persisted() && matches!(column.source, ColumnSource::Metadata { .. }));
    if let Some(column) = persisted {
        let message = format!("column `{}`: the metadata of files can be read, not written", column.name);
        return Err(SqlError::new(message).hint("add VIRTUAL to the column"));
    }
    let table = FileTable::read(table)?;
    if table.monitor.is_none() && table.root.is_file() {
        let message =
            format!("'path' = '{}' is a file; a table is written to a directory", table.root.display());
        return Err(SqlError::new(message).hint("give the path of a directory"));
    }
    // Whether the format can be written is told now.
    table.format.encoder(&FormatSchema::all(table.columns.clone()))?;
    Ok(Arc::new(sink::DirectorySink::new(table)))
}
