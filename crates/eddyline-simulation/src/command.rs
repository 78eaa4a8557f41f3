//! Many runs, and a summary.

use crate::faults::FaultKind;
use crate::run::{RunReport, run_scenario, run_seed};
use crate::scenario::Scenario;
use eddyline_catalogue::CatalogueJob;
use eddyline_runtime::deterministic::{Bug, plant};
use std::collections::BTreeMap;
use std::time::Instant;

/// What a person asks for.
#[derive(Clone)]
pub struct Request {
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// The bug to plant.
    pub planted: Option<Bug>,
    /// Whether to print all that happens.
    pub trace: bool,
    /// The job of the catalogue that all seeds run, instead of what each draws.
    pub job: Option<CatalogueJob>,
}

/// Sums over runs.
#[derive(Debug, Default)]
struct Totals {
    passed: u64,
    failed: u64,
    cuts: u64,
    aborted: u64,
    attempts: u64,
    repeated: u64,
    steps: u64,
    rows: u64,
    partitions: u64,
    faults: BTreeMap<FaultKind, u64>,
}

impl Totals {
    fn add(&mut self, report: &RunReport) {
        self.passed += u64::from(report.failure.is_none());
        self.failed += u64::from(report.failure.is_some());
        self.cuts += report.counts.cuts;
        self.aborted += report.counts.aborted;
        self.attempts += report.counts.attempts;
        self.repeated += report.counts.repeated;
        self.steps += report.steps;
        self.rows += report.rows as u64;
        self.partitions += report.partitions;
        for (kind, count) in &report.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
    }

    fn print(&self, seconds: f64) {
        let runs = self.passed + self.failed;
        println!(
            "{runs} runs in {seconds:.1} s, {:.1} runs per second, {} steps",
            runs as f64 / seconds,
            self.steps
        );
        println!(
            "{} cuts complete, {} given up, {} attempts, {} rows",
            self.cuts, self.aborted, self.attempts, self.rows
        );
        let faults: Vec<String> =
            self.faults.iter().map(|(kind, count)| format!("{count} × {}", kind.name())).collect();
        println!("faults: {}", faults.join(", "));
        println!(
            "{} control messages came twice, {} links were cut by the network",
            self.repeated, self.partitions
        );
        println!("{} passed, {} failed", self.passed, self.failed);
    }
}

/// Runs all seeds and prints what came of them; answers how many failed.
pub fn run(request: &Request) -> u64 {
    let started = Instant::now();
    let mut totals = Totals::default();
    plant(request.planted);
    for seed in request.first_seed..request.first_seed.saturating_add(request.seeds) {
        let scenario = Scenario::from_seed(seed);
        let scenario = match request.job {
            Some(job) => scenario.with_catalogue(job),
            None => scenario,
        };
        let report = run_scenario(scenario, request.trace);
        totals.add(&report);
        if let Some(failure) = &report.failure {
            let planted =
                request.planted.map_or_else(String::new, |bug| format!(" --planted {}", bug.name()));
            let job = request.job.map_or_else(String::new, |job| format!(" --job {}", job.name));
            println!("seed {seed} FAILED: {failure}");
            println!("  again: eddyline-simulation --seeds 1 --first-seed {seed}{planted}{job} --trace");
        }
    }
    plant(None);
    totals.print(started.elapsed().as_secs_f64());
    totals.failed
}

/// The first seed from `first` on, among `seeds`, whose run fails when `bug` is planted, and how it fails.
pub fn find_planted(bug: Bug, first: u64, seeds: u64) -> Option<(u64, String)> {
    plant(Some(bug));
    let found =
        (first..first + seeds).find_map(|seed| run_seed(seed, false).failure.map(|failure| (seed, failure)));
    plant(None);
    found
}
