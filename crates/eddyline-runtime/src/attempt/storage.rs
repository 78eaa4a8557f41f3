//! The supervisor's work on checkpoint storage, on a thread of its own.

use super::live_state::Pins;
use super::places::Places;
use super::shell::Event;
use eddyline_core::{Error, Result};
use eddyline_protocol::{Candidate, CheckpointId, Finding, Manifest};
use eddyline_state::{CheckpointStore, dispose_savepoint};
use eddyline_storage::split;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

enum Task {
    Complete(Box<Manifest>),
    Retire(Vec<CheckpointId>),
    /// Delete a savepoint that was claimed.
    Dispose(String),
}

/// Does what may take its time: completing and retiring checkpoints, in the order asked for.
pub(crate) struct StorageThread {
    tasks: Sender<Task>,
    thread: JoinHandle<()>,
}

impl StorageThread {
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(
        store: Arc<CheckpointStore>,
        pins: Arc<Pins>,
        places: Places,
        events: Sender<Event>,
    ) -> Result<Self> {
        let (sender, tasks) = channel();
        let thread = std::thread::Builder::new()
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
                        Task::Dispose(path) => dispose(&places, &path),
                    }
                }
            })
            .map_err(|error| Error::internal(format!("cannot start the storage thread: {error}")))?;
        Ok(StorageThread { tasks: sender, thread })
    }

    /// Returns when all that was asked for is done.
    pub(crate) fn finish(self) {
        drop(self.tasks);
        // It has nothing to say that was not said before.
        let _ = self.thread.join();
    }

    pub(crate) fn complete(&self, manifest: Box<Manifest>) {
        let _ = self.tasks.send(Task::Complete(manifest));
    }

    pub(crate) fn dispose(&self, path: &str) {
        let _ = self.tasks.send(Task::Dispose(path.to_owned()));
    }

    pub(crate) fn retire(&self, keep: &[CheckpointId]) {
        let _ = self.tasks.send(Task::Retire(keep.to_vec()));
    }
}

/// Deletes a savepoint that the job has claimed, unless that was done before.
fn dispose(places: &Places, path: &str) {
    let outcome = split(path).and_then(|(above, name)| {
        let storage = places.open(&above)?;
        match storage.list(&name)?.is_empty() {
            true => Ok(0),
            false => dispose_savepoint(storage.as_ref(), &name),
        }
    });
    match outcome {
        Ok(0) => {}
        Ok(_) => {
            tracing::info!("{path} is deleted: the job has claimed it and has checkpoints of its own now")
        }
        Err(error) => tracing::warn!("{path} was claimed and could not be deleted: {}", error.report()),
    }
}

/// The complete checkpoints of a job; the newest ones are verified until a good one is found: `thoroughly` by reading
/// all of it, else by looking whether all files are there and long enough.
///
/// # Errors
/// If the storage cannot be listed.
pub(crate) fn candidates(store: &CheckpointStore, thoroughly: bool) -> Result<Vec<Candidate>> {
    let mut found_good = false;
    let mut candidates = Vec::new();
    for checkpoint in store.complete_checkpoints()?.into_iter().rev() {
        let finding = store.read_manifest(checkpoint).and_then(|manifest| {
            if !found_good {
                if thoroughly { store.verify(&manifest)? } else { store.check_files(&manifest)? }
            }
            Ok(Finding::Good(Box::new(manifest)))
        });
        let finding = finding.unwrap_or_else(|error| Finding::Damaged { reason: error.to_string() });
        found_good |= matches!(finding, Finding::Good(_));
        candidates.push(Candidate { checkpoint, finding });
    }
    Ok(candidates)
}
