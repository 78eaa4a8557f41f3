//! Directories that are lost, damaged or not there to begin with.

use eddyline_core::{ErrorKind, Result};
use eddyline_state::store::{Answer, Request, StoreKey, WriteBatch};
use eddyline_state::{StateBackend, StatePlace, StateStore};
use eddyline_state_rocksdb::{RocksDb, RocksDbOptions, Serving};
use std::path::{Path, PathBuf};
use std::task::Waker;

const VALUE_BYTES: usize = 1000;

fn backend(directory: &Path) -> RocksDb {
    RocksDb::new(RocksDbOptions {
        directory: directory.into(),
        serving: Serving::AtOnce,
        ..RocksDbOptions::default()
    })
}

fn open(backend: &RocksDb, attempt: u64) -> Result<Box<dyn StateStore>> {
    let place = StatePlace {
        worker: 0,
        worker_memory_bytes: 8 << 20,
        attempt,
        uid: "op".into(),
        state: "s".into(),

        expires: false,
    };
    backend.open(&place, Waker::noop().clone())
}

fn key(number: u32) -> StoreKey {
    let mut key = [0; 12];
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Hands over some entries.
fn write(store: &mut dyn StateStore, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        let mut batch = WriteBatch::default();
        batch.put(key(number), |out| out.extend((0..VALUE_BYTES).map(|at| (at as u32 ^ number) as u8)));
        store.submit(Request::Write(batch));
        store.poll()?;
    }
    Ok(())
}

/// How many of some entries are there.
fn count(store: &mut dyn StateStore, numbers: std::ops::Range<u32>) -> Result<usize> {
    store.submit(Request::Read { keys: numbers.map(key).collect() });
    match store.poll()? {
        Some(Answer::Read { found, .. }) => Ok(found.iter().flatten().count()),
        other => panic!("{other:?}"),
    }
}

/// The files below a directory whose names end so.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry, ending));
        } else if entry.to_string_lossy().ends_with(ending) {
            found.push(entry);
        }
    }
    found
}

#[test]
fn what_was_written_is_there_in_its_attempt_and_gone_in_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let backend = backend(directory.path());
    let mut store = open(&backend, 1).unwrap();
    write(store.as_mut(), 0..5_000).unwrap();
    assert_eq!(count(store.as_mut(), 4_000..6_000).unwrap(), 1_000);
    assert!(!files(directory.path(), ".sst").is_empty());
    drop(store);
    let mut next = open(&backend, 2).unwrap();
    assert_eq!(count(next.as_mut(), 0..5_000).unwrap(), 0);
    assert!(files(directory.path(), ".sst").is_empty(), "the first attempt's files are removed");
}

#[test]
fn a_damaged_file_is_an_error_that_names_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let backend = backend(directory.path());
    let mut store = open(&backend, 1).unwrap();
    write(store.as_mut(), 0..20_000).unwrap();
    for file in files(directory.path(), ".sst") {
        let length = std::fs::metadata(&file).unwrap().len() as usize;
        std::fs::write(&file, vec![0xAA; length]).unwrap();
    }
    let error = count(store.as_mut(), 0..20_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains(directory.path().to_str().unwrap()), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("last checkpoint")));
    // What failed once is not used again.
    assert!(count(store.as_mut(), 0..1).is_err());
    assert_eq!(count(open(&backend, 2).unwrap().as_mut(), 0..20_000).unwrap(), 0);
}

#[test]
fn a_directory_that_is_lost_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let backend = backend(directory.path());
    let mut store = open(&backend, 1).unwrap();
    write(store.as_mut(), 0..1_000).unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()) {
        // RocksDB may be adding files meanwhile.
        while entry.exists() {
            let _ = std::fs::remove_dir_all(&entry);
        }
    }
    let lost = write(store.as_mut(), 0..100_000).and_then(|()| count(store.as_mut(), 0..100_000).map(drop));
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Storage);
}

#[test]
fn a_place_that_is_no_directory_is_an_error_before_anything_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = open(&backend(&file.join("below")), 1).err().unwrap();
    assert!(error.message().contains("below"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("state.backend.rocksdb.localdir")));
}

#[test]
fn what_killed_processes_left_behind_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    // No process has a number as great as that.
    let orphan = directory.path().join("eddyline-rocksdb-4194999-0");
    std::fs::create_dir(&orphan).unwrap();
    let foreign = directory.path().join("something-else");
    std::fs::create_dir(&foreign).unwrap();
    let backend = backend(directory.path());
    let store = open(&backend, 1).unwrap();
    assert!(!orphan.exists() && foreign.exists());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    drop((store, backend));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn memory_and_work_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let backend = backend(directory.path());
    let mut store = open(&backend, 1).unwrap();
    write(store.as_mut(), 0..30_000).unwrap();
    assert_eq!(count(store.as_mut(), 0..30_000).unwrap(), 30_000);
    let (bytes, share) = (backend.memory_bytes(0), (8 << 20) * 30 / 100);
    assert!(bytes > share / 4 && bytes <= share * 11 / 10, "{bytes} of {share}");
    let metrics = backend.metrics(0);
    let told = |name: &str| metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    assert_eq!(told("rocksdb.keys-written"), Some(30_000.0));
    assert_eq!(told("rocksdb.keys-found"), Some(30_000.0));
    assert!(told("rocksdb.background-cpu-ms").is_some());
}
