//! Where a job is in its life.

use super::Supervisor;
use eddyline_protocol::AttemptState;

/// Where a job is in its life, before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobLife {
    /// Its first attempt is coming up.
    Created,
    /// An attempt runs.
    Running,
    /// An attempt has failed and the next one does not run yet.
    Restarting,
}

impl Supervisor {
    /// Where the job is in its life, as long as it has no outcome.
    pub fn life(&self) -> JobLife {
        match self.master.state() {
            AttemptState::Running | AttemptState::Finishing | AttemptState::Finished => JobLife::Running,
            _ if self.has_run => JobLife::Restarting,
            _ => JobLife::Created,
        }
    }
}
