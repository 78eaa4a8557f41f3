//! `cargo xtask demo`: from a fresh clone to results on the screen, with nothing else to set up.

use crate::{Result, cargo, process};
use std::ffi::OsString;

/// Builds the `eddyline` binary and becomes `eddyline logs` with what the user gave.
pub fn run(arguments: Vec<OsString>) -> Result<()> {
    let given = arguments.into_iter().enumerate();
    let given =
        given.filter(|(index, argument)| !(*index == 0 && argument == "--")).map(|(_, argument)| argument);
    let all = std::iter::once(OsString::from("logs")).chain(given).collect();
    process::replace_by_package(cargo::CLI_PACKAGE, all)
}
