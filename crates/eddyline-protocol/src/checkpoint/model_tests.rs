//! Random sequences of facts, by workers that fail, repeat themselves and come late, must keep the invariants.

use super::CheckpointDecision as D;
use super::*;
use proptest::prelude::*;

/// Something that may happen to a job.
#[derive(Debug, Clone)]
enum Fact {
    Time(u64),
    Cut { checkpoint: u64 },
    Part { worker: WorkerIndex, checkpoint: u64, old: bool },
    PartFailed { worker: WorkerIndex, checkpoint: u64 },
    Written { good: bool },
    Committed { worker: WorkerIndex, old: bool },
    Savepoint,
    InputEnded,
    Suspend,
    Restart { workers: u32, waits_for_write: bool, falls_back: bool },
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        8 => (1u64..150).prop_map(Fact::Time),
        3 => (0u64..3).prop_map(|checkpoint| Fact::Cut { checkpoint }),
        24 => (0u32..4, 0u64..4, prop::bool::weighted(0.1))
            .prop_map(|(worker, checkpoint, old)| Fact::Part { worker, checkpoint, old }),
        1 => (0u32..4, 0u64..3).prop_map(|(worker, checkpoint)| Fact::PartFailed { worker, checkpoint }),
        8 => prop::bool::weighted(0.9).prop_map(|good| Fact::Written { good }),
        6 => (0u32..4, prop::bool::weighted(0.1)).prop_map(|(worker, old)| Fact::Committed { worker, old }),
        1 => Just(Fact::Savepoint),
        1 => Just(Fact::InputEnded),
        1 => Just(Fact::Suspend),
        1 => (1u32..4, prop::bool::weighted(0.7), prop::bool::weighted(0.2)).prop_map(
            |(workers, waits_for_write, falls_back)| Fact::Restart { workers, waits_for_write, falls_back }
        ),
    ]
}

/// The world around the coordinator: what it was told, and what it must not contradict.
struct World {
    machine: CheckpointCoordinator,
    limit: usize,
    now_ms: u64,
    attempt: AttemptId,
    workers: u32,
    newest: CheckpointId,
    /// Of the current attempt and in flight, with the workers whose part has come in.
    open: BTreeMap<CheckpointId, BTreeSet<WorkerIndex>>,
    kinds: BTreeMap<CheckpointId, CheckpointKind>,
    writing: Option<CheckpointId>,
    /// Complete and not retired.
    durable: BTreeSet<CheckpointId>,
    completed_ever: BTreeSet<CheckpointId>,
    last_commit: Option<CheckpointId>,
    committed_by: BTreeSet<(CheckpointId, WorkerIndex)>,
    /// Checkpoints of the end of input.
    ends: BTreeSet<CheckpointId>,
    finished: bool,
    /// Savepoints that were asked for and not answered yet.
    asked: BTreeSet<u64>,
    asked_ever: u64,
}

impl World {
    fn new(max_concurrent: u32, num_retained: u32) -> Self {
        let config = CheckpointConfig {
            interval_ms: Some(50),
            min_pause_ms: 10,
            timeout_ms: 400,
            max_concurrent,
            tolerable_failed_checkpoints: 2,
            num_retained,
        };
        let machine = CheckpointCoordinator::new(config, "job", 128, BTreeSet::new(), 1).unwrap();
        World {
            machine,
            limit: max_concurrent as usize,
            now_ms: 0,
            attempt: 0,
            workers: 0,
            newest: 0,
            open: BTreeMap::new(),
            kinds: BTreeMap::new(),
            writing: None,
            durable: BTreeSet::new(),
            completed_ever: BTreeSet::new(),
            last_commit: None,
            committed_by: BTreeSet::new(),
            ends: BTreeSet::new(),
            finished: false,
            asked: BTreeSet::new(),
            asked_ever: 0,
        }
    }

    fn at(&self) -> Moment {
        Moment { now_ms: self.now_ms, wall_ms: 0 }
    }

    /// A recent checkpoint, counted back from the newest; 0 is one that does not exist.
    fn recent(&self, back: u64) -> CheckpointId {
        self.newest.saturating_sub(back)
    }

    fn happens(&mut self, fact: &Fact) {
        let at = self.at();
        let decisions = match *fact {
            Fact::Time(elapsed_ms) => {
                self.now_ms += elapsed_ms;
                self.machine.on_time(self.at())
            }
            Fact::Cut { checkpoint } => {
                let id = self.recent(checkpoint);
                self.machine.on_cut_announced(at, self.attempt, id, id * 10)
            }
            Fact::Part { worker, checkpoint, old } => return self.part(worker, checkpoint, old),
            Fact::PartFailed { worker, checkpoint } => {
                let id = self.recent(checkpoint);
                self.machine.on_part_failed(at, self.attempt, worker, id, "disk full")
            }
            Fact::Written { good } => match self.writing {
                Some(id) => self.written(id, good),
                None => Vec::new(),
            },
            Fact::Committed { worker, old } => return self.committed(worker, old),
            Fact::Savepoint => {
                self.asked_ever += 1;
                self.asked.insert(self.asked_ever);
                self.machine.request_savepoint(at, self.asked_ever)
            }
            Fact::InputEnded => self.machine.on_input_ended(at, self.attempt),
            Fact::Suspend => self.machine.request_stop(at, StopMode::Suspend),
            Fact::Restart { workers, waits_for_write, falls_back } => {
                return self.restart(workers, waits_for_write, falls_back);
            }
        };
        self.check(decisions);
    }

    fn part(&mut self, worker: WorkerIndex, back: u64, old: bool) {
        let id = self.recent(back);
        let attempt = self.attempt - u64::from(old);
        let part = PartManifest { operators: Vec::new(), bytes_written: 0 };
        if let Some(parts) = self.open.get_mut(&id).filter(|_| !old && worker < self.workers) {
            parts.insert(worker);
        }
        let decisions = self.machine.on_part_done(self.at(), attempt, worker, id, id * 10, part);
        assert!(!old || decisions.is_empty(), "an old attempt was heard: {decisions:?}");
        self.check(decisions);
    }

    fn committed(&mut self, worker: WorkerIndex, old: bool) {
        let Some(id) = self.last_commit else { return };
        if !old && worker < self.workers {
            self.committed_by.insert((id, worker));
        }
        let decisions = self.machine.on_committed(self.attempt - u64::from(old), worker, id);
        assert!(!old || decisions.is_empty(), "an old attempt was heard: {decisions:?}");
        self.check(decisions);
    }

    fn written(&mut self, id: CheckpointId, good: bool) -> Decisions {
        self.writing = None;
        if good {
            self.durable.insert(id);
            self.completed_ever.insert(id);
            self.machine.on_complete_written(self.at(), id)
        } else {
            self.machine.on_complete_failed(self.at(), id, "disk full")
        }
    }

    fn restart(&mut self, workers: u32, waits_for_write: bool, falls_back: bool) {
        if self.finished {
            return;
        }
        self.open.clear();
        let decisions = self.machine.on_attempt_ended(self.attempt);
        self.check(decisions);
        if let Some(id) = self.writing.filter(|_| waits_for_write) {
            let decisions = self.written(id, true);
            self.check(decisions);
        }
        let newest = self.durable.last().copied();
        let older = self.durable.iter().rev().nth(1).copied();
        let checkpoint = if falls_back { older.or(newest) } else { newest };
        let restored = checkpoint.map(|checkpoint| Restored {
            checkpoint,
            finished: self.ends.contains(&checkpoint),
            origin: None,
        });
        self.attempt += 1;
        self.workers = workers;
        self.last_commit = None;
        self.committed_by.clear();
        let all = (0..workers).collect();
        let decisions = self.machine.on_attempt_started(self.at(), self.attempt, all, restored).unwrap();
        self.check(decisions);
    }

    fn check(&mut self, decisions: Decisions) {
        for decision in decisions {
            let deletes = matches!(decision, D::DiscardParts { .. } | D::Retire { .. });
            assert!(!self.finished || deletes, "decided after the end: {decision:?}");
            self.check_one(decision);
        }
        assert!(self.machine.in_flight().len() <= self.limit, "too many in flight");
        assert_eq!(self.machine.writing(), self.writing);
        assert!(self.machine.retained().is_subset(&self.durable), "kept, but gone");
    }

    fn check_one(&mut self, decision: D) {
        match decision {
            D::Trigger { id, kind } => {
                assert!(id > self.newest, "numbers grow");
                self.newest = id;
                self.kinds.insert(id, kind);
                self.open.insert(id, BTreeSet::new());
            }
            D::WriteComplete(manifest) => {
                let id = manifest.checkpoint;
                let parts = self.open.remove(&id).expect("only what is in flight completes");
                assert_eq!(parts.len(), self.workers as usize, "all parts before COMPLETE");
                assert_eq!((manifest.attempt, manifest.tick), (self.attempt, id * 10));
                if manifest.finished {
                    self.ends.insert(id);
                }
                assert_eq!(self.writing.replace(id), None, "one write at a time");
            }
            D::NotifyCommit { id } => {
                assert!(self.durable.contains(&id), "COMPLETE before commit");
                assert!(self.last_commit.is_none_or(|last| last < id), "commits grow");
                self.last_commit = Some(id);
            }
            D::Abort { id, .. } => {
                self.open.remove(&id);
                assert!(!self.completed_ever.contains(&id), "what is complete is not aborted");
            }
            D::DiscardParts { id } => {
                assert!(!self.completed_ever.contains(&id) && self.writing != Some(id), "{id} discarded");
                assert!(!self.open.contains_key(&id), "discarded while in flight");
            }
            D::Retire { id } => {
                assert!(self.durable.remove(&id), "retired once");
                assert!(!self.durable.is_empty() || self.writing_was_orphaned(), "something stays");
            }
            D::Finished => {
                let last = self.last_commit.expect("commit before the end");
                assert_eq!(self.kinds.get(&last), Some(&CheckpointKind::Final));
                assert!((0..self.workers).all(|worker| self.committed_by.contains(&(last, worker))));
                self.finished = true;
            }
            D::SavepointComplete { request, id } => {
                assert!(self.durable.contains(&id), "COMPLETE before it is copied");
                assert!(self.asked.remove(&request), "answered once");
            }
            D::SavepointFailed { request, .. } => assert!(self.asked.remove(&request), "answered once"),
            D::FailAttempt { .. } => {}
        }
    }

    /// Whether nothing has completed in this attempt and nothing was restored: what was orphaned may go.
    fn writing_was_orphaned(&self) -> bool {
        self.last_commit.is_none()
    }

    /// However it stands: when time passes and writes are answered, everything in flight ends.
    fn settle(&mut self) {
        let in_flight = self.machine.in_flight();
        if let Some(id) = self.writing {
            let decisions = self.written(id, true);
            self.check(decisions);
        }
        for _ in 0..8 {
            self.now_ms += 500;
            let decisions = self.machine.on_time(self.at());
            self.check(decisions);
            if let Some(id) = self.writing {
                let decisions = self.written(id, true);
                self.check(decisions);
            }
        }
        let still = self.machine.in_flight();
        assert!(in_flight.iter().all(|id| !still.contains(id)), "{in_flight:?} never ended: {still:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_happens(
        facts in prop::collection::vec(fact(), 1..200),
        max_concurrent in 1u32..4,
        num_retained in 1u32..4,
    ) {
        let mut world = World::new(max_concurrent, num_retained);
        world.restart(2, true, false);
        for fact in &facts {
            world.happens(fact);
        }
        world.settle();
    }
}
