//! Messages between supervisor and processes.

use super::Line;
use super::line::LineConfig;
use crate::random::Random;
use eddyline_core::{Clock, ManualClock};
use eddyline_protocol::{AttemptId, Envelope, FromWorker, ProcessExit, ProcessIndex, ToWorker};
use eddyline_runtime::worker::ControlPort;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A process that has ended: which, how, and when the supervisor learns of it (microseconds).
#[derive(Debug, Clone)]
pub struct ProcessEnd {
    /// The attempt.
    pub attempt: AttemptId,
    /// The process.
    pub process: ProcessIndex,
    /// How.
    pub exit: ProcessExit,
    /// When it is noticed.
    pub due_micros: u64,
}

/// Who sends: a process of an attempt.
type Sender = (AttemptId, ProcessIndex);

/// What is on its way to the supervisor, whichever one lives when it arrives.
pub struct Post {
    lines: Vec<(Sender, Line<Envelope<FromWorker>>)>,
    config: LineConfig,
    ends: VecDeque<ProcessEnd>,
    closed_repeated: u64,
}

/// Lines kept for messages of attempts that are long over.
const LINES_MAX: usize = 64;

impl Post {
    /// Nothing on its way.
    pub fn new(config: LineConfig) -> Self {
        Post { lines: Vec::new(), config, ends: VecDeque::new(), closed_repeated: 0 }
    }

    /// Opens the line of a process.
    pub fn open(&mut self, attempt: AttemptId, process: ProcessIndex, random: Random) {
        self.lines.push(((attempt, process), Line::new(self.config, random)));
        if self.lines.len() > LINES_MAX {
            let (_, line) = self.lines.remove(0);
            self.closed_repeated += line.repeated;
        }
    }

    /// Sends `envelope` to the supervisor.
    pub fn send(&mut self, now: u64, envelope: Envelope<FromWorker>) {
        let from = (envelope.attempt, envelope.process);
        if let Some((_, line)) = self.lines.iter_mut().find(|(known, _)| *known == from) {
            line.send(now, envelope);
        }
    }

    /// The next message that has arrived, the oldest attempt's first.
    pub fn receive(&mut self, now: u64) -> Option<Envelope<FromWorker>> {
        self.lines.iter_mut().find_map(|(_, line)| line.receive(now))
    }

    /// A process has ended.
    pub fn ended(&mut self, end: ProcessEnd) {
        self.ends.push_back(end);
    }

    /// The next end of a process that is noticed.
    pub fn next_end(&mut self, now: u64) -> Option<ProcessEnd> {
        let index = self.ends.iter().position(|end| end.due_micros <= now)?;
        self.ends.remove(index)
    }

    /// Messages that came a second time.
    pub fn repeated(&self) -> u64 {
        self.closed_repeated + self.lines.iter().map(|(_, line)| line.repeated).sum::<u64>()
    }
}

/// A process' end of its lines.
pub(super) struct SimulatedPort {
    pub(super) job: String,
    pub(super) attempt: AttemptId,
    pub(super) process: ProcessIndex,
    pub(super) clock: ManualClock,
    pub(super) inbox: Rc<RefCell<Line<ToWorker>>>,
    pub(super) post: Rc<RefCell<Post>>,
    pub(super) seen: Rc<dyn Fn(&FromWorker)>,
}

impl ControlPort for SimulatedPort {
    fn receive(&mut self) -> Option<ToWorker> {
        self.inbox.borrow_mut().receive(self.clock.monotonic_micros())
    }

    fn send(&mut self, message: FromWorker) {
        (self.seen)(&message);
        let envelope =
            Envelope { job: self.job.clone(), attempt: self.attempt, process: self.process, message };
        self.post.borrow_mut().send(self.clock.monotonic_micros(), envelope);
    }
}
