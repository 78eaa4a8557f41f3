//! The sink's commit protocol on a disk that crashes after every single operation, fills up and fails.

use super::{BucketTime, FileSink, FileSinkOperator, PendingFile, partition_path};
use crate::environment::ConnectorEnvironment;
use eddyline_core::Result;
use eddyline_formats::{BulkEncoder, Compression, Csv, Text};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, Progress};
use eddyline_state::storage::{CrashOutcome, FaultPlan};
use eddyline_state::{FileSystem, MemoryFileSystem};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

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
        (next..until).for_each(|value| sink.write_record(&value, 0, 0).unwrap());
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
    (0..20).for_each(|value| sink.write_record(&value, 0, 0).unwrap());
    for id in 1..4 {
        sink.cut(id).unwrap();
        let error = sink.poll_prepared(id).unwrap_err();
        assert!(
            error.report().contains("no space left") && error.report().contains(OUT),
            "{}",
            error.report()
        );
        assert!(error.hint().is_some());
        (20 + 10 * id..30 + 10 * id).for_each(|value| sink.write_record(&value, 0, 0).unwrap());
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
        sink.write_record(&1, 0, 0).unwrap();
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
            (0..5).for_each(|value| sink.write_record(&(u64::from(instance) * 10 + value), 0, 0).unwrap());
            sink.cut(1).unwrap();
            state.extend(sink.pending.items().to_vec());
            assert_eq!(sink.poll_prepared(1).unwrap(), Progress::Done);
            // Written behind the cut: not part of the checkpoint.
            (0..100).for_each(|value| sink.write_record(&(1_000 + value), 0, 0).unwrap());
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
        sink.write_record(&1, 0, 0).unwrap();
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
    (0..100).for_each(|value| sink.write_record(&value, 0, 0).unwrap());
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

/// What is in the visible files of a directory and those below it, by path, sorted.
fn tree(disk: &MemoryFileSystem, below: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in disk.list(&Path::new(OUT).join(below)).unwrap() {
        let path = if below.is_empty() { entry.name.clone() } else { format!("{below}/{}", entry.name) };
        if entry.is_directory {
            files.extend(tree(disk, &path));
        } else {
            assert!(!entry.name.starts_with('.'), "{path} is left");
            files.push((path.clone(), disk.read(&Path::new(OUT).join(&path)).unwrap()));
        }
    }
    files.sort();
    files
}

fn begin(disk: &MemoryFileSystem, sink: FileSink<u64>, attempt: u64, state: &[PendingFile]) -> Result<Sink> {
    let mut operator = FileSinkOperator::new(sink);
    let environment = ConnectorEnvironment::inline(Arc::new(disk.clone()));
    operator.start(environment, "uid", (attempt, 0), Waker::noop().clone())?;
    operator.pending.set(state.to_vec());
    operator.recover(1)?;
    Ok(operator)
}

fn bucketed() -> FileSink<u64> {
    FileSink::with_encoder(OUT, Text.encoder())
        .bucket_by(|value| partition_path(&[("third", format!("{}", value % 3)), ("h", "a/b".into())]))
        .open_files_max(2)
        .roll_bytes(9)
}

#[test]
fn buckets_hold_their_records_once_through_any_crash() {
    let run = |disk: &MemoryFileSystem, attempt, complete: &mut Checkpoint| -> Result<()> {
        let mut sink = begin(disk, bucketed(), attempt, &complete.state)?;
        while complete.next_record < RECORDS {
            let until = complete.next_record + RECORDS_PER_CUT;
            for value in complete.next_record..until {
                sink.write_record(&value, 0, value as i64)?;
            }
            let id = complete.id + 1;
            sink.cut(id)?;
            let state = sink.pending.items().to_vec();
            sink.poll_prepared(id)?;
            *complete = Checkpoint { id, next_record: until, state };
            sink.commit(id, false)?;
        }
        sink.close();
        Ok(())
    };
    for outcome in [CrashOutcome::LoseAll, CrashOutcome::KeepAll, CrashOutcome::Seeded(7)] {
        for stop_after in (0..).step_by(3) {
            let (disk, mut complete) = (MemoryFileSystem::new(), Checkpoint::default());
            disk.set_faults(FaultPlan { stop_after: Some(stop_after), ..Default::default() });
            let first = run(&disk, 1, &mut complete);
            if first.is_ok() && disk.operations() < stop_after {
                break;
            }
            disk.crash(outcome);
            run(&disk, 2, &mut complete).unwrap();
            let mut found = Vec::new();
            for (path, bytes) in tree(&disk, "") {
                for line in String::from_utf8(bytes).unwrap().lines() {
                    let value: u64 = line.parse().unwrap();
                    assert!(
                        path.starts_with(&format!("third={}/h=a%2Fb/part-", value % 3)),
                        "{path}: {value}"
                    );
                    found.push(value);
                }
            }
            found.sort_unstable();
            assert_eq!(found, (0..RECORDS).collect::<Vec<_>>(), "stopped after {stop_after}: {outcome:?}");
        }
    }
}

#[test]
fn packed_files_with_header_and_footer_are_whole() {
    struct Framed(u64);
    impl BulkEncoder<u64> for Framed {
        fn add(&mut self, value: &u64, out: &mut Vec<u8>) -> Result<()> {
            self.0 += 1;
            out.extend_from_slice(format!("{value}\n").as_bytes());
            Ok(())
        }
        fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
            out.extend_from_slice(format!("{} values\n", self.0).as_bytes());
            Ok(())
        }
    }
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let disk = MemoryFileSystem::new();
        let sink = FileSink::with_bulk_encoder(OUT, || Framed(0)).suffix(".txt").compression(compression);
        let mut sink = begin(&disk, sink, 1, &[]).unwrap();
        let mut values = 0..200_000u64;
        for id in 1..3 {
            for value in values.by_ref().take(100_000) {
                sink.write_record(&value, 0, 0).unwrap();
            }
            sink.cut(id).unwrap();
            assert_eq!(sink.poll_prepared(id).unwrap(), Progress::Done);
            sink.commit(id, false).unwrap();
        }
        let files = tree(&disk, "");
        assert_eq!(files.len(), 2);
        for ((name, bytes), from) in files.into_iter().zip([0, 100_000u64]) {
            assert!(name.ends_with(&format!(".txt{}", compression.ending())), "{name}");
            let mut text = String::new();
            compression.unpack(std::io::Cursor::new(bytes)).unwrap().read_to_string(&mut text).unwrap();
            let expected = (from..from + 100_000).map(|value| value.to_string());
            assert!(text.lines().eq(expected.chain(["100000 values".to_string()]).collect::<Vec<_>>()));
        }
    }
}

#[test]
fn times_choose_buckets_and_seal_quiet_files() {
    let disk = MemoryFileSystem::new();
    let sink = FileSink::with_encoder(OUT, Csv::new().header(true).columns(["n"]).encoder())
        .bucket_by_time(BucketTime::Event, "%Y/%H")
        .roll_interval(Duration::from_secs(100))
        .roll_inactivity(Duration::from_secs(10));
    let mut sink = begin(&disk, sink, 1, &[]).unwrap();
    sink.write_record(&1, 0, 0).unwrap();
    sink.write_record(&2, 3_600_000, 5_000).unwrap();
    assert_eq!(sink.roll(5_000).unwrap(), Some(10_000));
    assert_eq!(sink.roll(10_000).unwrap(), Some(15_000), "the first is quiet for long enough");
    for second in 2..12 {
        sink.write_record(&second, 3_600_000, second as i64 * 9_000).unwrap();
        sink.roll(second as i64 * 9_000).unwrap();
    }
    assert_eq!(sink.roll(104_999).unwrap(), Some(105_000), "however busy it is, it is old enough soon");
    assert_eq!(sink.roll(105_000).unwrap(), None);
    sink.cut(1).unwrap();
    sink.poll_prepared(1).unwrap();
    sink.commit(1, false).unwrap();
    let files = tree(&disk, "");
    assert_eq!(files.len(), 2);
    assert!(files[0].0.starts_with("1970/00/") && files[0].1 == b"n\n1\n");
    assert!(files[1].0.starts_with("1970/01/") && files[1].1.starts_with(b"n\n2\n2\n3\n"));
}

#[test]
fn a_bucket_outside_the_output_is_refused() {
    let disk = MemoryFileSystem::new();
    let sink = FileSink::with_encoder(OUT, Text.encoder()).bucket_by(|_: &u64| "../elsewhere".into());
    let error = begin(&disk, sink, 1, &[]).unwrap().write_record(&1, 0, 0).unwrap_err();
    assert!(error.report().contains("../elsewhere"), "{}", error.report());
}
