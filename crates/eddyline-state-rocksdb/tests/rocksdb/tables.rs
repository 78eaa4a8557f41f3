//! Tables over RocksDB, with so little memory that nearly every access goes there.

#[path = "../../../eddyline-state/tests/stored/mod.rs"]
mod stored;

use eddyline_core::Result;
use eddyline_state::store::{StateBackend, StatePlace, StateStore};
use eddyline_state_rocksdb::{RocksDb, RocksDbOptions, Serving};
use proptest::prelude::*;
use std::task::Waker;

/// RocksDB with hardly any entries in memory.
struct Tight(RocksDb);

struct TightStore(Box<dyn StateStore>);

impl StateBackend for Tight {
    fn open(&self, place: &StatePlace, waker: Waker) -> Result<Box<dyn StateStore>> {
        Ok(Box::new(TightStore(self.0.open(place, waker)?)))
    }

    fn memory_bytes(&self, worker: usize) -> usize {
        self.0.memory_bytes(worker)
    }
}

impl StateStore for TightStore {
    fn submit(&mut self, request: eddyline_state::store::Request) {
        self.0.submit(request);
    }

    fn poll(&mut self) -> Result<Option<eddyline_state::store::Answer>> {
        self.0.poll()
    }

    fn wait(&mut self) -> Result<()> {
        self.0.wait()
    }

    fn expire(&mut self, limit: i64) {
        self.0.expire(limit);
    }

    fn resident_bytes_max(&self) -> usize {
        400
    }
}

fn check(serving: Serving, max: u32, steps: Vec<stored::Step>) {
    let directory = tempfile::tempdir().unwrap();
    let options = RocksDbOptions { directory: directory.path().into(), serving, ..RocksDbOptions::default() };
    stored::check(&Tight(RocksDb::new(options)), max, steps);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "databases are removed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn tables_on_a_thread_give_what_was_put(steps in stored::steps(60), max in 3..7u32) {
        check(Serving::OnThread, max, steps);
    }

    #[test]
    fn tables_served_at_once_give_what_was_put(steps in stored::steps(60), max in 3..7u32) {
        check(Serving::AtOnce, max, steps);
    }
}
