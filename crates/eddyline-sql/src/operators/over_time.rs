//! OVER that follows event time: each row is given once, when the watermark has passed it.
//!
//! No more rows are kept than frames reach back. A partition with rows that wait for the watermark does not expire.

use super::accumulator::{Accumulator, Aggregator};
use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, damaged, flush, hash_of};
use super::failed;
use super::over::OverSpec;
use super::stored::{Firing, Next, hashes_of, living_table, unopened};
use crate::plan::{FrameBound, OverFunction};
use crate::row::{ColumnView, RowBytes, Value, columns_of_rows, encode_values, kind, row_bytes, views_of};
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ttl::LivingTable;
use eddyline_state::{ManagedState, TimerTable};
use std::collections::BTreeMap;
use std::ops::Range;

/// What an event-time OVER knows of a partition.
#[derive(Debug, Clone, PartialEq, Default, Data)]
pub(crate) struct Past {
    /// Rows that the watermark has not passed, by time.
    waiting: BTreeMap<i64, Vec<Vec<u8>>>,
    /// Rows that frames still reach, by time in the order given.
    recent: Vec<(i64, Vec<u8>)>,
    /// Rows given so far, and the time of the last of them.
    given: i64,
    last: i64,
    /// Rows given before the present time, for RANK; distinct times, for DENSE_RANK.
    ranks: (i64, i64),
    /// Of calls whose frame begins with the partition.
    running: Vec<Accumulator>,
}

/// Follows event time (or, with `by_arrival`, the order of arrival).
pub(crate) struct TimeOver {
    spec: OverSpec,
    time: usize,
    per_milli: i64,
    by_arrival: bool,
    partitions: LivingTable<RowBytes, Past>,
    timers: TimerTable<RowBytes>,
    firing: Firing,
    out: Outgoing,
}

impl TimeOver {
    pub(crate) fn new(spec: OverSpec, time: usize, per_milli: i64, by_arrival: bool) -> Self {
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        let out = Outgoing::new(&spec.output, false);
        let partitions = unopened("partitions");
        TimeOver {
            spec,
            time,
            per_milli,
            by_arrival,
            partitions,
            timers: TimerTable::new("times", range, 1),
            firing: Firing::default(),
            out,
        }
    }

    /// Gives rows of one time, which come next.
    fn give(
        spec: &OverSpec,
        past: &mut Past,
        time: i64,
        rows: Vec<Vec<u8>>,
        out: &mut Outgoing,
    ) -> Result<()> {
        let frame = spec.group.frame;
        let is_running = frame.preceding == FrameBound::Unbounded;
        past.ranks = (past.given, past.ranks.1 + 1);
        past.last = past.last.max(time);
        if is_running && past.running.is_empty() {
            past.running = spec.aggregators.iter().flatten().map(Aggregator::create).collect();
        }
        let columns = columns_of_rows(&spec.input, rows.iter().map(Vec::as_slice)).map_err(damaged)?;
        let views = views_of(&columns);
        let add = |past: &mut Past, place: usize| -> Result<()> {
            past.given += 1;
            if is_running {
                for (aggregator, state) in spec.aggregators.iter().flatten().zip(&mut past.running) {
                    aggregator
                        .update(state, &views, place, false)
                        .map_err(|error| failed("OverAggregate", error))?;
                }
            }
            past.recent.push((time, rows[place].clone()));
            Ok(())
        };
        // With RANGE, rows of one time are peers and see each other.
        if !frame.rows {
            (0..rows.len()).try_for_each(|place| add(past, place))?;
        }
        for (place, row) in rows.iter().enumerate() {
            if frame.rows {
                add(past, place)?;
            }
            let values = Self::values(spec, past, time, is_running, (&views, place))?;
            out.push(kind::INSERT, &[row, &encode_values(&values)])?;
        }
        trim(spec, past, time, is_running);
        Ok(())
    }

    fn values(
        spec: &OverSpec,
        past: &Past,
        time: i64,
        is_running: bool,
        (views, place): (&[ColumnView<'_>], usize),
    ) -> Result<Vec<Value>> {
        let mut running = past.running.iter();
        let mut values = Vec::with_capacity(spec.group.calls.len());
        for (call, aggregator) in spec.group.calls.iter().zip(&spec.aggregators) {
            values.push(match (aggregator, &call.function) {
                (Some(aggregator), _) if is_running => {
                    running.next().map_or(Value::Null, |state| aggregator.result(state))
                }
                (Some(aggregator), _) => {
                    let frame = spec.group.frame;
                    let within =
                        |(index, (then, _)): &(usize, &(i64, Vec<u8>))| match (frame.preceding, frame.rows) {
                            (FrameBound::Offset(distance), true) => {
                                (past.recent.len() - index) as i64 <= distance + 1
                            }
                            (FrameBound::Offset(distance), false) => time - then <= distance,
                            (_, true) => index + 1 == past.recent.len(),
                            (_, false) => *then == time,
                        };
                    let rows =
                        past.recent.iter().enumerate().filter(within).map(|(_, (_, row))| row.as_slice());
                    let columns = columns_of_rows(&spec.input, rows).map_err(damaged)?;
                    let views = views_of(&columns);
                    let mut state = aggregator.create();
                    for row in 0..columns.first().map_or(0, |column| column.len()) {
                        aggregator
                            .update(&mut state, &views, row, false)
                            .map_err(|error| failed("OverAggregate", error))?;
                    }
                    aggregator.result(&state)
                }
                (None, OverFunction::RowNumber) => Value::Int(past.given),
                (None, OverFunction::Rank) => Value::Int(past.ranks.0 + 1),
                (None, OverFunction::DenseRank) => Value::Int(past.ranks.1),
                (None, OverFunction::Shift(distance)) => {
                    let back = past.recent.len() as i64 - 1 - distance;
                    match usize::try_from(back).ok().and_then(|back| past.recent.get(back)) {
                        Some((_, row)) => {
                            let values = crate::row::decode_values(&spec.input, row).map_err(damaged)?;
                            values.into_iter().nth(call.args[0]).unwrap_or(Value::Null)
                        }
                        None => call.args.get(1).map_or(Value::Null, |default| views[*default].value(place)),
                    }
                }
                (None, _) => Value::Null,
            });
        }
        Ok(values)
    }
}

/// Forgets rows that no frame reaches any more.
fn trim(spec: &OverSpec, past: &mut Past, time: i64, is_running: bool) {
    let shifts = spec.group.calls.iter().map(|call| match call.function {
        OverFunction::Shift(distance) => distance.max(0) as usize,
        _ => 0,
    });
    let mut keep = shifts.max().unwrap_or(0);
    if !is_running && spec.aggregators.iter().any(Option::is_some) {
        match (spec.group.frame.preceding, spec.group.frame.rows) {
            (FrameBound::Offset(distance), true) => keep = keep.max(distance.max(0) as usize),
            (FrameBound::Offset(distance), false) => {
                keep = keep.max(past.recent.iter().filter(|(then, _)| time - then <= distance).count());
            }
            _ => {}
        }
    }
    let excess = past.recent.len().saturating_sub(keep);
    past.recent.drain(..excess);
}

impl Stateful for TimeOver {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.partitions.managed())?;
        visit(&mut self.timers)
    }
}

impl Operator for TimeOver {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.partitions = living_table("partitions", &self.spec.settings, context)?;
        let info = context.info();
        self.timers = TimerTable::new("times", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.group.partition, rows)
    }

    fn accepts_input(&self) -> bool {
        self.firing.accepts_input()
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let mut late = 0;
        self.partitions.begin(context.processing_time_ms(), input.len());
        for row in 0..input.len() {
            let Some(time) = views[self.time].int(row).map(|time| time.div_euclid(self.per_milli)) else {
                continue;
            };
            let mut key = RowBytes::new();
            encode_columns(&views, &self.spec.group.partition, row, &mut key);
            let hash = hash_of(&key);
            let bytes = row_bytes(&views, row);
            if self.by_arrival {
                let past = self.partitions.entry_or_insert_with(hash, &key, Past::default);
                Self::give(&self.spec, past, time, vec![bytes], &mut self.out)?;
                flush(&mut self.out, false, input.created_micros, context)?;
                continue;
            }
            // As in Flink: a frame without beginning takes no row behind the watermark, another one no row that is not
            // behind the last one given.
            let by_watermark = self.spec.group.frame.preceding == FrameBound::Unbounded;
            let given = match self.partitions.get(hash, &key) {
                _ if by_watermark => context.watermark(),
                Some(past) => past.last,
                None => 0,
            };
            if time <= given {
                late += 1;
                continue;
            }
            let past = self.partitions.entry_or_insert_with(hash, &key, Past::default);
            past.waiting.entry(time).or_default().push(bytes);
            self.partitions.hold(hash, &key);
            self.timers.register(time, hash, &key, 0);
        }
        if late > 0 {
            context.count_late(late);
        }
        flush(&mut self.out, true, input.created_micros, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.partitions.begin(context.processing_time_ms(), 0);
        let progress = loop {
            let timer =
                match self.firing.next(&mut self.timers, watermark, [self.partitions.managed()], context)? {
                    Next::Timer(timer) => timer,
                    Next::None => break Progress::Done,
                    Next::Waiting => break Progress::Waiting,
                };
            let hash = hash_of(&timer.key);
            let Some(past) = self.partitions.get_mut(hash, &timer.key) else { continue };
            if let Some(rows) = past.waiting.remove(&timer.time) {
                Self::give(&self.spec, past, timer.time, rows, &mut self.out)?;
                flush(&mut self.out, false, 0, context)?;
            }
            if !past.waiting.is_empty() {
                self.partitions.hold(hash, &timer.key);
            }
        };
        flush(&mut self.out, true, 0, context)?;
        Ok(progress)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.on_watermark(EventTime::MAX, context)
    }
}
