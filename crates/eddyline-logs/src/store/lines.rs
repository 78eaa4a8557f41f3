//! The table of lines.

use super::columns::{Columns, schema};
use super::tail::Tail;
use crate::format::Level;
use crate::record::{LogRecord, text_of};
use arrow_array::builder::{Int32Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use eddyline_core::EventTime;
use serde::Serialize;
use std::sync::Arc;

/// The name of the table.
pub(super) const LINES: &str = "lines";

/// The columns by number, as queries ask for them.
pub(super) const TIME: usize = 0;
pub(super) const STATUS: usize = 1;
pub(super) const HOST: usize = 2;
pub(super) const PATH: usize = 3;
pub(super) const LINE: usize = 10;

/// Columns that are looked into by a Bloom filter, and columns whose values hardly repeat.
pub(super) const BLOOM: &[&str] = &["host"];
pub(super) const UNIQUE: &[&str] = &["time", "bytes", "latency_us", "offset", "line"];
/// Columns whose least and greatest values say what has to be read.
pub(super) const BOUNDED: &[&str] = &["time", "status"];

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredLine {
    /// When it happened, in milliseconds since the epoch.
    pub time: EventTime,
    /// The response's status; 0 if the line is no access.
    pub status: u16,
    /// The client's address or name; empty if the line has none.
    pub host: String,
    /// What was asked for, without its query.
    pub path: String,
    /// The request's method.
    pub method: String,
    /// The size of the response's body in bytes.
    pub bytes: u64,
    /// How long the request took in microseconds, if the line says it.
    pub latency_us: Option<u64>,
    /// How bad what the line tells of is, by syslog's levels from 0 (worst) to 7.
    pub level: u8,
    /// The file that the line stands in.
    pub source: String,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The line.
    pub line: String,
}

impl From<&LogRecord> for StoredLine {
    fn from(record: &LogRecord) -> Self {
        StoredLine {
            time: record.time,
            status: record.status,
            host: text_of(record.host()),
            path: text_of(record.path()),
            method: text_of(record.method()),
            bytes: record.bytes,
            latency_us: record.latency_us(),
            level: record.level() as u8,
            source: text_of(record.source()),
            offset: record.offset,
            line: text_of(record.line()),
        }
    }
}

/// What the line is called, whatever the file that it was stored in.
impl StoredLine {
    pub(super) fn identity(&self) -> (EventTime, String, u64) {
        (self.time, self.source.clone(), self.offset)
    }
}

/// Lines by column.
pub(super) struct LineColumns {
    tail: Option<Arc<Tail>>,
    schema: SchemaRef,
    time: TimestampMillisecondBuilder,
    status: Int32Builder,
    texts: [StringBuilder; 4],
    bytes: Int64Builder,
    latency_us: Int64Builder,
    level: Int32Builder,
    offset: Int64Builder,
    line: StringBuilder,
}

impl LineColumns {
    /// Columns of a file; lines go to `tail` as well.
    pub(super) fn new(tail: Option<Arc<Tail>>) -> Self {
        let text = |name| Field::new(name, DataType::Utf8, false);
        let number = |name| Field::new(name, DataType::Int64, false);
        let small = |name| Field::new(name, DataType::Int32, false);
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let fields = vec![
            Field::new("time", time, false),
            small("status"),
            text("host"),
            text("path"),
            text("method"),
            number("bytes"),
            Field::new("latency_us", DataType::Int64, true),
            small("level"),
            text("source"),
            number("offset"),
            text("line"),
        ];
        LineColumns {
            tail,
            schema: schema(fields),
            time: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            status: Int32Builder::new(),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            bytes: Int64Builder::new(),
            latency_us: Int64Builder::new(),
            level: Int32Builder::new(),
            offset: Int64Builder::new(),
            line: StringBuilder::new(),
        }
    }
}

/// A number as the signed one that columns have; what does not fit is the largest.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Columns<LogRecord> for LineColumns {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bloom(&self) -> &'static [&'static str] {
        BLOOM
    }

    fn unique(&self) -> &'static [&'static str] {
        UNIQUE
    }

    fn bounded(&self) -> Option<&'static [&'static str]> {
        Some(BOUNDED)
    }

    fn append(&mut self, record: &LogRecord) -> usize {
        self.time.append_value(record.time);
        self.status.append_value(i32::from(record.status));
        let values = [record.host(), record.path(), record.method(), record.source()];
        for (column, value) in self.texts.iter_mut().zip(values) {
            append_text(column, value);
        }
        self.bytes.append_value(signed(record.bytes));
        self.latency_us.append_option(record.latency_us().map(signed));
        self.level.append_value(record.level() as i32);
        self.offset.append_value(signed(record.offset));
        append_text(&mut self.line, record.line());
        if let Some(tail) = &self.tail {
            tail.push(record.clone());
        }
        // A line's fields repeat parts of it.
        2 * record.line().len() + 64
    }

    fn take(&mut self) -> RecordBatch {
        let [host, path, method, source] = &mut self.texts;
        let columns: Vec<arrow_array::ArrayRef> = vec![
            Arc::new(self.time.finish()),
            Arc::new(self.status.finish()),
            take_texts(host),
            take_texts(path),
            take_texts(method),
            Arc::new(self.bytes.finish()),
            Arc::new(self.latency_us.finish()),
            Arc::new(self.level.finish()),
            take_texts(source),
            Arc::new(self.offset.finish()),
            take_texts(&mut self.line),
        ];
        RecordBatch::try_new(self.schema.clone(), columns).expect("invariant: columns are of the schema")
    }
}

/// The texts of a column; it has room for as many again.
fn take_texts(column: &mut StringBuilder) -> arrow_array::ArrayRef {
    let texts = column.finish();
    let bytes = texts.value_data().len();
    *column = StringBuilder::with_capacity(texts.len(), bytes + bytes / 8);
    Arc::new(texts)
}

fn append_text(column: &mut StringBuilder, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => column.append_value(text),
        Err(_) => column.append_value(String::from_utf8_lossy(bytes)),
    }
}

/// The lines of a batch with all columns; none if it is not one of this table.
pub(super) fn lines_of(batch: &RecordBatch) -> Option<Vec<StoredLine>> {
    if batch.num_columns() != 11 {
        return None;
    }
    let time = batch.column(TIME).as_primitive_opt::<TimestampMillisecondType>()?;
    let small = |column: usize| batch.column(column).as_primitive_opt::<Int32Type>();
    let number = |column: usize| batch.column(column).as_primitive_opt::<Int64Type>();
    let text = |column: usize| batch.column(column).as_string_opt::<i32>();
    let (status, host, path, method) = (small(STATUS)?, text(HOST)?, text(PATH)?, text(4)?);
    let (bytes, latency_us, level, source) = (number(5)?, number(6)?, small(7)?, text(8)?);
    let (offset, line) = (number(9)?, text(LINE)?);
    let row = |row: usize| StoredLine {
        time: time.value(row),
        status: status.value(row) as u16,
        host: host.value(row).to_owned(),
        path: path.value(row).to_owned(),
        method: method.value(row).to_owned(),
        bytes: bytes.value(row).unsigned_abs(),
        latency_us: latency_us.is_valid(row).then(|| latency_us.value(row).unsigned_abs()),
        level: level.value(row).clamp(0, Level::Debug as i32) as u8,
        source: source.value(row).to_owned(),
        offset: offset.value(row).unsigned_abs(),
        line: line.value(row).to_owned(),
    };
    Some((0..batch.num_rows()).map(row).collect())
}
