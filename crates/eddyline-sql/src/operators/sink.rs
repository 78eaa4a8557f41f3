//! Writing a table, and collecting the rows of a query.

use super::batches::Incoming;
use crate::connector::{TableSink, TableWriter};
use crate::row::kind;
use arrow_array::RecordBatch;
use eddyline_core::{Batch, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Stateful};
use eddyline_state::{ManagedState, OperatorListState};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes to a table. What is prepared at a checkpoint becomes visible when that is complete.
pub(crate) struct TableSinkOperator {
    sink: Arc<dyn TableSink>,
    updating: bool,
    writer: Option<Box<dyn TableWriter>>,
    pending: OperatorListState<(CheckpointId, Vec<u8>)>,
}

impl TableSinkOperator {
    pub(crate) fn new(sink: Arc<dyn TableSink>, updating: bool) -> Self {
        TableSinkOperator { sink, updating, writer: None, pending: OperatorListState::list("pending", 0) }
    }
}

impl Stateful for TableSinkOperator {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.pending)
    }
}

impl Operator for TableSinkOperator {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.pending = OperatorListState::list("pending", info.instance);
        self.writer = Some(self.sink.writer(info.instance, info.attempt)?);
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, _context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        match &mut self.writer {
            Some(writer) => writer.write(&input.rows, input.kinds()),
            None => Ok(()),
        }
    }

    fn before_snapshot(
        &mut self,
        checkpoint: CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            let prepared = writer.prepare(checkpoint)?;
            if !prepared.is_empty() {
                self.pending.add((checkpoint, prepared));
            }
        }
        Ok(())
    }

    fn on_commit(&mut self, checkpoint: CheckpointId, _context: &mut OperatorContext<'_>) -> Result<()> {
        let mut later = Vec::new();
        for (written_for, prepared) in std::mem::take(self.pending.items_mut()) {
            match &mut self.writer {
                Some(writer) if written_for <= checkpoint => writer.commit(&prepared)?,
                _ => later.push((written_for, prepared)),
            }
        }
        self.pending.set(later);
        Ok(())
    }
}

/// The rows of a query as they come: batches with kinds.
#[derive(Default)]
pub(crate) struct Collected {
    batches: Mutex<Vec<(RecordBatch, Vec<i8>)>>,
}

impl Collected {
    /// Takes what has come since the last call.
    pub(crate) fn take(&self) -> Vec<(RecordBatch, Vec<i8>)> {
        std::mem::take(&mut *self.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) struct CollectOperator {
    pub(crate) collected: Arc<Collected>,
    pub(crate) updating: bool,
}

impl Stateful for CollectOperator {}

impl Operator for CollectOperator {
    fn on_batch(&mut self, _input: usize, batch: Batch, _context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let kinds = input.kinds().map_or_else(|| vec![kind::INSERT; input.len()], <[i8]>::to_vec);
        let mut batches = self.collected.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.push((input.rows, kinds));
        Ok(())
    }
}
