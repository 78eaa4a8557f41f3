//! Calls that take their time: a question per record to something outside, many of them under way at once.
//!
//! - The user's function makes a future of each record; an [`AsyncExecutor`] runs it elsewhere. The worker's thread
//!   never waits. Up to [`AsyncOptions::capacity`] calls are under way; beyond that, input waits.
//! - An attempt that fails or takes too long is repeated as [`RetryStrategy`] says; a call that has failed for good
//!   ends the job or leaves as an [`AsyncFailure`], as [`OnFailure`] says.
//! - A call whose last attempt takes too long may have a stand-in: [`AsyncFunction::timed_out`].
//! - Results leave in the order of the records ([`AsyncOrder::Ordered`]) or as they come. In both cases the operator
//!   promises no watermark that a record it holds is behind, so no result becomes late by waiting; a node with it
//!   generates watermarks.
//! - At a cut the records that are held are written down; after a restore they are asked again. So a question may be
//!   asked more than once, but each record has its results exactly once.

mod calls;
mod executor;
mod function;
mod operator;
mod options;
#[cfg(test)]
mod tests;

pub use calls::HeldRecord;
pub use executor::{AsyncExecutor, CallFuture};
pub use function::AsyncFunction;
pub use operator::AsyncCallOperator;
pub use options::{AsyncOptions, AsyncOrder, OnFailure, RetryDelay, RetryStrategy};

use eddyline_core::Data;

/// The output on which results leave.
pub const ANSWER_OUTPUT: usize = 0;
/// The output on which calls leave that failed for good, if that was asked for.
pub const FAILURE_OUTPUT: usize = 1;

/// A call that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct AsyncFailure<T> {
    /// What was asked.
    pub record: T,
    /// What was wrong with the last attempt.
    pub error: String,
    /// How many attempts were made.
    pub attempts: u32,
}
