//! Which operator a worker is in, readable from another thread.
//!
//! The worker writes two numbers when it enters and leaves an operator; the heartbeat thread reads them, so that an
//! operator that never returns can be named.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const NOWHERE: u64 = u64::MAX;

/// Which operator a worker is in, and since when.
#[derive(Debug)]
pub struct Watchdog {
    operator: AtomicU64,
    since_micros: AtomicU64,
    names: std::sync::OnceLock<Vec<(Arc<str>, Arc<str>)>>,
}

impl Default for Watchdog {
    fn default() -> Self {
        Watchdog {
            operator: AtomicU64::new(NOWHERE),
            since_micros: AtomicU64::new(0),
            names: std::sync::OnceLock::new(),
        }
    }
}

impl Watchdog {
    /// Tells names and uids of the operators, by number; only the first call counts.
    pub(crate) fn set_names(&self, names: Vec<(Arc<str>, Arc<str>)>) {
        let _ = self.names.set(names);
    }

    /// The worker enters operator `number` at `now` (monotonic microseconds).
    pub(crate) fn enter(&self, number: usize, now: u64) {
        self.since_micros.store(now, Ordering::Relaxed);
        self.operator.store(number as u64, Ordering::Release);
    }

    /// The worker leaves the operator.
    pub(crate) fn leave(&self) {
        self.operator.store(NOWHERE, Ordering::Release);
    }

    /// Name and uid of the operator the worker is in, and for how many microseconds.
    pub fn current(&self, now: u64) -> Option<(Arc<str>, Arc<str>, u64)> {
        let number = self.operator.load(Ordering::Acquire);
        let (name, uid) = self.names.get()?.get(usize::try_from(number).ok()?)?;
        Some((name.clone(), uid.clone(), now.saturating_sub(self.since_micros.load(Ordering::Relaxed))))
    }
}
