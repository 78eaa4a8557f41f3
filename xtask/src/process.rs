//! Starting other programs: quietly, counted, or in place of this one.

use crate::{Result, cargo, native, summary::Counts};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

/// Runs `command` to its end and returns its standard output; standard error goes where `command` says.
pub fn output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.stdout(Stdio::piped()).spawn().and_then(std::process::Child::wait_with_output);
    let output = output.map_err(|error| format!("cannot run {name}: {error}"))?;
    succeeded(&name, output.status)?;
    String::from_utf8(output.stdout).map_err(|_| format!("{name} wrote something that is not UTF-8"))
}

/// Runs `command` to its end; its output is this program's output.
pub fn run(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status =
        command.stdin(Stdio::null()).status().map_err(|error| format!("cannot run {name}: {error}"))?;
    succeeded(&name, status)
}

/// Runs `command` to its end, shows its output and adds the tests that it reports to `counts`.
pub fn run_counted(command: &mut Command, counts: &mut Counts) -> Result<()> {
    let name = describe(command);
    let failed = |error: std::io::Error| format!("cannot run {name}: {error}");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let pipe = child.stdout.take().expect("invariant: standard output was piped just now");
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        std::io::stdout().write_all(&line).map_err(failed)?;
        counts.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    succeeded(&name, child.wait().map_err(failed)?)
}

/// Builds the binary of `package` and becomes it, in the folder the user is in, so that signals reach it directly.
pub fn replace_by_package(
    profile: &str,
    package: &str,
    features: &[&str],
    arguments: Vec<OsString>,
) -> Result<()> {
    eprintln!("xtask: building {package} (a first build takes minutes, later ones seconds)");
    let binary = cargo::build_package(profile, package, features)?;
    eprintln!("xtask: running {}", binary.file_name().unwrap_or_default().to_string_lossy());
    replace(Command::new(binary).args(arguments).envs(native::variables()))
}

#[cfg(unix)]
fn replace(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(format!("cannot run {}: {error}", describe(command)))
}

#[cfg(not(unix))]
fn replace(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().map_err(|error| format!("cannot run {name}: {error}"))?;
    succeeded(&name, status)
}

fn succeeded(name: &str, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})")) }
}

fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    format!("`{}`", words.join(" "))
}
