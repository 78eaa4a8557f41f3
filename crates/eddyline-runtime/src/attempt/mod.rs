//! Running a job: its supervisor, its attempts, their threads and processes.
//!
//! [`start`] gives the job to a supervisor thread and returns a [`JobHandle`]; [`run`] waits for its end. With one
//! process the workers are threads of this one; with more, the program starts itself again, once per process, and
//! the copies connect to the supervisor (see [`spawn`](self)).

mod children;
pub mod control;
mod live_state;
mod options;
mod part_io;
mod places;
mod process;
mod requests;
mod rescale;
mod savepoints;
mod shell;
mod status;
mod storage;

pub use children::parallelism_of_worker_process;
pub use options::{JobOptions, Rescaler};
pub use status::{JobState, JobStatus};

use crate::accumulators::JobAccumulator;
use crate::graph::Job;
use crate::supervisor::{JobOutcome, Supervisor, SupervisorConfig};
use control::Endpoint;
use eddyline_core::{Error, ErrorKind, Result};
use eddyline_protocol::{AttemptConfig, StopMode};
use live_state::LiveState;
use places::Places;
use shell::{Event, ProcessShell};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What is left of a job that ended well.
#[derive(Debug, Clone, Default)]
pub struct JobReport {
    /// The last status.
    pub status: JobStatus,
}

impl JobReport {
    /// What the functions of the job have added to the accumulator `name`; none if no operator has one of that name.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn accumulator<A: JobAccumulator>(&self, name: &str) -> Result<Option<A>> {
        self.status.accumulators.get(name)
    }
}

/// A job that runs.
pub struct JobHandle {
    events: Sender<Event>,
    status: Arc<Mutex<JobStatus>>,
    live: LiveState,
    place: Arc<Place>,
    supervisor: JoinHandle<Result<JobReport>>,
}

/// Where a job keeps what it keeps.
struct Place {
    job: String,
    places: Places,
    checkpoint_dir: Option<String>,
    savepoint_dir: Option<String>,
}

/// What can be told to a job from anywhere, also from signal handlers' threads.
#[derive(Clone)]
pub struct JobControl {
    events: Sender<Event>,
    status: Arc<Mutex<JobStatus>>,
    live: LiveState,
    place: Arc<Place>,
}

impl JobControl {
    /// Stops the job cleanly.
    pub fn stop(&self, mode: StopMode) {
        let _ = self.events.send(Event::Stop(mode));
    }

    /// Ends the job at once, without a final checkpoint.
    pub fn cancel(&self) {
        let _ = self.events.send(Event::Cancel);
    }

    /// Where the job is in its life; also after its end.
    pub fn state(&self) -> JobState {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).state
    }

    /// As [`JobHandle::accumulator`].
    ///
    /// # Errors
    /// If it is of another type.
    pub fn accumulator<A: JobAccumulator>(&self, name: &str) -> Result<Option<A>> {
        let accumulators = self.status.lock().unwrap_or_else(PoisonError::into_inner).accumulators.clone();
        accumulators.get(name)
    }

    /// What is known of the job now.
    pub fn status(&self) -> JobStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl JobHandle {
    /// Where the job is in its life.
    pub fn state(&self) -> JobState {
        self.control().state()
    }

    /// Ends the job at once, without a final checkpoint.
    pub fn cancel(&self) {
        self.control().cancel();
    }

    /// What the functions of the job have added to the accumulator `name` so far: what they said last, at most some
    /// hundred milliseconds ago. None if no operator has one of that name, or none has said anything yet.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn accumulator<A: JobAccumulator>(&self, name: &str) -> Result<Option<A>> {
        self.control().accumulator(name)
    }

    /// Something to control the job with, from anywhere.
    pub fn control(&self) -> JobControl {
        JobControl {
            events: self.events.clone(),
            status: self.status.clone(),
            live: self.live.clone(),
            place: self.place.clone(),
        }
    }

    /// What is known of the job now.
    pub fn status(&self) -> JobStatus {
        self.control().status()
    }

    /// Stops the job cleanly.
    pub fn stop(&self, mode: StopMode) {
        self.control().stop(mode);
    }

    /// Whether the job has ended.
    pub fn is_finished(&self) -> bool {
        self.supervisor.is_finished()
    }

    /// Waits for the end of the job.
    ///
    /// # Errors
    /// What ended it, if that was a failure.
    pub fn wait(self) -> Result<JobReport> {
        match self.supervisor.join() {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(Error::internal("the supervisor panicked").with_hint("this is a bug: please report it"))
            }
        }
    }
}

/// Runs a job to its end.
///
/// # Errors
/// What ended it, if that was a failure.
pub fn run(job: Job, options: JobOptions) -> Result<JobReport> {
    start(job, options)?.wait()
}

/// Starts a job. In a process that was started to be a worker of it this does not return: the process works, and
/// ends with the job.
///
/// # Errors
/// Of kind `Config` if the options cannot work, or if no thread can be started.
pub fn start(job: Job, options: JobOptions) -> Result<JobHandle> {
    options.validate()?;
    let job = Arc::new(job);
    if children::is_worker_process() {
        children::work_and_exit(&job, &options);
    }
    let store = options.store(&job.graph.name)?;
    let supervisor = Supervisor::new(supervisor_config(&options, &job))?;
    let (events, receiver) = channel();
    let status = Arc::new(Mutex::new(JobStatus::default()));
    if options.handle_signals {
        shell::stop_on_signals(&events, options.checkpoint_dir.is_some())?;
    }
    let place = Arc::new(Place {
        job: job.graph.name.clone(),
        places: options.places(),
        checkpoint_dir: options.checkpoint_location(),
        savepoint_dir: options.savepoint_dir.clone(),
    });
    let status_at_end = status.clone();
    let live = LiveState::new(job.graph.name.clone(), store.clone());
    let control = JobControl {
        events: events.clone(),
        status: status.clone(),
        live: live.clone(),
        place: place.clone(),
    };
    let endpoint = open_door(&options, control);
    let shell = ProcessShell::new(job, options, store, live.pins(), events.clone(), status.clone())?;
    let thread = std::thread::Builder::new()
        .name("eddyline:supervisor".into())
        .spawn(move || {
            let outcome = shell.supervise(supervisor, &receiver);
            let mut status = status_at_end.lock().unwrap_or_else(PoisonError::into_inner);
            status.state = match &outcome {
                Ok(_) => JobState::Finished,
                Err(error) if error.kind() == ErrorKind::Cancelled => JobState::Cancelled,
                Err(_) => JobState::Failed,
            };
            let report = status.clone();
            drop(status);
            drop(receiver);
            if let Some(endpoint) = endpoint {
                endpoint.close();
            }
            outcome.map(|_| JobReport { status: report })
        })
        .map_err(|error| Error::internal(format!("cannot start the supervisor thread: {error}")))?;
    Ok(JobHandle { events, status, live, place, supervisor: thread })
}

/// Opens the door of a job that keeps checkpoints. One that cannot be opened is no reason not to run.
fn open_door(options: &JobOptions, control: JobControl) -> Option<Endpoint> {
    let directory = options.control_dir.as_ref().filter(|_| options.checkpoint_dir.is_some())?;
    let job = control.place.job.clone();
    match Endpoint::open(directory, &job, control) {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            tracing::warn!("`eddyline job` cannot reach this job\n{}", error.report());
            None
        }
    }
}

/// What a supervisor is told about `job`.
pub(crate) fn supervisor_config(options: &JobOptions, job: &Job) -> SupervisorConfig {
    SupervisorConfig {
        checkpoints: options.checkpoints.clone(),
        attempts: options.attempts.clone().unwrap_or_else(|| AttemptConfig::for_processes(options.processes)),
        restart: options.restart_strategy(),
        restore: options.restore_request(job),
        snapshot: options.restore_from.clone(),
        workers_per_process: options.workers,
    }
}

fn outcome_of(outcome: &JobOutcome, status: JobStatus) -> Result<JobReport> {
    match outcome {
        JobOutcome::Finished => Ok(JobReport { status }),
        JobOutcome::Failed(report) => Err(report.to_error()),
    }
}
