//! Writing CSV.

use super::Csv;
use super::decoder::Splitter;
use crate::Encoder;
use csv::{ByteRecord, QuoteStyle, Writer, WriterBuilder};
use eddyline_core::{Error, Result};
use serde::Serialize;

/// The buffer of one record: most need no more.
const BUFFER_BYTES: usize = 256;

/// Writes CSV; made by [`Csv::encoder`].
#[derive(Debug, Clone)]
pub struct CsvEncoder {
    csv: Csv,
}

impl CsvEncoder {
    pub(super) fn new(csv: Csv) -> Self {
        CsvEncoder { csv }
    }

    fn writer<'a>(&self, out: &'a mut Vec<u8>) -> Writer<&'a mut Vec<u8>> {
        let csv = &self.csv;
        let mut builder = WriterBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(csv.delimiter).buffer_capacity(BUFFER_BYTES);
        builder.comment(csv.comment);
        match csv.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quote_style(QuoteStyle::Never),
        };
        builder.from_writer(out)
    }

    fn write<T: Serialize>(&self, value: &T, out: &mut Vec<u8>) -> std::result::Result<(), csv::Error> {
        if self.csv.null_literal.is_none() && self.csv.escape.is_none() {
            let mut writer = self.writer(out);
            writer.serialize(value)?;
            writer.flush()?;
            return Ok(());
        }
        // The writer knows no null literal, and writes escape characters that it does not escape themselves: it
        // tells what the fields are, which are then written here.
        let (plain, mut row, mut record) = (Csv::new(), Vec::new(), ByteRecord::new());
        CsvEncoder::new(plain.clone()).write(value, &mut row)?;
        let split = Splitter::new(&plain).split(row.strip_suffix(b"\n").unwrap_or(&row), None, &mut record);
        split.map_err(|reason| csv::Error::from(std::io::Error::other(reason)))?;
        self.write_fields(&record, out);
        Ok(())
    }

    fn write_fields(&self, record: &ByteRecord, out: &mut Vec<u8>) {
        let null = self.csv.null_literal.as_deref().unwrap_or_default().as_bytes();
        for (column, field) in record.iter().enumerate() {
            if column > 0 {
                out.push(self.csv.delimiter);
            }
            let field = if field.is_empty() { null } else { field };
            let Some(quote) = self.csv.quote else {
                out.extend_from_slice(field);
                continue;
            };
            let is_special = |byte: &u8| [self.csv.delimiter, quote, b'\n', b'\r'].contains(byte);
            let is_comment =
                column == 0 && self.csv.comment.is_some() && field.first().copied() == self.csv.comment;
            // A record of nothing but an empty field would be a blank line.
            if !field.iter().any(is_special) && !is_comment && (record.len() > 1 || !field.is_empty()) {
                out.extend_from_slice(field);
                continue;
            }
            out.push(quote);
            for byte in field {
                if *byte == quote || Some(*byte) == self.csv.escape {
                    out.push(self.csv.escape.unwrap_or(quote));
                }
                out.push(*byte);
            }
            out.push(quote);
        }
        out.push(b'\n');
    }
}

impl<T: Serialize> Encoder<T> for CsvEncoder {
    fn header(&self, out: &mut Vec<u8>) -> Result<()> {
        if !self.csv.header {
            return Ok(());
        }
        if self.csv.columns.is_empty() {
            return Err(Error::config("a CSV header needs the names of the columns")
                .with_hint("name them with `Csv::columns`, or write no header"));
        }
        self.write(&self.csv.columns, out).map_err(|error| failed(&error))
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        let written = self.write(value, out);
        if written.is_ok() && !self.csv.quoted_newlines && out[before..out.len() - 1].contains(&b'\n') {
            out.truncate(before);
            return Err(Error::output("a value with a line feed cannot be written as one line of CSV")
                .with_hint("allow `Csv::quoted_newlines`, or take the line feed out"));
        }
        written.map_err(|error| {
            out.truncate(before);
            failed(&error)
        })
    }
}

fn failed(error: &csv::Error) -> Error {
    Error::output("a value cannot be written as CSV")
        .with_detail(error.to_string())
        .with_hint("write structs and tuples of plain values: maps and lists in lists have no columns")
}
