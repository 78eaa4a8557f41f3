//! Writing a [`Value`] as bytes: the way back from [`Value::decode`].

use super::{Data, DataType, DecodeError, Value, encode_element, write_count};

impl Value {
    /// Appends the canonical bytes of the value as schema `schema` has them: what [`Value::decode`] reads back.
    ///
    /// # Errors
    /// If the value is none of that schema; names the field. What was appended by then is of no use.
    ///
    /// # Examples
    /// ```
    /// use eddyline_core::{Data, DataType, Value, data};
    ///
    /// let mut bytes = Vec::new();
    /// let schema = <(u32, Option<String>)>::schema();
    /// let value = Value::Tuple(vec![Value::UInt(7, 32), Value::Optional(Some(Box::new(Value::Text("a".into()))))]);
    /// value.encode_as(&schema, &mut bytes)?;
    /// assert_eq!(data::from_bytes::<(u32, Option<String>)>(&bytes)?, (7, Some("a".to_string())));
    /// assert!(value.encode_as(&DataType::Bool, &mut bytes).is_err());
    /// # Ok::<(), eddyline_core::DecodeError>(())
    /// ```
    pub fn encode_as(&self, schema: &DataType, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match (schema, self) {
            (DataType::Unit, Value::Unit) => {}
            (DataType::Bool, Value::Bool(flag)) => flag.encode(out),
            (DataType::Int(bits), Value::Int(number, _)) => encode_int(*bits, *number, out)?,
            (DataType::UInt(bits), Value::UInt(number, _)) => encode_uint(*bits, *number, out)?,
            (DataType::Float(32), Value::Float(number, _)) => (*number as f32).encode(out),
            (DataType::Float(64), Value::Float(number, _)) => number.encode(out),
            (DataType::Char, Value::Char(character)) => character.encode(out),
            (DataType::Text, Value::Text(text)) => text.encode(out),
            (DataType::Bytes, Value::Bytes(bytes)) => {
                write_count(bytes.len(), out);
                out.extend_from_slice(bytes);
            }
            (DataType::Optional(_), Value::Optional(None)) => out.push(0),
            (DataType::Optional(inner), Value::Optional(Some(value))) => {
                out.push(1);
                value.encode_as(inner, out)?;
            }
            (DataType::List(inner), Value::List(items)) => {
                write_count(items.len(), out);
                for item in items {
                    fallible_element(out, |out| item.encode_as(inner, out))?;
                }
            }
            (DataType::Map(key_type, value_type), Value::Map(entries)) => {
                write_count(entries.len(), out);
                for (key, value) in entries {
                    fallible_element(out, |out| {
                        key.encode_as(key_type, out)?;
                        value.encode_as(value_type, out)
                    })?;
                }
            }
            (DataType::Tuple(types), Value::Tuple(items)) if types.len() == items.len() => {
                for (position, (inner, item)) in types.iter().zip(items).enumerate() {
                    item.encode_as(inner, out).map_err(|error| error.in_field(&position.to_string()))?;
                }
            }
            (DataType::Struct { fields, .. }, Value::Struct(values)) if fields.len() == values.len() => {
                for (field, (name, value)) in fields.iter().zip(values) {
                    if field.name != *name {
                        return Err(DecodeError::new(format!(
                            "field `{}` expected, `{name}` found",
                            field.name
                        )));
                    }
                    value.encode_as(&field.data_type, out).map_err(|error| error.in_field(name))?;
                }
            }
            (DataType::Enum { name, variants }, Value::Variant(found, carried)) => {
                let known = variants.iter().zip(0u32..).find(|(variant, _)| variant.name == *found);
                let (variant, number) =
                    known.ok_or_else(|| DecodeError::new(format!("enum {name} has no variant `{found}`")))?;
                number.encode(out);
                carried.encode_as(&variant.data_type, out).map_err(|error| error.in_field(found))?;
            }
            (_, found) => return Err(super::value::mismatch(kind_of(schema), found)),
        }
        Ok(())
    }
}

/// What kind of value a schema is of, for messages.
fn kind_of(schema: &DataType) -> &'static str {
    match schema {
        DataType::Unit => "unit",
        DataType::Bool => "bool",
        DataType::Int(_) => "signed integer",
        DataType::UInt(_) => "unsigned integer",
        DataType::Float(_) => "float",
        DataType::Char => "char",
        DataType::Text => "text",
        DataType::Bytes => "bytes",
        DataType::Optional(_) => "optional",
        DataType::List(_) => "list",
        DataType::Map(..) => "map",
        DataType::Tuple(_) => "tuple of another length",
        DataType::Struct { .. } => "struct with all its fields",
        DataType::Enum { .. } => "enum",
    }
}

/// As [`encode_element`], where encoding may fail.
fn fallible_element(
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut outcome = Ok(());
    encode_element(out, |out| outcome = encode(out));
    outcome
}

fn out_of_range(number: &dyn std::fmt::Display, what: &str, bits: u8) -> DecodeError {
    DecodeError::new(format!("{number} does not fit in {what} of {bits} bits"))
}

fn encode_int(bits: u8, number: i128, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let narrow = |_| out_of_range(&number, "a signed integer", bits);
    match bits {
        8 => i8::try_from(number).map_err(narrow)?.encode(out),
        16 => i16::try_from(number).map_err(narrow)?.encode(out),
        32 => i32::try_from(number).map_err(narrow)?.encode(out),
        64 => i64::try_from(number).map_err(narrow)?.encode(out),
        128 => number.encode(out),
        other => return Err(DecodeError::new(format!("no integer of {other} bits exists"))),
    }
    Ok(())
}

fn encode_uint(bits: u8, number: u128, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let narrow = |_| out_of_range(&number, "an unsigned integer", bits);
    match bits {
        8 => u8::try_from(number).map_err(narrow)?.encode(out),
        16 => u16::try_from(number).map_err(narrow)?.encode(out),
        32 => u32::try_from(number).map_err(narrow)?.encode(out),
        64 => u64::try_from(number).map_err(narrow)?.encode(out),
        128 => number.encode(out),
        other => return Err(DecodeError::new(format!("no integer of {other} bits exists"))),
    }
    Ok(())
}
