//! Processes are killed while a savepoint is taken and while the job is rescaled.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

use eddyline::{Clock, SystemClock};
use eddyline_state::{FileObjects, LocalFileSystem, dispose_savepoint, open_snapshot};
use eddyline_tests::harness::{Run, Settings, Signal, find_job, processes_with, seed_offset, signal, tell};
use std::sync::Arc;
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

/// Every savepoint in the directory is whole, or was never finished; either can be deleted.
fn judge_savepoints(directory: &std::path::Path) -> (usize, usize) {
    let objects = Arc::new(FileObjects::new(Arc::new(LocalFileSystem), directory));
    let (mut whole, mut unfinished) = (0, 0);
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.starts_with("savepoint-") {
            continue;
        }
        match open_snapshot(objects.clone(), &name) {
            Ok(snapshot) => {
                snapshot.verify().unwrap();
                whole += 1;
            }
            Err(_) => unfinished += 1,
        }
        dispose_savepoint(objects.as_ref(), &name).unwrap();
        assert!(!entry.path().exists());
    }
    (whole, unfinished)
}

#[test]
#[ignore = "takes half a minute; cargo xtask test runs it"]
fn kills_during_savepoints_and_rescales_lose_and_double_nothing() {
    let (mut kills, mut rescaled, mut whole, mut unfinished) = (0, 0, 0, 0);
    for seed in (700..705).map(|seed| seed + seed_offset()) {
        let mut state = seed;
        let place = tempfile::tempdir().unwrap();
        let control = place.path().join("run");
        let kept = place.path().join("kept");
        let mut settings = Settings::new(PROGRAM, seed);
        settings.records_per_split = 1_000;
        settings.options.push(format!("-Deddyline.control-dir={}", control.display()));
        let mut run = Run::new(settings).unwrap();
        let argument = run.out().display().to_string();
        run.start().unwrap();
        for round in 0..8u64 {
            pass(random(&mut state) % 200);
            if run.newest_has_ended() {
                break;
            }
            let Ok(door) = find_job(&control, "kill-workload") else { break };
            let (kept, wanted) = (kept.display().to_string(), 2 * (1 + random(&mut state) % 3) as u32);
            let asking = std::thread::spawn(move || match round % 2 {
                0 => door.rescale(wanted).map(|()| true),
                _ => door.savepoint(&kept).map(|_| false),
            });
            pass(random(&mut state) % 120);
            let processes = processes_with(&argument);
            if let Some((pid, _)) = processes.get(random(&mut state) as usize % processes.len().max(1)) {
                signal(*pid, Signal::KILL);
                kills += 1;
                if run.supervisor() == Some(*pid) {
                    run.start().unwrap();
                }
            }
            rescaled += u64::from(matches!(asking.join().unwrap(), Ok(true)));
        }
        if let Err(problem) = run.finish(true) {
            panic!("{problem}");
        }
        let judged = judge_savepoints(&kept);
        (whole, unfinished) = (whole + judged.0, unfinished + judged.1);
    }
    tell(&format!(
        "{kills} kills, {rescaled} times rescaled, {whole} savepoints, {unfinished} unfinished ones"
    ));
    assert!(kills >= 15 && whole >= 3);
}
