//! One worker's database.

use eddyline_core::{Error, Result};
use eddyline_state::store::{Answer, Found, Request, StoreKey};
use rocksdb::compaction_filter::Decision as CompactionDecision;
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, DBCompressionType, DBWithThreadMode, DataBlockIndexType,
    Direction, IteratorMode, MultiThreaded, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch,
    WriteBufferManager, WriteOptions,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub(crate) type Db = DBWithThreadMode<MultiThreaded>;

/// A snapshot by the table that asked for it and its number.
pub(crate) type Snapshots<'d> = BTreeMap<(usize, u64), SnapshotWithThreadMode<'d, Db>>;

/// Blocks are what is read for one entry that is not in the cache.
const BLOCK_BYTES: usize = 4 << 10;
/// Bits per key for which a lookup of a key that does not exist reads a block once in a hundred times.
const BLOOM_BITS: f64 = 10.0;
/// What a file is to hold.
const FILE_BYTES: u64 = 32 << 20;
/// What compactions read at once from each file: memory beside the cache.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// The least that RocksDB can do with.
const CACHE_BYTES_MIN: usize = 2 << 20;
/// What a state takes of the write buffers at a time.
const ARENA_BLOCK_BYTES: usize = 64 << 10;

/// What RocksDB has for all column families of a worker; outlives the database.
pub(crate) struct Memory {
    pub(crate) cache: Cache,
    buffers: WriteBufferManager,
    bytes: usize,
    /// What column families were made with: their filters are called until the database is closed.
    family_options: RefCell<Vec<Options>>,
}

impl Memory {
    /// Divides `bytes`: write buffers are counted in the cache, and take at most half of it.
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.max(CACHE_BYTES_MIN);
        let cache = Cache::new_lru_cache(bytes);
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(bytes / 2, true, cache.clone());
        Memory { cache, buffers, bytes, family_options: RefCell::default() }
    }

    fn family_options(&self) -> Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_block_size(BLOCK_BYTES);
        table.set_bloom_filter(BLOOM_BITS, false);
        // Indexes and filters are in the cache too: all memory is in the one number.
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::None);
        options.set_write_buffer_size((self.bytes / 8).max(ARENA_BLOCK_BYTES));
        options.set_arena_block_size(ARENA_BLOCK_BYTES);
        options.set_target_file_size_base(FILE_BYTES);
        options
    }

    /// Opens an empty database.
    pub(crate) fn open(&self, path: &Path, background_threads: u32) -> Result<Db> {
        let mut options = self.family_options();
        options.create_if_missing(true);
        options.set_write_buffer_manager(&self.buffers);
        options.set_max_background_jobs(background_threads.max(1) as i32);
        options.set_max_subcompactions(1);
        options.set_compaction_readahead_size(READ_AHEAD_BYTES);
        options.set_keep_log_file_num(1);
        options.set_stats_dump_period_sec(0);
        // What may be there is of no use; what is above may have been lost with an earlier attempt.
        let _ = std::fs::remove_dir_all(path);
        let _ = path.parent().map(std::fs::create_dir_all);
        Db::open(&options, path).map_err(|error| failed(path, &error))
    }
}

/// The error for whatever RocksDB complains of: what it kept is lost.
pub(crate) fn failed(path: &Path, error: &rocksdb::Error) -> Error {
    Error::storage(format!("RocksDB has failed in `{}`: {}", path.display(), error.as_ref())).with_hint(
        "the job goes on from its last checkpoint; check the disk under state.backend.rocksdb.localdir",
    )
}

/// Serves requests, in order.
pub(crate) struct Server<'d> {
    pub(crate) db: &'d Db,
    pub(crate) memory: &'d Memory,
    pub(crate) path: PathBuf,
    /// The names of the tables' column families.
    pub(crate) families: Vec<String>,
    pub(crate) snapshots: Snapshots<'d>,
}

impl<'d> Server<'d> {
    /// Makes the column family of one more table.
    pub(crate) fn add_family(&mut self, name: String, expiry: Option<Arc<AtomicI64>>) -> Result<()> {
        let mut options = self.memory.family_options();
        if let Some(limit) = expiry {
            options.set_compaction_filter(
                "eddyline-expiry",
                move |_level: u32, _key: &[u8], value: &[u8]| {
                    let touch = value.first_chunk().map_or(i64::MAX, |touch| i64::from_le_bytes(*touch));
                    let has_expired = touch <= limit.load(Ordering::Relaxed);
                    if has_expired { CompactionDecision::Remove } else { CompactionDecision::Keep }
                },
            );
        }
        let created = self.db.create_cf(&name, &options);
        self.memory.family_options.borrow_mut().push(options);
        created.map_err(|error| failed(&self.path, &error))?;
        self.families.push(name);
        Ok(())
    }

    fn family(&self, table: usize) -> Result<Arc<BoundColumnFamily<'d>>> {
        let name = self.families.get(table).map_or("", String::as_str);
        let unknown = || Error::internal(format!("there is no column family `{name}`"));
        self.db.cf_handle(name).ok_or_else(unknown)
    }

    fn frozen(&self, table: usize, snapshot: u64) -> Result<ReadOptions> {
        let unknown = || Error::internal(format!("snapshot {snapshot} of a store was never taken"));
        let snapshot = self.snapshots.get(&(table, snapshot)).ok_or_else(unknown)?;
        let mut options = ReadOptions::default();
        options.set_snapshot(snapshot);
        // What checkpoints read is not what records need next.
        options.fill_cache(false);
        Ok(options)
    }

    /// Serves a request of a table.
    pub(crate) fn serve(&mut self, table: usize, request: Request) -> Result<Option<Answer>> {
        let family = self.family(table)?;
        match request {
            Request::Read { mut keys } => {
                keys.sort_unstable();
                let values = self.db.batched_multi_get_cf(&family, &keys, true);
                let mut found = Found::default();
                for value in values {
                    found.push(value.map_err(|error| failed(&self.path, &error))?.as_deref());
                }
                Ok(Some(Answer::Read { keys, found }))
            }
            Request::Write(batch) => {
                let mut changes = WriteBatch::default();
                for (key, value) in batch.iter() {
                    match value {
                        Some(value) => changes.put_cf(&family, key, value),
                        None => changes.delete_cf(&family, key),
                    }
                }
                let mut options = WriteOptions::default();
                options.disable_wal(true);
                self.db.write_opt(changes, &options).map_err(|error| failed(&self.path, &error))?;
                Ok(Some(Answer::Written { changes: batch.len(), bytes: batch.memory_bytes() }))
            }
            Request::Freeze { snapshot } => {
                self.snapshots.insert((table, snapshot), self.db.snapshot());
                Ok(None)
            }
            Request::ReadFrozen { snapshot, keys } => {
                let options = self.frozen(table, snapshot)?;
                let values = self.db.batched_multi_get_cf_opt(&family, &keys, true, &options);
                let mut found = Found::default();
                for value in values {
                    if let Some(value) = value.map_err(|error| failed(&self.path, &error))? {
                        found.push(Some(&value));
                    }
                }
                Ok(Some(Answer::Frozen { found, next: None }))
            }
            Request::ScanFrozen { snapshot, from, to, bytes_max } => {
                let options = self.frozen(table, snapshot)?;
                self.scan(&family, options, (from, to), bytes_max).map(Some)
            }
            Request::Release { snapshot } => {
                self.snapshots.remove(&(table, snapshot));
                Ok(None)
            }
        }
    }

    fn scan(
        &self,
        family: &Arc<BoundColumnFamily<'d>>,
        options: ReadOptions,
        (from, to): (StoreKey, StoreKey),
        bytes_max: usize,
    ) -> Result<Answer> {
        let mut found = Found::default();
        let entries = self.db.iterator_cf_opt(family, options, IteratorMode::From(&from, Direction::Forward));
        for entry in entries {
            let (key, value) = entry.map_err(|error| failed(&self.path, &error))?;
            let unknown = |_| Error::internal("a key in a column family is not one of a table");
            let key = StoreKey::try_from(&*key).map_err(unknown)?;
            if key > to {
                break;
            }
            if found.bytes() >= bytes_max {
                return Ok(Answer::Frozen { found, next: Some(key) });
            }
            found.push(Some(&value));
        }
        Ok(Answer::Frozen { found, next: None })
    }
}
