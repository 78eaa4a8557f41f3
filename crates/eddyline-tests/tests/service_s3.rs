//! Jobs that keep their checkpoints on a real S3 server, which is stopped, slow, read-only, or refuses.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

use eddyline_state::{FileSystem, LocalFileSystem, ObjectStorage};
use eddyline_storage::StorageSettings;
use eddyline_tests::harness::{
    Deadline, Run, S3Server, Settings, Signal, check_contract, processes_with, signal,
};
use std::path::Path;
use std::sync::Arc;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kill-workload");

fn open(location: &str, settings: &StorageSettings) -> Arc<dyn ObjectStorage> {
    let files: Arc<dyn FileSystem> = Arc::new(LocalFileSystem);
    eddyline_storage::open(location, &files, settings).unwrap()
}

/// A job on the server, with further options.
fn job(server: &S3Server, seed: u64, options: &[&str]) -> Run {
    let mut settings = Settings::new(PROGRAM, seed);
    settings.options.extend(server.options());
    settings.options.push(format!("-Dexecution.checkpointing.dir={}", server.location("jobs")));
    settings.options.extend(options.iter().map(|option| (*option).to_owned()));
    Run::new(settings).unwrap()
}

/// The newest complete checkpoint on the server.
fn newest(server: &S3Server) -> u64 {
    let entries = std::fs::read_dir(server.path("jobs/kill-workload")).into_iter().flatten().flatten();
    let complete = entries.filter(|entry| entry.path().join("COMPLETE").exists());
    let number = |name: &str| name.strip_prefix("checkpoint-")?.parse().ok();
    complete.filter_map(|entry| number(entry.file_name().to_str()?)).max().unwrap_or(0)
}

fn wait_for_checkpoint(server: &S3Server, run: &mut Run, after: u64) -> u64 {
    let found = Deadline::minute(format!("a checkpoint after {after}")).wait_for(|| {
        let newest = newest(server);
        (newest > after || run.newest_has_ended()).then_some(newest)
    });
    found.unwrap_or_else(|problem| panic!("{problem}\n{}", run.log()))
}

fn finish(run: &mut Run) {
    if let Err(problem) = run.finish(true) {
        panic!("{problem}");
    }
}

#[test]
#[ignore = "needs an S3 server; cargo xtask test runs it"]
fn the_server_keeps_to_the_contract() {
    let server = S3Server::start().unwrap();
    check_contract(&open(&server.location("some/where"), &server.settings()));
}

#[test]
#[ignore = "needs an S3 server; cargo xtask test runs it"]
fn kills_lose_and_double_nothing() {
    let server = S3Server::start().unwrap();
    let compressed = ["-Dexecution.checkpointing.snapshot-compression=true"];
    for (seed, options) in [(1, [].as_slice()), (2, compressed.as_slice())] {
        let mut run = job(&server, seed, options);
        run.start().unwrap();
        let (argument, mut seen) = (run.out().display().to_string(), newest(&server));
        for round in 0..4 {
            seen = wait_for_checkpoint(&server, &mut run, seen);
            if run.newest_has_ended() {
                break;
            }
            let victim = if round % 2 == 0 { run.supervisor() } else { run.worker(1) };
            let Some(victim) = victim else { continue };
            signal(victim, Signal::KILL);
            if round % 2 == 0 {
                run.start().unwrap();
            }
        }
        finish(&mut run);
        assert!(processes_with(&argument).is_empty());
        assert!(!run.log().contains(server.secret()));
        std::fs::remove_dir_all(server.path("jobs")).unwrap();
    }
}

#[test]
#[ignore = "needs an S3 server; cargo xtask test runs it"]
fn a_server_that_stops_in_mid_checkpoint_fails_the_checkpoint_and_not_the_job() {
    let mut server = S3Server::start().unwrap();
    let mut run = job(&server, 3, &["-Dexecution.checkpointing.timeout=5 s"]);
    run.start().unwrap();
    let seen = wait_for_checkpoint(&server, &mut run, 1);
    server.stop();
    let given_up = Deadline::minute("a checkpoint that is given up")
        .wait_for(|| (run.log().contains("was given up") || run.newest_has_ended()).then_some(()));
    given_up.unwrap();
    assert!(!run.newest_has_ended(), "{}", run.log());
    server.come_up(&[]).unwrap();
    wait_for_checkpoint(&server, &mut run, seen + 1);
    finish(&mut run);
    assert!(!run.log().contains("starting again"), "the attempt goes on\n{}", run.log());
}

#[test]
#[ignore = "needs an S3 server; cargo xtask test runs it"]
fn a_server_that_becomes_read_only_fails_checkpoints_and_not_the_job() {
    let mut server = S3Server::start().unwrap();
    let mut run = job(&server, 4, &[]);
    run.start().unwrap();
    let seen = wait_for_checkpoint(&server, &mut run, 1);
    server.stop();
    server.come_up(&["--readonly"]).unwrap();
    let given_up = Deadline::minute("a checkpoint that is given up")
        .wait_for(|| (run.log().contains("refuses access") || run.newest_has_ended()).then_some(()));
    given_up.unwrap();
    assert!(!run.newest_has_ended(), "{}", run.log());
    server.stop();
    server.come_up(&[]).unwrap();
    wait_for_checkpoint(&server, &mut run, seen + 1);
    finish(&mut run);
}

#[test]
#[ignore = "needs an S3 server; cargo xtask test runs it"]
fn a_slow_server_slows_checkpoints_and_nothing_else() {
    let server = S3Server::start().unwrap();
    let mut run = job(&server, 5, &["-Deddyline.storage.retry-timeout=20 s"]);
    run.start().unwrap();
    let mut seen = 0;
    for _ in 0..3 {
        seen = wait_for_checkpoint(&server, &mut run, seen);
        server.signal(Signal::STOP);
        let clock = eddyline::SystemClock::new();
        let until = eddyline::Clock::monotonic_micros(&clock) + 400_000;
        while eddyline::Clock::monotonic_micros(&clock) < until {
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        server.signal(Signal::CONT);
    }
    finish(&mut run);
}

#[test]
#[ignore = "needs an S3 server; cargo xtask test runs it"]
fn wrong_credentials_and_a_missing_bucket_end_in_clear_errors() {
    let server = S3Server::start().unwrap();
    let wrong = ["-Ds3.secret-key=not-the-secret-key-at-all"];
    let nowhere = ["-Dexecution.checkpointing.dir=s3://nowhere/jobs"];
    for (options, words) in [(wrong, "refuses access"), (nowhere, "bucket does not exist")] {
        let mut run = job(&server, 6, &options);
        run.start().unwrap();
        assert!(!run.wait_supervisor(0).unwrap().success());
        let said = run.log();
        assert!(said.contains(words) && said.contains("s3://"), "{said}");
        assert!(!said.contains("secret-key-"), "a secret is said:\n{said}");
    }
}

#[test]
#[ignore = "needs an S3 server; cargo xtask test runs it"]
fn a_savepoint_is_written_to_the_server_and_disposed_of() {
    let server = S3Server::start().unwrap();
    let run_directory = tempfile::tempdir().unwrap();
    let control = format!("-Deddyline.control-dir={}", run_directory.path().display());
    let mut run = job(&server, 7, &[&control]);
    run.start().unwrap();
    wait_for_checkpoint(&server, &mut run, 1);
    let client = eddyline_tests::harness::find_job(run_directory.path(), "kill-workload").unwrap();
    let path = client.savepoint(&server.location("kept")).unwrap();
    finish(&mut run);
    let (above, name) = eddyline_storage::split(&path).unwrap();
    let storage = open(&above, &server.settings());
    let snapshot = eddyline_state::open_snapshot(storage.clone(), &name).unwrap();
    snapshot.verify().unwrap();
    assert!(eddyline_state::dispose_savepoint(storage.as_ref(), &name).unwrap() >= 2);
    assert!(!Path::new(&server.path("kept")).join(&name).join("COMPLETE").exists());
}
