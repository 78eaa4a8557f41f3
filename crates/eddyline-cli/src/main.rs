//! The `eddyline` binary: applications on the engine, from the command line.

mod job;
mod logs;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

// Records are made on one thread and dropped on another all the time; mimalloc is built for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Eddyline: stateful stream processing in one native binary.
#[derive(Parser)]
#[command(name = "eddyline", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Process web access logs: requests per minute and status, sessions, top paths.
    Logs(logs::LogsArguments),
    /// Running jobs and savepoints: list, show, stop, rescale, take, delete.
    Job(job::JobArguments),
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("EDDYLINE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(std::io::stderr).init();
    let Arguments { command } = Arguments::parse();
    let outcome = match command {
        Command::Logs(arguments) => logs::run(&arguments),
        Command::Job(arguments) => job::run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.report());
            ExitCode::FAILURE
        }
    }
}
