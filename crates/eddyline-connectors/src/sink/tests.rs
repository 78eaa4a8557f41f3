//! The sink's commit protocol on a disk that crashes after every single operation, fills up and fails.

use super::{FileSink, FileSinkOperator, PendingFile};
use crate::environment::ConnectorEnvironment;
use eddyline_core::Result;
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, Progress};
use eddyline_state::storage::{CrashOutcome, FaultPlan};
use eddyline_state::{FileSystem, MemoryFileSystem};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;

const OUT: &str = "/out";
const RECORDS: u64 = 40;
const RECORDS_PER_CUT: u64 = 10;

type Sink = FileSinkOperator<u64>;

/// An instance in attempt `attempt` on `disk`, restored from `state`.
fn start(
    disk: &MemoryFileSystem,
    attempt: u64,
    (instance, parallelism): (u32, u32),
    state: &[PendingFile],
) -> Result<Sink> {
    let encoder = |value: &u64, out: &mut Vec<u8>| out.extend_from_slice(format!("{value}\n").as_bytes());
    // Three records a file: a cut has several files, and a file is open when it comes.
    let sink = FileSink::new(OUT, encoder).roll_bytes(7);
    let mut operator = FileSinkOperator::new(sink);
    let environment = ConnectorEnvironment::inline(Arc::new(disk.clone()));
    operator.start(environment, "uid", (attempt, instance), Waker::noop().clone())?;
    operator.pending.set(state.to_vec());
    operator.recover(parallelism)?;
    Ok(operator)
}

/// What a coordinator has in its newest complete checkpoint.
#[derive(Clone, Default)]
struct Checkpoint {
    id: CheckpointId,
    next_record: u64,
    state: Vec<PendingFile>,
}

/// Writes all records with a cut after every ten, from the last checkpoint on. A cut that fails is left out.
fn live(disk: &MemoryFileSystem, attempt: u64, complete: &mut Checkpoint) -> Result<()> {
    let mut sink = start(disk, attempt, (0, 1), &complete.state)?;
    let mut next = complete.next_record;
    let mut id = complete.id;
    loop {
        let until = (next + RECORDS_PER_CUT).min(RECORDS);
        (next..until).for_each(|value| sink.write_record(&value, 0));
        next = until;
        id += 1;
        sink.cut(id)?;
        let state = sink.pending.items().to_vec();
        match sink.poll_prepared(id) {
            Ok(progress) => {
                assert_eq!(progress, Progress::Done);
                *complete = Checkpoint { id, next_record: next, state };
                sink.commit(id, false)?;
                if next == RECORDS {
                    sink.close();
                    return Ok(());
                }
            }
            // The machine has stopped for good: as a coordinator, give up after some failures.
            Err(error) if id > complete.id + 5 => return Err(error),
            Err(_) => {}
        }
    }
}

fn content(disk: &MemoryFileSystem) -> (BTreeMap<String, Vec<u8>>, usize) {
    let (mut visible, mut hidden) = (BTreeMap::new(), 0);
    if disk.exists(Path::new(OUT)).unwrap() {
        for entry in disk.list(Path::new(OUT)).unwrap() {
            if entry.name.starts_with('.') {
                hidden += 1;
            } else {
                let bytes = disk.read(&Path::new(OUT).join(&entry.name)).unwrap();
                visible.insert(entry.name, bytes);
            }
        }
    }
    (visible, hidden)
}

fn records(disk: &MemoryFileSystem) -> Vec<u64> {
    let bytes: Vec<u8> = content(disk).0.into_values().flatten().collect();
    let mut records: Vec<u64> =
        String::from_utf8(bytes).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    records.sort_unstable();
    records
}

fn assert_exactly_once(disk: &MemoryFileSystem, what: &str) {
    assert_eq!(records(disk), (0..RECORDS).collect::<Vec<_>>(), "{what}");
    assert_eq!(content(disk).1, 0, "{what}: hidden files are left");
}

#[test]
fn a_crash_after_any_operation_loses_and_doubles_nothing() {
    let outcomes = [CrashOutcome::LoseAll, CrashOutcome::KeepAll]
        .into_iter()
        .chain((0..6).map(CrashOutcome::Seeded))
        .collect::<Vec<_>>();
    let mut crashes = 0;
    for outcome in outcomes {
        for stop_after in 0.. {
            let (disk, mut complete) = (MemoryFileSystem::new(), Checkpoint::default());
            disk.set_faults(FaultPlan { stop_after: Some(stop_after), ..Default::default() });
            if live(&disk, 1, &mut complete).is_ok() && disk.operations() < stop_after {
                break;
            }
            disk.crash(outcome);
            let seen = content(&disk).0;
            // A second crash, while the first is being recovered from.
            let recovery = stop_after % 7;
            disk.set_faults(FaultPlan {
                stop_after: Some(disk.operations() + recovery),
                ..Default::default()
            });
            let _ = live(&disk, 2, &mut complete);
            disk.crash(outcome);
            live(&disk, 3, &mut complete).unwrap();
            let what = format!("stopped after {stop_after}, {recovery}: {outcome:?}");
            assert_exactly_once(&disk, &what);
            let now = content(&disk).0;
            let kept = seen.iter().all(|(name, bytes)| now.get(name) == Some(bytes));
            assert!(kept, "{what}: a visible file was changed");
            crashes += 1;
        }
    }
    assert!(crashes > 500, "{crashes}");
}

#[test]
fn any_single_failure_costs_at_most_a_checkpoint_or_an_attempt() {
    // Many operations that went well: a failure of every n-th is then a single one.
    const BEFORE: u64 = 10_000;
    let used_disk = || {
        let disk = MemoryFileSystem::new();
        disk.create_dir_all(Path::new(OUT)).unwrap();
        (disk.operations()..BEFORE).for_each(|_| disk.sync_dir(Path::new(OUT)).unwrap());
        disk
    };
    let faultless = used_disk();
    live(&faultless, 1, &mut Checkpoint::default()).unwrap();
    let (mut survived, operations) = (0, faultless.operations() - BEFORE);
    for failing in 1..=operations {
        let (disk, mut complete) = (used_disk(), Checkpoint::default());
        disk.set_faults(FaultPlan { fail_every: Some(BEFORE + failing), ..Default::default() });
        let outcome = live(&disk, 1, &mut complete);
        survived += u64::from(outcome.is_ok());
        if outcome.is_err() {
            live(&disk, 2, &mut complete).unwrap();
        }
        // The very last failure may be that of making names durable that are visible all the same.
        assert_exactly_once(&disk, &format!("operation {failing} of {operations} failed"));
    }
    let renames = content(&faultless).0.len() as u64;
    assert_eq!(survived, operations - renames, "only a rename that fails ends the attempt");
}

#[test]
fn a_full_disk_fails_checkpoints_until_there_is_room() {
    let disk = MemoryFileSystem::new();
    let mut sink = start(&disk, 1, (0, 1), &[]).unwrap();
    disk.set_faults(FaultPlan { capacity_bytes: Some(10), ..Default::default() });
    (0..20).for_each(|value| sink.write_record(&value, 0));
    for id in 1..4 {
        sink.cut(id).unwrap();
        let error = sink.poll_prepared(id).unwrap_err();
        assert!(
            error.report().contains("no space left") && error.report().contains(OUT),
            "{}",
            error.report()
        );
        assert!(error.hint().is_some());
        (20 + 10 * id..30 + 10 * id).for_each(|value| sink.write_record(&value, 0));
    }
    disk.set_faults(FaultPlan::default());
    sink.cut(4).unwrap();
    assert_eq!(sink.poll_prepared(4).unwrap(), Progress::Done);
    sink.commit(4, false).unwrap();
    let expected: Vec<u64> = (0..20).chain(30..60).collect();
    assert_eq!(records(&disk), expected);
}

#[test]
fn a_disk_that_takes_nothing_ends_the_attempt_before_memory_does() {
    let disk = MemoryFileSystem::new();
    let environment = ConnectorEnvironment::inline(Arc::new(disk.clone()));
    let sink = FileSink::new(OUT, |_: &u64, out: &mut Vec<u8>| out.extend_from_slice(&[b'x'; 100_000]));
    let mut sink = FileSinkOperator::new(sink);
    sink.start(environment, "uid", (1, 0), Waker::noop().clone()).unwrap();
    sink.recover(1).unwrap();
    disk.set_faults(FaultPlan { capacity_bytes: Some(1_000), ..Default::default() });
    let mut written = 0;
    let error = loop {
        sink.write_record(&1, 0);
        written += 100_000;
        if let Err(error) = sink.collect() {
            break error;
        }
        assert!(written < 10 << 20, "memory must be bounded");
    };
    assert!(!sink.accepts_input() && error.report().contains("no space left"), "{}", error.report());
}

#[test]
fn files_of_all_instances_are_committed_at_any_parallelism() {
    for next_parallelism in 1..5 {
        let disk = MemoryFileSystem::new();
        let mut state = Vec::new();
        for instance in 0..3u32 {
            let mut sink = start(&disk, 1, (instance, 3), &[]).unwrap();
            (0..5).for_each(|value| sink.write_record(&(u64::from(instance) * 10 + value), 0));
            sink.cut(1).unwrap();
            state.extend(sink.pending.items().to_vec());
            assert_eq!(sink.poll_prepared(1).unwrap(), Progress::Done);
            // Written behind the cut: not part of the checkpoint.
            (0..100).for_each(|value| sink.write_record(&(1_000 + value), 0));
        }
        let other = Path::new(OUT).join(".part-of-somebody-else.inprogress");
        disk.create_new(&other).unwrap().unwrap().write(b"theirs").unwrap();
        disk.crash(CrashOutcome::KeepAll);
        for _ in 0..2 {
            for instance in 0..next_parallelism {
                start(&disk, 2, (instance, next_parallelism), &state).unwrap();
            }
        }
        assert_eq!(records(&disk), [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24]);
        let hidden = content(&disk).1;
        assert_eq!(hidden, usize::from(disk.exists(&other).unwrap()), "only what is ours was removed");
    }
}

#[test]
fn a_fresh_start_in_a_used_directory_overwrites_nothing() {
    let disk = MemoryFileSystem::new();
    live(&disk, 1, &mut Checkpoint::default()).unwrap();
    let before = content(&disk).0;
    live(&disk, 1, &mut Checkpoint::default()).unwrap();
    let after = content(&disk).0;
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    assert_eq!(after.len(), 2 * before.len());
}

#[test]
fn output_that_others_meddled_with_is_a_clear_error() {
    for meddling in ["removed", "changed", "taken"] {
        let disk = MemoryFileSystem::new();
        let mut sink = start(&disk, 1, (0, 1), &[]).unwrap();
        sink.write_record(&1, 0);
        sink.cut(1).unwrap();
        sink.poll_prepared(1).unwrap();
        let name = sink.pending.items()[0].name.clone();
        let hidden = Path::new(OUT).join(super::name::pending(&name));
        match meddling {
            "removed" => disk.remove(&hidden).unwrap(),
            "changed" => disk.truncate(&hidden, 1).unwrap(),
            _ => _ = disk.create_new(&Path::new(OUT).join(&name)).unwrap().unwrap(),
        }
        let error = sink.commit(1, false).unwrap_err();
        assert!(error.report().contains(&name) && error.hint().is_some(), "{meddling}: {}", error.report());
    }
}

#[test]
fn a_reader_may_take_visible_files_away() {
    let disk = MemoryFileSystem::new();
    let mut complete = Checkpoint::default();
    live(&disk, 1, &mut complete).unwrap();
    for name in content(&disk).0.keys() {
        disk.remove(&Path::new(OUT).join(name)).unwrap();
    }
    let sink = start(&disk, 2, (0, 1), &complete.state);
    assert!(sink.is_ok());
}

#[test]
fn time_and_size_seal_files_of_a_real_disk() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("a/b");
    let encoder = |value: &u64, out: &mut Vec<u8>| out.extend_from_slice(format!("{value}\n").as_bytes());
    let mut sink = FileSinkOperator::new(FileSink::new(&directory, encoder).suffix(".txt").roll_bytes(100));
    let environment = ConnectorEnvironment::default();
    sink.start(environment, "uid", (1, 0), Waker::noop().clone()).unwrap();
    sink.recover(1).unwrap();
    (0..100).for_each(|value| sink.write_record(&value, 0));
    sink.cut(1).unwrap();
    while sink.poll_prepared(1).unwrap() != Progress::Done {
        std::thread::yield_now();
    }
    sink.commit(1, false).unwrap();
    sink.close();
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("part-") && name.ends_with(".txt")));
}
