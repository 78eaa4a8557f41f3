//! Jobs that keep their checkpoints on a real HDFS.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

use eddyline_state::{FileSystem, LocalFileSystem, ObjectStorage};
use eddyline_storage::StorageSettings;
use eddyline_tests::harness::{Deadline, Run, Settings, Signal, check_contract, signal};
use std::sync::Arc;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kill-workload");

/// A directory that no other run has used.
fn location() -> String {
    let base = std::env::var("EDDYLINE_TEST_HDFS")
        .expect("EDDYLINE_TEST_HDFS says where HDFS is: run `cargo xtask services up hdfs`");
    let now = eddyline::Clock::wall_micros(&eddyline::SystemClock::new());
    format!("{base}/eddyline-{}-{now}", std::process::id())
}

fn open(location: &str) -> Arc<dyn ObjectStorage> {
    let files: Arc<dyn FileSystem> = Arc::new(LocalFileSystem);
    eddyline_storage::open(location, &files, &StorageSettings::default()).unwrap()
}

#[test]
#[ignore = "needs HDFS; cargo xtask test runs it"]
fn hdfs_keeps_to_the_contract() {
    check_contract(&open(&location()));
}

#[test]
#[ignore = "needs HDFS; cargo xtask test runs it"]
fn kills_lose_and_double_nothing() {
    let location = location();
    let storage = open(&location);
    let newest = || {
        let complete = |entry: &eddyline_state::DirectoryEntry| {
            let name = format!("kill-workload/{}/COMPLETE", entry.name);
            matches!(storage.length(&name), Ok(Some(_)))
        };
        let entries = storage.list("kill-workload").unwrap_or_default();
        let ids = entries
            .iter()
            .filter(|entry| complete(entry))
            .filter_map(|entry| entry.name.strip_prefix("checkpoint-")?.parse::<u64>().ok());
        ids.max().unwrap_or(0)
    };
    let mut settings = Settings::new(PROGRAM, 1);
    settings.options.push(format!("-Dexecution.checkpointing.dir={location}"));
    settings.records_per_split = 1_200;
    let mut run = Run::new(settings).unwrap();
    run.start().unwrap();
    let mut seen = 0;
    for round in 0..3 {
        seen = Deadline::minute(format!("a checkpoint after {seen}"))
            .wait_for(|| {
                let newest = newest();
                (newest > seen || run.newest_has_ended()).then_some(newest)
            })
            .unwrap_or_else(|problem| panic!("{problem}\n{}", run.log()));
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
    if let Err(problem) = run.finish(true) {
        panic!("{problem}");
    }
    assert!(seen > 0);
}

#[test]
#[ignore = "needs HDFS; cargo xtask test runs it"]
fn a_name_node_that_is_not_there_ends_in_a_clear_error() {
    let mut settings = Settings::new(PROGRAM, 2);
    settings.options.push("-Dexecution.checkpointing.dir=hdfs://127.0.0.1:9/jobs".into());
    settings.options.push("-Deddyline.storage.retry-timeout=1 s".into());
    let mut run = Run::new(settings).unwrap();
    run.start().unwrap();
    assert!(!run.wait_supervisor(0).unwrap().success());
    let said = run.log();
    assert!(said.contains("hdfs://127.0.0.1:9/jobs"), "{said}");
}
