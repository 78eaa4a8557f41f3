//! An attempt in the thread of the test: its workers, their lines to the supervisor, and their part files.

use eddyline_core::{Clock, ManualClock, Result};
use eddyline_protocol::{AttemptId, CheckpointId, Envelope, FromWorker, Manifest, ProcessExit, ToWorker};
use eddyline_runtime::Limits;
use eddyline_runtime::attempt::JobOptions;
use eddyline_runtime::deterministic::{Cluster, NetworkConfig};
use eddyline_runtime::graph::Job;
use eddyline_runtime::inspect::StateImage;
use eddyline_runtime::snapshots::PartIo;
use eddyline_runtime::watchdog::Watchdog;
use eddyline_runtime::worker::{ControlPort, Restored, Turn, WorkerConfig};
use eddyline_state::CheckpointStore;
use eddyline_state::checkpoint_store::PartFile;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// What workers say, and how processes ended, on the way to the supervisor.
#[derive(Default)]
pub(super) struct Post {
    pub(super) messages: VecDeque<Envelope<FromWorker>>,
    pub(super) exits: VecDeque<(AttemptId, u32, ProcessExit)>,
}

/// All that attempts of a job have in common.
pub(super) struct JobToRun {
    pub(super) job: Arc<Job>,
    pub(super) options: JobOptions,
    pub(super) clock: ManualClock,
    pub(super) store: CheckpointStore,
    pub(super) post: Rc<RefCell<Post>>,
}

/// The workers of an attempt, each a process of its own as far as anybody can tell.
pub(super) struct Attempt {
    number: AttemptId,
    cluster: Cluster,
    inboxes: Vec<Rc<RefCell<VecDeque<ToWorker>>>>,
    running: Vec<bool>,
    job: Rc<JobToRun>,
}

/// What a round of turns came to.
#[derive(Clone, Copy)]
pub(super) struct Round {
    /// Whether there may be more to do at once.
    pub(super) is_busy: bool,
    /// When there will be something to do, monotonic microseconds.
    pub(super) due_micros: Option<u64>,
}

impl Attempt {
    /// Starts an attempt; a worker that cannot be built says so.
    pub(super) fn start(job: &Rc<JobToRun>, number: AttemptId, restore: Option<&Manifest>) -> Result<Self> {
        let workers = job.options.workers as usize;
        let mut attempt = Attempt {
            number,
            cluster: Cluster::new(workers, NetworkConfig::reliable())?.telling_rest(),
            inboxes: (0..workers).map(|_| Rc::default()).collect(),
            running: vec![true; workers],
            job: job.clone(),
        };
        let config = attempt.worker_config(restore);
        for worker in 0..workers {
            attempt.build(worker, &config);
        }
        Ok(attempt)
    }

    fn worker_config(&self, restore: Option<&Manifest>) -> WorkerConfig {
        let JobToRun { job, options, clock, store, .. } = &*self.job;
        let reader = Arc::new(store.clone());
        WorkerConfig {
            job: job.clone(),
            attempt: self.number,
            clock: Arc::new(clock.clone()) as Arc<dyn Clock>,
            services: options.services.clone(),
            limits: Limits { batch_rows: options.batch_rows, ..Limits::from_memory(options.memory_bytes) },
            // Time stands still while the pipeline works: a tick ends when its work is done.
            tick_micros: 0,
            on_event: options.on_event,
            tick_per_batch: options.tick_per_batch,
            buffer_timeout_micros: 0,
            snapshot_entries_per_turn: options.snapshot_entries_per_turn,
            restored: restore.map(|manifest| Restored {
                manifest: Arc::new(manifest.clone()),
                reader,
                foreign: false,
            }),
        }
    }

    fn build(&mut self, worker: usize, config: &WorkerConfig) {
        let process = worker as u32;
        self.say(process, FromWorker::Hello { process, address: format!("worker-{worker}") });
        let port = Port {
            envelope: (config.job.graph.name.clone(), self.number, process),
            inbox: self.inboxes[worker].clone(),
            post: self.job.post.clone(),
        };
        let io = Parts {
            store: self.job.store.clone(),
            attempt: self.number,
            worker,
            open: BTreeMap::new(),
            done: VecDeque::new(),
        };
        let watchdog = Arc::new(Watchdog::default());
        match self.cluster.build(worker, config, watchdog, Box::new(port), Box::new(io)) {
            Ok(()) => self.say(process, FromWorker::Running { process }),
            Err(report) => {
                self.say(process, FromWorker::Failed { worker: process, error: Box::new(report) });
                self.end(worker, ProcessExit::Code(1));
            }
        }
    }

    fn say(&self, process: u32, message: FromWorker) {
        let job = self.job.job.graph.name.clone();
        let envelope = Envelope { job, attempt: self.number, process, message };
        self.job.post.borrow_mut().messages.push_back(envelope);
    }

    fn end(&mut self, worker: usize, exit: ProcessExit) {
        if std::mem::take(&mut self.running[worker]) {
            self.cluster.end(worker);
            self.job.post.borrow_mut().exits.push_back((self.number, worker as u32, exit));
        }
    }

    /// Its number.
    pub(super) fn number(&self) -> AttemptId {
        self.number
    }

    /// Sends `message` to all workers.
    pub(super) fn send(&mut self, message: &ToWorker) {
        self.inboxes.iter().for_each(|inbox| inbox.borrow_mut().push_back(message.clone()));
    }

    /// Ends all workers at once.
    pub(super) fn kill(&mut self) {
        (0..self.running.len()).for_each(|worker| self.end(worker, ProcessExit::Signal(9)));
    }

    /// A turn of each worker.
    pub(super) fn round(&mut self) -> Round {
        let mut round = Round { is_busy: false, due_micros: None };
        for worker in 0..self.running.len() {
            self.cluster.network().step();
            let now = self.job.clock.monotonic_micros();
            let Some(run) = self.cluster.worker(worker) else { continue };
            match run.turn() {
                Ok(Turn::Busy) => round.is_busy = true,
                Ok(Turn::Idle(due)) => {
                    round.is_busy |= !run.is_out_of_work() || due.is_some_and(|due| due <= now);
                    round.due_micros = [round.due_micros, due].into_iter().flatten().min();
                }
                Ok(Turn::Finished) => {
                    round.is_busy = true;
                    self.end(worker, ProcessExit::Code(0));
                }
                Err(report) => {
                    run.close();
                    round.is_busy = true;
                    let number = worker as u32;
                    self.say(number, FromWorker::Failed { worker: number, error: Box::new(report) });
                    self.end(worker, ProcessExit::Code(1));
                }
            }
        }
        round.is_busy |= !self.cluster.network().is_empty();
        round
    }

    /// What holds the workers, for people.
    pub(super) fn describe(&mut self) -> String {
        let describe = |worker: usize| {
            let stall = self.cluster.worker(worker).map(|run| run.describe_stall());
            format!("worker {worker}: {}", stall.unwrap_or_else(|| "not there".into()))
        };
        (0..self.running.len()).map(describe).collect::<Vec<_>>().join("; ")
    }

    /// Records that the operator of that name counted as late.
    pub(super) fn late(&mut self, operator: &str) -> u64 {
        let late = |worker| self.cluster.worker(worker).map_or(Vec::new(), |run| run.status().late);
        let all = (0..self.running.len()).flat_map(late);
        all.filter(|(name, _)| name == operator).map(|(_, late)| late).sum()
    }

    /// The state of an operator, from all workers.
    pub(super) fn state(&mut self, operator: Option<&str>, image: &mut StateImage) -> Result<()> {
        for worker in 0..self.running.len() {
            if let Some(run) = self.cluster.worker(worker) {
                run.add_to_image(operator, image)?;
            }
        }
        Ok(())
    }
}

/// A worker's end of its lines.
struct Port {
    envelope: (String, AttemptId, u32),
    inbox: Rc<RefCell<VecDeque<ToWorker>>>,
    post: Rc<RefCell<Post>>,
}

impl ControlPort for Port {
    fn receive(&mut self) -> Option<ToWorker> {
        self.inbox.borrow_mut().pop_front()
    }

    fn send(&mut self, message: FromWorker) {
        let (job, attempt, process) = self.envelope.clone();
        self.post.borrow_mut().messages.push_back(Envelope { job, attempt, process, message });
    }
}

/// Writes part files at once.
struct Parts {
    store: CheckpointStore,
    attempt: AttemptId,
    worker: usize,
    open: BTreeMap<CheckpointId, Result<PartFile>>,
    done: VecDeque<(CheckpointId, Result<()>)>,
}

impl Parts {
    /// The part of `checkpoint`, created if it is new.
    fn part(&mut self, checkpoint: CheckpointId) -> Result<PartFile> {
        let path = self.part_path(checkpoint);
        self.open.remove(&checkpoint).unwrap_or_else(|| self.store.create_part(&path))
    }
}

impl PartIo for Parts {
    fn part_path(&self, checkpoint: CheckpointId) -> String {
        self.store.part_path(checkpoint, self.attempt, self.worker)
    }

    fn append(&mut self, checkpoint: CheckpointId, chunk: Vec<u8>) {
        let written = self.part(checkpoint).and_then(|mut part| part.write(&chunk).map(|()| part));
        self.open.insert(checkpoint, written);
    }

    fn finish(&mut self, checkpoint: CheckpointId) {
        let finished = self.part(checkpoint).and_then(PartFile::finish);
        self.done.push_back((checkpoint, finished));
    }

    fn poll(&mut self) -> Option<(CheckpointId, Result<()>)> {
        self.done.pop_front()
    }

    fn bytes_waiting(&self) -> usize {
        0
    }
}
