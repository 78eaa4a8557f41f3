//! Aggregation by key: without end, with results that change, and window by window, with results that do not.

use super::accumulator::{Accumulator, Aggregator, results};
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::stored::{hashes_of, keyed_table};
use crate::operators::{Settings, failed};
use crate::plan::AggregateCall;
use crate::row::{ColumnView, RowBytes, encode_row, kind, views_of};
use crate::types::SqlType;
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, NamespacedTable};
use std::collections::BTreeMap;
use std::ops::Range;

/// What is known of a group.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct Group {
    /// Rows taken in and not taken back.
    rows: i64,
    accumulators: Vec<Accumulator>,
}

/// How rows are grouped and aggregated.
#[derive(Clone)]
pub(crate) struct AggregateSpec {
    pub(crate) name: String,
    pub(crate) keys: Vec<usize>,
    pub(crate) aggregators: Vec<Aggregator>,
    /// The types of keys and results.
    pub(crate) output: Vec<SqlType>,
    /// Whether rows come with kinds.
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
}

impl AggregateSpec {
    pub(crate) fn new(
        name: String,
        keys: &[usize],
        calls: &[AggregateCall],
        input: &[SqlType],
        updating: bool,
        settings: Settings,
    ) -> Self {
        let aggregators: Vec<Aggregator> =
            calls.iter().map(|call| Aggregator::new(call, input, updating)).collect();
        let mut output: Vec<SqlType> = keys.iter().map(|key| input[*key].clone()).collect();
        output.extend(calls.iter().map(|call| call.result.clone()));
        AggregateSpec { name, keys: keys.to_vec(), aggregators, output, updating, settings }
    }

    fn create(&self) -> Group {
        Group { rows: 0, accumulators: self.aggregators.iter().map(Aggregator::create).collect() }
    }

    fn add(&self, group: &mut Group, views: &[ColumnView<'_>], row: usize, retracts: bool) -> Result<()> {
        group.rows += if retracts { -1 } else { 1 };
        for (aggregator, accumulator) in self.aggregators.iter().zip(&mut group.accumulators) {
            aggregator
                .update(accumulator, views, row, retracts)
                .map_err(|error| failed(&self.name, error))?;
        }
        Ok(())
    }

    fn results(&self, group: &Group) -> RowBytes {
        results(&self.aggregators, &group.accumulators)
    }

    fn key_views<'a>(&self, views: &'a [ColumnView<'a>]) -> Vec<&'a ColumnView<'a>> {
        self.keys.iter().map(|key| &views[*key]).collect()
    }
}

fn key_of(views: &[&ColumnView<'_>], row: usize, key: &mut RowBytes) {
    key.clear();
    for view in views {
        view.encode(row, key);
    }
}

/// Aggregation without windows.
pub(crate) struct GroupAggregate {
    spec: AggregateSpec,
    groups: KeyedTable<RowBytes, Group>,
    out: Outgoing,
}

impl GroupAggregate {
    pub(crate) fn new(spec: AggregateSpec) -> Self {
        let out = Outgoing::new(&spec.output, !spec.settings.batch);
        GroupAggregate {
            spec,
            groups: KeyedTable::new("groups", eddyline_core::KeyGroupRange { start: 0, end: 1 }, 1),
            out,
        }
    }

    /// Gives the changes of the groups in `touched`, which had those results before.
    fn give_changes(
        &mut self,
        touched: &mut BTreeMap<RowBytes, Option<RowBytes>>,
        order: &mut Vec<RowBytes>,
    ) -> Result<()> {
        for key in order.drain(..) {
            let Some(before) = touched.remove(&key) else { continue };
            let hash = hash_of(&key);
            let after = match self.groups.get(hash, &key) {
                Some(group) if group.rows > 0 => Some(self.spec.results(group)),
                Some(_) => {
                    self.groups.remove(hash, &key);
                    None
                }
                None => None,
            };
            match (before, after) {
                (None, Some(after)) => self.out.push(kind::INSERT, &[&key, &after])?,
                (Some(before), None) => self.out.push(kind::DELETE, &[&key, &before])?,
                (Some(before), Some(after)) if before != after => {
                    self.out.push(kind::UPDATE_BEFORE, &[&key, &before])?;
                    self.out.push(kind::UPDATE_AFTER, &[&key, &after])?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Stateful for GroupAggregate {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.groups)
    }
}

impl Operator for GroupAggregate {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.groups = keyed_table("groups", &self.spec.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.keys, rows)
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let keys = self.spec.key_views(&views);
        let mut key = RowBytes::new();
        let mut touched: BTreeMap<RowBytes, Option<RowBytes>> = BTreeMap::new();
        let mut order: Vec<RowBytes> = Vec::new();
        let batch_mode = self.spec.settings.batch;
        for row in 0..input.len() {
            key_of(&keys, row, &mut key);
            let hash = hash_of(&key);
            let spec = &self.spec;
            if !batch_mode && !touched.contains_key(&key) {
                let before = self
                    .groups
                    .get(hash, &key)
                    .filter(|group| group.rows > 0)
                    .map(|group| spec.results(group));
                touched.insert(key.clone(), before);
                order.push(key.clone());
            }
            let retracts = input.is_retraction(row);
            if retracts && !self.groups.contains(hash, &key) {
                // What is taken back was never there: Flink ignores it, too.
                continue;
            }
            let group = self.groups.entry_or_insert_with(hash, &key, || spec.create());
            spec.add(group, &views, row, retracts)?;
            if !self.spec.settings.nets && !batch_mode {
                self.give_changes(&mut touched, &mut order)?;
            }
        }
        if !batch_mode {
            self.give_changes(&mut touched, &mut order)?;
            flush(&mut self.out, true, input.created_micros, context)?;
        }
        Ok(())
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.spec.settings.batch {
            return Ok(Progress::Done);
        }
        let mut groups: Vec<(RowBytes, Group)> =
            self.groups.drain().filter(|(_, group)| group.rows > 0).collect();
        groups.sort_by(|one, other| one.0.cmp(&other.0));
        if groups.is_empty() && self.spec.keys.is_empty() && context.info().instance == 0 {
            groups.push((RowBytes::new(), self.spec.create()));
        }
        for (key, group) in groups {
            let result = self.spec.results(&group);
            self.out.push(kind::INSERT, &[&key, &result])?;
            flush(&mut self.out, false, 0, context)?;
        }
        flush(&mut self.out, true, 0, context)?;
        Ok(Progress::Done)
    }
}

/// Aggregation by windows: a group's result is given once, when the watermark has passed its window's end.
pub(crate) struct WindowAggregate {
    spec: AggregateSpec,
    /// The input's column of the window's end, microseconds.
    end: usize,
    /// Whether windows end by the clock.
    processing_time: bool,
    groups: NamespacedTable<RowBytes, Group>,
    out: Outgoing,
    watermark: EventTime,
}

impl WindowAggregate {
    pub(crate) fn new(spec: AggregateSpec, end: usize, processing_time: bool) -> Self {
        let out = Outgoing::new(&spec.output, false);
        let groups = NamespacedTable::new("windows", eddyline_core::KeyGroupRange { start: 0, end: 1 }, 1);
        WindowAggregate { spec, end, processing_time, groups, out, watermark: EventTime::MIN }
    }

    /// Gives the results of all windows that end at `until` or before.
    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<()> {
        while let Some(end) = self.groups.first_namespace().filter(|end| *end <= until) {
            let taken = self.groups.take_namespace(end).filter(|(_, _, group)| group.rows > 0);
            let mut groups: Vec<(RowBytes, Group)> = taken.map(|(_, key, group)| (key, group)).collect();
            groups.sort_by(|one, other| one.0.cmp(&other.0));
            for (key, group) in groups {
                let result = self.spec.results(&group);
                self.out.push(kind::INSERT, &[&key, &result])?;
                flush(&mut self.out, false, 0, context)?;
            }
        }
        flush(&mut self.out, true, 0, context)
    }
}

impl Stateful for WindowAggregate {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.groups)
    }
}

/// The watermark that closes windows which end at so many milliseconds or before.
pub(crate) fn ends_closed_by(watermark: EventTime) -> EventTime {
    watermark.saturating_add(1)
}

impl Operator for WindowAggregate {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.groups = NamespacedTable::new("windows", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.watermark = context.watermark();
        if self.processing_time
            && let Some(end) = self.groups.first_namespace()
        {
            context.wake_at(end);
        }
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let keys = self.spec.key_views(&views);
        let mut key = RowBytes::new();
        let mut late = 0;
        let closed = if self.processing_time || self.spec.settings.batch {
            EventTime::MIN
        } else {
            ends_closed_by(context.watermark())
        };
        for row in 0..input.len() {
            let Some(end) = views[self.end].int(row) else { continue };
            let end = end.div_euclid(1_000);
            if end <= closed {
                late += 1;
                continue;
            }
            key_of(&keys, row, &mut key);
            let spec = &self.spec;
            let group = self.groups.entry(end, hash_of(&key), &key, || spec.create());
            spec.add(group, &views, row, input.is_retraction(row))?;
            if self.processing_time {
                context.wake_at(end);
            }
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.watermark = watermark;
        if !self.processing_time {
            self.fire(ends_closed_by(watermark), context)?;
        }
        Ok(Progress::Done)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.processing_time {
            self.fire(now_ms, context)?;
            if let Some(end) = self.groups.first_namespace() {
                context.wake_at(end);
            }
        }
        Ok(Progress::Done)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        // Windows by the clock that are still open never end, as in Flink.
        if !self.processing_time {
            self.fire(EventTime::MAX, context)?;
        }
        Ok(Progress::Done)
    }
}

/// Appends the encoded columns `columns` of row `row`.
pub(crate) fn encode_columns(views: &[ColumnView<'_>], columns: &[usize], row: usize, out: &mut RowBytes) {
    for column in columns {
        encode_row(std::slice::from_ref(&views[*column]), row, out);
    }
}
