//! Eddyline's benchmarks: what is promised of its speed, measured on the machine at hand.
//!
//! Every figure stands beside its target and beside what else was measured in the same run. Processor time per
//! record is little disturbed by other programs on the machine, wall time is: the load is told with it.

mod bid;
mod checkpoint_job;
mod columnar_count;
mod figures;
mod latency_job;
mod recovery_job;
mod source;
mod usage;
mod window_job;

use eddyline_core::{Error, Result};
use figures::Settings;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs one measurement in this process.
fn run_case(name: &str, settings: &Settings) -> Result<()> {
    match name {
        "window" => window_job::run(settings),
        "paced" => latency_job::run_paced(settings),
        "start" => latency_job::run_start(settings),
        "idle" => latency_job::run_idle(settings),
        "checkpoints" => checkpoint_job::run(settings),
        "recovery" => recovery_job::run(settings),
        other => Err(Error::config(format!("there is no measurement `{other}`"))),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.split_first() {
        Some((first, rest)) if first == figures::CASE && !rest.is_empty() => {
            Settings::parse(&rest[1..]).and_then(|settings| run_case(&rest[0], &settings))
        }
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eddyline-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
