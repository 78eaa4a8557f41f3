//! The driver owns the tick of its worker.
//!
//! Worker 0's driver is the *tick leader*: only it opens ticks, and it says so to all drivers, itself included, with
//! everything that has to be known before a record of that tick may be processed: cuts, the end of input, a stop.
//! The others ask for a tick when they have something that waits for the end of the current one. So no clock has to
//! agree with another, and a cut needs no agreement either: whoever knows the tick knows the cut.
//!
//! Messages between drivers travel on a channel of their own beside the dataflow; it also carries the bytes that
//! are given back to the sender of a batch (flow control between processes).

use crate::loop_rounds::{LoopRounds, RoundReport, RoundResult};
use crate::shared::{Cut, WorkerShared};
use eddyline_core::Tick;
use eddyline_protocol::{CheckpointId, CheckpointKind, FromWorker, StopMode};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::rc::Rc;
use timely::bytes::arc::Bytes;
use timely::communication::{Bytesable, Pull, Push};

/// What drivers say to one another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum PeerMessage {
    /// The leader opens a tick.
    Advance(Advance),
    /// A follower has something that waits for the end of the tick.
    Need,
    /// All sources of a worker have finished.
    SourcesDone,
    /// What a worker has seen of its loops in a round.
    LoopReport(RoundReport),
    /// Bytes of a batch were dropped by their receiver.
    Credit { account: u32, bytes: u64 },
    /// A user function asks for the end of the job.
    StopRequested,
    /// Nothing: fills a place that could not be read.
    Unreadable,
}

/// A tick, and all that has to be known before it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Advance {
    pub(crate) tick: Tick,
    pub(crate) cut: Option<CheckpointId>,
    /// Sources stop; with `true` their input counts as ended.
    pub(crate) stop: Option<bool>,
    /// Operators end in the tick before this one.
    pub(crate) end: bool,
    /// The result of the last round of the loops.
    pub(crate) loops: Option<RoundResult>,
    /// Whether a round of the loops begins at this tick.
    pub(crate) loop_round: bool,
}

/// How [`PeerMessage`]s travel.
#[derive(Clone)]
pub(crate) struct PeerPacket(pub(crate) PeerMessage);

impl Bytesable for PeerPacket {
    fn from_bytes(bytes: Bytes) -> Self {
        let Some(length) = bytes.get(..8).and_then(|head| head.try_into().ok()).map(u64::from_le_bytes)
        else {
            return PeerPacket(PeerMessage::Unreadable);
        };
        let body = bytes.get(8..8 + length as usize).unwrap_or_default();
        PeerPacket(bincode::deserialize(body).unwrap_or(PeerMessage::Unreadable))
    }

    fn length_in_bytes(&self) -> usize {
        8 + (bincode::serialized_size(&self.0).expect("invariant: peer messages have a size") as usize)
            .next_multiple_of(8)
    }

    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        let body = bincode::serialize(&self.0).expect("invariant: peer messages can be encoded");
        let mut write = |bytes: &[u8]| writer.write_all(bytes).expect("invariant: timely gives room");
        write(&(body.len() as u64).to_le_bytes());
        write(&body);
        write(&[0u8; 8][..body.len().next_multiple_of(8) - body.len()]);
    }
}

/// The ends of the channel between drivers: one to each worker, one from all.
pub(crate) type PeerChannel = (Vec<Box<dyn Push<PeerPacket>>>, Box<dyn Pull<PeerPacket>>);

/// What the leader still has to do before the job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// All sources are done; loops are watched until they are empty.
    Draining {
        since: Tick,
    },
    /// Operators have been told to end.
    Ended,
}

struct Leader {
    phase: Phase,
    needed: bool,
    opened_micros: Option<u64>,
    triggers: VecDeque<CheckpointId>,
    /// The newest checkpoint that was asked for: messages may come twice, cuts must not.
    triggered: CheckpointId,
    stop: Option<StopMode>,
    stop_told: bool,
    sources_done: usize,
    /// None if the job has no loops.
    rounds: Option<LoopRounds>,
}

/// The driver of one worker.
pub(crate) struct Driver {
    shared: Rc<WorkerShared>,
    to_peers: Vec<Box<dyn Push<PeerPacket>>>,
    from_peers: Box<dyn Pull<PeerPacket>>,
    tick_micros: u64,
    leader: Option<Leader>,
    asked_in: Option<Tick>,
    sources_done_said: bool,
    stop_request_said: bool,
    loop_round: Option<Tick>,
    loop_seen: u64,
    messages: Vec<FromWorker>,
}

impl Driver {
    pub(crate) fn new(
        shared: Rc<WorkerShared>,
        (to_peers, from_peers): PeerChannel,
        tick_micros: u64,
        has_loops: bool,
    ) -> Self {
        let leader = (shared.worker == 0).then(|| Leader {
            phase: Phase::Running,
            needed: false,
            opened_micros: None,
            triggers: VecDeque::new(),
            triggered: 0,
            stop: None,
            stop_told: false,
            sources_done: 0,
            rounds: has_loops.then(LoopRounds::default),
        });
        Driver {
            shared,
            to_peers,
            from_peers,
            tick_micros,
            leader,
            asked_in: None,
            sources_done_said: false,
            stop_request_said: false,
            loop_round: None,
            loop_seen: 0,
            messages: Vec::new(),
        }
    }

    /// The supervisor wants a checkpoint (a final one is a cut like any other).
    pub(crate) fn trigger(&mut self, checkpoint: CheckpointId, kind: CheckpointKind) {
        let _ = kind;
        if let Some(leader) = &mut self.leader
            && checkpoint > leader.triggered
        {
            leader.triggered = checkpoint;
            leader.triggers.push_back(checkpoint);
        }
    }

    /// The supervisor wants the job to stop.
    pub(crate) fn stop(&mut self, mode: StopMode) {
        if let Some(leader) = &mut self.leader {
            leader.stop.get_or_insert(mode);
        }
    }

    /// One turn. Answers what to tell the supervisor.
    pub(crate) fn turn(&mut self, now_micros: u64) -> Vec<FromWorker> {
        self.receive();
        self.speak_for_worker();
        self.lead(now_micros);
        self.give_credit();
        for pusher in &mut self.to_peers {
            pusher.done();
        }
        std::mem::take(&mut self.messages)
    }

    /// When the driver has to be called even if nothing happens, monotonic microseconds.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let leader = self.leader.as_ref()?;
        let loops = leader.rounds.as_ref().is_some_and(|rounds| {
            rounds.has_news() || rounds.is_idle() && matches!(leader.phase, Phase::Draining { .. })
        });
        let waits = leader.needed
            || loops
            || !leader.triggers.is_empty()
            || leader.stop.is_some() && !leader.stop_told;
        (waits && self.has_headroom())
            .then(|| leader.opened_micros.map_or(0, |opened| opened + self.tick_micros))
    }

    fn send(&mut self, worker: usize, message: PeerMessage) {
        self.to_peers[worker].push(&mut Some(PeerPacket(message)));
    }

    fn receive(&mut self) {
        while let Some(PeerPacket(message)) = self.from_peers.pull().take() {
            match message {
                PeerMessage::Advance(advance) => self.follow(&advance),
                PeerMessage::Credit { account, bytes } => {
                    if let Some(account) = self.shared.accounts.get(account as usize) {
                        account.subtract(bytes as i64);
                        self.shared.pool.subtract(bytes as i64);
                    }
                }
                PeerMessage::Need => self.at_leader(|leader| leader.needed = true),
                PeerMessage::SourcesDone => self.at_leader(|leader| leader.sources_done += 1),
                PeerMessage::LoopReport(report) => {
                    let peers = self.shared.peers;
                    self.at_leader(|leader| {
                        if let Some(rounds) = &mut leader.rounds {
                            rounds.report(report, peers);
                        }
                    });
                }
                PeerMessage::StopRequested => self.at_leader(|leader| {
                    leader.stop.get_or_insert(StopMode::Drain);
                }),
                PeerMessage::Unreadable => self.shared.fail_with(
                    &eddyline_core::Error::network("a control message from another process cannot be read")
                        .with_hint("run the same build of the program in every process"),
                ),
            }
        }
    }

    fn at_leader(&mut self, act: impl FnOnce(&mut Leader)) {
        if let Some(leader) = &mut self.leader {
            act(leader);
        }
    }

    /// A tick was opened: everything held back leaves in the tick it belongs to, then all tasks may go on.
    fn follow(&mut self, advance: &Advance) {
        self.shared.holds.flush_all();
        if let Some(drain) = advance.stop {
            self.shared.sources_stopped.set(true);
            self.shared.drain.set(drain);
        }
        if advance.end {
            self.shared.end_tick.set(Some(advance.tick - 1));
        }
        if let Some(checkpoint) = advance.cut {
            self.shared.cuts.borrow_mut().push(Cut { tick: advance.tick, checkpoint });
            self.shared.snapshots.borrow_mut().begin(checkpoint, advance.tick);
        }
        for (number, ends) in self.shared.loops.borrow().iter() {
            if let Some(result) = &advance.loops {
                ends.release(result.holds.iter().find(|(of, _)| of == number).map(|(_, hold)| *hold));
            }
            if advance.loop_round {
                ends.begin_round(advance.tick);
            }
        }
        if advance.loop_round {
            self.loop_round = Some(advance.tick);
        }
        self.shared.known_tick.set(advance.tick);
        self.shared.activate_on_tick();
    }

    /// Tells the leader what this worker needs.
    fn speak_for_worker(&mut self) {
        let known = self.shared.known_tick.get();
        if self.shared.need_tick.get() {
            self.shared.need_tick.set(false);
            if self.asked_in != Some(known) {
                self.asked_in = Some(known);
                match &mut self.leader {
                    Some(leader) => leader.needed = true,
                    None => self.send(0, PeerMessage::Need),
                }
            }
        }
        if self.shared.stop_requested.get() && !self.stop_request_said {
            self.stop_request_said = true;
            self.send(0, PeerMessage::StopRequested);
        }
        if self.shared.sources_open.get() == 0 && !self.sources_done_said {
            self.sources_done_said = true;
            self.send(0, PeerMessage::SourcesDone);
        }
        self.report_loops();
    }

    /// Once all tails have passed the round's tick, tells what was seen of the loops.
    fn report_loops(&mut self) {
        let Some(round) = self.loop_round else { return };
        let loops = self.shared.loops.borrow();
        if self.shared.end_tick.get().is_some() || !loops.values().all(|ends| ends.has_passed(round)) {
            return;
        }
        let activity = self.shared.loop_activity.get();
        let waiting = loops.values().any(|ends| !ends.is_empty()) || self.calls_in_flight();
        let report = RoundReport {
            worker: self.shared.worker as u32,
            round,
            active: waiting || activity != self.loop_seen,
            lagging: loops.values().any(|ends| ends.is_lagging()),
            holds: loops.iter().map(|(number, ends)| (*number, ends.hold())).collect(),
        };
        drop(loops);
        self.loop_seen = activity;
        self.loop_round = None;
        self.send(0, PeerMessage::LoopReport(report));
    }

    fn calls_in_flight(&self) -> bool {
        self.shared.instances.borrow().iter().any(|instance| match &instance.borrow().body {
            crate::instance::Body::Operator(operator) => operator.in_flight() > 0,
            crate::instance::Body::Source(_) => false,
        })
    }

    /// Whether the sinks are close enough behind for another tick.
    fn has_headroom(&self) -> bool {
        let behind = self.shared.known_tick.get().saturating_sub(self.shared.sink_reach());
        behind < self.shared.limits.ticks_in_flight
    }

    fn lead(&mut self, now_micros: u64) {
        let headroom = self.has_headroom();
        let (known, peers) = (self.shared.known_tick.get(), self.shared.peers);
        let Some(leader) = &mut self.leader else { return };
        let early = leader.opened_micros.is_some_and(|opened| now_micros < opened + self.tick_micros);
        if early || !headroom {
            return;
        }
        let mut advance = Advance { tick: known + 1, ..Advance::default() };
        let mut wanted = std::mem::take(&mut leader.needed);
        if let (Some(mode), false) = (leader.stop, leader.stop_told) {
            leader.stop_told = true;
            advance.stop = Some(mode == StopMode::Drain);
            wanted = true;
        }
        let begin_round = wanted | leader.step_phase(known, peers, &mut advance);
        wanted = begin_round || leader.rounds.as_ref().is_some_and(LoopRounds::has_news);
        if let Some(checkpoint) = leader.triggers.pop_front() {
            advance.cut = Some(checkpoint);
            wanted = true;
        }
        if !wanted {
            return;
        }
        if advance.end {
            self.messages.push(FromWorker::InputEnded);
        }
        if let Some(rounds) = &mut leader.rounds {
            let tick = advance.tick;
            (advance.loops, advance.loop_round) = rounds.at_tick(tick, begin_round && !advance.end);
        }
        leader.opened_micros = Some(now_micros);
        self.open(advance);
    }

    fn open(&mut self, advance: Advance) {
        if let Some(checkpoint) = advance.cut {
            self.messages.push(FromWorker::CutAnnounced { checkpoint, tick: advance.tick });
        }
        for worker in 1..self.to_peers.len() {
            self.send(worker, PeerMessage::Advance(advance.clone()));
        }
        // The leader follows at once, so that it cannot open the same tick twice.
        self.follow(&advance);
    }

    fn give_credit(&mut self) {
        let owed = std::mem::take(&mut *self.shared.credits.borrow_mut());
        for ((sender, account), bytes) in owed {
            self.send(sender as usize, PeerMessage::Credit { account, bytes });
        }
    }
}

impl Leader {
    /// Moves the end of the job on; answers whether that needs a tick.
    fn step_phase(&mut self, known: Tick, peers: usize, advance: &mut Advance) -> bool {
        match self.phase {
            Phase::Running if self.sources_done == peers => {
                if self.rounds.is_some() {
                    self.phase = Phase::Draining { since: known + 1 };
                } else {
                    self.phase = Phase::Ended;
                    advance.end = true;
                }
                true
            }
            Phase::Draining { since } => {
                let rounds = self.rounds.as_ref();
                if rounds.is_some_and(|rounds| rounds.is_settled_since(since)) {
                    self.phase = Phase::Ended;
                    advance.end = true;
                    return true;
                }
                rounds.is_some_and(LoopRounds::is_idle)
            }
            _ => false,
        }
    }
}
