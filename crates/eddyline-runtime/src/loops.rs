//! Loops: a tail that takes the records that go round, a head that brings them back in.
//!
//! The feedback edge is a queue within each worker, outside Timely's graph, which stays acyclic: a record that comes
//! back does so at the head's tick of that moment. At a cut the head writes down what waits in the queue, and then
//! everything that still comes in at the tail with a tick before the cut; when the tail's reach is the cut, that log
//! is all that was on its way round, and is the head's state (the algorithm of Carbone et al., "Lightweight
//! Asynchronous Snapshots for Distributed Dataflows", 2015, section 4.3).
//!
//! Event time: the head promises no more than the oldest record that may still be on its way round.

use crate::context::OperatorContext;
use crate::operator::{Operator, Progress, Stateful};
use eddyline_core::batch::DecodeRows;
use eddyline_core::{Batch, Body, Error, EventTime, Reader, Result, Tick, WATERMARK_MAX};
use eddyline_protocol::CheckpointId;
use eddyline_state::{ManagedState, OperatorListState};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::Waker;

/// What head and tail of a loop share on one worker.
#[derive(Default)]
pub(crate) struct LoopEnds {
    queue: RefCell<VecDeque<Batch>>,
    logs: RefCell<VecDeque<CutLog>>,
    tail_frontier: Cell<Tick>,
    head_waker: RefCell<Option<Waker>>,
    /// Grows with every batch that goes round.
    pub(crate) rounds: Cell<u64>,
    queued_bytes: Cell<usize>,
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

    /// How far the tail is.
    pub(crate) fn tail_frontier(&self) -> Tick {
        self.tail_frontier.get()
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
    /// The oldest event time emitted, by tick, until the tail has passed that tick.
    emitted: BTreeMap<Tick, EventTime>,
    limit_bytes: usize,
}

impl LoopHead {
    pub(crate) fn new(ends: Rc<LoopEnds>, decode: DecodeRows, instance: u32, limit_bytes: usize) -> Self {
        let in_flight = OperatorListState::list("in-flight", instance);
        LoopHead { ends, decode, in_flight, emitted: BTreeMap::new(), limit_bytes }
    }

    fn note(&mut self, tick: Tick, batch: &Batch) {
        let entry = self.emitted.entry(tick).or_insert(WATERMARK_MAX);
        *entry = (*entry).min(oldest(batch));
    }

    fn forget_passed(&mut self) {
        let frontier = self.ends.tail_frontier.get();
        self.emitted = self.emitted.split_off(&frontier);
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
        self.note(context.tick(), &batch);
        context.emit(0, batch)
    }

    fn accepts_input(&self) -> bool {
        self.ends.queued_bytes.get() <= self.limit_bytes
    }

    fn on_wake(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.forget_passed();
        loop {
            if !context.has_room() {
                return Ok(if self.ends.is_empty() { Progress::Done } else { Progress::More });
            }
            let Some(batch) = self.ends.queue.borrow_mut().pop_front() else { return Ok(Progress::Done) };
            let bytes = batch.memory_bytes();
            context.account_bytes(-(bytes as i64));
            self.ends.queued_bytes.set(self.ends.queued_bytes.get() - bytes);
            self.note(context.tick(), &batch);
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

    fn output_watermark(&self, input: EventTime) -> EventTime {
        let circling = self.emitted.values().copied().min().unwrap_or(WATERMARK_MAX);
        let waiting = self.ends.queue.borrow().iter().map(oldest).min().unwrap_or(WATERMARK_MAX);
        input.min(circling).min(waiting)
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
        let bytes = batch.memory_bytes();
        context.account_bytes(bytes as i64);
        context.note_loop_activity();
        self.ends.queued_bytes.set(self.ends.queued_bytes.get() + bytes);
        self.ends.rounds.set(self.ends.rounds.get() + 1);
        self.ends.queue.borrow_mut().push_back(batch);
        self.ends.wake_head();
        Ok(())
    }

    fn on_frontier(&mut self, frontier: Tick) {
        self.ends.tail_frontier.set(frontier);
        self.ends.wake_head();
    }
}
