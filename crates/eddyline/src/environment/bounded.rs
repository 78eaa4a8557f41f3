//! How jobs are run whose operators collect bounded data.

use super::Options;
use crate::spill::SpillService;
use eddyline_core::{Error, Result};
use eddyline_protocol::CheckpointConfig;
use eddyline_runtime::attempt::JobOptions;
use std::sync::Arc;

/// Lends the job what it needs to spill, and takes the periodic checkpoints away: what such operators collect is no
/// state, so the job begins again after a failure, and only the checkpoint at its end shows results.
pub(super) fn prepare(options: &Options, runtime: &mut JobOptions) -> Result<()> {
    let interval = runtime.checkpoints.interval_ms;
    if interval.is_some() && interval != CheckpointConfig::default().interval_ms {
        return Err(Error::config("a job with operators on bounded data cannot take periodic checkpoints")
            .with_detail("what they collect is kept outside of state")
            .with_hint(
                "leave execution.checkpointing.interval out: after a failure such a job begins again",
            ));
    }
    runtime.checkpoints.interval_ms = None;
    runtime.services.insert(Arc::new(SpillService::in_directories(options.tmp_dirs.clone())));
    Ok(())
}
