//! Many keys of about 100 bytes and little memory: each update reads a value, changes it and writes it back, out of
//! order. Once as a job, and once as a loop around RocksDB with the same memory.

use crate::bid::mixed;
use crate::figures::{self, Settings};
use crate::usage;
use eddyline_core::batch::decode_rows;
use eddyline_core::data::to_bytes;
use eddyline_core::{Batch, Data, Error, Record, Result};
use eddyline_runtime::attempt::{self, JobOptions};
use eddyline_runtime::graph::{JobBuilder, NodeSpec, Partitioning};
use eddyline_runtime::{
    Operator, OperatorContext, Services, Source, SourceStatus, StateBackendService, Stateful,
};
use eddyline_state::{KeyedTable, ManagedState};
use eddyline_state_rocksdb::{RocksDb, RocksDbOptions};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 88 bytes.
type Value = [u64; 11];

/// Updates between two looks at the clock.
const ROUND: u64 = 4096;
/// Between two looks at how much memory is resident.
const LOOK: Duration = Duration::from_millis(100);

/// Every key once, then keys at random until the time is up.
struct Keys {
    count: u64,
    next: u64,
    filled: Option<Instant>,
    measured: Duration,
}

impl Keys {
    fn new(count: u64, measured: Duration) -> Self {
        Keys { count, next: 0, filled: None, measured }
    }

    /// The next keys; none when the time is up.
    fn next_round(&mut self) -> Option<impl Iterator<Item = u64> + use<>> {
        if self.next >= self.count && self.filled.get_or_insert_with(Instant::now).elapsed() > self.measured {
            return None;
        }
        let (count, start) = (self.count, self.next);
        self.next += ROUND;
        let key_of = move |number: u64| if number < count { number } else { mixed(number) % count };
        Some((start..start + ROUND).map(key_of))
    }
}

/// What is measured from the time on that every key is there.
struct Meter {
    keys: u64,
    taken: u64,
    since: Option<(Instant, Duration)>,
    looked: Instant,
    resident_before: u64,
    resident_most: u64,
}

impl Meter {
    fn new(keys: u64) -> Result<Self> {
        let resident = usage::resident_bytes()?;
        Ok(Meter {
            keys,
            taken: 0,
            since: None,
            looked: Instant::now(),
            resident_before: resident,
            resident_most: resident,
        })
    }

    fn took(&mut self, updates: u64) -> Result<()> {
        self.taken += updates;
        if self.taken >= self.keys && self.since.is_none() {
            self.since = Some((Instant::now(), usage::processor_time()?));
        }
        if self.looked.elapsed() > LOOK {
            self.looked = Instant::now();
            self.resident_most = self.resident_most.max(usage::resident_bytes()?);
        }
        Ok(())
    }

    fn print(&self) -> Result<()> {
        let Some((since, processor)) = self.since else {
            return Err(Error::internal("the time was up before every key was there"));
        };
        let updates = (self.taken - self.keys).max(1) as f64;
        figures::print("updates_per_second", updates / since.elapsed().as_secs_f64());
        let processor = usage::processor_time()?.saturating_sub(processor);
        figures::print("cpu_ns_per_update", processor.as_nanos() as f64 / updates);
        let resident = self.resident_most.saturating_sub(self.resident_before);
        figures::print("resident_mb", resident as f64 / f64::from(1 << 20));
        Ok(())
    }
}

struct KeySource(Keys);

impl Stateful for KeySource {}

impl Source for KeySource {
    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        let Some(keys) = self.0.next_round() else { return Ok(SourceStatus::Finished) };
        context.emit_rows::<u64>(0, keys.map(|key| Record::new(key, 0)).collect(), 0)?;
        Ok(SourceStatus::Ready)
    }
}

/// Changes a value per record.
struct Update {
    table: Option<KeyedTable<u64, Value>>,
    keys: u64,
    meter: Option<Meter>,
}

impl Update {
    fn table(&mut self) -> &mut KeyedTable<u64, Value> {
        self.table.as_mut().expect("invariant: open is called first")
    }
}

impl Stateful for Update {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(self.table())
    }
}

impl Operator for Update {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.table = Some(context.states().keyed_table("values")?);
        self.meter = Some(Meter::new(self.keys)?);
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        Ok(batch.rows::<u64>()?[rows].iter().map(|record| record.value.stable_hash()).collect())
    }

    fn on_batch(
        &mut self,
        _input: usize,
        mut batch: Batch,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let rows = batch.take_rows::<u64>()?;
        let table = self.table();
        for Record { value: key, .. } in &rows {
            let value = table.entry_or_insert_with(key.stable_hash(), key, || [*key; 11]);
            value[3] = value[3].wrapping_add(1);
        }
        self.meter.as_mut().map_or(Ok(()), |meter| meter.took(rows.len() as u64))
    }

    fn close(&mut self) {
        if let Some(Err(error)) = self.meter.as_ref().map(Meter::print) {
            eprintln!("{error}");
        }
    }
}

fn run_ours(plan: (u64, Duration), memory_bytes: usize, directory: &Path) -> Result<()> {
    let (keys, measured) = plan;
    let mut builder = JobBuilder::new("rocksdb", 128);
    let source = builder.add_source(NodeSpec::named("keys"), move || KeySource(Keys::new(keys, measured)));
    let sink = builder.add_sink(NodeSpec::named("update"), move || Update { table: None, keys, meter: None });
    builder.connect((source, 0), (sink, 0), Partitioning::Forward, None, decode_rows::<u64>);
    let mut services = Services::default();
    let backend = RocksDb::new(RocksDbOptions { directory: directory.into(), ..RocksDbOptions::default() });
    services.insert(Arc::new(StateBackendService(Arc::new(backend))));
    let options = JobOptions { memory_bytes, services, ..JobOptions::default() };
    attempt::run(builder.build()?, options).map(drop)
}

/// The loop that a program would have that uses RocksDB itself, with all of the memory as its cache.
fn run_bare((keys, measured): (u64, Duration), memory_bytes: usize, directory: &Path) -> Result<()> {
    let failed = |error: rocksdb::Error| Error::storage(format!("RocksDB failed: {error}"));
    let cache = rocksdb::Cache::new_lru_cache(memory_bytes);
    let buffers = rocksdb::WriteBufferManager::new_write_buffer_manager_with_cache(
        memory_bytes / 2,
        true,
        cache.clone(),
    );
    let mut table = rocksdb::BlockBasedOptions::default();
    table.set_block_cache(&cache);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    options.set_compression_type(rocksdb::DBCompressionType::None);
    options.set_write_buffer_manager(&buffers);
    options.set_write_buffer_size(memory_bytes / 8);
    let db = rocksdb::DB::open(&options, directory.join("bare")).map_err(failed)?;
    let mut writing = rocksdb::WriteOptions::default();
    writing.disable_wal(true);
    let (mut round, mut meter) = (Keys::new(keys, measured), Meter::new(keys)?);
    while let Some(keys) = round.next_round() {
        for key in keys {
            // As state is laid out: spread over groups, by hash.
            let hash = key.stable_hash();
            let mut place = [0; 12];
            place[..4].copy_from_slice(&((hash % 128) as u32).to_be_bytes());
            place[4..].copy_from_slice(&hash.to_be_bytes());
            let mut value: Value = match db.get_pinned(place).map_err(failed)? {
                None => [key; 11],
                Some(bytes) => Value::decode(&mut eddyline_core::Reader::new(&bytes))
                    .map_err(|error| Error::internal(error.to_string()))?,
            };
            value[3] = value[3].wrapping_add(1);
            db.put_opt(place, to_bytes(&value), &writing).map_err(failed)?;
        }
        meter.took(ROUND)?;
    }
    meter.print()
}

/// Runs what `settings` say; tells `updates_per_second`, `cpu_ns_per_update`, `resident_mb`.
///
/// # Errors
/// If the job or RocksDB fails.
pub fn run(settings: &Settings) -> Result<()> {
    let plan = (settings.number("keys", 1_000_000)?, Duration::from_secs(settings.number("seconds", 5)?));
    let memory_bytes = (settings.number("memory_mb", 20)? as usize) << 20;
    let folder = match settings.word("dir") {
        "" => tempfile::tempdir(),
        parent => tempfile::tempdir_in(parent),
    };
    let folder = folder.map_err(|error| Error::storage(format!("there is no place for state: {error}")))?;
    if settings.number("bare", 0)? == 1 {
        run_bare(plan, memory_bytes, folder.path())
    } else {
        run_ours(plan, memory_bytes, folder.path())
    }
}
