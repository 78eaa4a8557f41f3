//! Writing one instance's files of a table.
//!
//! A file is `.part-<attempt>-<instance>-<number>….inprogress` until it is committed, then the same without the dot
//! and the ending. Two sinks may write into one directory: a name is taken by creating the hidden file.
//!
//! Rows are written record by record, or, if the format has no records, all rows of a batch that belong into a file at
//! once.

use super::sink::Replaced;
use super::{FileTable, Stored, partition};
use crate::connector::TableWriter;
use crate::format::{Encoder, FileEncoder, FormatSchema, RecordEncoder};
use crate::parser::span::SqlError;
use crate::row::{ColumnView, Value, kind, views_of};
use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_select::take::take;
use eddyline_core::{DecodeError, Error, Reader, Result};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Encoded bytes that are kept back before they are written.
const BUFFER_BYTES: usize = 256 << 10;
/// Files that are open at a time, one a partition; the one that was written to longest ago is ended for another.
const OPEN_FILES_MAX: usize = 100;

/// Bytes of rows in memory, of all files whose format writes blocks: then the largest block ends.
const HELD_BYTES_MAX: usize = 256 << 20;

/// What a file is written by.
enum Content {
    Records { file: File, buffer: Vec<u8>, bytes: u64 },
    Whole(Box<dyn FileEncoder>),
}

/// A file that is being written.
struct OpenFile {
    /// Its visible path below the table's.
    name: String,
    content: Content,
    /// When it was last written to, in batches.
    touched: u64,
}

/// A file that waits to be made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    name: String,
    bytes: u64,
}

/// Writes files.
pub(super) struct DirectoryWriter {
    table: Arc<FileTable>,
    replaced: Replaced,
    /// None if the format writes whole files.
    encoder: Option<Box<dyn RecordEncoder>>,
    schema: FormatSchema,
    /// Of the persisted columns, those of the records and those of the partition keys.
    record_columns: Vec<usize>,
    key_columns: Vec<usize>,
    instance: u32,
    attempt: u64,
    next_number: u64,
    batches: u64,
    open: BTreeMap<String, OpenFile>,
    ended: Vec<Ended>,
}

impl DirectoryWriter {
    pub(super) fn new(
        table: Arc<FileTable>,
        replaced: Replaced,
        instance: u32,
        attempt: u64,
    ) -> Result<Self> {
        let schema = FormatSchema::all(table.columns.clone());
        let encoder = table.format.encoder(&schema);
        let encoder = match encoder.map_err(|error: SqlError| Error::config(error.message))? {
            Encoder::Records(encoder) => Some(encoder),
            Encoder::Files => None,
        };
        // Metadata columns are virtual: they are not among those that are persisted.
        let persisted: Vec<&Stored> =
            table.stored.iter().filter(|stored| !matches!(stored, Stored::Metadata(..))).collect();
        let place = |wanted: &dyn Fn(&Stored) -> bool| persisted.iter().position(|stored| wanted(stored));
        let record_columns = (0..table.columns.len())
            .filter_map(|column| place(&|stored| matches!(stored, Stored::Record(place) if *place == column)))
            .collect();
        let key_columns = (0..table.partition_keys.len())
            .filter_map(|key| place(&|stored| matches!(stored, Stored::Partition(place) if *place == key)))
            .collect();
        Ok(DirectoryWriter {
            encoder,
            schema,
            record_columns,
            key_columns,
            table,
            replaced,
            instance,
            attempt,
            next_number: 0,
            batches: 0,
            open: BTreeMap::new(),
            ended: Vec::new(),
        })
    }

    /// Creates a file in `directory`, whose name nobody else has.
    fn create(&mut self, directory: &str) -> Result<OpenFile> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let parent = self.table.root.join(directory);
        fs::create_dir_all(&parent)
            .map_err(|error| cannot("create a directory of", &self.table, &parent, &error))?;
        loop {
            let number = self.next_number;
            self.next_number += 1;
            let name = format!(
                "{prefix}part-{}-{}-{number}{}",
                self.attempt,
                self.instance,
                self.table.format.ending()
            );
            let hidden = self.table.root.join(hidden(&name));
            match OpenOptions::new().write(true).create_new(true).open(&hidden) {
                // Looked for only now: who had the hidden name before may just have made the file visible.
                Ok(_) if self.table.root.join(&name).exists() => {
                    let removed = fs::remove_file(&hidden);
                    removed.map_err(|error| cannot("clear away a file of", &self.table, &hidden, &error))?;
                }
                Ok(file) => return Ok(OpenFile { name, content: self.content(file)?, touched: 0 }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot("create a file of", &self.table, &hidden, &error)),
            }
        }
    }

    fn content(&self, file: File) -> Result<Content> {
        if self.encoder.is_some() {
            return Ok(Content::Records { file, buffer: Vec::new(), bytes: 0 });
        }
        let encoder = self.table.format.file_encoder(file, &self.schema);
        encoder.map(Content::Whole).map_err(|reason| failed(&self.table, reason))
    }

    /// Makes sure that a directory has an open file.
    fn open_file(&mut self, directory: &str) -> Result<()> {
        if self.open.contains_key(directory) {
            return Ok(());
        }
        if self.open.len() >= OPEN_FILES_MAX {
            let oldest =
                self.open.iter().min_by_key(|(_, file)| file.touched).map(|(directory, _)| directory.clone());
            if let Some(oldest) = oldest {
                self.end(&oldest)?;
            }
        }
        let file = self.create(directory)?;
        self.open.insert(directory.to_owned(), file);
        Ok(())
    }

    fn file_of(&mut self, directory: &str) -> Result<&mut OpenFile> {
        self.open_file(directory)?;
        let open = self.open.get_mut(directory).expect("invariant: the file was just opened");
        open.touched = self.batches;
        Ok(open)
    }

    /// Ends the open file of a directory and makes it durable.
    fn end(&mut self, directory: &str) -> Result<()> {
        let Some(open) = self.open.remove(directory) else { return Ok(()) };
        let path = self.table.root.join(hidden(&open.name));
        let failed_io = |error: io::Error| cannot("write", &self.table, &path, &error);
        let (file, bytes) = match open.content {
            Content::Records { mut file, buffer, bytes } => {
                file.write_all(&buffer).map_err(failed_io)?;
                (file, bytes)
            }
            Content::Whole(encoder) => {
                let file = encoder.finish().map_err(|reason| failed(&self.table, reason))?;
                let bytes = file.metadata().map_err(failed_io)?.len();
                (file, bytes)
            }
        };
        file.sync_all().map_err(failed_io)?;
        self.ended.push(Ended { name: open.name, bytes });
        Ok(())
    }

    fn write_row(
        &mut self,
        directory: &str,
        views: &[ColumnView<'_>],
        row: usize,
        row_kind: i8,
    ) -> Result<()> {
        self.file_of(directory)?;
        let DirectoryWriter { open, encoder, table, .. } = self;
        let (Some(OpenFile { name, content: Content::Records { file, buffer, bytes }, .. }), Some(encoder)) =
            (open.get_mut(directory), encoder)
        else {
            unreachable!("invariant: the file was just opened, for records");
        };
        let before = buffer.len();
        encoder.encode(views, row, row_kind, buffer).map_err(|reason| failed(table, reason))?;
        *bytes += (buffer.len() - before) as u64;
        if buffer.len() >= BUFFER_BYTES {
            let path = table.root.join(hidden(name));
            file.write_all(buffer).map_err(|error| cannot("write", table, &path, &error))?;
            buffer.clear();
        }
        if *bytes >= table.roll_bytes {
            self.end(directory)?;
        }
        Ok(())
    }

    /// Writes rows that belong into one directory.
    fn write_rows(&mut self, directory: &str, columns: &[ArrayRef], rows: usize) -> Result<()> {
        let roll_bytes = self.table.roll_bytes;
        let Content::Whole(encoder) = &mut self.file_of(directory)?.content else {
            unreachable!("invariant: the format writes whole files");
        };
        let written = encoder.write(columns, rows);
        let is_full = encoder.bytes() >= roll_bytes;
        written.map_err(|reason| failed(&self.table, reason))?;
        if is_full {
            self.end(directory)?;
        }
        self.limit_memory()
    }

    /// Ends the largest blocks while all of them are too large.
    fn limit_memory(&mut self) -> Result<()> {
        let held = |open: &OpenFile| match &open.content {
            Content::Whole(encoder) => encoder.held_bytes(),
            Content::Records { .. } => 0,
        };
        while self.open.values().map(held).sum::<usize>() > HELD_BYTES_MAX {
            let largest = self.open.values_mut().max_by_key(|open| held(open));
            if let Some(OpenFile { content: Content::Whole(encoder), .. }) = largest {
                encoder.end_block().map_err(|reason| failed(&self.table, reason))?;
            }
        }
        Ok(())
    }

    /// Writes a batch, all rows of a directory at once.
    fn write_columns(&mut self, columns: &[ArrayRef], keys: &[ColumnView<'_>], rows: usize) -> Result<()> {
        if keys.is_empty() {
            return self.write_rows("", columns, rows);
        }
        let mut directories: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let (mut last, mut place) = (None::<Vec<Value>>, String::new());
        for row in 0..rows {
            let values: Vec<Value> = keys.iter().map(|key| key.value(row)).collect();
            if last.as_ref() != Some(&values) {
                place = partition::directory_of(&self.table, &values);
                last = Some(values);
            }
            match directories.get_mut(&place) {
                Some(rows) => rows.push(row as u32),
                None => drop(directories.insert(place.clone(), vec![row as u32])),
            }
        }
        for (directory, rows) in directories {
            let count = rows.len();
            let rows = UInt32Array::from(rows);
            let taken = columns.iter().map(|column| take(column, &rows, None));
            let taken = taken.collect::<std::result::Result<Vec<_>, _>>();
            let taken = taken.map_err(|error| failed(&self.table, error.to_string()))?;
            self.write_rows(&directory, &taken, count)?;
        }
        Ok(())
    }

    /// The files that those of `ended` replace.
    fn take_replaced(&self, ended: &[Ended]) -> Vec<String> {
        let mut replaced = self.replaced.lock().expect("invariant: nobody panics while holding this");
        let mut files = Vec::new();
        if self.table.partition_keys.is_empty() {
            files.extend(std::mem::take(&mut *replaced).into_values().flatten());
        } else {
            for file in ended {
                let directory = file.name.rsplit_once('/').map_or("", |(directory, _)| directory);
                files.extend(replaced.remove(directory).unwrap_or_default());
            }
        }
        files
    }
}

fn failed(table: &FileTable, reason: String) -> Error {
    Error::output(format!("rows cannot be written to table `{}`", table.name)).with_detail(reason)
}

/// The name that a file has until it is committed.
fn hidden(name: &str) -> String {
    let (directory, file) = name.split_at(name.rfind('/').map_or(0, |place| place + 1));
    format!("{directory}.{file}.inprogress")
}

fn cannot(doing: &str, table: &FileTable, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull => "free some space",
        ErrorKind::PermissionDenied => "give this user the right to write there (chmod, or a group)",
        _ => "check the disk or network file system it is on; the operating system's log may say more",
    };
    Error::output(format!("cannot {doing} table `{}`: {error}", table.name))
        .with_detail(path.display().to_string())
        .with_hint(hint)
}

impl TableWriter for DirectoryWriter {
    fn write(&mut self, rows: &RecordBatch, kinds: Option<&[i8]>) -> Result<()> {
        self.batches += 1;
        let columns: Vec<ArrayRef> =
            self.record_columns.iter().map(|column| rows.column(*column).clone()).collect();
        let keys: Vec<ArrayRef> =
            self.key_columns.iter().map(|column| rows.column(*column).clone()).collect();
        let (views, keys) = (views_of(&columns), views_of(&keys));
        if self.encoder.is_none() {
            return self.write_columns(&columns, &keys, rows.num_rows());
        }
        let (mut last, mut directory) = (None::<Vec<Value>>, String::new());
        for row in 0..rows.num_rows() {
            if !keys.is_empty() {
                let values: Vec<Value> = keys.iter().map(|key| key.value(row)).collect();
                if last.as_ref() != Some(&values) {
                    directory = partition::directory_of(&self.table, &values);
                    last = Some(values);
                }
            }
            let row_kind = kinds.map_or(kind::INSERT, |kinds| kinds[row]);
            self.write_row(&directory, &views, row, row_kind)?;
        }
        Ok(())
    }

    fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<u8>> {
        let directories: Vec<String> = self.open.keys().cloned().collect();
        for directory in directories {
            self.end(&directory)?;
        }
        let ended = std::mem::take(&mut self.ended);
        let replaced = self.take_replaced(&ended);
        Ok(encode(&ended, &replaced))
    }

    fn commit(&mut self, prepared: &[u8]) -> Result<()> {
        let (ended, replaced) = decode(prepared).map_err(|error| {
            Error::state("what a table's sink prepared cannot be read").with_detail(error.to_string())
        })?;
        let mut directories: Vec<PathBuf> = Vec::new();
        for file in &ended {
            let (from, to) = (self.table.root.join(hidden(&file.name)), self.table.root.join(&file.name));
            let attempt = format!("part-{}-", self.attempt);
            let is_repeated = !file.name.rsplit('/').next().is_some_and(|name| name.starts_with(&attempt));
            make_visible(&self.table, file, (&from, &to), is_repeated)?;
            let parent = to.parent().map(Path::to_path_buf).unwrap_or_default();
            if !directories.contains(&parent) {
                directories.push(parent);
            }
        }
        for name in &replaced {
            let path = self.table.root.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(cannot("remove a replaced file of", &self.table, &path, &error));
                }
                _ => {}
            }
        }
        for directory in directories {
            let synced = File::open(&directory).and_then(|directory| directory.sync_all());
            synced.map_err(|error| cannot("make durable a directory of", &self.table, &directory, &error))?;
        }
        Ok(())
    }
}

/// Gives a file its visible name. `is_repeated` says that an earlier attempt may have done so.
fn make_visible(
    table: &FileTable,
    file: &Ended,
    (from, to): (&Path, &Path),
    is_repeated: bool,
) -> Result<()> {
    let wrong = |what: &str| {
        Error::output(format!("a file of table `{}` {what}", table.name))
            .with_detail(format!("{}, {} bytes", from.display(), file.bytes))
            .with_hint(
                "leave hidden files of the directory alone; restore an older checkpoint to write it anew",
            )
    };
    match fs::metadata(from) {
        Ok(metadata) if metadata.len() != file.bytes => Err(wrong("was changed by somebody else")),
        Ok(_) => fs::rename(from, to).map_err(|error| cannot("make visible a file of", table, to, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::metadata(to) {
            Ok(metadata) if metadata.len() != file.bytes => Err(wrong("was changed by somebody else")),
            Ok(_) => Ok(()),
            // Readers may take visible files away.
            Err(_) if is_repeated => Ok(()),
            Err(_) => Err(wrong("disappeared before it could be made visible")),
        },
        Err(error) => Err(cannot("make visible a file of", table, from, &error)),
    }
}

fn encode(ended: &[Ended], replaced: &[String]) -> Vec<u8> {
    if ended.is_empty() && replaced.is_empty() {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    let text = |text: &str, bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    bytes.extend_from_slice(&(ended.len() as u32).to_le_bytes());
    for file in ended {
        text(&file.name, &mut bytes);
        bytes.extend_from_slice(&file.bytes.to_le_bytes());
    }
    bytes.extend_from_slice(&(replaced.len() as u32).to_le_bytes());
    replaced.iter().for_each(|name| text(name, &mut bytes));
    bytes
}

fn decode(bytes: &[u8]) -> std::result::Result<(Vec<Ended>, Vec<String>), DecodeError> {
    let (mut ended, mut replaced) = (Vec::new(), Vec::new());
    if bytes.is_empty() {
        return Ok((ended, replaced));
    }
    let mut input = Reader::new(bytes);
    let text = |input: &mut Reader<'_>| {
        let length = u32::from_le_bytes(input.array()?) as usize;
        let text = std::str::from_utf8(input.take(length)?);
        text.map(str::to_owned).map_err(|_| DecodeError::new("a name is no UTF-8"))
    };
    for _ in 0..u32::from_le_bytes(input.array()?) {
        let name = text(&mut input)?;
        ended.push(Ended { name, bytes: u64::from_le_bytes(input.array()?) });
    }
    for _ in 0..u32::from_le_bytes(input.array()?) {
        replaced.push(text(&mut input)?);
    }
    Ok((ended, replaced))
}
