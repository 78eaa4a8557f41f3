//! Changes of rows with a key, made whole: what comes twice is given once, and what an update replaces is what was given.

use super::Settings;
use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::stored::{hashes_of, living_table, unopened};
use crate::row::{RowBytes, kind, row_bytes, views_of};
use crate::types::SqlType;
use eddyline_core::{Batch, Result};
use eddyline_runtime::{Operator, OperatorContext, Stateful};
use eddyline_state::ManagedState;
use eddyline_state::ttl::LivingTable;
use std::ops::Range;

pub(crate) struct ChangelogNormalize {
    keys: Vec<usize>,
    rows: LivingTable<RowBytes, RowBytes>,
    settings: Settings,
    out: Outgoing,
}

impl ChangelogNormalize {
    /// Rows of `types` with the key columns `keys`.
    pub(crate) fn new(keys: Vec<usize>, types: &[SqlType], settings: Settings) -> Self {
        ChangelogNormalize { keys, rows: unopened("rows"), out: Outgoing::new(types, true), settings }
    }
}

impl Stateful for ChangelogNormalize {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.rows.managed())
    }
}

impl Operator for ChangelogNormalize {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.rows = living_table("rows", &self.settings, context)?;
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, true, &self.keys, rows)
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, true)?;
        let views = views_of(input.rows.columns());
        self.rows.begin(context.processing_time_ms(), input.len());
        for row in 0..input.len() {
            let meaning = input.kind(row);
            if meaning == kind::UPDATE_BEFORE {
                continue;
            }
            let mut key = RowBytes::new();
            encode_columns(&views, &self.keys, row, &mut key);
            let hash = hash_of(&key);
            if meaning == kind::DELETE {
                if let Some(before) = self.rows.get(hash, &key) {
                    self.out.push(kind::DELETE, &[before])?;
                    self.rows.remove(hash, &key);
                }
            } else {
                let bytes = row_bytes(&views, row);
                match self.rows.get(hash, &key) {
                    Some(before) if *before == bytes => continue,
                    Some(before) => {
                        self.out.push(kind::UPDATE_BEFORE, &[before])?;
                        self.out.push(kind::UPDATE_AFTER, &[&bytes])?;
                    }
                    None => self.out.push(kind::INSERT, &[&bytes])?,
                }
                *self.rows.entry_or_insert_with(hash, &key, RowBytes::new) = bytes;
            }
            flush(&mut self.out, false, input.created_micros, context)?;
        }
        flush(&mut self.out, true, input.created_micros, context)
    }
}
