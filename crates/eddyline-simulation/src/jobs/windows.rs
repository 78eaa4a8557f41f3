//! Tumbling windows per key, fired by the watermark.

use super::rows::{Event, Kind, Outcome};
use crate::scenario::WINDOW_MS;
use eddyline_core::data::Data;
use eddyline_core::{Batch, EventTime, Record, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, NamespacedTable};

/// Count and sum.
pub type Tally = (u64, i64);

/// The end of the window that a record at `at` belongs to.
pub fn window_end(at: EventTime) -> EventTime {
    (at.div_euclid(WINDOW_MS) + 1) * WINDOW_MS
}

/// A row for the sink.
pub fn row(branch: u32, kind: Kind, key: u64, at: EventTime, (count, sum): Tally) -> Record<Outcome> {
    Record::new(Outcome { branch, kind: kind.number(), key, at, count, sum }, at.saturating_sub(1))
}

/// The operator.
pub struct Windows {
    branch: u32,
    table: Option<NamespacedTable<u64, Tally>>,
}

impl Windows {
    /// For branch number `branch`.
    pub fn new(branch: u32) -> Self {
        Windows { branch, table: None }
    }
}

impl Stateful for Windows {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        match &mut self.table {
            Some(table) => visit(table),
            None => Ok(()),
        }
    }
}

impl Operator for Windows {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.table = Some(NamespacedTable::new("windows", info.key_groups, info.max_parallelism));
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(table) = &mut self.table else { return Ok(()) };
        let mut late = Vec::new();
        for record in batch.take_rows::<Event>()? {
            let (event, end) = (record.value, window_end(record.timestamp));
            if end <= context.watermark() {
                late.push(row(self.branch, Kind::Late, event.key, end, (1, event.value)));
                continue;
            }
            let tally = table.entry(end, event.key.stable_hash(), &event.key, || (0, 0));
            tally.0 += 1;
            tally.1 += event.value;
        }
        context.count_late(late.len() as u64);
        context.emit_rows(0, late, batch.created_micros)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let Some(table) = &mut self.table else { return Ok(Progress::Done) };
        while let Some(end) = table.first_namespace().filter(|end| *end <= watermark) {
            if !context.has_room() {
                return Ok(Progress::More);
            }
            let rows: Vec<_> = table
                .take_namespace(end)
                .map(|(_, key, tally)| row(self.branch, Kind::Window, key, end, tally))
                .collect();
            for part in rows.chunks(context.batch_rows_max().max(1)) {
                context.emit_rows(0, part.to_vec(), 0)?;
            }
        }
        Ok(Progress::Done)
    }
}
