//! Eddyline's development commands: `cargo xtask demo | test | tidy | simulate | services | oracle
//! | bench`.
//!
//! Everything a contributor or a build server runs is a subcommand here, so that there is one way to do it. This
//! crate depends on no crate of Eddyline: it is the first thing a newcomer compiles and has to be there in seconds.
//! Messages of its own go to standard error; standard output belongs to what is run.

mod cargo;
mod demo;
mod licence;
mod native;
mod oracle;
mod process;
mod services;
mod smoke;
mod summary;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// What can go wrong here is told to a person and to nobody else.
type Result<T> = std::result::Result<T, String>;

/// Eddyline's development commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build Eddyline and watch it process a web server log.
    ///
    /// Without FILE it follows a log that a small traffic generator writes while you watch. Everything after `demo`
    /// is handed to `eddyline logs`, options too: `cargo xtask demo --once --json access.log`;
    /// `cargo xtask demo -- --help` lists them.
    Demo {
        /// Log files in Common or Combined Log Format, and options of `eddyline logs`.
        #[arg(value_name = "FILE", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check everything: formatting, tidiness, lints, docs, licences, tests, kills, simulation, demo.
    ///
    /// All steps run even if one fails. The last line says how many tests passed and failed; a step that fails
    /// without a failed test in it counts as one failure. clippy and rustfmt are installed if they are missing.
    Test {
        /// Leave out the kill tests and simulate a few seeds only.
        #[arg(long)]
        quick: bool,
    },
    /// Check what the compiler does not: file length, crate layers, banned calls, stray files, text.
    Tidy,
    /// Check the licences of all dependencies, and that no heavy one is there in two versions.
    Licences,
    /// Run whole jobs with faults, each under a seed; a failing seed is printed and can be run again.
    Simulate {
        /// How many seeds to run.
        #[arg(long, value_name = "N", default_value_t = 100)]
        seeds: u64,
        /// The first seed; the others follow it.
        #[arg(long, value_name = "S", default_value_t = 1)]
        first_seed: u64,
        /// Further options of the simulator.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Install, start and stop real servers to test against: S3, HDFS.
    Services {
        #[command(subcommand)]
        command: services::ServicesCommand,
    },
    /// Run SQL scripts on Eddyline and on Flink and compare their final rows; Flink is fetched once.
    Oracle(oracle::OracleArguments),
    /// Run the benchmarks.
    Bench {
        /// Which benchmark; all of them if not given.
        name: Option<OsString>,
        /// Further options of the benchmarks.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo { arguments } => demo::run(arguments),
        Command::Test { quick } => return test::run(quick),
        Command::Tidy => tidy::run(),
        Command::Licences => licence::run(),
        Command::Simulate { seeds, first_seed, arguments } => {
            let mut all = cargo::simulation_arguments(seeds, first_seed);
            all.extend(arguments);
            process::replace_by_package(cargo::PROFILE, cargo::SIMULATION_PACKAGE, &[], all)
        }
        Command::Services { command } => services::run(command),
        Command::Oracle(arguments) => oracle::run(arguments),
        Command::Bench { name, arguments } => bench(name, arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one benchmark, or all that can be built.
fn bench(name: Option<OsString>, arguments: Vec<OsString>) -> Result<()> {
    let mut features: &[&str] = &[];
    if name.as_ref().is_none_or(|name| name == "rocksdb" || name == "state") {
        match native::prepare() {
            Ok(()) => features = &["--features", "rocksdb"],
            Err(message) if name.as_ref().is_some_and(|name| name == "rocksdb") => return Err(message),
            Err(message) => eprintln!("xtask: benchmarks go without RocksDB: {message}"),
        }
    }
    let all = name.into_iter().chain(arguments).collect();
    process::replace_by_package(cargo::MEASURED_PROFILE, cargo::BENCH_PACKAGE, features, all)
}
