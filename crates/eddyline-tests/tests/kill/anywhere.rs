//! Processes are killed at any time, and put to sleep for a while, whatever they are doing.
use eddyline::{Clock, SystemClock};
use eddyline_tests::harness::{Run, Settings, Signal, processes_with, seed_offset, signal, tell};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kill-workload");

/// splitmix64 (Steele, Lea, Flood 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Lets `millis` pass: the time between two faults, not a wait for anything.
fn pass(millis: u64) {
    let clock = SystemClock::new();
    let until = clock.monotonic_micros() + millis * 1_000;
    while clock.monotonic_micros() < until {
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn end(run: &mut Run) {
    if let Err(problem) = run.finish(true) {
        panic!("{problem}");
    }
}

#[test]
#[ignore = "takes half a minute; cargo xtask test runs it"]
fn kills_at_any_time_lose_and_double_nothing() {
    let mut kills = 0;
    for seed in (500..505).map(|seed| seed + seed_offset()) {
        let mut state = seed;
        let mut run = Run::new(Settings::new(PROGRAM, seed)).unwrap();
        let argument = run.out().display().to_string();
        run.start().unwrap();
        for _ in 0..6 {
            pass(random(&mut state) % 500);
            if run.newest_has_ended() {
                break;
            }
            let processes = processes_with(&argument);
            let Some((pid, _)) = processes.get(random(&mut state) as usize % processes.len().max(1)) else {
                continue;
            };
            signal(*pid, Signal::KILL);
            kills += 1;
            // A process that is just being started looks like the supervisor that starts it.
            if run.supervisor() == Some(*pid) {
                run.start().unwrap();
            }
        }
        end(&mut run);
    }
    tell(&format!("{kills} kills at any time"));
    assert!(kills >= 15);
}

#[test]
#[ignore = "takes half a minute; cargo xtask test runs it"]
fn processes_that_sleep_for_a_while_lose_and_double_nothing() {
    let mut stalls = 0;
    for seed in (600..603).map(|seed| seed + seed_offset()) {
        let mut state = seed;
        let mut run = Run::new(Settings::new(PROGRAM, seed)).unwrap();
        let argument = run.out().display().to_string();
        run.start().unwrap();
        while !run.newest_has_ended() {
            pass(random(&mut state) % 100);
            let processes = processes_with(&argument);
            if let Some((pid, _)) = processes.get(random(&mut state) as usize % processes.len().max(1)) {
                signal(*pid, Signal::STOP);
                pass(random(&mut state) % 200);
                signal(*pid, Signal::CONT);
                stalls += 1;
            }
        }
        end(&mut run);
    }
    tell(&format!("{stalls} stalls at any time"));
    assert!(stalls >= 15);
}
