//! The first rows of each partition.

use super::Settings;
use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::keys::{BatchKeys, KeyRows};
use super::stored::{hashes_of, keyed_table};
use crate::plan::RankFunction;
use crate::row::{
    ColumnView, RowBytes, SortOrder, Value, encode_sort_key, encode_values, kind, row_bytes, views_of,
};
use crate::types::SqlType;
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, NamespacedTable};
use std::collections::BTreeMap;
use std::ops::Range;

/// The rows of a partition by their sort key; equal ones in the order in which they came.
#[derive(Debug, Clone, PartialEq, Default, Data)]
pub(crate) struct Sorted {
    rows: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

#[derive(Clone)]
pub(crate) struct RankSpec {
    pub(crate) function: RankFunction,
    pub(crate) partition: Vec<usize>,
    pub(crate) order: Vec<SortOrder>,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) number: bool,
    /// Of equal rows the last one comes first: deduplication by time that keeps the last row.
    pub(crate) last_of_equals: bool,
    /// The rowtime column and its units per millisecond, if the first row by time is wanted: then rows behind the
    /// watermark come too late.
    pub(crate) first_by_time: Option<(usize, i64)>,
    pub(crate) updating: bool,
    pub(crate) output: Vec<SqlType>,
    pub(crate) settings: Settings,
}

impl RankSpec {
    pub(crate) fn sort_key(&self, views: &[ColumnView<'_>], row: usize) -> Vec<u8> {
        let mut key = Vec::new();
        for order in &self.order {
            encode_sort_key(&views[order.column].value(row), *order, &mut key);
        }
        key
    }

    fn insert(&self, sorted: &mut Sorted, key: Vec<u8>, row: Vec<u8>) {
        let equals = sorted.rows.entry(key).or_default();
        if self.last_of_equals { equals.insert(0, row) } else { equals.push(row) }
    }

    fn remove(sorted: &mut Sorted, key: &[u8], row: &[u8]) {
        if let Some(equals) = sorted.rows.get_mut(key) {
            if let Some(place) = equals.iter().rposition(|known| known == row) {
                equals.remove(place);
            }
            if equals.is_empty() {
                sorted.rows.remove(key);
            }
        }
    }

    /// The rows within the range, with their ranks.
    fn top(&self, sorted: &Sorted) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        let (mut place, mut dense) = (0u64, 0u64);
        for equals in sorted.rows.values() {
            dense += 1;
            let first = place + 1;
            for row in equals {
                place += 1;
                let rank = match self.function {
                    RankFunction::RowNumber => place,
                    RankFunction::Rank => first,
                    RankFunction::DenseRank => dense,
                };
                if rank > self.end {
                    return found;
                }
                if rank >= self.start {
                    found.push((rank, row.clone()));
                }
            }
        }
        found
    }

    /// Whether rows that are out of the range now are so for ever.
    fn forgets(&self) -> bool {
        !self.updating && self.function == RankFunction::RowNumber && self.end != u64::MAX
    }

    /// Whether a row with that key would only be forgotten.
    fn is_out_of_range(&self, sorted: &Sorted, key: &[u8]) -> bool {
        if !self.forgets() || self.last_of_equals {
            return false;
        }
        // At least one row per key: cheap to say where it matters, at few rows.
        let is_full = sorted.rows.len() as u64 >= self.end
            || sorted.rows.values().map(|equals| equals.len() as u64).sum::<u64>() >= self.end;
        is_full && sorted.rows.last_key_value().is_some_and(|(last, _)| key >= last.as_slice())
    }

    /// Forgets rows that can never come into the range.
    fn trim(&self, sorted: &mut Sorted) {
        if !self.forgets() {
            return;
        }
        let mut total: u64 = sorted.rows.values().map(|equals| equals.len() as u64).sum();
        while total > self.end {
            let Some(mut last) = sorted.rows.last_entry() else { return };
            last.get_mut().pop();
            if last.get().is_empty() {
                last.remove();
            }
            total -= 1;
        }
    }

    fn give(&self, out: &mut Outgoing, meaning: i8, (rank, row): &(u64, Vec<u8>)) -> Result<()> {
        if !self.number {
            return out.push(meaning, &[row]);
        }
        let rank = encode_values(&[Value::Int(*rank as i64)]);
        out.push(meaning, &[row, &rank])
    }

    /// Gives what has changed between two states of the range.
    fn give_changes(
        &self,
        out: &mut Outgoing,
        before: &[(u64, Vec<u8>)],
        after: &[(u64, Vec<u8>)],
    ) -> Result<()> {
        if self.number && self.function == RankFunction::RowNumber {
            for place in 0..before.len().max(after.len()) {
                match (before.get(place), after.get(place)) {
                    (Some(old), Some(new)) if old != new => {
                        self.give(out, kind::UPDATE_BEFORE, old)?;
                        self.give(out, kind::UPDATE_AFTER, new)?;
                    }
                    (Some(old), None) => self.give(out, kind::DELETE, old)?,
                    (None, Some(new)) => self.give(out, kind::INSERT, new)?,
                    _ => {}
                }
            }
            return Ok(());
        }
        let key = |entry: &(u64, Vec<u8>)| if self.number { entry.clone() } else { (0, entry.1.clone()) };
        let mut counts: BTreeMap<(u64, Vec<u8>), i64> = BTreeMap::new();
        before.iter().for_each(|entry| *counts.entry(key(entry)).or_insert(0) -= 1);
        after.iter().for_each(|entry| *counts.entry(key(entry)).or_insert(0) += 1);
        for (entry, count) in counts.iter().filter(|(_, count)| **count < 0) {
            for _ in 0..-count {
                self.give(out, kind::DELETE, entry)?;
            }
        }
        // New rows in the order of their ranks.
        for entry in after {
            if let Some(count) = counts.get_mut(&key(entry)).filter(|count| **count > 0) {
                *count -= 1;
                self.give(out, kind::INSERT, entry)?;
            }
        }
        Ok(())
    }
}

/// Ranks over all rows that ever came.
pub(crate) struct StreamRank {
    spec: RankSpec,
    partitions: KeyedTable<RowBytes, Sorted>,
    out: Outgoing,
    keys: BatchKeys,
    key: RowBytes,
}

impl StreamRank {
    pub(crate) fn new(spec: RankSpec) -> Self {
        let out = Outgoing::new(&spec.output, !spec.settings.batch);
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        let partitions = KeyedTable::new("partitions", range, 1);
        StreamRank { spec, partitions, out, keys: BatchKeys::default(), key: RowBytes::new() }
    }

    /// Takes the rows of one key in and gives what changes in its range.
    fn take_in(&mut self, key: &KeyRows, views: &[ColumnView<'_>], input: &Incoming) -> Result<()> {
        let StreamRank { spec, partitions, out, keys, key: bytes } = self;
        bytes.clear();
        bytes.extend_from_slice(keys.bytes(key));
        let sorted = partitions.entry_or_insert_with(key.hash, bytes, Sorted::default);
        let gives = !spec.settings.batch;
        let before = if gives { spec.top(sorted) } else { Vec::new() };
        let mut changed = false;
        for row in keys.rows(key) {
            let sort_key = spec.sort_key(views, row);
            if spec.is_out_of_range(sorted, &sort_key) {
                continue;
            }
            changed = true;
            let bytes = row_bytes(views, row);
            if input.is_retraction(row) {
                RankSpec::remove(sorted, &sort_key, &bytes);
            } else {
                spec.insert(sorted, sort_key, bytes);
                spec.trim(sorted);
            }
        }
        if gives && changed {
            let after = spec.top(sorted);
            spec.give_changes(out, &before, &after)?;
        }
        if sorted.rows.is_empty() {
            partitions.remove(key.hash, bytes);
        }
        Ok(())
    }
}

impl Stateful for StreamRank {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.partitions)
    }
}

impl Operator for StreamRank {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.partitions = keyed_table("partitions", &self.spec.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.partition, rows)
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let key_views: Vec<&ColumnView<'_>> = self.spec.partition.iter().map(|key| &views[*key]).collect();
        let alone = !self.spec.settings.nets && !self.spec.settings.batch;
        let mut late = 0;
        self.keys.begin(input.len());
        for row in 0..input.len() {
            if let Some((column, per_milli)) = self.spec.first_by_time
                && views[column].int(row).is_some_and(|time| time.div_euclid(per_milli) < context.watermark())
            {
                late += 1;
                continue;
            }
            self.keys.add(0, &key_views, row, alone);
        }
        for number in 0..self.keys.keys().len() {
            let key = self.keys.keys()[number];
            self.take_in(&key, &views, &input)?;
        }
        if late > 0 {
            context.count_late(late);
        }
        flush(&mut self.out, true, input.created_micros, context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.spec.settings.batch {
            return Ok(Progress::Done);
        }
        let mut partitions: Vec<(RowBytes, Sorted)> = self.partitions.drain().collect();
        partitions.sort_by(|one, other| one.0.cmp(&other.0));
        for (_, sorted) in partitions {
            for entry in self.spec.top(&sorted) {
                self.spec.give(&mut self.out, kind::INSERT, &entry)?;
            }
            flush(&mut self.out, false, 0, context)?;
        }
        flush(&mut self.out, true, 0, context)?;
        Ok(Progress::Done)
    }
}

/// Ranks within windows, given when the window is over.
pub(crate) struct WindowRank {
    spec: RankSpec,
    end: usize,
    partitions: NamespacedTable<RowBytes, Sorted>,
    out: Outgoing,
}

impl WindowRank {
    pub(crate) fn new(spec: RankSpec, end: usize) -> Self {
        let out = Outgoing::new(&spec.output, false);
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        WindowRank { spec, end, partitions: NamespacedTable::new("partitions", range, 1), out }
    }

    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<()> {
        while let Some(end) = self.partitions.first_namespace().filter(|end| *end <= until) {
            let mut partitions: Vec<(RowBytes, Sorted)> =
                self.partitions.take_namespace(end).map(|(_, key, sorted)| (key, sorted)).collect();
            partitions.sort_by(|one, other| one.0.cmp(&other.0));
            for (_, sorted) in partitions {
                for entry in self.spec.top(&sorted) {
                    self.spec.give(&mut self.out, kind::INSERT, &entry)?;
                }
                flush(&mut self.out, false, 0, context)?;
            }
        }
        flush(&mut self.out, true, 0, context)
    }
}

impl Stateful for WindowRank {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.partitions)
    }
}

impl Operator for WindowRank {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.partitions = NamespacedTable::new("partitions", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let closed = if self.spec.settings.batch {
            EventTime::MIN
        } else {
            self.spec.settings.ends_closed_by(context.watermark())
        };
        let mut late = 0;
        for row in 0..input.len() {
            let Some(end) = views[self.end].int(row).map(|end| end.div_euclid(1_000)) else { continue };
            if end <= closed {
                late += 1;
                continue;
            }
            let mut key = RowBytes::new();
            encode_columns(&views, &self.spec.partition, row, &mut key);
            let sorted = self.partitions.entry(end, hash_of(&key), &key, Sorted::default);
            let (sort_key, bytes) = (self.spec.sort_key(&views, row), row_bytes(&views, row));
            if input.is_retraction(row) {
                RankSpec::remove(sorted, &sort_key, &bytes);
            } else {
                self.spec.insert(sorted, sort_key, bytes);
                self.spec.trim(sorted);
            }
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.fire(self.spec.settings.ends_closed_by(watermark), context)?;
        Ok(Progress::Done)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.fire(EventTime::MAX, context)?;
        Ok(Progress::Done)
    }
}
