//! Entries as people see them.

use crate::json::value_from_json;
use eddyline_core::key::stable_hash;
use eddyline_core::{DecodeError, Error, KeyGroup, Result, Value, key_group_of};
use eddyline_protocol::StateKind;
use eddyline_state::savepoint::{Entries, Placement, SavedEntry, SavedState};
use eddyline_state::ttl::{touched_ms, untimed};
use serde::Serialize;

/// An entry of a state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The operator's uid.
    pub uid: String,
    /// The state's name.
    pub state: String,
    /// The key group; of operator state, the instance that wrote it.
    pub group: KeyGroup,
    /// Of the state of windows: the window, usually its end or start in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<i64>,
    /// Of timers: when it is due, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Of timers: what it means to its operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<i64>,
    /// The key; none of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// The value; none of timers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Of state with a time to live: when the youngest part of the value was touched, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched_ms: Option<i64>,
}

/// Which rows of a state are wanted.
pub struct Selection {
    state: SavedState,
    placement: Placement,
    /// The canonical bytes of the one key that is wanted.
    key: Option<Vec<u8>>,
    /// Whether values are shown with the times at which their parts were touched.
    raw: bool,
}

impl Selection {
    /// All rows of a state.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn all(state: SavedState) -> Result<Self> {
        let placement = state.placement()?;
        Ok(Selection { state, placement, key: None, raw: false })
    }

    /// Only the rows of a key, given as JSON; text may be given as it is. Of windows and timers it is the key behind the
    /// window or the time.
    ///
    /// # Errors
    /// If the state has no keys, or the text is none.
    pub fn with_key(mut self, text: &str) -> Result<Self> {
        let descriptor = self.state.descriptor();
        if matches!(descriptor.kind, StateKind::List | StateKind::Union) {
            return Err(Error::config(format!("state `{}` has no keys: it is a list", descriptor.name)));
        }
        let schema = self.placement.hashed_schema(&descriptor.key);
        let as_it_is = serde_json::Value::String(text.to_owned());
        let value = match serde_json::from_str(text) {
            Ok(json) => value_from_json(schema, &json)
                .or_else(|error| value_from_json(schema, &as_it_is).map_err(|_| error)),
            Err(_) => value_from_json(schema, &as_it_is),
        };
        let mut bytes = Vec::new();
        value.and_then(|value| value.encode_as(schema, &mut bytes)).map_err(|error| {
            Error::config(format!("`{text}` is no key of state `{}`: {error}", descriptor.name))
                .with_detail(format!("keys are {}", eddyline_state::restore::describe(schema)))
                .with_hint("write the key as JSON, as `eddyline state read` shows it")
        })?;
        self.key = Some(bytes);
        Ok(self)
    }

    /// Shows values of state with a time to live as they are kept, with the times at which their parts were touched.
    #[must_use]
    pub fn raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }

    /// The state.
    pub fn state(&self) -> &SavedState {
        &self.state
    }

    /// What decides where the state's entries live.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The rows, read as they are asked for.
    ///
    /// # Errors
    /// If the group of the wanted key cannot be read.
    pub fn rows(&self) -> Result<Rows<'_>> {
        let source = match &self.key {
            Some(key) if self.placement != Placement::OfInstances => {
                let group = key_group_of(stable_hash(key), self.state.max_parallelism());
                Source::Group(self.state.entries_of_group(group)?.into_iter())
            }
            _ => Source::All(self.state.entries()),
        };
        Ok(Rows { selection: self, source })
    }

    fn wants(&self, entry: &SavedEntry) -> bool {
        let Some(key) = &self.key else { return true };
        match self.placement {
            Placement::OfInstances => entry.key_bytes == *key,
            placement => placement.hashed(&entry.key_bytes) == key.as_slice(),
        }
    }

    /// An entry as a row.
    ///
    /// # Errors
    /// If its bytes are none of its schema.
    pub fn row(&self, entry: &SavedEntry) -> Result<Row> {
        self.try_row(entry).map_err(|error| {
            let (uid, name) = (self.state.uid(), &self.state.descriptor().name);
            Error::state(format!("state `{name}` of operator `{uid}` cannot be decoded: {error}"))
                .with_hint("the checkpoint is damaged: take an older one")
        })
    }

    fn try_row(&self, entry: &SavedEntry) -> Result<Row, DecodeError> {
        let mut row = Row {
            uid: self.state.uid().to_owned(),
            state: self.state.descriptor().name.clone(),
            group: entry.group,
            window: None,
            time: None,
            namespace: None,
            key: None,
            value: None,
            touched_ms: None,
        };
        let kind = self.state.descriptor().kind;
        match (self.placement, kind) {
            (_, StateKind::List | StateKind::Union) => {}
            (Placement::OfWindows, _) => {
                let [window, key] = parts(entry.key()?)?;
                (row.window, row.key) = (Some(milliseconds(&window)?), Some(key));
            }
            (Placement::OfTimers, _) => {
                let [time, rest] = parts(entry.key()?)?;
                let [key, namespace] = parts(rest)?;
                (row.time, row.namespace) = (Some(milliseconds(&time)?), Some(milliseconds(&namespace)?));
                row.key = Some(key);
            }
            _ => row.key = Some(entry.key()?),
        }
        if kind != StateKind::Timers {
            let value = entry.value()?;
            row.touched_ms = touched_ms(&value).map(|(_, newest)| newest);
            row.value = Some(if self.raw { value } else { untimed(value)? });
        }
        Ok(row)
    }
}

fn parts(value: Value) -> Result<[Value; 2], DecodeError> {
    let parts = value.into_tuple(2)?;
    parts.try_into().map_err(|_| DecodeError::new("a pair expected"))
}

fn milliseconds(value: &Value) -> Result<i64, DecodeError> {
    match value {
        Value::Int(number, 64) => i64::try_from(*number).map_err(|_| DecodeError::new("a time that is none")),
        other => Err(DecodeError::new(format!("a time expected, {} found", other.kind()))),
    }
}

enum Source {
    All(Entries),
    Group(std::vec::IntoIter<SavedEntry>),
}

/// The rows of a selection.
pub struct Rows<'a> {
    selection: &'a Selection,
    source: Source,
}

impl Iterator for Rows<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match &mut self.source {
                Source::All(entries) => entries.next()?,
                Source::Group(entries) => Ok(entries.next()?),
            };
            match entry {
                Ok(entry) if !self.selection.wants(&entry) => {}
                Ok(entry) => return Some(self.selection.row(&entry)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
