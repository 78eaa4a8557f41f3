//! A join of two keyed streams by the distance of their event times: a left and a right record are a pair if the
//! right one's timestamp is within an interval around the left one's.
//!
//! Each side is kept per key, by time, as long as a record that is not late can still be its partner; whoever comes
//! last finds the other one. The result of a pair has the greater one of both timestamps.
//!
//! A record whose timestamp is before the watermark is late: counted, emitted on a side output if that was asked
//! for, and not joined. So a result is never before the watermark, but it can be *at* it, as a record at the
//! watermark is not late. The watermark that is handed on is therefore a millisecond behind.

use super::{LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, LEFT_INPUT, PAIR_OUTPUT, RIGHT_INPUT};
use crate::function::Collector;
use crate::late::emit_late;
use crate::operators::fetching::{Due, DueTimers, hashes_of};
use eddyline_core::{Batch, Data, Error, EventTime, Key, Record, Result, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_runtime::{Operator, OperatorContext, Progress, StateFactory, Stateful, panics};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::marker::PhantomData;
use std::ops::Range;

/// How far the right record of a pair may be from the left one, milliseconds: both ends belong to the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The least distance; negative if the right record may be before the left one.
    pub lower_ms: i64,
    /// The greatest distance.
    pub upper_ms: i64,
}

impl Interval {
    /// Whether such an interval can hold anything.
    ///
    /// # Errors
    /// Of kind `Config`, if the lower bound is above the upper one.
    pub fn check(&self) -> Result<()> {
        if self.lower_ms <= self.upper_ms {
            return Ok(());
        }
        Err(Error::config(format!(
            "no record is between {} ms and {} ms after another one",
            self.lower_ms, self.upper_ms
        ))
        .with_hint("the lower bound of an interval join is not above the upper one; exclusive bounds are 1 ms further in"))
    }
}

/// The timestamps of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairTimes {
    /// The left record's.
    pub left: EventTime,
    /// The right record's.
    pub right: EventTime,
}

/// The records of a key on one side, by time, those of a time in the order of arrival.
type ByTime<T> = BTreeMap<i64, Vec<T>>;

/// One side.
struct Side<K, T> {
    rows: KeyedTable<K, ByTime<T>>,
    /// One timer per key that has rows, no later than when its first row is of no use any more.
    timers: TimerTable<K>,
    /// How long after its time a row can find a partner: `partner's time <= time + keeps_ms`.
    keeps_ms: i64,
    /// What is fetched for the keys that are looked through next.
    due: DueTimers,
}

impl<K: Key, T: Data> Side<K, T> {
    fn new(name: &str, keeps_ms: i64, states: &StateFactory) -> Result<Self> {
        let (groups, max) = (states.info().key_groups, states.info().max_parallelism);
        Ok(Side {
            rows: states.keyed_table(format!("{name}-rows"))?,
            timers: TimerTable::new(format!("{name}-expiry"), groups, max),
            keeps_ms,
            due: DueTimers::default(),
        })
    }

    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.rows)?;
        visit(&mut self.timers)
    }

    /// When a row of `time` is of no use any more: the first watermark that all its partners are late for.
    fn useless_at(&self, time: EventTime) -> EventTime {
        time.saturating_add(self.keeps_ms).saturating_add(1)
    }

    fn keep(&mut self, hash: u64, key: &K, row: Record<T>, watermark: EventTime) {
        let useless_at = self.useless_at(row.timestamp);
        if useless_at <= watermark {
            return;
        }
        let rows = self.rows.entry_or_insert_with(hash, key, BTreeMap::new);
        let first = rows.first_key_value().map(|(time, _)| *time);
        match rows.entry(row.timestamp) {
            Entry::Occupied(mut rows) => rows.get_mut().push(row.value),
            Entry::Vacant(place) => {
                place.insert(vec![row.value]);
            }
        }
        if first.is_none_or(|first| row.timestamp < first) {
            if let Some(first) = first {
                let before = self.useless_at(first);
                self.timers.delete(before, hash, key, 0);
            }
            self.timers.register(useless_at, hash, key, 0);
        }
    }

    /// Drops the rows that are of no use any more; answers whether that is done.
    fn expire(&mut self, watermark: EventTime) -> Result<bool> {
        loop {
            let rows: &mut dyn ManagedState = &mut self.rows;
            if self.due.next(&mut self.timers, watermark, &mut [rows])? == Due::Waiting {
                return Ok(false);
            }
            let Some(timer) = self.timers.pop_due(watermark) else { return Ok(true) };
            let hash = timer.key.stable_hash();
            let Some(rows) = self.rows.get_mut(hash, &timer.key) else { continue };
            // Useful: `time + keeps_ms + 1 > watermark`.
            let useful = rows.split_off(&watermark.saturating_sub(self.keeps_ms));
            let first = useful.first_key_value().map(|(time, _)| *time);
            *rows = useful;
            match first {
                Some(first) => {
                    let next = self.useless_at(first);
                    self.timers.register(next, hash, &timer.key, 0);
                }
                None => drop(self.rows.remove(hash, &timer.key)),
            }
        }
    }
}

/// Joins two keyed streams by an interval: inputs and outputs as for [`JoinOperator`](super::JoinOperator). Wants to
/// be told about watermarks, and generates its own.
pub struct IntervalJoinOperator<K, L, R, O, LeftKey, RightKey, F> {
    interval: Interval,
    left_key: LeftKey,
    right_key: RightKey,
    function: F,
    emits_late: bool,
    sides: Option<(Side<K, L>, Side<K, R>)>,
    /// Rows are being dropped: records that are after that have to wait.
    expiring: bool,
    out: Collector<O>,
    _rows: PhantomData<fn(L, R)>,
}

impl<K, L, R, O, LeftKey, RightKey, F> IntervalJoinOperator<K, L, R, O, LeftKey, RightKey, F>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    LeftKey: Fn(&L) -> K + 'static,
    RightKey: Fn(&R) -> K + 'static,
    F: Fn(&L, &R, PairTimes, &mut Collector<O>) -> Result<()> + 'static,
{
    /// Calls `function` for each pair; late records leave on their outputs if `emits_late`.
    ///
    /// # Errors
    /// As [`Interval::check`].
    pub fn new(
        interval: Interval,
        left_key: LeftKey,
        right_key: RightKey,
        function: F,
        emits_late: bool,
    ) -> Result<Self> {
        interval.check()?;
        let out = Collector::at(0);
        let (sides, expiring, _rows) = (None, false, PhantomData);
        Ok(IntervalJoinOperator {
            interval,
            left_key,
            right_key,
            function,
            emits_late,
            sides,
            expiring,
            out,
            _rows,
        })
    }

    fn take_left(&mut self, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let Self { interval, left_key, function, sides, out, .. } = self;
        let (left, right) = sides.as_mut().expect("invariant: open is called first");
        let bounds =
            |time: i64| (time.saturating_add(interval.lower_ms), time.saturating_add(interval.upper_ms));
        let pair = |own: (&L, i64), other: (&R, i64), out: &mut Collector<O>| {
            function(own.0, other.0, PairTimes { left: own.1, right: other.1 }, out)
        };
        let late = take_rows((left, right), &mut batch, (left_key, bounds), pair, out, context)?;
        emit_late(late, self.emits_late.then_some(LATE_LEFT_OUTPUT), batch.created_micros, context)
    }

    fn take_right(&mut self, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let Self { interval, right_key, function, sides, out, .. } = self;
        let (left, right) = sides.as_mut().expect("invariant: open is called first");
        let bounds =
            |time: i64| (time.saturating_sub(interval.upper_ms), time.saturating_sub(interval.lower_ms));
        let pair = |own: (&R, i64), other: (&L, i64), out: &mut Collector<O>| {
            function(other.0, own.0, PairTimes { left: other.1, right: own.1 }, out)
        };
        let late = take_rows((right, left), &mut batch, (right_key, bounds), pair, out, context)?;
        emit_late(late, self.emits_late.then_some(LATE_RIGHT_OUTPUT), batch.created_micros, context)
    }
}

/// Joins rows of one side with what the other one has kept and keeps them; answers the late ones. `bounds` are those
/// of the partners' times.
fn take_rows<K: Key, T: Data, U: Data, O: Data>(
    (own, other): (&mut Side<K, T>, &Side<K, U>),
    batch: &mut Batch,
    (key_of, bounds): (&impl Fn(&T) -> K, impl Fn(i64) -> (i64, i64)),
    pair: impl Fn((&T, i64), (&U, i64), &mut Collector<O>) -> Result<()>,
    out: &mut Collector<O>,
    context: &mut OperatorContext<'_>,
) -> Result<Vec<Record<T>>> {
    let watermark = context.watermark();
    let mut late = Vec::new();
    for (number, row) in batch.take_rows::<T>()?.into_iter().enumerate() {
        panics::at_row(number as u64);
        if row.timestamp == EventTime::MIN {
            return Err(Error::config("a record without an event time came to an interval join")
                .with_hint("assign timestamps and watermarks before the join"));
        }
        if row.timestamp < watermark {
            late.push(row);
            continue;
        }
        let key = key_of(&row.value);
        let hash = key.stable_hash();
        let (least, greatest) = bounds(row.timestamp);
        let partners = other.rows.get(hash, &key).map(|rows| rows.range(least..=greatest));
        for (time, partners) in partners.into_iter().flatten() {
            out.set_timestamp(row.timestamp.max(*time));
            for partner in partners {
                pair((&row.value, row.timestamp), (partner, *time), out)?;
                out.flush_full(PAIR_OUTPUT, batch.created_micros, context)?;
            }
        }
        own.keep(hash, &key, row, watermark);
    }
    out.flush(PAIR_OUTPUT, batch.created_micros, context)?;
    Ok(late)
}

impl<K: Key, L: Data, R: Data, O, LeftKey, RightKey, F> Stateful
    for IntervalJoinOperator<K, L, R, O, LeftKey, RightKey, F>
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let Some((left, right)) = self.sides.as_mut() else { return Ok(()) };
        left.visit_states(visit)?;
        right.visit_states(visit)
    }
}

impl<K, L, R, O, LeftKey, RightKey, F> Operator for IntervalJoinOperator<K, L, R, O, LeftKey, RightKey, F>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    LeftKey: Fn(&L) -> K + 'static,
    RightKey: Fn(&R) -> K + 'static,
    F: Fn(&L, &R, PairTimes, &mut Collector<O>) -> Result<()> + 'static,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        // A partner of a left row is at most `upper_ms` after it, one of a right row at most `-lower_ms`.
        let left = Side::new("left", self.interval.upper_ms, &context.states())?;
        let right = Side::new("right", self.interval.lower_ms.saturating_neg(), &context.states())?;
        self.sides = Some((left, right));
        Ok(())
    }

    fn key_hashes(&mut self, input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        match input {
            LEFT_INPUT => hashes_of(batch, rows, &self.left_key),
            _ => hashes_of(batch, rows, &self.right_key),
        }
    }

    fn on_batch(&mut self, input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        match input {
            LEFT_INPUT => self.take_left(batch, context),
            RIGHT_INPUT => self.take_right(batch, context),
            other => Err(Error::internal(format!("a join has no input {other}"))),
        }
    }

    fn on_watermark(&mut self, watermark: EventTime, _context: &mut OperatorContext<'_>) -> Result<Progress> {
        let (left, right) = self.sides.as_mut().expect("invariant: open is called first");
        self.expiring = !(left.expire(watermark)? & right.expire(watermark)?);
        Ok(if self.expiring { Progress::Waiting } else { Progress::Done })
    }

    fn accepts_input(&self) -> bool {
        !self.expiring
    }

    fn output_watermark(&self, input: EventTime) -> EventTime {
        match input {
            WATERMARK_MIN | WATERMARK_MAX => input,
            other => other - 1,
        }
    }
}
