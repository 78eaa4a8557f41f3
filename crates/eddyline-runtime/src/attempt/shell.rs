//! The shell that carries out what a supervisor decides, with real threads, processes and files.

use super::children::Children;
use super::live_state::Pins;
use super::options::JobOptions;
use super::places::SavepointTarget;
use super::process::{HeartbeatStop, ProcessHandle, ProcessSpec, heartbeat};
use super::rescale::Rescale;
use super::savepoints::{Reply, Savepoints, with_held};
use super::status::{JobState, JobStatus};
use super::storage::{StorageThread, candidates};
use super::{JobReport, outcome_of, process};
use crate::graph::Job;
use crate::supervisor::{JobLife, Notice, RestoreFrom, Shell, Supervisor};
use crate::worker::Restored;
use eddyline_core::{Error, Result};
use eddyline_protocol::{
    AttemptId, Candidate, CheckpointId, Envelope, FromWorker, Manifest, Moment, ProcessExit, ProcessIndex,
    SavepointRequest, StopMode, ToWorker,
};
use eddyline_state::CheckpointStore;
use eddyline_storage::Location;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a supervisor hears of.
pub(crate) enum Event {
    Message(Box<Envelope<FromWorker>>),
    Exit(AttemptId, ProcessIndex, ProcessExit),
    Completed(CheckpointId, Result<()>),
    Stop(StopMode),
    Savepoint(SavepointTarget, Reply<String>),
    StopWithSavepoint(StopMode, SavepointTarget, Reply<String>),
    /// A copy of a checkpoint has ended.
    SavepointWritten(SavepointRequest, Result<String>),
    Rescale(u32, Reply<()>),
    /// A signal: the first stops the job, the second ends it.
    Interrupt(StopMode),
    Cancel,
}

/// How many waiting events are heard before the time is looked at again.
const EVENTS_AT_ONCE: usize = 1_024;

/// Without news for this long, the supervisor looks at the time and updates the status.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// Time without progress after which the log says what holds the job, milliseconds.
const STALL_MS: u64 = 5_000;

/// The processes of the running attempt.
enum Processes {
    None,
    /// Threads of this process.
    Here(ProcessHandle),
    There(Children),
}

/// Threads, processes and files.
pub(crate) struct ProcessShell {
    pub(super) job: Arc<Job>,
    pub(super) options: JobOptions,
    store: Option<Arc<CheckpointStore>>,
    storage: Option<StorageThread>,
    events: Sender<Event>,
    status: Arc<Mutex<JobStatus>>,
    processes: Processes,
    /// The newest attempt that this supervisor has claimed; 0 before the first.
    attempts_here: AttemptId,
    checkpoints: u64,
    last_checkpoint: Option<CheckpointId>,
    jitter_state: u64,
    progress: Progress,
    savepoints: Option<Savepoints>,
    pub(super) rescale: Rescale,
    /// Ctrl-C was pressed.
    interrupted: bool,
    /// Checkpoints are near enough to be read twice: by this thread to choose a good one, and by the workers.
    is_near: bool,
    /// The last attempt has not run: it may be what it was started from that is damaged.
    unproven: bool,
}

/// When the job last got on.
#[derive(Default)]
struct Progress {
    seen: (u64, u64, i64),
    since_ms: u64,
    said: bool,
}

impl ProcessShell {
    pub(crate) fn new(
        job: Arc<Job>,
        options: JobOptions,
        store: Option<Arc<CheckpointStore>>,
        pins: Arc<Pins>,
        events: Sender<Event>,
        status: Arc<Mutex<JobStatus>>,
    ) -> Result<Self> {
        let storage = match &store {
            Some(store) => Some(StorageThread::start(store.clone(), pins, options.places(), events.clone())?),
            None => None,
        };
        let savepoints = store.as_ref().map(|store| Savepoints::new(store.clone(), events.clone()));
        let root = options.checkpoint_location();
        let is_near = !root.is_some_and(|root| Location::parse(&root).is_ok_and(|place| place.is_remote()));
        let jitter_state = options.clock.wall_micros() ^ u64::from(std::process::id());
        Ok(ProcessShell {
            job,
            options,
            store,
            storage,
            events,
            status,
            processes: Processes::None,
            attempts_here: 0,
            checkpoints: 0,
            last_checkpoint: None,
            jitter_state,
            progress: Progress::default(),
            savepoints,
            rescale: Rescale::default(),
            interrupted: false,
            is_near,
            unproven: false,
        })
    }

    /// Runs the job to its end.
    pub(crate) fn supervise(
        mut self,
        mut supervisor: Supervisor,
        events: &Receiver<Event>,
    ) -> Result<JobReport> {
        let at = self.now();
        supervisor.start(at, &mut self);
        loop {
            while supervisor.outcome().is_none() {
                let event = self.next_event(&supervisor, events)?;
                let at = self.now();
                if let Some(event) = event {
                    self.on_event(at, event, &mut supervisor);
                }
                let at = self.hear_what_waits(&mut supervisor, events);
                supervisor.on_time(at, &mut self);
                self.unproven &= !supervisor.attempt_is_running();
                self.update_status(&supervisor, at.now_ms);
                // Whoever asks for the status upon the answer sees the new one.
                self.tell_rescaled(&supervisor);
            }
            match self.next_after_rescale(&supervisor)? {
                Some(next) => supervisor = next,
                None => break,
            }
            let at = self.now();
            supervisor.start(at, &mut self);
        }
        self.update_status(&supervisor, 0);
        if let Processes::There(children) = &mut self.processes {
            children.end();
        }
        self.finish_savepoints(events);
        if let Some(storage) = self.storage.take() {
            storage.finish();
        }
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match supervisor.outcome() {
            Some(outcome) => outcome_of(outcome, status),
            None => Err(Error::internal("the job ended without an outcome")),
        }
    }

    fn next_event(&self, supervisor: &Supervisor, events: &Receiver<Event>) -> Result<Option<Event>> {
        let now_ms = self.options.clock.monotonic_micros() / 1_000;
        let wait = supervisor
            .next_due_ms()
            .map_or(LOOK_AROUND, |due| Duration::from_millis(due.saturating_sub(now_ms)).min(LOOK_AROUND));
        match events.recv_timeout(wait) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::internal("the supervisor lost all its connections"))
            }
        }
    }

    /// What was said while this thread was busy, with a storage that does not answer above all, is heard before anybody
    /// counts as silent; answers the time after that.
    fn hear_what_waits(&mut self, supervisor: &mut Supervisor, events: &Receiver<Event>) -> Moment {
        for _ in 0..EVENTS_AT_ONCE {
            if supervisor.outcome().is_some() {
                break;
            }
            let Ok(event) = events.try_recv() else { break };
            let at = self.now();
            self.on_event(at, event, supervisor);
        }
        self.now()
    }

    fn on_event(&mut self, at: Moment, event: Event, supervisor: &mut Supervisor) {
        match event {
            Event::Message(envelope) => supervisor.on_message(at, &envelope, self),
            Event::Exit(attempt, process, exit) => supervisor.on_exit(at, (attempt, process), &exit, self),
            Event::Completed(id, outcome) => supervisor.on_complete_outcome(at, id, outcome, self),
            Event::Stop(mode) => {
                self.stops();
                supervisor.stop(at, mode, self);
            }
            Event::Interrupt(mode) if !self.interrupted => {
                self.interrupted = true;
                self.stops();
                tracing::info!("stopping; press Ctrl-C again to end at once");
                supervisor.stop(at, mode, self);
            }
            Event::Interrupt(_) | Event::Cancel => {
                self.stops();
                supervisor.cancel(at, self);
            }
            Event::Savepoint(target, reply) => {
                if let Some(request) = self.ask_savepoint(target, reply) {
                    supervisor.request_savepoint(at, request, self);
                }
            }
            Event::StopWithSavepoint(mode, target, reply) => {
                self.stops();
                if let Some(request) = self.ask_savepoint(target, reply) {
                    supervisor.stop_with_savepoint(at, mode, request, self);
                }
            }
            Event::SavepointWritten(request, path) => {
                if let Some(savepoints) = &mut self.savepoints {
                    savepoints.written(request, path);
                }
            }
            Event::Rescale(parallelism, reply) => self.rescale(at, parallelism, reply, supervisor),
        }
    }

    fn ask_savepoint(&mut self, target: SavepointTarget, reply: Reply<String>) -> Option<SavepointRequest> {
        self.savepoints.as_mut().map(|savepoints| savepoints.ask(target, reply))
    }

    /// Waits for the copies that are under way; nobody else gets one.
    fn finish_savepoints(&mut self, events: &Receiver<Event>) {
        let Some(savepoints) = &mut self.savepoints else { return };
        savepoints.refuse_all();
        while savepoints.is_copying() {
            match events.recv() {
                Ok(Event::SavepointWritten(request, path)) => savepoints.written(request, path),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn now(&self) -> Moment {
        Moment {
            now_ms: self.options.clock.monotonic_micros() / 1_000,
            wall_ms: self.options.clock.wall_millis(),
        }
    }

    fn update_status(&mut self, supervisor: &Supervisor, now_ms: u64) {
        let state = match supervisor.life() {
            JobLife::Created if matches!(self.rescale, Rescale::Starting(_)) => JobState::Restarting,
            JobLife::Created => JobState::Created,
            JobLife::Running => JobState::Running,
            JobLife::Restarting => JobState::Restarting,
        };
        let mut status = match &self.processes {
            Processes::None => {
                self.status.lock().unwrap_or_else(PoisonError::into_inner).state = state;
                return;
            }
            Processes::Here(handle) => {
                let mut status = JobStatus::of_workers(handle.board.workers());
                status.held_by = handle.board.report().held_by;
                status
            }
            Processes::There(children) => children.status(),
        };
        status.state = state;
        status.attempt = supervisor.attempt().unwrap_or_default();
        status.restarts = supervisor.restarts();
        status.checkpoints = self.checkpoints;
        status.last_checkpoint = self.last_checkpoint;
        status.parallelism = self.options.workers * self.options.processes;
        self.watch_progress(&status, now_ms);
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// After some time without progress, the log says what the job waits for, once.
    fn watch_progress(&mut self, status: &JobStatus, now_ms: u64) {
        let seen = (status.records_in, status.records_out, status.watermark);
        if seen != self.progress.seen {
            self.progress = Progress { seen, since_ms: now_ms, said: false };
        } else if !self.progress.said && now_ms.saturating_sub(self.progress.since_ms) >= STALL_MS {
            self.progress.said = true;
            let held = status.held_by.as_deref().unwrap_or("nothing is known of the reason");
            if held.starts_with("all sources") {
                tracing::debug!("no progress for {} s: {held}", STALL_MS / 1_000);
            } else {
                tracing::warn!("no progress for {} s: {held}", STALL_MS / 1_000);
            }
        }
    }

    fn spawn_here(&mut self, attempt: AttemptId, restored: Option<Restored>) -> Result<()> {
        let spec = ProcessSpec {
            config: self.options.worker_config(&self.job, attempt, restored),
            process: 0,
            workers: self.options.workers,
            store: self.store.clone(),
            streams: Vec::new(),
        };
        let (sender, receiver) = channel();
        let (events, job) = (self.events.clone(), self.job.graph.name.clone());
        let forwarder = forward(receiver, events.clone(), job, attempt)?;
        let stop = HeartbeatStop::default();
        let stop_then = stop.clone();
        let handle = process::start(spec, sender.clone(), move || {
            stop_then.stop();
            // What the workers said last, why they failed above all, must be heard before their end. The forwarder
            // ends with its last sender, which is the heartbeat.
            let _ = forwarder.join();
            let _ = events.send(Event::Exit(attempt, 0, ProcessExit::Code(0)));
        })?;
        let interval = self.options.heartbeat_interval;
        heartbeat(0, handle.board.clone(), interval, sender, stop)?;
        self.processes = Processes::Here(handle);
        Ok(())
    }
}

/// Puts the messages of an attempt's workers into envelopes.
fn forward(
    receiver: Receiver<FromWorker>,
    events: Sender<Event>,
    job: String,
    attempt: AttemptId,
) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("eddyline:messages".into())
        .spawn(move || {
            while let Ok(message) = receiver.recv() {
                let envelope = Envelope { job: job.clone(), attempt, process: 0, message };
                if events.send(Event::Message(Box::new(envelope))).is_err() {
                    return;
                }
            }
        })
        .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))
}

impl Shell for ProcessShell {
    fn claim_attempt(&mut self) -> Result<AttemptId> {
        match &self.store {
            Some(store) => {
                let attempt = match self.attempts_here {
                    0 => store.claim_attempt()?,
                    own => store.claim_attempt_after(own)?,
                };
                self.attempts_here = attempt;
                if let Err(error) = store.sweep_orphans(attempt) {
                    tracing::warn!("leftovers of earlier attempts could not be deleted: {error}");
                }
                Ok(attempt)
            }
            None => {
                self.attempts_here += 1;
                Ok(self.attempts_here)
            }
        }
    }

    fn candidates(&mut self) -> Result<Vec<Candidate>> {
        let thoroughly = self.is_near || self.unproven;
        self.store.as_ref().map_or(Ok(Vec::new()), |store| candidates(store, thoroughly))
    }

    fn first_free_checkpoint(&mut self) -> Result<CheckpointId> {
        self.store.as_ref().map_or(Ok(1), |store| store.next_checkpoint())
    }

    fn spawn_attempt(&mut self, attempt: AttemptId, restore: Option<RestoreFrom<'_>>) -> Result<()> {
        self.processes = Processes::None;
        self.unproven = true;
        if self.options.processes == 1 {
            let restored = match (restore, &self.store) {
                (Some(restore), Some(store)) => Some(restore.open(store, &self.options.places())?),
                _ => None,
            };
            self.spawn_here(attempt, restored)
        } else {
            let children = Children::start(&self.job, &self.options, attempt, restore, self.events.clone())?;
            self.processes = Processes::There(children);
            Ok(())
        }
    }

    fn open_snapshot(&mut self, path: &str) -> Result<Manifest> {
        let snapshot = self.options.places().snapshot(path)?;
        // Workers check what they read; there is nothing older to fall back to.
        snapshot.segments.check(&snapshot.manifest)?;
        Ok(snapshot.manifest)
    }

    fn delete_claimed(&mut self, path: &str) {
        if let Some(storage) = &self.storage {
            storage.dispose(path);
        }
    }

    fn answer_savepoint(&mut self, request: SavepointRequest, outcome: Result<CheckpointId, String>) {
        if let Err(reason) = &outcome {
            tracing::warn!("no savepoint was taken: {reason}");
        }
        if let Some(savepoints) = &mut self.savepoints {
            savepoints.answer(request, outcome);
        }
    }

    fn send(&mut self, _attempt: AttemptId, message: ToWorker) {
        match &mut self.processes {
            Processes::None => {}
            Processes::Here(handle) => handle.send(&message),
            Processes::There(children) => children.send(&message),
        }
    }

    fn kill_attempt(&mut self, _attempt: AttemptId) {
        match &mut self.processes {
            Processes::None => {}
            Processes::Here(handle) => handle.abort(),
            Processes::There(children) => children.kill(),
        }
    }

    fn write_complete(&mut self, manifest: Box<Manifest>) {
        match &self.storage {
            Some(storage) => storage.complete(manifest),
            None => {
                let _ = self.events.send(Event::Completed(manifest.checkpoint, Ok(())));
            }
        }
    }

    fn is_complete(&mut self, checkpoint: CheckpointId) -> bool {
        self.store.as_ref().is_some_and(|store| store.read_manifest(checkpoint).is_ok())
    }

    fn retire(&mut self, keep: &[CheckpointId]) {
        if let Some(storage) = &self.storage {
            storage.retire(&with_held(keep, self.savepoints.as_ref()));
        }
    }

    fn jitter(&mut self) -> f64 {
        // splitmix64 (Steele, Lea, Flood 2014): a delay before a restart needs no better randomness.
        self.jitter_state = self.jitter_state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.jitter_state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Info(text) => tracing::info!("{text}"),
            Notice::Warning(text) => tracing::warn!("{text}"),
            Notice::CheckpointComplete(id) => {
                self.checkpoints += 1;
                self.last_checkpoint = Some(id);
                tracing::debug!("checkpoint {id} is complete");
            }
        }
    }
}

/// Makes SIGINT and SIGTERM stop the job cleanly; a second one ends it. A job that keeps checkpoints is suspended
/// (nothing fires early, the next start goes on where it stopped), one that does not is drained.
///
/// # Errors
/// If the handlers cannot be installed.
pub(crate) fn stop_on_signals(events: &Sender<Event>, keeps_checkpoints: bool) -> Result<()> {
    let mode = if keeps_checkpoints { StopMode::Suspend } else { StopMode::Drain };
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])
            .map_err(|error| Error::internal(format!("cannot handle signals: {error}")))?;
    let events = events.clone();
    std::thread::Builder::new()
        .name("eddyline:signals".into())
        .spawn(move || {
            for _ in signals.forever() {
                if events.send(Event::Interrupt(mode)).is_err() {
                    // The job is over; whatever comes after it is ended the usual way.
                    std::process::exit(130);
                }
            }
        })
        .map(drop)
        .map_err(|error| Error::internal(format!("cannot start the signal thread: {error}")))
}
