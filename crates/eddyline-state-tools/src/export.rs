//! Rows as files.

use crate::rows::Row;
use eddyline_core::{Error, Result, Value};
use std::io::Write;

/// Takes rows and writes them.
pub trait RowWriter {
    /// Writes a row.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&mut self, row: &Row) -> Result<()>;

    /// Writes what is left; to be called once, at the end.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(&mut self) -> Result<()>;
}

/// An object a line.
pub struct JsonRows<W> {
    out: W,
}

impl<W: Write> JsonRows<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        JsonRows { out }
    }
}

impl<W: Write> RowWriter for JsonRows<W> {
    fn write(&mut self, row: &Row) -> Result<()> {
        serde_json::to_writer(&mut self.out, row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(|error| unwritten(&error))
    }

    fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(|error| unwritten(&error))
    }
}

/// Comma-separated values with a header: the fields of a row; keys and values as text where they are text, else as
/// JSON.
pub struct CsvRows<W: Write> {
    out: csv::Writer<W>,
    has_header: bool,
}

impl<W: Write> CsvRows<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        CsvRows { out: csv::Writer::from_writer(out), has_header: false }
    }
}

impl<W: Write> RowWriter for CsvRows<W> {
    fn write(&mut self, row: &Row) -> Result<()> {
        if !self.has_header {
            self.has_header = true;
            let header =
                ["uid", "state", "group", "window", "time", "namespace", "key", "value", "touched_ms"];
            self.out.write_record(header).map_err(|error| unwritten(&error))?;
        }
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let cells = [
            row.uid.clone(),
            row.state.clone(),
            row.group.to_string(),
            number(row.window),
            number(row.time),
            number(row.namespace),
            cell(row.key.as_ref())?,
            cell(row.value.as_ref())?,
            number(row.touched_ms),
        ];
        self.out.write_record(cells).map_err(|error| unwritten(&error))
    }

    fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(|error| unwritten(&error))
    }
}

fn cell(value: Option<&Value>) -> Result<String> {
    match value {
        None => Ok(String::new()),
        Some(Value::Text(text)) => Ok(text.clone()),
        Some(value) => serde_json::to_string(value)
            .map_err(|error| Error::internal(format!("a value cannot be written as JSON: {error}"))),
    }
}

fn unwritten(error: &dyn std::fmt::Display) -> Error {
    Error::output(format!("cannot write the rows: {error}"))
        .with_hint("check the disk, or whoever reads them")
}
