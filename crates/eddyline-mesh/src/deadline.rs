//! Time limits that a slow peer cannot stretch.
//!
//! A socket's own time-out starts anew with every byte received; a [`Deadline`] does not. [`DeadlineSocket`] gives
//! each single read and write only the time that is left.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eddyline_core::{Clock, SystemClock};

/// A point in monotonic time.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    clock: SystemClock,
    limit_micros: u64,
}

impl Deadline {
    /// The point `duration` from now.
    pub(crate) fn after(duration: Duration) -> Self {
        let clock = SystemClock::new();
        let limit_micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Deadline { clock, limit_micros }
    }

    /// What is left, never zero; `None` once the deadline has passed.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let left = self.limit_micros.checked_sub(self.clock.monotonic_micros())?;
        (left > 0).then(|| Duration::from_micros(left))
    }

    fn remaining_or_error(&self) -> io::Result<Duration> {
        self.remaining().ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "the peer was too slow"))
    }
}

/// A socket whose every operation ends by a deadline.
pub(crate) struct DeadlineSocket<'a> {
    socket: &'a TcpStream,
    deadline: Deadline,
}

impl<'a> DeadlineSocket<'a> {
    pub(crate) fn new(socket: &'a TcpStream, deadline: Deadline) -> Self {
        DeadlineSocket { socket, deadline }
    }

    /// The next byte, left in place; `None` at the end of the stream.
    pub(crate) fn peek_byte(&mut self) -> io::Result<Option<u8>> {
        self.socket.set_read_timeout(Some(self.deadline.remaining_or_error()?))?;
        let mut byte = [0];
        let count = self.socket.peek(&mut byte).map_err(timed_out)?;
        Ok((count > 0).then_some(byte[0]))
    }
}

impl Read for DeadlineSocket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.deadline.remaining_or_error()?))?;
        self.socket.read(buffer).map_err(timed_out)
    }
}

impl Write for DeadlineSocket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.deadline.remaining_or_error()?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A socket's time-out shows as "would block" on some systems: one name for both.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "the peer was too slow")
        }
        _ => error,
    }
}

/// A signal that ends waits early, both pauses and those for a socket.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    state: Mutex<StopState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct StopState {
    is_stopped: bool,
    sockets: BTreeMap<u64, TcpStream>,
    next_number: u64,
}

impl Stop {
    /// Wakes everyone who waits, now and later, and breaks off every watched socket.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        for socket in state.sockets.values() {
            // It fails only if the connection is gone already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Breaks off `socket` at the signal, as long as the returned value lives.
    ///
    /// `None` if the signal was given, if `count_max` are watched already, or if the system has no room.
    pub(crate) fn watch(&self, socket: &TcpStream, count_max: usize) -> Option<Watch<'_>> {
        let mut state = self.lock();
        if state.is_stopped || state.sockets.len() >= count_max {
            return None;
        }
        let clone = socket.try_clone().ok()?;
        let number = state.next_number;
        state.next_number += 1;
        state.sockets.insert(number, clone);
        Some(Watch { stop: self, number })
    }

    /// Waits for `duration` or for the signal; says whether the signal was given.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), duration, |state| !state.is_stopped)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_stopped
    }

    /// Whether the signal was given.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    fn lock(&self) -> MutexGuard<'_, StopState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that is broken off at the signal.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    stop: &'a Stop,
    number: u64,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.stop.lock().sockets.remove(&self.number);
    }
}
