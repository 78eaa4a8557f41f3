//! From JSON to values: the way back from how [`Value`] serializes.

use eddyline_core::{DataType, DecodeError, Value};
use serde_json::Value as Json;

/// Reads a value of schema `schema` from JSON as people write it and as values are shown: see [`Value`]. A number may
/// be given as text; what is optional may be left out of an object; of options within options the outer one counts.
///
/// # Errors
/// If the JSON is no value of the schema; names the field.
///
/// # Examples
/// ```
/// use eddyline_core::{Data, Value};
/// use eddyline_state_tools::value_from_json;
///
/// let schema = <(u8, Option<String>)>::schema();
/// let value = value_from_json(&schema, &serde_json::json!([7, null]))?;
/// assert_eq!(value, Value::Tuple(vec![Value::UInt(7, 8), Value::Optional(None)]));
/// assert!(value_from_json(&schema, &serde_json::json!([700, "a"])).is_ok(), "the width is checked when it is encoded");
/// assert!(value_from_json(&schema, &serde_json::json!(["x", null])).is_err());
/// # Ok::<(), eddyline_core::DecodeError>(())
/// ```
pub fn value_from_json(schema: &DataType, json: &Json) -> Result<Value, DecodeError> {
    let wrong = || DecodeError::new(format!("{} expected, {} found", expected(schema), shown(json)));
    Ok(match schema {
        DataType::Unit => match json {
            Json::Null => Value::Unit,
            _ => return Err(wrong()),
        },
        DataType::Bool => Value::Bool(json.as_bool().ok_or_else(wrong)?),
        DataType::Int(bits) => Value::Int(integer(json, Json::as_i64).ok_or_else(wrong)?, *bits),
        DataType::UInt(bits) => Value::UInt(integer(json, Json::as_u64).ok_or_else(wrong)?, *bits),
        DataType::Float(bits) => Value::Float(float(json).ok_or_else(wrong)?, *bits),
        DataType::Char => {
            let mut characters = json.as_str().ok_or_else(wrong)?.chars();
            match (characters.next(), characters.next()) {
                (Some(character), None) => Value::Char(character),
                _ => return Err(wrong()),
            }
        }
        DataType::Text => Value::Text(json.as_str().ok_or_else(wrong)?.to_owned()),
        DataType::Bytes => Value::Bytes(json.as_str().and_then(bytes).ok_or_else(wrong)?),
        DataType::Optional(inner) => match json {
            Json::Null => Value::Optional(None),
            _ => Value::Optional(Some(Box::new(value_from_json(inner, json)?))),
        },
        DataType::List(inner) => {
            let items = json.as_array().ok_or_else(wrong)?.iter();
            Value::List(items.map(|item| value_from_json(inner, item)).collect::<Result<_, _>>()?)
        }
        DataType::Map(key, value) => map(key, value, json, &wrong)?,
        DataType::Tuple(types) => {
            let items = json.as_array().filter(|items| items.len() == types.len()).ok_or_else(wrong)?;
            let positions = types.iter().zip(items).enumerate();
            let values = positions.map(|(position, (inner, item))| {
                value_from_json(inner, item).map_err(|error| error.in_field(&position.to_string()))
            });
            Value::Tuple(values.collect::<Result<_, _>>()?)
        }
        DataType::Struct { fields, .. } => {
            let object = json.as_object().ok_or_else(wrong)?;
            if let Some(stray) = object.keys().find(|name| fields.iter().all(|field| field.name != **name)) {
                return Err(DecodeError::new("there is no such field").in_field(stray));
            }
            let values = fields.iter().map(|field| {
                let given = object.get(&field.name).unwrap_or(&Json::Null);
                let value = value_from_json(&field.data_type, given);
                Ok((field.name.clone(), value.map_err(|error| error.in_field(&field.name))?))
            });
            Value::Struct(values.collect::<Result<_, DecodeError>>()?)
        }
        DataType::Enum { name, variants } => {
            let (found, carried) = match json {
                Json::String(found) => (found, &Json::Null),
                Json::Object(object) if object.len() == 1 => object.iter().next().ok_or_else(wrong)?,
                _ => return Err(wrong()),
            };
            let known = variants.iter().find(|variant| variant.name == *found);
            let variant =
                known.ok_or_else(|| DecodeError::new(format!("enum {name} has no variant `{found}`")))?;
            let carried =
                value_from_json(&variant.data_type, carried).map_err(|error| error.in_field(found))?;
            Value::Variant(found.clone(), Box::new(carried))
        }
    })
}

/// Maps are objects where keys are text, else lists of pairs; their entries are encoded in the order of their keys.
fn map(
    key_type: &DataType,
    value_type: &DataType,
    json: &Json,
    wrong: &dyn Fn() -> DecodeError,
) -> Result<Value, DecodeError> {
    let mut entries = Vec::new();
    match json {
        Json::Object(object) => {
            for (key, value) in object {
                let key = value_from_json(key_type, &Json::String(key.clone()))?;
                entries.push((key, value_from_json(value_type, value)?));
            }
        }
        Json::Array(pairs) => {
            for pair in pairs {
                let Some([key, value]) = pair.as_array().map(Vec::as_slice) else { return Err(wrong()) };
                entries.push((value_from_json(key_type, key)?, value_from_json(value_type, value)?));
            }
        }
        _ => return Err(wrong()),
    }
    // Text is ordered as its bytes are; entries of other keys come in the order in which they were shown.
    if *key_type == DataType::Text {
        entries.sort_by(|(one, _), (other, _)| match (one, other) {
            (Value::Text(one), Value::Text(other)) => one.cmp(other),
            _ => std::cmp::Ordering::Equal,
        });
    }
    Ok(Value::Map(entries))
}

fn integer<N, S>(json: &Json, small: impl Fn(&Json) -> Option<S>) -> Option<N>
where
    N: From<S> + std::str::FromStr,
{
    match json {
        Json::String(text) => text.parse().ok(),
        _ => small(json).map(N::from),
    }
}

fn float(json: &Json) -> Option<f64> {
    match json {
        Json::String(text) => text.parse().ok(),
        _ => json.as_f64(),
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits =
        text.strip_prefix("0x").filter(|digits| digits.len().is_multiple_of(2) && digits.is_ascii())?;
    let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok());
    pairs.collect()
}

fn expected(schema: &DataType) -> String {
    match schema {
        DataType::Unit => "null".to_owned(),
        DataType::Bytes => "text `0x…` of bytes".to_owned(),
        DataType::Char => "text of one character".to_owned(),
        DataType::Tuple(types) => format!("a list of {}", types.len()),
        DataType::Enum { name, .. } => format!("a variant of {name}, as its name or an object of one,"),
        other => eddyline_state::restore::describe(other),
    }
}

/// A little of what was found.
fn shown(json: &Json) -> String {
    let text = json.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
