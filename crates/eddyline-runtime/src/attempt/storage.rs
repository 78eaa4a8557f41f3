//! The supervisor's work on checkpoint storage, on a thread of its own.

use super::live_state::Pins;
use super::shell::Event;
use eddyline_core::{Error, Result};
use eddyline_protocol::{Candidate, CheckpointId, Finding, Manifest};
use eddyline_state::CheckpointStore;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

enum Task {
    Complete(Box<Manifest>),
    Retire(Vec<CheckpointId>),
}

/// Does what may take its time: completing and retiring checkpoints, in the order asked for.
pub(crate) struct StorageThread(Sender<Task>);

impl StorageThread {
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(store: Arc<CheckpointStore>, pins: Arc<Pins>, events: Sender<Event>) -> Result<Self> {
        let (sender, tasks) = channel();
        std::thread::Builder::new()
            .name("eddyline:storage".into())
            .spawn(move || {
                while let Ok(task) = tasks.recv() {
                    match task {
                        Task::Complete(manifest) => {
                            let outcome = store.write_complete(&manifest);
                            if events.send(Event::Completed(manifest.checkpoint, outcome)).is_err() {
                                return;
                            }
                        }
                        Task::Retire(keep) => {
                            if let Err(error) = pins.retire(&store, &keep) {
                                tracing::warn!("old checkpoints could not be deleted: {error}");
                            }
                        }
                    }
                }
            })
            .map_err(|error| Error::internal(format!("cannot start the storage thread: {error}")))?;
        Ok(StorageThread(sender))
    }

    pub(crate) fn complete(&self, manifest: Box<Manifest>) {
        let _ = self.0.send(Task::Complete(manifest));
    }

    pub(crate) fn retire(&self, keep: &[CheckpointId]) {
        let _ = self.0.send(Task::Retire(keep.to_vec()));
    }
}

/// The complete checkpoints of a job; the newest ones are read and verified until a good one is found.
///
/// # Errors
/// If the storage cannot be listed.
pub(crate) fn candidates(store: &CheckpointStore) -> Result<Vec<Candidate>> {
    let mut found_good = false;
    let mut candidates = Vec::new();
    for checkpoint in store.complete_checkpoints()?.into_iter().rev() {
        let finding = store.read_manifest(checkpoint).and_then(|manifest| {
            if !found_good {
                store.verify(&manifest)?;
            }
            Ok(Finding::Good(Box::new(manifest)))
        });
        let finding = finding.unwrap_or_else(|error| Finding::Damaged { reason: error.to_string() });
        found_good |= matches!(finding, Finding::Good(_));
        candidates.push(Candidate { checkpoint, finding });
    }
    Ok(candidates)
}
