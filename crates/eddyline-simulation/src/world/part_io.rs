//! The simulated upload of parts: every step takes virtual time, and may never happen.

use crate::random::Random;
use crate::world::Conditions;
use eddyline_core::{Clock, ManualClock, Result};
use eddyline_protocol::{AttemptId, CheckpointId};
use eddyline_runtime::snapshots::PartIo;
use eddyline_state::CheckpointStore;
use eddyline_state::checkpoint_store::PartFile;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

struct Upload {
    path: String,
    chunks: VecDeque<Vec<u8>>,
    finish: bool,
    file: Option<PartFile>,
    due_micros: u64,
}

/// Writes the parts of one simulated worker.
pub struct SimulatedPartIo {
    store: CheckpointStore,
    attempt: AttemptId,
    worker: usize,
    clock: ManualClock,
    random: Random,
    conditions: Rc<RefCell<Conditions>>,
    uploads: BTreeMap<CheckpointId, Upload>,
}

impl SimulatedPartIo {
    /// The I/O of `worker` in `attempt`.
    pub fn new(
        store: CheckpointStore,
        (attempt, worker): (AttemptId, usize),
        clock: ManualClock,
        random: Random,
        conditions: Rc<RefCell<Conditions>>,
    ) -> Self {
        SimulatedPartIo { store, attempt, worker, clock, random, conditions, uploads: BTreeMap::new() }
    }

    fn due(&mut self) -> u64 {
        let slow = self.conditions.borrow().upload_micros_max;
        self.clock.monotonic_micros() + self.random.below(slow + 1)
    }
}

impl Upload {
    /// Does the next step; answers the outcome once all is done.
    fn step(&mut self, store: &CheckpointStore) -> Option<Result<()>> {
        match self.try_step(store) {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    }

    fn try_step(&mut self, store: &CheckpointStore) -> Result<bool> {
        if self.file.is_none() {
            self.file = Some(store.create_part(&self.path)?);
            return Ok(false);
        }
        if let (Some(chunk), Some(file)) = (self.chunks.pop_front(), self.file.as_mut()) {
            file.write(&chunk)?;
            return Ok(false);
        }
        match self.file.take() {
            Some(file) if self.finish => file.finish().map(|()| true),
            file => {
                self.file = file;
                Ok(false)
            }
        }
    }
}

impl PartIo for SimulatedPartIo {
    fn part_path(&self, checkpoint: CheckpointId) -> String {
        self.store.part_path(checkpoint, self.attempt, self.worker)
    }

    fn append(&mut self, checkpoint: CheckpointId, chunk: Vec<u8>) {
        let (due_micros, path) = (self.due(), self.part_path(checkpoint));
        let upload = self.uploads.entry(checkpoint).or_insert_with(|| Upload {
            path,
            chunks: VecDeque::new(),
            finish: false,
            file: None,
            due_micros,
        });
        upload.chunks.push_back(chunk);
    }

    fn finish(&mut self, checkpoint: CheckpointId) {
        if let Some(upload) = self.uploads.get_mut(&checkpoint) {
            upload.finish = true;
        }
    }

    fn poll(&mut self) -> Option<(CheckpointId, Result<()>)> {
        let now = self.clock.monotonic_micros();
        let due: Vec<CheckpointId> =
            self.uploads.iter().filter(|(_, upload)| upload.due_micros <= now).map(|(id, _)| *id).collect();
        for id in due {
            let next = self.due();
            let upload = self.uploads.get_mut(&id)?;
            upload.due_micros = next;
            if let Some(outcome) = upload.step(&self.store) {
                self.uploads.remove(&id);
                return Some((id, outcome));
            }
        }
        None
    }

    fn bytes_waiting(&self) -> usize {
        self.uploads.values().flat_map(|upload| &upload.chunks).map(Vec::len).sum()
    }
}
