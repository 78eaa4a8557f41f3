//! Another number of workers while the job runs: it is suspended with a final checkpoint, and goes on from it with a
//! new supervisor and new workers, under the same handle.

use super::savepoints::Reply;
use super::shell::ProcessShell;
use super::supervisor_config;
use crate::supervisor::{JobOutcome, Supervisor};
use eddyline_core::{Error, Result};
use eddyline_protocol::{Moment, StopMode};
use std::sync::Arc;

/// How far a change of the number of workers is.
#[derive(Default)]
pub(crate) enum Rescale {
    /// Nobody wants one.
    #[default]
    None,
    /// The job was told to end, which nothing can change.
    Refused,
    /// The job is being suspended.
    Suspending(u32, Reply<()>),
    /// The job is being started anew.
    Starting(Reply<()>),
}

impl ProcessShell {
    /// The job is to end: it will not be started with another number of workers.
    pub(super) fn stops(&mut self) {
        if let Rescale::Suspending(_, reply) | Rescale::Starting(reply) =
            std::mem::replace(&mut self.rescale, Rescale::Refused)
        {
            let _ = reply.send(Err(not_rescaled("the job was told to stop")));
        }
    }

    /// Somebody wants another number of workers.
    pub(super) fn rescale(
        &mut self,
        at: Moment,
        parallelism: u32,
        reply: Reply<()>,
        supervisor: &mut Supervisor,
    ) {
        match self.check_rescale(parallelism, supervisor) {
            Ok(()) => {
                tracing::info!("going on with {parallelism} workers");
                self.rescale = Rescale::Suspending(parallelism, reply);
                supervisor.stop(at, StopMode::Suspend, self);
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn check_rescale(&self, parallelism: u32, supervisor: &Supervisor) -> Result<()> {
        let processes = self.options.processes;
        let Some(rescaler) = &self.options.rescaler else {
            return Err(not_rescaled(
                "the program has not said how its job is made for other numbers of workers",
            ));
        };
        if self.options.checkpoint_dir.is_none() {
            return Err(
                not_rescaled("the job keeps no checkpoints").with_hint("set execution.checkpointing.dir")
            );
        }
        if self.job.graph.nodes.iter().any(|node| node.holds_input) {
            return Err(not_rescaled("it collects bounded data, which is no part of a checkpoint")
                .with_hint("start it anew with another parallelism"));
        }
        match self.rescale {
            Rescale::None => {}
            Rescale::Refused => return Err(not_rescaled("the job was told to stop")),
            Rescale::Suspending(..) | Rescale::Starting(_) => {
                return Err(not_rescaled("the last change is not done yet"));
            }
        }
        if !supervisor.attempt_is_running() {
            return Err(not_rescaled("it does not run at the moment").with_hint("try again when it does"));
        }
        if parallelism == 0 || !parallelism.is_multiple_of(processes) {
            return Err(not_rescaled(&format!(
                "{parallelism} workers cannot be divided over {processes} processes"
            ))
            .with_hint("give a positive multiple of the number of processes"));
        }
        let most = self.job.graph.max_parallelism;
        if parallelism > most {
            return Err(not_rescaled(&format!("{parallelism} workers are more than its {most} key groups"))
                .with_hint("pipeline.max-parallelism is the most, and fixed once there is state"));
        }
        rescaler.check(parallelism)
    }

    /// Tells who has asked for it that the job runs with the new number of workers.
    pub(super) fn tell_rescaled(&mut self, supervisor: &Supervisor) {
        if !supervisor.attempt_is_running() {
            return;
        }
        match std::mem::take(&mut self.rescale) {
            Rescale::Starting(reply) => {
                let _ = reply.send(Ok(()));
            }
            other => self.rescale = other,
        }
    }

    /// The supervisor of the job with the new number of workers, if the last one has ended for that.
    ///
    /// # Errors
    /// If there can be none.
    pub(super) fn next_after_rescale(&mut self, supervisor: &Supervisor) -> Result<Option<Supervisor>> {
        let (parallelism, reply) = match std::mem::take(&mut self.rescale) {
            Rescale::Suspending(parallelism, reply) => (parallelism, reply),
            Rescale::Starting(reply) => {
                let _ = reply.send(match supervisor.outcome() {
                    Some(JobOutcome::Failed(report)) => Err(report.to_error()),
                    _ => Ok(()),
                });
                return Ok(None);
            }
            Rescale::None | Rescale::Refused => return Ok(None),
        };
        if let Some(JobOutcome::Failed(report)) = supervisor.outcome() {
            let _ = reply.send(Err(report.to_error()));
            return Ok(None);
        }
        let next = self.with_parallelism(parallelism);
        match &next {
            Ok(_) => self.rescale = Rescale::Starting(reply),
            Err(error) => {
                let _ = reply.send(Err(error.clone()));
            }
        }
        next.map(Some)
    }

    fn with_parallelism(&mut self, parallelism: u32) -> Result<Supervisor> {
        let Some(rescaler) = self.options.rescaler.clone() else {
            return Err(Error::internal("a job without a way to be rescaled was"));
        };
        let job = rescaler.build(parallelism)?;
        self.options.workers = parallelism / self.options.processes;
        let supervisor = Supervisor::new(supervisor_config(&self.options, &job))?;
        self.job = Arc::new(job);
        Ok(supervisor)
    }
}

fn not_rescaled(reason: &str) -> Error {
    Error::config(format!("the job cannot go on with another number of workers: {reason}"))
}
