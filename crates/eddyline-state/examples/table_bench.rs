//! How much a table costs over a bare hash map: nanoseconds per access and ratios, all measured in one run.
//!
//! `cargo run --release -p eddyline-state --example table_bench [keys …]`

use eddyline_core::{Data, KeyGroupRange};
use eddyline_state::{KeyedTable, ManagedState, NamespacedTable, PartWriter};
use hashbrown::HashTable;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ACCESSES: usize = 20_000_000;
const MAX_PARALLELISM: u32 = 128;
const REPEATS: usize = 3;
const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: MAX_PARALLELISM };

/// Keys in an order that caches cannot guess.
fn accesses(keys: u64) -> Vec<u64> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % keys
    };
    (0..ACCESSES).map(|_| next()).collect()
}

/// Nanoseconds per access; hashing the key is part of it for all of them.
fn time(accesses: &[u64], mut access: impl FnMut(u64, u64)) -> f64 {
    let start = Instant::now();
    for key in accesses {
        access(key.stable_hash(), *key);
    }
    start.elapsed().as_nanos() as f64 / accesses.len() as f64
}

/// What is measured: the table being filled, and the table being full.
fn fill_and_use(accesses: &[u64], mut access: impl FnMut(u64, u64)) -> [f64; 2] {
    [time(accesses, &mut access), time(accesses, &mut access)]
}

fn bare(accesses: &[u64]) -> [f64; 2] {
    let mut table: HashTable<(u64, u64)> = HashTable::new();
    let times = fill_and_use(accesses, |hash, key| {
        let entry = table.entry(hash, |entry| entry.0 == key, |entry| entry.0.stable_hash());
        entry.or_insert_with(|| (key, 0)).into_mut().1 += 1;
    });
    black_box(table);
    times
}

fn keyed(accesses: &[u64]) -> [f64; 2] {
    let mut table = KeyedTable::new("bench", ALL, MAX_PARALLELISM);
    let times = fill_and_use(accesses, |hash, key| *table.entry_or_insert_with(hash, &key, || 0u64) += 1);
    black_box(table);
    times
}

/// All keys in one window, as a tumbling window has them.
fn window(accesses: &[u64]) -> [f64; 2] {
    let mut table = NamespacedTable::new("bench", ALL, MAX_PARALLELISM);
    let times = fill_and_use(accesses, |hash, key| *table.entry(60_000, hash, &key, || 0u64) += 1);
    black_box(table);
    times
}

/// The longest slice and the whole cost of writing a table while it is used, per entry.
fn snapshots(accesses: &[u64]) {
    let mut table = KeyedTable::new("bench", ALL, MAX_PARALLELISM);
    time(accesses, |hash, key| *table.entry_or_insert_with(hash, &key, || 0u64) += 1);
    for (name, changed) in [("base", 0), ("delta", table.len() / 20), ("delta", table.len() / 20)] {
        let quiet =
            time(&accesses[..changed], |hash, key| *table.entry_or_insert_with(hash, &key, || 0u64) += 1);
        let start = Instant::now();
        table.freeze(false);
        let freeze = start.elapsed();
        let mut part = PartWriter::new("part");
        let (mut longest, mut writing) = (Duration::ZERO, Duration::ZERO);
        let mut rest = accesses.chunks(1_000).cycle();
        loop {
            let start = Instant::now();
            let finished = table.write_frozen(4_000, &mut part).expect("a snapshot can be written");
            while part.take_chunk().is_some() {}
            let took = start.elapsed();
            (longest, writing) = (longest.max(took), writing + took);
            if finished {
                break;
            }
            let chunk = rest.next().unwrap_or_default();
            time(chunk, |hash, key| *table.entry_or_insert_with(hash, &key, || 0u64) += 1);
        }
        let bytes = part.bytes_written();
        table.manifest_of_frozen().expect("the snapshot is written");
        println!(
            "  {name}: {changed} changed before ({quiet:.1} ns each), freeze {freeze:?}, longest slice {longest:?}, \
             writing {writing:?}, {bytes} bytes"
        );
    }
}

fn main() {
    let asked: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![10_000, 10_000_000] } else { asked };
    for keys in sizes {
        let accesses = accesses(keys);
        println!("{keys} keys, {ACCESSES} accesses");
        let best = |measure: fn(&[u64]) -> [f64; 2]| {
            (0..REPEATS)
                .map(|_| measure(&accesses))
                .fold([f64::MAX; 2], |a, b| [a[0].min(b[0]), a[1].min(b[1])])
        };
        let (bare, keyed, window) = (best(bare), best(keyed), best(window));
        for (phase, index) in [("filling", 0), ("full", 1)] {
            println!(
                "  {phase}: bare {:.1} ns, keyed {:.1} ns ({:.2} x), window {:.1} ns ({:+.1} ns)",
                bare[index],
                keyed[index],
                keyed[index] / bare[index],
                window[index],
                window[index] - bare[index]
            );
        }
        snapshots(&accesses);
    }
}
