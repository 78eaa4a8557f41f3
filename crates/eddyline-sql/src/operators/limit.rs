//! LIMIT and OFFSET of rows in the order in which they come.

use eddyline_core::{Batch, Result};
use eddyline_runtime::{Operator, OperatorContext, Stateful};
use eddyline_state::{ManagedState, OperatorListState};

pub(crate) struct LimitOperator {
    offset: u64,
    end: u64,
    seen: u64,
    state: OperatorListState<u64>,
}

impl LimitOperator {
    pub(crate) fn new(offset: u64, fetch: Option<u64>) -> Self {
        let end = fetch.map_or(u64::MAX, |fetch| offset.saturating_add(fetch));
        LimitOperator { offset, end, seen: 0, state: OperatorListState::list("seen", 0) }
    }
}

impl Stateful for LimitOperator {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.state)
    }
}

impl Operator for LimitOperator {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.state = OperatorListState::list("seen", context.info().instance);
        Ok(())
    }

    fn restored(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        self.seen = self.state.items().iter().sum();
        Ok(())
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: eddyline_protocol::CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.state.set(vec![self.seen]);
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let rows = batch.arrow()?;
        let count = rows.num_rows() as u64;
        let first = self.offset.saturating_sub(self.seen).min(count);
        let last = self.end.saturating_sub(self.seen).min(count);
        self.seen += count;
        if first < last {
            let rows = rows.slice(first as usize, (last - first) as usize);
            context.emit(0, Batch::from_arrow(rows, batch.created_micros))?;
        }
        Ok(())
    }
}
