//! The simulated network: a queue of chunks per directed link.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use timely::bytes::arc::Bytes;
use timely::communication::allocator::zero_copy::bytes_exchange::QueueEntry;
use timely::communication::allocator::zero_copy::spill::SpillPolicy;

/// How unreliable the network is. Order within a link is always kept, as TCP does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Decides delays and partitions.
    pub seed: u64,
    /// Whether chunks are delayed at all.
    pub delays: bool,
    /// One in how many deliveries finds its link cut; 0: none.
    pub partition_one_in: u64,
    /// Longest cut of a link, in steps of the simulation.
    pub partition_steps_max: u64,
}

impl NetworkConfig {
    /// A network that delivers everything at once.
    pub fn reliable() -> Self {
        NetworkConfig { seed: 0, delays: false, partition_one_in: 0, partition_steps_max: 0 }
    }
}

#[derive(Default)]
struct Link {
    chunks: VecDeque<Bytes>,
    cut_until_step: u64,
}

struct State {
    processes: usize,
    links: Vec<Link>,
    closed: Vec<bool>,
    config: NetworkConfig,
    random: u64,
    step: u64,
    chunks: u64,
    bytes: u64,
    partitions: u64,
    digest: u64,
}

/// The network between the processes of a cluster; clones are the same network.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

impl Network {
    pub(super) fn new(processes: usize, config: NetworkConfig) -> Self {
        Network(Arc::new(Mutex::new(State {
            processes,
            links: (0..processes * processes).map(|_| Link::default()).collect(),
            closed: vec![false; processes],
            config,
            random: config.seed,
            step: 0,
            chunks: 0,
            bytes: 0,
            partitions: 0,
            digest: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step of the simulation is over: cut links come back by steps.
    pub fn step(&self) {
        self.lock().step += 1;
    }

    /// Cuts the link between two processes, in both directions, for `steps` steps.
    pub fn cut(&self, one: usize, other: usize, steps: u64) {
        let state = &mut *self.lock();
        let until = state.step + steps;
        state.partitions += 1;
        for (from, to) in [(one, other), (other, one)] {
            let index = from * state.processes + to;
            if let Some(link) = state.links.get_mut(index) {
                link.cut_until_step = link.cut_until_step.max(until);
            }
        }
    }

    /// Whether anything is under way.
    pub fn is_empty(&self) -> bool {
        self.lock().links.iter().all(|link| link.chunks.is_empty())
    }

    /// Chunks and bytes sent so far.
    pub fn sent(&self) -> (u64, u64) {
        let state = self.lock();
        (state.chunks, state.bytes)
    }

    /// Links cut so far.
    pub fn partitions(&self) -> u64 {
        self.lock().partitions
    }

    /// A number that differs if anything that was sent, or the order of sending, differs.
    pub fn digest(&self) -> u64 {
        self.lock().digest
    }

    pub(super) fn close(&self, process: usize) {
        let state = &mut *self.lock();
        let processes = state.processes;
        if let Some(closed) = state.closed.get_mut(process) {
            *closed = true;
        }
        for from in 0..processes {
            if let Some(link) = state.links.get_mut(from * processes + process) {
                link.chunks.clear();
            }
        }
    }

    /// The policy of a sending queue: takes every chunk at once.
    pub(super) fn sending(&self, from: usize, to: usize) -> Box<dyn SpillPolicy> {
        Box::new(Sending { network: self.clone(), from, to })
    }

    /// The policy of a receiving queue: hands over what has arrived.
    pub(super) fn receiving(&self, from: usize, to: usize) -> Box<dyn SpillPolicy> {
        Box::new(Receiving { network: self.clone(), from, to })
    }
}

impl State {
    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// How many chunks of a link arrive now.
    fn arriving(&mut self, index: usize) -> usize {
        let waiting = self.links[index].chunks.len();
        if waiting == 0 || self.step < self.links[index].cut_until_step {
            return 0;
        }
        if !self.config.delays {
            return waiting;
        }
        if self.config.partition_one_in > 0 && self.below(self.config.partition_one_in) == 0 {
            let steps = self.below(self.config.partition_steps_max + 1);
            self.links[index].cut_until_step = self.step + steps;
            self.partitions += 1;
            return 0;
        }
        self.below(waiting as u64 + 1) as usize
    }
}

struct Sending {
    network: Network,
    from: usize,
    to: usize,
}

impl SpillPolicy for Sending {
    fn apply(&mut self, queue: &mut VecDeque<QueueEntry>) {
        let state = &mut *self.network.lock();
        let index = self.from * state.processes + self.to;
        for entry in queue.drain(..) {
            let QueueEntry::Bytes(chunk) = entry else { continue };
            state.chunks += 1;
            state.bytes += chunk.len() as u64;
            let sum = eddyline_core::stable_hash(&chunk) ^ (index as u64);
            state.digest = state.digest.rotate_left(7).wrapping_mul(0x0000_0100_0000_01B3) ^ sum;
            if !state.closed[self.to] {
                state.links[index].chunks.push_back(chunk);
            }
        }
    }
}

struct Receiving {
    network: Network,
    from: usize,
    to: usize,
}

impl SpillPolicy for Receiving {
    fn apply(&mut self, queue: &mut VecDeque<QueueEntry>) {
        let state = &mut *self.network.lock();
        let index = self.from * state.processes + self.to;
        let arriving = state.arriving(index);
        queue.extend(state.links[index].chunks.drain(..arriving).map(QueueEntry::Bytes));
    }
}

/// The policy of the end of a queue that is not part of the simulation.
pub(super) struct Untouched;

impl SpillPolicy for Untouched {
    fn apply(&mut self, _queue: &mut VecDeque<QueueEntry>) {}
}
