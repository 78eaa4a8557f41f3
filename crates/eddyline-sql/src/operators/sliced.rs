//! Aggregation by windows that overlap: each row is counted once, in the slice between two window starts, and a window is
//! put together from its slices when it is over.

use super::Settings;
use super::aggregate::{AggregateSpec, Group};
use super::batches::{Incoming, Outgoing, flush};
use super::keys::BatchKeys;
use super::window::window_time_of;
use crate::row::{RowBytes, Value, encode_values, kind, views_of};
use crate::types::SqlType;
use eddyline_core::{Batch, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, NamespacedTable};
use hashbrown::HashTable;
use std::borrow::Cow;

/// A column of the result that tells the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowColumn {
    Start,
    End,
    Time,
}

/// The windows, and how their results are laid out.
#[derive(Clone)]
pub(crate) struct SlicedSpec {
    /// Keys without the columns of the window; the settings are those of windows.
    pub(crate) aggregate: AggregateSpec,
    /// Milliseconds; `size` is a multiple of `slide`.
    pub(crate) size: i64,
    pub(crate) slide: i64,
    /// The column of the slice's end in the input.
    pub(crate) end: usize,
    /// The columns of the window in the result before and behind the keys.
    pub(crate) before: Vec<WindowColumn>,
    pub(crate) behind: Vec<WindowColumn>,
    pub(crate) output: Vec<SqlType>,
    /// The type of window_time.
    pub(crate) window_time: SqlType,
}

/// The values of `columns` of the window from `start` to `end`, milliseconds, encoded.
pub(super) fn encode_window(
    columns: &[WindowColumn],
    (start, end): (i64, i64),
    window_time: &SqlType,
    settings: &Settings,
) -> RowBytes {
    let value = |column: &WindowColumn| match column {
        WindowColumn::Start => start * 1_000,
        WindowColumn::End => end * 1_000,
        WindowColumn::Time => window_time_of(end, &window_time.kind, settings),
    };
    encode_values(&columns.iter().map(|column| Value::Int(value(column))).collect::<Vec<_>>())
}

impl SlicedSpec {
    fn window(&self, columns: &[WindowColumn], end: EventTime) -> RowBytes {
        encode_window(columns, (end - self.size, end), &self.window_time, &self.aggregate.settings)
    }
}

pub(crate) struct SlicedAggregate {
    spec: SlicedSpec,
    /// By the end of the slice.
    slices: NamespacedTable<RowBytes, Group>,
    /// All windows that end here or before are given.
    given: EventTime,
    out: Outgoing,
    keys: BatchKeys,
    key: RowBytes,
    argument: RowBytes,
    rows_of: Vec<u32>,
}

impl SlicedAggregate {
    pub(crate) fn new(spec: SlicedSpec) -> Self {
        let out = Outgoing::new(&spec.output, false);
        let slices = NamespacedTable::new("slices", eddyline_core::KeyGroupRange { start: 0, end: 1 }, 1);
        SlicedAggregate {
            spec,
            slices,
            given: EventTime::MIN,
            out,
            keys: BatchKeys::default(),
            key: RowBytes::new(),
            argument: RowBytes::new(),
            rows_of: Vec::new(),
        }
    }

    /// The end of the earliest window that has rows and is not given yet.
    fn next_end(&self) -> Option<EventTime> {
        let slice = self.slices.first_namespace()?;
        if slice > self.given {
            return Some(slice);
        }
        Some(slice + ((self.given - slice) / self.spec.slide + 1) * self.spec.slide)
    }

    /// Gives the results of all windows that end at `until` or before.
    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<()> {
        while let Some(end) = self.next_end().filter(|end| *end <= until) {
            self.give(end, context)?;
            self.given = end;
            // The slice is in no later window.
            let over = end - self.spec.size + self.spec.slide;
            while let Some(slice) = self.slices.first_namespace().filter(|slice| *slice <= over) {
                drop(self.slices.take_namespace(slice));
            }
        }
        if until != EventTime::MAX {
            self.given = self.given.max(until);
        }
        flush(&mut self.out, true, 0, context)
    }

    /// Gives the results of the window that ends at `end`.
    fn give(&mut self, end: EventTime, context: &mut OperatorContext<'_>) -> Result<()> {
        let SlicedAggregate { spec, slices, out, .. } = self;
        let slices_of: Vec<i64> = slices.namespaces(end - spec.size + 1..=end).collect();
        let mut merged: Vec<(u64, &RowBytes, Cow<'_, Group>)> = Vec::new();
        let mut index: HashTable<u32> = HashTable::new();
        for slice in slices_of {
            for (hash, key, group) in slices.iter_namespace(slice) {
                let same = index.find(hash, |place| merged[*place as usize].1 == key).copied();
                match same {
                    Some(place) => spec.aggregate.merge(merged[place as usize].2.to_mut(), group),
                    None => {
                        index.insert_unique(hash, merged.len() as u32, |place| merged[*place as usize].0);
                        merged.push((hash, key, Cow::Borrowed(group)));
                    }
                }
            }
        }
        // The same order in every run, whatever became of the table.
        merged.sort_unstable_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
        let (before, behind) = (spec.window(&spec.before, end), spec.window(&spec.behind, end));
        let mut results = RowBytes::new();
        for (_, key, group) in merged {
            results.clear();
            spec.aggregate.encode_results(&group, &mut results);
            out.push(kind::INSERT, &[&before, key, &behind, &results])?;
            flush(out, false, 0, context)?;
        }
        Ok(())
    }
}

impl Stateful for SlicedAggregate {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.slices)
    }
}

impl Operator for SlicedAggregate {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.slices = NamespacedTable::new("slices", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.given = self.spec.aggregate.settings.ends_closed_by(context.watermark());
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, false)?;
        let views = views_of(input.rows.columns());
        let key_views = self.spec.aggregate.key_views(&views);
        let settings = &self.spec.aggregate.settings;
        let closed =
            if settings.batch { EventTime::MIN } else { settings.ends_closed_by(context.watermark()) };
        let last_window = self.spec.size - self.spec.slide;
        let mut late = 0;
        self.keys.begin(input.len());
        for row in 0..input.len() {
            let Some(end) = views[self.spec.end].int(row).map(|end| end.div_euclid(1_000)) else { continue };
            if end + last_window <= closed {
                late += 1;
                continue;
            }
            self.keys.add(end, &key_views, row, false);
        }
        let SlicedAggregate { spec, slices, keys, key, argument, rows_of, .. } = self;
        for rows in keys.keys() {
            key.clear();
            key.extend_from_slice(keys.bytes(rows));
            let group = slices.entry(rows.namespace, rows.hash, key, || spec.aggregate.create());
            rows_of.clear();
            rows_of.extend(keys.rows(rows).map(|row| row as u32));
            spec.aggregate.add_rows(group, &views, rows_of, &input, argument)?;
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.fire(self.spec.aggregate.settings.ends_closed_by(watermark), context)?;
        Ok(Progress::Done)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.fire(EventTime::MAX, context)?;
        Ok(Progress::Done)
    }
}
