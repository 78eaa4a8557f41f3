//! The store's half of a transactional sink: everything that may block.

use super::{COMMIT_ATTEMPTS_MAX, CommitOutcome, TransactionId, TransactionalStore};
use crate::environment::Waiting;
use crate::lane::Handler;
use eddyline_core::{Data, Error, Result};
use eddyline_protocol::CheckpointId;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the operator asks for.
pub(super) enum Command<T> {
    /// Connect, and abort what no checkpoint knows.
    Recover { sink: String, attempt: u64, keep: Vec<TransactionId> },
    /// Write records; begins the transaction with its first.
    Write { id: TransactionId, records: Vec<T> },
    /// Write a transaction anew, whatever became of it.
    Rewrite { id: TransactionId, records: Vec<T> },
    /// Make transactions durable.
    PreCommit { checkpoint: CheckpointId, ids: Vec<TransactionId> },
    /// Make a transaction visible; its records, in case that it is lost.
    Commit { id: TransactionId, records: Vec<T> },
}

/// What came of it.
pub(super) enum Event {
    /// A batch was taken.
    Written,
    /// All of the transactions are durable, or which are not and why.
    PreCommitted { checkpoint: CheckpointId, failed: Vec<(TransactionId, Error)> },
    /// The transaction is visible.
    Committed { id: TransactionId },
    /// The attempt has to end.
    Failed(Error),
}

/// The store and what is known of its transactions.
pub(super) struct Work<T, S> {
    store: S,
    /// Transactions that were begun; those with an error have to be written anew.
    begun: BTreeMap<TransactionId, Result<()>>,
    waiting: Waiting,
    /// The attempt has ended: whatever is not committed is committed by the next one.
    abandoned: Arc<AtomicBool>,
    record: PhantomData<fn(T)>,
}

impl<T: Data, S: TransactionalStore<T>> Work<T, S> {
    pub(super) fn new(store: S, waiting: Waiting) -> Self {
        Work { store, begun: BTreeMap::new(), waiting, abandoned: Arc::default(), record: PhantomData }
    }

    fn write(&mut self, id: &TransactionId, records: &[T]) {
        let state = match self.begun.get(id) {
            Some(state) => state.clone(),
            None => self.store.begin(id),
        };
        let state = state.and_then(|()| self.store.write(id, records));
        self.begun.insert(id.clone(), state);
    }

    fn rewrite(&mut self, id: &TransactionId, records: &[T]) -> Result<()> {
        self.store.abort(id)?;
        self.store.begin(id)?;
        self.store.write(id, records)
    }

    fn pre_commit(&mut self, id: &TransactionId) -> Result<()> {
        let state = self.begun.remove(id).unwrap_or(Ok(()));
        state.and_then(|()| self.store.pre_commit(id))
    }

    fn commit(&mut self, id: &TransactionId, records: &[T]) -> Result<()> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            if self.abandoned.load(Ordering::Acquire) {
                return Err(Error::output("the attempt has ended before a commit was confirmed"));
            }
            match self.store.commit(id)? {
                CommitOutcome::Done => return Ok(()),
                // In one thread, whoever simulates the store decides what a second attempt finds.
                CommitOutcome::Retry(_) if self.waiting == Waiting::Inline => {}
                CommitOutcome::Retry(pause) => std::thread::sleep(pause),
                CommitOutcome::Lost => {
                    tracing::warn!(transaction = %id, records = records.len(), "a transaction was lost: writing it again");
                    self.rewrite(id, records)?;
                    self.store.pre_commit(id)?;
                }
            }
        }
        Err(Error::output("a transaction could not be committed")
            .with_detail(format!("{id}: tried {COMMIT_ATTEMPTS_MAX} times"))
            .with_hint("look at the store's log; the commit is repeated when the job restarts"))
    }
}

impl<T: Data, S: TransactionalStore<T>> Handler for Work<T, S> {
    type Command = Command<T>;
    type Event = Event;

    fn watch(&mut self, abandoned: Arc<AtomicBool>) {
        self.abandoned = abandoned;
    }

    fn handle(&mut self, command: Command<T>, answer: &mut dyn FnMut(Event)) {
        match command {
            Command::Recover { sink, attempt, keep } => {
                let recovered = self.store.open().and_then(|()| self.store.recover(&sink, attempt, &keep));
                if let Err(error) = recovered {
                    answer(Event::Failed(error));
                }
            }
            Command::Write { id, records } => {
                self.write(&id, &records);
                answer(Event::Written);
            }
            Command::Rewrite { id, records } => {
                let state = self.rewrite(&id, &records);
                self.begun.insert(id, state);
            }
            Command::PreCommit { checkpoint, ids } => {
                let outcomes = ids.into_iter().map(|id| (self.pre_commit(&id), id));
                let failed =
                    outcomes.filter_map(|(outcome, id)| outcome.err().map(|error| (id, error))).collect();
                answer(Event::PreCommitted { checkpoint, failed });
            }
            Command::Commit { id, records } => match self.commit(&id, &records) {
                Ok(()) => answer(Event::Committed { id }),
                Err(error) => answer(Event::Failed(error)),
            },
        }
    }
}
