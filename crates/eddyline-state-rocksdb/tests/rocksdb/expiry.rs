//! State with a time to live leaves the disk without being read.

use eddyline_state::store::{Answer, Request, StoreKey, WriteBatch};
use eddyline_state::{StateBackend, StatePlace, StateStore};
use eddyline_state_rocksdb::{RocksDb, RocksDbOptions, Serving};
use std::task::Waker;

const KEYS: u32 = 5_000;

fn key(number: u32) -> StoreKey {
    let mut key = [0; 12];
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Writes every key, touched at `touch`.
fn write(store: &mut dyn StateStore, touch: i64) {
    for number in 0..KEYS {
        let mut batch = WriteBatch::default();
        batch.put(key(number * 2 + (touch % 2) as u32), |out| {
            out.extend_from_slice(&touch.to_le_bytes());
            out.extend_from_slice(&[7; 500]);
        });
        store.submit(Request::Write(batch));
        store.poll().unwrap();
    }
}

fn count(store: &mut dyn StateStore, odd: u32) -> usize {
    store.submit(Request::Read { keys: (0..KEYS).map(|number| key(number * 2 + odd)).collect() });
    match store.poll().unwrap() {
        Some(Answer::Read { found, .. }) => found.iter().flatten().count(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_has_expired_goes_when_files_are_merged() {
    let directory = tempfile::tempdir().unwrap();
    for expires in [true, false] {
        let backend = RocksDb::new(RocksDbOptions {
            directory: directory.path().into(),
            serving: Serving::AtOnce,
            ..RocksDbOptions::default()
        });
        let place = StatePlace {
            worker: 0,
            worker_memory_bytes: 8 << 20,
            attempt: 1,
            uid: "op".into(),
            state: "s".into(),
            expires,
        };
        let mut store = backend.open(&place, Waker::noop().clone()).unwrap();
        write(store.as_mut(), 1);
        assert_eq!(count(store.as_mut(), 1), KEYS as usize);
        store.expire(1);
        // What lives longer makes RocksDB merge files.
        (1..8).for_each(|round| write(store.as_mut(), round * 2));
        assert_eq!(count(store.as_mut(), 0), KEYS as usize);
        let left = count(store.as_mut(), 1);
        assert_eq!(left < KEYS as usize, expires, "{left} are left");
    }
}
