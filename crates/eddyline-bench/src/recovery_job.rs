//! How long a failure keeps output back: a job whose sink writes files that become visible with a checkpoint, and
//! that tells when they do.

use crate::figures::{self, Settings};
use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, Clock, Data, Error, Record, Result, SystemClock};
use eddyline_protocol::{CheckpointConfig, CheckpointId, RestartStrategy, StopMode};
use eddyline_runtime::attempt::{self, JobOptions};
use eddyline_runtime::graph::{JobBuilder, NodeSpec, Partitioning};
use eddyline_runtime::{Operator, OperatorContext, Source, SourceStatus, Stateful, partition};
use eddyline_state::{KeyedTable, ManagedState, OperatorListState};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

const KEYS: u64 = 1_000;
const ROWS_PER_POLL: u64 = 100;
const POLL_INTERVAL_MS: i64 = 5;

/// Numbers at a modest rate, without end.
struct Numbers {
    next: OperatorListState<u64>,
    due_ms: i64,
}

impl Stateful for Numbers {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.next)
    }
}

impl Source for Numbers {
    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        // After a restart each instance sees what all had reached, and goes on from there.
        let reached = self.next.items().iter().copied().max().unwrap_or_default();
        self.next = OperatorListState::union("next", context.info().instance);
        self.next.set(vec![reached]);
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        let now_ms = context.processing_time_ms();
        if now_ms < self.due_ms {
            context.wake_at(self.due_ms);
            return Ok(SourceStatus::Pending);
        }
        self.due_ms = now_ms + POLL_INTERVAL_MS;
        let start = self.next.items().first().copied().unwrap_or_default();
        let rows = (start..start + ROWS_PER_POLL).map(|number| Record::new(number % KEYS, 0)).collect();
        self.next.set(vec![start + ROWS_PER_POLL]);
        context.emit_rows::<u64>(0, rows, 0)?;
        Ok(SourceStatus::Ready)
    }
}

/// Counts by key and passes the key on.
struct Count {
    table: Option<KeyedTable<u64, u64>>,
}

impl Stateful for Count {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.table.as_mut().expect("invariant: open is called first"))
    }
}

impl Operator for Count {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.table = Some(KeyedTable::new("counts", info.key_groups, info.max_parallelism));
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let table = self.table.as_mut().expect("invariant: open is called first");
        for record in batch.rows_mut::<u64>()? {
            *table.entry_or_insert_with(record.value.stable_hash(), &record.value, || 0) += 1;
        }
        context.emit(0, batch)
    }
}

/// Writes the number of records since the last cut into a file, durable at the cut and visible with its commit.
struct VisibleFiles {
    folder: Arc<PathBuf>,
    rows: u64,
    pending: BTreeMap<CheckpointId, (PathBuf, PathBuf)>,
}

fn storage(error: &std::io::Error) -> Error {
    Error::storage(format!("an output file cannot be written: {error}"))
}

impl Stateful for VisibleFiles {}

impl Operator for VisibleFiles {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        figures::print(&format!("pid.{}", context.info().attempt), f64::from(std::process::id()));
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        self.rows += batch.len() as u64;
        Ok(())
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows == 0 {
            return Ok(());
        }
        let info = context.info();
        let name = format!("{}-{}-{}", info.attempt, info.instance, checkpoint);
        let (hidden, visible) = (self.folder.join(format!(".{name}")), self.folder.join(&name));
        let mut file = std::fs::File::create(&hidden).map_err(|error| storage(&error))?;
        writeln!(file, "{rows}").and_then(|()| file.sync_all()).map_err(|error| storage(&error))?;
        self.pending.insert(checkpoint, (hidden, visible));
        Ok(())
    }

    fn on_commit(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        while let Some(entry) = self.pending.first_entry().filter(|entry| *entry.key() <= checkpoint) {
            let (hidden, visible) = entry.remove();
            std::fs::rename(hidden, visible).map_err(|error| storage(&error))?;
            let now = SystemClock::new().wall_micros();
            figures::print(&format!("commit.{}", context.info().attempt), now as f64);
        }
        Ok(())
    }
}

/// Runs until standard input ends; tells `pid.A` for every process of attempt A and `commit.A`, in microseconds
/// since the epoch, for all that becomes visible.
///
/// # Errors
/// If the job fails.
pub fn run(settings: &Settings) -> Result<()> {
    let folder = PathBuf::from(settings.word("dir"));
    let mut builder = JobBuilder::new("recovery", 128);
    let numbers = || Numbers { next: OperatorListState::union("next", 0), due_ms: 0 };
    let source = builder.add_source(NodeSpec::named("numbers"), numbers);
    let count = builder.add_operator(NodeSpec::named("count"), || Count { table: None });
    let output = Arc::new(folder.join("output"));
    std::fs::create_dir_all(output.as_ref()).map_err(|error| storage(&error))?;
    let sink = builder.add_sink(NodeSpec::named("files"), move || VisibleFiles {
        folder: Arc::clone(&output),
        rows: 0,
        pending: BTreeMap::new(),
    });
    let by_key = Some(partition::rows_by_key(|number: &u64| *number));
    builder.connect((source, 0), (count, 0), Partitioning::Hash, by_key, decode_rows::<u64>);
    builder.connect((count, 0), (sink, 0), Partitioning::Forward, None, decode_rows::<u64>);
    let options = JobOptions {
        workers: settings.number("workers", 1)? as u32,
        processes: settings.number("processes", 2)? as u32,
        checkpoint_dir: Some(folder.join("checkpoints")),
        checkpoints: CheckpointConfig {
            interval_ms: Some(settings.number("interval_ms", 200)?),
            ..CheckpointConfig::default()
        },
        restart: Some(RestartStrategy::FixedDelay {
            attempts: 1_000,
            delay_ms: settings.number("delay_ms", 0)?,
        }),
        ..JobOptions::default()
    };
    let handle = attempt::start(builder.build()?, options)?;
    let control = handle.control();
    std::thread::spawn(move || {
        // Whether it ends or breaks: nobody is there any more.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        control.stop(StopMode::Suspend);
    });
    handle.wait().map(drop)
}
