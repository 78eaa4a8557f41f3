//! Speaking with a running job, as `eddyline job` does.

use super::watch::Deadline;
use eddyline_protocol::control::{ControlAnswer, ControlRequest};
use eddyline_runtime::attempt::control::ControlClient;
use std::path::Path;

/// A running job that can be spoken to.
pub struct Door(ControlClient);

/// Waits until the job of that name opens its door.
///
/// # Errors
/// If it does not.
pub fn find_job(directory: &Path, job: &str) -> Result<Door, String> {
    Deadline::minute(format!("the door of `{job}`"))
        .wait_for(|| ControlClient::find(directory, job).ok().map(Door))
}

impl Door {
    /// Takes a savepoint: where it is.
    ///
    /// # Errors
    /// What the job says if there is none.
    pub fn savepoint(&self, directory: &str) -> Result<String, String> {
        let request = ControlRequest::Savepoint { directory: Some(directory.to_owned()) };
        match self.0.ask(&request).map_err(|error| error.report())? {
            ControlAnswer::Savepoint { path } => Ok(path),
            other => Err(format!("{other:?}")),
        }
    }

    /// Goes on with another number of workers.
    ///
    /// # Errors
    /// What the job says if it does not.
    pub fn rescale(&self, parallelism: u32) -> Result<(), String> {
        let answer = self.0.ask(&ControlRequest::Rescale { parallelism });
        answer.map(drop).map_err(|error| error.report())
    }
}
