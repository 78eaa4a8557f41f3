//! Running a source on Timely.
//!
//! A source holds a capability at the newest tick it knows of. When the driver announces another, the source first
//! reports its watermark for the tick that ends, then freezes its states for every cut it passes, and only then
//! downgrades: whatever it emits afterwards belongs behind the cut. It stops emitting when too much is in flight,
//! but it never stops following the ticks, so that cuts and watermarks get through a job that is blocked.

use crate::instance::{Body, Instance};
use crate::operator::SourceStatus;
use crate::outputs::{Allowance, NoEmitter, Outputs, TaskEmitter, downgrade};
use crate::shared::WorkerShared;
use crate::watermarks::Report;
use eddyline_core::{EventTime, Tick, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_protocol::FailureReport;
use std::cell::RefCell;
use std::rc::Rc;
use timely::dataflow::operators::Capability;
use timely::scheduling::Activator;

/// Polls in one go before others get their turn.
const POLLS_PER_TURN: usize = 16;
/// Bytes emitted in one go before others get their turn: what is taken up at once is still in the processor's cache.
const TURN_BYTES_MAX: usize = 256 << 10;
/// Time after which others get their turn, microseconds.
const TURN_MICROS_MAX: u64 = 2_000;

/// The state of a source on Timely.
pub(crate) struct SourceTask {
    shared: Rc<WorkerShared>,
    instance: Rc<RefCell<Instance>>,
    outputs: Outputs,
    held: Vec<Capability<u64>>,
    activator: Activator,
    tick: Tick,
    cut_number: u64,
    finished: bool,
    /// What was reported last, and what is to be reported when the tick ends.
    reported: (EventTime, bool),
    to_report: (EventTime, bool),
    emitted_in_tick: bool,
}

impl SourceTask {
    pub(crate) fn new(
        shared: Rc<WorkerShared>,
        instance: Rc<RefCell<Instance>>,
        outputs: Outputs,
        mut held: Vec<Capability<u64>>,
        activator: Activator,
        (watermark, start): (EventTime, Tick),
    ) -> Self {
        downgrade(&mut held, start);
        SourceTask {
            shared,
            instance,
            outputs,
            held,
            activator,
            tick: start,
            cut_number: 0,
            finished: false,
            reported: (WATERMARK_MIN, false),
            to_report: (watermark, false),
            emitted_in_tick: false,
        }
    }

    /// One activation.
    pub(crate) fn schedule(&mut self) {
        if self.shared.failure.borrow().is_some() {
            return;
        }
        if self.shared.shutdown.get() {
            self.held.clear();
            return;
        }
        self.shared.watchdog.enter(self.instance.borrow().number, self.shared.clock.monotonic_micros());
        let outcome = self.follow().and_then(|()| self.poll());
        self.shared.watchdog.leave();
        match outcome {
            Ok(true) => self.activator.activate(),
            Ok(false) => {}
            Err(report) => self.shared.fail(report),
        }
    }

    /// Follows the driver to the newest tick.
    fn follow(&mut self) -> Result<(), FailureReport> {
        let known = self.shared.known_tick.get();
        if known <= self.tick {
            return Ok(());
        }
        if self.shared.sources_stopped.get() {
            self.stop();
        }
        if self.to_report != self.reported {
            self.reported = self.to_report;
            let instance = self.instance.borrow();
            let report = Report {
                node: instance.node as u32,
                instance: instance.info.instance,
                tick: self.tick,
                watermark: self.reported.0,
                idle: self.reported.1,
            };
            self.outputs.report(&self.shared, &self.held, report);
        }
        loop {
            let cut = self.shared.cuts.borrow().get(self.cut_number);
            let Some(cut) = cut.filter(|cut| cut.tick <= known) else { break };
            self.cut_number += 1;
            let mut instance = self.instance.borrow_mut();
            let at = (self.reported.0, self.tick);
            instance.call(&self.shared, &mut NoEmitter, at, |body, context| match body {
                Body::Source(source) => source.before_snapshot(cut.checkpoint, context),
                Body::Operator(_) => Ok(()),
            })?;
            instance.freeze_for(&self.shared, cut.checkpoint, self.reported.0)?;
            let number = instance.number;
            drop(instance);
            self.shared.frozen(cut.checkpoint, number);
        }
        downgrade(&mut self.held, known);
        self.tick = known;
        self.emitted_in_tick = false;
        self.shared.set_reach(self.instance.borrow().number, known);
        Ok(())
    }

    /// The job stops: no more reading; if it drains, the input counts as ended.
    fn stop(&mut self) {
        if self.finished {
            return;
        }
        if self.shared.drain.get() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        self.to_report = (WATERMARK_MAX, false);
        self.shared.sources_open.set(self.shared.sources_open.get() - 1);
        self.shared.need_tick.set(true);
    }

    /// Lets the source emit; answers whether to come back at once.
    fn poll(&mut self) -> Result<bool, FailureReport> {
        if self.finished || self.shared.sources_stopped.get() {
            return Ok(false);
        }
        let started = self.shared.clock.monotonic_micros();
        let mut bytes = 0;
        for turn in 0..POLLS_PER_TURN {
            if self.shared.strict_order && self.emitted_in_tick {
                return Ok(false);
            }
            if (self.shared.is_full() || self.outputs.is_full(&self.shared)) && !self.wait_for_room() {
                return Ok(false);
            }
            let others_turn =
                bytes >= TURN_BYTES_MAX || self.shared.clock.monotonic_micros() - started > TURN_MICROS_MAX;
            if turn > 0 && others_turn {
                return Ok(true);
            }
            match self.poll_once(&mut bytes)? {
                SourceStatus::Ready => {}
                SourceStatus::Pending => return Ok(false),
                SourceStatus::Finished => {
                    self.finish();
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn wait_for_room(&self) -> bool {
        let waker = self.instance.borrow().waker.clone();
        self.shared.stash.wait(&waker);
        self.outputs.wait(&self.shared, &waker) && !self.shared.is_full()
    }

    /// Polls the source; adds what it emits to `bytes`.
    fn poll_once(&mut self, bytes: &mut usize) -> Result<SourceStatus, FailureReport> {
        let mut instance = self.instance.borrow_mut();
        instance.wake_at_ms.set(i64::MAX);
        let mut emitter = TaskEmitter {
            outputs: &mut self.outputs,
            shared: &self.shared,
            allowance: Allowance::Held(&self.held),
            emitted_bytes: 0,
            emitted_rows: 0,
        };
        let at = (self.to_report.0, self.tick);
        let status = instance.call(&self.shared, &mut emitter, at, |body, context| match body {
            Body::Source(source) => source.poll(context),
            Body::Operator(_) => Ok(SourceStatus::Finished),
        })?;
        let rows = emitter.emitted_rows as u64;
        *bytes += emitter.emitted_bytes;
        if rows > 0 {
            self.emitted_in_tick = true;
            self.shared.records_in.set(self.shared.records_in.get() + rows);
            instance.metrics.records_in.set(instance.metrics.records_in.get() + rows);
            self.shared.need_tick.set(true);
        }
        if let Some((watermark, idle)) = instance.report.take() {
            let news = (watermark.max(self.to_report.0), idle);
            if news != self.to_report {
                self.to_report = news;
                self.shared.need_tick.set(true);
            }
        }
        Ok(status)
    }
}
