//! The worker's half of a transactional sink: what is in which transaction, and how far each has come.

use super::work::{Command, Event, Work};
use super::{TransactionId, TransactionalStore, WRITES_MAX};
use crate::environment::{ConnectorEnvironment, Waiting};
use crate::lane::Lane;
use eddyline_core::{Batch, Data, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, OperatorListState};
use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

/// A transaction that is not known to be committed; the state of a transactional sink.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct PendingTransaction<T: Data> {
    /// Its name.
    pub id: TransactionId,
    /// The checkpoint that it belongs to.
    pub checkpoint: CheckpointId,
    /// Its records, to be written again if the store loses them.
    pub records: Vec<T>,
}

/// One instance of a [`TransactionalSink`](super::TransactionalSink).
pub struct TransactionalOperator<T: Data, S: TransactionalStore<T>> {
    /// Until the lane is started.
    store: Option<S>,
    lane: Option<Lane<Work<T, S>>>,
    pub(super) pending: OperatorListState<PendingTransaction<T>>,
    /// The records since the last cut.
    current: Vec<T>,
    own: TransactionId,
    /// Batches that are not written yet.
    outstanding: usize,
    /// Checkpoints that are being pre-committed, and what came of it.
    preparing: BTreeMap<CheckpointId, Option<Result<()>>>,
    /// Pending transactions that are not durable, and those that have to be written anew first.
    unprepared: BTreeSet<TransactionId>,
    broken: BTreeSet<TransactionId>,
    committing: BTreeSet<TransactionId>,
    accounted_bytes: i64,
}

impl<T: Data, S: TransactionalStore<T>> TransactionalOperator<T, S> {
    pub(super) fn new(store: S) -> Self {
        TransactionalOperator {
            store: Some(store),
            lane: None,
            pending: OperatorListState::union("transactions", 0),
            current: Vec::new(),
            own: TransactionId { sink: String::new(), attempt: 0, instance: 0, number: 0 },
            outstanding: 0,
            preparing: BTreeMap::new(),
            unprepared: BTreeSet::new(),
            broken: BTreeSet::new(),
            committing: BTreeSet::new(),
            accounted_bytes: 0,
        }
    }

    fn send(&mut self, command: Command<T>) {
        if let Some(lane) = &mut self.lane {
            lane.send(command);
        }
    }

    /// Begins to work for instance `instance` of attempt `attempt` of the sink `uid`.
    pub(super) fn start(
        &mut self,
        waiting: Waiting,
        uid: &str,
        (attempt, instance): (u64, u32),
        waker: Waker,
    ) -> Result<()> {
        self.own = TransactionId { sink: uid.to_owned(), attempt, instance, number: 0 };
        self.pending = OperatorListState::union("transactions", instance);
        if let Some(store) = self.store.take() {
            self.lane = Some(Lane::start(Work::new(store, waiting), waiting, "transactions", waker)?);
        }
        Ok(())
    }

    /// Aborts what no checkpoint knows and commits this instance's share of what the restored one says.
    pub(super) fn recover(&mut self, parallelism: u32) -> Result<()> {
        let all = self.pending.items().to_vec();
        let keep = all.iter().map(|transaction| transaction.id.clone()).collect();
        let (sink, attempt, instance) = (self.own.sink.clone(), self.own.attempt, self.own.instance);
        self.send(Command::Recover { sink, attempt, keep });
        let mine = (0u32..).zip(all).filter(|(index, _)| index % parallelism.max(1) == instance);
        self.pending.set(mine.map(|(_, transaction)| transaction).collect());
        self.commit(CheckpointId::MAX)
    }

    /// Takes records in.
    pub(super) fn write(&mut self, records: Vec<T>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.current.extend(records.iter().cloned());
        self.outstanding += 1;
        let id = self.own.clone();
        self.send(Command::Write { id, records });
        self.collect()
    }

    /// Takes in what the store has done.
    pub(super) fn collect(&mut self) -> Result<()> {
        while let Some(event) = self.lane.as_mut().map_or(Ok(None), Lane::poll)? {
            match event {
                Event::Written => self.outstanding -= 1,
                Event::PreCommitted { checkpoint, failed } => {
                    let outcome = failed.first().map_or(Ok(()), |(_, error)| Err(error.clone()));
                    self.broken.extend(failed.into_iter().map(|(id, _)| id));
                    if outcome.is_ok() {
                        let is_older = |known: &&PendingTransaction<T>| known.checkpoint <= checkpoint;
                        for prepared in self.pending.items().iter().filter(is_older) {
                            self.unprepared.remove(&prepared.id);
                        }
                    }
                    if let Some(preparing) = self.preparing.get_mut(&checkpoint) {
                        *preparing = Some(outcome);
                    }
                }
                Event::Committed { id } => {
                    self.committing.remove(&id);
                    self.pending.items_mut().retain(|transaction| transaction.id != id);
                }
                Event::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the transaction and begins to make it durable for `checkpoint`, with all that are not yet.
    pub(super) fn cut(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.collect()?;
        if !self.current.is_empty() {
            let (id, records) = (self.own.clone(), std::mem::take(&mut self.current));
            self.own.number += 1;
            self.unprepared.insert(id.clone());
            self.pending.add(PendingTransaction { id, checkpoint, records });
        }
        if self.unprepared.is_empty() {
            return Ok(());
        }
        for id in std::mem::take(&mut self.broken) {
            let lost = self.pending.items().iter().find(|transaction| transaction.id == id);
            if let Some(records) = lost.map(|transaction| transaction.records.clone()) {
                self.send(Command::Rewrite { id, records });
            }
        }
        self.preparing.insert(checkpoint, None);
        self.send(Command::PreCommit { checkpoint, ids: self.unprepared.iter().cloned().collect() });
        self.collect()
    }

    /// Whether everything for `checkpoint` is durable.
    pub(super) fn poll_cut(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        self.collect()?;
        match self.preparing.get(&checkpoint) {
            None => Ok(Progress::Done),
            Some(None) => Ok(Progress::Waiting),
            Some(Some(_)) => {
                let outcome = self.preparing.remove(&checkpoint).flatten();
                outcome.unwrap_or(Ok(())).map(|()| Progress::Done)
            }
        }
    }

    /// Begins to make visible what belongs to `checkpoint` or an earlier one.
    pub(super) fn commit(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.collect()?;
        let is_due = |transaction: &&PendingTransaction<T>| {
            transaction.checkpoint <= checkpoint && !self.committing.contains(&transaction.id)
        };
        let due: Vec<_> = self.pending.items().iter().filter(is_due).cloned().collect();
        for PendingTransaction { id, records, .. } in due {
            self.committing.insert(id.clone());
            self.send(Command::Commit { id, records });
        }
        self.preparing = self.preparing.split_off(&checkpoint.saturating_add(1));
        self.collect()
    }

    /// Whether the store has confirmed all commits.
    pub(super) fn poll_commits(&mut self) -> Result<Progress> {
        self.collect()?;
        Ok(if self.committing.is_empty() { Progress::Done } else { Progress::Waiting })
    }

    fn settle(&mut self, context: &OperatorContext<'_>) {
        let heap: usize = self.current.iter().map(T::heap_bytes).sum();
        let held = (self.current.capacity() * size_of::<T>() + heap) as i64;
        context.account_bytes(held - self.accounted_bytes);
        self.accounted_bytes = held;
    }
}

impl<T: Data, S: TransactionalStore<T>> Stateful for TransactionalOperator<T, S> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.pending)
    }
}

impl<T: Data, S: TransactionalStore<T>> Operator for TransactionalOperator<T, S> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let waiting = ConnectorEnvironment::of(context).waiting;
        let waker = context.waker().clone();
        let info = context.info();
        self.start(waiting, &info.uid, (info.attempt, info.instance), waker)
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.recover(context.info().parallelism)
    }

    fn on_batch(&mut self, _: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let records = batch.take_rows::<T>()?.into_iter().map(|record| record.value).collect();
        self.write(records)?;
        self.settle(context);
        Ok(())
    }

    fn on_wake(&mut self, _: &mut OperatorContext<'_>) -> Result<Progress> {
        self.collect()?;
        Ok(Progress::Done)
    }

    fn accepts_input(&self) -> bool {
        self.outstanding < WRITES_MAX
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        self.cut(checkpoint)?;
        self.settle(context);
        Ok(())
    }

    fn poll_prepared(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        self.poll_cut(checkpoint)
    }

    fn on_commit(&mut self, checkpoint: CheckpointId, _: &mut OperatorContext<'_>) -> Result<()> {
        self.commit(checkpoint)
    }

    fn poll_committed(&mut self) -> Result<Progress> {
        self.poll_commits()
    }

    /// Waits for nothing: a job that has come to its end has nothing under way, and what another one has is repeated
    /// by its next attempt.
    fn close(&mut self) {
        if let Some(mut lane) = self.lane.take() {
            lane.abandon();
        }
    }
}
