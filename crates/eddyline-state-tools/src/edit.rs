//! A new checkpoint from an old one, with states replaced from JSON lines.

use crate::json::value_from_json;
use eddyline_core::{DataType, DecodeError, Error, Result, Value};
use eddyline_protocol::{StateDescriptor, StateKind};
use eddyline_state::savepoint::{Placement, SavedState};
use eddyline_state::ttl::{timed, without_times};
use eddyline_state::{CheckpointStore, SavepointReader, SavepointWriter};
use serde_json::Value as Json;
use std::io::BufRead;

/// A state to be replaced.
pub struct Edit<R> {
    /// The operator's uid.
    pub uid: String,
    /// The state's name.
    pub state: String,
    /// What it is to hold: an object a line, as rows are written (`key`, `value`; of windows `window`; of timers `time`
    /// and `namespace`; with a time to live `touched_ms`, or the value as `--raw` shows it). Other fields are passed
    /// over.
    pub lines: R,
    /// What the lines are called in messages: a file's path.
    pub name: String,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edited {
    /// Entries of the states that were replaced.
    pub entries: u64,
    /// Bytes that were copied as they are.
    pub copied_bytes: u64,
}

/// Writes what `reader` holds to `store`, which is empty, with the states of `edits` replaced and the operators of
/// `dropped` left out. `progress` is told of bytes copied and entries written. `completed_at_ms` is the wall time,
/// milliseconds since the epoch.
///
/// # Errors
/// If a line is none of the state's schema (with its number), a state or operator does not exist, or something cannot be
/// read or written. Then nothing counts of what was written.
pub fn edit<R: BufRead>(
    reader: &SavepointReader,
    store: &CheckpointStore,
    edits: Vec<Edit<R>>,
    dropped: &[String],
    completed_at_ms: i64,
    progress: &mut dyn FnMut(Edited),
) -> Result<Edited> {
    let mut states = Vec::with_capacity(edits.len());
    for edit in &edits {
        states.push(reader.state(&edit.uid, &edit.state)?);
    }
    if let Some(unknown) = dropped.iter().find(|uid| !reader.uids().contains(&uid.as_str())) {
        return Err(Error::config(format!("the checkpoint holds no operator of uid `{unknown}`"))
            .with_hint(format!("uids that it holds: {}", reader.uids().join(", "))));
    }
    let mut writer = SavepointWriter::create_like(store, reader)?;
    let mut done = Edited::default();
    let is_kept = |uid: &str, state: &StateDescriptor| {
        let replaced = edits.iter().any(|edit| edit.uid == uid && edit.state == state.name);
        !replaced && !dropped.iter().any(|dropped| dropped == uid)
    };
    writer.copy(reader, is_kept, &mut |bytes| {
        done.copied_bytes += bytes;
        progress(done);
    })?;
    for (edit, state) in edits.into_iter().zip(states) {
        let lines = Lines::new(&state)?;
        let name = edit.name;
        let parsed = edit.lines.lines().zip(1u64..).filter_map(|(line, number)| {
            let at = |error: Error| error.with_detail(format!("{name}, line {number}"));
            match line {
                Ok(line) if line.trim().is_empty() => None,
                Ok(line) => Some(lines.parse(&line).map_err(at)),
                Err(error) => Some(Err(at(Error::input(format!("cannot read the entries: {error}"))))),
            }
        });
        let counted = parsed.inspect(|_| {
            done.entries += 1;
            progress(done);
        });
        let descriptor = state.descriptor().clone();
        writer.operator(edit.uid).encoded(descriptor, lines.placement, counted)?;
    }
    writer.finish(completed_at_ms)?;
    Ok(done)
}

/// Reads lines as entries of a state.
struct Lines {
    descriptor: StateDescriptor,
    placement: Placement,
}

impl Lines {
    fn new(state: &SavedState) -> Result<Self> {
        Ok(Lines { descriptor: state.descriptor().clone(), placement: state.placement()? })
    }

    fn parse(&self, line: &str) -> Result<(Vec<u8>, Vec<u8>)> {
        let json: Json = serde_json::from_str(line)
            .map_err(|error| Error::input(format!("the line is no JSON: {error}")))?;
        self.entry(&json).map_err(|error| {
            Error::input(format!("the line is no entry of state `{}`: {error}", self.descriptor.name)).with_hint(
                "write lines as `eddyline state read --state … PATH` shows them: {\"key\": …, \"value\": …}",
            )
        })
    }

    fn entry(&self, json: &Json) -> Result<(Vec<u8>, Vec<u8>), DecodeError> {
        let StateDescriptor { key: key_type, value: value_type, kind, .. } = &self.descriptor;
        let number = |name: &str| {
            let number = json.get(name).and_then(Json::as_i64);
            let value = number.map(|number| Value::Int(i128::from(number), 64));
            value.ok_or_else(|| DecodeError::new("a whole number expected").in_field(name))
        };
        let key = |schema: &DataType| {
            let given = json.get("key").ok_or_else(|| DecodeError::new("missing").in_field("key"))?;
            value_from_json(schema, given).map_err(|error| error.in_field("key"))
        };
        let hashed = self.placement.hashed_schema(key_type);
        let key = match (self.placement, kind) {
            (_, StateKind::List | StateKind::Union) => Value::Unit,
            (Placement::OfWindows, _) => Value::Tuple(vec![number("window")?, key(hashed)?]),
            (Placement::OfTimers, _) => {
                let namespace = json.get("namespace").map_or(Ok(Value::Int(0, 64)), |_| number("namespace"));
                Value::Tuple(vec![number("time")?, Value::Tuple(vec![key(hashed)?, namespace?])])
            }
            _ => key(key_type)?,
        };
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        key.encode_as(key_type, &mut key_bytes).map_err(|error| error.in_field("key"))?;
        if *kind != StateKind::Timers {
            let value = self.value(json)?;
            value.encode_as(value_type, &mut value_bytes).map_err(|error| error.in_field("value"))?;
        }
        Ok((key_bytes, value_bytes))
    }

    /// The value as it is kept: given that way, or without the times to live.
    fn value(&self, json: &Json) -> Result<Value, DecodeError> {
        let schema = &self.descriptor.value;
        let given = json.get("value").unwrap_or(&Json::Null);
        let untimed = without_times(schema);
        let as_kept = || value_from_json(schema, given).map_err(|error| error.in_field("value"));
        if untimed == *schema {
            return as_kept();
        }
        match value_from_json(&untimed, given) {
            Ok(value) => Ok(timed(schema, value, json.get("touched_ms").and_then(Json::as_i64))),
            Err(error) => as_kept().map_err(|_| error.in_field("value")),
        }
    }
}
