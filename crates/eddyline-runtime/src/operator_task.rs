//! Running an operator on Timely: order, cuts, watermarks, flow control.
//!
//! A task pulls all input into a queue (batches keep their `InputCapability`, so they hold the frontier), then
//!
//! 1. processes batches whose tick is known and lies before the next cut; later ones are *stashed*;
//! 2. applies the watermark that holds at its reach (input frontier, side streams, next cut: the least);
//! 3. at the end of input calls `on_end`, once, when its reach has passed the end tick;
//! 4. reports its own watermark if it generates one, and downgrades its capability to its reach;
//! 5. freezes its states when its reach is the cut, and goes on behind it.
//!
//! It yields only while its own output is outstanding, and is woken by the drop that makes room; or while state that a
//! record needs is on its way from a store, and is woken by the answer (see [`fetch_ahead`](self)).

mod cuts;
mod fetch_ahead;

use crate::fetch::Fetch;
use crate::graph::NodeId;
use crate::instance::{Body, Instance};
use crate::loops::LoopEnds;
use crate::operator::Progress;
use crate::outputs::{Allowance, Outputs, TaskEmitter, downgrade};
use crate::packet::Packet;
use crate::shared::{Credit, Cut, WorkerShared};
use crate::watermarks::Report;
use eddyline_core::batch::DecodeRows;
use eddyline_core::{Batch, EventTime, Reservation, Tick, WATERMARK_MIN};
use eddyline_protocol::FailureReport;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use timely::dataflow::operators::{Capability, InputCapability};
use timely::progress::frontier::MutableAntichain;
use timely::scheduling::Activator;

/// Pulls everything that has arrived on one edge.
pub(crate) type PullInput = Box<dyn FnMut(&mut dyn FnMut(InputCapability<u64>, Packet))>;

/// One edge that leads into a task.
pub(crate) struct TaskInput {
    pub(crate) pull: PullInput,
    pub(crate) decode: DecodeRows,
    /// The operator's input that the edge belongs to.
    pub(crate) input: usize,
}

struct Queued {
    tick: Tick,
    capability: InputCapability<u64>,
    edge: usize,
    content: QueuedContent,
    stashed_bytes: i64,
    /// State that was fetched for the first records, and for how many each.
    fetches: VecDeque<(usize, Fetch)>,
}

enum QueuedContent {
    Packed(Packet),
    Open(Batch, Option<Credit>, Option<Reservation>),
}

/// Batches processed in one go before others get their turn.
const BATCHES_PER_TURN: usize = 64;
/// Time after which others get their turn, microseconds.
const TURN_MICROS_MAX: u64 = 4_000;
/// Most output of one call that is aimed at; operators that amplify get fewer rows at a time.
const OUTPUT_BYTES_PER_CALL: i64 = 1 << 20;
/// Rows of the first call, while nothing is known of an operator's amplification.
const FIRST_ROWS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing more to do until something new happens.
    Idle,
    /// Others first, then again.
    Again,
}

/// The state of an operator on Timely.
pub(crate) struct OperatorTask {
    pub(crate) shared: Rc<WorkerShared>,
    pub(crate) instance: Rc<RefCell<Instance>>,
    pub(crate) inputs: Vec<TaskInput>,
    pub(crate) outputs: Outputs,
    pub(crate) held: Vec<Capability<u64>>,
    pub(crate) generators: Vec<NodeId>,
    pub(crate) generates: bool,
    pub(crate) uses_watermarks: bool,
    /// Neither state nor time: batches pass through whenever they come.
    pub(crate) stateless: bool,
    pub(crate) is_sink: bool,
    pub(crate) activator: Activator,
    /// The loops in whose body the operator keeps records beyond a tick.
    pub(crate) holds_in: Vec<Rc<LoopEnds>>,
    queue: VecDeque<Queued>,
    stash: VecDeque<Queued>,
    watermark: EventTime,
    /// A watermark that the operator has not finished applying.
    applying: Option<EventTime>,
    reach: Tick,
    cut_number: u64,
    preparing: Option<Cut>,
    ended: bool,
    reported: Option<(EventTime, bool)>,
    /// Whether all generators before the operator were idle when the watermark was looked up last.
    inputs_idle: bool,
    bytes_per_row: Option<f64>,
    more: bool,
    /// Timers in processing time wait for a store.
    timed_waiting: bool,
    /// Applying a watermark has taken more than one call: records may have been refused meanwhile.
    was_applying: bool,
    /// Records for which state is fetched at a time, if it has to be.
    rows_per_fetch: Option<usize>,
}

impl OperatorTask {
    #[allow(clippy::too_many_arguments)] // one call, in the dataflow builder, with every part named there
    pub(crate) fn new(
        shared: Rc<WorkerShared>,
        instance: Rc<RefCell<Instance>>,
        inputs: Vec<TaskInput>,
        outputs: Outputs,
        held: Vec<Capability<u64>>,
        generators: Vec<NodeId>,
        (uses_watermarks, generates, stateless, is_sink): (bool, bool, bool, bool),
        activator: Activator,
        (watermark, start): (EventTime, Tick),
    ) -> Self {
        OperatorTask {
            shared,
            instance,
            inputs,
            outputs,
            held: if stateless { Vec::new() } else { held },
            generators: if uses_watermarks || generates { generators } else { Vec::new() },
            generates,
            uses_watermarks,
            stateless,
            is_sink,
            activator,
            holds_in: Vec::new(),
            queue: VecDeque::new(),
            stash: VecDeque::new(),
            watermark,
            applying: None,
            reach: start,
            cut_number: 0,
            preparing: None,
            ended: false,
            reported: None,
            inputs_idle: false,
            bytes_per_row: None,
            more: false,
            timed_waiting: false,
            was_applying: false,
            rows_per_fetch: None,
        }
    }

    /// One activation.
    pub(crate) fn schedule(&mut self, frontiers: &[MutableAntichain<u64>]) {
        if self.shared.failure.borrow().is_some() {
            return;
        }
        let frontier = frontiers
            .iter()
            .map(|f| f.frontier().first().copied().unwrap_or(Tick::MAX))
            .min()
            .unwrap_or(Tick::MAX);
        self.pull();
        self.shared.watchdog.enter(self.instance.borrow().number, self.shared.clock.monotonic_micros());
        let outcome = self.run(frontier);
        self.shared.watchdog.leave();
        match outcome {
            Ok(Outcome::Idle) => {}
            Ok(Outcome::Again) => self.activator.activate(),
            Err(report) => self.shared.fail(report),
        }
    }

    fn pull(&mut self) {
        for (edge, input) in self.inputs.iter_mut().enumerate() {
            let queue = &mut self.queue;
            (input.pull)(&mut |capability, packet| {
                let tick = capability.least().copied().unwrap_or(0);
                let content = QueuedContent::Packed(packet);
                queue.push_back(Queued {
                    tick,
                    capability,
                    edge,
                    content,
                    stashed_bytes: 0,
                    fetches: VecDeque::new(),
                });
            });
        }
    }

    fn run(&mut self, frontier: Tick) -> Result<Outcome, FailureReport> {
        let started = self.shared.clock.monotonic_micros();
        let mut budget = BATCHES_PER_TURN;
        self.serve_wake_ups()?;
        self.freeze_late()?;
        loop {
            let limit = self.next_cut().map_or(Tick::MAX, |cut| cut.tick);
            match self.process_queue(limit, frontier, &mut budget, started)? {
                Some(outcome) => return Ok(outcome),
                None if self.stateless => return Ok(Outcome::Idle),
                None => {}
            }
            let reach = self.known_frontier(frontier).min(limit);
            if let Some(outcome) = self.advance(reach)? {
                return Ok(outcome);
            }
            if limit == Tick::MAX || reach < limit {
                return Ok(if self.more { Outcome::Again } else { Outcome::Idle });
            }
            if !self.cut()? {
                return Ok(Outcome::Idle);
            }
        }
    }

    /// How far input and watermark reports are known.
    fn known_frontier(&self, frontier: Tick) -> Tick {
        if self.generators.is_empty() {
            frontier
        } else {
            frontier.min(self.shared.watermarks.borrow().frontier(&self.generators))
        }
    }

    fn next_cut(&self) -> Option<Cut> {
        if self.stateless { None } else { self.shared.cuts.borrow().get(self.cut_number) }
    }

    /// Processes what may be processed; answers an outcome if the turn is over before the queue is.
    fn process_queue(
        &mut self,
        limit: Tick,
        frontier: Tick,
        budget: &mut usize,
        started: u64,
    ) -> Result<Option<Outcome>, FailureReport> {
        if self.shared.strict_order && !self.stateless {
            self.queue.make_contiguous().sort_by_key(|queued| queued.tick);
        }
        self.fetch_ahead()?;
        while let Some(front) = self.queue.front() {
            let tick = front.tick;
            if !self.stateless {
                if tick > self.shared.known_tick.get() {
                    // Whether a cut lies before this batch is not known yet; the announcement is on its way.
                    return Ok(None);
                }
                if tick >= limit && !planted!(LostStash) {
                    let front = self.queue.pop_front();
                    self.stash.extend(front.map(|queued| self.stashed(queued)));
                    continue;
                }
                if self.shared.strict_order {
                    if tick > self.known_frontier(frontier) {
                        return Ok(None);
                    }
                    // The capability has to move on, too: who waits for this tick is not served by a task that holds an
                    // earlier one while it waits for room.
                    if let Some(outcome) = self.advance(tick)? {
                        return Ok(Some(outcome));
                    }
                }
                if !self.accepts_input() {
                    return Ok(None);
                }
            }
            if self.outputs.is_full(&self.shared) && !self.wait_for_room() {
                return Ok(Some(Outcome::Idle));
            }
            if *budget == 0 || self.shared.clock.monotonic_micros() - started > TURN_MICROS_MAX {
                return Ok(Some(Outcome::Again));
            }
            if !self.front_is_fetched()? {
                return Ok(Some(Outcome::Idle));
            }
            *budget -= 1;
            self.process_front()?;
        }
        Ok(None)
    }

    fn accepts_input(&self) -> bool {
        match &self.instance.borrow().body {
            Body::Operator(operator) => operator.accepts_input(),
            Body::Source(_) => true,
        }
    }

    fn wait_for_room(&self) -> bool {
        self.outputs.wait(&self.shared, &self.instance.borrow().waker)
    }

    /// A batch that belongs behind the cut is state, not flow: its sender must not wait for it.
    fn stashed(&self, mut queued: Queued) -> Queued {
        if queued.stashed_bytes != 0 {
            // It waited for the cut before already, and is counted.
            return queued;
        }
        let bytes = match &mut queued.content {
            QueuedContent::Packed(packet) => packet.settle(&self.shared),
            QueuedContent::Open(_, credit, reservation) => {
                drop(credit.take());
                reservation.take().map_or(0, |held| held.bytes())
            }
        };
        queued.stashed_bytes = bytes as i64;
        self.shared.stash.add(queued.stashed_bytes);
        queued
    }

    /// Processes the first batch of the queue, or as many of its rows as are good for one call.
    fn process_front(&mut self) -> Result<(), FailureReport> {
        let Some(mut queued) = self.queue.pop_front() else { return Ok(()) };
        let (decode, input) = (self.inputs[queued.edge].decode, self.inputs[queued.edge].input);
        let (mut batch, credit, reservation) = match queued.content {
            QueuedContent::Open(batch, credit, reservation) => (batch, credit, reservation),
            QueuedContent::Packed(packet) => {
                let (mut batch, origin) = packet.open(decode).map_err(|error| FailureReport::from(&error))?;
                let credit = origin.map(|origin| Credit::new(origin, &self.shared));
                let reservation = batch.take_reservation();
                (batch, credit, reservation)
            }
        };
        let mut fetches = std::mem::take(&mut queued.fetches);
        let fetched = fetches.front().map_or(usize::MAX, |(rows, _)| *rows);
        let rows = self.rows_per_call().min(fetched);
        let part = if batch.len() > rows { Some(batch.split_front(rows)) } else { None };
        let whole = part.is_none();
        let call = part.unwrap_or_else(|| std::mem::take(&mut batch));
        let processed = call.len();
        self.process(input, call, &queued.capability, queued.tick)?;
        self.release_fetched(&mut fetches, processed);
        if whole {
            self.shared.stash.subtract(queued.stashed_bytes);
        } else {
            queued.content = QueuedContent::Open(batch, credit, reservation);
            queued.fetches = fetches;
            self.queue.push_front(queued);
        }
        Ok(())
    }

    fn rows_per_call(&self) -> usize {
        match self.bytes_per_row {
            _ if self.outputs.edges.is_empty() => usize::MAX,
            None => FIRST_ROWS,
            Some(bytes) => {
                let aim = OUTPUT_BYTES_PER_CALL.min(self.shared.limits.edge_bytes / 2);
                ((aim as f64 / bytes.max(1.0)) as usize).max(1)
            }
        }
    }

    fn process(
        &mut self,
        input: usize,
        batch: Batch,
        capability: &InputCapability<u64>,
        tick: Tick,
    ) -> Result<(), FailureReport> {
        let (rows, created) = (batch.len(), batch.created_micros);
        for ends in &self.holds_in {
            ends.note_held(tick, &batch);
        }
        let mut instance = self.instance.borrow_mut();
        let mut emitter = TaskEmitter {
            outputs: &mut self.outputs,
            shared: &self.shared,
            allowance: Allowance::Input(capability),
            emitted_bytes: 0,
            emitted_rows: 0,
        };
        instance.call(&self.shared, &mut emitter, (self.watermark, tick), |body, context| match body {
            Body::Operator(operator) => operator.on_batch(input, batch, context),
            Body::Source(_) => Ok(()),
        })?;
        let now = emitter.emitted_bytes as f64 / rows.max(1) as f64;
        self.bytes_per_row =
            Some(self.bytes_per_row.map_or(now, |before| before * 0.75 + now * 0.25).max(now * 0.5));
        instance.metrics.records_in.set(instance.metrics.records_in.get() + rows as u64);
        if self.is_sink {
            self.shared.records_out.set(self.shared.records_out.get() + rows as u64);
        }
        if created > 0 {
            let took = self.shared.clock.wall_micros().saturating_sub(created);
            instance.record_latency(took);
            if self.is_sink {
                self.shared.latency.borrow_mut().end_to_end.record(took, rows as u64);
            }
        }
        Ok(())
    }

    /// Serves the operator's own wakers: asynchronous answers, due processing times.
    fn serve_wake_ups(&mut self) -> Result<(), FailureReport> {
        self.more = false;
        if self.stateless || self.ended {
            return Ok(());
        }
        let now_ms = self.shared.clock.wall_millis();
        let due =
            std::mem::take(&mut self.timed_waiting) || self.instance.borrow().wake_at_ms.get() <= now_ms;
        if due {
            self.instance.borrow().wake_at_ms.set(i64::MAX);
        }
        let progress = self.call_held(|body, context| match body {
            Body::Operator(operator) => {
                let timed = if due { operator.on_processing_time(now_ms, context)? } else { Progress::Done };
                let woken = operator.on_wake(context)?;
                Ok(if timed == Progress::Done { woken } else { timed })
            }
            Body::Source(_) => Ok(Progress::Done),
        })?;
        if progress.1 > 0 {
            self.shared.note_loop_activity();
            self.shared.need_tick.set(true);
        }
        self.timed_waiting = due && progress.0 == Progress::Waiting;
        if progress.0 == Progress::More {
            self.come_back();
            if due {
                self.instance.borrow().wake_at_ms.set(now_ms);
            }
        }
        Ok(())
    }

    /// More is to be emitted: come back at once, or when there is room.
    fn come_back(&mut self) {
        self.more = !self.outputs.is_full(&self.shared) || self.wait_for_room();
    }

    /// Calls the operator under the capability the task holds; answers what it said and how many rows it emitted.
    fn call_held(
        &mut self,
        call: impl FnOnce(&mut Body, &mut crate::context::OperatorContext<'_>) -> eddyline_core::Result<Progress>,
    ) -> Result<(Progress, usize), FailureReport> {
        let mut instance = self.instance.borrow_mut();
        let mut emitter = TaskEmitter {
            outputs: &mut self.outputs,
            shared: &self.shared,
            allowance: Allowance::Held(&self.held),
            emitted_bytes: 0,
            emitted_rows: 0,
        };
        let progress = instance.call(&self.shared, &mut emitter, (self.watermark, self.reach), call)?;
        Ok((progress, emitter.emitted_rows))
    }

    /// Everything before `reach` is processed: moves watermark, end of input, reports and capability on.
    fn advance(&mut self, reach: Tick) -> Result<Option<Outcome>, FailureReport> {
        if let Some(outcome) = self.apply_watermark(reach)? {
            return Ok(Some(outcome));
        }
        if reach <= self.reach {
            return Ok(None);
        }
        if let Some(outcome) = self.end(reach)? {
            return Ok(Some(outcome));
        }
        if self.generates {
            self.report(reach);
        }
        downgrade(&mut self.held, reach);
        self.reach = reach;
        if let Body::Operator(operator) = &mut self.instance.borrow_mut().body {
            operator.on_frontier(reach);
        }
        self.shared.set_reach(self.instance.borrow().number, reach);
        Ok(None)
    }

    fn apply_watermark(&mut self, reach: Tick) -> Result<Option<Outcome>, FailureReport> {
        if !(self.uses_watermarks || self.generates) {
            return Ok(None);
        }
        // A watermark that took several calls may have been overtaken: nothing of `reach` is done before the newest
        // one is applied, least of all the end of input or a cut.
        loop {
            if self.applying.is_none() {
                let newest = self.shared.watermarks.borrow().minimum_before(&self.generators, reach);
                self.inputs_idle = newest.is_none();
                match newest {
                    Some(watermark) if watermark > self.watermark => self.applying = Some(watermark),
                    _ => return Ok(None),
                }
            }
            let Some(watermark) = self.applying else { return Ok(None) };
            self.watermark = watermark;
            let (progress, _) = self.call_held(|body, context| match body {
                Body::Operator(operator) => operator.on_watermark(watermark, context),
                Body::Source(_) => Ok(Progress::Done),
            })?;
            if progress == Progress::Done {
                // What was refused is taken in another turn.
                self.more |= std::mem::take(&mut self.was_applying) && !self.queue.is_empty();
            } else {
                self.was_applying = true;
            }
            match progress {
                Progress::Done => self.applying = None,
                Progress::Waiting => return Ok(Some(Outcome::Idle)),
                Progress::More => {
                    self.come_back();
                    return Ok(Some(if self.more { Outcome::Again } else { Outcome::Idle }));
                }
            }
        }
    }

    fn end(&mut self, reach: Tick) -> Result<Option<Outcome>, FailureReport> {
        let over = self.shared.end_tick.get().is_some_and(|end| reach > end);
        if !over || self.ended {
            return Ok(None);
        }
        let (progress, _) = self.call_held(|body, context| match body {
            Body::Operator(operator) => operator.on_end(context),
            Body::Source(_) => Ok(Progress::Done),
        })?;
        match progress {
            Progress::Done => {
                self.ended = true;
                Ok(None)
            }
            Progress::Waiting => Ok(Some(Outcome::Idle)),
            Progress::More => {
                self.come_back();
                Ok(Some(if self.more { Outcome::Again } else { Outcome::Idle }))
            }
        }
    }

    /// Tells what the operator promises for everything it emits from `reach` on.
    fn report(&mut self, reach: Tick) {
        let instance = self.instance.borrow();
        let Body::Operator(operator) = &instance.body else { return };
        let said = (operator.output_watermark(self.watermark), operator.is_idle(self.inputs_idle));
        if self.reported == Some(said) || (self.reported.is_none() && said == (WATERMARK_MIN, false)) {
            return;
        }
        self.reported = Some(said);
        let report = Report {
            node: instance.node as u32,
            instance: instance.info.instance,
            tick: reach - 1,
            watermark: said.0,
            idle: said.1,
        };
        self.outputs.report(&self.shared, &self.held, report);
        self.shared.need_tick.set(true);
    }
}
