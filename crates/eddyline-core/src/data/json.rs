//! Values for people: how a [`Value`] serializes (see there).

use super::Value;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt::Write as _;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Unit | Value::Optional(None) => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number, _) => match i64::try_from(*number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.collect_str(number),
            },
            Value::UInt(number, _) => match u64::try_from(*number) {
                Ok(number) => serializer.serialize_u64(number),
                Err(_) => serializer.collect_str(number),
            },
            Value::Float(number, _) if !number.is_finite() => serializer.collect_str(number),
            // As it was written, not as its nearest neighbour of 64 bits would be.
            Value::Float(number, 32) => serializer.serialize_f32(*number as f32),
            Value::Float(number, _) => serializer.serialize_f64(*number),
            Value::Char(character) => serializer.serialize_char(*character),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&hexadecimal(bytes)),
            Value::Optional(Some(inner)) => inner.serialize(serializer),
            Value::List(items) | Value::Tuple(items) => serializer.collect_seq(items),
            Value::Map(entries) => serialize_entries(entries, serializer),
            Value::Struct(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
            Value::Variant(name, carried) if **carried == Value::Unit => serializer.serialize_str(name),
            Value::Variant(name, carried) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(name, carried)?;
                map.end()
            }
        }
    }
}

/// An object where every key is text, a list of pairs where one is not.
fn serialize_entries<S: Serializer>(entries: &[(Value, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    if entries.iter().all(|(key, _)| matches!(key, Value::Text(_))) {
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (key, value) in entries {
            map.serialize_entry(key, value)?;
        }
        return map.end();
    }
    let mut pairs = serializer.serialize_seq(Some(entries.len()))?;
    for entry in entries {
        pairs.serialize_element(entry)?;
    }
    pairs.end()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        write!(text, "{byte:02x}").expect("invariant: writing to a string cannot fail");
    }
    text
}
