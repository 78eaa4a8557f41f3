//! How far a long command is, on standard error, where that is a terminal.

use super::text::size;
use eddyline_core::{Clock, SystemClock};
use std::io::{IsTerminal, Write};

/// Between two lines of progress, microseconds.
const INTERVAL_MICROS: u64 = 200_000;

/// Tells how many bytes are done.
pub struct Progress {
    clock: SystemClock,
    doing: &'static str,
    total: u64,
    done: u64,
    next_micros: u64,
    is_shown: bool,
}

impl Progress {
    /// Of `total` bytes; 0 if that is not known.
    pub fn new(doing: &'static str, total: u64) -> Self {
        let clock = SystemClock::new();
        let next_micros = clock.monotonic_micros() + INTERVAL_MICROS;
        Progress { clock, doing, total, done: 0, next_micros, is_shown: std::io::stderr().is_terminal() }
    }

    /// So many more bytes are done.
    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let now = self.clock.monotonic_micros();
        if self.is_shown && now >= self.next_micros {
            self.next_micros = now + INTERVAL_MICROS;
            let of = if self.total > 0 { format!(" of {}", size(self.total)) } else { String::new() };
            let mut terminal = std::io::stderr().lock();
            // A display that cannot be shown is no reason to stop.
            let _ = write!(terminal, "\r\x1b[K{} {}{of}", self.doing, size(self.done));
            let _ = terminal.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
