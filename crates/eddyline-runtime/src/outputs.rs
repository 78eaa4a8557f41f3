//! Sending what an operator emits.
//!
//! Every edge has a Timely output of its own, because a broadcast changes the number of rows, which an exchange
//! must not do. Outputs are numbered like the node's edges; the side stream of watermark reports, if there is one,
//! comes last.

use crate::context::Emitter;
use crate::packet::Packet;
use crate::shared::WorkerShared;
use crate::watermarks::Report;
use eddyline_core::{Account, Batch, Reservation, Result, Tick};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use timely::container::{CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::{Capability, InputCapability};

/// The container of the side stream: a report and the worker it is for.
pub(crate) type ReportContainer = Vec<(u32, Report)>;

/// The sending end of one edge.
pub(crate) struct OutEdge {
    pub(crate) output: OutputBuilder<u64, NoopBuilder<Packet>>,
    pub(crate) port: usize,
    /// For broadcast edges: how many instances receive a copy.
    pub(crate) broadcast: Option<u32>,
}

/// All that a task sends.
pub(crate) struct Outputs {
    pub(crate) edges: Vec<OutEdge>,
    pub(crate) reports: Option<OutputBuilder<u64, CapacityContainerBuilder<ReportContainer>>>,
    /// Account and its number, by port.
    pub(crate) accounts: Vec<(u32, Arc<Account>)>,
}

/// What allows a task to send: the batch that is being processed, or a capability it holds.
pub(crate) enum Allowance<'a> {
    Input(&'a InputCapability<u64>),
    Held(&'a [Capability<u64>]),
}

impl Outputs {
    /// Whether so much is in flight that the task has to wait, and has something of its own to wait for.
    pub(crate) fn is_full(&self, shared: &WorkerShared) -> bool {
        let over_pool = shared.pool.bytes() > shared.limits.pool_bytes;
        self.accounts.iter().any(|(_, account)| {
            let bytes = account.bytes();
            bytes > shared.limits.edge_bytes || (over_pool && bytes > 0)
        })
    }

    /// Asks to be woken when there is room. Answers whether there is room after all.
    pub(crate) fn wait(&self, shared: &WorkerShared, waker: &Waker) -> bool {
        // Parts held back would never be dropped by anybody: they have to leave before their sender waits.
        shared.holds.flush_all();
        for (_, account) in &self.accounts {
            account.wait(waker);
        }
        shared.pool.wait(waker);
        !self.is_full(shared)
    }

    /// Sends a batch of `bytes` bytes: counting them looks at every record.
    fn send(
        &mut self,
        shared: &WorkerShared,
        allowance: &Allowance<'_>,
        port: usize,
        (mut batch, bytes): (Batch, usize),
    ) {
        let Some((number, account)) = self.accounts.get(port) else { return };
        let (number, sender) = (*number, shared.worker as u32);
        let mut left = self.edges.iter().filter(|edge| edge.port == port).count();
        if left == 0 {
            return;
        }
        batch.reserve(Reservation::new(bytes, account, &shared.pool));
        for (index, edge) in self.edges.iter_mut().enumerate().filter(|(_, edge)| edge.port == port) {
            left -= 1;
            let whole = if left == 0 { std::mem::take(&mut batch) } else { batch.clone() };
            match edge.broadcast {
                None => edge.push(allowance, index, Packet::new(whole, sender, number)),
                Some(targets) => {
                    for target in 1..targets {
                        let mut packet = Packet::new(whole.clone(), sender, number);
                        packet.target = Some(target);
                        edge.push(allowance, index, packet);
                    }
                    let mut packet = Packet::new(whole, sender, number);
                    packet.target = Some(0);
                    edge.push(allowance, index, packet);
                }
            }
        }
    }

    /// Sends a report to all workers, for tick `tick`, which the held capability allows.
    pub(crate) fn report(&mut self, shared: &WorkerShared, held: &[Capability<u64>], report: Report) {
        let Some(output) = self.reports.as_mut() else { return };
        let Some(capability) = held.get(self.edges.len()) else { return };
        let at: Capability<u64> = capability.delayed(&report.tick);
        let mut active = output.activate();
        let mut session = active.session(&at);
        for worker in 0..shared.peers {
            session.give((worker as u32, report));
        }
    }
}

impl OutEdge {
    fn push(&mut self, allowance: &Allowance<'_>, index: usize, mut packet: Packet) {
        let mut active = self.output.activate();
        match allowance {
            Allowance::Input(capability) => {
                active.session_with_builder(*capability).give_container(&mut packet)
            }
            Allowance::Held(held) => active.session_with_builder(&held[index]).give_container(&mut packet),
        }
    }
}

/// What an operator's context emits through.
pub(crate) struct TaskEmitter<'a> {
    pub(crate) outputs: &'a mut Outputs,
    pub(crate) shared: &'a Rc<WorkerShared>,
    pub(crate) allowance: Allowance<'a>,
    pub(crate) emitted_bytes: usize,
    pub(crate) emitted_rows: usize,
}

impl Emitter for TaskEmitter<'_> {
    fn emit(&mut self, port: usize, batch: Batch) -> Result<()> {
        let bytes = batch.memory_bytes();
        self.emitted_bytes += bytes;
        self.emitted_rows += batch.len();
        self.outputs.send(self.shared, &self.allowance, port, (batch, bytes));
        Ok(())
    }

    fn has_room(&self) -> bool {
        !self.outputs.is_full(self.shared)
    }
}

/// For calls in which an operator has nothing to emit.
pub(crate) struct NoEmitter;

impl Emitter for NoEmitter {
    fn emit(&mut self, _port: usize, _batch: Batch) -> Result<()> {
        Err(eddyline_core::Error::internal("an operator emitted records outside of processing"))
    }

    fn has_room(&self) -> bool {
        false
    }
}

/// Downgrades all capabilities, or drops them at the end of time.
pub(crate) fn downgrade(held: &mut Vec<Capability<u64>>, tick: Tick) {
    if tick == Tick::MAX {
        held.clear();
    }
    for capability in held {
        if *capability.time() < tick {
            capability.downgrade(&tick);
        }
    }
}
