//! Windows over both sides of a join at once, by the operator for windows of all kinds.
//!
//! A record is tagged with its side when it has come; assigner, trigger and evictor see the tagged records of both
//! sides in the order in which they came. When a window fires, its records are told apart again and given to the
//! function. Which late records belong to which side is told apart as well.

use super::{LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, LEFT_INPUT, RIGHT_INPUT};
use crate::function::Collector;
use crate::late::emit_late;
use crate::window::{Elements, ProcessWindowFunction, Window, WindowContext};
use eddyline_core::{Batch, Data, Error, EventTime, Key, Record, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use std::marker::PhantomData;
use std::ops::Range;

/// A record of either side of a join: what window assigners, triggers and evictors of joins and co-groups see.
///
/// # Examples
/// Windows of joins end as the left side says:
/// ```
/// use eddyline::join::Sided;
///
/// let is_left = |record: &Sided<u64, String>| matches!(record, Sided::Left(_));
/// assert!(is_left(&Sided::Left(7)) && !is_left(&Sided::Right("seven".to_string())));
/// ```
#[derive(Debug, Clone, PartialEq, Data)]
pub enum Sided<L, R> {
    /// Of the left side.
    Left(L),
    /// Of the right side.
    Right(R),
}

impl<L, R> Sided<L, R> {
    /// The record, if it is of the left side.
    pub fn left(&self) -> Option<&L> {
        match self {
            Sided::Left(left) => Some(left),
            Sided::Right(_) => None,
        }
    }

    /// The record, if it is of the right side.
    pub fn right(&self) -> Option<&R> {
        match self {
            Sided::Left(_) => None,
            Sided::Right(right) => Some(right),
        }
    }
}

/// Counts the late records of both sides, and emits those of each on its own output if that was asked for.
pub(crate) fn emit_late_sides<L: Data, R: Data>(
    late: Vec<Record<Sided<L, R>>>,
    emits_late: bool,
    created_micros: u64,
    context: &mut OperatorContext<'_>,
) -> Result<()> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for Record { value, timestamp } in late {
        match value {
            Sided::Left(value) => left.push(Record { value, timestamp }),
            Sided::Right(value) => right.push(Record { value, timestamp }),
        }
    }
    emit_late(left, emits_late.then_some(LATE_LEFT_OUTPUT), created_micros, context)?;
    emit_late(right, emits_late.then_some(LATE_RIGHT_OUTPUT), created_micros, context)
}

/// An operator on [`Sided`] records that takes the two sides by two inputs.
pub(crate) struct TwoSides<L, R, O> {
    inner: O,
    _sides: PhantomData<fn(L, R)>,
}

impl<L, R, O> TwoSides<L, R, O> {
    pub(crate) fn new(inner: O) -> Self {
        TwoSides { inner, _sides: PhantomData }
    }
}

/// The rows of a batch, tagged.
fn tagged<T: Data, S: Data>(batch: &mut Batch, side: impl Fn(T) -> S) -> Result<Batch> {
    let rows = batch.take_rows::<T>()?.into_iter();
    let tagged = rows.map(|Record { value, timestamp }| Record { value: side(value), timestamp });
    Ok(Batch::from_rows(tagged.collect::<Vec<_>>(), batch.created_micros))
}

/// Copies of some rows of a batch, tagged: the function for keys of the inner operator knows tagged records only.
fn copied<T: Data, S: Data>(batch: &Batch, rows: Range<usize>, side: impl Fn(T) -> S) -> Result<Batch> {
    let rows = batch.rows::<T>()?[rows].iter();
    let tagged = rows.map(|row| Record { value: side(row.value.clone()), timestamp: row.timestamp });
    Ok(Batch::from_rows(tagged.collect::<Vec<_>>(), batch.created_micros))
}

impl<L, R, O: Stateful> Stateful for TwoSides<L, R, O> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.inner.visit_states(visit)
    }
}

impl<L: Data, R: Data, O: Operator> Operator for TwoSides<L, R, O> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.inner.open(context)
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.inner.restored(context)
    }

    fn key_hashes(&mut self, input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        let tagged = match input {
            LEFT_INPUT => copied(batch, rows, Sided::<L, R>::Left)?,
            _ => copied(batch, rows, Sided::<L, R>::Right)?,
        };
        self.inner.key_hashes(0, &tagged, 0..tagged.len())
    }

    fn on_batch(&mut self, input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let tagged = match input {
            LEFT_INPUT => tagged(&mut batch, Sided::<L, R>::Left)?,
            RIGHT_INPUT => tagged(&mut batch, Sided::<L, R>::Right)?,
            other => return Err(Error::internal(format!("a join has no input {other}"))),
        };
        self.inner.on_batch(0, tagged, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.inner.on_watermark(watermark, context)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.inner.on_processing_time(now_ms, context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.inner.on_end(context)
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        self.inner.before_snapshot(checkpoint, context)
    }

    fn output_watermark(&self, input: EventTime) -> EventTime {
        self.inner.output_watermark(input)
    }

    fn is_idle(&self, inputs_idle: bool) -> bool {
        self.inner.is_idle(inputs_idle)
    }

    fn accepts_input(&self) -> bool {
        self.inner.accepts_input()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// Every pair of a left and a right record, as a window function. All results of a window are held at once.
pub(crate) struct PairFunction<F, L, R> {
    pub(crate) join: F,
    pub(crate) _sides: PhantomData<fn(L, R)>,
}

impl<K, W, L, R, O, F> ProcessWindowFunction<K, W, Sided<L, R>, O> for PairFunction<F, L, R>
where
    K: Key,
    W: Window,
    L: Data,
    R: Data,
    O: Data,
    F: Fn(&L, &R, &mut Collector<O>) + 'static,
{
    fn process(
        &mut self,
        _key: &K,
        elements: Elements<'_, Sided<L, R>>,
        _context: &mut WindowContext<'_, W>,
        out: &mut Collector<O>,
    ) -> Result<()> {
        let right: Vec<&R> = elements.iter().filter_map(Sided::right).collect();
        for left in elements.iter().filter_map(Sided::left) {
            right.iter().for_each(|right| (self.join)(left, right, out));
        }
        Ok(())
    }
}

/// Both sides at once, as a window function.
pub(crate) struct GroupFunction<F, L, R> {
    group: F,
    left: Vec<L>,
    right: Vec<R>,
}

impl<F, L, R> GroupFunction<F, L, R> {
    pub(crate) fn new(group: F) -> Self {
        GroupFunction { group, left: Vec::new(), right: Vec::new() }
    }
}

impl<K, W, L, R, O, F> ProcessWindowFunction<K, W, Sided<L, R>, O> for GroupFunction<F, L, R>
where
    K: Key,
    W: Window,
    L: Data,
    R: Data,
    O: Data,
    F: Fn(&K, &W, &[L], &[R], &mut Collector<O>) -> Result<()> + 'static,
{
    fn process(
        &mut self,
        key: &K,
        elements: Elements<'_, Sided<L, R>>,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<O>,
    ) -> Result<()> {
        self.left.extend(elements.iter().filter_map(Sided::left).cloned());
        self.right.extend(elements.iter().filter_map(Sided::right).cloned());
        let outcome = (self.group)(key, context.window(), &self.left, &self.right, out);
        self.left.clear();
        self.right.clear();
        outcome
    }
}
