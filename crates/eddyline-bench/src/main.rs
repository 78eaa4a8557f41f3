//! Eddyline's benchmarks: what is promised of its speed, measured on the machine at hand.
//!
//! Every figure stands beside its target and beside what else was measured in the same run. Processor time per
//! record is little disturbed by other programs on the machine, wall time is: the load is told with it.

mod batch_jobs;
mod benchmarks;
mod bid;
mod checkpoint_job;
mod columnar_count;
mod figures;
mod latency_job;
mod logs_job;
mod logs_live;
mod nexmark;
mod nexmark_job;
mod operator_jobs;
mod plot;
mod recovery_job;
mod report;
#[cfg(feature = "rocksdb")]
mod rocksdb_job;
mod source;
mod state_job;
mod usage;
mod window_job;

use benchmarks::{ALL, Benchmark, Effort};
use clap::Parser;
use eddyline_core::{Error, Result};
use figures::Settings;
use report::Report;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measurements allocate as the programs should that they stand for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The units that are worth a plot.
const PLOTTED: &[&str] = &["ns", "×", "ms", "%"];

/// Measures what Eddyline promises of its speed.
#[derive(Parser)]
#[command(name = "eddyline-bench")]
struct Arguments {
    /// Which benchmarks: window, keys, sliding, operators, batch, latency, checkpoints, logs, nexmark, recovery, state, and
    /// rocksdb if it is built in; all of them if none is named.
    names: Vec<String>,
    /// Small inputs: whether everything works, not how fast.
    #[arg(long)]
    quick: bool,
    /// How often each figure is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Append the figures to this document.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "benches/RESULTS.md")]
    markdown: Option<PathBuf>,
    /// Write plots into this folder.
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = "benches/plots")]
    plots: Option<PathBuf>,
}

/// Runs one measurement in this process.
fn run_case(name: &str, settings: &Settings) -> Result<()> {
    match name {
        "window" => window_job::run(settings),
        "batch" => batch_jobs::run(settings),
        "operator" => operator_jobs::run(settings),
        "paced" => latency_job::run_paced(settings),
        "start" => latency_job::run_start(settings),
        "idle" => latency_job::run_idle(settings),
        "checkpoints" => checkpoint_job::run(settings),
        "logs" => logs_job::run(settings),
        "logs-live" => logs_live::run(settings),
        "nexmark" => nexmark_job::run(settings),
        "recovery" => recovery_job::run(settings),
        "state" => state_job::run(settings),
        "savepoint" => state_job::run_savepoint(settings),
        #[cfg(feature = "rocksdb")]
        "rocksdb" => rocksdb_job::run(settings),
        other => Err(Error::config(format!("there is no measurement `{other}`"))),
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Benchmark>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        ALL.iter().find(|benchmark| benchmark.name == name).ok_or_else(|| {
            let all: Vec<String> = ALL.iter().map(|one| format!("{} ({})", one.name, one.about)).collect();
            Error::config(format!("there is no benchmark `{name}`")).with_hint(all.join(", "))
        })
    };
    names.iter().map(find).collect()
}

fn run_benchmarks(arguments: &Arguments) -> Result<()> {
    let effort = Effort {
        quick: arguments.quick,
        repeats: if arguments.quick { 1 } else { arguments.repeats.max(1) },
    };
    let (mut kept, mut short) = (0, 0);
    for benchmark in chosen(&arguments.names)? {
        eprintln!("measuring {}: {}", benchmark.name, benchmark.about);
        let report = (benchmark.run)(effort)?;
        print!("{}", report.table());
        kept += report.lines.iter().filter(|line| line.kept() == Some(true)).count();
        short += report.lines.iter().filter(|line| line.kept() == Some(false)).count();
        save(&report, arguments).map_err(|error| {
            Error::storage(format!("figures of {} cannot be written: {error}", report.name))
        })?;
    }
    println!(
        "\n{kept} targets kept, {short} short{}",
        if effort.quick { " (quick: figures mean little)" } else { "" }
    );
    Ok(())
}

fn save(report: &Report, arguments: &Arguments) -> std::io::Result<()> {
    if let Some(document) = &arguments.markdown {
        let mut document = OpenOptions::new().create(true).append(true).open(document)?;
        document.write_all(report.markdown().as_bytes())?;
    }
    let Some(folder) = &arguments.plots else { return Ok(()) };
    std::fs::create_dir_all(folder)?;
    for unit in PLOTTED {
        if let Some(svg) = plot::bars(report, unit) {
            std::fs::write(folder.join(plot_name(report.name, unit)), svg)?;
        }
    }
    Ok(())
}

fn plot_name(report: &str, unit: &str) -> PathBuf {
    let unit = match unit {
        "×" => "ratio",
        "%" => "percent",
        other => other,
    };
    Path::new(&format!("{report}-{unit}.svg")).to_path_buf()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.split_first() {
        Some((first, rest)) if first == figures::CASE && !rest.is_empty() => {
            Settings::parse(&rest[1..]).and_then(|settings| run_case(&rest[0], &settings))
        }
        _ => run_benchmarks(&Arguments::parse()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eddyline-bench: {}", error.report());
            ExitCode::FAILURE
        }
    }
}
