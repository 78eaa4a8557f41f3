//! Joins: of everything that ever came, and window by window.

use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, damaged, flush, hash_of};
use super::join_rows::{Copies, Rows};
use super::join_ttl::Life;
use super::stored::{hashes_of, keyed_table};
use super::{Settings, failed, wall_micros};
use crate::expr::{Typed, evaluate_predicate};
use crate::plan::JoinKind;
use crate::row::{ColumnView, RowBytes, Value, columns_of_rows, kind, row_bytes, views_of};
use crate::types::SqlType;
use arrow_array::{ArrayRef, BooleanArray, UInt32Array};
use eddyline_core::{Batch, Error, EventTime, Reader, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, NamespacedTable};
use std::collections::BTreeMap;
use std::ops::Range;

/// Pairs whose residual condition is computed at once; a row has all of its own.
pub(super) const PAIRS: usize = 4_096;

/// What a join computes.
#[derive(Clone)]
pub(crate) struct JoinSpec {
    pub(crate) kind: JoinKind,
    /// The columns of each side by which rows meet.
    pub(crate) keys: [Vec<usize>; 2],
    /// Keys of which a NULL on both sides is equal.
    pub(crate) types: [Vec<SqlType>; 2],
    pub(crate) updating: [bool; 2],
    /// What else has to hold, over both sides.
    pub(crate) residual: Option<Typed>,
    /// Whether rows of the result may be taken back.
    pub(crate) output_updating: bool,
    pub(crate) output: Vec<SqlType>,
    /// How long the rows of each side live after they were last written, milliseconds; 0 is for ever.
    pub(crate) ttl_ms: [i64; 2],
    pub(crate) settings: Settings,
}

impl JoinSpec {
    pub(super) fn pads(&self, side: usize) -> bool {
        if side == 0 { self.kind.pads_right() } else { self.kind.pads_left() }
    }

    /// Whether matches of that side's rows are counted.
    fn counts(&self, side: usize) -> bool {
        self.pads(side) || (side == 0 && matches!(self.kind, JoinKind::Semi | JoinKind::Anti))
    }

    /// Gives the pair of a row of `side` and one of the other.
    pub(super) fn pair(
        &self,
        out: &mut Outgoing,
        meaning: i8,
        side: usize,
        row: &[u8],
        other: &[u8],
    ) -> Result<()> {
        let (left, right) = if side == 0 { (row, other) } else { (other, row) };
        out.push(meaning, &[left, right])
    }

    /// Gives a row of `side` alone: padded, or as it is in semi and anti joins.
    pub(super) fn alone(&self, out: &mut Outgoing, meaning: i8, side: usize, row: &[u8]) -> Result<()> {
        if side == 0 {
            out.push(meaning, &[row])
        } else {
            out.push_behind_nulls(meaning, self.types[0].len(), row)
        }
    }

    /// Which of `others`, rows of the other side, match the row of `side`.
    pub(super) fn matching<O>(
        &self,
        side: usize,
        row: &[u8],
        others: Vec<O>,
        bytes: impl Fn(&O) -> &[u8],
    ) -> Result<Vec<O>> {
        let Some(residual) = &self.residual else { return Ok(others) };
        if others.is_empty() {
            return Ok(others);
        }
        let own = columns_of_rows(&self.types[side], std::iter::repeat_n(row, others.len()));
        let rows = others.iter().map(bytes);
        let holds = self.holds(residual, side, own.map_err(damaged)?, rows, others.len())?;
        let found = others.into_iter().enumerate().filter(|(place, _)| holds.value(*place));
        Ok(found.map(|(_, other)| other).collect())
    }

    /// For which pairs of a row in the columns `own` of `side` and one of `others` the residual condition holds.
    pub(super) fn holds<'r>(
        &self,
        residual: &Typed,
        side: usize,
        own: Vec<ArrayRef>,
        others: impl Iterator<Item = &'r [u8]>,
        count: usize,
    ) -> Result<BooleanArray> {
        let theirs = columns_of_rows(&self.types[1 - side], others).map_err(damaged)?;
        let (mut columns, right) = if side == 0 { (own, theirs) } else { (theirs, own) };
        columns.extend(right);
        self.holds_over(residual, columns, count)
    }

    /// Where the residual condition holds over the columns of both sides.
    fn holds_over(&self, residual: &Typed, columns: Vec<ArrayRef>, count: usize) -> Result<BooleanArray> {
        let batch = super::batches::assemble(columns, count, None)?;
        let context = self.settings.context(wall_micros());
        evaluate_predicate(residual, &batch, &context).map_err(|error| failed("Join", error))
    }

    /// Whether nothing depends on how many matches a row has: then the pairs of many rows can be found at once.
    pub(super) fn is_inner(&self) -> bool {
        !(self.counts(0) || self.counts(1) || matches!(self.kind, JoinKind::Semi | JoinKind::Anti))
    }

    /// Whether `key`, which is encoded, has a NULL.
    fn is_unequal_to_itself(&self, key: &[u8]) -> Result<bool> {
        let mut input = Reader::new(key);
        for column in &self.keys[0] {
            let kind = &self.types[0][*column].kind;
            if Value::decode(kind, &mut input).map_err(damaged)?.is_null() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives the join of all rows of `key`; `give` passes on what is ready.
    fn join_all(
        &self,
        key: &[u8],
        left: Option<&Rows>,
        right: Option<&Rows>,
        out: &mut Outgoing,
        give: &mut dyn FnMut(&mut Outgoing) -> Result<()>,
    ) -> Result<()> {
        if left.is_some() && right.is_some() && self.is_unequal_to_itself(key)? {
            self.join_all(key, left, None, out, give)?;
            return self.join_all(key, None, right, out, give);
        }
        let (lefts, rights) = (listed(left), listed(right));
        let theirs = match &self.residual {
            Some(_) if !lefts.is_empty() => columns_of(&self.types[1], &rights)?,
            _ => Vec::new(),
        };
        let mut matched = vec![false; rights.len()];
        // The condition is computed for the pairs of many rows at once.
        for chunk in lefts.chunks((PAIRS / rights.len().max(1)).max(1)) {
            let holds = match &self.residual {
                Some(residual) if !rights.is_empty() => {
                    let own = columns_of(&self.types[0], chunk)?;
                    Some(self.holds_for_all(residual, &own, chunk.len(), &theirs, rights.len())?)
                }
                _ => None,
            };
            for (number, (row, count)) in chunk.iter().enumerate() {
                let first = number * rights.len();
                let meets = |other: &usize| holds.as_ref().is_none_or(|holds| holds.value(first + other));
                let others: Vec<usize> = (0..rights.len()).filter(meets).collect();
                let alone = match self.kind {
                    JoinKind::Semi => !others.is_empty(),
                    JoinKind::Anti => others.is_empty(),
                    _ => others.is_empty() && self.pads(0),
                };
                for _ in 0..*count {
                    if alone {
                        self.alone(out, kind::INSERT, 0, row)?;
                    } else if self.kind.has_right() {
                        for (other, times) in others.iter().map(|other| &rights[*other]) {
                            for _ in 0..*times {
                                self.pair(out, kind::INSERT, 0, row, other)?;
                            }
                        }
                    }
                    give(out)?;
                }
                others.iter().for_each(|other| matched[*other] = true);
            }
        }
        if self.pads(1) {
            for ((row, count), _) in rights.iter().zip(matched).filter(|(_, matched)| !matched) {
                for _ in 0..*count {
                    self.alone(out, kind::INSERT, 1, row)?;
                }
            }
        }
        give(out)
    }

    /// For which pairs of one of `lefts` rows and one of `rights` rows the residual condition holds: all pairs of the first
    /// row, then all of the second one, and so on.
    fn holds_for_all(
        &self,
        residual: &Typed,
        own: &[ArrayRef],
        lefts: usize,
        theirs: &[ArrayRef],
        rights: usize,
    ) -> Result<BooleanArray> {
        let of_left = (0..lefts).flat_map(|row| std::iter::repeat_n(row as u32, rights));
        let of_left = UInt32Array::from_iter_values(of_left);
        let of_right = UInt32Array::from_iter_values((0..lefts).flat_map(|_| 0..rights as u32));
        let take = |column: &ArrayRef, rows: &UInt32Array| {
            arrow_select::take::take(column, rows, None).map_err(|error| Error::internal(error.to_string()))
        };
        let mut columns = own.iter().map(|column| take(column, &of_left)).collect::<Result<Vec<_>>>()?;
        for column in theirs {
            columns.push(take(column, &of_right)?);
        }
        self.holds_over(residual, columns, lefts * rights)
    }
}

/// The rows and how often each is there.
fn listed(rows: Option<&Rows>) -> Vec<(&[u8], i64)> {
    rows.into_iter().flat_map(Rows::iter).map(|(row, copies)| (row, copies.count)).collect()
}

fn columns_of(types: &[SqlType], rows: &[(&[u8], i64)]) -> Result<Vec<ArrayRef>> {
    columns_of_rows(types, rows.iter().map(|(row, _)| *row)).map_err(damaged)
}

pub(super) fn has_null(views: &[ColumnView<'_>], keys: &[usize], row: usize) -> bool {
    keys.iter().any(|key| views[*key].is_null(row))
}

/// A join of everything that ever came.
pub(crate) struct StreamJoin {
    pub(super) spec: JoinSpec,
    pub(super) sides: [KeyedTable<RowBytes, Rows>; 2],
    pub(super) lives: [Life; 2],
    pub(super) out: Outgoing,
}

impl StreamJoin {
    pub(crate) fn new(spec: JoinSpec) -> Self {
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        let out = Outgoing::new(&spec.output, spec.output_updating);
        let sides = ["left", "right"].map(|name| KeyedTable::new(name, range, 1));
        StreamJoin { spec, sides, lives: Default::default(), out }
    }

    /// A row of `side` comes or goes.
    fn change(&mut self, side: usize, key: &RowBytes, row: Vec<u8>, meaning: i8) -> Result<()> {
        let retracts = kind::is_retraction(meaning);
        let sign = if retracts { -1 } else { 1 };
        let hash = hash_of(key);
        let other = 1 - side;
        let spec = &self.spec;
        let life = &self.lives[other];
        let others: Vec<(&[u8], Copies)> =
            self.sides[other].get(hash, key).into_iter().flat_map(|rows| life.living(rows)).collect();
        let matching = spec.matching(side, &row, others, |(other, _)| other)?;
        let matching: Vec<(Vec<u8>, Copies)> =
            matching.into_iter().map(|(other, copies)| (other.to_vec(), copies)).collect();
        let mut matches = 0;
        let is_existence = matches!(spec.kind, JoinKind::Semi | JoinKind::Anti);
        for (found, copies) in &matching {
            matches += copies.count;
            let before = copies.matches;
            let after = before + sign;
            if spec.counts(other)
                && let Some(rows) = self.sides[other].get_mut(hash, key)
            {
                life.set(rows, found, Copies { matches: after, ..*copies });
            }
            if is_existence {
                // The right side decides about rows of the left.
                if side == 1 && (before == 0) != (after == 0) {
                    let appears = (after > 0) == (spec.kind == JoinKind::Semi);
                    let meaning = if appears { kind::INSERT } else { kind::DELETE };
                    for _ in 0..copies.count {
                        spec.alone(&mut self.out, meaning, 0, found)?;
                    }
                }
                continue;
            }
            for _ in 0..copies.count {
                if spec.pads(other) && before == 0 && !retracts {
                    spec.alone(&mut self.out, kind::DELETE, other, found)?;
                }
                spec.pair(&mut self.out, meaning, side, &row, found)?;
                if spec.pads(other) && after == 0 && retracts {
                    spec.alone(&mut self.out, kind::INSERT, other, found)?;
                }
            }
        }
        let rows = self.sides[side].entry_or_insert_with(hash, key, Rows::default);
        self.lives[side].forget(rows, &row);
        let known = rows.get(&row);
        // A row that is taken back and never was there leaves nothing behind.
        if !retracts || known.is_some() {
            let count = known.map_or(0, |known| known.count) + sign;
            self.lives[side].set(rows, &row, Copies { count, matches });
        }
        if rows.is_empty() {
            self.sides[side].remove(hash, key);
        }
        self.own(side, &row, meaning, matches)
    }

    /// What a row of `side` with so many matches gives by itself.
    fn own(&mut self, side: usize, row: &[u8], meaning: i8, matches: i64) -> Result<()> {
        let spec = &self.spec;
        let shows = match spec.kind {
            JoinKind::Semi => side == 0 && matches > 0,
            JoinKind::Anti => side == 0 && matches == 0,
            _ => spec.pads(side) && matches == 0,
        };
        if shows { spec.alone(&mut self.out, meaning, side, row) } else { Ok(()) }
    }
}

impl Stateful for StreamJoin {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.sides.iter_mut().try_for_each(|side| visit(side))
    }
}

impl Operator for StreamJoin {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        for (side, name) in ["left", "right"].into_iter().enumerate() {
            let ttl_ms = if self.spec.settings.batch { 0 } else { self.spec.ttl_ms[side] };
            (self.sides[side], self.lives[side]) = if ttl_ms > 0 {
                let mut table = context.states().aging_table(name)?;
                let life = Life::new(&mut table, ttl_ms);
                (table, life)
            } else {
                (keyed_table(name, &self.spec.settings, context)?, Life::default())
            };
        }
        Ok(())
    }

    fn key_hashes(&mut self, side: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating[side], &self.spec.keys[side], rows)
    }

    fn on_batch(&mut self, side: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating[side])?;
        for (life, table) in self.lives.iter_mut().zip(&mut self.sides) {
            life.begin(table, context.processing_time_ms(), input.len());
        }
        if !self.spec.settings.batch && self.spec.is_inner() {
            return self.join_inner(side, &input, context);
        }
        let views = views_of(input.rows.columns());
        let keys = self.spec.keys[side].clone();
        for row in 0..input.len() {
            let bytes = row_bytes(&views, row);
            let meaning = input.kind(row);
            let mut key = RowBytes::new();
            if has_null(&views, &keys, row) {
                // NULL equals nothing. Final results are given at the end, so such rows wait for it.
                if !self.spec.settings.batch {
                    self.own(side, &bytes, meaning, 0)?;
                    flush(&mut self.out, false, input.created_micros, context)?;
                    continue;
                }
                if !self.spec.counts(side) || self.spec.kind == JoinKind::Semi {
                    continue;
                }
            }
            encode_columns(&views, &keys, row, &mut key);
            if self.spec.settings.batch {
                let sign = if kind::is_retraction(meaning) { -1 } else { 1 };
                let rows = self.sides[side].entry_or_insert_with(hash_of(&key), &key, Rows::default);
                rows.add(&bytes, sign, !self.spec.updating[side]);
            } else {
                self.change(side, &key, bytes, meaning)?;
                flush(&mut self.out, false, input.created_micros, context)?;
            }
        }
        flush(&mut self.out, true, input.created_micros, context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.spec.settings.batch {
            return Ok(Progress::Done);
        }
        let mut keys: Vec<RowBytes> = self.sides[0].iter().map(|(key, _)| key.clone()).collect();
        if self.spec.pads(1) {
            keys.extend(self.sides[1].iter().map(|(key, _)| key.clone()));
        }
        keys.sort();
        keys.dedup();
        for key in keys {
            let hash = hash_of(&key);
            let (left, right) = (self.sides[0].get(hash, &key), self.sides[1].get(hash, &key));
            self.spec.join_all(&key, left, right, &mut self.out, &mut |out| flush(out, false, 0, context))?;
        }
        flush(&mut self.out, true, 0, context)?;
        Ok(Progress::Done)
    }
}

/// A join of the rows of equal windows, computed when the window is over.
pub(crate) struct WindowJoin {
    spec: JoinSpec,
    /// The column of the window's end on each side.
    ends: [usize; 2],
    sides: [NamespacedTable<RowBytes, Rows>; 2],
    out: Outgoing,
}

impl WindowJoin {
    pub(crate) fn new(spec: JoinSpec, ends: [usize; 2]) -> Self {
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        let out = Outgoing::new(&spec.output, false);
        WindowJoin {
            spec,
            ends,
            sides: ["left", "right"].map(|name| NamespacedTable::new(name, range, 1)),
            out,
        }
    }

    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<()> {
        loop {
            let firsts = self.sides.iter().filter_map(NamespacedTable::first_namespace);
            let Some(end) = firsts.min().filter(|end| *end <= until) else { break };
            let [left, right] = &mut self.sides;
            let left: BTreeMap<RowBytes, Rows> =
                left.take_namespace(end).map(|(_, key, rows)| (key, rows)).collect();
            let right: BTreeMap<RowBytes, Rows> =
                right.take_namespace(end).map(|(_, key, rows)| (key, rows)).collect();
            let mut keys: Vec<&RowBytes> = left.keys().collect();
            if self.spec.pads(1) {
                keys.extend(right.keys().filter(|key| !left.contains_key(*key)));
            }
            for key in keys {
                let (left, right) = (left.get(key), right.get(key));
                let mut give = |out: &mut Outgoing| flush(out, false, 0, context);
                self.spec.join_all(key, left, right, &mut self.out, &mut give)?;
            }
        }
        flush(&mut self.out, true, 0, context)
    }
}

impl Stateful for WindowJoin {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.sides.iter_mut().try_for_each(|side| visit(side))
    }
}

impl Operator for WindowJoin {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.sides =
            ["left", "right"].map(|name| NamespacedTable::new(name, info.key_groups, info.max_parallelism));
        Ok(())
    }

    fn on_batch(&mut self, side: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating[side])?;
        let views = views_of(input.rows.columns());
        let closed = if self.spec.settings.batch {
            EventTime::MIN
        } else {
            self.spec.settings.ends_closed_by(context.watermark())
        };
        let mut late = 0;
        for row in 0..input.len() {
            let Some(end) = views[self.ends[side]].int(row).map(|end| end.div_euclid(1_000)) else {
                continue;
            };
            if end <= closed {
                late += 1;
                continue;
            }
            let mut key = RowBytes::new();
            encode_columns(&views, &self.spec.keys[side], row, &mut key);
            let sign = if input.is_retraction(row) { -1 } else { 1 };
            let rows = self.sides[side].entry(end, hash_of(&key), &key, Rows::default);
            rows.add(&row_bytes(&views, row), sign, !self.spec.updating[side]);
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
