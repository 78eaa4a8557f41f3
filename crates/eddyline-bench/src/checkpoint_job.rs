//! What checkpoints cost: many keys of 100 bytes, changed as fast as they can be, with and without checkpoints.
//!
//! First every key is written once; then keys out of a part of them are changed at random. Once that has gone on for
//! a while, updates are counted, and the gaps between two calls of the operator: the longest is how long a checkpoint
//! (or another program) kept a record waiting. The same gaps in processor time of the operator's thread are what
//! Eddyline itself did in between.

use crate::bid::mixed;
use crate::figures::{self, Settings};
use crate::usage::thread_time;
use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, Data, Error, Record, Result};
use eddyline_protocol::CheckpointConfig;
use eddyline_runtime::attempt::{self, JobOptions};
use eddyline_runtime::graph::{JobBuilder, NodeSpec, Partitioning};
use eddyline_runtime::{Operator, OperatorContext, Source, SourceStatus, Stateful, partition};
use eddyline_state::{KeyedTable, ManagedState};
use std::time::{Duration, Instant};

/// 88 bytes; with its key of 8 and the table's own word, about 100.
type Value = [u64; 11];

#[derive(Debug, Clone, Copy)]
struct Plan {
    keys: u64,
    /// Out of so many keys changes are made.
    changing: u64,
    warm_up: Duration,
    measured: Duration,
    /// Updates per second at most; 0: as many as can be.
    rate: u64,
}

/// Every key once, then keys at random until the time is up.
struct KeySource {
    plan: Plan,
    next: u64,
    step: u64,
    filled: Option<Instant>,
}

impl Stateful for KeySource {}

impl Source for KeySource {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.next = u64::from(context.info().instance);
        self.step = u64::from(context.info().parallelism);
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        let plan = self.plan;
        if self.next >= plan.keys {
            let elapsed = self.filled.get_or_insert_with(Instant::now).elapsed();
            if elapsed > plan.warm_up + plan.measured {
                return Ok(SourceStatus::Finished);
            }
            let updates = (self.next - plan.keys) / self.step;
            if plan.rate > 0 && updates > elapsed.as_millis() as u64 * plan.rate / self.step / 1_000 {
                context.wake_at(context.processing_time_ms() + 1);
                return Ok(SourceStatus::Pending);
            }
        }
        let rows = context.batch_rows_max() as u64;
        let key_of = |number: u64| {
            if number < plan.keys {
                return number;
            }
            ((u128::from(mixed(number)) * u128::from(plan.changing)) >> 64) as u64
        };
        let rows = (0..rows).map(|turn| Record::new(key_of(self.next + turn * self.step), 0)).collect();
        context.emit_rows::<u64>(0, rows, 0)?;
        self.next += context.batch_rows_max() as u64 * self.step;
        Ok(SourceStatus::Ready)
    }
}

/// The longest and the number of long ones.
#[derive(Default)]
struct Gaps {
    longest: Duration,
    over_limit: u64,
}

impl Gaps {
    const LIMIT: Duration = Duration::from_millis(20);

    fn add(&mut self, gap: Duration) {
        self.longest = self.longest.max(gap);
        self.over_limit += u64::from(gap > Self::LIMIT);
    }
}

/// Changes a value per record.
struct Update {
    plan: Plan,
    table: Option<KeyedTable<u64, Value>>,
    taken: u64,
    filled: Option<Instant>,
    counted: u64,
    /// When measuring began, and the thread's processor time then.
    measured_since: Option<(Instant, Duration)>,
    last: Option<(Instant, Duration)>,
    wall: Gaps,
    own: Gaps,
}

impl Update {
    fn new(plan: Plan) -> Self {
        Update {
            plan,
            table: None,
            taken: 0,
            filled: None,
            counted: 0,
            measured_since: None,
            last: None,
            wall: Gaps::default(),
            own: Gaps::default(),
        }
    }

    fn note_gap(&mut self, rows: u64, parallelism: u32) {
        self.taken += rows;
        // Keys are spread by hash: an instance has about its share of them.
        if self.taken * u64::from(parallelism) < self.plan.keys {
            return;
        }
        if self.filled.get_or_insert_with(Instant::now).elapsed() < self.plan.warm_up {
            return;
        }
        self.measured_since.get_or_insert_with(|| (Instant::now(), thread_time()));
        self.counted += rows;
        if let Some((wall, own)) = self.last {
            self.wall.add(wall.elapsed());
            self.own.add(thread_time().saturating_sub(own));
        }
    }
}

impl Stateful for Update {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.table.as_mut().expect("invariant: open is called first"))
    }
}

impl Operator for Update {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.table = Some(KeyedTable::new("values", info.key_groups, info.max_parallelism));
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        self.note_gap(batch.len() as u64, context.info().parallelism);
        let table = self.table.as_mut().expect("invariant: open is called first");
        for record in batch.rows_mut::<u64>()? {
            let value =
                table.entry_or_insert_with(record.value.stable_hash(), &record.value, || [record.value; 11]);
            value[3] = value[3].wrapping_add(1);
        }
        self.last = Some((Instant::now(), thread_time()));
        Ok(())
    }

    fn close(&mut self) {
        // Until the last record: what follows is the checkpoint at the end of the input.
        let (Some((since, own)), Some((until, own_until))) = (self.measured_since, self.last) else { return };
        let own = own_until.saturating_sub(own);
        let wall = until.duration_since(since);
        figures::print("updates_per_second", self.counted as f64 / wall.as_secs_f64());
        figures::print("updates_per_own_second", self.counted as f64 / own.as_secs_f64());
        figures::print("pause_ms", self.wall.longest.as_secs_f64() * 1e3);
        figures::print("own_pause_ms", self.own.longest.as_secs_f64() * 1e3);
        figures::print("pauses_over_20_ms", self.wall.over_limit as f64);
    }
}

/// Runs what `settings` say; tells `updates_per_second`, `pause_ms`, `own_pause_ms`, `pauses_over_20_ms`,
/// `checkpoints`.
///
/// # Errors
/// If the job fails.
pub fn run(settings: &Settings) -> Result<()> {
    let keys = settings.number("keys", 10_000_000)?;
    let plan = Plan {
        keys,
        changing: keys * settings.number("changing_percent", 100)? / 100,
        warm_up: Duration::from_secs(settings.number("warm_up", 3)?),
        measured: Duration::from_secs(settings.number("seconds", 10)?),
        rate: settings.number("rate", 0)?,
    };
    let mut builder = JobBuilder::new("checkpoints", 128);
    let source = builder.add_source(NodeSpec::named("keys"), move || KeySource {
        plan,
        next: 0,
        step: 1,
        filled: None,
    });
    let sink = builder.add_sink(NodeSpec::named("update"), move || Update::new(plan));
    let workers = settings.number("workers", 1)? as u32;
    if workers == 1 {
        builder.connect((source, 0), (sink, 0), Partitioning::Forward, None, decode_rows::<u64>);
    } else {
        let by_key = Some(partition::rows_by_key(|key: &u64| *key));
        builder.connect((source, 0), (sink, 0), Partitioning::Hash, by_key, decode_rows::<u64>);
    }
    let mut options = JobOptions { workers, memory_bytes: 16 << 30, ..JobOptions::default() };
    let interval_ms = settings.number("interval_ms", 0)?;
    // A folder is only needed where something is kept, and is gone when the job is.
    let folder = match settings.word("dir") {
        "" => tempfile::tempdir(),
        parent => tempfile::tempdir_in(parent),
    };
    let folder =
        folder.map_err(|error| Error::storage(format!("there is no place for checkpoints: {error}")))?;
    if interval_ms > 0 {
        options.checkpoint_dir = Some(folder.path().to_path_buf());
        let defaults = CheckpointConfig::default();
        let max_concurrent = settings.number("max_concurrent", u64::from(defaults.max_concurrent))? as u32;
        options.checkpoints = CheckpointConfig { interval_ms: Some(interval_ms), max_concurrent, ..defaults };
    }
    let report = attempt::run(builder.build()?, options)?;
    figures::print("checkpoints", report.status.checkpoints as f64);
    Ok(())
}
