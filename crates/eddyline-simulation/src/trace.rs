//! What happened, as a digest and, if wanted, as text.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A record of everything that can be seen of a run; clones share it.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<State>>);

struct State {
    digest: u64,
    events: u64,
    now_micros: u64,
    print: bool,
}

impl Trace {
    /// An empty trace that prints what it is told if `print` is set.
    pub fn new(print: bool) -> Self {
        Trace(Arc::new(Mutex::new(State { digest: 0, events: 0, now_micros: 0, print })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The virtual time of what follows.
    pub fn set_time(&self, now_micros: u64) {
        self.lock().now_micros = now_micros;
    }

    /// Something happened.
    pub fn note(&self, event: &str) {
        let state = &mut *self.lock();
        state.events += 1;
        state.digest = state.digest.rotate_left(9).wrapping_mul(0x0000_0100_0000_01B3)
            ^ eddyline_core::stable_hash(event.as_bytes())
            ^ state.now_micros;
        if state.print {
            println!("{:>12.6} {event}", state.now_micros as f64 / 1e6);
        }
    }

    /// Numbers that are part of the run, but not worth a line.
    pub fn add(&self, number: u64) {
        let state = &mut *self.lock();
        state.digest = state.digest.rotate_left(9).wrapping_mul(0x0000_0100_0000_01B3) ^ number;
    }

    /// A number that differs if anything differs.
    pub fn digest(&self) -> u64 {
        self.lock().digest
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.lock().events
    }
}
