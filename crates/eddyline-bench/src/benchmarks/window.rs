//! Source → key → tumbling count: processor time per record, and what a second worker brings.

use super::{Effort, PerRecord, measure_window};
use crate::report::{Line, Report};
use eddyline_core::Result;
use std::collections::BTreeMap;

/// Rounds of arithmetic that make a record expensive; how expensive is measured.
const WORK_ROUNDS: u64 = 120;

/// A job that is measured: name, settings, the share of all records it gets.
const JOBS: &[(&str, &str, u64)] = &[
    ("bare records", "edge=bare-records", 1),
    ("bare", "edge=bare", 1),
    ("bare 2", "edge=bare workers=2", 1),
    ("records", "edge=none", 1),
    ("one", "edge=forward", 1),
    ("two", "edge=forward workers=2", 1),
    ("exchange", "edge=exchange workers=2", 1),
    ("processes", "edge=exchange processes=2", 1),
    ("arrow records", "edge=none format=arrow", 1),
    ("arrow one", "edge=forward format=arrow", 1),
    ("arrow two", "edge=forward workers=2 format=arrow", 1),
    ("arrow exchange", "edge=exchange workers=2 format=arrow", 1),
    ("arrow processes", "edge=exchange processes=2 format=arrow", 1),
    ("work bare", "edge=bare", 8),
    ("work one", "edge=forward", 8),
    ("work exchange", "edge=exchange workers=2", 8),
];

struct Found(BTreeMap<&'static str, Vec<PerRecord>>);

impl Found {
    fn each(&self, name: &str, of: impl Fn(&PerRecord) -> f64) -> Vec<f64> {
        self.0.get(name).map(|found| found.iter().map(of).collect()).unwrap_or_default()
    }

    fn processor(&self, what: &str, name: &str) -> Line {
        Line::new(what, "ns", &self.each(name, |found| found.processor))
    }

    /// How many times as fast as `slow` `fast` was, by wall time, in each round.
    fn speedup(&self, what: &str, slow: &str, fast: &str) -> Line {
        let (slow, fast) = (self.each(slow, |found| found.wall), self.each(fast, |found| found.wall));
        let ratios: Vec<f64> = slow.iter().zip(&fast).map(|(slow, fast)| slow / fast).collect();
        Line::new(what, "×", &ratios)
    }

    fn work_nanos(&self) -> f64 {
        let difference: Vec<f64> = self
            .each("work bare", |found| found.processor)
            .iter()
            .zip(self.each("bare", |found| found.processor))
            .map(|(with, without)| with - without)
            .collect();
        Line::new("", "", &difference).value
    }
}

pub fn run(effort: Effort) -> Result<Report> {
    let records = effort.of(10_000_000, 1_000_000);
    let mut found = Found(BTreeMap::new());
    // Round by round, so that what is compared was measured at about the same time.
    for _ in 0..effort.repeats {
        for (name, settings, share) in JOBS {
            let work = if name.starts_with("work") { WORK_ROUNDS } else { 0 };
            let settings = format!("{settings} work_rounds={work}");
            found.0.entry(name).or_default().push(measure_window(&settings, records / share)?);
        }
    }
    let rest = "processor time per record";
    let lines = vec![
        found.processor("rows: made and dropped, no engine", "bare records").note(rest),
        found.processor("rows: bare loop with hash maps, no engine", "bare").note(rest),
        found
            .processor("rows: source alone", "records")
            .note("of all that follow, so much is making records"),
        found.processor("rows: count, one worker", "one").at_most(40.0),
        found.processor("rows: exchange between two workers", "exchange").at_most(100.0),
        found
            .processor("rows: across two processes", "processes")
            .at_most(150.0)
            .note("starting them included"),
        found.processor("Arrow: source alone", "arrow records"),
        found.processor("Arrow: count, one worker", "arrow one").at_most(25.0),
        found.processor("Arrow: exchange between two workers", "arrow exchange").at_most(50.0),
        found
            .processor("Arrow: across two processes", "arrow processes")
            .at_most(90.0)
            .note("starting them included"),
        found
            .speedup("wall: two bare loops against one", "bare", "bare 2")
            .note("what the machine had to give"),
        found.speedup("wall: two workers, no exchange, rows", "one", "two").at_least(1.7),
        found.speedup("wall: two workers, no exchange, Arrow", "arrow one", "arrow two"),
        found.speedup("wall: two workers with exchange, rows", "one", "exchange"),
        found.speedup("wall: two workers with exchange, Arrow", "arrow one", "arrow exchange").at_least(1.0),
        found
            .speedup("wall: two workers with exchange, costly rows", "work one", "work exchange")
            .at_least(1.6)
            .note(format!("an operator that costs {:.0} ns per record", found.work_nanos())),
    ];
    let settings = format!("{records} bids of 106 bytes, 10,000 keys, windows of 10 s with 10 M bids");
    Ok(Report { name: "window", settings: effort.settings(&settings), lines })
}
