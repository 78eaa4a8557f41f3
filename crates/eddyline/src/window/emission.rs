//! Emitting the results of a firing in batches.

use super::{RESULT_OUTPUT, TimeWindow, WindowResult};
use eddyline_core::{Data, Record, Result};
use eddyline_runtime::OperatorContext;

/// Collects results and emits them a batch at a time.
pub(super) struct Emission<'a, 'c, K, R> {
    context: &'a mut OperatorContext<'c>,
    rows: Vec<Record<WindowResult<K, R>>>,
    rows_max: usize,
    /// Whether a firing has to stop when there is no room.
    bounded: bool,
}

impl<'a, 'c, K: Data, R: Data> Emission<'a, 'c, K, R> {
    pub(super) fn new(context: &'a mut OperatorContext<'c>, bounded: bool) -> Self {
        let rows_max = context.batch_rows_max().max(1);
        Emission { context, rows: Vec::new(), rows_max, bounded }
    }

    /// Takes a result; answers whether there is room for more.
    #[inline]
    pub(super) fn push(&mut self, key: K, window: TimeWindow, value: R) -> Result<bool> {
        let timestamp = window.end - 1;
        self.rows.push(Record { value: WindowResult { key, window, value }, timestamp });
        if self.rows.len() < self.rows_max { Ok(true) } else { self.flush() }
    }

    /// Emits what was collected; answers whether there is room for more.
    pub(super) fn flush(&mut self) -> Result<bool> {
        let rows = std::mem::take(&mut self.rows);
        self.context.emit_rows(RESULT_OUTPUT, rows, 0)?;
        Ok(!self.bounded || self.context.has_room())
    }
}
