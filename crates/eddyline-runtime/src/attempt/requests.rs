//! What a running job can be asked for besides to stop: savepoints, another number of workers.

use super::savepoints::Reply;
use super::shell::Event;
use super::{JobControl, JobHandle};
use eddyline_core::{Error, Result};
use eddyline_protocol::StopMode;
use std::sync::mpsc::channel;

impl JobControl {
    /// Takes a savepoint into a new directory below `directory` (a path, or a URL) and answers where it is, once it is
    /// whole. The job goes on meanwhile.
    ///
    /// # Errors
    /// If the job keeps no checkpoints, is not running, or the savepoint cannot be taken or written.
    pub fn trigger_savepoint(&self, directory: &str) -> Result<String> {
        let target = self.savepoint_places()?.target(directory)?;
        self.ask(|reply| Event::Savepoint(target, reply))
    }

    /// Stops the job cleanly, keeps its last state as a savepoint below `directory`, and answers where that is. With
    /// `drain` the job ends as if its input had: windows and timers fire first, and there is nothing to go on with.
    /// Without, nothing fires, and a job that is started from the savepoint goes on where this one stopped.
    ///
    /// # Errors
    /// As [`JobControl::trigger_savepoint`]. If the directory cannot be written to, the job is not stopped.
    pub fn stop_with_savepoint(&self, directory: &str, drain: bool) -> Result<String> {
        let target = self.savepoint_places()?.target(directory)?;
        let mode = if drain { StopMode::Drain } else { StopMode::Suspend };
        self.ask(|reply| Event::StopWithSavepoint(mode, target, reply))
    }

    /// Goes on with `parallelism` workers: the job is suspended, and started again from its last checkpoint. Returns
    /// when it runs again. Results are what they would have been.
    ///
    /// # Errors
    /// Of kind `Config`, and the job goes on undisturbed, if it cannot run with so many workers or keeps no
    /// checkpoints; else what kept it from running again.
    pub fn rescale(&self, parallelism: u32) -> Result<()> {
        self.ask(|reply| Event::Rescale(parallelism, reply))
    }

    /// Where savepoints are written if nobody says where.
    pub fn savepoint_directory(&self) -> Option<&str> {
        self.place.savepoint_dir.as_deref()
    }

    fn savepoint_places(&self) -> Result<&super::places::Places> {
        if self.place.checkpoint_dir.is_some() {
            return Ok(&self.place.places);
        }
        Err(Error::config("a job that keeps no checkpoints has no savepoints")
            .with_hint("set execution.checkpointing.dir"))
    }

    fn ask<T>(&self, event: impl FnOnce(Reply<T>) -> Event) -> Result<T> {
        let (reply, answer) = channel();
        let over = || Error::cancelled("the job has ended");
        self.events.send(event(reply)).map_err(|_| over())?;
        answer.recv().map_err(|_| over())?
    }
}

impl JobHandle {
    /// As [`JobControl::trigger_savepoint`].
    ///
    /// # Errors
    /// As [`JobControl::trigger_savepoint`].
    pub fn trigger_savepoint(&self, directory: &str) -> Result<String> {
        self.control().trigger_savepoint(directory)
    }

    /// As [`JobControl::stop_with_savepoint`].
    ///
    /// # Errors
    /// As [`JobControl::stop_with_savepoint`].
    pub fn stop_with_savepoint(&self, directory: &str, drain: bool) -> Result<String> {
        self.control().stop_with_savepoint(directory, drain)
    }

    /// As [`JobControl::rescale`].
    ///
    /// # Errors
    /// As [`JobControl::rescale`].
    pub fn rescale(&self, parallelism: u32) -> Result<()> {
        self.control().rescale(parallelism)
    }
}
