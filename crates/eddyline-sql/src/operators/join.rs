//! Joins: of everything that ever came, and window by window.

use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, damaged, flush, hash_of};
use super::join_ttl::{Life, NEVER_TOUCHED};
use super::stored::{hashes_of, keyed_table};
use super::{Settings, failed, wall_micros};
use crate::expr::{Typed, evaluate_predicate};
use crate::plan::JoinKind;
use crate::row::{ColumnView, RowBytes, Value, columns_of_rows, kind, row_bytes, views_of};
use crate::types::SqlType;
use arrow_array::{ArrayRef, BooleanArray};
use eddyline_core::{Batch, Data, EventTime, Reader, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, NamespacedTable};
use std::collections::BTreeMap;
use std::ops::Range;

/// The rows of one key on one side.
#[derive(Debug, Clone, PartialEq, Default, Data)]
pub(crate) struct Rows {
    pub(super) rows: BTreeMap<Vec<u8>, Copies>,
}

/// How often a row is there, and how many rows of the other side match it.
#[derive(Debug, Clone, Copy, PartialEq, Data)]
pub(crate) struct Copies {
    pub(super) count: i64,
    matches: i64,
    /// When it was written last, if rows have a time to live: see [`super::join_ttl`].
    pub(super) touched_ms: i64,
}

impl Default for Copies {
    fn default() -> Self {
        Copies { count: 0, matches: 0, touched_ms: NEVER_TOUCHED }
    }
}

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

    /// Which of `others` match the row of `side`.
    pub(super) fn matching<'r>(
        &self,
        side: usize,
        row: &[u8],
        others: Vec<&'r [u8]>,
    ) -> Result<Vec<&'r [u8]>> {
        let Some(residual) = &self.residual else { return Ok(others) };
        if others.is_empty() {
            return Ok(others);
        }
        let own = columns_of_rows(&self.types[side], std::iter::repeat_n(row, others.len()));
        let holds =
            self.holds(residual, side, own.map_err(damaged)?, others.iter().copied(), others.len())?;
        Ok(others
            .into_iter()
            .enumerate()
            .filter(|(place, _)| holds.value(*place))
            .map(|(_, other)| other)
            .collect())
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

    /// Gives the join of all rows of `key`.
    fn join_all(
        &self,
        key: &[u8],
        left: Option<&Rows>,
        right: Option<&Rows>,
        out: &mut Outgoing,
    ) -> Result<()> {
        if left.is_some() && right.is_some() && self.is_unequal_to_itself(key)? {
            self.join_all(key, left, None, out)?;
            return self.join_all(key, None, right, out);
        }
        let empty = Rows::default();
        let (left, right) = (left.unwrap_or(&empty), right.unwrap_or(&empty));
        let mut matched: BTreeMap<&[u8], ()> = BTreeMap::new();
        for (row, copies) in &left.rows {
            let others: Vec<&[u8]> = right.rows.keys().map(Vec::as_slice).collect();
            let others = self.matching(0, row, others)?;
            for _ in 0..copies.count {
                match self.kind {
                    JoinKind::Semi if !others.is_empty() => self.alone(out, kind::INSERT, 0, row)?,
                    JoinKind::Anti if others.is_empty() => self.alone(out, kind::INSERT, 0, row)?,
                    JoinKind::Semi | JoinKind::Anti => {}
                    _ if others.is_empty() && self.pads(0) => self.alone(out, kind::INSERT, 0, row)?,
                    _ => {
                        for other in &others {
                            let times = right.rows.get(*other).map_or(0, |copies| copies.count);
                            for _ in 0..times {
                                self.pair(out, kind::INSERT, 0, row, other)?;
                            }
                        }
                    }
                }
            }
            if self.pads(1) {
                matched.extend(others.into_iter().map(|other| (other, ())));
            }
        }
        if self.pads(1) {
            for (row, copies) in right.rows.iter().filter(|(row, _)| !matched.contains_key(row.as_slice())) {
                for _ in 0..copies.count {
                    self.alone(out, kind::INSERT, 1, row)?;
                }
            }
        }
        Ok(())
    }
}

pub(super) fn has_null(views: &[ColumnView<'_>], keys: &[usize], row: usize) -> bool {
    keys.iter().any(|key| views[*key].is_null(row))
}

pub(super) fn add(rows: &mut Rows, row: Vec<u8>, sign: i64, now_ms: i64) {
    let copies = rows.rows.entry(row.clone()).or_default();
    copies.count += sign;
    copies.touched_ms = now_ms;
    if copies.count == 0 {
        rows.rows.remove(&row);
    }
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
        let others: Vec<&[u8]> = self.sides[other]
            .get(hash, key)
            .map(|rows| life.living(rows).map(|(row, _)| row).collect())
            .unwrap_or_default();
        let matching: Vec<Vec<u8>> =
            spec.matching(side, &row, others)?.into_iter().map(<[u8]>::to_vec).collect();
        let mut matches = 0;
        let is_existence = matches!(spec.kind, JoinKind::Semi | JoinKind::Anti);
        for found in &matching {
            let Some(copies) =
                self.sides[other].get(hash, key).and_then(|rows| rows.rows.get(found)).copied()
            else {
                continue;
            };
            matches += copies.count;
            let before = copies.matches;
            let after = before + sign;
            if spec.counts(other)
                && let Some(rows) = self.sides[other].get_mut(hash, key)
                && let Some(copies) = rows.rows.get_mut(found)
            {
                copies.matches = after;
                copies.touched_ms = life.now_ms();
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
        // A row that is taken back and never was there leaves nothing behind.
        if !retracts || rows.rows.contains_key(&row) {
            let copies = rows.rows.entry(row.clone()).or_default();
            copies.count += sign;
            copies.matches = matches;
            copies.touched_ms = self.lives[side].now_ms();
            if copies.count == 0 {
                rows.rows.remove(&row);
            }
        }
        let is_empty = rows.rows.is_empty();
        if is_empty {
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
                add(rows, bytes, sign, NEVER_TOUCHED);
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
            self.spec.join_all(&key, left, right, &mut self.out)?;
            flush(&mut self.out, false, 0, context)?;
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
                self.spec.join_all(key, left.get(key), right.get(key), &mut self.out)?;
                flush(&mut self.out, false, 0, context)?;
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
            add(rows, row_bytes(&views, row), sign, NEVER_TOUCHED);
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
