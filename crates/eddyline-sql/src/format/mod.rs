//! Formats: what the bytes of a table's records mean.
//!
//! [`Format::of`] reads the options of the format that a table names, checks them against its columns, and makes
//! decoders (bytes of a record to columns) and encoders (columns to bytes). The files of Parquet and Avro have
//! no records with bytes of their own: they are read by [`parquet`] and [`avro`], and written by a [`FileEncoder`].
//!
//! With `ignore-parse-errors`, a field that cannot be read is NULL, and a record that cannot be read is left out; both
//! are counted. Without, they are errors.

pub(crate) mod avro;
mod base64;
mod changelog;
mod csv;
#[cfg(test)]
mod fuzz;
mod json;
mod log;
mod number;
pub(crate) mod parquet;
#[cfg(test)]
mod parquet_tests;
mod parquet_write;
mod raw;
mod rows;
pub(crate) mod show;
#[cfg(test)]
pub(crate) mod testing;
mod time;

pub(crate) use rows::{FormatColumn, FormatSchema, RowsBuilder};

use crate::connector::SinkMode;
use crate::connector::options::OptionReader;
use crate::parser::span::{SqlError, SqlResult, nearest};
use crate::row::ColumnView;
use arrow_array::ArrayRef;
use avro::{AvroEncoder, AvroOptions};
use changelog::{ChangelogDecoder, ChangelogEncoder, ChangelogOptions};
use csv::{CsvDecoder, CsvEncoder, CsvOptions};
use eddyline_formats::{Framing, RawRecord};
use json::{JsonDecoder, JsonEncoder, JsonOptions};
use log::{LogDecoder, LogOptions};
use parquet_write::{ParquetEncoder, ParquetOptions};
use raw::{RawDecoder, RawEncoder, RawOptions};
use std::fs::File;

/// The formats that there are.
const NAMES: &[&str] = &[
    "csv",
    "json",
    "debezium-json",
    "canal-json",
    "maxwell-json",
    "ogg-json",
    "raw",
    "log",
    "parquet",
    "avro",
];

/// Reads the records of one format.
pub(crate) trait RecordDecoder: Send {
    /// Appends the rows of a record. If it cannot be read, says why; nothing of it is left in the result then.
    fn decode(&mut self, record: RawRecord<'_>, out: &mut RowsBuilder) -> Result<(), String>;

    /// Fields that were set to NULL as they could not be read, so far.
    fn fields_ignored(&self) -> u64 {
        0
    }
}

/// Writes rows in one format.
pub(crate) trait RecordEncoder: Send {
    /// Appends a row, with what ends a record.
    fn encode(
        &mut self,
        views: &[ColumnView<'_>],
        row: usize,
        kind: i8,
        out: &mut Vec<u8>,
    ) -> Result<(), String>;
}

/// Writes a file whose records have no bytes of their own.
pub(crate) trait FileEncoder: Send {
    /// Takes rows in, given by the columns of the records.
    fn write(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), String>;

    /// Bytes of rows that are not written yet, about.
    fn held_bytes(&self) -> usize;

    /// Bytes of the file, about; those of rows that are not written yet among them.
    fn bytes(&self) -> u64;

    /// Writes all rows that were taken in.
    fn end_block(&mut self) -> Result<(), String>;

    /// Ends the file.
    fn finish(self: Box<Self>) -> Result<File, String>;
}

/// What writes a format.
pub(crate) enum Encoder {
    /// Record by record.
    Records(Box<dyn RecordEncoder>),
    /// File by file: see [`Format::file_encoder`].
    Files,
}

/// A format and its options.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    Csv(CsvOptions),
    Json(JsonOptions),
    Changelog(ChangelogOptions),
    Raw(RawOptions),
    Log(LogOptions),
    Parquet(ParquetOptions),
    Avro(AvroOptions),
}

impl Format {
    /// The format that the option `format` names, for records of `columns`.
    pub(crate) fn of(options: &mut OptionReader<'_>, columns: &[FormatColumn]) -> SqlResult<Self> {
        let name = options.required("format")?;
        let format = match name {
            "csv" => Format::Csv(CsvOptions::read(options)?),
            "json" => Format::Json(JsonOptions::read(options, "json")?),
            "debezium-json" | "canal-json" | "maxwell-json" | "ogg-json" => {
                Format::Changelog(ChangelogOptions::read(options, name)?)
            }
            "raw" => Format::Raw(RawOptions::read(options)?),
            "log" => Format::Log(LogOptions::read(options, columns)?),
            "parquet" => Format::Parquet(ParquetOptions::read(options)?),
            "avro" => Format::Avro(AvroOptions::read(options)?),
            _ => {
                let error = SqlError::new(format!("there is no format `{name}`"));
                let hint = match nearest(name, NAMES.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("formats are {}", NAMES.join(", ")),
                };
                return Err(error.hint(hint));
            }
        };
        format.check(columns)?;
        Ok(format)
    }

    fn check(&self, columns: &[FormatColumn]) -> SqlResult<()> {
        match self {
            Format::Csv(_) => columns.iter().try_for_each(csv::check_column),
            Format::Json(_) | Format::Changelog(_) => {
                columns.iter().try_for_each(|column| json::check_type(&column.name, &column.data_type))
            }
            Format::Raw(_) => raw::check_columns(columns),
            Format::Log(_) | Format::Parquet(_) | Format::Avro(_) => Ok(()),
        }
    }

    /// Whether its records have bytes of their own, so that they can come one by one.
    pub(crate) fn has_records(&self) -> bool {
        !matches!(self, Format::Parquet(_) | Format::Avro(_))
    }

    /// Where records end.
    pub(crate) fn framing(&self) -> Framing {
        match self {
            Format::Csv(options) => options.framing(),
            _ => Framing::Lines,
        }
    }

    pub(crate) fn is_changelog(&self) -> bool {
        matches!(self, Format::Changelog(_))
    }

    /// Whether a record that cannot be read is left out.
    pub(crate) fn ignores_errors(&self) -> bool {
        match self {
            Format::Csv(options) => options.ignore_parse_errors,
            Format::Json(options) => options.ignore_parse_errors,
            Format::Changelog(options) => options.json.ignore_parse_errors,
            Format::Log(options) => options.ignore_parse_errors,
            Format::Raw(_) | Format::Parquet(_) | Format::Avro(_) => false,
        }
    }

    /// What changes it can write.
    pub(crate) fn sink_mode(&self) -> SinkMode {
        if self.is_changelog() { SinkMode::Retract } else { SinkMode::Append }
    }

    /// Makes a decoder for the wanted columns of `schema`.
    pub(crate) fn decoder(&self, schema: &FormatSchema) -> Box<dyn RecordDecoder> {
        match self {
            Format::Csv(options) => Box::new(CsvDecoder::new(schema, options)),
            Format::Json(options) => Box::new(JsonDecoder::new(schema, options)),
            Format::Changelog(options) => Box::new(ChangelogDecoder::new(schema, options)),
            Format::Raw(options) => Box::new(RawDecoder::new(schema, options)),
            Format::Log(options) => Box::new(LogDecoder::new(schema, options)),
            Format::Parquet(_) | Format::Avro(_) => {
                unreachable!("invariant: Parquet and Avro are not read record by record")
            }
        }
    }

    /// Makes an encoder of rows of the columns of `schema`.
    ///
    /// # Errors
    /// If the format can be read only, or has no type for a column.
    pub(crate) fn encoder(&self, schema: &FormatSchema) -> SqlResult<Encoder> {
        let records: Box<dyn RecordEncoder> = match self {
            Format::Csv(options) => Box::new(CsvEncoder::new(schema, options)),
            Format::Json(options) => Box::new(JsonEncoder::new(schema, options)),
            Format::Changelog(options) => Box::new(ChangelogEncoder::new(schema, options)),
            Format::Raw(options) => Box::new(RawEncoder::new(schema, options)),
            Format::Log(_) => return Err(read_only("log")),
            Format::Parquet(options) => {
                options.check_writable(&schema.columns)?;
                return Ok(Encoder::Files);
            }
            Format::Avro(options) => {
                options.check_writable(&schema.columns)?;
                return Ok(Encoder::Files);
            }
        };
        Ok(Encoder::Records(records))
    }

    /// Makes what writes `file`, which is empty, of a format that is [`Encoder::Files`].
    pub(crate) fn file_encoder(
        &self,
        file: File,
        schema: &FormatSchema,
    ) -> Result<Box<dyn FileEncoder>, String> {
        match self {
            Format::Parquet(options) => Ok(Box::new(ParquetEncoder::new(file, schema, options)?)),
            Format::Avro(options) => Ok(Box::new(AvroEncoder::new(file, schema, options)?)),
            _ => unreachable!("invariant: other formats are written record by record"),
        }
    }

    /// What the names of its files end with.
    pub(crate) fn ending(&self) -> &'static str {
        match self {
            Format::Csv(_) => ".csv",
            Format::Json(_) | Format::Changelog(_) => ".json",
            Format::Parquet(_) => ".parquet",
            Format::Avro(_) => ".avro",
            Format::Raw(_) | Format::Log(_) => "",
        }
    }
}

fn read_only(format: &str) -> SqlError {
    SqlError::new(format!("the format `{format}` can be read, not written")).hint("write csv or json")
}
