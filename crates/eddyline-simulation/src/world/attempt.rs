//! The processes of one attempt.

use super::control::{Post, ProcessEnd, SimulatedPort};
use super::{Line, SimulatedPartIo, World};
use crate::jobs::JOB;
use eddyline_core::{Clock, ManualClock, Result};
use eddyline_protocol::{AttemptId, Envelope, FromWorker, Manifest, ProcessExit, ProgressReport, ToWorker};
use eddyline_runtime::deterministic::{Cluster, NetworkConfig};
use eddyline_runtime::watchdog::Watchdog;
use eddyline_runtime::worker::{ControlPort, Restored, Turn, WorkerConfig};
use eddyline_runtime::{Limits, Services, StateBackendService};
use eddyline_state::store::MemoryBackend;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// How often a process says that it lives, microseconds.
const HEARTBEAT_MICROS: u64 = 400_000;
/// Memory of a worker, bytes: plenty.
const MEMORY_BYTES: usize = 256 << 20;

/// What a table may have in memory beside a store, bytes: next to nothing.
const RESIDENT_BYTES: usize = 300;

/// In a third of the seeds keyed state is in memory, in another third nearly all of it is in stores, and in the rest
/// attempts take turns: then what one backend has written is read by the other.
fn services_of(world: &World, attempt: AttemptId) -> Services {
    let mut services = world.services.clone();
    let has_stores = match world.scenario.seed % 3 {
        0 => false,
        1 => true,
        _ => attempt % 2 == 1,
    };
    if has_stores {
        let backend = StateBackendService(Arc::new(MemoryBackend::new(RESIDENT_BYTES)));
        services.insert(Arc::new(backend));
    }
    services
}

/// A clock on which time passes while somebody works, so that turns come to their limits.
struct PassingClock {
    clock: ManualClock,
    reading_micros: u64,
}

impl Clock for PassingClock {
    fn wall_micros(&self) -> u64 {
        self.clock.wall_micros()
    }

    fn monotonic_micros(&self) -> u64 {
        self.clock.advance(self.reading_micros);
        self.clock.monotonic_micros()
    }
}

enum Life {
    /// Comes up at that time.
    Starting(u64),
    Running,
    Ended,
}

struct Process {
    life: Life,
    inbox: Rc<RefCell<Line<ToWorker>>>,
    stalled_until: u64,
    next_heartbeat: u64,
    /// Ended by force at that time.
    killed_at: Option<u64>,
}

/// An attempt and its processes, some of which may have outlived it.
pub struct SimulatedAttempt {
    /// Its number.
    pub number: AttemptId,
    world: World,
    cluster: Cluster,
    processes: Vec<Process>,
    config: WorkerConfig,
    post: Rc<RefCell<Post>>,
}

impl SimulatedAttempt {
    /// The attempt of that number, whose `count` processes are about to come up.
    ///
    /// # Errors
    /// If the machine that simulates has no threads left.
    pub fn new(
        world: &World,
        (number, count): (AttemptId, usize),
        restore: Option<&Manifest>,
        post: Rc<RefCell<Post>>,
    ) -> Result<Self> {
        let scenario = &world.scenario;
        let network = NetworkConfig { seed: world.fork().number(), ..scenario.network };
        let cluster = Cluster::new(count, network)?;
        let reader = Arc::new(world.store.clone());
        let restored =
            restore.map(|manifest| Restored { manifest: Arc::new(manifest.clone()), reader, foreign: false });
        let config = WorkerConfig {
            job: world.job.clone(),
            attempt: number,
            clock: Arc::new(PassingClock {
                clock: world.clock.clone(),
                reading_micros: scenario.reading_micros,
            }),
            services: services_of(world, number),
            limits: Limits {
                batch_rows: scenario.batch_rows,
                edge_bytes: scenario.flight_bytes.0,
                pool_bytes: scenario.flight_bytes.1,
                ticks_in_flight: scenario.ticks_in_flight,
                ..Limits::from_memory(MEMORY_BYTES)
            },
            tick_micros: scenario.tick_micros,
            tick_per_batch: false,
            on_event: scenario.on_event,
            buffer_timeout_micros: 2_000,
            snapshot_entries_per_turn: scenario.snapshot_entries,
            restored,
        };
        let processes = (0..count).map(|process| {
            post.borrow_mut().open(number, process as u32, world.fork());
            Process {
                life: Life::Starting(world.now() + world.below(20_000)),
                inbox: Rc::new(RefCell::new(Line::new(scenario.line, world.fork()))),
                stalled_until: 0,
                next_heartbeat: 0,
                killed_at: None,
            }
        });
        let processes = processes.collect();
        Ok(SimulatedAttempt { number, world: world.clone(), cluster, processes, config, post })
    }

    /// Sends `message` to all processes.
    pub fn send(&mut self, message: &ToWorker) {
        let now = self.world.now();
        for process in &self.processes {
            process.inbox.borrow_mut().send(now, message.clone());
        }
    }

    /// Ends all processes by force, each within `within` microseconds: until then they go on as if nothing was.
    pub fn kill_all(&mut self, within: u64) {
        for process in &mut self.processes {
            let at = self.world.now() + self.world.below(within + 1);
            process.killed_at = Some(process.killed_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Ends one process at once, as a signal does.
    pub fn kill(&mut self, process: usize) {
        self.end(process, ProcessExit::Signal(9));
    }

    /// Ends all at once without anybody noticing: the machine has stopped.
    pub fn vanish(&mut self) {
        for process in 0..self.processes.len() {
            self.processes[process].life = Life::Ended;
            self.cluster.end(process);
        }
    }

    /// Stops one process for `micros`.
    pub fn stall(&mut self, process: usize, micros: u64) {
        self.processes[process].stalled_until = self.world.now() + micros;
    }

    /// Cuts the link between two processes for `steps` steps.
    pub fn cut(&mut self, one: usize, other: usize, steps: u64) {
        self.cluster.network().cut(one, other, steps);
    }

    /// How many processes it has, or had.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    /// Whether no process is left.
    pub fn is_over(&self) -> bool {
        self.processes.iter().all(|process| matches!(process.life, Life::Ended))
    }

    /// A step of the network.
    pub fn step_network(&mut self) {
        self.cluster.network().step();
    }

    /// What went over the network, for the digest of the run.
    pub fn network_digest(&self) -> u64 {
        self.cluster.network().digest()
    }

    /// Links that were cut.
    pub fn partitions(&self) -> u64 {
        self.cluster.network().partitions()
    }

    /// Control messages that reached processes a second time.
    pub fn repeated(&self) -> u64 {
        self.processes.iter().map(|process| process.inbox.borrow().repeated).sum()
    }

    /// What holds the job, by the word of each process; for people.
    pub fn describe(&mut self) -> String {
        let describe = |process: usize| match self.cluster.worker(process) {
            Some(worker) => format!("{process}: tick {}, {}", worker.status().tick, worker.describe_stall()),
            None => format!("{process}: not there"),
        };
        (0..self.processes.len()).map(describe).collect::<Vec<_>>().join("; ")
    }

    /// One turn of `process`; answers whether it has more to do at once.
    pub fn step(&mut self, process: usize) -> bool {
        let now = self.world.now();
        let state = &self.processes[process];
        if state.killed_at.is_some_and(|at| at <= now) && !matches!(state.life, Life::Ended) {
            self.end(process, ProcessExit::Signal(9));
            return false;
        }
        if state.stalled_until > now {
            return false;
        }
        match state.life {
            Life::Starting(at) if at <= now => self.start(process),
            Life::Starting(_) | Life::Ended => false,
            Life::Running => self.turn(process),
        }
    }

    fn start(&mut self, process: usize) -> bool {
        let index = process as u32;
        self.world.counts.borrow_mut().starts += 1;
        self.world.trace.note(&format!("attempt {} process {process} starts", self.number));
        self.say(process, FromWorker::Hello { process: index, address: format!("process-{process}") });
        let store = self.world.store.clone();
        let io = SimulatedPartIo::new(
            store,
            (self.number, process),
            self.world.clock.clone(),
            self.world.fork(),
            self.world.conditions.clone(),
        );
        let port = self.port(process);
        match self.cluster.build(process, &self.config, Arc::new(Watchdog::default()), port, Box::new(io)) {
            Ok(()) => {
                self.processes[process].life = Life::Running;
                self.say(process, FromWorker::Running { process: index });
                true
            }
            Err(report) => {
                self.say(process, FromWorker::Failed { worker: index, error: Box::new(report) });
                self.end(process, ProcessExit::Code(1));
                false
            }
        }
    }

    fn port(&self, process: usize) -> Box<dyn ControlPort> {
        let (trace, counts) = (self.world.trace.clone(), self.world.counts.clone());
        let number = self.number;
        let seen = move |message: &FromWorker| {
            trace.note(&format!("attempt {number} process {process} says {}", brief(message)));
            let mut counts = counts.borrow_mut();
            counts.parts += u64::from(matches!(message, FromWorker::PartDone { .. }));
            counts.input_ends += u64::from(matches!(message, FromWorker::InputEnded));
        };
        Box::new(SimulatedPort {
            job: JOB.to_owned(),
            attempt: number,
            process: process as u32,
            clock: self.world.clock.clone(),
            inbox: self.processes[process].inbox.clone(),
            post: self.post.clone(),
            seen: Rc::new(seen),
        })
    }

    fn turn(&mut self, process: usize) -> bool {
        let now = self.world.now();
        if now >= self.processes[process].next_heartbeat {
            self.processes[process].next_heartbeat = now + HEARTBEAT_MICROS;
            let progress = ProgressReport::default();
            self.say(process, FromWorker::Heartbeat { process: process as u32, progress });
        }
        let Some(worker) = self.cluster.worker(process) else { return false };
        match worker.turn() {
            Ok(Turn::Busy) => true,
            Ok(Turn::Idle(_)) => false,
            Ok(Turn::Finished) => {
                self.end(process, ProcessExit::Code(0));
                false
            }
            Err(report) => {
                worker.close();
                self.world
                    .trace
                    .note(&format!("attempt {} process {process} failed: {report:?}", self.number));
                self.say(process, FromWorker::Failed { worker: process as u32, error: Box::new(report) });
                self.end(process, ProcessExit::Code(1));
                false
            }
        }
    }

    fn say(&mut self, process: usize, message: FromWorker) {
        let envelope =
            Envelope { job: JOB.to_owned(), attempt: self.number, process: process as u32, message };
        self.post.borrow_mut().send(self.world.now(), envelope);
    }

    fn end(&mut self, process: usize, exit: ProcessExit) {
        if matches!(self.processes[process].life, Life::Ended) {
            return;
        }
        self.world.trace.note(&format!("attempt {} process {process} {exit}", self.number));
        self.processes[process].life = Life::Ended;
        self.cluster.end(process);
        let due_micros = self.world.now() + self.world.below(5_000);
        let attempt = self.number;
        self.post.borrow_mut().ended(ProcessEnd { attempt, process: process as u32, exit, due_micros });
    }
}

fn brief(message: &FromWorker) -> String {
    match message {
        FromWorker::PartDone { checkpoint, tick, part, .. } => {
            format!("part of checkpoint {checkpoint} done, cut {tick}, {} bytes", part.bytes_written)
        }
        other => format!("{other:?}"),
    }
}
