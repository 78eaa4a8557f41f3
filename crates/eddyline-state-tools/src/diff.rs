//! The differences of two checkpoints.

use crate::rows::{Row, Selection};
use eddyline_core::{Error, KeyGroup, Result};
use eddyline_protocol::StateKind;
use eddyline_state::SavepointReader;
use eddyline_state::restore::describe;
use eddyline_state::savepoint::{Placement, SavedEntry, SavedState};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The second checkpoint has it, the first has not.
    Added {
        /// It.
        row: Box<Row>,
    },
    /// The first has it, the second has not.
    Removed {
        /// It.
        row: Box<Row>,
    },
    /// Both have the key, with different values.
    Changed {
        /// In the first.
        before: Box<Row>,
        /// In the second.
        after: Box<Row>,
    },
}

/// How much differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of each state that either has, by uid and name.
    pub states: Vec<StateDifference>,
}

/// How much of a state differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateDifference {
    /// The operator's uid.
    pub uid: String,
    /// The state's name.
    pub state: String,
    /// How the schema was before and is now, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<(String, String)>,
    /// Entries that were added.
    pub added: u64,
    /// Entries that were removed.
    pub removed: u64,
    /// Entries with another value.
    pub changed: u64,
    /// Entries that are the same.
    pub same: u64,
}

impl StateDifference {
    /// Whether anything differs.
    pub fn differs(&self) -> bool {
        self.schema.is_some() || self.added + self.removed + self.changed > 0
    }
}

impl Difference {
    /// Whether anything differs.
    pub fn differs(&self) -> bool {
        self.states.iter().any(StateDifference::differs)
    }
}

/// Compares two checkpoints state by state and key by key; `changed` is told of every difference, in order. States whose
/// values were written with another schema are compared by what people see of them.
///
/// # Errors
/// If one cannot be read, or they divide keys into different numbers of groups.
pub fn compare(
    before: &SavepointReader,
    after: &SavepointReader,
    wanted: impl Fn(&str, &str) -> bool,
    changed: &mut dyn FnMut(&Change) -> Result<()>,
) -> Result<Difference> {
    let groups = [before, after].map(|reader| reader.manifest().max_parallelism);
    if groups[0] != groups[1] {
        return Err(Error::config(format!(
            "a checkpoint of {} key groups cannot be compared with one of {}",
            groups[0], groups[1]
        ))
        .with_hint("compare checkpoints of the same maximum parallelism"));
    }
    let mut difference = Difference::default();
    for (uid, name) in names(before).union(&names(after)) {
        if wanted(uid, name) {
            let mut comparison = Comparison::new(uid, name, changed);
            let one = side(before, uid, name)?;
            let other = side(after, uid, name)?;
            comparison.compare(one.as_ref(), other.as_ref())?;
            difference.states.push(comparison.found);
        }
    }
    Ok(difference)
}

fn names(reader: &SavepointReader) -> BTreeSet<(String, String)> {
    let of_uid = |uid: &str| -> Vec<(String, String)> {
        reader.state_names(uid).into_iter().map(|name| (uid.to_owned(), name.to_owned())).collect()
    };
    reader.uids().into_iter().flat_map(of_uid).collect()
}

fn side(reader: &SavepointReader, uid: &str, name: &str) -> Result<Option<Selection>> {
    if !reader.state_names(uid).contains(&name) {
        return Ok(None);
    }
    Selection::all(reader.state(uid, name)?).map(Some)
}

struct Comparison<'a> {
    found: StateDifference,
    changed: &'a mut dyn FnMut(&Change) -> Result<()>,
}

impl<'a> Comparison<'a> {
    fn new(uid: &str, name: &str, changed: &'a mut dyn FnMut(&Change) -> Result<()>) -> Self {
        let found = StateDifference {
            uid: uid.to_owned(),
            state: name.to_owned(),
            schema: None,
            added: 0,
            removed: 0,
            changed: 0,
            same: 0,
        };
        Comparison { found, changed }
    }

    fn compare(&mut self, before: Option<&Selection>, after: Option<&Selection>) -> Result<()> {
        let by_sight = match (before, after) {
            (Some(before), Some(after)) => self.schemas(before.state(), after.state()),
            _ => false,
        };
        let whole = |side: &Selection| side.placement() == Placement::OfInstances;
        if by_sight || before.is_some_and(whole) || after.is_some_and(whole) {
            // Items have no key, and keys of another type other groups: all of it is one group.
            return self.groups(before, after, by_sight, None);
        }
        let groups: BTreeSet<KeyGroup> = [before, after]
            .into_iter()
            .flatten()
            .flat_map(|side| side.state().parts().map(|(_, chain)| chain.group).collect::<Vec<_>>())
            .collect();
        groups.into_iter().try_for_each(|group| self.groups(before, after, by_sight, Some(group)))
    }

    /// Notes schemas that differ; answers whether bytes cannot be compared.
    fn schemas(&mut self, before: &SavedState, after: &SavedState) -> bool {
        let (one, other) = (before.descriptor(), after.descriptor());
        let same =
            one.kind == other.kind && one.key.same_layout(&other.key) && one.value.same_layout(&other.value);
        if !same {
            let shown = |state: &SavedState| {
                let descriptor = state.descriptor();
                format!("{} → {}", describe(&descriptor.key), describe(&descriptor.value))
            };
            self.found.schema = Some((shown(before), shown(after)));
        }
        !same
    }

    fn groups(
        &mut self,
        before: Option<&Selection>,
        after: Option<&Selection>,
        by_sight: bool,
        group: Option<KeyGroup>,
    ) -> Result<()> {
        let mut rest = match after {
            Some(side) => entries(side, by_sight, group)?,
            None => BTreeMap::new(),
        };
        let (mut removed, mut both) = (Vec::new(), Vec::new());
        if let Some(side) = before {
            for (key, (value, entry)) in entries(side, by_sight, group)? {
                match rest.remove(&key) {
                    None => removed.push(entry),
                    Some((now, _)) if now == value => self.found.same += 1,
                    Some((_, now)) => both.push((entry, now)),
                }
            }
            for entry in removed {
                self.found.removed += 1;
                (self.changed)(&Change::Removed { row: Box::new(side.row(&entry)?) })?;
            }
            for (entry, now) in both {
                let Some(after) = after else { continue };
                self.found.changed += 1;
                let (before, after) = (Box::new(side.row(&entry)?), Box::new(after.row(&now)?));
                (self.changed)(&Change::Changed { before, after })?;
            }
        }
        if let Some(side) = after {
            for (_, entry) in rest.into_values() {
                self.found.added += 1;
                (self.changed)(&Change::Added { row: Box::new(side.row(&entry)?) })?;
            }
        }
        Ok(())
    }
}

/// What is compared: key and value as bytes, or as people see them.
type Comparable = BTreeMap<Vec<u8>, (Vec<u8>, SavedEntry)>;

fn entries(side: &Selection, by_sight: bool, group: Option<KeyGroup>) -> Result<Comparable> {
    let state = side.state();
    let mut found = Comparable::new();
    let mut add = |entry: SavedEntry| -> Result<()> {
        let (mut key, value) = if by_sight {
            let row = side.row(&entry)?;
            let key = shown(&(row.window, row.time, row.namespace, &row.key))?;
            (key, shown(&row.value)?)
        } else {
            (entry.key_bytes.clone(), entry.value_bytes.clone())
        };
        if matches!(state.descriptor().kind, StateKind::List | StateKind::Union) {
            // An item is its own key; the same item may be there several times.
            key.clone_from(&value);
            let mut numbered = key.clone();
            let mut number = 0u32;
            while found.contains_key(&numbered) {
                number += 1;
                numbered = [key.as_slice(), &number.to_be_bytes()].concat();
            }
            key = numbered;
        }
        found.insert(key, (value, entry));
        Ok(())
    };
    match group {
        Some(group) => state.entries_of_group(group)?.into_iter().try_for_each(&mut add)?,
        None => state.entries().try_for_each(|entry| add(entry?))?,
    }
    Ok(found)
}

fn shown<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::internal(format!("a value cannot be written as JSON: {error}")))
}
