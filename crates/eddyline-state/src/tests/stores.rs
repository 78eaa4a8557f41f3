//! Tables with a store: snapshots that take many slices, and clean-ups.

use super::support::Parts;
use crate::store::MemoryBackend;
use crate::table::SweepCursor;
use crate::ttl::Age;
use crate::{KeyedTable, ManagedState, StateBackend, StatePlace, StateStore};
use eddyline_core::{Data, KeyGroupRange};
use eddyline_protocol::SegmentKind;
use std::task::Waker;

const ONE_GROUP: KeyGroupRange = KeyGroupRange { start: 0, end: 1 };
/// For about 3,500 entries, and 3,000 hashes of entries that have left.
const RESIDENT_BYTES: usize = 400_000;
const KEYS: u64 = 4_800;

fn store() -> Box<dyn StateStore> {
    let place = StatePlace {
        worker: 0,
        worker_memory_bytes: 1 << 20,
        attempt: 1,
        uid: "op".into(),
        state: "s".into(),
        expires: false,
    };
    MemoryBackend::new(RESIDENT_BYTES).open(&place, Waker::noop().clone()).unwrap()
}

fn change_all(table: &mut KeyedTable<u64, u64>, value: u64) {
    for keys in (0..KEYS).collect::<Vec<_>>().chunks(100) {
        let hashes: Vec<u64> = keys.iter().map(Data::stable_hash).collect();
        let ticket = table.fetch(&hashes);
        assert!(table.is_fetched(ticket).unwrap());
        for (key, hash) in keys.iter().zip(&hashes) {
            *table.entry_or_insert_with(*hash, key, || 0) = value;
        }
        table.release(&hashes);
    }
}

#[test]
fn a_delta_has_everything_that_changed_and_left_memory() {
    let (parts, mut table) = (Parts::default(), KeyedTable::with_store("s", ONE_GROUP, 1, store()));
    for value in 1..4 {
        change_all(&mut table, value);
        assert!(table.len() > 1_000 && table.len() < KEYS as usize - 1_024, "{} in memory", table.len());
        let manifest = parts.snapshot(&mut table, false, &format!("p{value}"));
        let last = manifest.chains[0].segments.last().map(|segment| segment.kind);
        assert_eq!(last == Some(SegmentKind::Base), value == 1, "the first one only is a base");
        let mut restored = KeyedTable::<u64, u64>::new("s", ONE_GROUP, 1);
        restored.restore(&mut parts.source(vec![manifest], 1, 0, 1)).unwrap();
        assert_eq!(restored.len(), KEYS as usize);
        assert!(restored.iter().all(|(_, found)| *found == value));
    }
}

#[test]
fn what_a_sweep_finds_twice_is_dropped_once() {
    let mut table = KeyedTable::with_store("s", ONE_GROUP, 1, store());
    let hash = 7u64.stable_hash();
    let ticket = table.fetch(&[hash]);
    assert!(table.is_fetched(ticket).unwrap());
    table.entry_or_insert_with(hash, &7u64, || 1u64);
    table.release(&[hash]);
    // Round a table of one entry again and again.
    table.sweep(&mut SweepCursor::default(), 100, |_| Age::Expired, |_| {});
    assert_eq!(table.len(), 0);
}
