//! State that is five times its memory, against a program that uses RocksDB itself.

use super::{Effort, measure};
use crate::report::{Line, Report};
use eddyline_core::Result;

/// Bytes of an entry: key, value, and what a table needs beside them.
const ENTRY_BYTES: u64 = 104;

pub fn run(effort: Effort) -> Result<Report> {
    let keys = effort.of(10_000_000, 400_000);
    let memory_mb = (keys * ENTRY_BYTES / 5) >> 20;
    let seconds = effort.of(20, 2);
    let common = format!("keys={keys} memory_mb={memory_mb} seconds={seconds}");
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_time, mut bare_time, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.repeats {
        let one = measure("rocksdb", &format!("{common} bare=1"))?;
        let other = measure("rocksdb", &common)?;
        let (before, now) = (one.get("updates_per_second")?, other.get("updates_per_second")?);
        bare.push(before);
        ours.push(now);
        ratios.push(now / before * 100.0);
        bare_time.push(one.get("cpu_ns_per_update")?);
        our_time.push(other.get("cpu_ns_per_update")?);
        over.push(other.get("resident_mb")?);
    }
    let lines = vec![
        Line::new("bare RocksDB, get and put", "updates/s", &bare),
        Line::new("Eddyline", "updates/s", &ours),
        Line::new("of bare RocksDB", "%", &ratios).at_least(70.0),
        Line::new("processor time, bare", "ns", &bare_time).note("with RocksDB's own threads"),
        Line::new("processor time, Eddyline", "ns", &our_time).note("with RocksDB's own threads"),
        Line::new("most memory resident, Eddyline", "MiB", &over)
            .at_most(memory_mb as f64)
            .note("above what the process had before the job"),
    ];
    let settings = format!(
        "{keys} keys of {ENTRY_BYTES} bytes, {memory_mb} MiB of memory, each key once and then keys at random for {seconds} s, \
         one worker"
    );
    Ok(Report { name: "rocksdb", settings: effort.settings(&settings), lines })
}
