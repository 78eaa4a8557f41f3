//! Times to live as data: taking them from values and giving them back, without knowing the Rust types.

use eddyline_core::{DataType, DecodeError, Value};

/// The field that tells state with times from state without: names that begin with `__` are nobody else's.
pub(super) const TIME_FIELD: &str = "__touched_ms";

/// Whether a state of this shape carries times.
pub(crate) fn carries_times(schema: &DataType) -> bool {
    match schema {
        DataType::Struct { fields, .. } => fields.first().is_some_and(|field| field.name == TIME_FIELD),
        DataType::Map(_, value) => matches!(&**value, DataType::Struct { .. }) && carries_times(value),
        _ => false,
    }
}

/// The shape of a state without its times.
pub fn without_times(schema: &DataType) -> DataType {
    match schema {
        DataType::Struct { fields, .. } if carries_times(schema) => {
            fields.last().map_or(DataType::Unit, |field| field.data_type.clone())
        }
        DataType::Map(key, value) if carries_times(schema) => {
            DataType::Map(key.clone(), Box::new(without_times(value)))
        }
        other => other.clone(),
    }
}

/// What was taken from a value with times.
pub(crate) enum Times {
    /// It had none.
    None,
    /// That of the value, or those of a list's elements, and the name of the field beside it.
    Beside(Value, String),
    /// Those of a map's entries, by key.
    Within(Vec<(Value, Value)>),
}

pub(super) fn is_timed(value: &Value) -> bool {
    matches!(value, Value::Struct(fields) if fields.first().is_some_and(|(name, _)| name == TIME_FIELD))
}

/// Takes the times out of a value, if it has any.
pub(crate) fn split_times(value: Value) -> Result<(Value, Times), DecodeError> {
    match value {
        value if is_timed(&value) => {
            let mut fields = value.into_fields()?.into_iter();
            match (fields.next(), fields.next()) {
                (Some((_, time)), Some((name, value))) => Ok((value, Times::Beside(time, name))),
                _ => Err(DecodeError::new("a time without a value")),
            }
        }
        Value::Map(entries) if entries.iter().any(|(_, value)| is_timed(value)) => {
            let (mut untimed, mut times) = (Vec::with_capacity(entries.len()), Vec::new());
            for (key, value) in entries {
                let (value, time) = split_times(value)?;
                if let Times::Beside(time, _) = time {
                    times.push((key.clone(), time));
                }
                untimed.push((key, value));
            }
            Ok((Value::Map(untimed), Times::Within(times)))
        }
        other => Ok((other, Times::None)),
    }
}

/// Gives a value the times that one before it had: an entry of a map that had none stays without one.
pub(crate) fn join_times(value: Value, times: Times) -> Value {
    let beside = |value: Value, time: Value, name: String| {
        Value::Struct(vec![(TIME_FIELD.to_owned(), time), (name, value)])
    };
    match (value, times) {
        (value, Times::Beside(time, name)) => beside(value, time, name),
        (Value::Map(entries), Times::Within(times)) => {
            let rejoined =
                entries.into_iter().map(|(key, value)| match times.iter().find(|(timed, _)| *timed == key) {
                    Some((_, time)) => {
                        let value = beside(value, time.clone(), "value".to_owned());
                        (key, value)
                    }
                    None => (key, value),
                });
            Value::Map(rejoined.collect())
        }
        (value, _) => value,
    }
}

/// When a value was touched, for people: the oldest and the newest time in it, milliseconds since the epoch; parts
/// whose time is not known do not count.
pub fn touched_ms(value: &Value) -> Option<(i64, i64)> {
    let times: Vec<i64> = match value {
        Value::Struct(fields) if is_timed(value) => match fields.first() {
            Some((_, Value::List(times))) => times.iter().filter_map(time_of).collect(),
            Some((_, time)) => time_of(time).into_iter().collect(),
            None => Vec::new(),
        },
        Value::Map(entries) => {
            let ranges = entries.iter().filter(|(_, entry)| is_timed(entry));
            ranges.filter_map(|(_, entry)| touched_ms(entry)).flat_map(|(one, other)| [one, other]).collect()
        }
        _ => Vec::new(),
    };
    Some((*times.iter().min()?, *times.iter().max()?))
}

/// A value as a state of schema `schema` keeps it: with all its parts touched at `touched_ms`, or at a time that is not
/// known, if the state has a time to live; as it is if it has none.
pub fn timed(schema: &DataType, value: Value, touched_ms: Option<i64>) -> Value {
    let time = || Value::Int(i128::from(touched_ms.unwrap_or(super::NEVER_STAMPED)), 64);
    match (schema, value) {
        (DataType::Struct { fields, .. }, value) if carries_times(schema) => {
            let times = match (&fields[0].data_type, &value) {
                (DataType::List(_), Value::List(items)) => {
                    Value::List(items.iter().map(|_| time()).collect())
                }
                _ => time(),
            };
            let name = fields.last().map_or_else(String::new, |field| field.name.clone());
            join_times(value, Times::Beside(times, name))
        }
        (DataType::Map(..), Value::Map(entries)) if carries_times(schema) => {
            let times = entries.iter().map(|(key, _)| (key.clone(), time())).collect();
            join_times(Value::Map(entries), Times::Within(times))
        }
        (_, value) => value,
    }
}

fn time_of(time: &Value) -> Option<i64> {
    match time {
        Value::Int(time, _) => i64::try_from(*time).ok().filter(|time| *time != super::NEVER_STAMPED),
        _ => None,
    }
}

/// A value as its owner sees it: without the times at which its parts were touched.
///
/// # Errors
/// If it has a time and nothing beside it.
pub fn untimed(value: Value) -> Result<Value, DecodeError> {
    split_times(value).map(|(value, _)| value)
}
