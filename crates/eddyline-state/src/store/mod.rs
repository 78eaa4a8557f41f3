//! Where state is kept that does not fit in memory.
//!
//! A table keeps some entries in memory, the *resident* ones, and the others in a [`StateStore`]. Nothing waits for a
//! store: requests are handed over, served elsewhere one after the other, and answered when the table polls. As they are
//! served in order, a read sees every write that was handed over before it.
//!
//! A store holds bytes by keys of [`KEY_BYTES`]: key group and stable hash, both big endian, so that a key group is one
//! range. What lies under a key is all entries of that hash, each as canonical key bytes followed by canonical value
//! bytes, which is what segments of snapshots contain. Before them stand their number and, where state has a time to
//! live, when they were touched last.
//!
//! **Architecture invariant:** what a store keeps is scratch. Its content begins empty with every attempt, and is made
//! durable by snapshots alone.

mod memory;
mod requests;

pub use memory::MemoryBackend;
pub use requests::{Answer, Found, KEY_BYTES, KeyList, Request, StoreKey, WriteBatch};
pub(crate) use requests::{hash_of, store_key};

use eddyline_core::Result;
use std::task::Waker;

/// Which state a store is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePlace {
    /// The index of the worker thread in the whole job.
    pub worker: usize,
    /// The memory of that worker, bytes.
    pub worker_memory_bytes: usize,
    /// The attempt.
    pub attempt: u64,
    /// The stable identity of the operator.
    pub uid: String,
    /// The name of the state.
    pub state: String,
    /// Whether values expire: then each begins with the time of its last touch, an `i64`, little endian.
    pub expires: bool,
}

/// What keeps the states of a job's workers beside memory; one for all workers of a process.
pub trait StateBackend: Send + Sync {
    /// Opens the store of a state, which is empty. `waker` is called whenever there is something to poll for.
    ///
    /// # Errors
    /// If the store cannot be made; names the directory.
    fn open(&self, place: &StatePlace, waker: Waker) -> Result<Box<dyn StateStore>>;

    /// The memory that the backend itself occupies for `worker`, bytes: caches, buffers, requests that wait.
    fn memory_bytes(&self, worker: usize) -> usize;

    /// Numbers about the backend of `worker`, for people: name and value.
    fn metrics(&self, worker: usize) -> Vec<(String, f64)> {
        let _ = worker;
        Vec::new()
    }
}

/// The store of one state of one operator instance.
pub trait StateStore {
    /// Hands a request over. Requests are served in order.
    fn submit(&mut self, request: Request);

    /// The next answer, in the order of the requests that have one.
    ///
    /// # Errors
    /// If the store failed: what it kept is lost, and the attempt has to end.
    fn poll(&mut self) -> Result<Option<Answer>>;

    /// Waits until all that was submitted is served. For restoring only, when nothing runs yet.
    ///
    /// # Errors
    /// As [`StateStore::poll`].
    fn wait(&mut self) -> Result<()>;

    /// What was touched at `limit` or before has expired: a store of values that expire may drop them whenever it likes.
    fn expire(&mut self, limit: i64) {
        let _ = limit;
    }

    /// The bytes that the entries of this state may occupy in memory, as of now: it becomes less when the worker opens
    /// more states.
    fn resident_bytes_max(&self) -> usize;
}
