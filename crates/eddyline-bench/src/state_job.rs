//! State of a given size: how long it takes to be there again after a stop, how much a checkpoint writes when a part of
//! it has changed, and what a savepoint costs the job while it is taken.
//!
//! The source gives as many records as it is let: first every key once, then keys at random. So the program around the
//! job decides what is to change between two checkpoints. State is in memory, or, with `backend=rocksdb`, in RocksDB with
//! `memory_mb` of memory.

use crate::bid::mixed;
use crate::figures::{self, Settings};
use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, Data, Error, Record, Result};
use eddyline_protocol::{CheckpointConfig, StopMode};
use eddyline_runtime::attempt::{self, JobHandle, JobOptions, JobState};
use eddyline_runtime::graph::{Job, JobBuilder, NodeSpec, Partitioning};
use eddyline_runtime::{Operator, OperatorContext, Services, Source, SourceStatus, Stateful};
use eddyline_state::{KeyedTable, ManagedState};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// 88 bytes; with its key of 8 and the table's own word, about 100.
type Value = [u64; 11];
/// Bytes of a key and its value in a checkpoint.
const ENTRY_BYTES: u64 = 96;
/// Between two looks at the job.
const LOOK: Duration = Duration::from_millis(1);
/// While nobody lets it, the source looks again after so long, milliseconds.
const WAIT_MS: i64 = 1;
const UNLIMITED: u64 = u64::MAX;

/// Records that the source may give in all, and the keys they are of.
#[derive(Clone)]
struct Allowance {
    records: Arc<AtomicU64>,
    keys: u64,
    /// Whether every key comes once before any comes at random.
    fills: bool,
}

struct Fed {
    allowance: Allowance,
    next: u64,
}

impl Stateful for Fed {}

impl Source for Fed {
    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        let allowed = self.allowance.records.load(Ordering::Acquire);
        let rows = (context.batch_rows_max() as u64).min(allowed.saturating_sub(self.next));
        if rows == 0 {
            context.wake_at(context.processing_time_ms() + WAIT_MS);
            return Ok(SourceStatus::Pending);
        }
        let Allowance { keys, fills, .. } = self.allowance;
        let key_of = |number: u64| match number {
            first if fills && first < keys => first,
            later => ((u128::from(mixed(later)) * u128::from(keys)) >> 64) as u64,
        };
        let rows_now = (self.next..self.next + rows).map(|number| Record::new(key_of(number), 0)).collect();
        context.emit_rows::<u64>(0, rows_now, 0)?;
        self.next += rows;
        Ok(SourceStatus::Ready)
    }
}

#[derive(Default)]
struct Update {
    table: Option<KeyedTable<u64, Value>>,
}

impl Stateful for Update {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.table.as_mut().expect("invariant: open is called first"))
    }
}

impl Operator for Update {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.table = Some(context.states().keyed_table("values")?);
        Ok(())
    }

    fn key_hashes(&mut self, _: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        Ok(batch.rows::<u64>()?[rows].iter().map(|record| record.value.stable_hash()).collect())
    }

    fn on_batch(&mut self, _: usize, mut batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        let table = self.table.as_mut().expect("invariant: open is called first");
        for record in batch.rows_mut::<u64>()? {
            let value =
                table.entry_or_insert_with(record.value.stable_hash(), &record.value, || [record.value; 11]);
            value[3] = value[3].wrapping_add(1);
        }
        Ok(())
    }
}

fn job(allowance: &Allowance) -> Result<Job> {
    let mut builder = JobBuilder::new("state", 128);
    let allowance = allowance.clone();
    let source =
        builder.add_source(NodeSpec::named("fed"), move || Fed { allowance: allowance.clone(), next: 0 });
    let sink = builder.add_sink(NodeSpec::named("update"), Update::default);
    builder.connect((source, 0), (sink, 0), Partitioning::Forward, None, decode_rows::<u64>);
    builder.build()
}

/// Where state is kept, and how much memory a worker has.
struct Backend {
    is_rocksdb: bool,
    memory_bytes: usize,
}

impl Backend {
    fn read(settings: &Settings) -> Result<Self> {
        let is_rocksdb = match settings.word("backend") {
            "" | "hashmap" => false,
            "rocksdb" => true,
            other => return Err(Error::config(format!("there is no backend `{other}`"))),
        };
        let memory_bytes = (settings.number("memory_mb", 16 << 10)? as usize) << 20;
        Ok(Backend { is_rocksdb, memory_bytes })
    }

    #[cfg(feature = "rocksdb")]
    fn services(&self, folder: &Path) -> Result<Services> {
        use eddyline_runtime::StateBackendService;
        use eddyline_state_rocksdb::{RocksDb, RocksDbOptions};

        let mut services = Services::default();
        if self.is_rocksdb {
            let directory = folder.join("rocksdb");
            let backend = RocksDb::new(RocksDbOptions { directory, ..RocksDbOptions::default() });
            services.insert(Arc::new(StateBackendService(Arc::new(backend))));
        }
        Ok(services)
    }

    #[cfg(not(feature = "rocksdb"))]
    fn services(&self, _folder: &Path) -> Result<Services> {
        if self.is_rocksdb {
            return Err(Error::config("this program was built without RocksDB")
                .with_hint("build it with the feature `rocksdb` of the crate `eddyline-bench`"));
        }
        Ok(Services::default())
    }
}

/// A job that runs, and how to let its source give records.
struct Running {
    handle: JobHandle,
    allowance: Allowance,
    came_up: Duration,
}

impl Running {
    fn start(backend: &Backend, folder: &Path, keys: u64, fills: bool) -> Result<Self> {
        let allowance = Allowance { records: Arc::new(AtomicU64::new(0)), keys, fills };
        let checkpoints = CheckpointConfig { interval_ms: None, ..CheckpointConfig::default() };
        let options = JobOptions {
            memory_bytes: backend.memory_bytes,
            services: backend.services(folder)?,
            checkpoint_dir: Some(folder.join("checkpoints")),
            checkpoints,
            ..JobOptions::default()
        };
        let since = Instant::now();
        let handle = attempt::start(job(&allowance)?, options)?;
        while handle.state() != JobState::Running {
            if handle.is_finished() {
                return Err(handle
                    .wait()
                    .err()
                    .unwrap_or_else(|| Error::internal("the job ended by itself")));
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(Running { handle, allowance, came_up: since.elapsed() })
    }

    /// Lets the source give `records`, and waits until they are processed.
    fn process(&self, records: u64) {
        self.allowance.records.store(records, Ordering::Release);
        while self.handle.status().records_out < records {
            std::thread::park_timeout(LOOK);
        }
    }

    fn suspend(self) -> Result<()> {
        self.handle.stop(StopMode::Suspend);
        self.handle.wait().map(drop)
    }
}

/// Bytes in the newest checkpoint's own directory: what it has written.
fn written_by_newest(folder: &Path) -> Result<u64> {
    let unreadable = |error: std::io::Error| Error::storage(format!("checkpoints cannot be listed: {error}"));
    let mut newest = None;
    for entry in std::fs::read_dir(folder.join("checkpoints/state")).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_complete = path.join("COMPLETE").exists();
        newest = newest.max(is_complete.then_some(path));
    }
    let Some(newest) = newest else { return Err(Error::internal("there is no checkpoint")) };
    let mut bytes = 0;
    for entry in std::fs::read_dir(newest).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_part = entry.file_name().to_string_lossy().starts_with("part-");
        bytes += if is_part { entry.metadata().map_err(unreadable)?.len() } else { 0 };
    }
    Ok(bytes)
}

/// Fills state of `megabytes`, stops, and starts again; tells `recovery_ms`, and for each share of changed keys
/// `written_percent.P`, as percent of the whole.
///
/// # Errors
/// If a job fails.
pub fn run(settings: &Settings) -> Result<()> {
    let keys = settings.number("megabytes", 100)? * 1_000_000 / ENTRY_BYTES;
    let (folder, backend) = (folder(settings)?, Backend::read(settings)?);
    let first = Running::start(&backend, folder.path(), keys, true)?;
    first.process(keys);
    first.suspend()?;
    let whole = written_by_newest(folder.path())?;
    figures::print("whole_bytes", whole as f64);
    for percent in [0, 1, 10, 50] {
        let again = Running::start(&backend, folder.path(), keys, false)?;
        if percent == 0 {
            figures::print("recovery_ms", again.came_up.as_secs_f64() * 1e3);
        }
        again.process(keys * percent / 100);
        again.suspend()?;
        let written = written_by_newest(folder.path())?;
        figures::print(&format!("written_percent.{percent}"), written as f64 / whole as f64 * 100.0);
    }
    Ok(())
}

/// Changes state of `megabytes` at full speed; tells `kept_percent`, the throughput while a savepoint is taken, and
/// `savepoint_ms`.
///
/// # Errors
/// If the job fails.
pub fn run_savepoint(settings: &Settings) -> Result<()> {
    let keys = settings.number("megabytes", 1_000)? * 1_000_000 / ENTRY_BYTES;
    let seconds = Duration::from_secs(settings.number("seconds", 10)?);
    let (folder, backend) = (folder(settings)?, Backend::read(settings)?);
    let running = Running::start(&backend, folder.path(), keys, true)?;
    running.process(keys);
    running.allowance.records.store(UNLIMITED, Ordering::Release);
    let kept = folder.path().join("kept").display().to_string();
    let rate = |until: &dyn Fn(Duration) -> bool| {
        let (since, before) = (Instant::now(), running.handle.status().records_out);
        while !until(since.elapsed()) {
            std::thread::park_timeout(LOOK);
        }
        (running.handle.status().records_out - before) as f64 / since.elapsed().as_secs_f64()
    };
    let undisturbed = rate(&|elapsed| elapsed >= seconds);
    let control = running.handle.control();
    let since = Instant::now();
    let taking = std::thread::spawn(move || control.trigger_savepoint(&kept));
    let disturbed = rate(&|_| taking.is_finished());
    figures::print("savepoint_ms", since.elapsed().as_secs_f64() * 1e3);
    figures::print("kept_percent", disturbed / undisturbed * 100.0);
    match taking.join() {
        Ok(taken) => taken.map(drop)?,
        Err(_) => return Err(Error::internal("the thread that takes the savepoint panicked")),
    }
    running.handle.cancel();
    // Cancelled is how it is meant to end.
    let _ = running.handle.wait();
    Ok(())
}

fn folder(settings: &Settings) -> Result<tempfile::TempDir> {
    let folder = match settings.word("dir") {
        "" => tempfile::tempdir(),
        parent => tempfile::tempdir_in(parent),
    };
    folder.map_err(|error| Error::storage(format!("there is no place for checkpoints: {error}")))
}
