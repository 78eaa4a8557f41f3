//! The databases of a process, by worker. A worker's is opened by the first of its states, and replaced in each attempt.

mod database;
mod directory;
mod options;
mod usage;
mod worker;

pub use options::{RESIDENT_PERCENT, ROCKSDB_PERCENT, RocksDbOptions, Serving};

use directory::Scratch;
use eddyline_core::{Error, Result};
use eddyline_state::{StateBackend, StatePlace, StateStore};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use worker::Worker;

/// The databases of all workers of a process.
///
/// # Examples
/// ```
/// use eddyline_state::store::{Answer, Request, StateBackend, StatePlace, StateStore, WriteBatch};
/// use eddyline_state_rocksdb::{RocksDb, RocksDbOptions, Serving};
/// use std::task::Waker;
///
/// let options = RocksDbOptions { serving: Serving::AtOnce, ..RocksDbOptions::default() };
/// let place = StatePlace {
///     worker: 0,
///     worker_memory_bytes: 64 << 20,
///     attempt: 1,
///     uid: "count".into(),
///     state: "total".into(),
///     expires: false,
/// };
/// let mut store = RocksDb::new(options).open(&place, Waker::noop().clone())?;
/// let mut batch = WriteBatch::default();
/// batch.put([7; 12], |out| out.push(1));
/// store.submit(Request::Write(batch));
/// store.submit(Request::Read { keys: vec![[7; 12], [8; 12]] });
/// assert!(matches!(store.poll()?, Some(Answer::Written { .. })));
/// let Some(Answer::Read { found, .. }) = store.poll()? else { panic!("reads are answered") };
/// assert_eq!(found.iter().collect::<Vec<_>>(), [Some(&[1u8][..]), None]);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
pub struct RocksDb {
    options: RocksDbOptions,
    open: Mutex<Open>,
}

/// What there is once a worker has asked for a store.
#[derive(Default)]
struct Open {
    workers: BTreeMap<usize, Arc<Worker>>,
    /// Goes after the databases in it.
    scratch: Option<Scratch>,
}

impl RocksDb {
    /// Nothing is opened before a worker asks for a store.
    pub fn new(options: RocksDbOptions) -> Self {
        RocksDb { options, open: Mutex::default() }
    }

    fn find(&self, worker: usize) -> Option<Arc<Worker>> {
        self.open.lock().ok()?.workers.get(&worker).cloned()
    }

    /// The worker's database in this attempt, opened if need be.
    fn worker(&self, place: &StatePlace) -> Result<Arc<Worker>> {
        let mut open = self.open.lock().map_err(|_| poisoned())?;
        let Open { workers, scratch } = &mut *open;
        if let Some(worker) = workers.get(&place.worker)
            && worker.attempt() == place.attempt
        {
            return Ok(worker.clone());
        }
        // What an earlier attempt has left is of no use to anybody, also where there are fewer workers now.
        workers.retain(|_, worker| worker.attempt() == place.attempt);
        if scratch.is_none() {
            *scratch = Some(Scratch::create(&self.options.directory)?);
        }
        let directory = scratch.as_ref().map_or(self.options.directory.as_path(), Scratch::path);
        let path = directory.join(format!("worker-{}-attempt-{}", place.worker, place.attempt));
        let worker = Arc::new(Worker::start(place, path, &self.options)?);
        workers.insert(place.worker, worker.clone());
        Ok(worker)
    }
}

fn poisoned() -> Error {
    Error::internal("a thread panicked while it held the list of databases")
}

impl StateBackend for RocksDb {
    fn open(&self, place: &StatePlace, waker: Waker) -> Result<Box<dyn StateStore>> {
        let worker = self.worker(place)?;
        Worker::open(&worker, place, waker)
    }

    fn memory_bytes(&self, worker: usize) -> usize {
        self.find(worker).map_or(0, |worker| worker.memory_bytes())
    }

    fn metrics(&self, worker: usize) -> Vec<(String, f64)> {
        self.find(worker).map(|worker| worker.metrics()).unwrap_or_default()
    }
}
