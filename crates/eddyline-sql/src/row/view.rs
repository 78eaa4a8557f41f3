//! Reading a column row by row.

use super::Value;
use super::value::{canonical_bits, encode_bytes};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

enum Values<'a> {
    Null,
    Bool(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Decimal(&'a [i128]),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    List(&'a [i32], Box<ColumnView<'a>>),
    Map(&'a [i32], Box<ColumnView<'a>>, Box<ColumnView<'a>>),
    Row(Vec<ColumnView<'a>>),
}

/// A column, opened for reading single values.
pub(crate) struct ColumnView<'a> {
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
    units_per_milli: i64,
}

impl<'a> ColumnView<'a> {
    pub(crate) fn new(array: &'a ArrayRef) -> Self {
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int8 => Values::I8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Values::I16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Values::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Float32 => Values::F32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(..) => Values::Decimal(array.as_primitive::<Decimal128Type>().values()),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Binary => Values::Bytes(array.as_binary()),
            DataType::Date32 => Values::I32(array.as_primitive::<Date32Type>().values()),
            DataType::Time32(_) => Values::I32(array.as_primitive::<Time32MillisecondType>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Values::I64(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::Timestamp(_, _) => {
                Values::I64(array.as_primitive::<TimestampNanosecondType>().values())
            }
            DataType::Interval(_) => Values::I32(array.as_primitive::<IntervalYearMonthType>().values()),
            DataType::Duration(_) => Values::I64(array.as_primitive::<DurationMillisecondType>().values()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Values::List(list.value_offsets(), Box::new(ColumnView::new(list.values())))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (keys, values) = (ColumnView::new(map.keys()), ColumnView::new(map.values()));
                Values::Map(map.value_offsets(), Box::new(keys), Box::new(values))
            }
            DataType::Struct(_) => {
                Values::Row(array.as_struct().columns().iter().map(ColumnView::new).collect())
            }
            other => unreachable!("invariant: the planner makes no columns of type {other}"),
        };
        let units_per_milli = match array.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            DataType::Timestamp(_, _) => 1_000_000,
            _ => 1,
        };
        ColumnView { values, nulls: array.nulls(), units_per_milli }
    }

    #[inline]
    pub(crate) fn is_null(&self, row: usize) -> bool {
        matches!(self.values, Values::Null) || self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// What a timestamp's values are to be divided by for milliseconds; 1 for other columns.
    pub(crate) fn units_per_milli(&self) -> i64 {
        self.units_per_milli
    }

    /// The whole number in `row`: also of dates, times and timestamps.
    #[inline]
    pub(crate) fn int(&self, row: usize) -> Option<i64> {
        if self.is_null(row) {
            return None;
        }
        match &self.values {
            Values::I8(values) => Some(i64::from(values[row])),
            Values::I16(values) => Some(i64::from(values[row])),
            Values::I32(values) => Some(i64::from(values[row])),
            Values::I64(values) => Some(values[row]),
            _ => None,
        }
    }

    /// The least whole number; none if there is none.
    pub(crate) fn least(&self) -> Option<i64> {
        self.folded(i64::min)
    }

    /// The greatest whole number; none if there is none.
    pub(crate) fn greatest(&self) -> Option<i64> {
        self.folded(i64::max)
    }

    #[inline]
    fn folded(&self, better: impl Fn(i64, i64) -> i64) -> Option<i64> {
        match &self.values {
            Values::I64(values) if self.nulls.is_none_or(|nulls| nulls.null_count() == 0) => {
                let first = *values.first()?;
                Some(values.iter().fold(first, |best, value| better(best, *value)))
            }
            Values::I64(values) => (0..values.len()).filter_map(|row| self.int(row)).reduce(better),
            Values::I32(values) => (0..values.len()).filter_map(|row| self.int(row)).reduce(better),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn float(&self, row: usize) -> Option<f64> {
        if self.is_null(row) {
            return None;
        }
        match &self.values {
            Values::F32(values) => Some(f64::from(values[row])),
            Values::F64(values) => Some(values[row]),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn decimal(&self, row: usize) -> Option<i128> {
        match &self.values {
            Values::Decimal(values) if !self.is_null(row) => Some(values[row]),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn bool(&self, row: usize) -> Option<bool> {
        match &self.values {
            Values::Bool(values) if !self.is_null(row) => Some(values.value(row)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        match &self.values {
            Values::Text(values) if !self.is_null(row) => Some(values.value(row)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn bytes(&self, row: usize) -> Option<&'a [u8]> {
        match &self.values {
            Values::Bytes(values) if !self.is_null(row) => Some(values.value(row)),
            _ => None,
        }
    }

    pub(crate) fn value(&self, row: usize) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match &self.values {
            Values::Null => Value::Null,
            Values::Bool(values) => Value::Bool(values.value(row)),
            Values::I8(values) => Value::Int(i64::from(values[row])),
            Values::I16(values) => Value::Int(i64::from(values[row])),
            Values::I32(values) => Value::Int(i64::from(values[row])),
            Values::I64(values) => Value::Int(values[row]),
            Values::F32(values) => Value::Float(f64::from(values[row])),
            Values::F64(values) => Value::Float(values[row]),
            Values::Decimal(values) => Value::Decimal(values[row]),
            Values::Text(values) => Value::Text(values.value(row).to_owned()),
            Values::Bytes(values) => Value::Bytes(values.value(row).to_vec()),
            Values::List(offsets, items) => {
                Value::List(range(offsets, row).map(|item| items.value(item)).collect())
            }
            Values::Map(offsets, keys, values) => Value::Map(
                range(offsets, row).map(|entry| (keys.value(entry), values.value(entry))).collect(),
            ),
            Values::Row(fields) => Value::Row(fields.iter().map(|field| field.value(row)).collect()),
        }
    }

    /// Appends the encoding of the value in `row`.
    #[inline]
    pub(crate) fn encode(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.push(0);
            return;
        }
        out.push(1);
        match &self.values {
            Values::Null => {}
            Values::Bool(values) => out.push(u8::from(values.value(row))),
            Values::I8(values) => out.extend_from_slice(&i64::from(values[row]).to_le_bytes()),
            Values::I16(values) => out.extend_from_slice(&i64::from(values[row]).to_le_bytes()),
            Values::I32(values) => out.extend_from_slice(&i64::from(values[row]).to_le_bytes()),
            Values::I64(values) => out.extend_from_slice(&values[row].to_le_bytes()),
            Values::F32(values) => {
                out.extend_from_slice(&canonical_bits(f64::from(values[row])).to_le_bytes())
            }
            Values::F64(values) => out.extend_from_slice(&canonical_bits(values[row]).to_le_bytes()),
            Values::Decimal(values) => out.extend_from_slice(&values[row].to_le_bytes()),
            Values::Text(values) => encode_bytes(values.value(row).as_bytes(), out),
            Values::Bytes(values) => encode_bytes(values.value(row), out),
            Values::List(offsets, items) => {
                let range = range(offsets, row);
                out.extend_from_slice(&(range.len() as u32).to_le_bytes());
                range.for_each(|item| items.encode(item, out));
            }
            Values::Map(offsets, keys, values) => {
                let range = range(offsets, row);
                out.extend_from_slice(&(range.len() as u32).to_le_bytes());
                for entry in range {
                    keys.encode(entry, out);
                    values.encode(entry, out);
                }
            }
            Values::Row(fields) => fields.iter().for_each(|field| field.encode(row, out)),
        }
    }
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}
