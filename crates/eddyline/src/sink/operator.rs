//! The wrapper that makes a [`SinkFunction`] an operator of the runtime.

use super::{SinkContext, SinkFunction};
use eddyline_core::{Batch, Data, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, OperatorListState};
use std::marker::PhantomData;

/// One instance of a sink: keeps what waits to be committed.
pub(crate) struct SinkOperator<T: Data, S: SinkFunction<T>> {
    sink: S,
    pending: OperatorListState<(CheckpointId, S::Committable)>,
    _rows: PhantomData<fn(T)>,
}

impl<T: Data, S: SinkFunction<T>> SinkOperator<T, S> {
    pub(crate) fn new(sink: S) -> Self {
        SinkOperator { sink, pending: OperatorListState::list("pending", 0), _rows: PhantomData }
    }
}

impl<T: Data, S: SinkFunction<T>> Stateful for SinkOperator<T, S> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.pending)
    }
}

impl<T: Data, S: SinkFunction<T>> Operator for SinkOperator<T, S> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.pending = OperatorListState::list("pending", context.info().instance);
        self.sink.open(&mut SinkContext::new(context))
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let pending: Vec<_> =
            self.pending.items().iter().map(|(_, committable)| committable.clone()).collect();
        self.sink.recover(&pending, &mut SinkContext::new(context))
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let mut context = SinkContext::new(context);
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            eddyline_runtime::panics::at_row(row as u64);
            self.sink.write(record, &mut context)?;
        }
        self.sink.end_batch(&mut context)
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        let written = self.sink.pre_commit(checkpoint, &mut SinkContext::new(context))?;
        if !written.is_empty() {
            self.pending.items_mut().extend(written.into_iter().map(|committable| (checkpoint, committable)));
        }
        Ok(())
    }

    fn poll_prepared(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        self.sink.poll_durable(checkpoint)
    }

    fn on_commit(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        if self.pending.items().iter().all(|(written_for, _)| *written_for > checkpoint) {
            return Ok(());
        }
        let mut context = SinkContext::new(context);
        let mut later = Vec::new();
        for (written_for, committable) in std::mem::take(self.pending.items_mut()) {
            if written_for <= checkpoint {
                self.sink.commit(written_for, committable, &mut context)?;
            } else {
                later.push((written_for, committable));
            }
        }
        self.pending.set(later);
        Ok(())
    }

    fn poll_committed(&mut self) -> Result<Progress> {
        self.sink.poll_committed()
    }

    fn close(&mut self) {
        self.sink.close();
    }
}
