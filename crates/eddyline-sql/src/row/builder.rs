//! Making a column value by value.

use super::Value;
use super::value::{decode_bytes, decode_count, decode_text};
use crate::types::{SqlType, TypeKind};
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, DurationMillisecondBuilder,
    Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalYearMonthBuilder, StringBuilder, Time32MillisecondBuilder, TimestampMicrosecondBuilder,
    TimestampNanosecondBuilder,
};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, NullArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{DataType, Fields};
use eddyline_core::{DecodeError, Reader};
use std::sync::Arc;

/// A column being made.
pub(crate) struct ColumnBuilder {
    kind: TypeKind,
    pub(super) inner: Inner,
}

pub(super) enum Inner {
    Null(usize),
    Bool(BooleanBuilder),
    I8(Int8Builder),
    I16(Int16Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    F32(Float32Builder),
    F64(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time32MillisecondBuilder),
    Micros(TimestampMicrosecondBuilder),
    Nanos(TimestampNanosecondBuilder),
    Months(IntervalYearMonthBuilder),
    Millis(DurationMillisecondBuilder),
    List { offsets: Vec<i32>, nulls: NullBufferBuilder, items: Box<ColumnBuilder> },
    Map { offsets: Vec<i32>, nulls: NullBufferBuilder, keys: Box<ColumnBuilder>, values: Box<ColumnBuilder> },
    Row { nulls: NullBufferBuilder, fields: Vec<ColumnBuilder> },
}

impl ColumnBuilder {
    pub(crate) fn new(kind: &TypeKind) -> Self {
        let arrow = kind.arrow();
        let inner = match kind {
            TypeKind::Null => Inner::Null(0),
            TypeKind::Boolean => Inner::Bool(BooleanBuilder::new()),
            TypeKind::TinyInt => Inner::I8(Int8Builder::new()),
            TypeKind::SmallInt => Inner::I16(Int16Builder::new()),
            TypeKind::Int => Inner::I32(Int32Builder::new()),
            TypeKind::BigInt => Inner::I64(Int64Builder::new()),
            TypeKind::Float => Inner::F32(Float32Builder::new()),
            TypeKind::Double => Inner::F64(Float64Builder::new()),
            TypeKind::Decimal(..) => Inner::Decimal(Decimal128Builder::new().with_data_type(arrow)),
            TypeKind::Char(_) | TypeKind::VarChar(_) => Inner::Text(StringBuilder::new()),
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Inner::Bytes(BinaryBuilder::new()),
            TypeKind::Date => Inner::Date(Date32Builder::new()),
            TypeKind::Time(_) => Inner::Time(Time32MillisecondBuilder::new()),
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) if kind.in_nanos() => {
                Inner::Nanos(TimestampNanosecondBuilder::new().with_data_type(arrow))
            }
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                Inner::Micros(TimestampMicrosecondBuilder::new().with_data_type(arrow))
            }
            TypeKind::IntervalYearMonth => Inner::Months(IntervalYearMonthBuilder::new()),
            TypeKind::IntervalDaySecond => Inner::Millis(DurationMillisecondBuilder::new()),
            TypeKind::Array(item) => Inner::List {
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                items: Box::new(ColumnBuilder::new(&item.kind)),
            },
            TypeKind::Map(key, value) => map_builder(&key.kind, &value.kind),
            TypeKind::Multiset(item) => map_builder(&item.kind, &TypeKind::Int),
            TypeKind::Row(fields) => Inner::Row {
                nulls: NullBufferBuilder::new(0),
                fields: fields.iter().map(|field| ColumnBuilder::new(&field.data_type.kind)).collect(),
            },
        };
        ColumnBuilder { kind: kind.clone(), inner }
    }

    pub(crate) fn append_null(&mut self) {
        match &mut self.inner {
            Inner::Null(rows) => *rows += 1,
            Inner::Bool(builder) => builder.append_null(),
            Inner::I8(builder) => builder.append_null(),
            Inner::I16(builder) => builder.append_null(),
            Inner::I32(builder) => builder.append_null(),
            Inner::I64(builder) => builder.append_null(),
            Inner::F32(builder) => builder.append_null(),
            Inner::F64(builder) => builder.append_null(),
            Inner::Decimal(builder) => builder.append_null(),
            Inner::Text(builder) => builder.append_null(),
            Inner::Bytes(builder) => builder.append_null(),
            Inner::Date(builder) => builder.append_null(),
            Inner::Time(builder) => builder.append_null(),
            Inner::Micros(builder) => builder.append_null(),
            Inner::Nanos(builder) => builder.append_null(),
            Inner::Months(builder) => builder.append_null(),
            Inner::Millis(builder) => builder.append_null(),
            Inner::List { offsets, nulls, .. } | Inner::Map { offsets, nulls, .. } => {
                offsets.push(offsets[offsets.len() - 1]);
                nulls.append_null();
            }
            Inner::Row { nulls, fields } => {
                nulls.append_null();
                fields.iter_mut().for_each(ColumnBuilder::append_null);
            }
        }
    }

    #[inline]
    pub(crate) fn append_int(&mut self, value: i64) {
        match &mut self.inner {
            Inner::I8(builder) => builder.append_value(value as i8),
            Inner::I16(builder) => builder.append_value(value as i16),
            Inner::I32(builder) => builder.append_value(value as i32),
            Inner::I64(builder) => builder.append_value(value),
            Inner::Date(builder) => builder.append_value(value as i32),
            Inner::Time(builder) => builder.append_value(value as i32),
            Inner::Micros(builder) => builder.append_value(value),
            Inner::Nanos(builder) => builder.append_value(value),
            Inner::Months(builder) => builder.append_value(value as i32),
            Inner::Millis(builder) => builder.append_value(value),
            Inner::F64(builder) => builder.append_value(value as f64),
            Inner::F32(builder) => builder.append_value(value as f32),
            _ => self.append_null(),
        }
    }

    #[inline]
    pub(crate) fn append_text(&mut self, text: &str) {
        match &mut self.inner {
            Inner::Text(builder) => builder.append_value(text),
            _ => self.append_null(),
        }
    }

    /// Appends a value of this column's type.
    pub(crate) fn append(&mut self, value: &Value) {
        match (&mut self.inner, value) {
            (_, Value::Null) => self.append_null(),
            (_, Value::Int(value)) => self.append_int(*value),
            (Inner::Bool(builder), Value::Bool(value)) => builder.append_value(*value),
            (Inner::F32(builder), Value::Float(value)) => builder.append_value(*value as f32),
            (Inner::F64(builder), Value::Float(value)) => builder.append_value(*value),
            (Inner::Decimal(builder), Value::Decimal(value)) => builder.append_value(*value),
            (Inner::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Inner::Bytes(builder), Value::Bytes(bytes)) => builder.append_value(bytes),
            (Inner::List { offsets, nulls, items }, Value::List(list)) => {
                list.iter().for_each(|item| items.append(item));
                offsets.push(offsets[offsets.len() - 1] + list.len() as i32);
                nulls.append_non_null();
            }
            (Inner::Map { offsets, nulls, keys, values }, Value::Map(entries)) => {
                for (key, value) in entries {
                    keys.append(key);
                    values.append(value);
                }
                offsets.push(offsets[offsets.len() - 1] + entries.len() as i32);
                nulls.append_non_null();
            }
            (Inner::Row { nulls, fields }, Value::Row(row)) => {
                nulls.append_non_null();
                for (field, value) in fields.iter_mut().zip(row) {
                    field.append(value);
                }
            }
            _ => self.append_null(),
        }
    }

    /// Appends a value from its encoding.
    pub(crate) fn append_encoded(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        if input.array::<1>()? == [0] {
            self.append_null();
            return Ok(());
        }
        match &mut self.inner {
            Inner::Null(rows) => *rows += 1,
            Inner::Bool(builder) => builder.append_value(input.array::<1>()? == [1]),
            Inner::F32(builder) => {
                builder.append_value(f64::from_bits(u64::from_le_bytes(input.array()?)) as f32)
            }
            Inner::F64(builder) => builder.append_value(f64::from_bits(u64::from_le_bytes(input.array()?))),
            Inner::Decimal(builder) => builder.append_value(i128::from_le_bytes(input.array()?)),
            Inner::Text(builder) => builder.append_value(decode_text(input)?),
            Inner::Bytes(builder) => builder.append_value(decode_bytes(input)?),
            Inner::List { offsets, nulls, items } => {
                let count = decode_count(input)?;
                for _ in 0..count {
                    items.append_encoded(input)?;
                }
                offsets.push(offsets[offsets.len() - 1] + count as i32);
                nulls.append_non_null();
            }
            Inner::Map { offsets, nulls, keys, values } => {
                let count = decode_count(input)?;
                for _ in 0..count {
                    keys.append_encoded(input)?;
                    values.append_encoded(input)?;
                }
                offsets.push(offsets[offsets.len() - 1] + count as i32);
                nulls.append_non_null();
            }
            Inner::Row { nulls, fields } => {
                nulls.append_non_null();
                for field in fields {
                    field.append_encoded(input)?;
                }
            }
            _ => self.append_int(i64::from_le_bytes(input.array()?)),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self.inner {
            Inner::Null(rows) => Arc::new(NullArray::new(rows)),
            Inner::Bool(mut builder) => Arc::new(builder.finish()),
            Inner::I8(mut builder) => Arc::new(builder.finish()),
            Inner::I16(mut builder) => Arc::new(builder.finish()),
            Inner::I32(mut builder) => Arc::new(builder.finish()),
            Inner::I64(mut builder) => Arc::new(builder.finish()),
            Inner::F32(mut builder) => Arc::new(builder.finish()),
            Inner::F64(mut builder) => Arc::new(builder.finish()),
            Inner::Decimal(mut builder) => Arc::new(builder.finish()),
            Inner::Text(mut builder) => Arc::new(builder.finish()),
            Inner::Bytes(mut builder) => Arc::new(builder.finish()),
            Inner::Date(mut builder) => Arc::new(builder.finish()),
            Inner::Time(mut builder) => Arc::new(builder.finish()),
            Inner::Micros(mut builder) => Arc::new(builder.finish()),
            Inner::Nanos(mut builder) => Arc::new(builder.finish()),
            Inner::Months(mut builder) => Arc::new(builder.finish()),
            Inner::Millis(mut builder) => Arc::new(builder.finish()),
            Inner::List { offsets, mut nulls, items } => {
                let DataType::List(field) = self.kind.arrow() else {
                    unreachable!("invariant: arrays are lists")
                };
                Arc::new(ListArray::new(
                    field,
                    OffsetBuffer::new(offsets.into()),
                    items.finish(),
                    nulls.finish(),
                ))
            }
            Inner::Map { offsets, mut nulls, keys, values } => {
                map_array(&self.kind.arrow(), offsets, nulls.finish(), keys.finish(), values.finish())
            }
            Inner::Row { mut nulls, fields } => {
                let DataType::Struct(names) = self.kind.arrow() else {
                    unreachable!("invariant: rows are structs")
                };
                let nulls = nulls.finish();
                row_array(names, fields.into_iter().map(ColumnBuilder::finish).collect(), nulls)
            }
        }
    }
}

fn map_builder(key: &TypeKind, value: &TypeKind) -> Inner {
    Inner::Map {
        offsets: vec![0],
        nulls: NullBufferBuilder::new(0),
        keys: Box::new(ColumnBuilder::new(key)),
        values: Box::new(ColumnBuilder::new(value)),
    }
}

fn row_array(fields: Fields, columns: Vec<ArrayRef>, nulls: Option<arrow_buffer::NullBuffer>) -> ArrayRef {
    if fields.is_empty() {
        let rows = nulls.as_ref().map_or(0, arrow_buffer::NullBuffer::len);
        return Arc::new(StructArray::new_empty_fields(rows, nulls));
    }
    Arc::new(StructArray::new(fields, columns, nulls))
}

/// A map column; keys that are NULL are kept, which Arrow's own constructor refuses.
pub(crate) fn map_array(
    data_type: &DataType,
    offsets: Vec<i32>,
    nulls: Option<arrow_buffer::NullBuffer>,
    keys: ArrayRef,
    values: ArrayRef,
) -> ArrayRef {
    let DataType::Map(entries_field, sorted) = data_type else { unreachable!("invariant: maps are maps") };
    let DataType::Struct(fields) = entries_field.data_type() else {
        unreachable!("invariant: entries are structs")
    };
    let keys = if keys.null_count() > 0 {
        // The declaration says that keys are there; a NULL key reads as the type's default.
        let data = keys.to_data().into_builder().nulls(None).build();
        data.map_or(keys, arrow_array::make_array)
    } else {
        keys
    };
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    Arc::new(MapArray::new(entries_field.clone(), OffsetBuffer::new(offsets.into()), entries, nulls, *sorted))
}

/// Columns of `types` made of rows of values.
pub(crate) fn build_columns<'a>(
    types: &[SqlType],
    rows: impl IntoIterator<Item = &'a [Value]>,
) -> Vec<ArrayRef> {
    let mut builders: Vec<ColumnBuilder> =
        types.iter().map(|data_type| ColumnBuilder::new(&data_type.kind)).collect();
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(row) {
            builder.append(value);
        }
    }
    builders.into_iter().map(ColumnBuilder::finish).collect()
}
