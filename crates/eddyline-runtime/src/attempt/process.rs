//! The worker threads of one process of an attempt.

use super::part_io::{NoPartIo, ThreadedPartIo};
use super::status::StatusBoard;
use crate::snapshots::PartIo;
use crate::worker::{ControlPort, Turn, WorkerConfig, WorkerRun};
use eddyline_core::{Error, Result};
use eddyline_mesh::MeshStream;
use eddyline_protocol::{FailureReport, FromWorker, ToWorker};
use eddyline_state::CheckpointStore;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::allocator::TcpBuilder;
use timely::communication::allocator::zero_copy::initialize::{
    CommsGuard, initialize_networking_from_sockets,
};
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::allocator::{Allocator, ProcessBuilder};
use timely::worker::Worker;

/// How often a worker says how it is, microseconds.
const PUBLISH_MICROS: u64 = 100_000;

/// What one process of an attempt runs.
pub(crate) struct ProcessSpec {
    pub(crate) config: WorkerConfig,
    pub(crate) process: u32,
    pub(crate) workers: u32,
    /// None: no state is kept.
    pub(crate) store: Option<Arc<CheckpointStore>>,
    /// Connections to the other processes; empty if there are none.
    pub(crate) streams: Vec<Option<MeshStream>>,
}

/// The threads of a process, from outside.
pub(crate) struct ProcessHandle {
    mailboxes: Vec<Mailbox>,
    abort: Arc<AtomicBool>,
    pub(crate) board: Arc<StatusBoard>,
}

struct Mailbox {
    sender: Sender<ToWorker>,
    thread: Arc<OnceLock<Thread>>,
}

impl ProcessHandle {
    /// Tells all workers something.
    pub(crate) fn send(&self, message: &ToWorker) {
        for mailbox in &self.mailboxes {
            let _ = mailbox.sender.send(message.clone());
            mailbox.wake();
        }
    }

    /// Makes all workers end at the next opportunity.
    pub(crate) fn abort(&self) {
        self.abort.store(true, Ordering::Release);
        self.mailboxes.iter().for_each(Mailbox::wake);
    }
}

impl Mailbox {
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// A mesh connection as Timely wants it.
struct TimelyStream(MeshStream);

impl Read for TimelyStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for TimelyStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for TimelyStream {
    fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(TimelyStream)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

/// What the threads of a process have in common.
struct Common {
    spec_config: WorkerConfig,
    process: u32,
    store: Option<Arc<CheckpointStore>>,
    events: Sender<FromWorker>,
    abort: Arc<AtomicBool>,
    board: Arc<StatusBoard>,
    running: AtomicUsize,
    workers: usize,
}

/// Starts the threads. `ended` is called once all of them have ended.
///
/// # Errors
/// If threads cannot be started.
pub(crate) fn start(
    spec: ProcessSpec,
    events: Sender<FromWorker>,
    ended: impl FnOnce() + Send + 'static,
) -> Result<ProcessHandle> {
    let workers = spec.workers as usize;
    let (builders, guard) = allocators(spec.streams, spec.process, workers)?;
    let first_worker = spec.process * spec.workers;
    let board = Arc::new(StatusBoard::new(first_worker, workers, spec.config.clock.clone()));
    let abort = Arc::new(AtomicBool::new(false));
    let common = Arc::new(Common {
        spec_config: spec.config,
        process: spec.process,
        store: spec.store,
        events,
        abort: abort.clone(),
        board: board.clone(),
        running: AtomicUsize::new(0),
        workers,
    });
    let mut mailboxes = Vec::new();
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for (local, builder) in builders.into_iter().enumerate() {
        let (sender, receiver) = channel();
        let thread = Arc::new(OnceLock::new());
        mailboxes.push(Mailbox { sender, thread: thread.clone() });
        let common = common.clone();
        let handle = std::thread::Builder::new()
            .name(format!("eddyline:worker-{}", first_worker as usize + local))
            .spawn(move || {
                let _ = thread.set(std::thread::current());
                let allocator = match builder {
                    LocalBuilder::Process(builder) => Allocator::Process(builder.build()),
                    LocalBuilder::Tcp(builder) => Allocator::Tcp(builder.build()),
                };
                let timely = Worker::new(timely::WorkerConfig::default(), allocator, Some(Instant::now()));
                work(timely, local, &common, receiver);
            })
            .map_err(|error| Error::internal(format!("cannot start a worker thread: {error}")))?;
        threads.push(handle);
    }
    drop(common);
    std::thread::Builder::new()
        .name("eddyline:join".into())
        .spawn(move || {
            for thread in threads {
                let _ = thread.join();
            }
            drop(guard);
            ended();
        })
        .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
    Ok(ProcessHandle { mailboxes, abort, board })
}

/// What a worker thread makes its end of the communication from.
enum LocalBuilder {
    Process(ProcessBuilder),
    Tcp(TcpBuilder),
}

fn allocators(
    streams: Vec<Option<MeshStream>>,
    process: u32,
    workers: usize,
) -> Result<(Vec<LocalBuilder>, Option<CommsGuard>)> {
    let hooks = Hooks::default();
    let local = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), None);
    if streams.len() <= 1 {
        return Ok((local.into_iter().map(LocalBuilder::Process).collect(), None));
    }
    let sockets = streams.into_iter().map(|stream| stream.map(TimelyStream)).collect();
    let (builders, guard) =
        initialize_networking_from_sockets(local, sockets, process as usize, workers, hooks)
            .map_err(|error| Error::network(format!("cannot set up the mesh: {error}")))?;
    Ok((builders.into_iter().map(LocalBuilder::Tcp).collect(), Some(guard)))
}

struct ThreadPort {
    receiver: Receiver<ToWorker>,
    events: Sender<FromWorker>,
}

impl ControlPort for ThreadPort {
    fn receive(&mut self) -> Option<ToWorker> {
        self.receiver.try_recv().ok()
    }

    fn send(&mut self, message: FromWorker) {
        let _ = self.events.send(message);
    }
}

/// The life of a worker thread.
fn work(mut timely: Worker, local: usize, common: &Common, receiver: Receiver<ToWorker>) {
    let worker = timely.index();
    let outcome = crate::panics::guard(|| run(&mut timely, local, common, receiver));
    let report = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(report)) => Some(report),
        Err(error) => Some(FailureReport::from(&error)),
    };
    if let Some(report) = report {
        let _ = common.events.send(FromWorker::Failed { worker: worker as u32, error: Box::new(report) });
    }
    for dataflow in timely.installed_dataflows() {
        timely.drop_dataflow(dataflow);
    }
}

fn run(
    timely: &mut Worker,
    local: usize,
    common: &Common,
    receiver: Receiver<ToWorker>,
) -> Result<(), FailureReport> {
    let config = &common.spec_config;
    let io: Box<dyn PartIo> = match &common.store {
        Some(store) => {
            let owner = std::thread::current();
            let io = ThreadedPartIo::start(store.clone(), config.attempt, timely.index(), owner);
            Box::new(io.map_err(|error| FailureReport::from(&error))?)
        }
        None => Box::new(NoPartIo::new()),
    };
    let port = Box::new(ThreadPort { receiver, events: common.events.clone() });
    let mut run = WorkerRun::build(timely, config, common.board.watchdog(local), port, io)?;
    if common.running.fetch_add(1, Ordering::AcqRel) + 1 == common.workers {
        let _ = common.events.send(FromWorker::Running { process: common.process });
    }
    let outcome = turns(&mut run, local, common);
    common.board.publish(local, run.status(), String::new());
    if outcome.is_err() || common.abort.load(Ordering::Acquire) {
        run.close();
    }
    outcome
}

fn turns(run: &mut WorkerRun, local: usize, common: &Common) -> Result<(), FailureReport> {
    let mut publish_at = 0;
    while !common.abort.load(Ordering::Acquire) {
        let turn = run.turn()?;
        let now = common.spec_config.clock.monotonic_micros();
        if now >= publish_at {
            publish_at = now + PUBLISH_MICROS;
            common.board.publish(local, run.status(), run.describe_stall());
        }
        match turn {
            Turn::Busy => {}
            Turn::Idle(until) => run.park(until),
            Turn::Finished => return Ok(()),
        }
    }
    Ok(())
}

/// Ends a heartbeat at once.
#[derive(Clone, Default)]
pub(crate) struct HeartbeatStop(Arc<(AtomicBool, OnceLock<Thread>)>);

impl HeartbeatStop {
    /// No heartbeat is sent after the one under way.
    pub(crate) fn stop(&self) {
        self.0.0.store(true, Ordering::Release);
        if let Some(thread) = self.0.1.get() {
            thread.unpark();
        }
    }
}

/// Sends a heartbeat with the state of `board` every `interval`, until it is stopped or nobody listens.
pub(crate) fn heartbeat(
    process: u32,
    board: Arc<StatusBoard>,
    interval: Duration,
    events: Sender<FromWorker>,
    stop: HeartbeatStop,
) -> Result<()> {
    std::thread::Builder::new()
        .name("eddyline:heartbeat".into())
        .spawn(move || {
            let _ = stop.0.1.set(std::thread::current());
            while !stop.0.0.load(Ordering::Acquire) {
                if events.send(FromWorker::Heartbeat { process, progress: board.report() }).is_err() {
                    return;
                }
                std::thread::park_timeout(interval);
            }
            // The last word: what was processed in all.
            let _ = events.send(FromWorker::Heartbeat { process, progress: board.report() });
        })
        .map(drop)
        .map_err(|error| Error::internal(format!("cannot start the heartbeat thread: {error}")))
}
