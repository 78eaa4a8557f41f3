//! The command line of the simulation.

use clap::Parser;
use eddyline_catalogue::{CATALOGUE, CatalogueJob};
use eddyline_runtime::deterministic::Bug;
use eddyline_simulation::command::{Request, run};
use std::process::ExitCode;

/// Runs whole Eddyline jobs under seeds, with faults, in one thread.
#[derive(Parser)]
#[command(name = "eddyline-simulation")]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// A bug to plant, to see whether it is found.
    #[arg(long, value_parser = parse_bug)]
    planted: Option<Bug>,
    /// A job of the catalogue to run under all seeds.
    #[arg(long, value_parser = parse_job)]
    job: Option<CatalogueJob>,
    /// Print all that happens.
    #[arg(long)]
    trace: bool,
}

fn parse_bug(name: &str) -> Result<Bug, String> {
    let names = || Bug::ALL.map(Bug::name).join(", ");
    Bug::ALL.into_iter().find(|bug| bug.name() == name).ok_or_else(|| format!("choose one of {}", names()))
}

fn parse_job(name: &str) -> Result<CatalogueJob, String> {
    let names = || CATALOGUE.iter().map(|job| job.name).collect::<Vec<_>>().join(", ");
    CatalogueJob::named(name).ok_or_else(|| format!("choose one of {}", names()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Arguments { seeds, first_seed, planted, job, trace } = arguments;
    let failed = run(&Request { first_seed, seeds, planted, trace, job });
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
