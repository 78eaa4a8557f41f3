//! One worker's part of each checkpoint.
//!
//! A checkpoint passes through: announced → all instances frozen → all states written (in slices, between batches)
//! → bytes durable → sinks prepared → reported. A failure anywhere fails that checkpoint alone; the states then
//! start afresh with a full snapshot.

use crate::instance::{Body, Instance};
use crate::operator::Progress;
use eddyline_core::{Error, Result, Tick};
use eddyline_protocol::{CheckpointId, FromWorker, OperatorManifest, PartManifest, StateManifest};
use eddyline_state::PartWriter;
use eddyline_state::part::{CHUNK_BYTES_MAX, IDLE_CHUNKS_MAX};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// Makes the bytes of parts durable, away from the worker's thread.
pub trait PartIo {
    /// Whether states are kept at all; without, a checkpoint only serves to commit.
    fn wants_state(&self) -> bool {
        true
    }
    /// The path of this worker's part of a checkpoint, relative to the job's checkpoint directory.
    fn part_path(&self, checkpoint: CheckpointId) -> String;
    /// Appends a chunk to a part.
    fn append(&mut self, checkpoint: CheckpointId, chunk: Vec<u8>);
    /// No chunk follows: make the part durable and say so through [`PartIo::poll`].
    fn finish(&mut self, checkpoint: CheckpointId);
    /// The next part that became durable, or failed.
    fn poll(&mut self) -> Option<(CheckpointId, Result<()>)>;
    /// Bytes that were appended and are not written yet.
    fn bytes_waiting(&self) -> usize;
    /// A chunk that has been written, to be filled again.
    fn take_written(&mut self) -> Option<Vec<u8>> {
        None
    }
}

/// Bytes waiting for the disk above which encoding pauses.
const WAITING_BYTES_MAX: usize = 32 << 20;

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    Durable,
    Preparing,
}

struct Active {
    tick: Tick,
    frozen: usize,
    /// Frozen instances that are not written, in order of freezing.
    waiting: VecDeque<usize>,
    /// The states of the first waiting instance that are written.
    written: Vec<StateManifest>,
    operators: Vec<OperatorManifest>,
    writer: Option<PartWriter>,
    bytes: u64,
    stage: Stage,
    failed: Option<Error>,
    /// The state that is being written waits for its store, which will wake the worker.
    waits_for_store: bool,
}

/// One worker's part of each checkpoint in flight.
pub(crate) struct Snapshots {
    active: BTreeMap<CheckpointId, Active>,
    participants: usize,
    io: Box<dyn PartIo>,
    worker: u32,
    full_next: bool,
    /// Checkpoints that were announced and are neither committed nor aborted: nothing may build on them.
    uncommitted: BTreeSet<CheckpointId>,
    entries_per_step: usize,
    /// Chunks of earlier parts, for the next one to fill: fresh memory is dearer than filling it.
    spare: Vec<Vec<u8>>,
}

impl Snapshots {
    pub(crate) fn new(io: Box<dyn PartIo>, worker: u32, entries_per_step: usize) -> Self {
        Snapshots {
            active: BTreeMap::new(),
            participants: 0,
            io,
            worker,
            full_next: false,
            uncommitted: BTreeSet::new(),
            entries_per_step,
            spare: Vec::new(),
        }
    }

    /// One more instance takes part in every checkpoint.
    pub(crate) fn add_participant(&mut self) {
        self.participants += 1;
    }

    /// A cut was announced.
    pub(crate) fn begin(&mut self, checkpoint: CheckpointId, tick: Tick) {
        self.uncommitted.insert(checkpoint);
        let spare = std::mem::take(&mut self.spare);
        let writer = Some(PartWriter::new(self.io.part_path(checkpoint)).with_spare(spare));
        self.active.insert(
            checkpoint,
            Active {
                tick,
                frozen: 0,
                waiting: VecDeque::new(),
                written: Vec::new(),
                operators: Vec::new(),
                writer,
                bytes: 0,
                stage: Stage::Writing,
                failed: None,
                waits_for_store: false,
            },
        );
    }

    /// The next checkpoint refers to nothing that was written before.
    pub(crate) fn start_afresh(&mut self) {
        self.full_next = true;
    }

    /// Whether states have to be frozen at all.
    pub(crate) fn wants_state(&self) -> bool {
        self.io.wants_state()
    }

    /// Whether a freeze for `checkpoint` has to be full: it may refer to segments of committed checkpoints only.
    pub(crate) fn full(&self, checkpoint: CheckpointId) -> bool {
        self.full_next || self.uncommitted.range(..checkpoint).next().is_some()
    }

    /// A checkpoint is committed, and with it everything before.
    pub(crate) fn committed(&mut self, checkpoint: CheckpointId) {
        self.uncommitted = self.uncommitted.split_off(&(checkpoint + 1));
    }

    /// A checkpoint was given up: its segments will be deleted, so the next one starts afresh.
    pub(crate) fn aborted(&mut self, checkpoint: CheckpointId) {
        if self.uncommitted.remove(&checkpoint) {
            self.full_next = true;
        }
    }

    /// An instance has frozen its states. Answers whether it was the last one of this worker.
    pub(crate) fn frozen(&mut self, checkpoint: CheckpointId, instance: usize) -> bool {
        let Some(active) = self.active.get_mut(&checkpoint) else { return false };
        active.frozen += 1;
        if self.io.wants_state() {
            active.waiting.push_back(instance);
        }
        let last = active.frozen == self.participants;
        if last {
            // Whatever was lost is in this snapshot again.
            self.full_next = false;
        }
        last
    }

    /// Whether there is work left that does not wait for somebody else.
    pub(crate) fn has_work(&self) -> bool {
        self.active.values().any(|active| {
            (!active.waiting.is_empty()
                && !active.waits_for_store
                && self.io.bytes_waiting() < WAITING_BYTES_MAX)
                || active.stage == Stage::Preparing
        })
    }

    /// Whether any checkpoint is under way.
    pub(crate) fn is_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// Does a slice of the work; answers what to tell the supervisor.
    pub(crate) fn step(&mut self, instances: &[Rc<RefCell<Instance>>]) -> Vec<FromWorker> {
        let mut budget = self.entries_per_step;
        for active in self.active.values_mut() {
            if active.failed.is_none()
                && let Err(error) =
                    write_slice(active, instances, &mut budget, self.io.as_mut(), self.participants)
            {
                active.failed = Some(error);
            }
        }
        let ids: Vec<CheckpointId> = self.active.keys().copied().collect();
        for id in ids {
            self.hand_over(id);
        }
        while let Some((checkpoint, outcome)) = self.io.poll() {
            if let Some(active) = self.active.get_mut(&checkpoint) {
                match outcome {
                    Ok(()) => active.stage = Stage::Preparing,
                    Err(error) => active.failed = Some(error),
                }
            }
        }
        while let Some(chunk) = self.io.take_written() {
            if let Some(writer) = self.active.values_mut().find_map(|active| active.writer.as_mut()) {
                writer.recycle(chunk);
            } else if self.spare.len() < IDLE_CHUNKS_MAX && chunk.capacity() >= CHUNK_BYTES_MAX {
                self.spare.push(cleared(chunk));
            }
        }
        self.report(instances)
    }

    fn hand_over(&mut self, checkpoint: CheckpointId) {
        let Some(active) = self.active.get_mut(&checkpoint) else { return };
        if let Some(writer) = active.writer.as_mut() {
            while let Some(chunk) = writer.take_chunk() {
                self.io.append(checkpoint, chunk);
            }
        }
        let complete = active.frozen == self.participants && active.waiting.is_empty();
        if !complete || active.failed.is_some() {
            return;
        }
        let Some(writer) = active.writer.take() else { return };
        match writer.finish() {
            Ok(rest) => {
                self.spare = rest.spare;
                self.spare.truncate(IDLE_CHUNKS_MAX);
                active.bytes = rest.bytes;
                for chunk in rest.chunks {
                    self.io.append(checkpoint, chunk);
                }
                if rest.bytes == 0 {
                    active.stage = Stage::Preparing;
                } else {
                    active.stage = Stage::Durable;
                    self.io.finish(checkpoint);
                }
            }
            Err(error) => active.failed = Some(error),
        }
    }

    fn report(&mut self, instances: &[Rc<RefCell<Instance>>]) -> Vec<FromWorker> {
        let mut messages = Vec::new();
        let mut lost = false;
        let worker = self.worker;
        self.active.retain(|checkpoint, active| {
            if lost && active.failed.is_none() {
                active.failed = Some(Error::storage("an earlier part that this one builds on was lost"));
            }
            if active.failed.is_none() && active.stage == Stage::Preparing {
                match prepared(instances, *checkpoint) {
                    Ok(false) => return true,
                    Ok(true) => {
                        let part = PartManifest {
                            operators: std::mem::take(&mut active.operators),
                            bytes_written: active.bytes,
                        };
                        let tick = active.tick;
                        messages.push(FromWorker::PartDone { checkpoint: *checkpoint, worker, tick, part });
                        return false;
                    }
                    Err(error) => active.failed = Some(error),
                }
            }
            match &active.failed {
                // Wait until all have frozen: an instance that freezes later must find its checkpoint.
                Some(error) if active.frozen == self.participants => {
                    lost = true;
                    let reason = error.to_string();
                    messages.push(FromWorker::PartFailed { checkpoint: *checkpoint, worker, reason });
                    false
                }
                _ => true,
            }
        });
        if lost {
            self.full_next = true;
            for instance in instances {
                let _ = instance.borrow_mut().visit_states(&mut |state| {
                    state.abandon();
                    Ok(())
                });
            }
        }
        messages
    }
}

fn cleared(mut chunk: Vec<u8>) -> Vec<u8> {
    chunk.clear();
    chunk
}

fn write_slice(
    active: &mut Active,
    instances: &[Rc<RefCell<Instance>>],
    budget: &mut usize,
    io: &mut dyn PartIo,
    participants: usize,
) -> Result<()> {
    debug_assert!(active.frozen <= participants);
    let Some(writer) = active.writer.as_mut() else { return Ok(()) };
    active.waits_for_store = false;
    while *budget > 0 && io.bytes_waiting() < WAITING_BYTES_MAX {
        let Some(&number) = active.waiting.front() else { return Ok(()) };
        let mut instance = instances[number].borrow_mut();
        let (mut index, done_before) = (0, active.written.len());
        let (mut finished, mut waits_for_store) = (true, false);
        let written = &mut active.written;
        instance.visit_states(&mut |state| {
            index += 1;
            if index <= done_before || !finished {
                return Ok(());
            }
            let slice = (*budget).max(1);
            *budget = budget.saturating_sub(slice.min(4096));
            if state.write_frozen(slice.min(4096), writer)? {
                written.push(state.manifest_of_frozen()?);
            } else {
                finished = false;
                waits_for_store = state.waits_for_store();
            }
            Ok(())
        })?;
        active.waits_for_store = waits_for_store;
        if waits_for_store {
            return Ok(());
        }
        if finished && active.written.len() == index {
            let uid = instance.info.uid.to_string();
            let states = std::mem::take(&mut active.written);
            active.operators.push(OperatorManifest { uid, states });
            active.waiting.pop_front();
        }
    }
    Ok(())
}

fn prepared(instances: &[Rc<RefCell<Instance>>], checkpoint: CheckpointId) -> Result<bool> {
    for instance in instances {
        if let Body::Operator(operator) = &mut instance.borrow_mut().body
            && operator.poll_prepared(checkpoint)? != Progress::Done
        {
            return Ok(false);
        }
    }
    Ok(true)
}
