//! Where the futures of calls run.
//!
//! The environment of a job lends an [`AsyncExecutor`] as a service. Without one, futures run on a small pool of
//! threads that all jobs of the process share. Futures that need a runtime of their own (Tokio, say) are given to it
//! by [`AsyncExecutor::custom`]. For simulations and tests, [`AsyncExecutor::inline`] polls futures on the worker's
//! own thread, in the order in which they were woken.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

/// A call under way.
pub type CallFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads of the shared pool.
const SHARED_THREADS: usize = 2;

/// Runs futures.
pub struct AsyncExecutor(Kind);

enum Kind {
    Queue(Arc<ReadyQueue>),
    Inline(Arc<ReadyQueue>),
    Custom(Box<dyn Fn(CallFuture) + Send + Sync>),
}

impl AsyncExecutor {
    /// An executor on `threads` threads of its own, which end when it is dropped.
    pub fn threads(threads: usize) -> Self {
        let queue = Arc::new(ReadyQueue::default());
        for number in 0..threads.max(1) {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name(format!("async-call-{number}"));
            // A thread that cannot be made leaves the work to the others; without any, calls time out.
            if let Err(error) = thread.spawn(move || queue.run_until_closed()) {
                tracing::error!(%error, "cannot start a thread for async calls");
            }
        }
        AsyncExecutor(Kind::Queue(queue))
    }

    /// An executor that polls futures on the thread of the operator that made them, when it is woken: no threads,
    /// and the same order each time.
    pub fn inline() -> Self {
        AsyncExecutor(Kind::Inline(Arc::default()))
    }

    /// An executor that hands futures to `spawn`, which has to see to it that they are polled to their end:
    /// `move |future| { handle.spawn(future); }` for a Tokio handle.
    pub fn custom(spawn: impl Fn(CallFuture) + Send + Sync + 'static) -> Self {
        AsyncExecutor(Kind::Custom(Box::new(spawn)))
    }

    /// The executor that all jobs of this process share.
    pub fn shared() -> Arc<AsyncExecutor> {
        static SHARED: OnceLock<Arc<AsyncExecutor>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(AsyncExecutor::threads(SHARED_THREADS))).clone()
    }

    /// Runs `future`; `operator` is woken when an inline executor has something to poll.
    pub(super) fn spawn(&self, future: CallFuture, operator: &Waker) {
        match &self.0 {
            Kind::Custom(spawn) => spawn(future),
            Kind::Queue(queue) => queue.push(Task::new(future, queue, None)),
            Kind::Inline(queue) => {
                queue.push(Task::new(future, queue, Some(operator.clone())));
                operator.wake_by_ref();
            }
        }
    }

    /// Polls what can be polled on the operator's thread.
    pub(super) fn poll_inline(&self) {
        if let Kind::Inline(queue) = &self.0 {
            while let Some(task) = queue.try_next() {
                task.poll();
            }
        }
    }
}

impl Drop for AsyncExecutor {
    fn drop(&mut self) {
        if let Kind::Queue(queue) | Kind::Inline(queue) = &self.0 {
            let left = {
                let mut state = queue.lock();
                state.closed = true;
                std::mem::take(&mut state.ready)
            };
            queue.changed.notify_all();
            // Futures that are dropped may wake others, so not under the lock.
            drop(left);
        }
    }
}

/// Tasks that can make progress.
#[derive(Default)]
struct ReadyQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    ready: VecDeque<Arc<Task>>,
    closed: bool,
    /// Threads that wait for a task: only they have to be told of one.
    waiting: usize,
}

impl ReadyQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().expect("invariant: no code panics while it holds the queue")
    }

    fn push(&self, task: Arc<Task>) {
        let is_awaited = {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            state.ready.push_back(task);
            // To tell a thread is a call of the kernel, which a busy pool does without.
            state.waiting > 0
        };
        if is_awaited {
            self.changed.notify_one();
        }
    }

    fn try_next(&self) -> Option<Arc<Task>> {
        self.lock().ready.pop_front()
    }

    fn run_until_closed(&self) {
        let mut state = self.lock();
        while !state.closed {
            match state.ready.pop_front() {
                Some(task) => {
                    drop(state);
                    task.poll();
                    state = self.lock();
                }
                None => {
                    state.waiting += 1;
                    state =
                        self.changed.wait(state).expect("invariant: no code panics while it holds the queue");
                    state.waiting -= 1;
                }
            }
        }
    }
}

/// A future, and where to queue it when it is woken.
struct Task {
    future: Mutex<Option<CallFuture>>,
    queue: Arc<ReadyQueue>,
    operator: Option<Waker>,
}

impl Task {
    fn new(future: CallFuture, queue: &Arc<ReadyQueue>, operator: Option<Waker>) -> Arc<Self> {
        Arc::new(Task { future: Mutex::new(Some(future)), queue: queue.clone(), operator })
    }

    fn poll(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut slot = self.future.lock().expect("invariant: panics of futures are caught inside them");
        let Some(future) = slot.as_mut() else { return };
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            *slot = None;
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let operator = self.operator.clone();
        let queue = self.queue.clone();
        queue.push(self);
        if let Some(operator) = operator {
            operator.wake();
        }
    }
}

/// Lets go of an attempt: when it is dropped, the future is dropped too, at its next turn, which comes at once.
pub(super) struct AttemptHandle(Arc<Cancellation>);

#[derive(Default)]
struct Cancellation {
    state: Mutex<CancellationState>,
}

#[derive(Default)]
struct CancellationState {
    cancelled: bool,
    waker: Option<Waker>,
}

impl Cancellation {
    fn lock(&self) -> MutexGuard<'_, CancellationState> {
        self.state.lock().expect("invariant: no code panics while it holds the cancellation")
    }
}

impl Drop for AttemptHandle {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.lock();
            state.cancelled = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// How an attempt can end.
pub(super) enum AttemptEnd<T> {
    /// With what the future gave.
    Output(T),
    /// With a panic that said so.
    Panicked(String),
    /// Nobody wants to know any more.
    Cancelled,
}

/// A future that can be cancelled and whose panic is a value.
pub(super) struct Attempt<F> {
    future: Option<Pin<Box<F>>>,
    cancellation: Arc<Cancellation>,
}

impl<F: Future> Attempt<F> {
    pub(super) fn new(future: F) -> (Self, AttemptHandle) {
        let cancellation = Arc::new(Cancellation::default());
        let handle = AttemptHandle(cancellation.clone());
        (Attempt { future: Some(Box::pin(future)), cancellation }, handle)
    }
}

impl<F: Future> Future for Attempt<F> {
    type Output = AttemptEnd<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        {
            let mut state = self.cancellation.lock();
            if state.cancelled {
                drop(state);
                self.future = None;
                return Poll::Ready(AttemptEnd::Cancelled);
            }
            state.waker = Some(context.waker().clone());
        }
        let Some(future) = self.future.as_mut() else { return Poll::Ready(AttemptEnd::Cancelled) };
        let end = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => AttemptEnd::Output(output),
            Err(payload) => {
                let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                AttemptEnd::Panicked(text.unwrap_or_else(|| "a value that is no text".to_owned()))
            }
        };
        self.future = None;
        self.cancellation.lock().waker = None;
        Poll::Ready(end)
    }
}
