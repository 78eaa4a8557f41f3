//! Injected time.
//!
//! Engine code never asks the operating system for the time: it asks a [`Clock`], so that a test or a simulation
//! decides how time passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A source of wall time and of monotonic time.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970-01-01T00:00:00Z; may jump.
    fn wall_micros(&self) -> u64;

    /// Microseconds since some fixed point; never goes back.
    fn monotonic_micros(&self) -> u64;

    /// Milliseconds since 1970-01-01T00:00:00Z; may jump.
    fn wall_millis(&self) -> i64 {
        (self.wall_micros() / 1_000) as i64
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[allow(clippy::new_without_default)] // two clocks differ: the moment of creation matters
    pub fn new() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_micros(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as u64)
    }

    fn monotonic_micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// A clock that moves only when told to; its clones share one time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    monotonic: Arc<AtomicU64>,
    wall: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows `micros` since the epoch as wall time and 0 as monotonic time.
    pub fn new(micros: u64) -> Self {
        let clock = ManualClock::default();
        clock.wall.store(micros, Ordering::Relaxed);
        clock
    }

    /// Moves both times forward.
    pub fn advance(&self, micros: u64) {
        self.monotonic.fetch_add(micros, Ordering::Relaxed);
        self.wall.fetch_add(micros, Ordering::Relaxed);
    }

    /// Moves wall time alone, forward or back, as an operator or a time daemon would.
    pub fn jump(&self, micros: i64) {
        let now = self.wall.load(Ordering::Relaxed);
        self.wall.store(now.saturating_add_signed(micros), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall_micros(&self) -> u64 {
        self.wall.load(Ordering::Relaxed)
    }

    fn monotonic_micros(&self) -> u64 {
        self.monotonic.load(Ordering::Relaxed)
    }
}
