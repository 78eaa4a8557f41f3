//! The worker's half of a file sink: encodes records, cuts files, commits them.
//!
//! State: the files that are sealed and whose visible name is not durable yet. It is kept as union state, so that
//! after a restore every instance knows the files of all and none removes what another has to commit.

use super::FileSink;
use super::commit::{commit_file, remove_stale};
use super::name::NamePattern;
use super::writer::{Command, Event, Writer};
use crate::environment::ConnectorEnvironment;
use crate::lane::Lane;
use eddyline_core::{Batch, Data, Error, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::{FileSystem, ManagedState, OperatorListState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;

/// Encoded bytes that are handed to the disk at a time.
const WRITE_BYTES: usize = 256 << 10;
/// Bytes that wait for the disk above which no more records are taken.
const WAITING_BYTES_MAX: i64 = 8 << 20;

/// A file that is written and waits to become visible.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct PendingFile {
    /// The name under which it becomes visible.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The checkpoint that it belongs to.
    pub checkpoint: CheckpointId,
}

/// The file that is being written.
struct Current {
    name: String,
    bytes: u64,
    opened_ms: i64,
}

/// A cut whose files are being made durable.
struct Preparing {
    /// How many files had been sealed then.
    sealed_total: u64,
    outcome: Option<Result<()>>,
}

/// One instance of a [`FileSink`].
pub struct FileSinkOperator<T> {
    sink: FileSink<T>,
    files: Arc<dyn FileSystem>,
    pattern: NamePattern,
    attempt: u64,
    instance: u32,
    lane: Option<Lane<Writer>>,
    current: Option<Current>,
    buffer: Vec<u8>,
    next_number: u64,
    pub(super) pending: OperatorListState<PendingFile>,
    /// Files sealed since the last cut.
    sealed: Vec<(String, u64)>,
    /// How many files were sealed, and how many of them are known to be durable.
    sealed_total: u64,
    durable_total: u64,
    /// Cuts whose files are being made durable.
    preparing: BTreeMap<CheckpointId, Preparing>,
    /// Files that are visible already, though not durably so; names that were asked to be made durable and failed.
    visible: BTreeSet<String>,
    unsynced_names: Vec<String>,
    waiting_bytes: i64,
    accounted_bytes: i64,
    failure: Option<Error>,
}

impl<T: Data> FileSinkOperator<T> {
    pub(super) fn new(sink: FileSink<T>) -> Self {
        FileSinkOperator {
            pattern: NamePattern::new(&sink.prefix, &sink.suffix, ""),
            sink,
            files: ConnectorEnvironment::default().file_system,
            attempt: 0,
            instance: 0,
            lane: None,
            current: None,
            buffer: Vec::new(),
            next_number: 0,
            pending: OperatorListState::union("pending-files", 0),
            sealed: Vec::new(),
            sealed_total: 0,
            durable_total: 0,
            preparing: BTreeMap::new(),
            visible: BTreeSet::new(),
            unsynced_names: Vec::new(),
            waiting_bytes: 0,
            accounted_bytes: 0,
            failure: None,
        }
    }

    fn send(&mut self, command: Command) {
        if let Some(lane) = &mut self.lane {
            lane.send(command);
        }
    }

    pub(super) fn write_record(&mut self, value: &T, now_ms: i64) {
        if self.current.is_none() {
            let name = self.pattern.visible(self.attempt, self.instance, self.next_number);
            self.next_number += 1;
            self.current = Some(Current { name, bytes: 0, opened_ms: now_ms });
        }
        let before = self.buffer.len();
        (self.sink.encoder)(value, &mut self.buffer);
        let Some(current) = &mut self.current else { return };
        current.bytes += (self.buffer.len() - before) as u64;
        if current.bytes >= self.sink.roll_bytes {
            self.seal();
        } else if self.buffer.len() >= WRITE_BYTES {
            self.hand_over();
        }
    }

    /// Hands the buffer to the disk.
    fn hand_over(&mut self) {
        let Some(current) = &self.current else { return };
        if self.buffer.is_empty() {
            return;
        }
        let (file, bytes) = (current.name.clone(), std::mem::take(&mut self.buffer));
        self.waiting_bytes += bytes.len() as i64;
        self.send(Command::Write { file, bytes });
    }

    /// Ends the current file.
    fn seal(&mut self) {
        self.hand_over();
        let Some(Current { name, bytes, .. }) = self.current.take() else { return };
        // Records may encode to nothing: then there is no file.
        if bytes > 0 {
            self.send(Command::Seal { file: name.clone() });
            self.sealed.push((name, bytes));
            self.sealed_total += 1;
        }
    }

    /// Takes in what the disk has done.
    pub(super) fn collect(&mut self) -> Result<()> {
        while let Some(event) = self.lane.as_mut().map_or(Ok(None), Lane::poll)? {
            match event {
                Event::Written { bytes } => {
                    self.waiting_bytes -= bytes as i64;
                    self.failure = None;
                }
                Event::WriteFailed(error) => self.failure = Some(error),
                Event::Prepared { checkpoint, outcome } => {
                    if let Some(preparing) = self.preparing.get_mut(&checkpoint) {
                        if outcome.is_ok() {
                            self.durable_total = self.durable_total.max(preparing.sealed_total);
                        }
                        preparing.outcome = Some(outcome);
                    }
                }
                Event::NamesSynced { files, outcome } => match outcome {
                    Ok(()) => {
                        self.pending.items_mut().retain(|file| !files.contains(&file.name));
                        self.visible.retain(|name| !files.contains(name));
                    }
                    // They are in the state still, and the next cut asks again.
                    Err(_) => self.unsynced_names.extend(files),
                },
            }
        }
        match &self.failure {
            // As long as there is room, it is tried again; at the next cut that checkpoint alone fails.
            Some(error) if self.waiting_bytes >= WAITING_BYTES_MAX => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Begins to write for instance `instance` of attempt `attempt`.
    pub(super) fn start(
        &mut self,
        environment: ConnectorEnvironment,
        uid: &str,
        (attempt, instance): (u64, u32),
        waker: Waker,
    ) -> Result<()> {
        self.files = environment.file_system;
        self.pattern = NamePattern::new(&self.sink.prefix, &self.sink.suffix, uid);
        (self.attempt, self.instance) = (attempt, instance);
        self.pending = OperatorListState::union("pending-files", instance);
        self.files.create_dir_all(&self.sink.directory)?;
        let writer = Writer::new(self.files.clone(), self.sink.directory.clone());
        self.lane = Some(Lane::start(writer, environment.waiting, "file-sink", waker)?);
        Ok(())
    }

    /// Commits this instance's share of the restored files and removes what no checkpoint knows of.
    pub(super) fn recover(&mut self, parallelism: u32) -> Result<()> {
        let parallelism = parallelism.max(1);
        let all = self.pending.items().to_vec();
        let (files, directory) = (self.files.as_ref(), &self.sink.directory);
        let taken = remove_stale(files, directory, &self.pattern, &all, (self.instance, parallelism))?;
        let (attempt, instance) = (self.attempt, self.instance);
        let ours = taken.iter().filter(|name| name.attempt == attempt && name.instance == instance);
        self.next_number = ours.map(|name| name.number + 1).max().unwrap_or(0);
        let mine = (0u32..).zip(all).filter(|(index, _)| index % parallelism == instance);
        self.pending.set(mine.map(|(_, file)| file).collect());
        // What a checkpoint says that a job is restored from is committed, whether or not that was done before.
        self.commit(CheckpointId::MAX, true)
    }

    /// Seals what was written and begins to make it durable for `checkpoint`.
    pub(super) fn cut(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.seal();
        for (name, bytes) in std::mem::take(&mut self.sealed) {
            self.pending.add(PendingFile { name, bytes, checkpoint });
        }
        if !self.unsynced_names.is_empty() {
            let files = std::mem::take(&mut self.unsynced_names);
            self.send(Command::SyncNames { files });
        }
        // What an earlier cut has not made durable yet is part of this one too.
        if self.durable_total < self.sealed_total {
            let sealed_total = self.sealed_total;
            self.preparing.insert(checkpoint, Preparing { sealed_total, outcome: None });
            self.send(Command::Prepare { checkpoint });
        }
        self.collect()
    }

    fn settle(&mut self, context: &OperatorContext<'_>) {
        let held = self.waiting_bytes + self.buffer.capacity() as i64;
        if held != self.accounted_bytes {
            context.account_bytes(held - self.accounted_bytes);
            self.accounted_bytes = held;
        }
    }

    /// Makes visible what belongs to `checkpoint` or an earlier one. `repeated` says that it may have been done in
    /// an earlier attempt.
    pub(super) fn commit(&mut self, checkpoint: CheckpointId, repeated: bool) -> Result<()> {
        let mut names = Vec::new();
        for file in self.pending.items().iter().filter(|file| file.checkpoint <= checkpoint) {
            // Whoever reads the output may have taken a visible file away: it is not looked for again.
            if !self.visible.contains(&file.name) {
                commit_file(self.files.as_ref(), &self.sink.directory, file, repeated)?;
                names.push(file.name.clone());
            }
        }
        if !names.is_empty() {
            self.visible.extend(names.iter().cloned());
            self.send(Command::SyncNames { files: names });
        }
        self.preparing = self.preparing.split_off(&checkpoint.saturating_add(1));
        self.collect()
    }
}

impl<T: Data> Stateful for FileSinkOperator<T> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.pending)
    }
}

impl<T: Data> Operator for FileSinkOperator<T> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let environment = ConnectorEnvironment::of(context);
        let waker = context.waker().clone();
        let info = context.info();
        self.start(environment, &info.uid, (info.attempt, info.instance), waker)
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.recover(context.info().parallelism)
    }

    fn on_batch(&mut self, _: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let now_ms = context.processing_time_ms();
        let was_open = self.current.as_ref().map(|current| current.opened_ms);
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            panics::at_row(row as u64);
            self.write_record(&record.value, now_ms);
        }
        if let Some(current) = self.current.as_ref().filter(|current| was_open != Some(current.opened_ms)) {
            context.wake_at(current.opened_ms.saturating_add(self.sink.roll_interval_ms));
        }
        self.collect()?;
        self.settle(context);
        Ok(())
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if let Some(current) = &self.current {
            let due_ms = current.opened_ms.saturating_add(self.sink.roll_interval_ms);
            if due_ms <= now_ms {
                self.seal();
            } else {
                context.wake_at(due_ms);
            }
        }
        self.collect()?;
        self.settle(context);
        Ok(Progress::Done)
    }

    fn on_wake(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.collect()?;
        self.settle(context);
        Ok(Progress::Done)
    }

    fn accepts_input(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES_MAX
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        self.cut(checkpoint)?;
        self.settle(context);
        Ok(())
    }

    fn poll_prepared(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        self.collect()?;
        match self.preparing.get(&checkpoint) {
            Some(Preparing { outcome: None, .. }) => Ok(Progress::Waiting),
            None => Ok(Progress::Done),
            Some(_) => {
                let outcome = self.preparing.remove(&checkpoint).and_then(|preparing| preparing.outcome);
                outcome.unwrap_or(Ok(())).map(|()| Progress::Done)
            }
        }
    }

    fn on_commit(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        self.commit(checkpoint, false)?;
        self.settle(context);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(mut lane) = self.lane.take() {
            lane.finish();
        }
    }
}
