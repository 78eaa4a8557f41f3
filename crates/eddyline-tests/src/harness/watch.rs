//! Looking at processes, and waiting until something can be seen.

use eddyline::{Clock, SystemClock};
use rustix::process::{Pid, Signal};
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_micros(500);

/// The time until which something has to be seen.
pub struct Deadline {
    clock: SystemClock,
    until_micros: u64,
    what: String,
}

impl Deadline {
    /// `what` has to be seen within a minute, which is far more than it takes.
    pub fn minute(what: impl Into<String>) -> Self {
        let clock = SystemClock::new();
        Deadline { until_micros: clock.monotonic_micros() + 60_000_000, clock, what: what.into() }
    }

    /// Looks until `see` sees something.
    ///
    /// # Errors
    /// What was not seen in time.
    pub fn wait_for<T>(&self, mut see: impl FnMut() -> Option<T>) -> Result<T, String> {
        loop {
            if let Some(seen) = see() {
                return Ok(seen);
            }
            if self.clock.monotonic_micros() > self.until_micros {
                return Err(format!("in vain waited for: {}", self.what));
            }
            std::thread::park_timeout(LOOK);
        }
    }
}

/// The living processes that have `argument` on their command line, with the number that they have as workers.
pub fn processes_with(argument: &str) -> Vec<(Pid, Option<u32>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // A process that ends while it is looked at has nothing to say; one that is dead has no command line.
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let names_it = command.split(|byte| *byte == 0).any(|one| one == argument.as_bytes());
        if names_it && pid != rustix::process::getpid() {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let worker = environment.split(|byte| *byte == 0).find_map(|one| {
                std::str::from_utf8(one.strip_prefix(b"EDDYLINE_PROCESS=")?).ok()?.parse().ok()
            });
            found.push((pid, worker));
        }
    }
    found
}

/// Sends a signal; a process that has ended by itself needs none.
pub fn signal(pid: Pid, signal: Signal) {
    let _ = rustix::process::kill_process(pid, signal);
}

/// Says something to whoever runs the tests, whether or not they fail.
pub fn tell(text: &str) {
    use std::io::Write;
    // If nobody reads standard error, there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
