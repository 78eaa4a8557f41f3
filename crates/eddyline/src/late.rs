//! Records that come too late: counted, and emitted on an output of their own if that was asked for.

use eddyline_core::{Data, Record, Result};
use eddyline_runtime::OperatorContext;

/// Counts late records, and emits them if there is an output for them.
pub(crate) fn emit_late<T: Data>(
    late: Vec<Record<T>>,
    output: Option<usize>,
    created_micros: u64,
    context: &mut OperatorContext<'_>,
) -> Result<()> {
    context.count_late(late.len() as u64);
    match output {
        Some(output) => context.emit_rows(output, late, created_micros),
        None => Ok(()),
    }
}
