//! Tests of savepoints: they stand alone, can be moved, and are deleted whole.

use super::tests::Job;
use super::*;
use crate::storage::{CrashOutcome, FaultPlan, MemoryFileSystem};
use crate::{KeyedTable, ManagedState, RestoreSource};
use eddyline_core::{Data, KeyGroupRange};
use eddyline_protocol::ManifestKind;
use std::path::Path;

const RANGE: KeyGroupRange = KeyGroupRange { start: 0, end: 4 };

fn value_in(snapshot: &OpenedSnapshot, key: u64) -> Option<u64> {
    let mut table = KeyedTable::<u64, u64>::new("table", RANGE, 4);
    let reader = Arc::new(snapshot.segments.clone());
    table.restore(&mut RestoreSource::new(reader, &snapshot.manifest, "op", 0, 1)).unwrap();
    table.get(key.stable_hash(), &key).copied()
}

/// A job with three checkpoints, the last of which needs files of those before.
fn job_with_history(compresses: bool) -> Job {
    let mut job = Job::new();
    job.store = job.store.compressing(compresses);
    let attempt = job.store.claim_attempt().unwrap();
    (0..1_000).for_each(|key| job.set(key, 0));
    for id in 1..=3 {
        job.set(id, id);
        job.checkpoint(id, attempt).unwrap();
    }
    job
}

#[test]
fn a_savepoint_needs_nothing_of_its_job_and_can_be_moved() {
    for compresses in [false, true] {
        let job = job_with_history(compresses);
        let elsewhere = Arc::new(FileObjects::new(Arc::new(MemoryFileSystem::new()), "/elsewhere"));
        let written = job.store.write_savepoint(3, elsewhere.as_ref()).unwrap();
        assert_eq!(written.directory, "savepoint-job-0000000003");
        let second = job.store.write_savepoint(3, elsewhere.as_ref()).unwrap();
        assert_eq!((second.directory.as_str(), second.bytes), ("savepoint-job-0000000003-2", written.bytes));
        drop(job);
        let moved = Arc::new(FileObjects::new(Arc::new(MemoryFileSystem::new()), "/other/place"));
        for entry in elsewhere.list(&written.directory).unwrap() {
            let bytes = elsewhere.read(&format!("{}/{}", written.directory, entry.name)).unwrap();
            moved.put_new(&format!("kept/{}", entry.name), &bytes).unwrap();
        }
        let snapshot = open_snapshot(moved.clone(), "kept").unwrap();
        assert_eq!(snapshot.manifest.kind, ManifestKind::Savepoint);
        snapshot.verify().unwrap();
        let values: Vec<_> = [1, 2, 3, 4].iter().map(|key| value_in(&snapshot, *key)).collect();
        assert_eq!(values, [Some(1), Some(2), Some(3), Some(0)]);
        assert_eq!(dispose_savepoint(moved.as_ref(), "kept").unwrap(), 2);
        assert_eq!(moved.list("kept").unwrap(), []);
        assert!(open_snapshot(moved.clone(), "kept").err().unwrap().message().contains("nothing is kept"));
        assert!(dispose_savepoint(moved.as_ref(), "kept").is_err());
    }
}

#[test]
fn a_kept_checkpoint_is_opened_like_a_savepoint_and_not_disposed_of() {
    let job = job_with_history(false);
    let storage = Arc::new(FileObjects::new(Arc::new(job.files.clone()), "/checkpoints"));
    let snapshot = open_snapshot(storage.clone(), "job/checkpoint-0000000003").unwrap();
    assert_eq!((value_in(&snapshot, 3), snapshot.manifest.kind), (Some(3), ManifestKind::Checkpoint));
    let error = dispose_savepoint(storage.as_ref(), "job/checkpoint-0000000003").unwrap_err();
    assert!(error.message().contains("not a savepoint"), "{}", error.report());
    snapshot.verify().unwrap();
}

#[test]
fn whenever_it_crashes_a_savepoint_is_whole_or_none_and_the_job_is_unharmed() {
    let (mut whole, mut none) = (0, 0);
    for outcome in [CrashOutcome::LoseAll, CrashOutcome::KeepAll, CrashOutcome::Seeded(7)] {
        for stop in 0.. {
            let mut job = job_with_history(false);
            job.store = job.store.owned_by("a supervisor");
            let storage = Arc::new(FileObjects::new(Arc::new(job.files.clone()), "/savepoints"));
            let stop_after = Some(job.files.operations() + stop);
            job.files.set_faults(FaultPlan { stop_after, ..FaultPlan::default() });
            let written = job.store.write_savepoint(3, storage.as_ref());
            job.files.crash(outcome);
            let directory = "savepoint-job-0000000003";
            match open_snapshot(storage.clone(), directory) {
                Ok(snapshot) => {
                    snapshot.verify().unwrap();
                    assert_eq!(value_in(&snapshot, 3), Some(3));
                    whole += 1;
                }
                Err(error) => {
                    assert!(written.is_err(), "at {stop}, {outcome:?}: {}", error.report());
                    none += 1;
                }
            }
            if !storage.list(directory).unwrap().is_empty() {
                dispose_savepoint(storage.as_ref(), directory).unwrap();
            }
            assert_eq!(storage.list(directory).unwrap(), []);
            job.store.verify(&job.store.read_manifest(3).unwrap()).unwrap();
            if written.is_ok() {
                break;
            }
        }
    }
    assert!(whole >= 3 && none > 10, "{whole} {none}");
}

#[test]
fn a_compressed_part_notices_every_damage_and_reads_as_any_other() {
    let job = job_with_history(true);
    let part = Path::new("/checkpoints/job").join(job.store.part_path(1, 1, 0));
    assert!(part.to_string_lossy().ends_with(".zst"));
    let manifest = job.store.read_manifest(1).unwrap();
    job.store.check_files(&manifest).unwrap();
    job.store.verify(&manifest).unwrap();
    let raw: u64 = segments(&manifest).map(|segment| segment.length).sum();
    let bytes = crate::storage::FileSystem::read(&job.files, &part).unwrap();
    assert!((bytes.len() as u64) < raw, "{} {raw}", bytes.len());
    assert_eq!(zstd::stream::decode_all(bytes.as_slice()).unwrap().len() as u64, raw);
    let fresh = || CheckpointStore::new(Arc::new(job.files.clone()), "/checkpoints", "job").unwrap();
    for offset in (0..bytes.len() as u64).step_by(7) {
        job.files.damage(&part, offset).unwrap();
        // What only the header of the table says is not needed to read the rest.
        let in_header = bytes.len() as u64 - offset <= 9 + 8 + 8;
        assert!(in_header || fresh().verify(&manifest).is_err(), "byte {offset}");
        job.files.damage(&part, offset).unwrap();
    }
    job.files.truncate(&part, bytes.len() as u64 - 1).unwrap();
    assert!(fresh().check_files(&manifest).is_err() && fresh().verify(&manifest).is_err());
}

#[test]
fn copies_nearby_serve_reads_and_never_decide() {
    for compresses in [false, true] {
        let mut job = Job::new();
        let near = MemoryFileSystem::new();
        let copies = || Arc::new(FileObjects::new(Arc::new(near.clone()), "/near"));
        job.store = job.store.compressing(compresses).with_copies(copies());
        let attempt = job.store.claim_attempt().unwrap();
        (0..100).for_each(|key| job.set(key, 7));
        let manifest = job.checkpoint(1, attempt).unwrap();
        let part = job.store.part_path(1, attempt, 0);
        let far = Path::new("/checkpoints/job").join(&part);
        let copy = Path::new("/near/job").join(&part);
        let files = job.files.clone();
        let again = || {
            let store = CheckpointStore::new(Arc::new(files.clone()), "/checkpoints", "job").unwrap();
            store.with_copies(copies())
        };
        let bytes = crate::storage::FileSystem::read(&job.files, &far).unwrap();
        assert_eq!(crate::storage::FileSystem::read(&near, &copy).unwrap(), bytes);
        // The original is damaged: the copy serves. Then the copy is, too.
        job.files.damage(&far, 3).unwrap();
        again().verify(&manifest).unwrap();
        near.damage(&copy, 3).unwrap();
        assert!(again().verify(&manifest).is_err());
        job.files.damage(&far, 3).unwrap();
        again().verify(&manifest).unwrap();
        crate::storage::FileSystem::remove(&near, &copy).unwrap();
        again().verify(&manifest).unwrap();
        job.set(1, 8);
        job.checkpoint(2, attempt).unwrap();
        job.table.abandon();
        job.checkpoint(3, attempt).unwrap();
        job.store.retire(&[3]).unwrap();
        let left: Vec<_> = copies().list("job").unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(left, ["checkpoint-0000000003"]);
    }
}
