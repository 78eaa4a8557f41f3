//! The sink against a store that loses transactions, fails and crashes at every step, under seeds.

use super::*;
use crate::environment::Waiting;
use eddyline_core::Error;
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, Progress};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

const RECORDS: u64 = 60;
const RECORDS_PER_CUT: u64 = 10;

/// What the store has; shared by all that are connected to it.
#[derive(Default)]
struct Database {
    open: BTreeMap<String, Vec<u64>>,
    prepared: BTreeMap<String, Vec<u64>>,
    committed: BTreeMap<String, Vec<u64>>,
    lost: u64,
    seed: u64,
    /// One in so many calls has trouble; 0: none.
    trouble: u64,
}

impl Database {
    /// Whether trouble comes now.
    fn trouble(&mut self) -> bool {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.trouble > 0 && (self.seed >> 33).is_multiple_of(self.trouble)
    }

    fn fail_sometimes(&mut self) -> Result<()> {
        if self.trouble() { Err(Error::network("the store did not answer")) } else { Ok(()) }
    }
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Database>>);

impl Store {
    fn database(&self) -> MutexGuard<'_, Database> {
        self.0.lock().unwrap()
    }

    fn committed(&self) -> Vec<u64> {
        let mut records: Vec<u64> = self.database().committed.values().flatten().copied().collect();
        records.sort_unstable();
        records
    }
}

impl TransactionalStore<u64> for Store {
    fn recover(&mut self, sink: &str, attempt: u64, keep: &[TransactionId]) -> Result<()> {
        let keep: Vec<String> = keep.iter().map(ToString::to_string).collect();
        let is_stale = |id: &String| {
            let numbers: Vec<u64> = id.strip_prefix(sink).unwrap()[1..]
                .split('-')
                .map(|number| number.parse().unwrap())
                .collect();
            numbers[0] < attempt && !keep.contains(id)
        };
        let mut database = self.database();
        database.fail_sometimes()?;
        database.open.retain(|id, _| !is_stale(id));
        database.prepared.retain(|id, _| !is_stale(id));
        Ok(())
    }

    fn begin(&mut self, id: &TransactionId) -> Result<()> {
        let mut database = self.database();
        database.fail_sometimes()?;
        let id = id.to_string();
        assert!(!database.committed.contains_key(&id) && !database.prepared.contains_key(&id), "{id}");
        assert!(database.open.insert(id, Vec::new()).is_none());
        Ok(())
    }

    fn write(&mut self, id: &TransactionId, records: &[u64]) -> Result<()> {
        let mut database = self.database();
        // What failed may have been written all the same.
        database.open.get_mut(&id.to_string()).unwrap().extend(records);
        database.fail_sometimes()
    }

    fn pre_commit(&mut self, id: &TransactionId) -> Result<()> {
        let mut database = self.database();
        let id = id.to_string();
        if database.trouble() {
            return Err(Error::network("the store did not answer"));
        }
        if let Some(records) = database.open.remove(&id) {
            database.prepared.insert(id, records);
        }
        Ok(())
    }

    fn commit(&mut self, id: &TransactionId) -> Result<CommitOutcome> {
        let mut database = self.database();
        let id = id.to_string();
        if database.committed.contains_key(&id) {
            return Ok(CommitOutcome::Done);
        }
        if database.trouble() {
            return Ok(CommitOutcome::Retry(Duration::from_millis(1)));
        }
        if database.trouble() {
            database.prepared.remove(&id);
        }
        let Some(records) = database.prepared.remove(&id) else {
            database.lost += 1;
            return Ok(CommitOutcome::Lost);
        };
        database.committed.insert(id, records);
        // It is committed, but nobody hears of it.
        database.fail_sometimes()?;
        Ok(CommitOutcome::Done)
    }

    fn abort(&mut self, id: &TransactionId) -> Result<()> {
        let mut database = self.database();
        database.fail_sometimes()?;
        let id = id.to_string();
        database.open.remove(&id);
        database.prepared.remove(&id);
        Ok(())
    }
}

type Sink = TransactionalOperator<u64, Store>;

fn start(
    store: &Store,
    attempt: u64,
    (instance, parallelism): (u32, u32),
    state: &[PendingTransaction<u64>],
) -> Result<Sink> {
    let store = store.clone();
    let mut sink = TransactionalSink::new(move || store.clone()).operator();
    sink.start(Waiting::Inline, "uid", (attempt, instance), Waker::noop().clone())?;
    sink.pending.set(state.to_vec());
    sink.recover(parallelism)?;
    Ok(sink)
}

#[derive(Clone, Default)]
struct Checkpoint {
    id: CheckpointId,
    next_record: u64,
    state: Vec<PendingTransaction<u64>>,
}

/// An attempt that crashes after `steps` steps, or ends with an error or with all records committed.
fn live(store: &Store, attempt: u64, mut steps: u64, complete: &mut Checkpoint) -> Result<bool> {
    let mut step = || {
        steps = steps.saturating_sub(1);
        steps > 0
    };
    let mut sink = start(store, attempt, (0, 1), &complete.state)?;
    let (mut next, mut id) = (complete.next_record, complete.id);
    while complete.next_record < RECORDS || !complete.state.is_empty() {
        let until = (next + RECORDS_PER_CUT).min(RECORDS);
        while next < until {
            if !step() {
                return Ok(false);
            }
            sink.write((next..(next + 3).min(until)).collect())?;
            next = (next + 3).min(until);
        }
        id += 1;
        sink.cut(id)?;
        let state = sink.pending.items().to_vec();
        // A cut that fails is left out: the job goes on.
        if sink.poll_cut(id).is_ok_and(|progress| progress == Progress::Done) {
            *complete = Checkpoint { id, next_record: next, state };
            if !step() {
                return Ok(false);
            }
            sink.commit(id)?;
        }
    }
    sink.close();
    Ok(true)
}

#[test]
fn lost_transactions_failures_and_crashes_neither_lose_nor_double() {
    let mut lost = 0;
    for seed in 0..600 {
        let store = Store::default();
        {
            let mut database = store.database();
            (database.seed, database.trouble) = (seed, [0, 3, 5, 9][seed as usize % 4]);
        }
        let (mut complete, mut attempt) = (Checkpoint::default(), 0);
        loop {
            attempt += 1;
            // The store gets well in the end, and the machine too.
            if attempt == 40 {
                store.database().trouble = 0;
            }
            let steps = if attempt < 40 { seed * 7 % (11 + attempt * 3) } else { u64::MAX };
            if live(&store, attempt, steps, &mut complete).unwrap_or(false) {
                break;
            }
        }
        assert_eq!(store.committed(), (0..RECORDS).collect::<Vec<_>>(), "seed {seed}");
        let database = store.database();
        assert!(
            database.open.is_empty() && database.prepared.is_empty(),
            "seed {seed}: transactions are left"
        );
        lost += database.lost;
    }
    assert!(lost > 200, "{lost} transactions were lost");
}

#[test]
fn transactions_of_all_instances_are_committed_at_any_parallelism() {
    for next in 1..5 {
        let (store, mut state) = (Store::default(), Vec::new());
        for instance in 0..3u64 {
            let mut sink = start(&store, 1, (instance as u32, 3), &[]).unwrap();
            sink.write(vec![instance * 10, instance * 10 + 1]).unwrap();
            sink.cut(1).unwrap();
            assert_eq!(sink.poll_cut(1).unwrap(), Progress::Done);
            state.extend(sink.pending.items().to_vec());
            sink.write(vec![1_000]).unwrap();
        }
        store.database().prepared.remove("uid-1-1-0");
        for _ in 0..2 {
            for instance in 0..next {
                start(&store, 2, (instance, next), &state).unwrap();
            }
        }
        assert_eq!(store.committed(), [0, 1, 10, 11, 20, 21]);
        assert!(store.database().open.is_empty(), "what belongs to no checkpoint is aborted");
    }
}

#[test]
fn a_store_that_never_commits_ends_the_attempt() {
    let store = Store::default();
    let mut sink = start(&store, 1, (0, 1), &[]).unwrap();
    sink.write(vec![1]).unwrap();
    sink.cut(1).unwrap();
    store.database().trouble = 1;
    let error = sink.commit(1).unwrap_err();
    assert!(error.report().contains("uid-1-0-0") && error.hint().is_some(), "{}", error.report());
}

#[test]
fn the_end_waits_for_the_last_commit() {
    let store = Store::default();
    let made = store.clone();
    let mut sink = TransactionalSink::new(move || made.clone()).operator();
    sink.start(Waiting::OwnThread, "uid", (1, 0), Waker::noop().clone()).unwrap();
    sink.recover(1).unwrap();
    sink.write(vec![1, 2]).unwrap();
    sink.cut(1).unwrap();
    let wait = |sink: &mut Sink, checkpoint| {
        while sink.poll_cut(checkpoint).unwrap() != Progress::Done {
            std::thread::yield_now();
        }
    };
    wait(&mut sink, 1);
    sink.write(vec![3]).unwrap();
    // The commit of the checkpoint before comes only at the end.
    sink.commit(1).unwrap();
    sink.cut(2).unwrap();
    wait(&mut sink, 2);
    sink.commit(2).unwrap();
    while sink.poll_commits().unwrap() != Progress::Done {
        std::thread::yield_now();
    }
    assert_eq!(store.committed(), [1, 2, 3]);
    sink.close();
}

/// A store whose commits wait for a word.
struct Slow(Store, std::sync::mpsc::Receiver<()>);

impl TransactionalStore<u64> for Slow {
    fn recover(&mut self, _: &str, _: u64, _: &[TransactionId]) -> Result<()> {
        Ok(())
    }

    fn begin(&mut self, id: &TransactionId) -> Result<()> {
        self.0.begin(id)
    }

    fn write(&mut self, id: &TransactionId, records: &[u64]) -> Result<()> {
        self.0.write(id, records)
    }

    fn pre_commit(&mut self, id: &TransactionId) -> Result<()> {
        self.0.pre_commit(id)
    }

    fn commit(&mut self, id: &TransactionId) -> Result<CommitOutcome> {
        match self.1.recv() {
            Ok(()) => self.0.commit(id),
            Err(_) => Ok(CommitOutcome::Retry(Duration::from_secs(3_600))),
        }
    }

    fn abort(&mut self, id: &TransactionId) -> Result<()> {
        self.0.abort(id)
    }
}

#[test]
fn neither_a_commit_nor_the_close_waits_for_the_store() {
    let (store, (word, words)) = (Store::default(), std::sync::mpsc::channel());
    let slow = Mutex::new(Some(Slow(store.clone(), words)));
    let mut sink = TransactionalSink::new(move || slow.lock().unwrap().take().unwrap()).operator();
    sink.start(Waiting::OwnThread, "uid", (1, 0), Waker::noop().clone()).unwrap();
    sink.recover(1).unwrap();
    sink.write(vec![1]).unwrap();
    sink.cut(1).unwrap();
    while sink.poll_cut(1).unwrap() != Progress::Done {
        std::thread::yield_now();
    }
    sink.commit(1).unwrap();
    assert_eq!(sink.poll_commits().unwrap(), Progress::Waiting);
    word.send(()).unwrap();
    while sink.poll_commits().unwrap() != Progress::Done {
        std::thread::yield_now();
    }
    assert_eq!(store.committed(), [1]);
    sink.write(vec![2]).unwrap();
    sink.cut(2).unwrap();
    sink.commit(2).unwrap();
    // The store asks for an hour's patience; the worker's thread has none to give.
    drop(word);
    sink.close();
    assert_eq!(store.committed(), [1]);
}
