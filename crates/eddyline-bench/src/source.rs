//! The sources and sinks of the measured jobs.

use crate::bid::Bids;
use eddyline_core::{Batch, Result};
use eddyline_runtime::{Operator, OperatorContext, Source, SourceStatus, Stateful};

/// How records lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Typed rows.
    Rows,
    /// Arrow columns.
    Arrow,
}

/// Bids as fast as they are taken; instances take turns, so that all of them go through the same event time.
pub struct BidSource {
    bids: Bids,
    format: Format,
    count: u64,
    next: u64,
    step: u64,
}

impl BidSource {
    /// `count` bids over all instances.
    pub fn new(bids: Bids, format: Format, count: u64) -> Self {
        BidSource { bids, format, count, next: 0, step: 1 }
    }
}

impl Stateful for BidSource {}

impl Source for BidSource {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.next = u64::from(context.info().instance);
        self.step = u64::from(context.info().parallelism);
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        if self.next >= self.count {
            return Ok(SourceStatus::Finished);
        }
        let left = (self.count - self.next).div_ceil(self.step) as usize;
        let rows = left.min(context.batch_rows_max());
        match self.format {
            Format::Rows => context.emit_rows(0, self.bids.rows(self.next, self.step, rows), 0)?,
            Format::Arrow => {
                let created = context.clock().wall_micros();
                context.emit(0, Batch::from_arrow(self.bids.columns(self.next, self.step, rows), created))?;
            }
        }
        self.next += rows as u64 * self.step;
        context.set_watermark(self.bids.time_of(self.next) - 1, false);
        Ok(SourceStatus::Ready)
    }
}

/// How much a batch counts for.
pub type Weigh = fn(Batch) -> Result<u64>;

/// Adds up what comes in and says so on standard output when it is closed, from whatever process it is in.
pub struct TallySink {
    weigh: Weigh,
    total: u64,
}

impl TallySink {
    /// A sink that adds up `weigh` over all batches.
    pub fn new(weigh: Weigh) -> Self {
        TallySink { weigh, total: 0 }
    }
}

impl Stateful for TallySink {}

impl Operator for TallySink {
    fn on_batch(&mut self, _input: usize, batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        self.total += (self.weigh)(batch)?;
        Ok(())
    }

    fn close(&mut self) {
        crate::figures::print("counted", self.total as f64);
    }
}
