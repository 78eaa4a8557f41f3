//! A sink for stores that have transactions of their own: each record in the store exactly once.
//!
//! # Contract
//! - What is written between two cuts is one transaction per instance. At the cut it is pre-committed, which makes
//!   it durable without making it visible; it is committed when the checkpoint is complete.
//! - Transactions are named by the sink ([`TransactionId`]), so that they can be found again after a crash: the name
//!   and the records are in the checkpoint until the store has confirmed the commit.
//! - A commit may be answered by [`CommitOutcome::Retry`]: it is tried again, at most [`COMMIT_ATTEMPTS_MAX`] times;
//!   or by [`CommitOutcome::Lost`], because the store forgot the transaction or gave it up: then the same records are
//!   written again from the checkpoint, under the same name.
//! - A write or pre-commit that fails costs that checkpoint alone: the transaction is written anew for the next.
//! - After a restart, transactions that no checkpoint knows are aborted.
//! - All calls are made on a thread of their own, in order, and may block. At most [`WRITES_MAX`] batches wait for
//!   it; then no more records are taken.

mod operator;
#[cfg(test)]
mod tests;
mod work;

pub use operator::{PendingTransaction, TransactionalOperator};

use eddyline_core::{Data, Result};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// How often a commit is tried before the attempt ends.
pub const COMMIT_ATTEMPTS_MAX: u32 = 20;
/// How many batches wait to be written.
pub const WRITES_MAX: usize = 4;

/// The name of a transaction: unique among all transactions of all sinks with different uids, and stable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct TransactionId {
    /// The uid of the sink.
    pub sink: String,
    /// The attempt that began it; later attempts have greater numbers.
    pub attempt: u64,
    /// The instance that began it.
    pub instance: u32,
    /// Its number among those of the instance.
    pub number: u64,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}-{}", self.sink, self.attempt, self.instance, self.number)
    }
}

/// What a store answers to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The transaction is committed, now or before.
    Done,
    /// It could not be committed for now: to be tried again after that time.
    Retry(Duration),
    /// The store does not have it: nothing of it is visible nor ever will be. Its name may be used again.
    Lost,
}

/// A store with transactions, as one instance of a sink sees it.
///
/// Calls may block; they are made one after the other on a thread of the sink's own. `open` and `recover` come
/// first; for each transaction then `begin`, any number of `write`, `pre_commit`, and later `commit`.
///
/// # Examples
/// `examples/examples/custom_connector.rs` has a whole one.
pub trait TransactionalStore<T: Data>: Send + 'static {
    /// Connects; called before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self) -> Result<()> {
        Ok(())
    }

    /// Aborts all transactions of the sink `sink` that attempts before `attempt` began, but for those in `keep`.
    /// Every instance calls it; to do so twice does no harm.
    ///
    /// # Errors
    /// End the attempt.
    fn recover(&mut self, sink: &str, attempt: u64, keep: &[TransactionId]) -> Result<()>;

    /// Begins a transaction of that name.
    ///
    /// # Errors
    /// The transaction is aborted and written anew.
    fn begin(&mut self, id: &TransactionId) -> Result<()>;

    /// Writes records as part of a transaction.
    ///
    /// # Errors
    /// The transaction is aborted and written anew.
    fn write(&mut self, id: &TransactionId, records: &[T]) -> Result<()>;

    /// Makes a transaction durable: from now on it can be committed, whoever crashes.
    ///
    /// # Errors
    /// The transaction is aborted and written anew.
    fn pre_commit(&mut self, id: &TransactionId) -> Result<()>;

    /// Makes a pre-committed transaction visible. One that is committed already is [`CommitOutcome::Done`]: commits
    /// are repeated after a restart.
    ///
    /// # Errors
    /// End the attempt; the commit is repeated by the next.
    fn commit(&mut self, id: &TransactionId) -> Result<CommitOutcome>;

    /// Gives a transaction up that was begun and is not committed. One that the store does not have is fine.
    ///
    /// # Errors
    /// Count as failures of what the transaction was given up for.
    fn abort(&mut self, id: &TransactionId) -> Result<()>;
}

/// A sink that writes to a [`TransactionalStore`] exactly once.
pub struct TransactionalSink<T, S> {
    make: Arc<dyn Fn() -> S + Send + Sync>,
    record: PhantomData<fn(T)>,
}

impl<T, S> Clone for TransactionalSink<T, S> {
    fn clone(&self) -> Self {
        TransactionalSink { make: self.make.clone(), record: PhantomData }
    }
}

impl<T: Data, S: TransactionalStore<T>> TransactionalSink<T, S> {
    /// A sink whose instances each have the store that `make` makes.
    pub fn new(make: impl Fn() -> S + Send + Sync + 'static) -> Self {
        TransactionalSink { make: Arc::new(make), record: PhantomData }
    }

    /// An instance of the sink, for `DataStream::add_sink_operator`.
    pub fn operator(&self) -> TransactionalOperator<T, S> {
        TransactionalOperator::new((self.make)())
    }
}
