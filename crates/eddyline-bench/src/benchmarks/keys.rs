//! Many keys against a bare hash map; sliding windows against tumbling ones.

use super::{Effort, measure_window};
use crate::report::{Line, Report};
use eddyline_core::Result;

pub fn run(effort: Effort) -> Result<Report> {
    let (keys, records) = (effort.of(10_000_000, 500_000), effort.of(30_000_000, 1_500_000));
    let common = format!("keys={keys} per_second={} memory_mib=8192", records / 10);
    let (mut bare, mut engine, mut made) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.repeats {
        made.push(measure_window(&format!("edge=bare-records {common}"), records)?.processor);
        bare.push(measure_window(&format!("edge=bare {common}"), records)?.processor);
        engine.push(measure_window(&format!("edge=forward {common}"), records)?.processor);
    }
    let ratio: Vec<f64> = engine.iter().zip(&bare).map(|(engine, bare)| engine / bare).collect();
    let strict: Vec<f64> = engine
        .iter()
        .zip(&bare)
        .zip(&made)
        .map(|((engine, bare), made)| (engine - made) / (bare - made))
        .collect();
    let lines = vec![
        Line::new("records made and dropped", "ns", &made),
        Line::new("bare loop with a hash map", "ns", &bare),
        Line::new("windowed count, one worker", "ns", &engine),
        Line::new("windowed count against the bare loop", "×", &ratio).at_most(1.5),
        Line::new("the same without making the records", "×", &strict)
            .note("for comparison: a stricter reading"),
    ];
    let settings = format!("{records} bids over {keys} keys in one window, results emitted");
    Ok(Report { name: "keys", settings: effort.settings(&settings), lines })
}

pub fn run_sliding(effort: Effort) -> Result<Report> {
    let window_seconds = effort.of(3_600, 300);
    let records = window_seconds * 3 / 2 * 10_000;
    let common = format!("edge=forward keys=100 per_second=10000 window_ms={}", window_seconds * 1_000);
    let (mut sliding, mut tumbling) = (Vec::new(), Vec::new());
    for _ in 0..effort.repeats {
        tumbling.push(measure_window(&common, records)?.processor);
        sliding.push(measure_sliding(&format!("{common} slide_ms=1000"), records)?);
    }
    let ratio: Vec<f64> =
        sliding.iter().zip(&tumbling).map(|(sliding, tumbling)| sliding / tumbling).collect();
    let lines = vec![
        Line::new(format!("tumbling, {window_seconds} s"), "ns", &tumbling),
        Line::new(format!("sliding, {window_seconds} s by 1 s"), "ns", &sliding),
        Line::new("sliding against tumbling", "×", &ratio).at_most(2.0),
    ];
    let settings = format!("{records} bids, 100 keys, 100 bids per key and slide, counts");
    Ok(Report { name: "sliding", settings: effort.settings(&settings), lines })
}

/// A record is counted once for every slide of a window: the sum says that no window is missing.
fn measure_sliding(settings: &str, records: u64) -> Result<f64> {
    let figures = super::measure("window", &format!("{settings} records={records}"))?;
    let (counted, window_ms) = (
        figures.get("counted")?,
        crate::figures::Settings::parse(&settings.split_whitespace().map(str::to_owned).collect::<Vec<_>>())?
            .number("window_ms", 0)?,
    );
    let wanted = records as f64 * (window_ms / 1_000) as f64;
    if counted != wanted {
        return Err(eddyline_core::Error::internal(format!("windows counted {counted} instead of {wanted}")));
    }
    Ok(figures.get("cpu_ns")? / records as f64)
}
