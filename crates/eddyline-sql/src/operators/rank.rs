//! The first rows of each partition.

use super::Settings;
use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::keys::{BatchKeys, KeyRows};
use super::rank_rows::Sorted;
use super::stored::{hashes_of, living_table, unopened};
use super::windows::{Due, Windows};
use crate::plan::RankFunction;
use crate::row::{
    ColumnView, RowBytes, SortOrder, Value, encode_row, encode_sort_key, encode_values, kind, row_bytes,
    views_of,
};
use crate::types::SqlType;
use eddyline_core::{Batch, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use eddyline_state::ttl::LivingTable;
use std::collections::BTreeMap;
use std::ops::Range;

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
        let mut key = Vec::with_capacity(self.order.len() * 9);
        self.encode_sort_key(views, row, &mut key);
        key
    }

    fn encode_sort_key(&self, views: &[ColumnView<'_>], row: usize, key: &mut Vec<u8>) {
        for order in &self.order {
            encode_sort_key(&views[order.column].value(row), *order, key);
        }
    }

    fn insert(&self, sorted: &mut Sorted, key: &[u8], row: &[u8]) {
        sorted.insert(key, row, self.last_of_equals);
    }

    /// The rows within the range, with their ranks.
    fn top(&self, sorted: &Sorted) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        let (mut place, mut dense, mut first) = (0u64, 0u64, 0u64);
        let mut last: Option<&[u8]> = None;
        for (key, row) in sorted.iter() {
            place += 1;
            if last != Some(key) {
                (dense, first, last) = (dense + 1, place, Some(key));
            }
            let rank = match self.function {
                RankFunction::RowNumber => place,
                RankFunction::Rank => first,
                RankFunction::DenseRank => dense,
            };
            if rank > self.end {
                break;
            }
            if rank >= self.start {
                found.push((rank, row.to_vec()));
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
        self.forgets()
            && !self.last_of_equals
            && sorted.last_key().is_some_and(|last| key >= last)
            && sorted.len() >= self.end
    }

    /// Forgets rows that can never come into the range.
    fn trim(&self, sorted: &mut Sorted) {
        if self.forgets() {
            for _ in self.end..sorted.len() {
                sorted.pop();
            }
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
    partitions: LivingTable<RowBytes, Sorted>,
    out: Outgoing,
    keys: BatchKeys,
    // Buffers that are used again for each row.
    key: RowBytes,
    sort_key: RowBytes,
    row_bytes: RowBytes,
}

impl StreamRank {
    pub(crate) fn new(spec: RankSpec) -> Self {
        let out = Outgoing::new(&spec.output, !spec.settings.batch);
        let partitions = unopened("partitions");
        let [key, sort_key, row_bytes] = [const { RowBytes::new() }; 3];
        StreamRank { spec, partitions, out, keys: BatchKeys::default(), key, sort_key, row_bytes }
    }

    /// Takes the rows of one key in and gives what changes in its range.
    fn take_in(&mut self, key: &KeyRows, views: &[ColumnView<'_>], input: &Incoming) -> Result<()> {
        let StreamRank { spec, partitions, out, keys, key: bytes, sort_key, row_bytes } = self;
        bytes.clear();
        bytes.extend_from_slice(keys.bytes(key));
        let sorted = partitions.peek_or_insert_with(key.hash, bytes, Sorted::default);
        let gives = !spec.settings.batch;
        let before = if gives { spec.top(sorted) } else { Vec::new() };
        let mut changed = false;
        for row in keys.rows(key) {
            sort_key.clear();
            spec.encode_sort_key(views, row, sort_key);
            if spec.is_out_of_range(sorted, sort_key) {
                continue;
            }
            changed = true;
            row_bytes.clear();
            encode_row(views, row, row_bytes);
            if input.is_retraction(row) {
                sorted.remove(sort_key, row_bytes);
            } else {
                spec.insert(sorted, sort_key, row_bytes);
                spec.trim(sorted);
            }
        }
        if gives && changed {
            let after = spec.top(sorted);
            spec.give_changes(out, &before, &after)?;
        }
        if sorted.is_empty() {
            partitions.remove(key.hash, bytes);
        } else if changed {
            partitions.touch(key.hash, bytes);
        }
        Ok(())
    }
}

impl Stateful for StreamRank {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.partitions.managed())
    }
}

impl Operator for StreamRank {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.partitions = living_table("partitions", &self.spec.settings, context)?;
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
        self.partitions.begin(context.processing_time_ms(), input.len());
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
        let mut partitions: Vec<(RowBytes, Sorted)> = self.partitions.drain();
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
    partitions: Windows<Sorted>,
    out: Outgoing,
}

impl WindowRank {
    pub(crate) fn new(spec: RankSpec, end: usize) -> Self {
        let out = Outgoing::new(&spec.output, false);
        WindowRank { spec, end, partitions: Windows::unopened("partitions"), out }
    }

    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let progress = loop {
            let partitions = match self.partitions.next(until, context)? {
                Due::Keys(partitions) => partitions,
                Due::None => break Progress::Done,
                Due::Waiting => break Progress::Waiting,
            };
            for (_, sorted) in partitions {
                for entry in self.spec.top(&sorted) {
                    self.spec.give(&mut self.out, kind::INSERT, &entry)?;
                }
                flush(&mut self.out, false, 0, context)?;
            }
        };
        flush(&mut self.out, true, 0, context)?;
        Ok(progress)
    }
}

impl Stateful for WindowRank {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.partitions.managed())
    }
}

impl Operator for WindowRank {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.partitions = Windows::open("partitions", &self.spec.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.partition, rows)
    }

    fn accepts_input(&self) -> bool {
        self.partitions.accepts_input()
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
                sorted.remove(&sort_key, &bytes);
            } else {
                self.spec.insert(sorted, &sort_key, &bytes);
                self.spec.trim(sorted);
            }
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.fire(self.spec.settings.ends_closed_by(watermark), context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.fire(EventTime::MAX, context)
    }
}
