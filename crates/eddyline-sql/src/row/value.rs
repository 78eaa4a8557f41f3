//! One value.

use crate::types::TypeKind;
use eddyline_core::{DecodeError, Reader};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A value. Its type says what a whole number means: a number, days, milliseconds, micro- or nanoseconds, months.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Unscaled.
    Decimal(i128),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Row(Vec<Value>),
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if self.is_null() {
            out.push(0);
            return;
        }
        out.push(1);
        match self {
            Value::Null => {}
            Value::Bool(value) => out.push(u8::from(*value)),
            Value::Int(value) => out.extend_from_slice(&value.to_le_bytes()),
            Value::Float(value) => out.extend_from_slice(&canonical_bits(*value).to_le_bytes()),
            Value::Decimal(value) => out.extend_from_slice(&value.to_le_bytes()),
            Value::Text(text) => encode_bytes(text.as_bytes(), out),
            Value::Bytes(bytes) => encode_bytes(bytes, out),
            Value::List(items) => {
                out.extend_from_slice(&(items.len() as u32).to_le_bytes());
                items.iter().for_each(|item| item.encode(out));
            }
            Value::Map(entries) => {
                out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
                for (key, value) in entries {
                    key.encode(out);
                    value.encode(out);
                }
            }
            Value::Row(fields) => fields.iter().for_each(|field| field.encode(out)),
        }
    }

    pub(crate) fn decode(kind: &TypeKind, input: &mut Reader<'_>) -> Result<Value, DecodeError> {
        if input.array::<1>()? == [0] {
            return Ok(Value::Null);
        }
        Ok(match kind {
            TypeKind::Null => Value::Null,
            TypeKind::Boolean => Value::Bool(input.array::<1>()? == [1]),
            TypeKind::Float | TypeKind::Double => {
                Value::Float(f64::from_bits(u64::from_le_bytes(input.array()?)))
            }
            TypeKind::Decimal(..) => Value::Decimal(i128::from_le_bytes(input.array()?)),
            TypeKind::Char(_) | TypeKind::VarChar(_) => Value::Text(decode_text(input)?.to_owned()),
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Value::Bytes(decode_bytes(input)?.to_vec()),
            TypeKind::Array(item) => {
                let count = decode_count(input)?;
                Value::List((0..count).map(|_| Value::decode(&item.kind, input)).collect::<Result<_, _>>()?)
            }
            TypeKind::Map(key, value) => Value::Map(decode_entries(&key.kind, &value.kind, input)?),
            TypeKind::Multiset(item) => Value::Map(decode_entries(&item.kind, &TypeKind::Int, input)?),
            TypeKind::Row(fields) => {
                let fields = fields.iter().map(|field| Value::decode(&field.data_type.kind, input));
                Value::Row(fields.collect::<Result<_, _>>()?)
            }
            _ => Value::Int(i64::from_le_bytes(input.array()?)),
        })
    }
}

fn decode_entries(
    key: &TypeKind,
    value: &TypeKind,
    input: &mut Reader<'_>,
) -> Result<Vec<(Value, Value)>, DecodeError> {
    let count = decode_count(input)?;
    (0..count).map(|_| Ok((Value::decode(key, input)?, Value::decode(value, input)?))).collect()
}

/// The bits of a double; all NaN are one, and so are both zeros.
pub(crate) fn canonical_bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

pub(super) fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn decode_count(input: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let count = u32::from_le_bytes(input.array()?) as usize;
    // Every part takes a byte at least.
    if count > input.remaining() && input.remaining() > 0 {
        return Err(DecodeError::new(format!("{count} parts cannot follow in {} bytes", input.remaining())));
    }
    Ok(count)
}

pub(super) fn decode_bytes<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = u32::from_le_bytes(input.array()?) as usize;
    input.take(length)
}

pub(super) fn decode_text<'a>(input: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(decode_bytes(input)?).map_err(|_| DecodeError::new("the text is not UTF-8"))
}

impl Ord for Value {
    /// NULL first, then by value. Values of different kinds have an order that means nothing.
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |value: &Value| match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) => 2,
            Value::Float(_) => 3,
            Value::Decimal(_) => 4,
            Value::Text(_) => 5,
            Value::Bytes(_) => 6,
            Value::List(_) => 7,
            Value::Map(_) => 8,
            Value::Row(_) => 9,
        };
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => {
                if a == b {
                    Ordering::Equal
                } else {
                    a.total_cmp(b)
                }
            }
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) | (Value::Row(a), Value::Row(b)) => a.cmp(b),
            (Value::Map(a), Value::Map(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes.hash(state);
    }
}
