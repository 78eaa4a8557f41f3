//! Worker processes are killed, and stopped so that they do not answer, in each phase of a job's life.
use eddyline_tests::harness::{Kill, Phase, Run, Settings, Signal, Tally, Victim, seed_offset, storm, tell};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kill-workload");

/// Three kills of each kind, those at the end last.
const PHASES: [Phase; 12] = [
    Phase::BeforeComplete,
    Phase::BeforeCommit,
    Phase::DuringRestore,
    Phase::BeforeCommit,
    Phase::BeforeComplete,
    Phase::DuringRestore,
    Phase::BeforeComplete,
    Phase::BeforeCommit,
    Phase::InputRead,
    Phase::BeforeFinalComplete,
    Phase::DuringRestore,
    Phase::BeforeFinalCommit,
];

fn rounds(first_seed: u64, rounds: u64, signal: Signal) -> Tally {
    let mut tally = Tally::default();
    let first_seed = first_seed + seed_offset();
    for seed in first_seed..first_seed + rounds {
        let plan: Vec<Kill> = (0u32..)
            .zip(PHASES)
            .map(|(place, phase)| {
                let victim = Victim::Worker((seed as u32 + place / 2) % 2);
                Kill { phase, victim, signal }
            })
            .collect();
        let mut run = Run::new(Settings::new(PROGRAM, seed)).unwrap();
        match storm(&mut run, &plan) {
            Ok(kills) => tally.merge(&kills),
            Err(problem) => panic!("{problem}"),
        }
    }
    tell(&format!("workers:\n{tally}"));
    tally
}

#[test]
#[ignore = "takes a minute; cargo xtask test runs it"]
fn kill_nine_loses_and_doubles_nothing() {
    let tally = rounds(100, 7, Signal::KILL);
    for group in ["before COMPLETE", "between COMPLETE and commit", "during restore", "at end of input"] {
        assert!(tally.of(group) >= 20, "only {} kills {group}", tally.of(group));
    }
}

#[test]
#[ignore = "takes a minute; cargo xtask test runs it"]
fn workers_that_do_not_answer_are_replaced() {
    let tally = rounds(200, 2, Signal::STOP);
    assert!(tally.of("before COMPLETE") >= 6);
}
