//! Attempts of several processes: the program starts itself again, once per process.
//!
//! The copies find out from their environment that they are workers, connect to the supervisor with the shared
//! secret, say where they listen, and are told to start once all are there. A copy that loses its supervisor ends at
//! once: it is fenced, and nothing it does would count.

use super::options::JobOptions;
use super::process::{self, HeartbeatStop, ProcessSpec, heartbeat};
use super::shell::Event;
use super::status::JobStatus;
use crate::accumulators::AccumulatorResults;
use crate::graph::Job;
use crate::supervisor::RestoreFrom;
use eddyline_core::{Error, Result};
use eddyline_mesh::{ControlConfig, ControlLink, ControlListener, Mesh, MeshConfig, Secret};
use eddyline_protocol::{
    AttemptId, Envelope, FromWorker, ProcessExit, ProcessIndex, ProgressReport, ToWorker, Verdict, fence,
};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const CONTROL: &str = "EDDYLINE_CONTROL_ADDRESS";
const PROCESS: &str = "EDDYLINE_PROCESS";
const ATTEMPT: &str = "EDDYLINE_ATTEMPT";
const SECRET: &str = "EDDYLINE_SECRET";
const SUPERVISOR: &str = "EDDYLINE_SUPERVISOR_PROCESS";
const PARALLELISM: &str = "EDDYLINE_PARALLELISM";

/// Exit code of a worker process whose job failed; the failure itself was reported.
const EXIT_FAILED: i32 = 70;
/// Exit code of a worker process that lost its supervisor.
const EXIT_ORPHANED: i32 = 71;

/// The worker processes of an attempt, seen from the supervisor.
pub(crate) struct Children {
    pids: Arc<Mutex<BTreeMap<ProcessIndex, rustix::process::Pid>>>,
    outboxes: Arc<Mutex<BTreeMap<ProcessIndex, Sender<Envelope<ToWorker>>>>>,
    progress: Arc<Mutex<BTreeMap<ProcessIndex, ProgressReport>>>,
    listeners: Listeners,
    accepting: Arc<AtomicBool>,
    /// Workers of the attempt, over all processes: what the arguments say may be out of date.
    parallelism: u32,
    job: String,
    attempt: AttemptId,
}

/// The threads that listen to children, by process: nothing is ever sent, a receiver tells when its thread has ended.
type Listeners = Arc<Mutex<BTreeMap<ProcessIndex, Receiver<()>>>>;

/// How long the end of a process waits for the last that it said to be heard.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the threads that talk to children share.
#[derive(Clone)]
struct Talk {
    events: Sender<Event>,
    progress: Arc<Mutex<BTreeMap<ProcessIndex, ProgressReport>>>,
    outboxes: Arc<Mutex<BTreeMap<ProcessIndex, Sender<Envelope<ToWorker>>>>>,
    listeners: Listeners,
    accepting: Arc<AtomicBool>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(format!("eddyline:{name}"))
        .spawn(body)
        .map(drop)
        .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))
}

impl Children {
    /// Starts the processes of an attempt.
    ///
    /// # Errors
    /// If no process can be started or the control port not be opened.
    pub(crate) fn start(
        job: &Arc<Job>,
        options: &JobOptions,
        attempt: AttemptId,
        restore: Option<RestoreFrom<'_>>,
        events: Sender<Event>,
    ) -> Result<Self> {
        let secret = match &options.secret {
            Some(secret) => secret.clone(),
            None => Secret::random()?,
        };
        let processes = options.processes as usize;
        let mut control = ControlConfig::new(job.graph.name.clone(), attempt, 0, processes, secret.clone());
        control.tls = options.tls;
        control.observer = Some(Arc::new(|refused| {
            tracing::warn!("a connection from {} was refused: {}", refused.address, refused.error);
        }));
        let listener = ControlListener::bind("127.0.0.1:0", &control)?;
        let address = listener.local_address().to_string();
        let talk = Talk {
            events: events.clone(),
            progress: Arc::default(),
            outboxes: Arc::default(),
            listeners: Arc::default(),
            accepting: Arc::new(AtomicBool::new(true)),
        };
        let children = Children {
            pids: Arc::default(),
            outboxes: talk.outboxes.clone(),
            progress: talk.progress.clone(),
            listeners: talk.listeners.clone(),
            accepting: talk.accepting.clone(),
            parallelism: options.workers * options.processes,
            job: job.graph.name.clone(),
            attempt,
        };
        for process in 0..options.processes {
            children.spawn(process, &address, &secret, &events)?;
        }
        let start = Envelope {
            job: job.graph.name.clone(),
            attempt,
            process: 0,
            message: ToWorker::Start {
                attempt,
                restore: restore.map(|restore| Box::new(restore.manifest.clone())),
                restore_path: restore.and_then(|restore| restore.path.map(str::to_owned)),
                addresses: Vec::new(),
                workers_per_process: options.workers,
            },
        };
        spawn_thread("accept", move || accept(&listener, processes, start, &talk))?;
        Ok(children)
    }

    fn spawn(
        &self,
        process: ProcessIndex,
        address: &str,
        secret: &Secret,
        events: &Sender<Event>,
    ) -> Result<()> {
        let program = std::env::current_exe()
            .map_err(|error| Error::internal(format!("cannot find the program to start again: {error}")))?;
        let mut command = Command::new(program);
        command
            .args(std::env::args_os().skip(1))
            .env(CONTROL, address)
            .env(PROCESS, process.to_string())
            .env(ATTEMPT, self.attempt.to_string())
            .env(SUPERVISOR, std::process::id().to_string())
            .env(PARALLELISM, self.parallelism.to_string())
            // A terminal sends Ctrl-C to the whole group: the supervisor stops the job, so its processes must live.
            .process_group(0)
            .stdin(Stdio::null());
        secret.pass_to(&mut command, SECRET);
        let attempt = self.attempt;
        let (pids, listeners, events) = (self.pids.clone(), self.listeners.clone(), events.clone());
        match command.spawn() {
            Ok(mut child) => {
                if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                    locked(&pids).insert(process, pid);
                }
                spawn_thread("child", move || {
                    let exit = wait_for(&mut child);
                    locked(&pids).remove(&process);
                    // What the process said last, accumulators above all, must be heard before its end.
                    let listener = locked(&listeners).remove(&process);
                    let _ = listener.map(|ended| ended.recv_timeout(LAST_WORDS));
                    let _ = events.send(Event::Exit(attempt, process, exit));
                })
            }
            Err(error) => {
                let reason = error.to_string();
                let _ = events.send(Event::Exit(attempt, process, ProcessExit::NotStarted { reason }));
                Ok(())
            }
        }
    }

    /// Tells all processes something.
    pub(crate) fn send(&mut self, message: &ToWorker) {
        for (process, outbox) in locked(&self.outboxes).iter() {
            let (job, attempt) = (self.job.clone(), self.attempt);
            let _ = outbox.send(Envelope { job, attempt, process: *process, message: message.clone() });
        }
    }

    /// Ends all processes by force.
    pub(crate) fn kill(&mut self) {
        self.accepting.store(false, Ordering::Release);
        for pid in locked(&self.pids).values() {
            let _ = rustix::process::kill_process(*pid, rustix::process::Signal::KILL);
        }
    }

    /// The job is over: nobody is waited for any more.
    pub(crate) fn end(&mut self) {
        self.kill();
    }

    /// What the processes said with their last heartbeats.
    pub(crate) fn status(&self) -> JobStatus {
        let progress = locked(&self.progress);
        let parts = progress.values().flat_map(|report| report.accumulators.iter().cloned().map(Arc::new));
        JobStatus {
            metrics: progress.values().flat_map(|report| report.metrics.iter().cloned()).collect(),
            accumulators: AccumulatorResults::new(parts.collect()),
            records_in: progress.values().map(|report| report.records_in).sum(),
            records_out: progress.values().map(|report| report.records_out).sum(),
            watermark: progress.values().map(|report| report.watermark).min().unwrap_or(i64::MIN),
            held_by: progress.values().find_map(|report| report.held_by.clone()),
            ..JobStatus::default()
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.kill();
    }
}

fn wait_for(child: &mut Child) -> ProcessExit {
    match child.wait() {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => ProcessExit::Code(code),
            (None, Some(signal)) => ProcessExit::Signal(signal),
            (None, None) => ProcessExit::Lost,
        },
        Err(_) => ProcessExit::Lost,
    }
}

/// Accepts all processes of an attempt and tells them to start once the last one is there.
fn accept(listener: &ControlListener, processes: usize, start: Envelope<ToWorker>, talk: &Talk) {
    let mut addresses: BTreeMap<ProcessIndex, String> = BTreeMap::new();
    while addresses.len() < processes && talk.accepting.load(Ordering::Acquire) {
        let Ok(Some(mut link)) = listener.accept(Duration::from_millis(200)) else { continue };
        let Ok(Some(envelope)) = link.recv::<Envelope<FromWorker>>() else { continue };
        if let FromWorker::Hello { process, address } = &envelope.message {
            addresses.insert(*process, address.clone());
            let process = *process;
            let _ = talk.events.send(Event::Message(Box::new(envelope)));
            if let Err(error) = talk_with(process, link, talk) {
                tracing::error!("{error}");
            }
        }
    }
    let mut start = start;
    if let ToWorker::Start { addresses: all, .. } = &mut start.message {
        *all = addresses.into_values().collect();
    }
    for (process, outbox) in locked(&talk.outboxes).iter() {
        let _ = outbox.send(Envelope { process: *process, ..start.clone() });
    }
}

/// Starts the two threads that talk with a process.
fn talk_with(process: ProcessIndex, link: ControlLink, talk: &Talk) -> Result<()> {
    let (mut sender, mut receiver) = link.split();
    let (outbox, letters): (_, Receiver<Envelope<ToWorker>>) = channel();
    locked(&talk.outboxes).insert(process, outbox);
    spawn_thread("to-child", move || {
        while let Ok(letter) = letters.recv() {
            if sender.send(&letter).is_err() {
                return;
            }
        }
    })?;
    let (events, progress) = (talk.events.clone(), talk.progress.clone());
    let (listening, ended) = channel::<()>();
    locked(&talk.listeners).insert(process, ended);
    spawn_thread("from-child", move || {
        let _listening = listening;
        while let Ok(Some(envelope)) = receiver.recv::<Envelope<FromWorker>>() {
            if let FromWorker::Heartbeat { progress: report, .. } = &envelope.message {
                locked(&progress).insert(process, report.clone());
            }
            if events.send(Event::Message(Box::new(envelope))).is_err() {
                return;
            }
        }
    })
}

/// Whether this process was started to be a worker.
pub(crate) fn is_worker_process() -> bool {
    std::env::var_os(CONTROL).is_some()
}

/// How many workers the attempt has that this process was started for, over all processes; none if it is no worker
/// process. A job that was rescaled has another number than its arguments say.
pub fn parallelism_of_worker_process() -> Option<u32> {
    if is_worker_process() { std::env::var(PARALLELISM).ok()?.parse().ok() } else { None }
}

/// The life of a worker process.
pub(crate) fn work_and_exit(job: &Arc<Job>, options: &JobOptions) -> ! {
    silence_network_threads();
    let code = match end_with_supervisor()
        .and_then(|lives| if lives { work(job, options) } else { Ok(EXIT_ORPHANED) })
    {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("a worker process could not start\n{}", error.report());
            EXIT_FAILED
        }
    };
    std::process::exit(code)
}

/// Sees to it that this process does not outlive its supervisor, not even while it waits for its peers, when nobody
/// listens to the supervisor's connection; answers whether there still is one. Elsewhere than on Linux, such a
/// process ends when it is done with waiting.
fn end_with_supervisor() -> Result<bool> {
    #[cfg(target_os = "linux")]
    {
        let supervisor = number(SUPERVISOR)?;
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|error| Error::internal(format!("cannot be bound to the supervisor: {error}")))?;
        // It may have died before.
        let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get());
        Ok(parent.and_then(|parent| u64::try_from(parent).ok()) == Some(supervisor))
    }
    #[cfg(not(target_os = "linux"))]
    Ok(true)
}

/// Threads of the mesh panic when a peer is gone; the supervisor reports that better.
fn silence_network_threads() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let of_mesh = std::thread::current().name().is_some_and(|name| name.starts_with("timely:"));
        let echo =
            info.payload().downcast_ref::<&str>().is_some_and(|text| text.starts_with("MergeQueue poisoned"));
        if !of_mesh && !echo {
            before(info);
        }
    }));
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| {
        Error::config(format!("{name} is not set"))
            .with_hint("worker processes are started by the supervisor")
    })
}

fn number(name: &str) -> Result<u64> {
    let text = variable(name)?;
    text.parse().map_err(|_| Error::config(format!("{name} is no number: {text}")))
}

fn work(job: &Arc<Job>, options: &JobOptions) -> Result<i32> {
    let (process, attempt) = (number(PROCESS)? as u32, number(ATTEMPT)?);
    let secret = Secret::from_env(SECRET)?;
    let name = job.graph.name.clone();
    let listener = listen(options, process)?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::network(format!("cannot tell where this process listens: {error}")))?
        .to_string();
    let mut control = ControlConfig::new(
        name.clone(),
        attempt,
        process as usize,
        options.processes as usize,
        secret.clone(),
    );
    control.tls = options.tls;
    let mut link = ControlLink::connect(&variable(CONTROL)?, &control)?;
    let envelope = |message| Envelope { job: name.clone(), attempt, process, message };
    link.send(&envelope(FromWorker::Hello { process, address }))?;
    let Some(start) = link.recv::<Envelope<ToWorker>>()? else { return Ok(EXIT_ORPHANED) };
    let ToWorker::Start { restore, restore_path, addresses, workers_per_process, .. } = start.message else {
        return Err(Error::internal("the supervisor said something before it said start"));
    };
    let mut mesh = MeshConfig::new(name.clone(), attempt, process as usize, addresses, secret);
    mesh.listener = Some(listener);
    mesh.tls = options.tls;
    let streams = Mesh::connect(mesh)?;
    let store = options.store(&name)?;
    let restored = match (restore, &store) {
        (Some(manifest), Some(store)) => {
            let from = RestoreFrom { manifest: &manifest, path: restore_path.as_deref() };
            Some(from.open(store, &options.places())?)
        }
        _ => None,
    };
    let config = options.worker_config(job, attempt, restored);
    let spec = ProcessSpec { config, process, workers: workers_per_process, store, streams };
    serve(spec, link, options, &name, attempt)
}

fn listen(options: &JobOptions, process: u32) -> Result<TcpListener> {
    let wanted = options.addresses.get(process as usize).map_or("127.0.0.1:0", String::as_str);
    TcpListener::bind(wanted).map_err(|error| {
        Error::network(format!("cannot listen on {wanted}: {error}"))
            .with_detail(format!("process {process}"))
            .with_hint("choose another address, or leave --addresses out to use free ports")
    })
}

/// Runs the worker threads and talks with the supervisor until either is over.
fn serve(
    spec: ProcessSpec,
    link: ControlLink,
    options: &JobOptions,
    job: &str,
    attempt: AttemptId,
) -> Result<i32> {
    let process = spec.process;
    let (mut sender, mut receiver) = link.split();
    let (events, messages) = channel::<FromWorker>();
    let failed = Arc::new(AtomicBool::new(false));
    let (done, all_sent) = channel::<()>();
    let (job_name, failed_here) = (job.to_owned(), failed.clone());
    spawn_thread("to-supervisor", move || {
        while let Ok(message) = messages.recv() {
            failed_here.fetch_or(matches!(message, FromWorker::Failed { .. }), Ordering::AcqRel);
            let envelope = Envelope { job: job_name.clone(), attempt, process, message };
            if sender.send(&envelope).is_err() {
                std::process::exit(EXIT_ORPHANED);
            }
        }
        let _ = done.send(());
    })?;
    let stop = HeartbeatStop::default();
    let stop_then = stop.clone();
    let handle = process::start(spec, events.clone(), move || {
        // The heartbeat lets go of its end, then all that was said has left, then the process may go.
        stop_then.stop();
        let _ = all_sent.recv();
        std::process::exit(if failed.load(Ordering::Acquire) { EXIT_FAILED } else { 0 });
    })?;
    heartbeat(process, handle.board.clone(), options.heartbeat_interval, events, stop)?;
    loop {
        match receiver.recv::<Envelope<ToWorker>>() {
            Ok(Some(envelope)) => match fence(job, attempt, &envelope) {
                Verdict::Accept => handle.send(&envelope.message),
                Verdict::Stale | Verdict::Foreign => {}
                Verdict::Superseded => return Ok(EXIT_ORPHANED),
            },
            Ok(None) | Err(_) => return Ok(EXIT_ORPHANED),
        }
    }
}
