//! Which complete checkpoints stay, and when files may go.
//!
//! A checkpoint refers to segments of earlier ones. Files may therefore only be deleted when no checkpoint is in
//! flight that was triggered before the decision to delete: such a checkpoint may still refer to them, and nobody
//! knows before its parts have come in.

use super::decision::CheckpointDecision;
use crate::manifest::CheckpointId;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be deleted once nothing in flight can refer to it.
#[derive(Debug, Clone, Copy)]
struct Deferred {
    /// Whether it was complete.
    complete: bool,
    /// The newest checkpoint in flight when the decision was made.
    after: CheckpointId,
}

/// The complete checkpoints of a job and the deletions that are due.
#[derive(Debug)]
pub(super) struct Retention {
    keep: usize,
    /// Complete ones on the job's time line.
    retained: BTreeSet<CheckpointId>,
    /// Complete ones that were passed over at a restore: no attempt may go back to them.
    abandoned: BTreeSet<CheckpointId>,
    deferred: BTreeMap<CheckpointId, Deferred>,
}

impl Retention {
    pub(super) fn new(keep: usize, on_storage: BTreeSet<CheckpointId>) -> Self {
        Retention { keep, retained: on_storage, abandoned: BTreeSet::new(), deferred: BTreeMap::new() }
    }

    /// Complete checkpoints that will be kept for now, oldest first.
    pub(super) fn retained(&self) -> &BTreeSet<CheckpointId> {
        &self.retained
    }

    /// An attempt starts from `restored`: whatever is newer belongs to a past that did not happen.
    pub(super) fn on_restored(&mut self, restored: Option<CheckpointId>) {
        let first_abandoned = restored.map_or(0, |checkpoint| checkpoint + 1);
        let mut newer = self.retained.split_off(&first_abandoned);
        self.abandoned.append(&mut newer);
        // What an attempt stands on is kept, even if it was about to be deleted.
        if let Some(id) = restored.filter(|id| self.deferred.remove(id).is_some()) {
            self.retained.insert(id);
        }
    }

    /// A checkpoint is durable: it subsumes what exceeds the number to keep, and all that was abandoned.
    pub(super) fn on_complete(&mut self, checkpoint: CheckpointId, newest: CheckpointId) {
        self.retained.insert(checkpoint);
        let mut gone = std::mem::take(&mut self.abandoned);
        while self.retained.len() > self.keep {
            gone.extend(self.retained.pop_first());
        }
        for id in gone {
            self.retire(id, newest);
        }
    }

    /// Schedules the deletion of a complete checkpoint.
    pub(super) fn retire(&mut self, checkpoint: CheckpointId, newest: CheckpointId) {
        self.deferred.insert(checkpoint, Deferred { complete: true, after: newest });
    }

    /// Schedules the deletion of the parts of a checkpoint that will never complete.
    pub(super) fn discard(&mut self, checkpoint: CheckpointId, newest: CheckpointId) {
        self.deferred.insert(checkpoint, Deferred { complete: false, after: newest });
    }

    /// Gives out the deletions that nothing in flight stands against; `oldest` is the oldest one in flight.
    pub(super) fn release(&mut self, oldest: Option<CheckpointId>, out: &mut Vec<CheckpointDecision>) {
        self.deferred.retain(|&id, deferred| {
            if oldest.is_some_and(|oldest| oldest <= deferred.after) {
                return true;
            }
            out.push(if deferred.complete {
                CheckpointDecision::Retire { id }
            } else {
                CheckpointDecision::DiscardParts { id }
            });
            false
        });
    }
}
