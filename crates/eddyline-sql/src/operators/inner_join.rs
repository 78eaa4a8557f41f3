//! Inner joins of everything that ever came, a batch at a time.
//!
//! A row's partners are those of the other side, which the batch does not change, and nothing depends on how many there
//! are: so the pairs of many rows are found first, and the residual condition is computed over all of them at once.

use super::aggregate::encode_columns;
use super::batches::{Incoming, flush, hash_of};
use super::join::{PAIRS, StreamJoin, has_null};
use super::join_rows::Rows;
use crate::row::{RowBytes, encode_row, views_of};
use arrow_array::{ArrayRef, UInt32Array};
use eddyline_core::{Error, Result};
use eddyline_runtime::OperatorContext;

/// A row of the batch, and a row of the other side with how often that is there.
type Pair<'r> = (u32, &'r [u8], i64);

impl StreamJoin {
    /// Joins a batch of `side` with the other side and keeps its rows.
    pub(super) fn join_inner(
        &mut self,
        side: usize,
        input: &Incoming,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let views = views_of(input.rows.columns());
        let keys = self.spec.keys[side].clone();
        let mut key = RowBytes::new();
        let mut first = 0;
        while first < input.len() {
            let (theirs, life) = (&self.sides[1 - side], &self.lives[1 - side]);
            let mut pairs: Vec<Pair<'_>> = Vec::new();
            let mut end = first;
            while end < input.len() && pairs.len() < PAIRS {
                if !has_null(&views, &keys, end) {
                    key.clear();
                    encode_columns(&views, &keys, end, &mut key);
                    let found = theirs.get(hash_of(&key), &key);
                    let rows = found.into_iter().flat_map(|found| life.living(found));
                    pairs.extend(rows.map(|(other, copies)| (end as u32, other, copies.count)));
                }
                end += 1;
            }
            let passes = self.passing(side, input, &pairs)?;
            let mut row = RowBytes::new();
            for (place, (number, other, times)) in pairs.iter().enumerate() {
                if !passes.as_ref().is_none_or(|passes| passes.value(place)) {
                    continue;
                }
                let number = *number as usize;
                row.clear();
                encode_row(&views, number, &mut row);
                for _ in 0..*times {
                    self.spec.pair(&mut self.out, input.kind(number), side, &row, other)?;
                }
                flush(&mut self.out, false, input.created_micros, context)?;
            }
            first = end;
        }
        let mut bytes = RowBytes::new();
        for row in 0..input.len() {
            // NULL equals nothing: such a row never finds a partner.
            if has_null(&views, &keys, row) {
                continue;
            }
            key.clear();
            encode_columns(&views, &keys, row, &mut key);
            bytes.clear();
            encode_row(&views, row, &mut bytes);
            self.keep(side, &key, &bytes, if input.is_retraction(row) { -1 } else { 1 });
        }
        flush(&mut self.out, true, input.created_micros, context)
    }

    /// Which of `pairs` the residual condition holds for; none if there is no condition.
    fn passing(
        &self,
        side: usize,
        input: &Incoming,
        pairs: &[Pair<'_>],
    ) -> Result<Option<arrow_array::BooleanArray>> {
        let Some(residual) = &self.spec.residual else { return Ok(None) };
        let indices = UInt32Array::from_iter_values(pairs.iter().map(|(row, ..)| *row));
        let take = |column: &ArrayRef| {
            arrow_select::take::take(column, &indices, None)
                .map_err(|error| Error::internal(error.to_string()))
        };
        let own = input.rows.columns().iter().map(take).collect::<Result<Vec<_>>>()?;
        let others = pairs.iter().map(|(_, other, _)| *other);
        self.spec.holds(residual, side, own, others, pairs.len()).map(Some)
    }

    fn keep(&mut self, side: usize, key: &RowBytes, row: &[u8], sign: i64) {
        let hash = hash_of(key);
        let rows = self.sides[side].entry_or_insert_with(hash, key, Rows::default);
        let (life, appends) = (&self.lives[side], !self.spec.updating[side]);
        life.forget(rows, row);
        // A row that is taken back and never was there leaves nothing behind.
        if sign > 0 || rows.get(row).is_some() {
            life.add(rows, row, sign, appends);
        }
        if rows.is_empty() {
            self.sides[side].remove(hash, key);
        }
    }
}
