//! Counting the bytes that are in flight.
//!
//! An [`Account`] is a counter with waiters; a [`Reservation`] is a number of bytes held in up to two accounts (an
//! edge and the worker's pool) until it is dropped. Whoever had to wait for room leaves a [`Waker`] and is woken by
//! the drop that makes room.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

/// A byte counter shared by those who fill and those who drain.
#[derive(Debug)]
pub struct Account {
    name: String,
    bytes: AtomicI64,
    peak: AtomicI64,
    low_water: i64,
    has_waiters: AtomicBool,
    waiters: Mutex<Vec<Waker>>,
}

impl Account {
    /// An empty account; waiters are woken when it falls to `low_water` bytes or to zero.
    pub fn new(name: impl Into<String>, low_water: i64) -> Arc<Self> {
        Arc::new(Account {
            name: name.into(),
            bytes: AtomicI64::new(0),
            peak: AtomicI64::new(0),
            low_water,
            has_waiters: AtomicBool::new(false),
            waiters: Mutex::new(Vec::new()),
        })
    }

    /// What the account counts, for messages to people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes now counted.
    #[inline]
    pub fn bytes(&self) -> i64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The most bytes ever counted.
    pub fn peak(&self) -> i64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Counts `bytes` more.
    #[inline]
    pub fn add(&self, bytes: i64) {
        let now = self.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes;
        if now > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Counts `bytes` less and wakes the waiters if that makes room.
    #[inline]
    pub fn subtract(&self, bytes: i64) {
        let now = self.bytes.fetch_sub(bytes, Ordering::AcqRel) - bytes;
        let crossed = now <= self.low_water && now + bytes > self.low_water;
        if (crossed || now == 0) && self.has_waiters.load(Ordering::Acquire) {
            self.wake();
        }
    }

    /// Leaves a waker to be called when there is room. Call, then check [`Account::bytes`] once more: room made
    /// between the check and the call is not announced again.
    pub fn wait(&self, waker: &Waker) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiters.iter().any(|known| known.will_wake(waker)) {
            waiters.push(waker.clone());
        }
        self.has_waiters.store(true, Ordering::Release);
    }

    fn wake(&self) {
        let woken = {
            let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            self.has_waiters.store(false, Ordering::Release);
            std::mem::take(&mut *waiters)
        };
        for waker in woken {
            waker.wake();
        }
    }
}

/// Bytes counted in an edge's and a pool's account until the reservation is dropped.
#[derive(Debug)]
pub struct Reservation {
    bytes: i64,
    edge: Arc<Account>,
    pool: Arc<Account>,
}

impl Reservation {
    /// Counts `bytes` in both accounts.
    pub fn new(bytes: usize, edge: &Arc<Account>, pool: &Arc<Account>) -> Self {
        let bytes = bytes as i64;
        edge.add(bytes);
        pool.add(bytes);
        Reservation { bytes, edge: edge.clone(), pool: pool.clone() }
    }

    /// The bytes reserved.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Gives the bytes up without uncounting them: whoever sends them elsewhere calls
    /// [`Account::subtract`] when the other side is done.
    pub fn forget(mut self) -> (i64, Arc<Account>, Arc<Account>) {
        let bytes = std::mem::take(&mut self.bytes);
        (bytes, self.edge.clone(), self.pool.clone())
    }

    /// A reservation of `bytes` in the same accounts.
    pub fn another(&self, bytes: usize) -> Self {
        Reservation::new(bytes, &self.edge, &self.pool)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes != 0 {
            self.edge.subtract(self.bytes);
            self.pool.subtract(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    struct Counter(AtomicUsize);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn drop_uncounts_and_wakes_at_low_water() {
        let (edge, pool) = (Account::new("edge", 10), Account::new("pool", 10));
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let first = Reservation::new(20, &edge, &pool);
        let second = first.another(5);
        edge.wait(&Waker::from(counter.clone()));
        assert_eq!((edge.bytes(), pool.bytes(), edge.peak()), (25, 25, 25));
        drop(second);
        assert_eq!(counter.0.load(Ordering::Relaxed), 0);
        drop(first);
        assert_eq!((edge.bytes(), pool.bytes()), (0, 0));
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    }
}
