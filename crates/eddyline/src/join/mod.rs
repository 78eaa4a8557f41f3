//! Joins of two keyed streams: by windows ([`WindowJoinOperator`]), by the distance of event times
//! ([`IntervalJoinOperator`]), and, in this module, without either.
//!
//! The join of two keyed streams without windows: every pair of rows with the same key, once.
//!
//! Each side is kept in state, per key, in the order of arrival; a row that comes in is joined with what the other
//! side has kept. So neither side ever waits for the other one: when one stalls, the other one's rows are state.
//!
//! With a retention time, a row finds no partners any more once the watermark has passed its time by more than that,
//! and is dropped soon after. A row that is so old when it comes in is late: counted, emitted on a side output if that
//! was asked for, and not joined. Without a retention time, rows are kept for ever.
//!
//! The result of a pair has the greater one of both timestamps. So it is behind the watermark only if the row that
//! came last was, and watermarks pass the join unchanged.

mod interval;
#[cfg(test)]
mod interval_tests;
mod side;
mod sided;
#[cfg(test)]
mod tests;
mod windowed;
#[cfg(test)]
mod windowed_tests;
mod windows;

pub use interval::{Interval, IntervalJoinOperator, PairTimes};
pub use side::{Kept, KeptRows};
pub use sided::Sided;
pub(crate) use sided::{GroupFunction, PairFunction, TwoSides, emit_late_sides};
pub(crate) use windowed::{BothSides, EachPair};
pub use windowed::{OpenWindow, WindowJoinOperator, WindowPairs};
pub use windows::JoinWindows;

use crate::late::emit_late;
use crate::operators::fetching::hashes_of;
use eddyline_core::{Batch, Data, Error, EventTime, Key, Record, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::ManagedState;
use side::Side;
use std::marker::PhantomData;
use std::ops::Range;

/// The input of the left side.
pub const LEFT_INPUT: usize = 0;
/// The input of the right side.
pub const RIGHT_INPUT: usize = 1;
/// The output on which joined pairs leave.
pub const PAIR_OUTPUT: usize = 0;
/// The output on which late rows of the left side leave, if that was asked for.
pub const LATE_LEFT_OUTPUT: usize = 1;
/// The output on which late rows of the right side leave, if that was asked for.
pub const LATE_RIGHT_OUTPUT: usize = 2;

/// How long rows are kept, and what happens to those that are late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JoinOptions {
    /// How long, in event time, a row is kept for partners, milliseconds; none: for ever.
    pub retention_ms: Option<i64>,
    /// Whether late rows are emitted, on [`LATE_LEFT_OUTPUT`] and [`LATE_RIGHT_OUTPUT`].
    pub emits_late: bool,
}

/// Joins two keyed streams.
///
/// Rows of `L` come in on [`LEFT_INPUT`], partitioned by `left_key`, rows of `R` on [`RIGHT_INPUT`], partitioned by
/// `right_key`; `join` makes the rows that leave on [`PAIR_OUTPUT`]. Wants to be told about watermarks.
pub struct JoinOperator<K, L, R, O, LeftKey, RightKey, Join> {
    left_key: LeftKey,
    right_key: RightKey,
    join: Join,
    options: JoinOptions,
    sides: Option<(Side<K, L>, Side<K, R>)>,
    /// Rows are being dropped: records that are after that have to wait.
    expiring: bool,
    _output: PhantomData<fn() -> O>,
}

impl<K, L, R, O, LeftKey, RightKey, Join> JoinOperator<K, L, R, O, LeftKey, RightKey, Join>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    LeftKey: Fn(&L) -> K + 'static,
    RightKey: Fn(&R) -> K + 'static,
    Join: Fn(&L, &R) -> O + 'static,
{
    /// Joins rows with equal keys by `join`.
    ///
    /// # Errors
    /// Of kind `Config`, if the retention time is negative.
    pub fn new(left_key: LeftKey, right_key: RightKey, join: Join, options: JoinOptions) -> Result<Self> {
        if let Some(negative) = options.retention_ms.filter(|retention| *retention < 0) {
            return Err(Error::config(format!("rows of a join cannot be kept for {negative} ms"))
                .with_hint("the retention time is whole milliseconds, or none to keep rows for ever"));
        }
        let (sides, expiring, _output) = (None, false, PhantomData);
        Ok(JoinOperator { left_key, right_key, join, options, sides, expiring, _output })
    }

    fn sides(&mut self) -> &mut (Side<K, L>, Side<K, R>) {
        self.sides.as_mut().expect("invariant: open is called first")
    }

    fn take_left(&mut self, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let (left, right) = self.sides.as_mut().expect("invariant: open is called first");
        let (key_of, join) = (&self.left_key, &self.join);
        let late =
            take_rows(left, right, batch.take_rows::<L>()?, key_of, join, batch.created_micros, context)?;
        emit_late(late, self.options.emits_late.then_some(LATE_LEFT_OUTPUT), batch.created_micros, context)
    }

    fn take_right(&mut self, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let (left, right) = self.sides.as_mut().expect("invariant: open is called first");
        let (key_of, join) = (&self.right_key, |right: &R, left: &L| (self.join)(left, right));
        let late =
            take_rows(right, left, batch.take_rows::<R>()?, key_of, join, batch.created_micros, context)?;
        emit_late(late, self.options.emits_late.then_some(LATE_RIGHT_OUTPUT), batch.created_micros, context)
    }
}

/// Joins `rows` with what `other` has kept and keeps them in `own`; answers the late ones.
fn take_rows<K: Key, T: Data, U: Data, O: Data>(
    own: &mut Side<K, T>,
    other: &Side<K, U>,
    rows: Vec<Record<T>>,
    key_of: &impl Fn(&T) -> K,
    join: impl Fn(&T, &U) -> O,
    created_micros: u64,
    context: &mut OperatorContext<'_>,
) -> Result<Vec<Record<T>>> {
    let (watermark, rows_max) = (context.watermark(), context.batch_rows_max().max(1));
    let (mut pairs, mut late) = (Vec::new(), Vec::new());
    for (number, row) in rows.into_iter().enumerate() {
        panics::at_row(number as u64);
        if own.is_expired(row.timestamp, watermark) {
            late.push(row);
            continue;
        }
        let key = key_of(&row.value);
        let hash = key.stable_hash();
        for partner in other.rows(hash, &key) {
            if other.is_expired(partner.timestamp, watermark) {
                continue;
            }
            pairs.push(Record::new(join(&row.value, &partner.value), row.timestamp.max(partner.timestamp)));
            if pairs.len() >= rows_max {
                context.emit_rows(PAIR_OUTPUT, std::mem::take(&mut pairs), created_micros)?;
            }
        }
        own.keep(hash, &key, row);
    }
    context.emit_rows(PAIR_OUTPUT, pairs, created_micros)?;
    Ok(late)
}

impl<K: Key, L: Data, R: Data, O, LeftKey, RightKey, Join> Stateful
    for JoinOperator<K, L, R, O, LeftKey, RightKey, Join>
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let Some((left, right)) = self.sides.as_mut() else { return Ok(()) };
        left.visit_states(visit)?;
        right.visit_states(visit)
    }
}

impl<K, L, R, O, LeftKey, RightKey, Join> Operator for JoinOperator<K, L, R, O, LeftKey, RightKey, Join>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    LeftKey: Fn(&L) -> K + 'static,
    RightKey: Fn(&R) -> K + 'static,
    Join: Fn(&L, &R) -> O + 'static,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let retention = self.options.retention_ms;
        let left = Side::new("left", retention, &context.states())?;
        let right = Side::new("right", retention, &context.states())?;
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
        let (left, right) = self.sides();
        let expired = left.expire(watermark)? & right.expire(watermark)?;
        self.expiring = !expired;
        Ok(if expired { Progress::Done } else { Progress::Waiting })
    }

    fn accepts_input(&self) -> bool {
        !self.expiring
    }
}
