//! `cargo xtask test`: every check there is, in one go and in one order, the cheap ones first.
//!
//! Each step says how long it took; all steps run even if one fails. Kill tests are the integration tests in
//! targets named `kill…`, tests against real servers those in targets named `service…`; they are marked `#[ignore]` so that a plain `cargo test` stays quick, and run here one
//! at a time, because each starts processes of its own.

use crate::services::Service;
use crate::summary::Counts;
use crate::{Result, cargo, licence, native, process, smoke, tidy};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const SIMULATION_SEEDS: u64 = 40;
const SIMULATION_SEEDS_QUICK: u64 = 5;

/// What ran so far.
struct Report {
    counts: Counts,
    steps: Vec<(&'static str, Duration, Result<()>)>,
}

/// Runs all steps and prints the summary, whose last line is the last thing that is printed.
pub fn run(quick: bool) -> ExitCode {
    let mut report = Report { counts: Counts::default(), steps: Vec::new() };
    report.step("tools", |_| install_tools().and_then(|()| native::prepare()));
    report.step("formatting", |_| process::run(&mut cargo_in_root(&["fmt", "--all", "--check"])));
    report.step("tidy", |_| tidy::run());
    report.step("licences", |_| licence::run());
    report.step("lints", |_| {
        let mut command = cargo_in_root(&["clippy", "--workspace", "--all-targets"]);
        command.args(native::features());
        process::run(command.args(["--profile", cargo::PROFILE, "--", "-D", "warnings"]))
    });
    report.step("documentation", |_| {
        // Libraries only: the binary shares its name, and so its page, with the library it shows.
        let mut command =
            cargo_in_root(&["doc", "--workspace", "--no-deps", "--lib", "--profile", cargo::PROFILE]);
        process::run(command.args(native::features()).env("RUSTDOCFLAGS", "-D warnings"))
    });
    report.step("tests", |counts| process::run_counted(&mut cargo_test(&["--no-fail-fast"]), counts));
    if !quick {
        report.step("kills", |counts| {
            let arguments = ["--test", "kill*", "--", "--include-ignored", "--test-threads=1"];
            process::run_counted(&mut cargo_test(&arguments), counts)
        });
    }
    if !quick {
        report.step("services", services);
    }
    whole_programs(&mut report, if quick { SIMULATION_SEEDS_QUICK } else { SIMULATION_SEEDS });
    report.finish()
}

/// Starts real servers, runs the tests in targets named `service…` against them, and stops the servers again.
fn services(counts: &mut Counts) -> Result<()> {
    let all = [Service::S3, Service::Hdfs];
    let mut arguments = cargo_test(&["--test", "service*"]);
    arguments.args(["--", "--include-ignored", "--test-threads=1"]);
    let up = all.into_iter().try_for_each(|service| {
        eprintln!("xtask: {}", service.up()?);
        arguments.envs(service.environment());
        Ok(())
    });
    // Servers that are up are stopped also if the next one could not be started.
    let outcome = up.and_then(|()| process::run_counted(&mut arguments, counts));
    all.into_iter().try_for_each(Service::down)?;
    outcome
}

/// The steps that run binaries, built with the same selection as the tests so that nothing is built anew.
fn whole_programs(report: &mut Report, seeds: u64) {
    let mut binaries = std::collections::BTreeMap::new();
    report.step("binaries", |_| {
        binaries = cargo::build(&[&["--workspace", "--bins", "--tests"], native::features()].concat())?;
        Ok(())
    });
    let find = |package: &str| {
        binaries.get(package).ok_or_else(|| format!("no binary of package {package} was built"))
    };
    report.step("simulation", |_| {
        let mut command = Command::new(find(cargo::SIMULATION_PACKAGE)?);
        command.envs(native::variables());
        process::run(command.args(cargo::simulation_arguments(seeds, 1)).current_dir(cargo::root()))
    });
    report.step("demo", |_| smoke::run(find(cargo::CLI_PACKAGE)?));
}

impl Report {
    fn step(&mut self, name: &'static str, action: impl FnOnce(&mut Counts) -> Result<()>) {
        eprintln!("\nxtask: {name} …");
        let start = Instant::now();
        let failed_before = self.counts.failed;
        let outcome = action(&mut self.counts);
        let took = start.elapsed();
        match &outcome {
            Ok(()) => eprintln!("xtask: {name}: good ({:.1} s)", took.as_secs_f64()),
            Err(message) => eprintln!("xtask: {name}: FAILED ({:.1} s): {message}", took.as_secs_f64()),
        }
        if outcome.is_err() && self.counts.failed == failed_before {
            self.counts.failed += 1;
        }
        self.steps.push((name, took, outcome));
    }

    fn finish(self) -> ExitCode {
        println!();
        for (name, took, outcome) in &self.steps {
            let verdict = match outcome {
                Ok(()) => "good".to_owned(),
                Err(message) => format!("FAILED: {message}"),
            };
            println!("{name:<14} {:>7.1} s  {verdict}", took.as_secs_f64());
        }
        println!("{}", self.counts);
        if self.steps.iter().all(|(_, _, outcome)| outcome.is_ok()) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Adds clippy and rustfmt to the toolchain if they are not there.
fn install_tools() -> Result<()> {
    for (component, subcommand) in [("clippy", "clippy"), ("rustfmt", "fmt")] {
        let mut probe = cargo::command([subcommand, "--version"]);
        if probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            continue;
        }
        eprintln!("xtask: installing {component}");
        process::run(
            Command::new("rustup").args(["component", "add", component]).current_dir(cargo::root()),
        )?;
    }
    Ok(())
}

fn cargo_in_root(arguments: &[&str]) -> Command {
    let mut command = cargo::command(arguments.iter().copied());
    command.current_dir(cargo::root());
    command
}

/// Tests of the whole workspace.
fn cargo_test(arguments: &[&str]) -> Command {
    let mut command = cargo_in_root(&["test", "--profile", cargo::PROFILE, "--workspace"]);
    command.args(native::features()).args(arguments);
    command
}
