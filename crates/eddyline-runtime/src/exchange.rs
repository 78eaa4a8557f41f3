//! Exchanging batches between workers.
//!
//! An own parallelization contract instead of Timely's exchange: small parts are held back and joined per target
//! until they are full, the tick ends, the buffer time-out has passed or the sender has to wait. (Timely's
//! `Distributor` is flushed whenever an output session closes, which would defeat that.) Rows held back count as
//! produced, so they hold the frontier: nothing is lost or overtaken.

use crate::packet::Packet;
use crate::partition::{Partitioner, PartitionerFactory, PartitionerSetup};
use eddyline_core::{Batch, Error};
use std::cell::RefCell;
use std::rc::Rc;
use timely::communication::{Pull, Push};
use timely::dataflow::channels::pact::{LogPuller, LogPusher, ParallelizationContract};
use timely::dataflow::channels::{Message, Stamp};
use timely::logging::TimelyLogger;
use timely::worker::Worker;

type PacketPusher = LogPusher<Box<dyn Push<Message<u64, Packet>>>>;
type PacketPuller = LogPuller<Box<dyn Pull<Message<u64, Packet>>>>;

/// Parts that an exchange holds back.
pub(crate) trait HeldParts {
    /// Sends everything that is held back.
    fn flush(&mut self);
    /// When the oldest part was held back (monotonic microseconds), if any is.
    fn held_since(&self) -> Option<u64>;
}

/// All exchanges of a worker, to be flushed together.
#[derive(Clone, Default)]
pub(crate) struct HoldList(Rc<RefCell<Vec<Rc<RefCell<Held>>>>>);

impl HoldList {
    /// Sends everything that any exchange holds back.
    pub(crate) fn flush_all(&self) {
        for held in self.0.borrow().iter() {
            held.borrow_mut().flush();
        }
    }

    /// Sends what has been held back for `timeout_micros` or longer; answers when to come back, if ever.
    pub(crate) fn flush_due(&self, now: u64, timeout_micros: u64) -> Option<u64> {
        let mut next = None;
        for held in self.0.borrow().iter() {
            let mut held = held.borrow_mut();
            if let Some(since) = held.held_since() {
                let due = since + timeout_micros;
                if due <= now {
                    held.flush();
                } else {
                    next = Some(next.map_or(due, |earlier: u64| earlier.min(due)));
                }
            }
        }
        next
    }
}

/// What went wrong in a partitioner; it has no way to return it.
pub(crate) type ExchangeFailure = Rc<RefCell<Option<Error>>>;

/// The contract of an edge that is not forward.
pub(crate) struct ExchangePact {
    pub(crate) partitioner: Option<PartitionerFactory>,
    pub(crate) setup: PartitionerSetup,
    pub(crate) holds: HoldList,
    pub(crate) clock: std::sync::Arc<dyn eddyline_core::Clock>,
    pub(crate) failure: ExchangeFailure,
}

/// The sending end of an exchange.
pub(crate) struct Held {
    pushers: Vec<PacketPusher>,
    partitioner: Option<Box<dyn Partitioner>>,
    stamp: Option<Stamp<u64>>,
    since: Option<u64>,
    sender: u32,
    account: u32,
    clock: std::sync::Arc<dyn eddyline_core::Clock>,
    failure: ExchangeFailure,
}

impl Held {
    fn send(pusher: &mut PacketPusher, stamp: &Stamp<u64>, packet: Packet) {
        pusher.push(&mut Some(Message::new(stamp.clone(), packet)));
    }

    fn take(&mut self, stamp: Stamp<u64>, packet: Packet) {
        if let Some(target) = packet.target {
            Self::send(&mut self.pushers[target as usize], &stamp, packet);
            self.pushers[target as usize].done();
            return;
        }
        if self.stamp.as_ref().is_some_and(|held| *held != stamp) {
            self.flush();
        }
        (self.sender, self.account) = (packet.sender, packet.account);
        let Some(partitioner) = self.partitioner.as_mut() else { return };
        let (pushers, sender, account) = (&mut self.pushers, self.sender, self.account);
        let batch = packet.into_batch();
        let result = partitioner.partition(batch, &mut |target: usize, part: Batch| {
            Self::send(&mut pushers[target], &stamp, Packet::new(part, sender, account));
            pushers[target].done();
        });
        if let Err(error) = result {
            self.failure.borrow_mut().get_or_insert(error);
        }
        if partitioner.holds() {
            self.since.get_or_insert_with(|| self.clock.monotonic_micros());
            self.stamp = Some(stamp);
        } else {
            (self.since, self.stamp) = (None, None);
        }
    }
}

impl HeldParts for Held {
    fn flush(&mut self) {
        self.since = None;
        if let (Some(stamp), Some(partitioner)) = (self.stamp.take(), self.partitioner.as_mut()) {
            let (pushers, sender, account) = (&mut self.pushers, self.sender, self.account);
            partitioner.flush(&mut |target, part| {
                Self::send(&mut pushers[target], &stamp, Packet::new(part, sender, account));
                pushers[target].done();
            });
        }
    }

    fn held_since(&self) -> Option<u64> {
        self.since
    }
}

/// Pushes into the shared sending end.
pub(crate) struct ExchangePusher(Rc<RefCell<Held>>);

impl Push<Message<u64, Packet>> for ExchangePusher {
    fn push(&mut self, message: &mut Option<Message<u64, Packet>>) {
        // A `None` (the session was closed) does not end the tick: parts stay held back.
        if let Some(message) = message.take() {
            self.0.borrow_mut().take(message.stamp, message.data);
        }
    }
}

impl ParallelizationContract<u64, Packet> for ExchangePact {
    type Pusher = ExchangePusher;
    type Puller = PacketPuller;

    fn connect(
        self,
        worker: &Worker,
        identifier: usize,
        address: Rc<[usize]>,
        logging: Option<TimelyLogger>,
    ) -> (Self::Pusher, Self::Puller) {
        let (senders, receiver) = worker.allocate::<Message<u64, Packet>>(identifier, address);
        let pushers = senders
            .into_iter()
            .enumerate()
            .map(|(target, sender)| {
                LogPusher::new(sender, worker.index(), target, identifier, logging.clone())
            })
            .collect();
        let held = Rc::new(RefCell::new(Held {
            pushers,
            partitioner: self.partitioner.map(|make| make(self.setup)),
            stamp: None,
            since: None,
            sender: 0,
            account: 0,
            clock: self.clock,
            failure: self.failure,
        }));
        self.holds.0.borrow_mut().push(held.clone());
        (ExchangePusher(held), LogPuller::new(receiver, worker.index(), identifier, logging))
    }
}
