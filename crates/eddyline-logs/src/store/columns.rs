//! Writing rows of a table as a Parquet file.

use super::lines::{BLOOM, BOUNDED, UNIQUE};
use eddyline_core::{Error, Result};
use eddyline_formats::BulkEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::marker::PhantomData;
use std::sync::Arc;

/// Rows that are encoded at a time: they are in the processor's cache still.
const BATCH_ROWS: usize = 1_024;
/// Rows of a row group: what is skipped or read whole.
const GROUP_ROWS: usize = 32_768;
/// Different values of a column with a Bloom filter that are expected in a row group.
const BLOOM_VALUES: u64 = 8_192;

/// Collects the rows of a table by column.
pub(super) trait Columns<T>: 'static {
    /// The columns.
    fn schema(&self) -> arrow_schema::SchemaRef;
    /// Columns whose values can be looked for by a Bloom filter.
    fn bloom(&self) -> &'static [&'static str] {
        &[]
    }
    /// Columns whose values hardly repeat.
    fn unique(&self) -> &'static [&'static str] {
        &[]
    }
    /// Columns whose least and greatest values are kept; none: all.
    fn bounded(&self) -> Option<&'static [&'static str]> {
        None
    }
    /// Appends a row; answers its size in bytes.
    fn append(&mut self, row: &T) -> usize;
    /// The rows appended; none is left.
    fn take(&mut self) -> arrow_array::RecordBatch;
}

/// The encoder of one file.
pub(super) struct TableEncoder<T, C> {
    columns: C,
    rows: usize,
    bytes: usize,
    writer: Option<ArrowWriter<Vec<u8>>>,
    /// The memory that the writer takes: it changes only when rows are encoded, and is asked for much more often.
    writer_bytes: usize,
    _rows: PhantomData<fn(T)>,
}

impl<T, C: Columns<T>> TableEncoder<T, C> {
    pub(super) fn new(columns: C) -> Self {
        TableEncoder { columns, rows: 0, bytes: 0, writer: None, writer_bytes: 0, _rows: PhantomData }
    }

    /// Encodes the rows that were collected, and hands over the bytes that are ready.
    fn encode(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.writer.is_none() {
            let schema = self.columns.schema();
            let writer = ArrowWriter::try_new(
                Vec::new(),
                schema,
                Some(properties(self.columns.bloom(), self.columns.unique(), self.columns.bounded())),
            );
            self.writer = Some(writer.map_err(unwritable)?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if self.rows > 0 {
            (self.rows, self.bytes) = (0, 0);
            writer.write(&self.columns.take()).map_err(unwritable)?;
        }
        // The writer counts what it has written by itself, so what is done can be taken away.
        out.append(writer.inner_mut());
        self.writer_bytes = writer.memory_size();
        Ok(())
    }
}

impl<T: 'static, C: Columns<T>> BulkEncoder<T> for TableEncoder<T, C> {
    fn add(&mut self, row: &T, out: &mut Vec<u8>) -> Result<()> {
        self.bytes += self.columns.append(row);
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.encode(out) } else { Ok(()) }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.encode(out)?;
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        writer.finish().map_err(unwritable)?;
        out.append(writer.inner_mut());
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.bytes + self.writer_bytes
    }
}

/// How files are written: Bloom filters for the columns `bloom`, no dictionaries for the columns `unique`, bounds of the
/// columns `bounded`, or of all.
fn properties(bloom: &[&str], unique: &[&str], bounded: Option<&[&str]>) -> WriterProperties {
    let all = if bounded.is_none() { EnabledStatistics::Chunk } else { EnabledStatistics::None };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_statistics_enabled(all)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_created_by("eddyline".to_owned());
    for column in bloom {
        let path = ColumnPath::from(*column);
        properties = properties
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_max_ndv(path, BLOOM_VALUES);
    }
    for column in bounded.unwrap_or_default() {
        properties =
            properties.set_column_statistics_enabled(ColumnPath::from(*column), EnabledStatistics::Chunk);
    }
    for column in unique {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(*column), false);
    }
    properties.build()
}

/// How merged files of a table are written; only lines have the column `line`.
pub(super) fn merged_properties(schema: &arrow_schema::Schema) -> WriterProperties {
    let is_lines = schema.column_with_name("line").is_some();
    if is_lines { properties(BLOOM, UNIQUE, Some(BOUNDED)) } else { properties(&[], &[], None) }
}

fn unwritable(error: ParquetError) -> Error {
    Error::output(format!("cannot encode rows as Parquet: {error}"))
}

/// A schema of these fields.
pub(super) fn schema(fields: Vec<arrow_schema::Field>) -> arrow_schema::SchemaRef {
    Arc::new(arrow_schema::Schema::new(fields))
}
