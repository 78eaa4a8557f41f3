//! How long a line takes up to an operator: one measurement per batch, of its oldest line.

use eddyline::metrics::Histogram;
use eddyline::{OperatorContext, Result};

/// Under which name operators show it.
const NAME: &str = "latency_us";

/// Measures from the reading of a batch's oldest line to its arrival at an operator.
#[derive(Default)]
pub(super) struct Arrival(Option<Histogram>);

impl Arrival {
    /// To be called when the operator opens.
    pub(super) fn open(context: &OperatorContext<'_>) -> Result<Self> {
        Ok(Arrival(Some(context.metrics().histogram(NAME)?)))
    }

    /// A batch has arrived whose oldest line was read at `created_micros` of the clock (0: unknown).
    pub(super) fn record(&self, created_micros: u64, context: &OperatorContext<'_>) {
        if let Some(histogram) = self.0.as_ref().filter(|_| created_micros > 0) {
            histogram.record(context.clock().wall_micros().saturating_sub(created_micros));
        }
    }
}
