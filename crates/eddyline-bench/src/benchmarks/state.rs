//! State by size: recovery, incremental checkpoints, savepoints.

use super::{Effort, measure};
use crate::report::{Line, Report};
use eddyline_core::Result;

/// What 1 GB on a local disk may take to be there again, milliseconds.
const RECOVERY_MS_MAX: f64 = 5_000.0;
/// Throughput that stays while a savepoint of 1 GB is taken, percent.
const KEPT_PERCENT_MIN: f64 = 90.0;

pub fn run(effort: Effort) -> Result<Report> {
    let sizes: &[u64] = if effort.quick { &[10, 50] } else { &[10, 100, 1_000] };
    let mut lines = Vec::new();
    for megabytes in sizes {
        let figures = measure("state", &format!("megabytes={megabytes}"))?;
        let recovery =
            Line::new(format!("{megabytes} MB: from start to running"), "ms", &[figures.get("recovery_ms")?]);
        lines.push(if *megabytes == 1_000 { recovery.at_most(RECOVERY_MS_MAX) } else { recovery });
        for percent in [0, 1, 10, 50] {
            let written = figures.get(&format!("written_percent.{percent}"))?;
            lines.push(
                Line::new(
                    format!("{megabytes} MB, {percent} % of the keys changed: written"),
                    "%",
                    &[written],
                )
                .note("of a full checkpoint"),
            );
        }
    }
    let megabytes = effort.of(1_000, 50);
    let figures = measure("savepoint", &format!("megabytes={megabytes} seconds={}", effort.of(10, 2)))?;
    let kept = Line::new(
        format!("{megabytes} MB: throughput kept during a savepoint"),
        "%",
        &[figures.get("kept_percent")?],
    );
    lines.push(
        if effort.quick { kept } else { kept.at_least(KEPT_PERCENT_MIN) }
            .note(format!("it took {:.0} ms", figures.get("savepoint_ms")?)),
    );
    let settings = "keys of about 100 bytes in memory, one worker, checkpoints on the local disk";
    let once = Effort { repeats: 1, ..effort };
    Ok(Report { name: "state", settings: once.settings(settings), lines })
}
