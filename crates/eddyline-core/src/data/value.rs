//! Data without its Rust type: for reading state that was written with another schema.

use super::{Data, DataType, DecodeError, Reader, decode_element};

/// A value read by its writer's schema alone.
///
/// Evolution rules, applied by [`Data::from_value`] of the reader's type: fields are matched by name, then by
/// alias; a field that only the writer had is dropped; a field that only the reader has must be an `Option` (it
/// becomes `None`); integers and floats may be widened, an unsigned integer to a signed one of more bits and an
/// integer of up to 32 bits to `f64` too; a value may become optional and a `char` a `String`; a struct, tuple,
/// list or map maps part by part; an enum maps by the name of the variant, then by its aliases. The names of types
/// are not compared. Everything else is an error that names the field.
///
/// It serializes as people expect it in JSON: structs and maps with text keys as objects, other maps as lists of
/// pairs, integers beyond 64 bits and floats that are not finite as strings, bytes as `0x…`, a variant as its name
/// or as an object with its name for key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The unit value.
    Unit,
    /// A boolean.
    Bool(bool),
    /// A signed integer of that many bits.
    Int(i128, u8),
    /// An unsigned integer of that many bits.
    UInt(u128, u8),
    /// A float of that many bits.
    Float(f64, u8),
    /// A Unicode scalar value.
    Char(char),
    /// UTF-8 text.
    Text(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A value that may be absent.
    Optional(Option<Box<Value>>),
    /// A sequence.
    List(Vec<Value>),
    /// Entries in key order.
    Map(Vec<(Value, Value)>),
    /// Unnamed fields in order.
    Tuple(Vec<Value>),
    /// Named fields in order.
    Struct(Vec<(String, Value)>),
    /// A variant's name and what it carries.
    Variant(String, Box<Value>),
}

impl Value {
    /// Reads a value that was written with schema `schema`.
    ///
    /// # Errors
    /// If the bytes do not fit the schema.
    pub fn decode(schema: &DataType, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match schema {
            DataType::Unit => Value::Unit,
            DataType::Bool => Value::Bool(bool::decode(input)?),
            DataType::Int(bits) => Value::Int(decode_int(*bits, input)?, *bits),
            DataType::UInt(bits) => Value::UInt(decode_uint(*bits, input)?, *bits),
            DataType::Float(32) => Value::Float(f64::from(f32::decode(input)?), 32),
            DataType::Float(64) => Value::Float(f64::decode(input)?, 64),
            DataType::Float(other) => {
                return Err(DecodeError::new(format!("no float of {other} bits exists")));
            }
            DataType::Char => Value::Char(char::decode(input)?),
            DataType::Text => Value::Text(String::decode(input)?),
            DataType::Bytes => {
                let count = input.count()?;
                Value::Bytes(input.take(count)?.to_vec())
            }
            DataType::Optional(inner) => match input.byte()? {
                0 => Value::Optional(None),
                1 => Value::Optional(Some(Box::new(Value::decode(inner, input)?))),
                other => {
                    return Err(DecodeError::new(format!(
                        "0 or 1 expected before an optional value, {other} found"
                    )));
                }
            },
            DataType::List(inner) => {
                let count = input.element_count()?;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(decode_element(input, |input| Value::decode(inner, input))?);
                }
                Value::List(items)
            }
            DataType::Map(key, value) => {
                let count = input.element_count()?;
                let mut entries = Vec::new();
                for _ in 0..count {
                    let entry = |input: &mut Reader<'_>| {
                        Ok((Value::decode(key, input)?, Value::decode(value, input)?))
                    };
                    entries.push(decode_element(input, entry)?);
                }
                Value::Map(entries)
            }
            DataType::Tuple(types) => {
                Value::Tuple(types.iter().map(|inner| Value::decode(inner, input)).collect::<Result<_, _>>()?)
            }
            DataType::Struct { fields, .. } => {
                let mut values = Vec::with_capacity(fields.len());
                for field in fields {
                    let value =
                        Value::decode(&field.data_type, input).map_err(|e| e.in_field(&field.name))?;
                    values.push((field.name.clone(), value));
                }
                Value::Struct(values)
            }
            DataType::Enum { name, variants } => {
                let number = u32::decode(input)?;
                let variant =
                    variants.get(number as usize).ok_or_else(|| unknown_variant_number(name, number))?;
                let carried =
                    Value::decode(&variant.data_type, input).map_err(|e| e.in_field(&variant.name))?;
                Value::Variant(variant.name.clone(), Box::new(carried))
            }
        })
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Unit => "unit",
            Value::Bool(_) => "bool",
            Value::Int(..) => "signed integer",
            Value::UInt(..) => "unsigned integer",
            Value::Float(..) => "float",
            Value::Char(_) => "char",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::Optional(_) => "optional",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Tuple(_) => "tuple",
            Value::Struct(_) => "struct",
            Value::Variant(..) => "enum",
        }
    }

    /// The fields of a struct, to be taken one by one with [`field_from_value`].
    ///
    /// # Errors
    /// If the value is no struct.
    pub fn into_fields(self) -> Result<Vec<(String, Value)>, DecodeError> {
        match self {
            Value::Struct(fields) => Ok(fields),
            other => Err(mismatch("struct", &other)),
        }
    }

    /// The elements of a tuple of `count` elements.
    ///
    /// # Errors
    /// If the value is no tuple or has another number of elements.
    pub fn into_tuple(self, count: usize) -> Result<Vec<Value>, DecodeError> {
        match self {
            Value::Tuple(items) if items.len() == count => Ok(items),
            Value::Tuple(items) => {
                Err(DecodeError::new(format!("a tuple of {count} expected, one of {} found", items.len())))
            }
            other => Err(mismatch("tuple", &other)),
        }
    }

    /// Finds the variant of enum `name` that the value is, by the names and then the aliases in `candidates`, and
    /// gives the number that stands beside it and what the writer's variant carried.
    ///
    /// # Errors
    /// If the value is no enum or none of the candidates.
    pub fn into_variant(
        self,
        name: &str,
        candidates: &[(usize, &str)],
    ) -> Result<(usize, Value), DecodeError> {
        let Value::Variant(found, carried) = self else {
            return Err(mismatch(name, &self));
        };
        match candidates.iter().find(|(_, candidate)| *candidate == found) {
            Some((index, _)) => Ok((*index, *carried)),
            None => Err(DecodeError::new(format!("enum {name} has no variant `{found}` any more"))),
        }
    }
}

/// Takes the field `name` (or one of its `aliases`) out of `fields` and maps it to `T`; a field that is not there
/// maps from "absent", which only an `Option` accepts.
///
/// # Errors
/// Names the field that is missing or cannot be mapped.
pub fn field_from_value<T: Data>(
    fields: &mut Vec<(String, Value)>,
    name: &str,
    aliases: &[&str],
) -> Result<T, DecodeError> {
    let position = fields
        .iter()
        .position(|(field, _)| field == name)
        .or_else(|| fields.iter().position(|(field, _)| aliases.contains(&field.as_str())));
    match position {
        Some(position) => T::from_value(fields.swap_remove(position).1).map_err(|error| error.in_field(name)),
        None => T::from_value(Value::Optional(None)).map_err(|_| {
            DecodeError::new("the writer had no such field, and it is not optional here").in_field(name)
        }),
    }
}

/// Maps the next of `items`, the one at `position`, to `T`.
///
/// # Errors
/// Names the position that is missing or cannot be mapped.
pub fn item_from_value<T: Data>(
    items: &mut impl Iterator<Item = Value>,
    position: usize,
) -> Result<T, DecodeError> {
    let mapped = match items.next() {
        Some(item) => T::from_value(item),
        None => Err(DecodeError::new("the writer had fewer fields")),
    };
    mapped.map_err(|error| error.in_field(&position.to_string()))
}

/// Reads `value` as `Old`, the type as it was, and converts it; none if it is no `Old` either. The last resort of types
/// with `#[data(migrate_from = "…")]`.
///
/// # Errors
/// If it is one, and the conversion refuses it.
pub fn migrated_from<Old: Data, New>(value: Value) -> Result<Option<New>, DecodeError>
where
    New: TryFrom<Old>,
    New::Error: std::fmt::Display,
{
    match Old::from_value(value) {
        Ok(old) => match New::try_from(old) {
            Ok(new) => Ok(Some(new)),
            Err(refused) => Err(DecodeError::new(format!("the migration failed: {refused}"))),
        },
        Err(_) => Ok(None),
    }
}

/// The error for an enum's number that stands for no variant.
#[cold]
pub fn unknown_variant_number(name: &str, number: u32) -> DecodeError {
    DecodeError::new(format!("enum {name} has no variant number {number}"))
}

pub(super) fn mismatch(expected: &str, found: &Value) -> DecodeError {
    DecodeError::new(format!("{expected} expected, {} found", found.kind()))
}

fn decode_int(bits: u8, input: &mut Reader<'_>) -> Result<i128, DecodeError> {
    Ok(match bits {
        8 => i128::from(i8::decode(input)?),
        16 => i128::from(i16::decode(input)?),
        32 => i128::from(i32::decode(input)?),
        64 => i128::from(i64::decode(input)?),
        128 => i128::decode(input)?,
        other => return Err(DecodeError::new(format!("no integer of {other} bits exists"))),
    })
}

fn decode_uint(bits: u8, input: &mut Reader<'_>) -> Result<u128, DecodeError> {
    Ok(match bits {
        8 => u128::from(u8::decode(input)?),
        16 => u128::from(u16::decode(input)?),
        32 => u128::from(u32::decode(input)?),
        64 => u128::from(u64::decode(input)?),
        128 => u128::decode(input)?,
        other => return Err(DecodeError::new(format!("no integer of {other} bits exists"))),
    })
}
