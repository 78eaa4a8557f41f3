//! An S3 server that checks signatures and conditions: versitygw, built from its Go module.

use super::daemon;
use crate::{Result, process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODULE: &str = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
const PORT: u16 = 19_790;
const ACCESS_KEY: &str = "eddyline-tests";
const SECRET_KEY: &str = "eddyline-tests-secret";
/// The bucket that is there from the start.
const BUCKET: &str = "eddyline";

fn binary(directory: &Path) -> PathBuf {
    directory.join("bin").join("versitygw")
}

/// Installs it, if it is not there.
pub fn install(directory: &Path) -> Result<PathBuf> {
    let binary = binary(directory);
    if binary.is_file() {
        return Ok(binary);
    }
    daemon::require("go", &["version"], "to build the S3 server")?;
    eprintln!("xtask: building the S3 server (two minutes, once)");
    let mut command = Command::new("go");
    command.args(["install", "-trimpath", "-ldflags", "-s -w", MODULE]);
    command.env("GOBIN", directory.join("bin")).env("CGO_ENABLED", "0").current_dir(std::env::temp_dir());
    process::run(&mut command)?;
    Ok(binary)
}

/// Installs and starts it; says where it is.
pub fn up(directory: &Path) -> Result<String> {
    let binary = install(directory)?;
    let data = directory.join("data");
    fs::create_dir_all(data.join(BUCKET)).map_err(|error| format!("cannot make a bucket: {error}"))?;
    let mut command = Command::new(binary);
    command.args(["--access", ACCESS_KEY, "--secret", SECRET_KEY]);
    command.args(["--port", &format!("127.0.0.1:{PORT}"), "posix"]).arg(&data);
    daemon::start(directory, "versitygw", &mut command)?;
    daemon::wait_until_ready(directory, "versitygw", || daemon::listens(PORT))?;
    Ok(format!("http://127.0.0.1:{PORT}, bucket {BUCKET}"))
}

/// What tests find in their environment: they start servers of their own, to stop them when they like.
pub fn environment(directory: &Path) -> Vec<(&'static str, String)> {
    vec![("EDDYLINE_TEST_S3_SERVER", binary(directory).display().to_string())]
}
