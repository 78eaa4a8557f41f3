//! State by size: recovery, incremental checkpoints, savepoints.

use super::{Effort, measure};
use crate::report::{Line, Report};
use eddyline_core::Result;

/// What 1 GB on a local disk may take to be there again, milliseconds.
const RECOVERY_MS_MAX: f64 = 5_000.0;
/// Throughput that stays while a savepoint of 1 GB is taken, percent.
const KEPT_PERCENT_MIN: f64 = 90.0;

/// Where state is kept: what it is called, and its setting.
const BACKENDS: &[(&str, &str)] = if cfg!(feature = "rocksdb") {
    &[("memory", "hashmap"), ("RocksDB", "rocksdb")]
} else {
    &[("memory", "hashmap")]
};
/// The least memory of a worker with RocksDB; it is a fifth of the state where that is more.
const MEMORY_MB_MIN: u64 = 32;

/// The settings of a measurement with `megabytes` of state.
fn settings(backend: &str, megabytes: u64) -> String {
    let memory = match backend {
        "rocksdb" => format!(" memory_mb={}", (megabytes / 5).max(MEMORY_MB_MIN)),
        _ => String::new(),
    };
    format!("megabytes={megabytes} backend={backend}{memory}")
}

fn by_size(lines: &mut Vec<Line>, (name, backend): (&str, &str), megabytes: u64) -> Result<()> {
    let figures = measure("state", &settings(backend, megabytes))?;
    let recovery = Line::new(
        format!("{name}, {megabytes} MB: from start to running"),
        "ms",
        &[figures.get("recovery_ms")?],
    );
    lines.push(if megabytes == 1_000 { recovery.at_most(RECOVERY_MS_MAX) } else { recovery });
    for percent in [0, 1, 10, 50] {
        let written = figures.get(&format!("written_percent.{percent}"))?;
        let what = format!("{name}, {megabytes} MB, {percent} % of the keys changed: written");
        lines.push(Line::new(what, "%", &[written]).note("of a full checkpoint"));
    }
    Ok(())
}

pub fn run(effort: Effort) -> Result<Report> {
    let sizes: &[u64] = if effort.quick { &[10, 50] } else { &[10, 100, 1_000] };
    let mut lines = Vec::new();
    for (name, backend) in BACKENDS {
        for megabytes in sizes {
            by_size(&mut lines, (name, backend), *megabytes)?;
        }
        let megabytes = effort.of(1_000, 50);
        let seconds = effort.of(10, 2);
        let figures = measure("savepoint", &format!("{} seconds={seconds}", settings(backend, megabytes)))?;
        let what = format!("{name}, {megabytes} MB: throughput kept during a savepoint");
        let kept = Line::new(what, "%", &[figures.get("kept_percent")?]);
        lines.push(
            if effort.quick { kept } else { kept.at_least(KEPT_PERCENT_MIN) }
                .note(format!("it took {:.0} ms", figures.get("savepoint_ms")?)),
        );
    }
    let settings = "keys of about 100 bytes, one worker, checkpoints on the local disk; RocksDB with memory of a fifth of \
                    the state, and 32 MiB at least";
    let once = Effort { repeats: 1, ..effort };
    Ok(Report { name: "state", settings: once.settings(settings), lines })
}
