//! INTERSECT and EXCEPT, with bags.

use super::Settings;
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::stored::{hashes_of_rows, living_table, unopened};
use crate::plan::SetOperation;
use crate::row::{RowBytes, kind, row_bytes, views_of};
use crate::types::SqlType;
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use eddyline_state::ttl::LivingTable;
use std::ops::Range;

/// How often a row is on either side.
#[derive(Debug, Clone, Copy, PartialEq, Default, Data)]
pub(crate) struct Counts {
    left: i64,
    right: i64,
}

pub(crate) struct SetOperator {
    op: SetOperation,
    all: bool,
    updating: [bool; 2],
    settings: Settings,
    counts: LivingTable<RowBytes, Counts>,
    out: Outgoing,
}

impl SetOperator {
    pub(crate) fn new(
        op: SetOperation,
        all: bool,
        updating: [bool; 2],
        output: &[SqlType],
        settings: Settings,
    ) -> Self {
        let out = Outgoing::new(output, !settings.batch);
        SetOperator { op, all, updating, settings, counts: unopened("rows"), out }
    }

    /// How often the row is in the result.
    fn copies(&self, counts: Counts) -> i64 {
        let (left, right) = (counts.left.max(0), counts.right.max(0));
        match (self.op, self.all) {
            (SetOperation::Intersect, true) => left.min(right),
            (SetOperation::Intersect, false) => left.min(right).min(1),
            (SetOperation::Except, true) => (left - right).max(0),
            (SetOperation::Except, false) => i64::from(left > 0 && right == 0),
        }
    }
}

impl Stateful for SetOperator {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.counts.managed())
    }
}

impl Operator for SetOperator {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.counts = living_table("rows", &self.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, side: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of_rows(batch, self.updating[side], rows)
    }

    fn on_batch(&mut self, side: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating[side])?;
        let views = views_of(input.rows.columns());
        self.counts.begin(context.processing_time_ms(), input.len());
        for row in 0..input.len() {
            let key = row_bytes(&views, row);
            let hash = hash_of(&key);
            let sign = if input.is_retraction(row) { -1 } else { 1 };
            let counts = self.counts.entry_or_insert_with(hash, &key, Counts::default);
            let before = *counts;
            if side == 0 {
                counts.left += sign
            } else {
                counts.right += sign
            }
            let after = *counts;
            if after == Counts::default() {
                self.counts.remove(hash, &key);
            }
            if self.settings.batch {
                continue;
            }
            let change = self.copies(after) - self.copies(before);
            let meaning = if change > 0 { kind::INSERT } else { kind::DELETE };
            for _ in 0..change.abs() {
                self.out.push(meaning, &[&key])?;
            }
            flush(&mut self.out, false, input.created_micros, context)?;
        }
        flush(&mut self.out, true, input.created_micros, context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.settings.batch {
            let mut all: Vec<(RowBytes, Counts)> = self.counts.drain();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            for (key, counts) in all {
                for _ in 0..self.copies(counts) {
                    self.out.push(kind::INSERT, &[&key])?;
                }
                flush(&mut self.out, false, 0, context)?;
            }
            flush(&mut self.out, true, 0, context)?;
        }
        Ok(Progress::Done)
    }
}
