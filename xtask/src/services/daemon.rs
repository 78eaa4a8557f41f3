//! Programs that run on after this one has ended: known by files with their process numbers, waited for by their
//! ports, stopped by signals.

use crate::Result;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to be ready, on a busy machine.
const READY_PATIENCE: Duration = Duration::from_secs(180);
/// How long a server may take to end before it is ended by force.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Lines of a log that are shown when its program has died.
const LAST_LINES: usize = 20;

/// Starts `command` as `name`, unless it runs already.
pub fn start(directory: &Path, name: &str, command: &mut Command) -> Result<()> {
    if pid_of(directory, name).is_some() {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
    fs::create_dir_all(directory).map_err(failed)?;
    let log = File::create(directory.join(format!("{name}.log"))).map_err(failed)?;
    detach(command);
    command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
    let child = command.spawn().map_err(failed)?;
    fs::write(directory.join(format!("{name}.pid")), child.id().to_string()).map_err(failed)
}

/// Ctrl-C in the terminal is not meant for it.
#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn detach(_: &mut Command) {}

/// Waits until `is_ready`, as long as `name` lives.
pub fn wait_until_ready(directory: &Path, name: &str, is_ready: impl Fn() -> bool) -> Result<()> {
    let until = Instant::now() + READY_PATIENCE;
    while !is_ready() {
        if pid_of(directory, name).is_none() {
            return Err(format!("{name} has ended; its log says last:\n{}", last_lines(directory, name)));
        }
        if Instant::now() >= until {
            let seconds = READY_PATIENCE.as_secs();
            return Err(format!("{name} is not ready after {seconds} s:\n{}", last_lines(directory, name)));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// Whether somebody listens there.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn last_lines(directory: &Path, name: &str) -> String {
    let text = fs::read_to_string(directory.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// The process of `name`, if it lives.
pub fn pid_of(directory: &Path, name: &str) -> Option<u32> {
    let pid = fs::read_to_string(directory.join(format!("{name}.pid"))).ok()?.trim().parse().ok()?;
    is_alive(pid).then_some(pid)
}

/// A process that has ended and that nobody has asked after is still listed: it does not count.
fn is_alive(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| {
        let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        !state.is_empty() && !state.starts_with('Z')
    })
}

/// What runs in `directory`, in words.
pub fn running(directory: &Path) -> Vec<String> {
    let alive = |name: &String| pid_of(directory, name).map(|pid| format!("{name} is process {pid}"));
    names(directory).iter().filter_map(alive).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".pid")?.to_owned());
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names
}

/// Stops everything that runs in `directory`.
pub fn stop_all(directory: &Path) -> Result<()> {
    for name in names(directory) {
        if let Some(pid) = pid_of(directory, &name) {
            signal(pid, "TERM")?;
            let until = Instant::now() + STOP_PATIENCE;
            while is_alive(pid) {
                if Instant::now() >= until {
                    signal(pid, "KILL")?;
                    break;
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        fs::remove_file(directory.join(format!("{name}.pid")))
            .map_err(|error| format!("cannot forget {name}: {error}"))?;
    }
    Ok(())
}

fn signal(pid: u32, signal: &str) -> Result<()> {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    match status {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot send a signal to process {pid}: {error}")),
    }
}

/// A program that has to be there to install something.
pub fn require(program: &str, arguments: &[&str], what_for: &str) -> Result<()> {
    let probe = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match probe {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("`{program}` is needed {what_for} and is not there: install it first")),
    }
}
