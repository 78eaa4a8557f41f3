//! Steps without state.

use super::rows::{Event, Kind, Outcome};
use crate::scenario::ROUNDS_MAX;
use eddyline_core::{Batch, Record, Result};
use eddyline_runtime::{Operator, OperatorContext, Stage, Stateful};

/// Hands everything on.
pub struct Unchanged;

impl Stage for Unchanged {
    fn apply(&mut self, batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        emit(batch)
    }
}

/// The body of a loop: each record goes round as often as its index says, then leaves on output 0.
pub struct Rounds;

impl Stateful for Rounds {}

impl Operator for Rounds {
    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let (mut out, mut again) = (Vec::new(), Vec::new());
        for mut record in batch.take_rows::<Event>()? {
            if record.value.rounds < record.value.index % ROUNDS_MAX {
                record.value.rounds += 1;
                again.push(record);
            } else {
                out.push(record);
            }
        }
        context.emit_rows(0, out, batch.created_micros)?;
        context.emit_rows(1, again, batch.created_micros)
    }
}

/// Turns records into rows for the sink.
pub struct Records {
    /// The number of the branch.
    pub branch: u32,
}

impl Stateful for Records {}

impl Operator for Records {
    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let rows = batch.take_rows::<Event>()?.into_iter().map(|record| {
            let event = record.value;
            let row = Outcome {
                branch: self.branch,
                kind: Kind::Record.number(),
                key: (u64::from(event.split) << 32) | u64::from(event.index),
                at: record.timestamp,
                count: u64::from(event.rounds),
                sum: event.value,
            };
            Record::new(row, record.timestamp)
        });
        context.emit_rows(0, rows.collect(), batch.created_micros)
    }
}
