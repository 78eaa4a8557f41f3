//! What a checkpoint holds: from its manifest, and measured by reading it.

use crate::rows::Selection;
use eddyline_core::{KeyGroup, Result, Value};
use eddyline_protocol::{CheckpointId, StateKind};
use eddyline_state::SavepointReader;
use eddyline_state::restore::describe;
use eddyline_state::savepoint::{SavedEntry, SavedState};
use eddyline_state::ttl::touched_ms;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a checkpoint holds.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// The job.
    pub job: String,
    /// The checkpoint's number.
    pub checkpoint: CheckpointId,
    /// When it was complete, milliseconds since the epoch.
    pub completed_at_ms: i64,
    /// The number of key groups.
    pub max_parallelism: u32,
    /// Whether the job had come to the end of its input.
    pub finished: bool,
    /// Bytes of all states.
    pub bytes: u64,
    /// Its states, by uid and name.
    pub states: Vec<StateListing>,
}

/// What it holds of one state.
#[derive(Debug, Clone, Serialize)]
pub struct StateListing {
    /// The operator's uid.
    pub uid: String,
    /// The state's name; those that begin with `__` are the operator's own.
    pub state: String,
    /// How it is split.
    pub kind: StateKind,
    /// The schema of its keys.
    pub key: String,
    /// The schema of its values.
    pub value: String,
    /// Key groups that have entries (of operator state: instances).
    pub groups: usize,
    /// Segments, over all groups.
    pub segments: usize,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Entries of all segments: at least as many as the state has.
    pub entries_written: u64,
    /// What was found by reading the state, if it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What was found by reading a state.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    /// Entries.
    pub entries: u64,
    /// Bytes of keys.
    pub key_bytes: u64,
    /// Bytes of values.
    pub value_bytes: u64,
    /// Entries and bytes by key group (of operator state: by instance).
    pub by_group: BTreeMap<KeyGroup, (u64, u64)>,
    /// The keys with the most bytes, largest first.
    pub largest: Vec<LargestKey>,
    /// When values were touched, of state with a time to live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ages: Option<Ages>,
}

/// A key with much state.
#[derive(Debug, Clone, Serialize)]
pub struct LargestKey {
    /// The key, with its window or time if it has one.
    pub key: Value,
    /// Bytes of the key and its value.
    pub bytes: u64,
}

/// When values were touched, seen from the one that was touched last: whether a state ages by processing time or by event
/// time, a checkpoint does not say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ages {
    /// The oldest touch, milliseconds since the epoch.
    pub oldest_ms: i64,
    /// The newest touch, milliseconds since the epoch.
    pub newest_ms: i64,
    /// Entries whose time is not known.
    pub unknown: u64,
    /// Entries touched within about a minute before the newest touch (to the minute, as the others).
    pub within_minute: u64,
    /// Within an hour, but not a minute.
    pub within_hour: u64,
    /// Within a day, but not an hour.
    pub within_day: u64,
    /// Before that.
    pub older: u64,
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Listing {
    /// What the manifest tells; nothing else is read.
    ///
    /// # Errors
    /// None that a manifest which was read could cause.
    pub fn of(reader: &SavepointReader) -> Result<Self> {
        let manifest = reader.manifest();
        let states: Vec<StateListing> = reader.states()?.iter().map(StateListing::of).collect();
        Ok(Listing {
            job: manifest.job.clone(),
            checkpoint: manifest.checkpoint,
            completed_at_ms: manifest.completed_at_ms,
            max_parallelism: manifest.max_parallelism,
            finished: manifest.finished,
            bytes: states.iter().map(|state| state.bytes).sum(),
            states,
        })
    }

    /// Reads all states and adds what is found, with the `largest` largest keys of each. `progress` is told of the bytes
    /// of each entry.
    ///
    /// # Errors
    /// If something cannot be read.
    pub fn measure(
        &mut self,
        reader: &SavepointReader,
        largest: usize,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        for listed in &mut self.states {
            let state = reader.state(&listed.uid, &listed.state)?;
            listed.measured = Some(Measured::of(state, largest, progress)?);
        }
        Ok(())
    }
}

impl StateListing {
    fn of(state: &SavedState) -> Self {
        let descriptor = state.descriptor();
        StateListing {
            uid: state.uid().to_owned(),
            state: descriptor.name.clone(),
            kind: descriptor.kind,
            key: describe(&descriptor.key),
            value: describe(&descriptor.value),
            groups: state.parts().filter(|(_, chain)| !chain.segments.is_empty()).count(),
            segments: state.parts().map(|(_, chain)| chain.segments.len()).sum(),
            bytes: state.bytes(),
            entries_written: state.entries_written(),
            measured: None,
        }
    }
}

impl Measured {
    fn of(state: SavedState, largest: usize, progress: &mut dyn FnMut(u64)) -> Result<Self> {
        let mut measured = Measured::default();
        let mut hot: Vec<(u64, SavedEntry)> = Vec::new();
        let mut touches = Touches::default();
        let has_times =
            state.descriptor().value != eddyline_state::ttl::without_times(&state.descriptor().value);
        let selection = Selection::all(state)?;
        for entry in selection.state().entries() {
            let entry = entry?;
            let (key, value) = (entry.key_bytes.len() as u64, entry.value_bytes.len() as u64);
            progress(key + value);
            measured.entries += 1;
            measured.key_bytes += key;
            measured.value_bytes += value;
            let group = measured.by_group.entry(entry.group).or_default();
            (group.0, group.1) = (group.0 + 1, group.1 + key + value);
            if has_times {
                touches.add(touched_ms(&entry.value()?));
            }
            let is_hot = hot.len() < largest || hot.last().is_some_and(|(least, _)| key + value > *least);
            if is_hot && largest > 0 {
                let at = hot.partition_point(|(bytes, _)| *bytes >= key + value);
                hot.insert(at, (key + value, entry));
                hot.truncate(largest);
            }
        }
        for (bytes, entry) in hot {
            measured.largest.push(LargestKey { key: entry.key()?, bytes });
        }
        measured.ages = if has_times { Some(touches.ages()) } else { None };
        Ok(measured)
    }
}

/// Times of touches, counted by the minute: what a state holds is read once, and not kept.
#[derive(Default)]
struct Touches {
    range_ms: Option<(i64, i64)>,
    unknown: u64,
    by_minute: BTreeMap<i64, u64>,
}

/// Minutes that are told apart; older ones count as the oldest of them.
const MINUTES_MAX: usize = 100_000;

impl Touches {
    fn add(&mut self, touched: Option<(i64, i64)>) {
        let Some((oldest, newest)) = touched else {
            self.unknown += 1;
            return;
        };
        let (before, after) = self.range_ms.unwrap_or((oldest, newest));
        self.range_ms = Some((before.min(oldest), after.max(newest)));
        *self.by_minute.entry(newest.div_euclid(MINUTE_MS)).or_default() += 1;
        if self.by_minute.len() > MINUTES_MAX
            && let Some((_, count)) = self.by_minute.pop_first()
            && let Some(mut oldest) = self.by_minute.first_entry()
        {
            *oldest.get_mut() += count;
        }
    }

    fn ages(self) -> Ages {
        let (oldest_ms, newest_ms) = self.range_ms.unwrap_or_default();
        let mut ages = Ages { oldest_ms, newest_ms, unknown: self.unknown, ..Ages::default() };
        for (minute, touched) in self.by_minute {
            // From the end of the minute on, so that what is near counts as near.
            let age_ms = newest_ms.saturating_sub(minute.saturating_add(1).saturating_mul(MINUTE_MS));
            let count = if age_ms < MINUTE_MS {
                &mut ages.within_minute
            } else if age_ms < HOUR_MS {
                &mut ages.within_hour
            } else if age_ms < DAY_MS {
                &mut ages.within_day
            } else {
                &mut ages.older
            };
            *count += touched;
        }
        ages
    }
}
