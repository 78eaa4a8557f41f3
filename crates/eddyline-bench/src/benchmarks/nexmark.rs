//! Nexmark's queries in SQL, from Parquet and from JSON: what an event costs, and memory.
//!
//! `EDDYLINE_BENCH_NEXMARK_EVENTS` says how many events there are; queries that keep all of them have a fifth.

use super::{Effort, measure};
use crate::nexmark::queries::{self, Query};
use crate::report::{Line, Report};
use eddyline_core::{Error, Result};

/// Events per second of event time.
const PER_SECOND: u64 = 100_000;

/// Queries that are read from JSON, too: what reading costs is the same for all of one table.
const FROM_JSON: &[&str] = &["q0", "q5", "q17"];

struct Runs {
    per_event: Vec<f64>,
    rate: Vec<f64>,
    memory: Vec<f64>,
}

fn runs(query: &Query, format: &str, workers: u64, events: u64, repeats: usize) -> Result<Runs> {
    let folder = std::env::temp_dir().join("eddyline-bench");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::storage(format!("the folder of the tables cannot be made: {error}")))?;
    let settings = format!(
        "query={} format={format} workers={workers} events={events} per_second={PER_SECOND} folder={}",
        query.name,
        folder.display()
    );
    let mut found = Runs { per_event: Vec::new(), rate: Vec::new(), memory: Vec::new() };
    for _ in 0..repeats {
        let figures = measure("nexmark", &settings)?;
        found.per_event.push(figures.get("cpu_ns")? / events as f64);
        found.rate.push(events as f64 / figures.get("wall_ns")? * 1e6);
        found.memory.push(figures.get("memory_bytes")? / 1e6);
    }
    Ok(found)
}

pub fn run(effort: Effort) -> Result<Report> {
    let wanted = std::env::var("EDDYLINE_BENCH_NEXMARK_EVENTS").ok().and_then(|text| text.parse().ok());
    let events: u64 = effort.of(wanted.unwrap_or(10_000_000), 20_000);
    let mut lines = Vec::new();
    for query in queries::ALL {
        let events = if query.heavy { events / 5 } else { events };
        let mut ways = vec![("parquet", 1), ("parquet", 2)];
        if FROM_JSON.contains(&query.name) {
            ways.push(("json", 1));
        }
        for (format, workers) in ways {
            let found = runs(query, format, workers, events, effort.repeats)?;
            let what =
                format!("{}, {format}, {workers} worker{}", query.name, if workers == 1 { "" } else { "s" });
            let memory = Line::new("", "MB", &found.memory).value;
            let rate = Line::new("", "", &found.rate).value;
            let per_event = Line::new(what, "ns", &found.per_event);
            let note = format!(
                "{:.0} thousand events per processor second, {rate:.0} per second; {memory:.0} MB",
                1e6 / per_event.value
            );
            lines.push(per_event.note(note));
        }
    }
    let settings = format!(
        "{events} events, a fifth of them for queries that keep them; {PER_SECOND} per second of event time; into a table \
         that forgets"
    );
    Ok(Report { name: "nexmark", settings: effort.settings(&settings), lines })
}
