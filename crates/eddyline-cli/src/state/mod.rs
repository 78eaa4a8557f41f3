//! `eddyline state`: checkpoints and savepoints as a database.

mod bootstrap;
mod diff;
mod export;
mod ls;
mod progress;
mod read;
mod text;
mod verify;

use clap::{Args, Subcommand};
use eddyline_core::Result;
use std::process::ExitCode;

/// What `eddyline state` is told.
#[derive(Args)]
pub struct StateArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List operators and states of a checkpoint: kinds, schemas, sizes; with --scan entries, large keys and ages.
    Ls(ls::LsArguments),
    /// Show keys and values of a state.
    Read(read::ReadArguments),
    /// Write keys and values of all states to files.
    Export(export::ExportArguments),
    /// Compare two checkpoints: exits with 0 if they hold the same, 1 if not, 2 if they cannot be compared.
    Diff(diff::DiffArguments),
    /// Write a new checkpoint from another one, with states replaced.
    Bootstrap(bootstrap::BootstrapArguments),
    /// Check all files and checksums of a checkpoint by reading it whole.
    Verify(verify::VerifyArguments),
}

/// Which states are meant.
#[derive(Args)]
struct Filter {
    /// Only this operator, by its uid.
    #[arg(long)]
    uid: Option<String>,
    /// Only the state of this name.
    #[arg(long)]
    state: Option<String>,
}

impl Filter {
    fn wants(&self, uid: &str, state: &str) -> bool {
        self.uid.as_ref().is_none_or(|wanted| wanted == uid)
            && self.state.as_ref().is_none_or(|wanted| wanted == state)
    }
}

/// Runs a command on state.
///
/// # Errors
/// What the user has to know: a checkpoint that is not there, damaged, or has no such state.
pub fn run(arguments: &StateArguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Ls(arguments) => ls::run(arguments),
        Command::Read(arguments) => read::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Diff(arguments) => return Ok(diff::run(arguments)),
        Command::Bootstrap(arguments) => bootstrap::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
    }
    .map(|()| ExitCode::SUCCESS)
}
