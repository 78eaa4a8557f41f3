//! The `eddyline` binary: applications on the engine, from the command line.

mod job;
mod logs;
#[cfg(feature = "sql")]
mod sql;
mod state;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
    Logs(Box<logs::LogsArguments>),
    /// Look into checkpoints and savepoints: list, read, export, compare, edit, verify.
    State(state::StateArguments),
    /// Run Flink SQL: a script, or statements as they are typed.
    #[cfg(feature = "sql")]
    Sql(sql::SqlArguments),
    /// Running jobs and savepoints: list, show, stop, rescale, take, delete.
    Job(job::JobArguments),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    start_logging();
    let outcome = match command {
        Command::Logs(arguments) => logs::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Job(arguments) => job::run(arguments).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "sql")]
        Command::Sql(arguments) => sql::run(&arguments),
        Command::State(arguments) => state::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", error.report());
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error what `EDDYLINE_LOG` asks for: a level, or `target=level` several times, with commas between.
fn start_logging() {
    let filter = match std::env::var("EDDYLINE_LOG").map(|wanted| wanted.parse::<Targets>()) {
        Ok(Ok(filter)) => filter,
        Ok(Err(error)) => {
            eprintln!("eddyline: EDDYLINE_LOG is not understood ({error}); warnings are shown");
            Targets::new().with_default(LevelFilter::WARN)
        }
        Err(_) => Targets::new().with_default(LevelFilter::WARN),
    };
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
