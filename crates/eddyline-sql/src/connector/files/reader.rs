//! Reading the files of a table one by one.

use super::listing::{self, FoundFile, failed};
use super::record_file::{Place, ReadRecord, RecordFile};
use super::{FileMetadata, FileTable, Stored, partition, utc};
use crate::connector::{Position, ReadOutcome, Rows, TableReader};
use crate::expr::cast_value;
use crate::format::avro::AvroFile;
use crate::format::parquet::ParquetFile;
use crate::format::{Format, FormatSchema, RecordDecoder, RowsBuilder};
use crate::row::{ColumnBuilder, Value};
use crate::types::{SqlType, TypeKind};
use arrow_array::ArrayRef;
use eddyline_core::{Error, Reader, Result, stable_hash};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The position that says that the files of a bounded table were listed.
const LISTED: &str = "";

/// How far a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Progress {
    /// Of a Parquet file, the offset is the number of rows; of an Avro file that of the block, whose rows are the line.
    place: Place,
    is_done: bool,
}

impl Progress {
    fn encode(self) -> Vec<u8> {
        let mut bytes = self.place.offset.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.place.line.to_le_bytes());
        bytes.push(u8::from(self.is_done));
        bytes
    }

    /// The rows that were read; if there are none, all were.
    fn rows(&mut self, read: Option<(Vec<ArrayRef>, usize)>) -> Rows {
        self.is_done = read.is_none();
        let (columns, count) = read.unwrap_or_default();
        Rows { columns, count, kinds: None }
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let read = || {
            let mut input = Reader::new(bytes);
            let (offset, line) = (u64::from_le_bytes(input.array()?), u64::from_le_bytes(input.array()?));
            Ok(Progress { place: Place { offset, line }, is_done: input.array::<1>()? == [1] })
        };
        read().map_err(|error: eddyline_core::DecodeError| {
            Error::state("the position in a file of a table cannot be read").with_detail(error.to_string())
        })
    }
}

enum Content {
    Records(RecordFile),
    Parquet(Box<ParquetFile>),
    Avro(Box<AvroFile>),
}

/// The file that is being read.
struct Current {
    file: FoundFile,
    content: Content,
    /// The values of its partition keys.
    partition: Vec<Value>,
}

/// Where an asked-for column comes from.
enum Target {
    /// A column of the decoder.
    Record(usize),
    Partition(usize, SqlType),
    Metadata(FileMetadata, SqlType),
}

/// Reads one instance's files.
pub(super) struct FileReader {
    table: Arc<FileTable>,
    schema: FormatSchema,
    targets: Vec<Target>,
    decoder: Option<Box<dyn RecordDecoder>>,
    share: (u32, u32),
    queue: VecDeque<FoundFile>,
    known: BTreeMap<String, Progress>,
    /// Whether the files were listed, and for all time if the table is bounded.
    is_listed: bool,
    current: Option<Current>,
    records_skipped: u64,
}

impl FileReader {
    pub(super) fn new(table: Arc<FileTable>, wanted: &[usize], share: (u32, u32)) -> Self {
        let record = |column: &usize| match table.stored[*column] {
            Stored::Record(place) => Some(place),
            _ => None,
        };
        let mut columns: Vec<usize> = wanted.iter().filter_map(record).collect();
        columns.sort_unstable();
        columns.dedup();
        let targets = wanted.iter().map(|column| match &table.stored[*column] {
            Stored::Record(place) => Target::Record(columns.binary_search(place).unwrap_or_default()),
            Stored::Partition(key) => Target::Partition(*key, table.partition_keys[*key].data_type.clone()),
            Stored::Metadata(metadata, data_type) => Target::Metadata(*metadata, data_type.clone()),
        });
        let targets = targets.collect();
        let schema = FormatSchema { columns: table.columns.clone(), wanted: columns };
        let decoder = table.format.has_records().then(|| table.format.decoder(&schema));
        FileReader {
            decoder,
            table,
            schema,
            targets,
            share,
            queue: VecDeque::new(),
            known: BTreeMap::new(),
            is_listed: false,
            current: None,
            records_skipped: 0,
        }
    }

    fn is_ours(&self, name: &str) -> bool {
        stable_hash(name.as_bytes()) % u64::from(self.share.1) == u64::from(self.share.0)
    }

    /// Looks which files there are and queues those that are new.
    fn list(&mut self) -> Result<()> {
        let files = listing::files(&self.table)?;
        let is_monitored = self.table.monitor.is_some();
        if is_monitored {
            // What is gone is forgotten: the state is as large as the directory.
            let current = self.current.as_ref().map(|current| current.file.name.clone());
            self.known.retain(|name, _| {
                current.as_ref() == Some(name) || files.binary_search_by(|file| file.name.cmp(name)).is_ok()
            });
        }
        let mut missing = if is_monitored || !self.is_listed { Vec::new() } else { self.unread() };
        for file in files {
            missing.retain(|name| *name != file.name);
            let is_wanted = match self.known.get(&file.name) {
                Some(progress) => !progress.is_done,
                None => (is_monitored || !self.is_listed) && self.is_ours(&file.name),
            };
            if is_wanted && !self.queue.iter().any(|queued| queued.name == file.name) {
                self.known.entry(file.name.clone()).or_default();
                self.queue.push_back(file);
            }
        }
        if let Some(name) = missing.first() {
            return Err(Error::input(format!("a file of table `{}` is gone", self.table.name))
                .with_detail(format!("{name} in {}", self.table.root.display()))
                .with_hint("put the file back: it was not read to its end"));
        }
        self.is_listed = true;
        Ok(())
    }

    fn unread(&self) -> Vec<String> {
        self.known.iter().filter(|(_, progress)| !progress.is_done).map(|(name, _)| name.clone()).collect()
    }

    fn open(&self, file: FoundFile) -> Result<Current> {
        let place = self.known.get(&file.name).copied().unwrap_or_default().place;
        let partition = partition::values_of(&self.table, &file.name)?;
        let content = if self.decoder.is_some() {
            Content::Records(RecordFile::open(&file, self.table.format.framing(), place)?)
        } else {
            let path = Path::new(&file.path);
            let opened =
                File::open(path).map_err(|error| failed("open a file of the table", path, &error))?;
            let content = if matches!(self.table.format, Format::Avro(_)) {
                let avro = AvroFile::open(opened, &self.schema, place.offset, place.line);
                avro.map(|avro| Content::Avro(Box::new(avro)))
            } else {
                let parquet = ParquetFile::open(opened, &self.schema, place.offset);
                parquet.map(|parquet| Content::Parquet(Box::new(parquet)))
            };
            content.map_err(|reason| self.wrong_file(&file, &reason))?
        };
        Ok(Current { file, content, partition })
    }

    /// Reads on in the open file; no rows if it has no more.
    fn read_current(&mut self, current: &mut Current, rows_max: usize) -> Result<Rows> {
        match &mut current.content {
            Content::Records(records) => {
                let decoder = self.decoder.as_mut().expect("invariant: records have a decoder");
                let mut rows = RowsBuilder::new(&self.schema, self.table.format.is_changelog());
                let skipped = self.table.format.ignores_errors().then_some(&mut self.records_skipped);
                let read = records.read(decoder.as_mut(), &mut rows, rows_max, skipped).map_err(|error| {
                    let hint = format!(
                        "mend the record of table `{}`, or set the format's option ignore-parse-errors to true",
                        self.table.name
                    );
                    if error.hint().is_some() { error } else { error.with_hint(hint) }
                })?;
                let is_done = matches!(read, ReadRecord::End);
                self.known.insert(current.file.name.clone(), Progress { place: records.place, is_done });
                Ok(rows.finish())
            }
            Content::Parquet(parquet) => {
                let next =
                    parquet.next(rows_max).map_err(|reason| self.wrong_file(&current.file, &reason))?;
                let progress = self.known.entry(current.file.name.clone()).or_default();
                progress.place.offset += next.as_ref().map_or(0, |(_, count)| *count as u64);
                Ok(progress.rows(next))
            }
            Content::Avro(avro) => {
                let next = avro.next(rows_max).map_err(|reason| self.wrong_file(&current.file, &reason))?;
                let progress = self.known.entry(current.file.name.clone()).or_default();
                let (offset, line) = avro.place();
                progress.place = Place { offset, line };
                Ok(progress.rows(next))
            }
        }
    }

    fn wrong_file(&self, file: &FoundFile, reason: &str) -> Error {
        let format = if matches!(self.table.format, Format::Avro(_)) { "Avro" } else { "Parquet" };
        Error::input(format!("a {format} file cannot be read"))
            .with_detail(format!("{}: {reason}", file.path))
            .with_hint(format!(
                "check that it is a whole {format} file and that the table has its columns and types"
            ))
    }

    /// Puts the asked-for columns in order, those that are the same for the whole file among them.
    fn complete(&self, current: &Current, rows: Rows) -> Rows {
        let Rows { columns, count, kinds } = rows;
        let columns = self.targets.iter().map(|target| match target {
            Target::Record(column) => columns[*column].clone(),
            Target::Partition(key, data_type) => repeated(&current.partition[*key], &data_type.kind, count),
            Target::Metadata(metadata, data_type) => {
                let value = metadata_of(*metadata, &current.file, &data_type.kind);
                repeated(&value, &data_type.kind, count)
            }
        });
        Rows { columns: columns.collect(), count, kinds }
    }
}

fn metadata_of(metadata: FileMetadata, file: &FoundFile, kind: &TypeKind) -> Value {
    let name = || file.path.rsplit('/').next().unwrap_or_default().to_owned();
    let value = match metadata {
        FileMetadata::Path => Value::Text(file.path.clone()),
        FileMetadata::Name => Value::Text(name()),
        FileMetadata::Size => Value::Int(file.bytes as i64),
        FileMetadata::ModificationTime => Value::Int(file.modified_ms * 1_000),
    };
    cast_value(&value, &metadata.kind(), kind, &utc()).unwrap_or(Value::Null)
}

fn repeated(value: &Value, kind: &TypeKind, count: usize) -> ArrayRef {
    let mut builder = ColumnBuilder::new(kind);
    (0..count).for_each(|_| builder.append(value));
    builder.finish()
}

impl TableReader for FileReader {
    fn restore(&mut self, positions: Vec<Position>) -> Result<()> {
        for (name, bytes) in positions {
            if name == LISTED {
                self.is_listed = true;
            } else if self.is_ours(&name) {
                self.known.insert(name, Progress::decode(&bytes)?);
            }
        }
        // Which files there are is known, but not where.
        if self.is_listed && self.table.monitor.is_none() && !self.unread().is_empty() {
            self.list()?;
        }
        Ok(())
    }

    fn read(&mut self, rows_max: usize) -> Result<ReadOutcome> {
        if !self.is_listed {
            self.list()?;
        }
        let mut has_looked = false;
        loop {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => match (self.queue.pop_front(), self.table.monitor) {
                    (Some(file), _) => self.open(file)?,
                    (None, None) => return Ok(ReadOutcome::End),
                    (None, Some(interval)) if has_looked => return Ok(ReadOutcome::Wait(interval)),
                    (None, Some(_)) => {
                        has_looked = true;
                        self.list()?;
                        continue;
                    }
                },
            };
            let rows = self.read_current(&mut current, rows_max.max(1))?;
            let rows = if rows.count > 0 { Some(self.complete(&current, rows)) } else { None };
            if self.known.get(&current.file.name).is_some_and(|progress| !progress.is_done) {
                self.current = Some(current);
            }
            if let Some(rows) = rows {
                return Ok(ReadOutcome::Rows(rows));
            }
        }
    }

    fn positions(&self) -> Vec<Position> {
        let files = self.known.iter().map(|(name, progress)| (name.clone(), progress.encode()));
        let listed =
            (self.is_listed && self.table.monitor.is_none()).then(|| (LISTED.to_owned(), Vec::new()));
        listed.into_iter().chain(files).collect()
    }

    fn skipped(&self) -> u64 {
        self.records_skipped + self.decoder.as_ref().map_or(0, |decoder| decoder.fields_ignored())
    }
}
