//! Flink's logical types, and how they are kept in columns.
//!
//! | SQL | column |
//! |---|---|
//! | `TIME(p)` | milliseconds of the day, 32 bits |
//! | `TIMESTAMP(p)`, `TIMESTAMP_LTZ(p)` | microseconds, nanoseconds above a precision of 6; the latter with zone `UTC` |
//! | `INTERVAL` of months, of days to seconds | months in 32 bits, milliseconds in 64 bits |
//! | `MULTISET<T>` | a map from `T` to its count |

mod common;
mod interval;

pub(crate) use common::{common_type, common_type_of, implicitly_castable};
pub(crate) use interval::{Interval, TimeUnit};

use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit as ArrowUnit};
use std::fmt;
use std::sync::Arc;

/// A type and whether its values may be NULL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SqlType {
    pub(crate) kind: TypeKind,
    pub(crate) nullable: bool,
}

/// A field of a ROW.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowField {
    pub(crate) name: String,
    pub(crate) data_type: SqlType,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TypeKind {
    /// The type of a bare NULL.
    Null,
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal(u8, u8),
    Char(u32),
    /// `u32::MAX` is STRING.
    VarChar(u32),
    Binary(u32),
    /// `u32::MAX` is BYTES.
    VarBinary(u32),
    Date,
    Time(u8),
    Timestamp(u8),
    TimestampLtz(u8),
    IntervalYearMonth,
    IntervalDaySecond,
    Array(Box<SqlType>),
    Map(Box<SqlType>, Box<SqlType>),
    Multiset(Box<SqlType>),
    Row(Vec<RowField>),
}

impl TypeKind {
    pub(crate) const STRING: TypeKind = TypeKind::VarChar(u32::MAX);
    /// A text that a JSON function made: another one takes it in as it is. It is STRING to all else.
    pub(crate) const JSON_TEXT: TypeKind = TypeKind::VarChar(u32::MAX - 1);
    pub(crate) const BYTES: TypeKind = TypeKind::VarBinary(u32::MAX);

    pub(crate) fn nullable(self) -> SqlType {
        SqlType { kind: self, nullable: true }
    }

    pub(crate) fn not_null(self) -> SqlType {
        SqlType { kind: self, nullable: false }
    }

    pub(crate) fn with_nullability(self, nullable: bool) -> SqlType {
        SqlType { kind: self, nullable }
    }

    pub(crate) fn is_integer(&self) -> bool {
        matches!(self, TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int | TypeKind::BigInt)
    }

    pub(crate) fn is_approximate(&self) -> bool {
        matches!(self, TypeKind::Float | TypeKind::Double)
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.is_integer() || matches!(self, TypeKind::Decimal(..))
    }

    pub(crate) fn is_numeric(&self) -> bool {
        self.is_exact() || self.is_approximate()
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, TypeKind::Char(_) | TypeKind::VarChar(_))
    }

    pub(crate) fn is_bytes(&self) -> bool {
        matches!(self, TypeKind::Binary(_) | TypeKind::VarBinary(_))
    }

    pub(crate) fn is_timestamp(&self) -> bool {
        matches!(self, TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_))
    }

    /// Date, time or timestamp.
    pub(crate) fn is_temporal(&self) -> bool {
        self.is_timestamp() || matches!(self, TypeKind::Date | TypeKind::Time(_))
    }

    pub(crate) fn is_interval(&self) -> bool {
        matches!(self, TypeKind::IntervalYearMonth | TypeKind::IntervalDaySecond)
    }

    /// As a decimal, if it is an exact number: `(precision, scale)`.
    pub(crate) fn as_decimal(&self) -> Option<(u8, u8)> {
        Some(match self {
            TypeKind::TinyInt => (3, 0),
            TypeKind::SmallInt => (5, 0),
            TypeKind::Int => (10, 0),
            TypeKind::BigInt => (19, 0),
            TypeKind::Decimal(precision, scale) => (*precision, *scale),
            _ => return None,
        })
    }

    /// Whether a timestamp of this precision is kept in nanoseconds.
    pub(crate) fn in_nanos(&self) -> bool {
        matches!(self, TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) if *p > 6)
    }

    /// The type of its columns.
    pub(crate) fn arrow(&self) -> DataType {
        let unit = || if self.in_nanos() { ArrowUnit::Nanosecond } else { ArrowUnit::Microsecond };
        match self {
            TypeKind::Null => DataType::Null,
            TypeKind::Boolean => DataType::Boolean,
            TypeKind::TinyInt => DataType::Int8,
            TypeKind::SmallInt => DataType::Int16,
            TypeKind::Int => DataType::Int32,
            TypeKind::BigInt => DataType::Int64,
            TypeKind::Float => DataType::Float32,
            TypeKind::Double => DataType::Float64,
            TypeKind::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale as i8),
            TypeKind::Char(_) | TypeKind::VarChar(_) => DataType::Utf8,
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => DataType::Binary,
            TypeKind::Date => DataType::Date32,
            TypeKind::Time(_) => DataType::Time32(ArrowUnit::Millisecond),
            TypeKind::Timestamp(_) => DataType::Timestamp(unit(), None),
            TypeKind::TimestampLtz(_) => DataType::Timestamp(unit(), Some("UTC".into())),
            TypeKind::IntervalYearMonth => DataType::Interval(IntervalUnit::YearMonth),
            TypeKind::IntervalDaySecond => DataType::Duration(ArrowUnit::Millisecond),
            TypeKind::Array(item) => DataType::List(Arc::new(item.field("item"))),
            TypeKind::Map(key, value) => map_type(key, value),
            TypeKind::Multiset(item) => map_type(item, &TypeKind::Int.not_null()),
            TypeKind::Row(fields) => {
                DataType::Struct(fields.iter().map(|field| field.data_type.field(&field.name)).collect())
            }
        }
    }
}

/// Keys of a map may be NULL in Flink but not in Arrow's declarations; the values decide.
fn map_type(key: &SqlType, value: &SqlType) -> DataType {
    let key = Field::new("key", key.kind.arrow(), false);
    let value = Field::new("value", value.kind.arrow(), true);
    let entries = DataType::Struct(Fields::from(vec![key, value]));
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

impl SqlType {
    /// The column `name` of this type. All columns may be NULL for Arrow: who may not be is decided by the planner.
    pub(crate) fn field(&self, name: &str) -> Field {
        Field::new(name, self.kind.arrow(), true)
    }

    pub(crate) fn as_nullable(&self) -> SqlType {
        SqlType { kind: self.kind.clone(), nullable: true }
    }
}

/// The columns of a batch.
#[cfg(test)]
pub(crate) fn arrow_schema<'a>(
    columns: impl IntoIterator<Item = (&'a str, &'a SqlType)>,
) -> arrow_schema::SchemaRef {
    let fields: Vec<Field> = columns.into_iter().map(|(name, column)| column.field(name)).collect();
    Arc::new(arrow_schema::Schema::new(fields))
}

impl fmt::Display for TypeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeKind::Null => f.write_str("NULL"),
            TypeKind::Boolean => f.write_str("BOOLEAN"),
            TypeKind::TinyInt => f.write_str("TINYINT"),
            TypeKind::SmallInt => f.write_str("SMALLINT"),
            TypeKind::Int => f.write_str("INT"),
            TypeKind::BigInt => f.write_str("BIGINT"),
            TypeKind::Float => f.write_str("FLOAT"),
            TypeKind::Double => f.write_str("DOUBLE"),
            TypeKind::Decimal(precision, scale) => write!(f, "DECIMAL({precision}, {scale})"),
            TypeKind::Char(length) => write!(f, "CHAR({length})"),
            TypeKind::VarChar(u32::MAX) | &TypeKind::JSON_TEXT => f.write_str("STRING"),
            TypeKind::VarChar(length) => write!(f, "VARCHAR({length})"),
            TypeKind::Binary(length) => write!(f, "BINARY({length})"),
            TypeKind::VarBinary(u32::MAX) => f.write_str("BYTES"),
            TypeKind::VarBinary(length) => write!(f, "VARBINARY({length})"),
            TypeKind::Date => f.write_str("DATE"),
            TypeKind::Time(precision) => write!(f, "TIME({precision})"),
            TypeKind::Timestamp(precision) => write!(f, "TIMESTAMP({precision})"),
            TypeKind::TimestampLtz(precision) => write!(f, "TIMESTAMP_LTZ({precision})"),
            TypeKind::IntervalYearMonth => f.write_str("INTERVAL YEAR TO MONTH"),
            TypeKind::IntervalDaySecond => f.write_str("INTERVAL DAY TO SECOND(3)"),
            TypeKind::Array(item) => write!(f, "ARRAY<{item}>"),
            TypeKind::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            TypeKind::Multiset(item) => write!(f, "MULTISET<{item}>"),
            TypeKind::Row(fields) => {
                f.write_str("ROW<")?;
                for (number, field) in fields.iter().enumerate() {
                    let comma = if number > 0 { ", " } else { "" };
                    write!(f, "{comma}`{}` {}", field.name, field.data_type)?;
                }
                f.write_str(">")
            }
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.nullable { "" } else { " NOT NULL" };
        write!(f, "{}{suffix}", self.kind)
    }
}
