//! How jobs are run that give final results only.

use super::Options;
use crate::spill::SpillService;
use eddyline_core::{Error, Result};
use eddyline_protocol::CheckpointConfig;
use eddyline_runtime::BatchMode;
use eddyline_runtime::attempt::JobOptions;
use std::sync::Arc;

/// Lends a job whose operators collect bounded data what it needs to spill.
pub(super) fn lend_spilling(options: &Options, runtime: &mut JobOptions) {
    runtime.services.insert(Arc::new(SpillService::in_directories(options.tmp_dirs.clone())));
}

/// Tells operators that only final results are wanted.
pub(super) fn tell_batch_mode(runtime: &mut JobOptions) {
    runtime.services.insert(Arc::new(BatchMode));
}

/// Takes the periodic checkpoints away: what operators collect is no state, so the job begins again after a failure,
/// and only the checkpoint at its end shows results.
pub(super) fn without_checkpoints(runtime: &mut JobOptions) -> Result<()> {
    let interval = runtime.checkpoints.interval_ms;
    if interval.is_some() && interval != CheckpointConfig::default().interval_ms {
        return Err(Error::config("a job that gives final results only cannot take periodic checkpoints")
            .with_detail("it has operators on bounded data, or runs with execution.runtime-mode BATCH")
            .with_hint(
                "leave execution.checkpointing.interval out: after a failure such a job begins again",
            ));
    }
    runtime.checkpoints.interval_ms = None;
    Ok(())
}
