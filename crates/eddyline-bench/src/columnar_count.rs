//! A tumbling count per key over columnar batches.

use crate::bid::{AUCTION_COLUMN, TIME_COLUMN};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use eddyline_core::{Batch, Data, EventTime, Record, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, NamespacedTable};

/// What a window has come to: its end, the key, the count.
pub type Count = (EventTime, u64, u64);

/// Counts the bids of each auction.
pub struct ColumnarCount {
    window_ms: i64,
    counts: Option<NamespacedTable<u64, u64>>,
}

impl ColumnarCount {
    /// Counts in windows of `window_ms`.
    pub fn new(window_ms: i64) -> Self {
        ColumnarCount { window_ms, counts: None }
    }

    fn counts(&mut self) -> &mut NamespacedTable<u64, u64> {
        self.counts.as_mut().expect("invariant: open is called first")
    }
}

impl Stateful for ColumnarCount {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.counts())
    }
}

impl Operator for ColumnarCount {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.counts = Some(NamespacedTable::new("counts", info.key_groups, info.max_parallelism));
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        let columns = batch.arrow()?;
        let auctions = columns.column(AUCTION_COLUMN).as_primitive::<UInt64Type>().values();
        let times = columns.column(TIME_COLUMN).as_primitive::<Int64Type>().values();
        let window_ms = self.window_ms;
        let counts = self.counts();
        let mut window = 0..0;
        for (auction, time) in auctions.iter().zip(times) {
            if !window.contains(time) {
                let start = time - time.rem_euclid(window_ms);
                window = start..start + window_ms;
            }
            *counts.entry(window.end, auction.stable_hash(), auction, || 0) += 1;
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        while let Some(end) = self.counts().first_namespace().filter(|end| end - 1 <= watermark) {
            let mut rows: Vec<Record<Count>> = Vec::new();
            for (_, auction, count) in self.counts().take_namespace(end) {
                rows.push(Record::new((end, auction, count), end - 1));
                if rows.len() == context.batch_rows_max() {
                    context.emit_rows(0, std::mem::take(&mut rows), 0)?;
                }
            }
            context.emit_rows(0, rows, 0)?;
        }
        Ok(Progress::Done)
    }
}
