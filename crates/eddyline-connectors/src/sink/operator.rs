//! The worker's half of a file sink: encodes records, cuts files, commits them.
//!
//! State: the files that are sealed and whose visible name is not durable yet. It is kept as union state, so that
//! after a restore every instance knows the files of all and none removes what another has to commit.

use super::bucket;
use super::commit::{commit_file, remove_stale};
use super::name::NamePattern;
use super::open_file::OpenFile;
use super::writer::{Command, Event, Writer};
use super::{FileSink, SUCCESS_MARKER};
use crate::environment::ConnectorEnvironment;
use crate::lane::Lane;
use eddyline_core::{Batch, Data, Error, EventTime, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::{FileSystem, ManagedState, OperatorListState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;

/// Encoded bytes that are handed to the disk at a time.
const WRITE_BYTES: usize = 256 << 10;
/// Of several files, each hands over when it has its share, down to this part.
const WRITE_SHARES_MAX: usize = 16;
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
    /// The files that are being written, by bucket.
    open: BTreeMap<String, OpenFile<T>>,
    current: bucket::Current,
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
    /// The input has ended; a job that is suspended has not.
    ended: bool,
}

impl<T: Data> FileSinkOperator<T> {
    pub(super) fn new(sink: FileSink<T>) -> Self {
        FileSinkOperator {
            pattern: NamePattern::new(&sink.prefix, &sink.full_suffix(), ""),
            sink,
            files: ConnectorEnvironment::default().file_system,
            attempt: 0,
            instance: 0,
            lane: None,
            open: BTreeMap::new(),
            current: bucket::Current::default(),
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
            ended: false,
        }
    }

    fn send(&mut self, command: Command) {
        if let Some(lane) = &mut self.lane {
            lane.send(command);
        }
    }

    /// Writes a record of event time `timestamp`.
    pub(super) fn write_record(&mut self, value: &T, timestamp: EventTime, now_ms: i64) -> Result<()> {
        let mut current = std::mem::take(&mut self.current);
        if let Some(assigner) = &self.sink.bucket {
            current.find(assigner, value, (timestamp, now_ms));
        }
        self.write_to(&current.bucket, value, now_ms)?;
        self.current = current;
        Ok(())
    }

    fn write_to(&mut self, bucket: &str, value: &T, now_ms: i64) -> Result<()> {
        if !self.open.contains_key(bucket) {
            self.begin(bucket, now_ms)?;
        }
        let write_bytes = WRITE_BYTES / self.open.len().clamp(1, WRITE_SHARES_MAX);
        let Some(file) = self.open.get_mut(bucket) else { return Ok(()) };
        file.add(value, now_ms)?;
        if file.length() >= self.sink.roll_bytes {
            self.seal(bucket)?;
        } else if file.ready_bytes() >= write_bytes {
            let (name, bytes) = (file.name.clone(), file.take_ready());
            self.hand_over(name, bytes);
        }
        Ok(())
    }

    /// Begins a file in `bucket`; if there are too many, the one is sealed that was not written to for longest.
    fn begin(&mut self, bucket: &str, now_ms: i64) -> Result<()> {
        bucket::check(bucket)?;
        if self.open.len() >= self.sink.open_files_max {
            let quietest = self.open.iter().min_by_key(|(_, file)| file.touched_ms);
            if let Some(quietest) = quietest.map(|(bucket, _)| bucket.clone()) {
                self.seal(&quietest)?;
            }
        }
        let name = self.pattern.visible(self.attempt, self.instance, self.next_number);
        self.next_number += 1;
        let name = if bucket.is_empty() { name } else { format!("{bucket}/{name}") };
        let file = OpenFile::begin(name, now_ms, &self.sink.encoders, self.sink.compression)?;
        self.open.insert(bucket.to_owned(), file);
        Ok(())
    }

    /// Hands bytes of a file to the disk.
    fn hand_over(&mut self, file: String, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.waiting_bytes += bytes.len() as i64;
            self.send(Command::Write { file, bytes });
        }
    }

    /// Ends the file of `bucket`.
    fn seal(&mut self, bucket: &str) -> Result<()> {
        let Some(file) = self.open.remove(bucket) else { return Ok(()) };
        let name = file.name.clone();
        let (rest, length) = file.finish()?;
        self.hand_over(name.clone(), rest);
        // Records may encode to nothing: then there is no file.
        if length > 0 {
            self.send(Command::Seal { file: name.clone() });
            self.sealed.push((name, length));
            self.sealed_total += 1;
        }
        Ok(())
    }

    /// Ends the files that are old enough, or quiet for long enough; answers when the next one will be.
    pub(super) fn roll(&mut self, now_ms: i64) -> Result<Option<i64>> {
        let (interval_ms, inactivity_ms) = (self.sink.roll_interval_ms, self.sink.roll_inactivity_ms);
        let due = |file: &OpenFile<T>| {
            file.opened_ms.saturating_add(interval_ms).min(file.touched_ms.saturating_add(inactivity_ms))
        };
        let over: Vec<String> = self
            .open
            .iter()
            .filter(|(_, file)| due(file) <= now_ms)
            .map(|(bucket, _)| bucket.clone())
            .collect();
        over.iter().try_for_each(|bucket| self.seal(bucket))?;
        Ok(self.open.values().map(due).min())
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
        self.pattern = NamePattern::new(&self.sink.prefix, &self.sink.full_suffix(), uid);
        (self.attempt, self.instance) = (attempt, instance);
        self.pending = OperatorListState::union("pending-files", instance);
        self.files.create_dir_all(&self.sink.directory)?;
        if self.sink.marks_success && instance == 0 {
            let marker = self.sink.directory.join(SUCCESS_MARKER);
            if self.files.exists(&marker)? {
                self.files.remove(&marker)?;
            }
        }
        let writer = Writer::new(self.files.clone(), self.sink.directory.clone());
        self.lane = Some(Lane::start(writer, environment.waiting, "file-sink", waker)?);
        Ok(())
    }

    /// Commits this instance's share of the restored files and removes what no checkpoint knows of.
    pub(super) fn recover(&mut self, parallelism: u32) -> Result<()> {
        let parallelism = parallelism.max(1);
        let all = self.pending.items().to_vec();
        let (files, directory) = (self.files.as_ref(), &self.sink.directory);
        let taken = remove_stale(
            files,
            directory,
            &self.pattern,
            &all,
            (self.instance, parallelism),
            self.sink.bucket.is_some(),
        )?;
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
        let buckets: Vec<String> = self.open.keys().cloned().collect();
        buckets.iter().try_for_each(|bucket| self.seal(bucket))?;
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

    /// Says that the output is complete, if that was asked for and it is.
    pub(super) fn mark_success(&mut self) -> Result<()> {
        if self.sink.marks_success && self.ended && self.instance == 0 {
            // One that is there already says the same.
            if let Some(mut marker) = self.files.create_new(&self.sink.directory.join(SUCCESS_MARKER))? {
                marker.sync()?;
            }
            self.files.sync_dir(&self.sink.directory)?;
        }
        Ok(())
    }

    fn settle(&mut self, context: &OperatorContext<'_>) {
        let held =
            self.waiting_bytes + self.open.values().map(|file| file.memory_bytes() as i64).sum::<i64>();
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
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            panics::at_row(row as u64);
            self.write_record(&record.value, record.timestamp, now_ms)?;
        }
        if let Some(next_ms) = self.roll(now_ms)? {
            context.wake_at(next_ms);
        }
        self.collect()?;
        self.settle(context);
        Ok(())
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if let Some(next_ms) = self.roll(now_ms)? {
            context.wake_at(next_ms);
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

    fn on_end(&mut self, _: &mut OperatorContext<'_>) -> Result<Progress> {
        self.ended = true;
        Ok(Progress::Done)
    }

    fn finished(&mut self) -> Result<()> {
        self.mark_success()
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
