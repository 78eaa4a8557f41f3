//! Loops: a tail that takes the records that go round, a head that brings them back in.
//!
//! The feedback edge is a queue within each worker, outside Timely's graph, which stays acyclic: a record that comes
//! back does so at the head's tick of that moment. At a cut the head writes down what waits in the queue, and then
//! everything that still comes in at the tail with a tick before the cut; when the tail's reach is the cut, that log
//! is all that was on its way round, and is the head's state (the algorithm of Carbone et al., "Lightweight
//! Asynchronous Snapshots for Distributed Dataflows", 2015, section 4.3).
//!
//! Event time: the head promises no more than the oldest record that may still be on its way round, which takes all
//! workers to know; see [`crate::loop_rounds`].

use crate::context::OperatorContext;
use crate::instance::{Body as InstanceBody, Instance};
use crate::operator::{Operator, Progress, Stateful};
use eddyline_core::batch::DecodeRows;
use eddyline_core::{Batch, Body, Error, EventTime, Reader, Result, Tick, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_protocol::CheckpointId;
use eddyline_state::{ManagedState, OperatorListState};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

/// What head and tail of a loop share on one worker.
pub(crate) struct LoopEnds {
    queue: RefCell<VecDeque<Batch>>,
    logs: RefCell<VecDeque<CutLog>>,
    tail_frontier: Cell<Tick>,
    head_waker: RefCell<Option<Waker>>,
    queued_bytes: Cell<usize>,
    round: Cell<Option<Tick>>,
    head_passed: Cell<bool>,
    hold: Cell<EventTime>,
    /// The watermark of the head's input now, and at the round's tick.
    input: Cell<EventTime>,
    input_at_round: Cell<EventTime>,
    /// What the head promises.
    released: Cell<EventTime>,
    /// Operators of the loop's body that keep records beyond a tick.
    pub(crate) holders: RefCell<Vec<Rc<RefCell<Instance>>>>,
}

impl Default for LoopEnds {
    fn default() -> Self {
        LoopEnds {
            queue: RefCell::default(),
            logs: RefCell::default(),
            tail_frontier: Cell::new(0),
            head_waker: RefCell::default(),
            queued_bytes: Cell::new(0),
            round: Cell::new(None),
            head_passed: Cell::new(false),
            hold: Cell::new(WATERMARK_MAX),
            input: Cell::new(WATERMARK_MIN),
            input_at_round: Cell::new(WATERMARK_MIN),
            released: Cell::new(WATERMARK_MIN),
            holders: RefCell::default(),
        }
    }
}

/// What was on its way round at a cut.
struct CutLog {
    checkpoint: CheckpointId,
    /// Known once the head itself has passed the cut.
    tick: Tick,
    batches: Vec<Vec<u8>>,
}

impl LoopEnds {
    /// Whether nothing waits to be brought back in.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// A round begins at tick `round`.
    pub(crate) fn begin_round(&self, round: Tick) {
        self.round.set(Some(round));
        self.head_passed.set(false);
        self.hold.set(WATERMARK_MAX);
        for holder in self.holders.borrow().iter() {
            if let InstanceBody::Operator(operator) = &holder.borrow().body {
                self.hold_back(operator.output_watermark(WATERMARK_MAX));
            }
        }
    }

    /// A record of event time `time` may cross the round's tick.
    fn hold_back(&self, time: EventTime) {
        self.hold.set(self.hold.get().min(time));
    }

    /// An operator of the body that may keep records takes a batch in.
    pub(crate) fn note_held(&self, tick: Tick, batch: &Batch) {
        if self.round.get().is_some_and(|round| tick < round) {
            self.hold_back(oldest(batch));
        }
    }

    /// The head has come to `reach`.
    fn head_at(&self, reach: Tick, input: EventTime) {
        let before = self.input.replace(input);
        if let Some(round) = self.round.get()
            && !self.head_passed.get()
            && reach >= round
        {
            self.head_passed.set(true);
            // What came in between the round's tick and a later reach may be older than the newest watermark.
            self.input_at_round.set(if reach == round { input } else { before });
            let waiting = self.queue.borrow().iter().map(oldest).min();
            self.hold_back(waiting.unwrap_or(WATERMARK_MAX));
        }
    }

    /// Whether head and tail have passed the round's tick.
    pub(crate) fn has_passed(&self, round: Tick) -> bool {
        self.head_passed.get() && self.tail_frontier.get() >= round
    }

    /// The least event time that crosses the round's tick on this worker.
    pub(crate) fn hold(&self) -> EventTime {
        self.hold.get()
    }

    /// Whether the head's input is ahead of what this round can release.
    pub(crate) fn is_lagging(&self) -> bool {
        self.input.get() > self.input_at_round.get()
    }

    /// All workers have answered the round: `hold` is the least of them all.
    pub(crate) fn release(&self, hold: Option<EventTime>) {
        let safe = self.input_at_round.get().min(hold.unwrap_or(WATERMARK_MAX));
        self.released.set(self.released.get().max(safe));
    }

    fn wake_head(&self) {
        if let Some(waker) = self.head_waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

fn encode(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(batch.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&batch.created_micros.to_le_bytes());
    if let Body::Rows(rows) = &batch.body {
        rows.encode(&mut bytes);
    }
    bytes
}

fn decode(bytes: &[u8], decode: DecodeRows) -> Result<Batch> {
    let mut reader = Reader::new(bytes);
    let count = reader.count()?;
    let created = u64::from_le_bytes(reader.array()?);
    let rows = decode(count, &mut reader)?;
    Ok(Batch::new(Body::Rows(rows), created))
}

fn oldest(batch: &Batch) -> EventTime {
    batch.timestamp_bounds().map_or(WATERMARK_MAX, |(least, _)| least)
}

/// Brings the records of a loop back in.
pub(crate) struct LoopHead {
    ends: Rc<LoopEnds>,
    decode: DecodeRows,
    /// Encoded batches that were on their way round.
    in_flight: OperatorListState<Vec<u8>>,
    input: EventTime,
    limit_bytes: usize,
}

impl LoopHead {
    pub(crate) fn new(ends: Rc<LoopEnds>, decode: DecodeRows, instance: u32, limit_bytes: usize) -> Self {
        let in_flight = OperatorListState::list("in-flight", instance);
        LoopHead { ends, decode, in_flight, input: WATERMARK_MIN, limit_bytes }
    }
}

impl Stateful for LoopHead {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.in_flight)
    }
}

impl Operator for LoopHead {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        *self.ends.head_waker.borrow_mut() = Some(context.waker().clone());
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        // The floor is not applied again: it is known from the start.
        self.input = context.watermark();
        self.ends.input.set(self.input);
        let mut queue = self.ends.queue.borrow_mut();
        for bytes in self.in_flight.items() {
            let batch = decode(bytes, self.decode)?;
            context.account_bytes(batch.memory_bytes() as i64);
            self.ends.queued_bytes.set(self.ends.queued_bytes.get() + batch.memory_bytes());
            queue.push_back(batch);
        }
        if !queue.is_empty() {
            context.waker().wake_by_ref();
        }
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        context.emit(0, batch)
    }

    fn accepts_input(&self) -> bool {
        self.ends.queued_bytes.get() <= self.limit_bytes
    }

    fn on_wake(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        loop {
            if !context.has_room() {
                return Ok(if self.ends.is_empty() { Progress::Done } else { Progress::More });
            }
            let Some(batch) = self.ends.queue.borrow_mut().pop_front() else { return Ok(Progress::Done) };
            let bytes = batch.memory_bytes();
            context.account_bytes(-(bytes as i64));
            self.ends.queued_bytes.set(self.ends.queued_bytes.get() - bytes);
            context.emit(0, batch)?;
        }
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        let batches = self.ends.queue.borrow().iter().map(encode).collect();
        self.ends.logs.borrow_mut().push_back(CutLog { checkpoint, tick: context.cut_tick(), batches });
        Ok(())
    }

    fn snapshot_ready(&mut self, checkpoint: CheckpointId) -> bool {
        let mut logs = self.ends.logs.borrow_mut();
        let ready = logs
            .front()
            .is_some_and(|log| log.checkpoint == checkpoint && self.ends.tail_frontier.get() >= log.tick);
        if ready && let Some(log) = logs.pop_front() {
            self.in_flight.set(log.batches);
        }
        ready
    }

    fn on_watermark(&mut self, watermark: EventTime, _: &mut OperatorContext<'_>) -> Result<Progress> {
        self.input = watermark;
        Ok(Progress::Done)
    }

    fn on_frontier(&mut self, frontier: Tick) {
        self.ends.head_at(frontier, self.input);
    }

    fn output_watermark(&self, _input: EventTime) -> EventTime {
        self.ends.released.get()
    }

    /// Records may be on their way round for as long as the loop is open.
    fn is_idle(&self, _inputs_idle: bool) -> bool {
        false
    }

    fn in_flight(&self) -> usize {
        self.ends.queue.borrow().len()
    }
}

/// Takes the records that go round.
pub(crate) struct LoopTail {
    ends: Rc<LoopEnds>,
}

impl LoopTail {
    pub(crate) fn new(ends: Rc<LoopEnds>) -> Self {
        LoopTail { ends }
    }
}

impl Stateful for LoopTail {}

impl Operator for LoopTail {
    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        if !matches!(batch.body, Body::Rows(_)) {
            return Err(Error::internal("a loop can carry typed rows only"));
        }
        let at_cuts = |log: &&mut CutLog| context.tick() < log.tick && !planted!(DroppedInFlight);
        for log in self.ends.logs.borrow_mut().iter_mut().filter(at_cuts) {
            log.batches.push(encode(&batch));
        }
        if self.ends.head_passed.get() {
            self.ends.note_held(context.tick(), &batch);
        }
        let bytes = batch.memory_bytes();
        context.account_bytes(bytes as i64);
        context.note_loop_activity();
        self.ends.queued_bytes.set(self.ends.queued_bytes.get() + bytes);
        self.ends.queue.borrow_mut().push_back(batch);
        self.ends.wake_head();
        Ok(())
    }

    fn on_frontier(&mut self, frontier: Tick) {
        self.ends.tail_frontier.set(frontier);
        self.ends.wake_head();
    }
}
