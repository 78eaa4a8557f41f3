//! Whatever processes do, there is one attempt at a time and every job ends.

use super::AttemptDecision as D;
use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Fact {
    Time(u64),
    Running { process: ProcessIndex, old: bool },
    Heartbeat { process: ProcessIndex },
    Exit { process: ProcessIndex, old: bool },
    Failed { kind: FailureKind, old: bool },
    Finished { old: bool },
    Stop,
    Cancel,
}

fn fact() -> impl Strategy<Value = Fact> {
    let old = || prop::bool::weighted(0.2);
    let kind = prop_oneof![
        8 => Just(FailureKind::User),
        4 => Just(FailureKind::Network),
        1 => Just(FailureKind::Memory),
    ];
    prop_oneof![
        8 => (1u64..400).prop_map(Fact::Time),
        10 => (0u32..3, old()).prop_map(|(process, old)| Fact::Running { process, old }),
        10 => (0u32..3).prop_map(|process| Fact::Heartbeat { process }),
        6 => (0u32..3, old()).prop_map(|(process, old)| Fact::Exit { process, old }),
        2 => (kind, old()).prop_map(|(kind, old)| Fact::Failed { kind, old }),
        1 => old().prop_map(|old| Fact::Finished { old }),
        1 => Just(Fact::Stop),
        1 => prop::bool::weighted(0.2).prop_map(|cancel| if cancel { Fact::Cancel } else { Fact::Time(1) }),
    ]
}

/// The driver: claims numbers when asked to and checks what it is told.
struct Driver {
    master: JobMaster,
    now_ms: u64,
    claimed: AttemptId,
    /// The attempt that was spawned and has not ended.
    alive: Option<AttemptId>,
    over: bool,
}

impl Driver {
    fn new() -> Self {
        let config = AttemptConfig {
            processes: 2,
            start_timeout_ms: 1_000,
            heartbeat_timeout_ms: 300,
            watchdog_micros: None,
            end_timeout_ms: 500,
        };
        let strategy = RestartStrategy::FixedDelay { attempts: 5, delay_ms: 50 };
        let master = JobMaster::new(config, strategy).unwrap();
        let mut driver = Driver { master, now_ms: 0, claimed: 0, alive: None, over: false };
        driver.carry_out(vec![D::ClaimAttempt]);
        driver
    }

    fn carry_out(&mut self, decisions: Vec<D>) {
        for decision in decisions {
            assert!(!self.over, "decided after the end: {decision:?}");
            match decision {
                D::ClaimAttempt => {
                    self.claimed += 1;
                    let decisions = self.master.on_start(self.now_ms, self.claimed, 0.0);
                    self.carry_out(decisions);
                }
                D::SpawnAttempt { attempt, .. } => {
                    assert_eq!(self.alive.replace(attempt), None, "one attempt at a time");
                }
                D::AttemptEnded { attempt } => assert_eq!(self.alive.take(), Some(attempt)),
                D::AttemptRunning { attempt } | D::KillAttempt { attempt, .. } => {
                    assert_eq!(self.alive, Some(attempt));
                }
                D::GiveUp { .. } | D::Done => {
                    assert_eq!(self.alive, None, "nothing is left running");
                    self.over = true;
                }
                D::TellStop { .. } | D::TellShutdown => assert!(self.alive.is_some()),
                D::ReportFailure(_) | D::BackOff { .. } => {}
            }
        }
    }

    fn happens(&mut self, fact: &Fact) {
        let now_ms = self.now_ms;
        let current = self.claimed;
        let (old, decisions) = match *fact {
            Fact::Time(elapsed_ms) => {
                self.now_ms += elapsed_ms;
                (false, self.master.on_time(self.now_ms))
            }
            Fact::Running { process, old } => {
                (old, self.master.on_worker_running(now_ms, current - u64::from(old), process))
            }
            Fact::Heartbeat { process } => {
                (false, self.master.on_heartbeat(now_ms, current, process, &ProgressReport::default()))
            }
            Fact::Exit { process, old } => {
                let exit = ProcessExit::Signal(9);
                (old, self.master.on_worker_exit(now_ms, current - u64::from(old), process, &exit))
            }
            Fact::Failed { kind, old } => {
                let report = FailureReport::new(kind, "failed");
                (old, self.master.on_worker_failed(now_ms, current - u64::from(old), report))
            }
            Fact::Finished { old } => (old, self.master.on_finished(now_ms, current - u64::from(old))),
            Fact::Stop => (false, self.master.on_stop_requested(StopMode::Drain)),
            Fact::Cancel => (false, self.master.on_cancel_requested(now_ms)),
        };
        assert!(!old || decisions.is_empty(), "an old attempt was heard: {decisions:?}");
        self.carry_out(decisions);
    }

    /// Nobody says anything any more: the machine alone brings the job to its end, by its own alarm clock.
    fn settle(&mut self) {
        for _ in 0..100 {
            let Some(due_ms) = self.master.next_due_ms() else { break };
            self.now_ms = self.now_ms.max(due_ms);
            let decisions = self.master.on_time(self.now_ms);
            assert!(!decisions.is_empty(), "woken for nothing in {:?}", self.master.state());
            self.carry_out(decisions);
        }
        assert!(self.over, "hangs in {:?}", self.master.state());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_attempt_at_a_time_and_every_job_ends(facts in prop::collection::vec(fact(), 1..150)) {
        let mut driver = Driver::new();
        for fact in &facts {
            driver.happens(fact);
        }
        driver.settle();
    }
}
