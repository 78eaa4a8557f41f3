//! A worker's database with the thread that serves it, and the stores of its tables.

use super::database::{Memory, Server};
use super::options::{RESIDENT_PERCENT, ROCKSDB_PERCENT, RocksDbOptions, Serving};
use super::usage;
use eddyline_core::{Error, Result};
use eddyline_state::store::{Answer, Request};
use eddyline_state::{StatePlace, StateStore};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread::JoinHandle;

/// Requests between two looks at how much processor time was used.
const REQUESTS_PER_LOOK: u64 = 512;

/// What the thread is told. A table has a few requests under way at most, as it waits for answers before it asks for
/// more, so that the queue is short.
enum Command {
    Open(String, Option<Arc<AtomicI64>>, Arc<Mailbox>, Sender<Result<()>>),
    Serve(usize, Request),
    /// Answered when everything before has been served.
    Barrier(Sender<()>),
    Stop,
}

/// Where answers to a table are left.
struct Mailbox {
    answers: Mutex<VecDeque<Result<Answer>>>,
    waker: Waker,
}

impl Mailbox {
    fn leave(&self, answer: Result<Answer>) {
        if let Ok(mut answers) = self.answers.lock() {
            answers.push_back(answer);
        }
        self.waker.wake_by_ref();
    }
}

/// Figures that both sides see.
#[derive(Default)]
struct Figures {
    /// Bytes of the cache in use.
    cache_bytes: AtomicUsize,
    keys_read: AtomicU64,
    keys_found: AtomicU64,
    keys_written: AtomicU64,
    /// Of the process: its databases share their threads.
    background_cpu_millis: AtomicU64,
}

/// A worker's database.
pub(crate) struct Worker {
    attempt: u64,
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    tables: Arc<AtomicUsize>,
    resident_bytes: usize,
    serving: Serving,
    figures: Arc<Figures>,
}

impl Worker {
    /// Opens an empty database in `path` and starts its thread.
    pub(crate) fn start(place: &StatePlace, path: PathBuf, options: &RocksDbOptions) -> Result<Self> {
        let memory = Memory::new(place.worker_memory_bytes / 100 * ROCKSDB_PERCENT);
        let (commands, inbox) = channel();
        let figures = Arc::new(Figures::default());
        let (seen, threads, directory) = (figures.clone(), options.background_threads, path.clone());
        let (opened, is_open) = channel();
        let serve = move || match memory.open(&directory, threads) {
            Err(error) => drop(opened.send(Err(error))),
            Ok(db) => {
                let _ = opened.send(Ok(()));
                let server = Server {
                    db: &db,
                    memory: &memory,
                    path: directory,
                    families: Vec::new(),
                    snapshots: BTreeMap::new(),
                };
                run(server, &inbox, &seen);
            }
        };
        let thread = std::thread::Builder::new()
            .name(format!("eddyline:state-{}", place.worker))
            .spawn(serve)
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        is_open.recv().map_err(|_| gone(&path))??;
        Ok(Worker {
            attempt: place.attempt,
            commands,
            thread: Some(thread),
            path,
            tables: Arc::default(),
            resident_bytes: options
                .resident_bytes
                .unwrap_or(place.worker_memory_bytes / 100 * RESIDENT_PERCENT),
            serving: options.serving,
            figures,
        })
    }

    pub(crate) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// The store of one more table.
    pub(crate) fn open(worker: &Arc<Self>, place: &StatePlace, waker: Waker) -> Result<Box<dyn StateStore>> {
        let mailbox = Arc::new(Mailbox { answers: Mutex::default(), waker });
        let (opened, is_open) = channel();
        let name = format!("{}/{}", place.uid, place.state);
        let expiry = place.expires.then(|| Arc::new(AtomicI64::new(i64::MIN)));
        let _ = worker.commands.send(Command::Open(name, expiry.clone(), mailbox.clone(), opened));
        is_open.recv().map_err(|_| gone(&worker.path))??;
        let table = worker.tables.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Store { worker: worker.clone(), table, mailbox, expiry }))
    }

    /// What the database occupies.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.figures.cache_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn metrics(&self) -> Vec<(String, f64)> {
        let figures = &self.figures;
        let counted = |name: &str, figure: u64| (format!("rocksdb.{name}"), figure as f64);
        vec![
            counted("cache-bytes", self.memory_bytes() as u64),
            counted("keys-read", figures.keys_read.load(Ordering::Relaxed)),
            counted("keys-found", figures.keys_found.load(Ordering::Relaxed)),
            counted("keys-written", figures.keys_written.load(Ordering::Relaxed)),
            counted("background-cpu-ms", figures.background_cpu_millis.load(Ordering::Relaxed)),
        ]
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn gone(path: &Path) -> Error {
    Error::storage(format!("the thread that serves the state in `{}` has ended", path.display()))
}

/// Serves until it is told to stop. What failed once fails from then on: later answers would lack what was lost.
fn run(mut server: Server<'_>, inbox: &Receiver<Command>, figures: &Figures) {
    let mut mailboxes: Vec<Arc<Mailbox>> = Vec::new();
    let mut failure: Option<Error> = None;
    let mut served_requests = 0u64;
    while let Ok(command) = inbox.recv() {
        match command {
            Command::Stop => return,
            Command::Barrier(done) => drop(done.send(())),
            Command::Open(name, expiry, mailbox, opened) => {
                let outcome = server.add_family(name, expiry);
                if outcome.is_ok() {
                    mailboxes.push(mailbox);
                }
                let _ = opened.send(outcome);
            }
            Command::Serve(table, request) => {
                let Some(mailbox) = mailboxes.get(table) else { continue };
                let served = match &failure {
                    Some(error) => Err(error.clone()),
                    None => server.serve(table, request),
                };
                count(&served, figures);
                if served_requests.is_multiple_of(REQUESTS_PER_LOOK) {
                    let millis = usage::background_cpu_millis().unwrap_or(0);
                    figures.background_cpu_millis.store(millis, Ordering::Relaxed);
                }
                served_requests += 1;
                figures.cache_bytes.store(server.memory.cache.get_usage(), Ordering::Relaxed);
                if let Err(error) = &served {
                    failure.get_or_insert_with(|| error.clone());
                }
                if let Some(answer) = served.transpose() {
                    mailbox.leave(answer);
                }
            }
        }
    }
}

fn count(served: &Result<Option<Answer>>, figures: &Figures) {
    match served {
        Ok(Some(Answer::Read { keys, found })) => {
            figures.keys_read.fetch_add(keys.len() as u64, Ordering::Relaxed);
            figures.keys_found.fetch_add(found.iter().flatten().count() as u64, Ordering::Relaxed);
        }
        Ok(Some(Answer::Written { changes, .. })) => {
            figures.keys_written.fetch_add(*changes as u64, Ordering::Relaxed);
        }
        _ => {}
    }
}

/// The store of one table.
struct Store {
    worker: Arc<Worker>,
    table: usize,
    mailbox: Arc<Mailbox>,
    /// What was touched at this time or before has expired.
    expiry: Option<Arc<AtomicI64>>,
}

impl Store {
    fn wait_for_all(&self) {
        let (done, is_done) = channel();
        let _ = self.worker.commands.send(Command::Barrier(done));
        let _ = is_done.recv();
    }
}

impl StateStore for Store {
    fn submit(&mut self, request: Request) {
        let _ = self.worker.commands.send(Command::Serve(self.table, request));
        if self.worker.serving == Serving::AtOnce {
            self.wait_for_all();
        }
    }

    fn poll(&mut self) -> Result<Option<Answer>> {
        let answers = self.mailbox.answers.lock();
        let mut answers = answers.map_err(|_| gone(&self.worker.path))?;
        answers.pop_front().transpose()
    }

    fn wait(&mut self) -> Result<()> {
        self.wait_for_all();
        Ok(())
    }

    fn expire(&mut self, limit: i64) {
        if let Some(expiry) = &self.expiry {
            expiry.store(limit, Ordering::Relaxed);
        }
    }

    fn resident_bytes_max(&self) -> usize {
        self.worker.resident_bytes / self.worker.tables.load(Ordering::Relaxed).max(1)
    }
}
