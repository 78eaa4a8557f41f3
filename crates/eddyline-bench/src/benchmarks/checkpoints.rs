//! What checkpoints cost under full load: throughput, and the longest pause.

use super::{Effort, measure};
use crate::figures::Figures;
use crate::report::{Line, Report};
use eddyline_core::Result;

pub fn run(effort: Effort) -> Result<Report> {
    let keys = effort.of(10_000_000, 200_000);
    let (warm_up, seconds) = (effort.of(3, 1), effort.of(8, 2));
    let mut lines = Vec::new();
    for (changes, percent, share) in [("5 % of the keys changing", 5, 90.0), ("all keys changing", 100, 60.0)]
    {
        let common = format!("keys={keys} changing_percent={percent} warm_up={warm_up} seconds={seconds}");
        let without = measure("checkpoints", &common)?;
        let with = measure("checkpoints", &format!("{common} interval_ms=1000"))?;
        let (before, now) = (without.get("updates_per_second")?, with.get("updates_per_second")?);
        lines.push(Line::new(format!("{changes}: without checkpoints"), "records/s", &[before]));
        lines.push(
            Line::new(format!("{changes}: with checkpoints"), "records/s", &[now])
                .note(format!("{} complete, the first of all keys among them", with.get("checkpoints")?)),
        );
        lines.push(
            Line::new(format!("{changes}: throughput kept"), "%", &[now / before * 100.0]).at_least(share),
        );
        let own = |figures: &Figures| figures.get("updates_per_own_second");
        lines.push(
            Line::new(
                format!("{changes}: throughput kept per processor time"),
                "%",
                &[own(&with)? / own(&without)? * 100.0],
            )
            .note("of the worker's thread: other programs and the disk left out"),
        );
        lines.push(
            Line::new(format!("{changes}: longest pause"), "ms", &[with.get("pause_ms")?])
                .at_most(20.0)
                .note(format!(
                    "wall time; {} over 20 ms; without checkpoints: {:.1} ms",
                    with.get("pauses_over_20_ms")?,
                    without.get("pause_ms")?
                )),
        );
        lines.push(
            Line::new(format!("{changes}: longest pause, own work"), "ms", &[with.get("own_pause_ms")?])
                .note("processor time of the worker between two batches: other programs left out"),
        );
    }
    let settings = format!(
        "{keys} keys of about 100 bytes in memory, one worker at full speed, a checkpoint every second to disk, measured \
         for {seconds} s after {warm_up} s"
    );
    let once = Effort { repeats: 1, ..effort };
    Ok(Report { name: "checkpoints", settings: once.settings(&settings), lines })
}
