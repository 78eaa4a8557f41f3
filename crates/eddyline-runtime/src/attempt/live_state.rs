//! Reading the state of a job while it runs.
//!
//! What is read is the newest complete checkpoint, so it is consistent: all keys of all states of all operators as they
//! were at one cut, that is, when everything before that tick and nothing after it had been processed. It is as old as
//! that checkpoint, which its manifest tells ([`SavepointReader::manifest`]); a job that fails never goes back behind
//! it. Workers notice nothing.
//!
//! A checkpoint that is read is *pinned*: it is not deleted before its last reader is dropped, however many newer ones
//! there are by then.

use super::{JobControl, JobHandle};
use eddyline_core::{Data, Error, Key, Result};
use eddyline_protocol::{CheckpointId, SegmentRef};
use eddyline_state::{CheckpointStore, SavepointReader, SegmentReader};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How often each checkpoint is being read.
#[derive(Default)]
pub(crate) struct Pins(Mutex<BTreeMap<CheckpointId, usize>>);

impl Pins {
    /// Deletes what is older than the newest of `keep` and neither kept nor read. Nobody can begin to read meanwhile.
    pub(crate) fn retire(&self, store: &CheckpointStore, keep: &[CheckpointId]) -> Result<usize> {
        let pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keep = keep.to_vec();
        if let Some(newest) = keep.iter().max().copied() {
            keep.extend(pinned.keys().filter(|pinned| **pinned < newest));
        }
        store.retire(&keep)
    }

    fn unpin(&self, checkpoint: CheckpointId) {
        let mut pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(readers) = pinned.get_mut(&checkpoint) {
            *readers -= 1;
            if *readers == 0 {
                pinned.remove(&checkpoint);
            }
        }
    }
}

/// Segments of a checkpoint that is not deleted while this is there.
struct PinnedSegments {
    store: Arc<CheckpointStore>,
    pins: Arc<Pins>,
    checkpoint: CheckpointId,
}

impl SegmentReader for PinnedSegments {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        self.store.read_segment(segment)
    }
}

impl Drop for PinnedSegments {
    fn drop(&mut self) {
        self.pins.unpin(self.checkpoint);
    }
}

/// Where the state of a job can be read.
#[derive(Clone)]
pub(crate) struct LiveState {
    job: String,
    store: Option<Arc<CheckpointStore>>,
    pins: Arc<Pins>,
}

impl LiveState {
    pub(crate) fn new(job: String, store: Option<Arc<CheckpointStore>>) -> Self {
        LiveState { job, store, pins: Arc::default() }
    }

    pub(crate) fn pins(&self) -> Arc<Pins> {
        self.pins.clone()
    }

    fn newest(&self) -> Result<SavepointReader> {
        let Some(store) = &self.store else {
            return Err(Error::config(format!("job `{}` keeps no checkpoints that could be read", self.job))
                .with_hint("set execution.checkpointing.dir and execution.checkpointing.interval"));
        };
        let mut pinned = self.pins.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = SavepointReader::newest(store)?;
        let checkpoint = newest.manifest().checkpoint;
        *pinned.entry(checkpoint).or_insert(0) += 1;
        let segments = PinnedSegments { store: store.clone(), pins: self.pins.clone(), checkpoint };
        Ok(SavepointReader::new(newest.manifest().clone(), Arc::new(segments)))
    }
}

impl JobHandle {
    /// All state of the job as of its newest complete checkpoint, to be read by key or as a whole; see
    /// [`SavepointReader`]. What is read from one reader is consistent: it is the state at one cut, after everything
    /// before it and nothing behind it was processed. A reader keeps its checkpoint from being deleted: drop it soon.
    ///
    /// # Errors
    /// If the job keeps no checkpoints or has none yet.
    pub fn state_snapshot(&self) -> Result<SavepointReader> {
        self.live.newest()
    }

    /// What the keyed state `state` of the operator `uid` holds for `key`, as of the newest complete checkpoint. Each call
    /// may see a newer one; ask [`JobHandle::state_snapshot`] to see several keys at the same cut.
    ///
    /// # Errors
    /// As [`JobHandle::state_snapshot`] and [`SavepointReader::get`].
    pub fn query_state<K: Key, V: Data>(&self, uid: &str, state: &str, key: &K) -> Result<Option<V>> {
        self.live.newest()?.get(uid, state, key)
    }
}

impl JobControl {
    /// As [`JobHandle::state_snapshot`].
    ///
    /// # Errors
    /// If the job keeps no checkpoints or has none yet.
    pub fn state_snapshot(&self) -> Result<SavepointReader> {
        self.live.newest()
    }
}
