//! Savepoints that somebody asks a running job for.

use super::{Shell, Supervisor};
use eddyline_protocol::{Moment, SavepointRequest, StopMode};

impl Supervisor {
    /// Somebody asks for a savepoint: a checkpoint out of turn, which is copied. The answer comes by
    /// [`Shell::answer_savepoint`], unless the job ends before.
    pub fn request_savepoint(&mut self, at: Moment, request: SavepointRequest, shell: &mut dyn Shell) {
        match &mut self.coordinator {
            Some(coordinator) => {
                let decisions = coordinator.request_savepoint(at, request);
                self.add_checkpoint(decisions);
                self.carry_out(at, shell);
            }
            None => shell.answer_savepoint(request, Err("the job has not started yet".to_owned())),
        }
    }

    /// The job is to stop cleanly, and its final checkpoint is to be copied; answered as
    /// [`Supervisor::request_savepoint`].
    pub fn stop_with_savepoint(
        &mut self,
        at: Moment,
        mode: StopMode,
        request: SavepointRequest,
        shell: &mut dyn Shell,
    ) {
        match &mut self.coordinator {
            Some(coordinator) => {
                let decisions = coordinator.request_final_savepoint(request);
                self.add_checkpoint(decisions);
                self.stop(at, mode, shell);
            }
            None => shell.answer_savepoint(request, Err("the job has not started yet".to_owned())),
        }
    }
}
