//! A backend of state that fails once.

use eddyline_core::{Error, Result};
use eddyline_state::store::{Answer, MemoryBackend, Request, StateBackend, StatePlace, StateStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

/// Bytes that each state may have beside the store: next to nothing, so that nearly every access goes there.
const RESIDENT_BYTES: usize = 200;

/// How long each access takes.
const SLOWNESS: Duration = Duration::from_millis(1);

/// Keeps state in memory; one access fails.
pub struct FailsOnce {
    inner: MemoryBackend,
    shared: Arc<Shared>,
}

struct Shared {
    accesses_left: AtomicU64,
    /// Whether it does not fail before a checkpoint is complete.
    waits: bool,
    failed: AtomicBool,
    checkpoints: PathBuf,
    restored: AtomicBool,
}

impl FailsOnce {
    /// Fails at the access after `accesses`; if that is odd, at the first one from there on that comes after a checkpoint.
    pub fn after(accesses: u64, checkpoints: &Path) -> Self {
        let shared = Shared {
            accesses_left: AtomicU64::new(accesses),
            waits: accesses % 2 == 1,
            failed: AtomicBool::new(false),
            checkpoints: checkpoints.to_owned(),
            restored: AtomicBool::new(false),
        };
        FailsOnce { inner: MemoryBackend::new(RESIDENT_BYTES), shared: Arc::new(shared) }
    }

    /// Whether it has failed when a checkpoint was complete.
    pub fn restored(&self) -> bool {
        self.shared.restored.load(Ordering::Relaxed)
    }
}

impl StateBackend for FailsOnce {
    fn open(&self, place: &StatePlace, waker: Waker) -> Result<Box<dyn StateStore>> {
        Ok(Box::new(Store { inner: self.inner.open(place, waker)?, shared: self.shared.clone() }))
    }

    fn memory_bytes(&self, worker: usize) -> usize {
        self.inner.memory_bytes(worker)
    }
}

struct Store {
    inner: Box<dyn StateStore>,
    shared: Arc<Shared>,
}

fn has_complete(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| path.ends_with("COMPLETE") || path.is_dir() && has_complete(&path))
}

impl StateStore for Store {
    fn submit(&mut self, request: Request) {
        // A slow store: so checkpoints fall between the accesses of small jobs, too.
        std::thread::park_timeout(SLOWNESS);
        self.inner.submit(request);
    }

    fn poll(&mut self) -> Result<Option<Answer>> {
        let answer = self.inner.poll()?;
        if answer.is_none() {
            return Ok(None);
        }
        let shared = &self.shared;
        let count = |left: u64| left.checked_sub(1);
        let left = shared.accesses_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        if left.unwrap_or(1) == 1 && !shared.failed.load(Ordering::Relaxed) {
            let is_complete = has_complete(&shared.checkpoints);
            if is_complete || !shared.waits {
                shared.failed.store(true, Ordering::Relaxed);
                shared.restored.store(is_complete, Ordering::Relaxed);
                return Err(Error::input("the access that was to fail"));
            }
        }
        Ok(answer)
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }

    fn expire(&mut self, limit: i64) {
        self.inner.expire(limit);
    }

    fn resident_bytes_max(&self) -> usize {
        self.inner.resident_bytes_max()
    }
}
