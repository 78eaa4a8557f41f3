//! How jobs are run that give final results only.

use super::Options;
use crate::spill::SpillService;
use eddyline_core::{Error, Result};
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
pub(super) fn without_checkpoints(options: &Options, runtime: &mut JobOptions) -> Result<()> {
    if options.runtime.checkpoints.interval_ms.is_some_and(|interval_ms| interval_ms > 0) {
        return Err(Error::config("a job that gives final results only cannot take periodic checkpoints")
            .with_detail("it has operators on bounded data, or runs with execution.runtime-mode BATCH")
            .with_hint(
                "leave execution.checkpointing.interval out: after a failure such a job begins again",
            ));
    }
    runtime.checkpoints.interval_ms = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_is_given_is_refused_also_if_it_is_the_default_one() {
        let mut options = Options::default();
        let mut runtime = options.for_runtime().unwrap();
        without_checkpoints(&options, &mut runtime).unwrap();
        assert_eq!(runtime.checkpoints.interval_ms, None);
        for (given, is_possible) in [("10 s", false), ("1 s", false), ("0", true)] {
            options.set("execution.checkpointing.interval", given).unwrap();
            assert_eq!(without_checkpoints(&options, &mut runtime).is_ok(), is_possible, "{given}");
        }
    }
}
