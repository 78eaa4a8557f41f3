//! `cargo xtask demo`: from a fresh clone to results on the screen, with nothing else to set up.

use crate::{Result, cargo, process};
use std::ffi::OsString;

/// Builds the `eddyline` binary and becomes `eddyline logs` with what the user gave.
pub fn run(arguments: Vec<OsString>) -> Result<()> {
    // Without the clients of remote storage, which take longer to build than all the rest.
    let features = &["--no-default-features"];
    eprintln!(
        "xtask: this build starts soon and runs slowly; for speed: cargo run --release -p eddyline-cli -- logs"
    );
    process::replace_by_package(
        cargo::DEMO_PROFILE,
        cargo::CLI_PACKAGE,
        features,
        arguments_of_logs(arguments),
    )
}

/// The first `--` only says that options of ours have ended; there are none.
fn arguments_of_logs(mut given: Vec<OsString>) -> Vec<OsString> {
    if let Some(index) = given.iter().position(|argument| argument == "--") {
        given.remove(index);
    }
    given.insert(0, OsString::from("logs"));
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_options_are_handed_on() {
        let handed_on = |given: &[&str]| arguments_of_logs(given.iter().map(OsString::from).collect());
        assert_eq!(handed_on(&[]), ["logs"]);
        assert_eq!(handed_on(&["--once", "a.log"]), ["logs", "--once", "a.log"]);
        assert_eq!(handed_on(&["a.log", "--", "--json"]), ["logs", "a.log", "--json"]);
        assert_eq!(handed_on(&["--", "--help"]), ["logs", "--help"]);
    }
}
