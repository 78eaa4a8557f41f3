//! Aggregation by key: without end, with results that change, and window by window, with results that do not.

use super::accumulator::{Accumulator, Aggregator, encode_results};
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::distinct::{Distinct, DistinctSet};
use super::keys::{BatchKeys, KeyRows};
use super::stored::{hashes_of, living_table, unopened};
use super::windows::{Due, Windows};
use crate::operators::{Settings, failed};
use crate::plan::AggregateCall;
use crate::row::{ColumnView, RowBytes, encode_row, kind, views_of};
use crate::types::SqlType;
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use eddyline_state::ttl::LivingTable;
use std::ops::Range;

/// What is known of a group.
#[derive(Debug, Clone, Data)]
pub(crate) struct Group {
    /// Rows taken in and not taken back.
    rows: i64,
    accumulators: Vec<Accumulator>,
    /// What the DISTINCT calls have seen.
    distinct: Vec<Distinct>,
}

/// Keys whose state is brought into the cache before it is used.
const WARMED: usize = 64;

/// How rows are grouped and aggregated.
#[derive(Clone)]
pub(crate) struct AggregateSpec {
    pub(crate) name: String,
    pub(crate) keys: Vec<usize>,
    aggregators: Vec<Aggregator>,
    /// The calls over all rows, and those over distinct arguments.
    plain: Vec<usize>,
    sets: Vec<DistinctSet>,
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
        let plain = (0..aggregators.len()).filter(|number| !aggregators[*number].is_distinct()).collect();
        let sets = DistinctSet::all(&aggregators, input, updating);
        AggregateSpec { name, keys: keys.to_vec(), aggregators, plain, sets, output, updating, settings }
    }

    /// Whether the states of two groups can be made one.
    pub(crate) fn merges(&self) -> bool {
        !self.updating && self.aggregators.iter().all(Aggregator::merges)
    }

    /// Adds what `other` saw to `group`.
    pub(super) fn merge(&self, group: &mut Group, other: &Group) {
        group.rows += other.rows;
        for (number, aggregator) in self.aggregators.iter().enumerate() {
            aggregator.merge(&mut group.accumulators[number], &other.accumulators[number]);
        }
    }

    pub(super) fn create(&self) -> Group {
        Group {
            rows: 0,
            accumulators: self.aggregators.iter().map(Aggregator::create_plain).collect(),
            distinct: self.sets.iter().map(DistinctSet::create).collect(),
        }
    }

    pub(super) fn add(
        &self,
        group: &mut Group,
        views: &[ColumnView<'_>],
        row: usize,
        retracts: bool,
        scratch: &mut RowBytes,
    ) -> Result<()> {
        let sign = if retracts { -1 } else { 1 };
        group.rows += sign;
        for number in &self.plain {
            let aggregator = &self.aggregators[*number];
            if aggregator.wants(views, row) {
                aggregator
                    .update_plain(&mut group.accumulators[*number], views, row, sign)
                    .map_err(|error| failed(&self.name, error))?;
            }
        }
        self.add_distinct(group, views, row, sign, scratch)
    }

    /// As [`AggregateSpec::add`], of several rows: call by call, as calls have little to do with each other.
    pub(super) fn add_rows(
        &self,
        group: &mut Group,
        views: &[ColumnView<'_>],
        rows: &[u32],
        input: &Incoming,
        scratch: &mut RowBytes,
    ) -> Result<()> {
        for number in &self.plain {
            self.aggregators[*number]
                .update_rows(&mut group.accumulators[*number], views, rows, input)
                .map_err(|error| failed(&self.name, error))?;
        }
        for row in rows.iter().map(|row| *row as usize) {
            let sign = if input.is_retraction(row) { -1 } else { 1 };
            group.rows += sign;
            if !self.sets.is_empty() {
                self.add_distinct(group, views, row, sign, scratch)?;
            }
        }
        Ok(())
    }

    /// Tells a row to the calls over distinct arguments.
    fn add_distinct(
        &self,
        group: &mut Group,
        views: &[ColumnView<'_>],
        row: usize,
        sign: i64,
        scratch: &mut RowBytes,
    ) -> Result<()> {
        for (set, distinct) in self.sets.iter().zip(&mut group.distinct) {
            let wants = |(bit, number): (usize, &usize)| {
                u64::from(self.aggregators[*number].wants(views, row)) << bit
            };
            let wanted = set.calls.iter().enumerate().map(wants).fold(0, std::ops::BitOr::bitor);
            if wanted == 0 {
                continue;
            }
            let mut changed = set.change(distinct, views, row, wanted, sign < 0, scratch);
            while changed != 0 {
                let number = set.calls[changed.trailing_zeros() as usize];
                self.aggregators[number]
                    .update_plain(&mut group.accumulators[number], views, row, sign)
                    .map_err(|error| failed(&self.name, error))?;
                changed &= changed - 1;
            }
        }
        Ok(())
    }

    pub(super) fn encode_results(&self, group: &Group, out: &mut RowBytes) {
        encode_results(&self.aggregators, &group.accumulators, out);
    }

    fn results(&self, group: &Group) -> RowBytes {
        let mut bytes = RowBytes::new();
        self.encode_results(group, &mut bytes);
        bytes
    }

    pub(super) fn key_views<'a>(&self, views: &'a [ColumnView<'a>]) -> Vec<&'a ColumnView<'a>> {
        self.keys.iter().map(|key| &views[*key]).collect()
    }
}

/// Buffers that are used again for each key.
#[derive(Default)]
struct Scratch {
    key: RowBytes,
    before: RowBytes,
    after: RowBytes,
    argument: RowBytes,
    rows: Vec<u32>,
}

/// Aggregation without windows.
pub(crate) struct GroupAggregate {
    spec: AggregateSpec,
    groups: LivingTable<RowBytes, Group>,
    out: Outgoing,
    keys: BatchKeys,
    scratch: Scratch,
}

impl GroupAggregate {
    pub(crate) fn new(spec: AggregateSpec) -> Self {
        let out = Outgoing::new(&spec.output, !spec.settings.batch);
        GroupAggregate {
            spec,
            groups: unopened("groups"),
            out,
            keys: BatchKeys::default(),
            scratch: Scratch::default(),
        }
    }

    /// Takes the rows of one key in and gives the change of its results.
    fn take_in(&mut self, key: &KeyRows, views: &[ColumnView<'_>], input: &Incoming) -> Result<()> {
        let GroupAggregate { spec, groups, out, keys, scratch } = self;
        scratch.key.clear();
        scratch.key.extend_from_slice(keys.bytes(key));
        scratch.before.clear();
        scratch.after.clear();
        let mut rows = keys.rows(key).peekable();
        if input.kinds().is_some() && !groups.contains(key.hash, &scratch.key) {
            // What is taken back was never there: Flink ignores it, too.
            while rows.next_if(|row| input.is_retraction(*row)).is_some() {}
        }
        if rows.peek().is_none() {
            return Ok(());
        }
        let group = groups.entry_or_insert_with(key.hash, &scratch.key, || spec.create());
        let gives = !spec.settings.batch;
        let was = gives && group.rows > 0;
        if was {
            spec.encode_results(group, &mut scratch.before);
        }
        scratch.rows.clear();
        scratch.rows.extend(rows.map(|row| row as u32));
        spec.add_rows(group, views, &scratch.rows, input, &mut scratch.argument)?;
        if !gives {
            return Ok(());
        }
        let is = group.rows > 0;
        if is {
            spec.encode_results(group, &mut scratch.after);
        } else {
            groups.remove(key.hash, &scratch.key);
        }
        match (was, is) {
            (false, true) => out.push(kind::INSERT, &[&scratch.key, &scratch.after]),
            (true, false) => out.push(kind::DELETE, &[&scratch.key, &scratch.before]),
            // With a time to live, what follows has to hear of groups that are alive, as in Flink.
            (true, true) if scratch.before != scratch.after || spec.settings.ttl_ms > 0 => {
                out.push(kind::UPDATE_BEFORE, &[&scratch.key, &scratch.before])?;
                out.push(kind::UPDATE_AFTER, &[&scratch.key, &scratch.after])
            }
            _ => Ok(()),
        }
    }
}

impl Stateful for GroupAggregate {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.groups.managed())
    }
}

impl Operator for GroupAggregate {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.groups = living_table("groups", &self.spec.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.keys, rows)
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let key_views = self.spec.key_views(&views);
        let alone = !self.spec.settings.nets && !self.spec.settings.batch;
        self.groups.begin(context.processing_time_ms(), input.len());
        self.keys.begin(input.len());
        for row in 0..input.len() {
            self.keys.add(0, &key_views, row, alone);
        }
        let warms = self.groups.outgrows_cache();
        for number in 0..self.keys.keys().len() {
            if warms && number % WARMED == 0 {
                let next = self.keys.keys()[number..].iter().take(WARMED);
                let hashes: Vec<u64> = next.map(|key| key.hash).collect();
                self.groups.warm(&hashes);
            }
            let key = self.keys.keys()[number];
            self.take_in(&key, &views, &input)?;
        }
        flush(&mut self.out, true, input.created_micros, context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.spec.settings.batch {
            return Ok(Progress::Done);
        }
        let mut groups: Vec<(RowBytes, Group)> =
            self.groups.drain().into_iter().filter(|(_, group)| group.rows > 0).collect();
        groups.sort_by(|one, other| one.0.cmp(&other.0));
        // The one group of a query without keys is there without rows, too, at the owner of the empty key.
        let owns_the_group = || {
            let info = context.info();
            let group = (hash_of(&RowBytes::new()) % u64::from(info.max_parallelism)) as u32;
            info.key_groups.contains(group)
        };
        if groups.is_empty() && self.spec.keys.is_empty() && owns_the_group() {
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
    groups: Windows<Group>,
    out: Outgoing,
    watermark: EventTime,
    keys: BatchKeys,
    scratch: Scratch,
}

impl WindowAggregate {
    pub(crate) fn new(spec: AggregateSpec, end: usize, processing_time: bool) -> Self {
        let out = Outgoing::new(&spec.output, false);
        let groups = Windows::unopened("windows");
        let (keys, scratch) = (BatchKeys::default(), Scratch::default());
        WindowAggregate { spec, end, processing_time, groups, out, watermark: EventTime::MIN, keys, scratch }
    }

    /// Gives the results of all windows that end at `until` or before.
    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let progress = loop {
            let groups = match self.groups.next(until, context)? {
                Due::Keys(groups) => groups,
                Due::None => break Progress::Done,
                Due::Waiting => break Progress::Waiting,
            };
            for (key, group) in groups.into_iter().filter(|(_, group)| group.rows > 0) {
                let result = self.spec.results(&group);
                self.out.push(kind::INSERT, &[&key, &result])?;
                flush(&mut self.out, false, 0, context)?;
            }
        };
        flush(&mut self.out, true, 0, context)?;
        Ok(progress)
    }
}

impl Stateful for WindowAggregate {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.groups.managed())
    }
}

impl Operator for WindowAggregate {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.groups = Windows::open("windows", &self.spec.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.keys, rows)
    }

    fn accepts_input(&self) -> bool {
        self.groups.accepts_input()
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.watermark = context.watermark();
        if self.processing_time
            && let Some(end) = self.groups.first()
        {
            context.wake_at(self.spec.settings.instant_of(end));
        }
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let key_views = self.spec.key_views(&views);
        let mut late = 0;
        let closed = if self.processing_time || self.spec.settings.batch {
            EventTime::MIN
        } else {
            self.spec.settings.ends_closed_by(context.watermark())
        };
        self.keys.begin(input.len());
        for row in 0..input.len() {
            let Some(end) = views[self.end].int(row) else { continue };
            let end = end.div_euclid(1_000);
            if end <= closed {
                late += 1;
                continue;
            }
            self.keys.add(end, &key_views, row, false);
            if self.processing_time {
                context.wake_at(self.spec.settings.instant_of(end));
            }
        }
        let WindowAggregate { spec, groups, keys, scratch, .. } = self;
        for key in keys.keys() {
            scratch.key.clear();
            scratch.key.extend_from_slice(keys.bytes(key));
            let group = groups.entry(key.namespace, key.hash, &scratch.key, || spec.create());
            scratch.rows.clear();
            scratch.rows.extend(keys.rows(key).map(|row| row as u32));
            spec.add_rows(group, &views, &scratch.rows, &input, &mut scratch.argument)?;
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.watermark = watermark;
        if self.processing_time {
            return Ok(Progress::Done);
        }
        self.fire(self.spec.settings.ends_closed_by(watermark), context)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.processing_time {
            return Ok(Progress::Done);
        }
        let progress = self.fire(self.spec.settings.clock_of(now_ms), context)?;
        if let Some(end) = self.groups.first() {
            context.wake_at(self.spec.settings.instant_of(end));
        }
        Ok(progress)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        // Windows by the clock that are still open never end, as in Flink.
        if self.processing_time {
            return Ok(Progress::Done);
        }
        self.fire(EventTime::MAX, context)
    }
}

/// Appends the encoded columns `columns` of row `row`.
pub(crate) fn encode_columns(views: &[ColumnView<'_>], columns: &[usize], row: usize, out: &mut RowBytes) {
    for column in columns {
        encode_row(std::slice::from_ref(&views[*column]), row, out);
    }
}
