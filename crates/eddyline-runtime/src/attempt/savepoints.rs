//! Who has asked for savepoints, and the threads that copy them.

use super::places::SavepointTarget;
use super::shell::Event;
use eddyline_core::{Error, Result};
use eddyline_protocol::{CheckpointId, SavepointRequest};
use eddyline_state::CheckpointStore;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// Where an answer is waited for.
pub(crate) type Reply<T> = Sender<Result<T>>;

struct Asked {
    target: SavepointTarget,
    reply: Reply<String>,
}

struct Copying {
    checkpoint: CheckpointId,
    reply: Reply<String>,
}

/// The savepoints of a job that are under way.
pub(crate) struct Savepoints {
    store: Arc<CheckpointStore>,
    events: Sender<Event>,
    next: SavepointRequest,
    asked: BTreeMap<SavepointRequest, Asked>,
    copying: BTreeMap<SavepointRequest, Copying>,
}

impl Savepoints {
    pub(crate) fn new(store: Arc<CheckpointStore>, events: Sender<Event>) -> Self {
        Savepoints { store, events, next: 1, asked: BTreeMap::new(), copying: BTreeMap::new() }
    }

    /// Notes who asks, and gives the request its number.
    pub(crate) fn ask(&mut self, target: SavepointTarget, reply: Reply<String>) -> SavepointRequest {
        let request = self.next;
        self.next += 1;
        self.asked.insert(request, Asked { target, reply });
        request
    }

    /// The checkpoint is complete, or there will be none.
    pub(crate) fn answer(&mut self, request: SavepointRequest, outcome: Result<CheckpointId, String>) {
        let Some(Asked { target, reply }) = self.asked.remove(&request) else { return };
        let started = match outcome {
            Ok(checkpoint) => self.copy(request, checkpoint, target).map(|()| checkpoint),
            Err(reason) => Err(not_taken(&reason)),
        };
        match started {
            Ok(checkpoint) => {
                self.copying.insert(request, Copying { checkpoint, reply });
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn copy(
        &self,
        request: SavepointRequest,
        checkpoint: CheckpointId,
        target: SavepointTarget,
    ) -> Result<()> {
        let (store, events) = (self.store.clone(), self.events.clone());
        std::thread::Builder::new()
            .name("eddyline:savepoint".into())
            .spawn(move || {
                let written = store.write_savepoint(checkpoint, target.storage.as_ref());
                let path = written.map(|written| target.path_of(&written.directory));
                let _ = events.send(Event::SavepointWritten(request, path));
            })
            .map(drop)
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))
    }

    /// A copy has ended.
    pub(crate) fn written(&mut self, request: SavepointRequest, outcome: Result<String>) {
        let Some(Copying { checkpoint, reply, .. }) = self.copying.remove(&request) else { return };
        match &outcome {
            Ok(path) => tracing::info!("savepoint of checkpoint {checkpoint}: {path}"),
            Err(error) => tracing::warn!("the savepoint could not be written: {}", error.report()),
        }
        let _ = reply.send(outcome.map_err(|error| {
            let hint = error.hint().unwrap_or("choose another directory").to_owned();
            error.with_hint(format!("{hint}; checkpoint {checkpoint} of the job is complete all the same"))
        }));
    }

    /// The checkpoints that are being copied: they must not be deleted.
    pub(crate) fn held(&self) -> impl Iterator<Item = CheckpointId> {
        self.copying.values().map(|copying| copying.checkpoint)
    }

    /// Whether any copy is under way.
    pub(crate) fn is_copying(&self) -> bool {
        !self.copying.is_empty()
    }

    /// The job is over: nobody gets a savepoint any more.
    pub(crate) fn refuse_all(&mut self) {
        for asked in std::mem::take(&mut self.asked).into_values() {
            let _ = asked.reply.send(Err(not_taken("the job has ended")));
        }
    }
}

fn not_taken(reason: &str) -> Error {
    Error::state(format!("no savepoint was taken: {reason}"))
        .with_hint("see the job's warnings, and ask again when it runs")
}

/// The set to keep, and what is being copied.
pub(crate) fn with_held(keep: &[CheckpointId], savepoints: Option<&Savepoints>) -> Vec<CheckpointId> {
    let mut all: BTreeSet<CheckpointId> = keep.iter().copied().collect();
    all.extend(savepoints.into_iter().flat_map(Savepoints::held));
    all.into_iter().collect()
}
