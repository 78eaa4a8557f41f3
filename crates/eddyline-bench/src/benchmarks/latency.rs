//! Latency without windows, the time to the first output, and the cost of doing nothing.

use super::{Effort, measure};
use crate::figures::{Figures, Running};
use crate::report::{Line, Report};
use eddyline_core::{Clock, Result, SystemClock};

pub fn run(effort: Effort) -> Result<Report> {
    let seconds = effort.of(5, 1);
    let mut lines = Vec::new();
    let ways = [("one worker", "edge=forward"), ("exchange between two workers", "edge=exchange workers=2")];
    for (way, settings) in ways {
        let found = repeat(effort, || measure("paced", &format!("{settings} seconds={seconds}")))?;
        let millis = |name: &str| each(&found, |figures| figures.get(name).map(|micros| micros / 1e3));
        lines.push(Line::new(format!("p50, {way}"), "ms", &millis("p50_us")?).at_most(1.0));
        lines.push(Line::new(format!("p99, {way}"), "ms", &millis("p99_us")?).at_most(10.0));
        lines.push(Line::new(format!("longest, {way}"), "ms", &millis("max_us")?));
    }
    let (from_program, from_call) = starts(effort, "edge=forward")?;
    lines.push(
        Line::new("start of the program to first output", "ms", &from_program)
            .at_most(100.0)
            .note("one process, one worker"),
    );
    lines.push(Line::new("start of the job to first output", "ms", &from_call));
    let (from_program, _) = starts(effort, "edge=exchange processes=2")?;
    lines.push(
        Line::new("the same with two processes", "ms", &from_program).note("they are started, meet, connect"),
    );
    let idle = measure("idle", &format!("workers=2 seconds={}", effort.of(10, 2)))?;
    lines.push(Line::new("idle job, resident", "MB", &[idle.get("resident_bytes")? / 1e6]).at_most(30.0));
    lines.push(
        Line::new("idle job, share of a core", "%", &[idle.get("core_share")? * 100.0])
            .at_most(0.5)
            .note("two workers, an exchange"),
    );
    let settings = format!(
        "100,000 records/s for {seconds} s, handfuls every 0.2 ms, latency from when a record was due"
    );
    Ok(Report { name: "latency", settings: effort.settings(&settings), lines })
}

fn repeat(effort: Effort, mut measure: impl FnMut() -> Result<Figures>) -> Result<Vec<Figures>> {
    (0..effort.repeats).map(|_| measure()).collect()
}

fn each(found: &[Figures], of: impl Fn(&Figures) -> Result<f64>) -> Result<Vec<f64>> {
    found.iter().map(of).collect()
}

/// Milliseconds to the first output: from the start of the program, and from the call that starts the job.
fn starts(effort: Effort, settings: &str) -> Result<(Vec<f64>, Vec<f64>)> {
    let clock = SystemClock::new();
    let (mut from_program, mut from_call) = (Vec::new(), Vec::new());
    for _ in 0..effort.repeats.max(3) {
        let began = clock.wall_micros();
        let words: Vec<String> = settings.split_whitespace().map(str::to_owned).collect();
        let mut running = Running::start("start", &words)?;
        // Every process tells when its first output came: the earliest counts.
        let (mut first, mut call) = (f64::INFINITY, f64::INFINITY);
        while let Some((name, value)) = running.next_figure()? {
            match name.as_str() {
                "first_output_micros" => first = first.min(value),
                "job_start_ns" => call = call.min(value),
                _ => {}
            }
        }
        running.finish()?;
        from_program.push((first - began as f64) / 1e3);
        from_call.push(call / 1e6);
    }
    Ok((from_program, from_call))
}
