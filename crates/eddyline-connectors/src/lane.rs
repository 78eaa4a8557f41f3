//! Work that waits for a disk, done one command after the other away from the worker's thread.
//!
//! A [`Lane`] hands commands to a [`Handler`], in order, and gives its events back, in order; after an event it
//! calls the operator's waker. It knows no timer and no queue limit: whoever sends bounds what is outstanding.

use crate::environment::Waiting;
use eddyline_core::{Error, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::thread::JoinHandle;

/// What works through the commands of a lane.
pub(crate) trait Handler: Send + 'static {
    /// What it is told.
    type Command: Send + 'static;
    /// What it answers.
    type Event: Send + 'static;
    /// Given a flag, before the first command, that says once it is set that nobody wants what is under way any more.
    fn watch(&mut self, abandoned: Arc<AtomicBool>) {
        let _ = abandoned;
    }
    /// Does what `command` says; may block.
    fn handle(&mut self, command: Self::Command, answer: &mut dyn FnMut(Self::Event));
}

/// A handler and the queues to it and from it.
pub(crate) enum Lane<H: Handler> {
    Inline {
        handler: H,
        events: VecDeque<H::Event>,
        waker: Waker,
    },
    Thread {
        /// `None` once no command follows.
        commands: Option<Sender<H::Command>>,
        events: Receiver<H::Event>,
        abandoned: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    },
}

impl<H: Handler> Lane<H> {
    /// Starts a lane; `waker` is called after each command that had an answer.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub(crate) fn start(mut handler: H, waiting: Waiting, name: &str, waker: Waker) -> Result<Self> {
        if waiting == Waiting::Inline {
            return Ok(Lane::Inline { handler, events: VecDeque::new(), waker });
        }
        let (commands, incoming) = channel::<H::Command>();
        let (outgoing, events) = channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        let is_abandoned = abandoned.clone();
        handler.watch(abandoned.clone());
        let work = move || {
            for command in incoming {
                if is_abandoned.load(Ordering::Acquire) {
                    return;
                }
                let mut answered = false;
                handler.handle(command, &mut |event| {
                    // Nobody listens any more once the operator is closed: the work is done all the same.
                    answered |= outgoing.send(event).is_ok();
                });
                if answered {
                    waker.wake_by_ref();
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_string()).spawn(work).map_err(|error| {
            Error::config(format!("cannot start a thread for files: {error}"))
                .with_hint("raise the limit on threads (ulimit -u), or lower the parallelism")
        })?;
        Ok(Lane::Thread { commands: Some(commands), events, abandoned, thread: Some(thread) })
    }

    /// Hands a command over.
    pub(crate) fn send(&mut self, command: H::Command) {
        match self {
            Lane::Inline { handler, events, waker } => {
                let before = events.len();
                handler.handle(command, &mut |event| events.push_back(event));
                if events.len() > before {
                    waker.wake_by_ref();
                }
            }
            Lane::Thread { commands, .. } => {
                if let Some(commands) = commands {
                    // Fails only when the thread is gone, which `poll` reports.
                    let _ = commands.send(command);
                }
            }
        }
    }

    /// The next event, if one has come.
    ///
    /// # Errors
    /// If the thread has ended although commands may still come.
    pub(crate) fn poll(&mut self) -> Result<Option<H::Event>> {
        match self {
            Lane::Inline { events, .. } => Ok(events.pop_front()),
            Lane::Thread { commands, events, .. } => match events.try_recv() {
                Ok(event) => Ok(Some(event)),
                Err(std::sync::mpsc::TryRecvError::Empty) => Ok(None),
                Err(std::sync::mpsc::TryRecvError::Disconnected) if commands.is_none() => Ok(None),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    Err(Error::internal("the thread that waits for files has ended early"))
                }
            },
        }
    }

    /// No command follows, and what is not done yet is not wanted any more: the thread ends after the call that it is
    /// in, and nobody waits for it.
    pub(crate) fn abandon(&mut self) {
        if let Lane::Thread { commands, abandoned, thread, .. } = self {
            abandoned.store(true, Ordering::Release);
            (*commands, *thread) = (None, None);
        }
    }

    /// Returns when all commands are worked through; none may follow.
    pub(crate) fn finish(&mut self) {
        if let Lane::Thread { commands, thread, .. } = self {
            *commands = None;
            if let Some(thread) = thread.take() {
                // A panic there is a bug that `poll` has reported as the thread's early end.
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Doubler;
    impl Handler for Doubler {
        type Command = u32;
        type Event = u32;
        fn handle(&mut self, command: u32, answer: &mut dyn FnMut(u32)) {
            answer(command * 2);
        }
    }

    /// Waits for a word before each answer.
    struct Slow(Receiver<()>, Sender<u32>);
    impl Handler for Slow {
        type Command = u32;
        type Event = u32;
        fn handle(&mut self, command: u32, _: &mut dyn FnMut(u32)) {
            self.1.send(command).unwrap();
            let _ = self.0.recv();
        }
    }

    #[test]
    fn an_abandoned_lane_is_not_waited_for_and_begins_nothing_more() {
        let ((go_on, may_go_on), (begun, begins)) = (channel(), channel());
        let mut lane =
            Lane::start(Slow(may_go_on, begun), Waiting::OwnThread, "test", Waker::noop().clone()).unwrap();
        (0..3).for_each(|number| lane.send(number));
        assert_eq!(begins.recv(), Ok(0));
        // The handler is in its first call, which this does not wait for.
        lane.abandon();
        go_on.send(()).unwrap();
        assert!(begins.recv().is_err(), "the thread has ended without another call");
        assert!(lane.poll().unwrap().is_none());
    }

    #[test]
    fn a_lane_keeps_the_order_and_finishes_its_work() {
        for waiting in [Waiting::Inline, Waiting::OwnThread] {
            let mut lane = Lane::start(Doubler, waiting, "test", Waker::noop().clone()).unwrap();
            (0..100).for_each(|number| lane.send(number));
            lane.finish();
            let mut events = Vec::new();
            while let Some(event) = lane.poll().unwrap() {
                events.push(event);
            }
            assert_eq!(events, (0..100).map(|number| number * 2).collect::<Vec<_>>(), "{waiting:?}");
        }
    }
}
