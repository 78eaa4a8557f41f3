//! A backend that keeps everything in memory all the same: for tests and simulations, which want the ways of a store
//! without a store.

use super::{Answer, Found, Request, StateBackend, StatePlace, StateStore, StoreKey};
use eddyline_core::{Error, Result};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

/// Serves each request when it is handed over, and answers when it is polled next. A snapshot is a copy.
///
/// # Examples
/// ```
/// use eddyline_state::store::{Answer, MemoryBackend, Request, StateBackend, StatePlace, StateStore, WriteBatch};
/// use std::task::Waker;
///
/// let place = StatePlace {
///     worker: 0,
///     worker_memory_bytes: 1 << 20,
///     attempt: 1,
///     uid: "count".into(),
///     state: "total".into(),
///     expires: false,
/// };
/// let mut store = MemoryBackend::new(1_000).open(&place, Waker::noop().clone())?;
/// let mut batch = WriteBatch::default();
/// batch.put([7; 12], |out| out.push(1));
/// store.submit(Request::Write(batch));
/// store.submit(Request::Read { keys: vec![[7; 12], [8; 12]] });
/// assert!(matches!(store.poll()?, Some(Answer::Written { .. })));
/// let Some(Answer::Read { found, .. }) = store.poll()? else { panic!("reads are answered") };
/// assert_eq!(found.iter().collect::<Vec<_>>(), [Some(&[1u8][..]), None]);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug)]
pub struct MemoryBackend {
    resident_bytes_max: usize,
}

impl MemoryBackend {
    /// Lets each table have `resident_bytes_max` bytes of entries beside the store.
    pub fn new(resident_bytes_max: usize) -> Self {
        MemoryBackend { resident_bytes_max }
    }
}

impl StateBackend for MemoryBackend {
    fn open(&self, place: &StatePlace, waker: Waker) -> Result<Box<dyn StateStore>> {
        Ok(Box::new(MemoryStore {
            content: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            answers: VecDeque::new(),
            waker,
            resident_bytes_max: self.resident_bytes_max,
            expires: place.expires,
        }))
    }

    fn memory_bytes(&self, _worker: usize) -> usize {
        0
    }
}

type Content = BTreeMap<StoreKey, Arc<[u8]>>;

struct MemoryStore {
    content: Content,
    snapshots: BTreeMap<u64, Content>,
    answers: VecDeque<Result<Answer>>,
    waker: Waker,
    resident_bytes_max: usize,
    expires: bool,
}

impl MemoryStore {
    fn snapshot(&self, number: u64) -> Result<&Content> {
        let unknown = || Error::internal(format!("snapshot {number} of a store was never taken"));
        self.snapshots.get(&number).ok_or_else(unknown)
    }

    fn serve(&mut self, request: Request) -> Result<Option<Answer>> {
        Ok(match request {
            Request::Read { keys } => {
                let mut found = Found::default();
                keys.iter().for_each(|key| found.push(self.content.get(key).map(|value| &**value)));
                Some(Answer::Read { keys, found })
            }
            Request::Write(batch) => {
                for (key, value) in batch.iter() {
                    match value {
                        Some(value) => drop(self.content.insert(*key, value.into())),
                        None => drop(self.content.remove(key)),
                    }
                }
                Some(Answer::Written { changes: batch.len(), bytes: batch.memory_bytes() })
            }
            Request::Freeze { snapshot } => {
                self.snapshots.insert(snapshot, self.content.clone());
                None
            }
            Request::ReadFrozen { snapshot, keys } => {
                let (mut found, frozen) = (Found::default(), self.snapshot(snapshot)?);
                let values = keys.iter().filter_map(|key| frozen.get(key));
                values.for_each(|value| found.push(Some(value)));
                Some(Answer::Frozen { found, next: None })
            }
            Request::ScanFrozen { snapshot, from, to, bytes_max } => {
                let mut found = Found::default();
                let mut next = None;
                for (key, value) in self.snapshot(snapshot)?.range(from..=to) {
                    if found.bytes() >= bytes_max {
                        next = Some(*key);
                        break;
                    }
                    found.push(Some(value));
                }
                Some(Answer::Frozen { found, next })
            }
            Request::Release { snapshot } => {
                self.snapshots.remove(&snapshot);
                None
            }
        })
    }
}

impl StateStore for MemoryStore {
    fn submit(&mut self, request: Request) {
        if let Some(answer) = self.serve(request).transpose() {
            self.answers.push_back(answer);
            self.waker.wake_by_ref();
        }
    }

    fn poll(&mut self) -> Result<Option<Answer>> {
        self.answers.pop_front().transpose()
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    fn expire(&mut self, limit: i64) {
        let is_alive =
            |value: &Arc<[u8]>| value.first_chunk().is_none_or(|touch| i64::from_le_bytes(*touch) > limit);
        if self.expires {
            self.content.retain(|_, value| is_alive(value));
        }
    }

    fn resident_bytes_max(&self) -> usize {
        self.resident_bytes_max
    }
}
