//! How a job is to be run.

use super::places::Places;
use crate::graph::Job;
use crate::services::Services;
use crate::shared::Limits;
use crate::supervisor::SnapshotToRestore;
use crate::worker::{Restored, WorkerConfig};
use eddyline_core::{Clock, Error, Result, SystemClock};
use eddyline_mesh::{Secret, TlsMode};
use eddyline_protocol::{AttemptConfig, CheckpointConfig, DropState, RestartStrategy, RestoreRequest};
use eddyline_state::{CheckpointStore, FileObjects, FileSystem, LocalFileSystem};
use eddyline_storage::{Location, StorageSettings};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Makes a job anew for another number of workers.
pub trait Rescaler: Send + Sync {
    /// Whether the job could run with so many workers, over all processes.
    ///
    /// # Errors
    /// Why it could not.
    fn check(&self, parallelism: u32) -> Result<()>;

    /// The job for so many workers. Called when the job does not run.
    ///
    /// # Errors
    /// As [`Rescaler::check`].
    fn build(&self, parallelism: u32) -> Result<Job>;
}

/// How a job is to be run.
#[derive(Clone)]
pub struct JobOptions {
    /// Worker threads of each process.
    pub workers: u32,
    /// Processes; 1 runs the job in this one.
    pub processes: u32,
    /// Where the processes listen to one another; empty: anywhere on the loopback interface.
    pub addresses: Vec<String>,
    /// The secret the processes share; none: a fresh one.
    pub secret: Option<Secret>,
    /// Whether connections are encrypted.
    pub tls: TlsMode,
    /// Where checkpoints are kept, a directory or a URL (`s3://…`, `hdfs://…`); none: nowhere, and a failure ends the
    /// job.
    pub checkpoint_dir: Option<PathBuf>,
    /// Where savepoints are written if nobody says where.
    pub savepoint_dir: Option<String>,
    /// The files in which checkpoints are kept, unless their place is a URL.
    pub file_system: Arc<dyn FileSystem>,
    /// What remote storage has to be told.
    pub storage: StorageSettings,
    /// Whether the parts of checkpoints are compressed.
    pub compresses_snapshots: bool,
    /// Where copies of the parts written on this machine are kept, so that a restart here need not read them from far
    /// away; none: nowhere.
    pub local_backup: Option<PathBuf>,
    /// A savepoint, or a kept checkpoint, to start from.
    pub restore_from: Option<SnapshotToRestore>,
    /// Where a job that keeps checkpoints can be spoken to by `eddyline job`; none: nowhere.
    pub control_dir: Option<PathBuf>,
    /// Makes the job anew for another number of workers; none: it cannot be rescaled while it runs.
    pub rescaler: Option<Arc<dyn Rescaler>>,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointConfig,
    /// What happens after a failure; none: restarts by default if checkpoints are kept, else not.
    pub restart: Option<RestartStrategy>,
    /// Whether state that no operator takes may be dropped.
    pub allow_non_restored_state: bool,
    /// The uids of operators whose state is not restored: once, from the checkpoints that are there at the start.
    pub drop_state: BTreeSet<String>,
    /// The memory of one worker, bytes.
    pub memory_bytes: usize,
    /// Least length of a tick.
    pub tick_length: Duration,
    /// Whether each record gets a tick of its own, so that watermarks fall exactly where a record-at-a-time
    /// processor has them.
    pub on_event: bool,
    /// Whether each batch of a source gets a tick of its own. A source that cuts its batches where a watermark matters
    /// thus has watermarks where they matter, at the cost of a tick per batch instead of one per record.
    pub tick_per_batch: bool,
    /// Longest time a small part of a batch is held back.
    pub buffer_timeout: Duration,
    /// Most rows in a batch.
    pub batch_rows: usize,
    /// Entries of state encoded between two batches while a checkpoint is written.
    pub snapshot_entries_per_turn: usize,
    /// Between two heartbeats of a process.
    pub heartbeat_interval: Duration,
    /// Time-outs of processes; `None`: the defaults.
    pub attempts: Option<AttemptConfig>,
    /// What the environment lends to operators.
    pub services: Services,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether Ctrl-C stops the job cleanly (only one job of a process can want that).
    pub handle_signals: bool,
}

impl Default for JobOptions {
    fn default() -> Self {
        JobOptions {
            workers: 1,
            processes: 1,
            addresses: Vec::new(),
            secret: None,
            tls: TlsMode::Auto,
            checkpoint_dir: None,
            savepoint_dir: None,
            file_system: Arc::new(LocalFileSystem),
            storage: StorageSettings::default(),
            compresses_snapshots: false,
            local_backup: None,
            restore_from: None,
            control_dir: None,
            rescaler: None,
            checkpoints: CheckpointConfig::default(),
            restart: None,
            allow_non_restored_state: false,
            drop_state: BTreeSet::new(),
            memory_bytes: 1 << 30,
            tick_length: Duration::from_millis(10),
            on_event: false,
            tick_per_batch: false,
            buffer_timeout: Duration::from_micros(200),
            batch_rows: 4096,
            snapshot_entries_per_turn: 8192,
            heartbeat_interval: Duration::from_millis(500),
            attempts: None,
            services: Services::default(),
            clock: Arc::new(SystemClock::new()),
            handle_signals: false,
        }
    }
}

impl JobOptions {
    /// Checks what can be checked before anything starts.
    ///
    /// # Errors
    /// Of kind `Config`, naming the option.
    pub fn validate(&self) -> Result<()> {
        if self.workers == 0 || self.processes == 0 {
            return Err(Error::config("a job needs at least one process with one worker")
                .with_hint("set parallelism.default and --processes to 1 or more"));
        }
        if !self.addresses.is_empty() && self.addresses.len() != self.processes as usize {
            return Err(Error::config(format!(
                "{} addresses are given for {} processes",
                self.addresses.len(),
                self.processes
            ))
            .with_hint("give one address per process, in order"));
        }
        if self.memory_bytes < 1 << 20 {
            return Err(Error::config("less than 1 MiB of memory cannot work")
                .with_hint("raise taskmanager.memory.process.size"));
        }
        if self.processes > 1
            && let Some(root) = self.checkpoint_location()
            && !Location::parse(&root)?.is_shared()
        {
            return Err(Error::config("several processes cannot keep checkpoints in the memory of one")
                .with_detail(root)
                .with_hint("give a directory, or a URL that all processes can reach"));
        }
        if self.batch_rows == 0 {
            return Err(Error::config("batches need at least one row"));
        }
        self.checkpoints.validate()
    }

    pub(crate) fn store(&self, job: &str) -> Result<Option<Arc<CheckpointStore>>> {
        match &self.checkpoint_dir {
            None => Ok(None),
            Some(root) => {
                let storage = self.places().open(&root.to_string_lossy())?;
                let owner = format!("process {} at {}", std::process::id(), self.clock.wall_micros());
                let mut store =
                    CheckpointStore::on(storage, job)?.owned_by(owner).compressing(self.compresses_snapshots);
                if let Some(nearby) = &self.local_backup {
                    store = store.with_copies(Arc::new(FileObjects::new(self.file_system.clone(), nearby)));
                }
                Ok(Some(Arc::new(store)))
            }
        }
    }

    /// Where checkpoints are kept, as text.
    pub(crate) fn checkpoint_location(&self) -> Option<String> {
        self.checkpoint_dir.as_ref().map(|root| root.to_string_lossy().into_owned())
    }

    pub(crate) fn places(&self) -> Places {
        Places { files: self.file_system.clone(), settings: self.storage.clone() }
    }

    pub(crate) fn restart_strategy(&self) -> RestartStrategy {
        match (&self.restart, &self.checkpoint_dir) {
            (Some(strategy), _) => strategy.clone(),
            (None, Some(_)) => RestartStrategy::default(),
            (None, None) => RestartStrategy::None,
        }
    }

    pub(crate) fn restore_request(&self, job: &Job) -> RestoreRequest {
        RestoreRequest {
            job: job.graph.name.clone(),
            max_parallelism: job.graph.max_parallelism,
            uids: job.graph.nodes.iter().map(|node| node.uid.clone()).collect(),
            allow_non_restored_state: self.allow_non_restored_state,
            allow_fresh_start: false,
            drop_state: DropState { uids: self.drop_state.clone(), before: None },
        }
    }

    pub(crate) fn worker_config(
        &self,
        job: &Arc<Job>,
        attempt: u64,
        restored: Option<Restored>,
    ) -> WorkerConfig {
        let mut limits = Limits::from_memory(self.memory_bytes);
        limits.batch_rows = self.batch_rows;
        WorkerConfig {
            job: job.clone(),
            attempt,
            clock: self.clock.clone(),
            services: self.services.clone(),
            limits,
            tick_micros: if self.on_event || self.tick_per_batch {
                0
            } else {
                self.tick_length.as_micros() as u64
            },
            on_event: self.on_event,
            tick_per_batch: self.tick_per_batch,
            buffer_timeout_micros: self.buffer_timeout.as_micros() as u64,
            snapshot_entries_per_turn: self.snapshot_entries_per_turn,
            restored,
        }
    }
}
