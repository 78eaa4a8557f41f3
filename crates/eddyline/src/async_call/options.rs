//! How calls are made, repeated and given up.

use eddyline_core::{Error, Result};
use std::sync::Arc;

/// In which order results leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsyncOrder {
    /// In the order of the records, per instance: a slow call holds back those after it.
    Ordered,
    /// As they come.
    Unordered,
}

/// What happens when a call has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The job fails.
    FailJob,
    /// The record leaves as an [`AsyncFailure`](super::AsyncFailure) on [`super::FAILURE_OUTPUT`].
    SideOutput,
}

/// How long to wait before an attempt is repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RetryDelay {
    /// Always as long, milliseconds.
    Fixed(i64),
    /// Longer each time.
    Exponential {
        /// Before the second attempt, milliseconds.
        initial_ms: i64,
        /// By how much it grows each time.
        factor: f64,
        /// Never longer than this, milliseconds.
        longest_ms: i64,
    },
}

/// Whether an attempt that failed like this is repeated.
type IsRepeated = dyn Fn(&Error) -> bool + Send + Sync;

/// Which attempts are repeated, when, and how often.
#[derive(Clone)]
pub struct RetryStrategy {
    attempts_max: u32,
    delay: RetryDelay,
    retries: Option<Arc<IsRepeated>>,
}

impl RetryStrategy {
    /// One attempt only.
    pub fn never() -> Self {
        RetryStrategy { attempts_max: 1, delay: RetryDelay::Fixed(0), retries: None }
    }

    /// Up to `attempts_max` attempts, `delay_ms` apart.
    pub fn fixed(attempts_max: u32, delay_ms: i64) -> Self {
        RetryStrategy { attempts_max: attempts_max.max(1), delay: RetryDelay::Fixed(delay_ms), retries: None }
    }

    /// Up to `attempts_max` attempts, first `initial_ms` apart, then twice as long each time up to `longest_ms`.
    pub fn exponential(attempts_max: u32, initial_ms: i64, longest_ms: i64) -> Self {
        let delay = RetryDelay::Exponential { initial_ms, factor: 2.0, longest_ms };
        RetryStrategy { attempts_max: attempts_max.max(1), delay, retries: None }
    }

    /// The same with another delay.
    #[must_use]
    pub fn with_delay(mut self, delay: RetryDelay) -> Self {
        self.delay = delay;
        self
    }

    /// The same, but only for errors that `predicate` wants to see repeated.
    #[must_use]
    pub fn only_if(mut self, predicate: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.retries = Some(Arc::new(predicate));
        self
    }

    /// How long to wait, milliseconds, before the attempt after number `attempts`, which failed with `error`; none
    /// if that was the last one.
    pub(crate) fn delay_after(&self, attempts: u32, error: &Error) -> Option<i64> {
        if attempts >= self.attempts_max || self.retries.as_ref().is_some_and(|retries| !retries(error)) {
            return None;
        }
        Some(match self.delay {
            RetryDelay::Fixed(delay) => delay.max(0),
            RetryDelay::Exponential { initial_ms, factor, longest_ms } => {
                let grown = initial_ms as f64 * factor.powi(attempts.saturating_sub(1).min(1_000) as i32);
                (grown as i64).clamp(0, longest_ms.max(0))
            }
        })
    }
}

/// How calls are made.
#[derive(Clone)]
pub struct AsyncOptions {
    /// In which order results leave.
    pub order: AsyncOrder,
    /// The most calls under way per instance.
    pub capacity: usize,
    /// How long an attempt may take, milliseconds of processing time; none: as long as it takes.
    pub timeout_ms: Option<i64>,
    /// When attempts are repeated.
    pub retry: RetryStrategy,
    /// What happens when there is no further attempt.
    pub on_failure: OnFailure,
}

impl AsyncOptions {
    /// Up to 100 calls at once, of 10 seconds at most each, no repetition; a failure fails the job.
    pub fn new(order: AsyncOrder) -> Self {
        AsyncOptions {
            order,
            capacity: 100,
            timeout_ms: Some(10_000),
            retry: RetryStrategy::never(),
            on_failure: OnFailure::FailJob,
        }
    }

    /// Whether calls can be made like this.
    ///
    /// # Errors
    /// Of kind `Config`, if there is no room for a call or no time for one.
    pub fn check(&self) -> Result<()> {
        if self.capacity == 0 {
            return Err(
                Error::config("async calls have a capacity of 0").with_hint("allow at least one call")
            );
        }
        if self.timeout_ms.is_some_and(|timeout| timeout <= 0) {
            return Err(Error::config("async calls have no time to be answered")
                .with_hint("the time-out is whole milliseconds greater than 0, or none"));
        }
        Ok(())
    }
}
