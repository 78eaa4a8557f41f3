//! Threads for what a worker must not do itself: sorting, encoding, files, functions that read what was spilled.
//!
//! A job of the pool is a closure; its result comes back in a [`Task`], and the operator that submitted it is woken.
//! An operator has few jobs under way at a time (it hands over its buffers and waits for them), so the queue is
//! bounded by the number of operators. Jobs never wait for one another, so any number of threads is enough.

use super::storage::{LocalDirectories, SpillStorage};
use eddyline_core::{Error, Result};
use eddyline_runtime::panics;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::task::Waker;

/// The most threads of a pool.
const THREADS_MAX: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

/// What operators that spill share in a process: threads and storage.
pub(crate) struct SpillService {
    storage: Arc<dyn SpillStorage>,
    queue: Arc<Queue>,
    /// Jobs run when they are submitted, on the caller's thread: for tests and simulations.
    inline: bool,
    start: Once,
}

impl SpillService {
    /// Spills to files in `directories`; without any, in the system's directory for temporary files.
    pub(crate) fn in_directories(directories: Vec<PathBuf>) -> Self {
        SpillService::new(Arc::new(LocalDirectories::new(directories)), false)
    }

    fn new(storage: Arc<dyn SpillStorage>, inline: bool) -> Self {
        SpillService { storage, queue: Arc::default(), inline, start: Once::new() }
    }

    /// Runs each job at once, on the caller's thread.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn inline(storage: Arc<dyn SpillStorage>) -> Self {
        SpillService::new(storage, true)
    }

    /// The service of operators whose environment lends none.
    pub(crate) fn shared() -> Arc<SpillService> {
        static SHARED: OnceLock<Arc<SpillService>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(SpillService::in_directories(Vec::new()))).clone()
    }

    /// Where files are made.
    pub(crate) fn storage(&self) -> Arc<dyn SpillStorage> {
        self.storage.clone()
    }

    /// Runs `job` on a thread of the pool; `waker` is called when its result is there.
    pub(crate) fn submit<R: Send + 'static>(
        &self,
        waker: &Waker,
        job: impl FnOnce() -> Result<R> + Send + 'static,
    ) -> Task<R> {
        let slot = Arc::new(Mutex::new(None));
        let (place, waker) = (slot.clone(), waker.clone());
        let run = move || {
            let outcome = panics::catch(AssertUnwindSafe(job)).unwrap_or_else(Err);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            drop(place);
            waker.wake();
        };
        if self.inline {
            run();
        } else {
            self.start.call_once(|| self.start_threads());
            self.queue.push(Box::new(run));
        }
        Task(slot)
    }

    fn start_threads(&self) {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, THREADS_MAX);
        let mut started = 0;
        for number in 0..threads {
            let queue = self.queue.clone();
            let thread = std::thread::Builder::new().name(format!("spill-{number}"));
            match thread.spawn(move || queue.run_until_closed()) {
                Ok(_) => started += 1,
                Err(error) => tracing::error!(%error, "cannot start a thread for spilling"),
            }
        }
        self.queue.lock().has_threads = started > 0;
    }
}

impl Drop for SpillService {
    fn drop(&mut self) {
        let left = {
            let mut state = self.queue.lock();
            state.closed = true;
            std::mem::take(&mut state.jobs)
        };
        self.queue.changed.notify_all();
        drop(left);
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    has_threads: bool,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        let mut state = self.lock();
        if state.has_threads {
            state.jobs.push_back(job);
            drop(state);
            self.changed.notify_one();
        } else {
            // No thread could be started: slow, but right.
            drop(state);
            job();
        }
    }

    fn run_until_closed(&self) {
        let mut state = self.lock();
        while !state.closed {
            match state.jobs.pop_front() {
                Some(job) => {
                    drop(state);
                    job();
                    state = self.lock();
                }
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// The result of a job, once it is there.
pub(crate) struct Task<R>(Arc<Mutex<Option<Result<R>>>>);

impl<R> Task<R> {
    /// Takes the result, if it is there.
    ///
    /// # Errors
    /// What the job said; a panic of it is an error too.
    pub(crate) fn take(&self) -> Result<Option<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().transpose()
    }
}

/// The error of an operator whose background work is gone.
pub(crate) fn lost_work() -> Error {
    Error::internal("the background work of an operator is gone")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::task::Wake;

    struct Told(Mutex<std::sync::mpsc::Sender<()>>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().send(());
        }
    }

    #[test]
    fn results_and_panics_come_back_and_wake() {
        let service = SpillService::in_directories(Vec::new());
        let (sender, woken) = channel();
        let waker = Waker::from(Arc::new(Told(Mutex::new(sender))));
        let sum = service.submit(&waker, || Ok(1 + 2));
        woken.recv().unwrap();
        assert_eq!(sum.take().unwrap(), Some(3));
        assert_eq!(sum.take().unwrap(), None);
        let bad = service.submit::<u8>(&waker, || panic!("too much"));
        woken.recv().unwrap();
        assert!(bad.take().unwrap_err().report().contains("too much"));
    }
}
