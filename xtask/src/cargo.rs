//! What this workspace is called to Cargo, and what Cargo tells about it.
//!
//! There is ONE profile for tests, kills and simulation: `dev`, which the root `Cargo.toml` optimises, so that no
//! dependency is compiled twice. Figures come from `release`; the demo from `demo`, which builds soonest.

use crate::{Result, native, process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The profile everything is tested in.
pub const PROFILE: &str = "dev";
/// The profile that is measured.
pub const MEASURED_PROFILE: &str = "release";
/// The profile that is built soonest, of this program, too.
pub const DEMO_PROFILE: &str = "demo";
/// The package with the `eddyline` binary.
pub const CLI_PACKAGE: &str = "eddyline-cli";
/// The package with the simulator's binary.
pub const SIMULATION_PACKAGE: &str = "eddyline-simulation";
/// The package with the benchmarks' binary.
pub const BENCH_PACKAGE: &str = "eddyline-bench";

/// Cargo, of the same toolchain that runs this program, with `arguments`.
pub fn command<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments).envs(native::variables());
    command
}

/// The folder of the root `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("invariant: xtask lies in a folder of the workspace")
}

/// What the simulator is told to run.
pub fn simulation_arguments(seeds: u64, first_seed: u64) -> Vec<OsString> {
    ["--seeds".into(), seeds.to_string(), "--first-seed".into(), first_seed.to_string()]
        .map(OsString::from)
        .into()
}

/// `cargo metadata` of the whole workspace with all dependencies.
pub fn metadata() -> Result<Value> {
    let mut command = command(["metadata", "--format-version", "1"]);
    let output = process::output(command.current_dir(root()))?;
    serde_json::from_str(&output).map_err(|error| format!("cannot read what `cargo metadata` says: {error}"))
}

/// Builds what `selection` names and returns the binaries of it by package; progress goes to standard error.
pub fn build(selection: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    build_with(PROFILE, selection)
}

fn build_with(profile: &str, selection: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = command(["build", "--profile", profile, "--message-format=json-render-diagnostics"]);
    command.args(selection).current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit());
    Ok(executables(&process::output(&mut command)?))
}

/// Builds one package's binary.
pub fn build_package(profile: &str, package: &str, features: &[&str]) -> Result<PathBuf> {
    build_with(profile, &[&["--package", package, "--bins"][..], features].concat())?
        .remove(package)
        .ok_or_else(|| format!("package {package} has no binary; this command needs one there"))
}

/// The binaries, by package, in Cargo's JSON messages.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let is_binary =
            message["target"]["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"));
        let is_test = message["profile"]["test"].as_bool().unwrap_or(false);
        if let (true, false, Some(path)) = (is_binary, is_test, message["executable"].as_str()) {
            let manifest = message["manifest_path"].as_str().unwrap_or_default();
            if let Some(package) = package_name(manifest) {
                found.insert(package, PathBuf::from(path));
            }
        }
    }
    found
}

/// The package name that a manifest gives itself.
fn package_name(manifest: &str) -> Option<String> {
    let text = std::fs::read_to_string(manifest).ok()?;
    let line = text.lines().find(|line| line.starts_with("name"))?;
    Some(line.split('"').nth(1)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_found_and_test_harnesses_are_not() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let message = |test: bool, path: &str| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": manifest, "profile": {"test": test},
                "target": {"kind": ["bin"], "name": "x"}, "executable": path,
            })
        };
        let text = format!("{}\nnoise\n{}\n", message(false, "bin/x"), message(true, "bin/x-test"));
        assert_eq!(executables(&text), BTreeMap::from([("xtask".to_owned(), PathBuf::from("bin/x"))]));
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.toml").is_file());
    }
}
