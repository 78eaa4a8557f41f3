//! OVER: aggregates and functions of each row's neighbours.
//!
//! Two operators: [`TimeOver`](super::over_time::TimeOver) follows event time, gives each row once, when the watermark has
//! passed it, and keeps no more rows than frames reach back; [`WholeOver`] keeps all rows, computes a partition anew when it changes, and gives
//! the differences (or, for bounded data, the results at the end).

use super::accumulator::{Accumulator, Aggregator};
use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, damaged, flush, hash_of};
use super::stored::{hashes_of, living_table, unopened};
use super::{Settings, failed};
use crate::plan::{AggregateCall, Frame, FrameBound, OverCall, OverFunction, OverGroup};
use crate::row::{
    ColumnView, RowBytes, SortOrder, Value, columns_of_rows, encode_sort_key, encode_values, kind, row_bytes,
    views_of,
};
use crate::types::SqlType;
use arrow_array::ArrayRef;
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use eddyline_state::ttl::LivingTable;
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Clone)]
pub(crate) struct OverSpec {
    pub(crate) group: OverGroup,
    pub(crate) input: Vec<SqlType>,
    pub(crate) output: Vec<SqlType>,
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
    pub(super) aggregators: Vec<Option<Aggregator>>,
}

impl OverSpec {
    pub(crate) fn new(group: OverGroup, input: Vec<SqlType>, updating: bool, settings: Settings) -> Self {
        let mut output = input.clone();
        output.extend(group.calls.iter().map(|call| call.result.clone()));
        let aggregator = |call: &OverCall| match &call.function {
            OverFunction::Aggregate(function, distinct) => {
                let call = AggregateCall {
                    function: *function,
                    args: call.args.clone(),
                    distinct: *distinct,
                    filter: call.filter,
                    order: Vec::new(),
                    ignore_nulls: true,
                    result: call.result.clone(),
                };
                Some(Aggregator::new(&call, &input, true))
            }
            _ => None,
        };
        let aggregators = group.calls.iter().map(aggregator).collect();
        OverSpec { group, input, output, updating, settings, aggregators }
    }

    /// The results of all calls for each of the rows, which are a whole partition in order. `keys` are their sort keys,
    /// `times` the values of the first order column.
    fn compute(&self, columns: &[ArrayRef], keys: &[Vec<u8>]) -> Result<Vec<Vec<Value>>> {
        let views = views_of(columns);
        let count = keys.len();
        let mut results = vec![Vec::with_capacity(self.group.calls.len()); count];
        // Peers: rows of equal keys.
        let mut first_peer = vec![0; count];
        let mut end_peer = vec![count; count];
        for row in 1..count {
            first_peer[row] = if keys[row] == keys[row - 1] { first_peer[row - 1] } else { row };
        }
        for row in (0..count.saturating_sub(1)).rev() {
            end_peer[row] = if keys[row] == keys[row + 1] { end_peer[row + 1] } else { row + 1 };
        }
        for (call, aggregator) in self.group.calls.iter().zip(&self.aggregators) {
            match aggregator {
                Some(aggregator) => {
                    self.aggregates(aggregator, &views, (&first_peer, &end_peer), &mut results)?
                }
                None => functions(call, &views, (&first_peer, &end_peer), &mut results),
            }
        }
        Ok(results)
    }

    fn aggregates(
        &self,
        aggregator: &Aggregator,
        views: &[ColumnView<'_>],
        (first_peer, end_peer): (&[usize], &[usize]),
        results: &mut [Vec<Value>],
    ) -> Result<()> {
        let count = results.len();
        let frame = self.group.frame;
        let order = self.group.order.first();
        let (mut low, mut high) = (0, 0);
        let mut state = aggregator.create();
        let update = |state: &mut Accumulator, row: usize, retracts: bool| {
            aggregator.update(state, views, row, retracts).map_err(|error| failed("OverAggregate", error))
        };
        for (row, result) in results.iter_mut().enumerate() {
            let from = start_of(frame, row, first_peer, views, order);
            let to = end_of(frame, row, count, end_peer, views, order).max(from);
            if from < low || to < high {
                // Frames that go backwards are computed anew.
                (state, low, high) = (aggregator.create(), from, from);
            }
            while high < to {
                if high >= from {
                    update(&mut state, high, false)?;
                }
                high += 1;
            }
            if low < from {
                for gone in low..from.min(high) {
                    update(&mut state, gone, true)?;
                }
                low = from;
                high = high.max(from);
            }
            result.push(aggregator.result(&state));
        }
        Ok(())
    }
}

/// The position of the first row of the frame of `row`.
fn start_of(
    frame: Frame,
    row: usize,
    first_peer: &[usize],
    views: &[ColumnView<'_>],
    order: Option<&SortOrder>,
) -> usize {
    match (frame.preceding, frame.rows) {
        (FrameBound::Unbounded, _) => 0,
        (FrameBound::Current, true) => row,
        (FrameBound::Current, false) => first_peer[row],
        (FrameBound::Offset(distance), true) => (row as i64 - distance).max(0) as usize,
        (FrameBound::Offset(distance), false) => {
            let mut start = first_peer[row];
            while start > 0 && distance_of(views, order, start - 1, row).is_some_and(|back| back <= distance)
            {
                start -= 1;
            }
            start
        }
    }
}

/// The position behind the last row of the frame of `row`.
fn end_of(
    frame: Frame,
    row: usize,
    count: usize,
    end_peer: &[usize],
    views: &[ColumnView<'_>],
    order: Option<&SortOrder>,
) -> usize {
    match (frame.following, frame.rows) {
        (FrameBound::Unbounded, _) => count,
        (FrameBound::Current, true) => row + 1,
        (FrameBound::Current, false) => end_peer[row],
        (FrameBound::Offset(distance), true) => (row as i64 + 1 + distance).clamp(0, count as i64) as usize,
        (FrameBound::Offset(distance), false) => {
            let mut end = end_peer[row];
            while end < count && distance_of(views, order, row, end).is_some_and(|ahead| ahead <= distance) {
                end += 1;
            }
            end
        }
    }
}

/// How far row `later` is behind row `earlier`, in the order: milliseconds for times.
fn distance_of(
    views: &[ColumnView<'_>],
    order: Option<&SortOrder>,
    earlier: usize,
    later: usize,
) -> Option<i64> {
    let order = order?;
    let view = &views[order.column];
    let (one, other) = (view.int(earlier)?, view.int(later)?);
    let distance = if order.descending { one - other } else { other - one };
    Some(distance.div_euclid(view.units_per_milli()))
}

fn functions(
    call: &OverCall,
    views: &[ColumnView<'_>],
    (first_peer, end_peer): (&[usize], &[usize]),
    results: &mut [Vec<Value>],
) {
    let count = results.len();
    let mut dense = 0;
    for row in 0..count {
        if first_peer[row] == row {
            dense += 1;
        }
        let value = match &call.function {
            OverFunction::RowNumber => Value::Int(row as i64 + 1),
            OverFunction::Rank => Value::Int(first_peer[row] as i64 + 1),
            OverFunction::DenseRank => Value::Int(dense),
            OverFunction::PercentRank => {
                Value::Float(if count > 1 { first_peer[row] as f64 / (count - 1) as f64 } else { 0.0 })
            }
            OverFunction::CumeDist => Value::Float(end_peer[row] as f64 / count as f64),
            OverFunction::Ntile => {
                let buckets =
                    call.args.first().and_then(|arg| views[*arg].int(row)).unwrap_or(1).max(1) as usize;
                let (size, larger) = (count / buckets, count % buckets);
                let bucket = if row < larger * (size + 1) {
                    row / (size + 1)
                } else {
                    larger + (row - larger * (size + 1)) / size.max(1)
                };
                Value::Int(bucket as i64 + 1)
            }
            OverFunction::Shift(distance) => {
                let place = row as i64 - distance;
                if (0..count as i64).contains(&place) {
                    views[call.args[0]].value(place as usize)
                } else {
                    call.args.get(1).map_or(Value::Null, |default| views[*default].value(row))
                }
            }
            OverFunction::Aggregate(..) => Value::Null,
        };
        results[row].push(value);
    }
}

/// A partition's rows by sort key.
#[derive(Debug, Clone, PartialEq, Default, Data)]
pub(crate) struct Partition {
    rows: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

/// Computes partitions as a whole.
pub(crate) struct WholeOver {
    spec: OverSpec,
    partitions: LivingTable<RowBytes, Partition>,
    out: Outgoing,
}

impl WholeOver {
    pub(crate) fn new(spec: OverSpec) -> Self {
        let out = Outgoing::new(&spec.output, !spec.settings.batch);
        WholeOver { spec, partitions: unopened("partitions"), out }
    }

    /// The rows of a partition with their results, as encoded rows.
    fn results(&self, partition: &Partition) -> Result<Vec<Vec<u8>>> {
        let rows: Vec<&[u8]> = partition.rows.values().flatten().map(Vec::as_slice).collect();
        let keys: Vec<Vec<u8>> = partition
            .rows
            .iter()
            .flat_map(|(key, rows)| std::iter::repeat_n(key.clone(), rows.len()))
            .collect();
        let columns = columns_of_rows(&self.spec.input, rows.iter().copied()).map_err(damaged)?;
        let results = self.spec.compute(&columns, &keys)?;
        Ok(rows
            .into_iter()
            .zip(results)
            .map(|(row, values)| [row, &encode_values(&values)].concat())
            .collect())
    }

    fn give_changes(&mut self, touched: &mut BTreeMap<RowBytes, Vec<Vec<u8>>>) -> Result<()> {
        for (key, before) in std::mem::take(touched) {
            let hash = hash_of(&key);
            let after = match self.partitions.get(hash, &key) {
                Some(partition) => self.results(partition)?,
                None => Vec::new(),
            };
            let mut counts: BTreeMap<&Vec<u8>, i64> = BTreeMap::new();
            before.iter().for_each(|row| *counts.entry(row).or_insert(0) -= 1);
            after.iter().for_each(|row| *counts.entry(row).or_insert(0) += 1);
            for wanted in [kind::DELETE, kind::INSERT] {
                for (row, count) in &counts {
                    let times = if wanted == kind::DELETE { -count } else { *count };
                    for _ in 0..times.max(0) {
                        self.out.push(wanted, &[row])?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn order_key(order: &[SortOrder], views: &[ColumnView<'_>], row: usize) -> Vec<u8> {
    let mut key = Vec::new();
    for order in order {
        encode_sort_key(&views[order.column].value(row), *order, &mut key);
    }
    key
}

impl Stateful for WholeOver {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.partitions.managed())
    }
}

impl Operator for WholeOver {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.partitions = living_table("partitions", &self.spec.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.group.partition, rows)
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let mut touched: BTreeMap<RowBytes, Vec<Vec<u8>>> = BTreeMap::new();
        let batch_mode = self.spec.settings.batch;
        self.partitions.begin(context.processing_time_ms(), input.len());
        for row in 0..input.len() {
            let mut key = RowBytes::new();
            encode_columns(&views, &self.spec.group.partition, row, &mut key);
            let hash = hash_of(&key);
            if !batch_mode && !touched.contains_key(&key) {
                let before = match self.partitions.get(hash, &key) {
                    Some(partition) => self.results(partition)?,
                    None => Vec::new(),
                };
                touched.insert(key.clone(), before);
            }
            let partition = self.partitions.entry_or_insert_with(hash, &key, Partition::default);
            let (order, bytes) = (order_key(&self.spec.group.order, &views, row), row_bytes(&views, row));
            if input.is_retraction(row) {
                if let Some(rows) = partition.rows.get_mut(&order) {
                    if let Some(place) = rows.iter().position(|known| *known == bytes) {
                        rows.remove(place);
                    }
                    if rows.is_empty() {
                        partition.rows.remove(&order);
                    }
                }
            } else {
                partition.rows.entry(order).or_default().push(bytes);
            }
        }
        if !batch_mode {
            self.give_changes(&mut touched)?;
            flush(&mut self.out, true, input.created_micros, context)?;
        }
        Ok(())
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.spec.settings.batch {
            return Ok(Progress::Done);
        }
        let mut partitions: Vec<(RowBytes, Partition)> = self.partitions.drain();
        partitions.sort_by(|one, other| one.0.cmp(&other.0));
        for (_, partition) in partitions {
            for row in self.results(&partition)? {
                self.out.push(kind::INSERT, &[&row])?;
                flush(&mut self.out, false, 0, context)?;
            }
        }
        flush(&mut self.out, true, 0, context)?;
        Ok(Progress::Done)
    }
}
