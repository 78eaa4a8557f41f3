//! Writing Parquet files, columns at a time.
//!
//! # Contract
//! - The physical types are those that Flink writes: text and bytes as BYTE_ARRAY, DECIMAL as FIXED_LEN_BYTE_ARRAY, TIME
//!   as INT32 of milliseconds, lists and maps of three levels. A timestamp that is a column is INT96, or INT64 of
//!   `parquet.timestamp.time.unit` with `parquet.write.int64.timestamp`; one within a ROW, ARRAY or MAP is always INT64.
//! - What is not written yet is at most a row group, `parquet.block.size`, which ends sooner when asked for.

use super::parquet::convert;
use super::rows::FormatColumn;
use super::{FileEncoder, FormatSchema};
use crate::connector::options::OptionReader;
use crate::parser::span::{SqlError, SqlResult};
use crate::types::{RowField, SqlType, TypeKind};
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, GzipLevel, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{Int96, Int96Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use std::fs::File;
use std::sync::Arc;

/// A row group has about so many bytes, unless said otherwise: 128 MiB.
const BLOCK_BYTES: u64 = 128 << 20;
/// A page has about so many bytes, unless said otherwise: 1 MiB.
const PAGE_BYTES: u64 = 1 << 20;
/// The Julian day of 1970-01-01.
const EPOCH_DAY: i64 = 2_440_588;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// How Parquet files are written.
#[derive(Debug, Clone)]
pub(crate) struct ParquetOptions {
    compression: Compression,
    /// The unit of timestamps that are INT64.
    unit: Option<TimeUnit>,
    block_bytes: u64,
    page_bytes: u64,
    dictionary: bool,
    version: WriterVersion,
}

impl ParquetOptions {
    pub(super) fn read(options: &mut OptionReader<'_>) -> SqlResult<Self> {
        // Times in files are taken for UTC either way.
        options.bool("parquet.utc-timezone", true)?;
        let codecs = ["SNAPPY", "UNCOMPRESSED", "GZIP", "ZSTD"];
        let compression = match options.choice("parquet.compression", &codecs)? {
            Some("UNCOMPRESSED") => Compression::UNCOMPRESSED,
            Some("GZIP") => Compression::GZIP(GzipLevel::default()),
            Some("ZSTD") => Compression::ZSTD(ZstdLevel::default()),
            _ => Compression::SNAPPY,
        };
        let units = ["micros", "nanos", "millis"];
        let unit = match options.choice("parquet.timestamp.time.unit", &units)? {
            Some("nanos") => TimeUnit::Nanosecond,
            Some("millis") => TimeUnit::Millisecond,
            _ => TimeUnit::Microsecond,
        };
        let is_int64 = options.bool("parquet.write.int64.timestamp", false)?;
        let versions = ["PARQUET_1_0", "PARQUET_2_0", "v1", "v2"];
        let version = match options.choice("parquet.writer.version", &versions)? {
            Some("PARQUET_2_0" | "v2") => WriterVersion::PARQUET_2_0,
            _ => WriterVersion::PARQUET_1_0,
        };
        Ok(ParquetOptions {
            compression,
            unit: is_int64.then_some(unit),
            block_bytes: options.bytes("parquet.block.size")?.unwrap_or(BLOCK_BYTES).max(1),
            page_bytes: options.bytes("parquet.page.size")?.unwrap_or(PAGE_BYTES).max(1),
            dictionary: options.bool("parquet.enable.dictionary", true)?,
            version,
        })
    }

    /// Fails if a column's type has no place in Parquet.
    pub(super) fn check_writable(&self, columns: &[FormatColumn]) -> SqlResult<()> {
        columns.iter().try_for_each(|column| check(&column.name, &column.data_type.kind))
    }

    fn properties(&self) -> WriterProperties {
        WriterProperties::builder()
            .set_compression(self.compression)
            .set_writer_version(self.version)
            .set_dictionary_enabled(self.dictionary)
            .set_data_page_size_limit(usize::try_from(self.page_bytes).unwrap_or(usize::MAX))
            .build()
    }

    /// Whether a column is INT96.
    fn is_int96(&self, kind: &TypeKind) -> bool {
        kind.is_timestamp() && self.unit.is_none()
    }
}

fn check(name: &str, kind: &TypeKind) -> SqlResult<()> {
    match kind {
        TypeKind::Null | TypeKind::IntervalYearMonth | TypeKind::IntervalDaySecond => {
            Err(SqlError::new(format!("column `{name}`: Parquet has no type for {kind}"))
                .hint("cast it to a number or to STRING"))
        }
        TypeKind::Row(fields) if fields.is_empty() => {
            Err(SqlError::new(format!("column `{name}`: Parquet has no ROW without fields")))
        }
        TypeKind::Array(item) | TypeKind::Multiset(item) => check(name, &item.kind),
        TypeKind::Map(key, value) => check(name, &key.kind).and_then(|()| check(name, &value.kind)),
        TypeKind::Row(fields) => fields.iter().try_for_each(|field| check(name, &field.data_type.kind)),
        _ => Ok(()),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// How many columns of a file hold a column of the table.
fn leaf_count(kind: &TypeKind) -> usize {
    match kind {
        TypeKind::Array(item) => leaf_count(&item.kind),
        TypeKind::Multiset(item) => leaf_count(&item.kind) + 1,
        TypeKind::Map(key, value) => leaf_count(&key.kind) + leaf_count(&value.kind),
        TypeKind::Row(fields) => fields.iter().map(|field| leaf_count(&field.data_type.kind)).sum(),
        _ => 1,
    }
}

/// The type of a file's column `name`. All but the keys of maps may be NULL.
fn file_type(
    name: &str,
    kind: &TypeKind,
    repetition: Repetition,
    int96: bool,
    unit: TimeUnit,
) -> Result<TypePtr, ParquetError> {
    let nested =
        |name: &str, kind: &TypeKind, repetition: Repetition| file_type(name, kind, repetition, false, unit);
    let group = |fields: Vec<TypePtr>, logical: Option<LogicalType>| {
        let group = Type::group_type_builder(name).with_repetition(repetition).with_fields(fields);
        group.with_logical_type(logical).build().map(Arc::new)
    };
    let repeated = |name: &str, fields: Vec<TypePtr>| {
        let group = Type::group_type_builder(name).with_repetition(Repetition::REPEATED);
        group.with_fields(fields).build().map(Arc::new)
    };
    let map = |key: &TypeKind, value: &TypeKind| {
        let key = nested("key", key, Repetition::REQUIRED)?;
        let value = nested("value", value, Repetition::OPTIONAL)?;
        group(vec![repeated("key_value", vec![key, value])?], Some(LogicalType::Map))
    };
    let (physical, logical) = match kind {
        TypeKind::Array(item) => {
            let element = nested("element", &item.kind, Repetition::OPTIONAL)?;
            return group(vec![repeated("list", vec![element])?], Some(LogicalType::List));
        }
        TypeKind::Map(key, value) => return map(&key.kind, &value.kind),
        TypeKind::Multiset(item) => return map(&item.kind, &TypeKind::Int),
        TypeKind::Row(fields) => {
            let field = |field: &RowField| nested(&field.name, &field.data_type.kind, Repetition::OPTIONAL);
            return group(fields.iter().map(field).collect::<Result<_, _>>()?, None);
        }
        TypeKind::Decimal(precision, scale) => {
            let (precision, scale) = (i32::from(*precision), i32::from(*scale));
            let decimal = Type::primitive_type_builder(name, Physical::FIXED_LEN_BYTE_ARRAY)
                .with_repetition(repetition)
                .with_length(decimal_bytes(precision))
                .with_logical_type(Some(LogicalType::decimal(scale, precision)))
                .with_precision(precision)
                .with_scale(scale);
            return decimal.build().map(Arc::new);
        }
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) if int96 => (Physical::INT96, None),
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
            let unit = match unit {
                TimeUnit::Nanosecond => parquet::basic::TimeUnit::NANOS,
                TimeUnit::Millisecond => parquet::basic::TimeUnit::MILLIS,
                _ => parquet::basic::TimeUnit::MICROS,
            };
            (Physical::INT64, Some(LogicalType::timestamp(false, unit)))
        }
        TypeKind::Boolean => (Physical::BOOLEAN, None),
        TypeKind::TinyInt => (Physical::INT32, Some(LogicalType::integer(8, true))),
        TypeKind::SmallInt => (Physical::INT32, Some(LogicalType::integer(16, true))),
        TypeKind::Int => (Physical::INT32, None),
        TypeKind::BigInt => (Physical::INT64, None),
        TypeKind::Float => (Physical::FLOAT, None),
        TypeKind::Double => (Physical::DOUBLE, None),
        TypeKind::Date => (Physical::INT32, Some(LogicalType::Date)),
        TypeKind::Time(_) => {
            (Physical::INT32, Some(LogicalType::time(true, parquet::basic::TimeUnit::MILLIS)))
        }
        kind if kind.is_text() => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        _ => (Physical::BYTE_ARRAY, None),
    };
    let primitive = Type::primitive_type_builder(name, physical).with_repetition(repetition);
    primitive.with_logical_type(logical).build().map(Arc::new)
}

/// The fewest bytes that hold every decimal of `precision` digits.
fn decimal_bytes(precision: i32) -> i32 {
    let most = 10f64.powi(precision);
    (1..16).find(|bytes| 2f64.powi(8 * bytes - 1) > most).unwrap_or(16)
}

/// `kind` with no more digits of seconds than `unit` has.
fn within(kind: &TypeKind, unit: TimeUnit) -> TypeKind {
    let most = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    let part = |part: &SqlType| Box::new(within(&part.kind, unit).with_nullability(part.nullable));
    match kind {
        TypeKind::Timestamp(digits) => TypeKind::Timestamp((*digits).min(most)),
        TypeKind::TimestampLtz(digits) => TypeKind::TimestampLtz((*digits).min(most)),
        TypeKind::Array(item) => TypeKind::Array(part(item)),
        TypeKind::Multiset(item) => TypeKind::Multiset(part(item)),
        TypeKind::Map(key, value) => TypeKind::Map(part(key), part(value)),
        TypeKind::Row(fields) => TypeKind::Row(
            fields
                .iter()
                .map(|field| RowField { name: field.name.clone(), data_type: *part(&field.data_type) })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// `data_type` with timestamps of `unit`.
fn with_unit(data_type: &DataType, unit: TimeUnit) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        Arc::new(field.as_ref().clone().with_data_type(with_unit(field.data_type(), unit)))
    };
    match data_type {
        DataType::Timestamp(_, zone) => DataType::Timestamp(unit, zone.clone()),
        DataType::List(item) => DataType::List(field(item)),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect::<Fields>()),
        other => other.clone(),
    }
}

/// A column of the row group that is being made.
enum GroupColumn {
    Int96 {
        values: Vec<Int96>,
        levels: Vec<i16>,
    },
    /// The columns of the file that hold it.
    Leaves(Vec<ArrowColumnWriter>),
}

/// Writes a Parquet file.
pub(super) struct ParquetEncoder {
    options: ParquetOptions,
    columns: Vec<FormatColumn>,
    /// The columns as they are given to the writers.
    fields: Vec<Field>,
    unit: TimeUnit,
    file: SerializedFileWriter<File>,
    factory: ArrowRowGroupWriterFactory,
    group: Vec<GroupColumn>,
    group_rows: usize,
}

impl ParquetEncoder {
    /// Writes rows of the columns of `schema` to `file`, which is empty.
    pub(super) fn new(file: File, schema: &FormatSchema, options: &ParquetOptions) -> Result<Self, String> {
        let unit = options.unit.unwrap_or(TimeUnit::Microsecond);
        let columns = schema.columns.clone();
        let types = columns.iter().map(|column| {
            let kind = &column.data_type.kind;
            file_type(&column.name, kind, Repetition::OPTIONAL, options.is_int96(kind), unit)
        });
        let types = types.collect::<Result<Vec<_>, _>>().map_err(text)?;
        let root = Type::group_type_builder("flink_schema").with_fields(types).build().map_err(text)?;
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| {
                let kind = &column.data_type.kind;
                let arrow = kind.arrow();
                let arrow = if options.is_int96(kind) { arrow } else { with_unit(&arrow, unit) };
                Field::new(&column.name, arrow, true)
            })
            .collect();
        let properties = Arc::new(options.properties());
        let file = SerializedFileWriter::new(file, Arc::new(root), properties).map_err(text)?;
        let factory = ArrowRowGroupWriterFactory::new(&file, Arc::new(Schema::new(fields.clone())));
        let options = options.clone();
        Ok(ParquetEncoder { options, columns, fields, unit, file, factory, group: Vec::new(), group_rows: 0 })
    }

    fn begin_group(&mut self) -> Result<(), String> {
        let number = self.file.flushed_row_groups().len();
        let mut writers = self.factory.create_column_writers(number).map_err(text)?.into_iter();
        for column in &self.columns {
            let kind = &column.data_type.kind;
            let leaves: Vec<ArrowColumnWriter> = writers.by_ref().take(leaf_count(kind)).collect();
            self.group.push(match self.options.is_int96(kind) {
                true => GroupColumn::Int96 { values: Vec::new(), levels: Vec::new() },
                false => GroupColumn::Leaves(leaves),
            });
        }
        Ok(())
    }

    /// Takes in a column's values.
    fn take_in(&mut self, number: usize, array: &ArrayRef) -> Result<(), String> {
        let (column, field) = (&self.columns[number], &self.fields[number]);
        match &mut self.group[number] {
            GroupColumn::Int96 { values, levels } => {
                append_int96(array, values, levels);
                Ok(())
            }
            GroupColumn::Leaves(writers) => {
                let array = match array.data_type() == field.data_type() {
                    true => array.clone(),
                    false => {
                        let cut = convert(array, &within(&column.data_type.kind, self.unit))?;
                        let options = CastOptions { safe: false, ..CastOptions::default() };
                        cast_with_options(&cut, field.data_type(), &options).map_err(text)?
                    }
                };
                let leaves = compute_leaves(field, &array).map_err(text)?;
                debug_assert_eq!(leaves.len(), writers.len());
                let pairs = writers.iter_mut().zip(&leaves);
                pairs.into_iter().try_for_each(|(writer, leaf)| writer.write(leaf).map_err(text))
            }
        }
    }
}

fn append_int96(array: &ArrayRef, values: &mut Vec<Int96>, levels: &mut Vec<i16>) {
    let mut append = |count: i64, per_day: i64, nanos: i64| {
        let (day, rest) = (count.div_euclid(per_day) + EPOCH_DAY, count.rem_euclid(per_day) * nanos);
        let mut value = Int96::new();
        value.set_data(rest as u32, (rest >> 32) as u32, day as u32);
        values.push(value);
    };
    if let Some(array) = array.as_primitive_opt::<TimestampNanosecondType>() {
        array.iter().flatten().for_each(|count| append(count, NANOS_PER_DAY, 1));
    } else {
        let array = array.as_primitive::<TimestampMicrosecondType>();
        array.iter().flatten().for_each(|count| append(count, NANOS_PER_DAY / 1_000, 1_000));
    }
    levels.extend((0..array.len()).map(|row| i16::from(array.is_valid(row))));
}

impl FileEncoder for ParquetEncoder {
    fn write(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), String> {
        if self.group.is_empty() {
            self.begin_group()?;
        }
        for (number, array) in columns.iter().enumerate() {
            self.take_in(number, array)?;
        }
        self.group_rows += rows;
        if self.held_bytes() as u64 >= self.options.block_bytes { self.end_block() } else { Ok(()) }
    }

    fn held_bytes(&self) -> usize {
        let column = |column: &GroupColumn| match column {
            GroupColumn::Int96 { values, levels } => values.len() * 12 + levels.len() * 2,
            GroupColumn::Leaves(writers) => writers.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.group.iter().map(column).sum()
    }

    fn bytes(&self) -> u64 {
        (self.file.bytes_written() + self.held_bytes()) as u64
    }

    fn end_block(&mut self) -> Result<(), String> {
        if self.group_rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(text)?;
        for column in self.group.drain(..) {
            match column {
                GroupColumn::Int96 { values, levels } => {
                    let column = group.next_column().map_err(text)?;
                    let mut column = column.expect("invariant: the file has as many columns as the table");
                    let typed = column.typed::<Int96Type>();
                    typed.write_batch(&values, Some(&levels), None).map_err(text)?;
                    column.close().map_err(text)?;
                }
                GroupColumn::Leaves(writers) => {
                    for writer in writers {
                        let chunk = writer.close().map_err(text)?;
                        chunk.append_to_row_group(&mut group).map_err(text)?;
                    }
                }
            }
        }
        group.close().map_err(text)?;
        self.group_rows = 0;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<File, String> {
        self.end_block()?;
        self.file.into_inner().map_err(text)
    }
}
