//! Making parts durable on threads of their own.

use crate::snapshots::PartIo;
use eddyline_core::{Error, Result};
use eddyline_protocol::{AttemptId, CheckpointId};
use eddyline_state::CheckpointStore;
use eddyline_state::checkpoint_store::PartFile;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Thread;

enum Command {
    Append(CheckpointId, Vec<u8>),
    Finish(CheckpointId),
}

/// Writes a worker's parts on a thread of its own, which ends with this value.
pub(crate) struct ThreadedPartIo {
    store: Arc<CheckpointStore>,
    attempt: AttemptId,
    worker: usize,
    commands: Sender<Command>,
    outcomes: Receiver<(CheckpointId, Result<()>)>,
    waiting: Arc<AtomicUsize>,
    /// Chunks come back as they are written; as many as can wait to be written can be here.
    written: Receiver<Vec<u8>>,
}

impl ThreadedPartIo {
    /// Starts the thread; it wakes `owner`, the worker's thread, with every outcome.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn start(
        store: Arc<CheckpointStore>,
        attempt: AttemptId,
        worker: usize,
        owner: Thread,
    ) -> Result<Self> {
        let (commands, receiver) = channel();
        let (sender, outcomes) = channel();
        let (written_sender, written) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = Writer {
            store: store.clone(),
            attempt,
            worker,
            files: BTreeMap::new(),
            waiting: waiting.clone(),
            written: written_sender,
        };
        std::thread::Builder::new()
            .name(format!("eddyline:part-{worker}"))
            .spawn(move || writer.run(&receiver, &sender, &owner))
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        Ok(ThreadedPartIo { store, attempt, worker, commands, outcomes, waiting, written })
    }
}

impl PartIo for ThreadedPartIo {
    fn part_path(&self, checkpoint: CheckpointId) -> String {
        self.store.part_path(checkpoint, self.attempt, self.worker)
    }

    fn append(&mut self, checkpoint: CheckpointId, chunk: Vec<u8>) {
        self.waiting.fetch_add(chunk.len(), Ordering::Relaxed);
        let _ = self.commands.send(Command::Append(checkpoint, chunk));
    }

    fn finish(&mut self, checkpoint: CheckpointId) {
        let _ = self.commands.send(Command::Finish(checkpoint));
    }

    fn poll(&mut self) -> Option<(CheckpointId, Result<()>)> {
        self.outcomes.try_recv().ok()
    }

    fn bytes_waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn take_written(&mut self) -> Option<Vec<u8>> {
        self.written.try_recv().ok()
    }
}

struct Writer {
    store: Arc<CheckpointStore>,
    attempt: AttemptId,
    worker: usize,
    /// Files that are open, or what went wrong with them.
    files: BTreeMap<CheckpointId, Result<PartFile>>,
    waiting: Arc<AtomicUsize>,
    written: Sender<Vec<u8>>,
}

impl Writer {
    fn run(
        mut self,
        commands: &Receiver<Command>,
        outcomes: &Sender<(CheckpointId, Result<()>)>,
        owner: &Thread,
    ) {
        while let Ok(command) = commands.recv() {
            match command {
                Command::Append(checkpoint, chunk) => {
                    self.append(checkpoint, &chunk);
                    self.waiting.fetch_sub(chunk.len(), Ordering::Relaxed);
                    let _ = self.written.send(chunk);
                    owner.unpark();
                }
                Command::Finish(checkpoint) => {
                    let outcome = match self.files.remove(&checkpoint) {
                        Some(Ok(file)) => file.finish(),
                        Some(Err(error)) => Err(error),
                        None => Ok(()),
                    };
                    if outcomes.send((checkpoint, outcome)).is_err() {
                        return;
                    }
                    owner.unpark();
                }
            }
        }
    }

    fn append(&mut self, checkpoint: CheckpointId, chunk: &[u8]) {
        let (store, path) = (&self.store, self.store.part_path(checkpoint, self.attempt, self.worker));
        let file = self.files.entry(checkpoint).or_insert_with(|| store.create_part(&path));
        if let Ok(open) = file
            && let Err(error) = open.write(chunk)
        {
            *file = Err(error);
        }
    }
}

/// For jobs without a checkpoint directory: cuts happen, so that sinks commit, but no state is kept.
pub(crate) struct NoPartIo {
    finished: VecDeque<CheckpointId>,
}

impl NoPartIo {
    pub(crate) fn new() -> Self {
        NoPartIo { finished: VecDeque::new() }
    }
}

impl PartIo for NoPartIo {
    fn wants_state(&self) -> bool {
        false
    }

    fn part_path(&self, checkpoint: CheckpointId) -> String {
        format!("not-kept-{checkpoint}")
    }

    fn append(&mut self, _checkpoint: CheckpointId, _chunk: Vec<u8>) {}

    fn finish(&mut self, checkpoint: CheckpointId) {
        self.finished.push_back(checkpoint);
    }

    fn poll(&mut self) -> Option<(CheckpointId, Result<()>)> {
        self.finished.pop_front().map(|checkpoint| (checkpoint, Ok(())))
    }

    fn bytes_waiting(&self) -> usize {
        0
    }
}
