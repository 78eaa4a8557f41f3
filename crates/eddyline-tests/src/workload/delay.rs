//! A future that takes its time, for calls that are under way when a job is killed.

use eddyline::{Clock, SystemClock};
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Ready after some time.
pub(super) struct Delay {
    micros: u64,
    due_micros: Option<u64>,
}

impl Delay {
    /// Ready `micros` after it is first polled.
    pub(super) fn micros(micros: u64) -> Self {
        Delay { micros, due_micros: None }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let now = clock().monotonic_micros();
        let micros = self.micros;
        let due = *self.due_micros.get_or_insert(now + micros);
        if due <= now {
            return Poll::Ready(());
        }
        // The thread is gone only when the process ends.
        let _ = alarms().send((due, context.waker().clone()));
        Poll::Pending
    }
}

fn clock() -> &'static SystemClock {
    static CLOCK: OnceLock<SystemClock> = OnceLock::new();
    CLOCK.get_or_init(SystemClock::new)
}

/// The thread that wakes what is due.
fn alarms() -> &'static Sender<(u64, Waker)> {
    static ALARMS: OnceLock<Sender<(u64, Waker)>> = OnceLock::new();
    ALARMS.get_or_init(|| {
        let (sender, receiver) = channel::<(u64, Waker)>();
        std::thread::spawn(move || {
            let mut waiting: Vec<(u64, Waker)> = Vec::new();
            loop {
                let now = clock().monotonic_micros();
                let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(at, _)| *at <= now);
                due.into_iter().for_each(|(_, waker)| waker.wake());
                waiting = later;
                let soonest = waiting.iter().map(|(at, _)| at - now).min().unwrap_or(1_000_000);
                match receiver.recv_timeout(Duration::from_micros(soonest)) {
                    Ok(alarm) => waiting.push(alarm),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        sender
    })
}
