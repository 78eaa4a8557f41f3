//! Joins with the version of a row that was valid at a row's event time.
//!
//! Rows of the left side wait until the watermark has passed their time; then all versions up to it are known, and they
//! are given in the order in which they came. Of the versions before the watermark the last one is kept. A left row that
//! comes later finds what is left of the versions, as in Flink.

use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::join::JoinSpec;
use crate::row::{RowBytes, kind, row_bytes, views_of};
use eddyline_core::{Batch, Data, Error, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::collections::BTreeMap;

/// A row of the left side that waits.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct Waiting {
    time: i64,
    kind: i64,
    row: Vec<u8>,
}

/// A row from some time on; `gone` says that it was deleted then.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct Version {
    row: Vec<u8>,
    gone: bool,
}

/// What is known of one key, times in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Data)]
pub(crate) struct History {
    waiting: Vec<Waiting>,
    versions: BTreeMap<i64, Version>,
    /// The time of the newest version that ever came.
    newest: Option<i64>,
    /// When the key is looked at next.
    timer: Option<i64>,
}

impl History {
    /// The version that is valid at `time`, if it is not deleted.
    fn at(&self, time: i64) -> Option<&Version> {
        self.versions.range(..=time).next_back().map(|(_, version)| version).filter(|version| !version.gone)
    }

    /// Forgets versions that no row after the watermark can find.
    fn forget(&mut self, watermark: i64) {
        if let Some((kept, _)) = self.versions.range(..=watermark).next_back() {
            let kept = *kept;
            self.versions = self.versions.split_off(&kept);
        }
    }
}

pub(crate) struct TemporalJoin {
    spec: JoinSpec,
    /// The rowtime columns of both sides.
    times: [usize; 2],
    /// Whether a version that is older than another one that came before it is left out.
    newer_only: bool,
    keys: KeyedTable<RowBytes, History>,
    timers: TimerTable<RowBytes>,
    out: Outgoing,
}

impl TemporalJoin {
    pub(crate) fn new(spec: JoinSpec, times: [usize; 2], newer_only: bool) -> Self {
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        let out = Outgoing::new(&spec.output, spec.output_updating);
        TemporalJoin {
            spec,
            times,
            newer_only,
            keys: KeyedTable::new("histories", range, 1),
            timers: TimerTable::new("due", range, 1),
            out,
        }
    }

    /// Takes in a row of `side` at `time`.
    fn add(&mut self, side: usize, key: &RowBytes, time: i64, meaning: i8, row: Vec<u8>) {
        let hash = hash_of(key);
        let history = self.keys.entry_or_insert_with(hash, key, History::default);
        if side == 0 {
            history.waiting.push(Waiting { time, kind: i64::from(meaning), row });
        } else {
            if self.newer_only && history.newest.is_some_and(|newest| newest > time) {
                return;
            }
            history.newest = Some(history.newest.map_or(time, |newest| newest.max(time)));
            history.versions.insert(time, Version { row, gone: meaning == kind::DELETE });
        }
        if history.timer.is_none_or(|timer| time < timer) {
            if let Some(timer) = history.timer {
                self.timers.delete(timer, hash, key, 0);
            }
            history.timer = Some(time);
            self.timers.register(time, hash, key, 0);
        }
    }

    /// Gives the rows of `key` that the watermark has passed.
    fn give(&mut self, key: &RowBytes, watermark: i64) -> Result<()> {
        let hash = hash_of(key);
        let Some(history) = self.keys.get_mut(hash, key) else { return Ok(()) };
        let all = std::mem::take(&mut history.waiting);
        let (due, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|row| row.time <= watermark);
        for waiting in due {
            let meaning = waiting.kind as i8;
            let version = history.at(waiting.time);
            let found = match version {
                Some(version) => self.spec.matching(0, &waiting.row, vec![&version.row], |other| other)?,
                None => Vec::new(),
            };
            match found.first() {
                Some(version) => self.spec.pair(&mut self.out, meaning, 0, &waiting.row, version)?,
                None if self.spec.pads(0) => self.spec.alone(&mut self.out, meaning, 0, &waiting.row)?,
                None => {}
            }
        }
        history.forget(watermark);
        history.timer = later.iter().map(|row| row.time).min();
        history.waiting = later;
        if let Some(timer) = history.timer {
            self.timers.register(timer, hash, key, 0);
        } else if history.versions.is_empty() {
            self.keys.remove(hash, key);
        }
        Ok(())
    }
}

impl Stateful for TemporalJoin {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.keys)?;
        visit(&mut self.timers)
    }
}

impl Operator for TemporalJoin {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.keys = KeyedTable::new("histories", info.key_groups, info.max_parallelism);
        self.timers = TimerTable::new("due", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn on_batch(&mut self, side: usize, batch: Batch, _context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating[side])?;
        let views = views_of(input.rows.columns());
        let keys = self.spec.keys[side].clone();
        let view = &views[self.times[side]];
        for row in 0..input.len() {
            let meaning = input.kind(row);
            // The version that an update ends is replaced by the one that follows.
            if side == 1 && meaning == kind::UPDATE_BEFORE {
                continue;
            }
            let Some(time) = view.int(row).map(|time| time.div_euclid(view.units_per_milli())) else {
                let side = if side == 0 { "left" } else { "right" };
                return Err(Error::user(format!("a row of the {side} side of a temporal join has no time"))
                    .with_hint("leave such rows out by a filter"));
            };
            let mut key = RowBytes::new();
            if side == 1 && keys.iter().any(|key| views[*key].is_null(row)) {
                // NULL equals nothing.
                continue;
            }
            encode_columns(&views, &keys, row, &mut key);
            self.add(side, &key, time, meaning, row_bytes(&views, row));
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        while let Some(timer) = self.timers.pop_due(watermark) {
            self.give(&timer.key, watermark)?;
            flush(&mut self.out, false, 0, context)?;
        }
        flush(&mut self.out, true, 0, context)?;
        Ok(Progress::Done)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.on_watermark(EventTime::MAX, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_version_before_a_time_is_valid_then() {
        let mut history = History::default();
        for (time, gone) in [(10, false), (20, true), (30, false)] {
            history.versions.insert(time, Version { row: vec![time as u8], gone });
        }
        let at = |history: &History, time| history.at(time).map(|version| version.row[0]);
        assert_eq!(
            [9, 10, 19, 20, 29, 30].map(|time| at(&history, time)),
            [None, Some(10), Some(10), None, None, Some(30)]
        );
        history.forget(25);
        assert_eq!([19, 25, 31].map(|time| at(&history, time)), [None, None, Some(30)]);
    }
}
