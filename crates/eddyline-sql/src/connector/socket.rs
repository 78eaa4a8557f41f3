//! A table of what comes over a connection.
//!
//! Nothing that came can be asked for again: after a failure, what was on its way is lost. The first instance alone
//! reads. The table ends when the other side closes the connection.

use super::options::OptionReader;
use super::{Position, ReadOutcome, TableReader, TableSource, no_metadata, physical_columns};
use crate::catalog::TableDef;
use crate::format::{Format, FormatSchema, RecordDecoder, RowsBuilder};
use crate::parser::span::{SqlError, SqlResult};
use eddyline_core::{Error, Result};
use eddyline_formats::RawRecord;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// How long a read waits for bytes before it answers that there are none.
const PATIENCE: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 64 << 10;
/// The longest record: 16 MiB.
const RECORD_BYTES_MAX: usize = 16 << 20;

struct SocketSource {
    name: String,
    address: (String, u16),
    delimiter: u8,
    format: Format,
    schema: FormatSchema,
}

/// The source of a table of what comes over a connection.
pub(super) fn source_of(table: &TableDef) -> SqlResult<Arc<dyn TableSource>> {
    no_metadata(table)?;
    let mut options = OptionReader::new(table);
    let host = options.required("hostname")?.to_owned();
    options.required("port")?;
    let port = options.whole("port", 1)?.and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| SqlError::new("'port' is from 1 to 65535"))?;
    let delimiter = options.whole("byte-delimiter", 0)?.unwrap_or(i64::from(b'\n'));
    let delimiter =
        u8::try_from(delimiter).map_err(|_| SqlError::new("'byte-delimiter' is from 0 to 255"))?;
    let columns = physical_columns(table);
    let format = Format::of(&mut options, &columns)?;
    if !format.has_records() {
        return Err(
            SqlError::new("Parquet and Avro files cannot come over a connection").hint("use csv or json")
        );
    }
    options.finish()?;
    let schema = FormatSchema::all(columns);
    Ok(Arc::new(SocketSource {
        name: table.name().to_owned(),
        address: (host, port),
        delimiter,
        format,
        schema,
    }))
}

impl TableSource for SocketSource {
    fn is_bounded(&self) -> bool {
        false
    }

    fn is_changelog(&self) -> bool {
        self.format.is_changelog()
    }

    fn reader(&self, instance: u32, _parallelism: u32) -> Result<Box<dyn TableReader>> {
        let stream = if instance == 0 { Some(self.connect()?) } else { None };
        Ok(Box::new(SocketReader {
            name: self.name.clone(),
            stream,
            delimiter: self.delimiter,
            ignores_errors: self.format.ignores_errors(),
            is_changelog: self.format.is_changelog(),
            decoder: self.format.decoder(&self.schema),
            schema: self.schema.clone(),
            pending: Vec::new(),
            offset: 0,
            skipped: 0,
        }))
    }
}

impl SocketSource {
    fn connect(&self) -> Result<TcpStream> {
        let (host, port) = (self.address.0.as_str(), self.address.1);
        let stream = TcpStream::connect((host, port)).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        stream.map_err(|error| {
            Error::network(format!("table `{}` cannot connect: {error}", self.name))
                .with_detail(format!("{host}:{port}"))
                .with_hint("start the server first, or check 'hostname' and 'port'")
        })
    }
}

struct SocketReader {
    name: String,
    /// None if there is nothing (more) to read.
    stream: Option<TcpStream>,
    delimiter: u8,
    ignores_errors: bool,
    is_changelog: bool,
    decoder: Box<dyn RecordDecoder>,
    schema: FormatSchema,
    pending: Vec<u8>,
    offset: u64,
    skipped: u64,
}

impl SocketReader {
    /// Waits a little for more bytes.
    fn receive(&mut self) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let before = self.pending.len();
        self.pending.resize(before + READ_BYTES, 0);
        let read = stream.read(&mut self.pending[before..]);
        let received = *read.as_ref().unwrap_or(&0);
        self.pending.truncate(before + received);
        match read {
            Ok(0) => self.stream = None,
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => {
                    return Err(Error::network(format!(
                        "table `{}` lost its connection: {error}",
                        self.name
                    )));
                }
            },
        }
        Ok(())
    }

    fn decode(&mut self, rows: &mut RowsBuilder, rows_max: usize) -> Result<()> {
        let mut start = 0;
        while rows.rows() < rows_max {
            let rest = &self.pending[start..];
            let end = match memchr::memchr(self.delimiter, rest) {
                Some(end) => end,
                // What stands behind the last delimiter is a record once nothing more comes.
                None if self.stream.is_none() && !rest.is_empty() => rest.len(),
                None => break,
            };
            let mut record = &rest[..end];
            if self.delimiter == b'\n' {
                record = record.strip_suffix(b"\r").unwrap_or(record);
            }
            // No record stands at the start of a file.
            self.offset += end as u64 + 1;
            if let Err(reason) = self.decoder.decode(RawRecord::new(record, self.offset), rows) {
                if !self.ignores_errors {
                    return Err(Error::input("a record cannot be read")
                        .with_detail(format!("table `{}`, before byte {}: {reason}", self.name, self.offset))
                        .with_hint(
                            "set the format's option ignore-parse-errors to true to leave such records out",
                        ));
                }
                self.skipped += 1;
            }
            start = (start + end + 1).min(self.pending.len());
        }
        self.pending.drain(..start);
        if self.pending.len() > RECORD_BYTES_MAX {
            return Err(Error::input("a record is too long").with_detail(format!("table `{}`", self.name)));
        }
        Ok(())
    }
}

impl TableReader for SocketReader {
    fn restore(&mut self, _positions: Vec<Position>) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, rows_max: usize) -> Result<ReadOutcome> {
        let mut rows = RowsBuilder::new(&self.schema, self.is_changelog);
        self.decode(&mut rows, rows_max)?;
        if rows.rows() == 0 {
            self.receive()?;
            self.decode(&mut rows, rows_max)?;
        }
        if rows.rows() == 0 {
            return Ok(if self.stream.is_some() {
                ReadOutcome::Wait(Duration::ZERO)
            } else {
                ReadOutcome::End
            });
        }
        Ok(ReadOutcome::Rows(rows.finish()))
    }

    fn positions(&self) -> Vec<Position> {
        Vec::new()
    }

    fn skipped(&self) -> u64 {
        self.skipped + self.decoder.fields_ignored()
    }
}
