//! What a user says about RocksDB.

use std::path::PathBuf;

/// Percent of a worker's memory for entries of tables that are in memory.
pub const RESIDENT_PERCENT: usize = 40;
/// Percent of a worker's memory for RocksDB itself.
pub const ROCKSDB_PERCENT: usize = 30;

/// Who serves requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Serving {
    /// A thread per worker, while the worker goes on.
    #[default]
    OnThread,
    /// The same thread, but the worker waits: for simulations, which want the same order every time.
    AtOnce,
}

/// What a user says about RocksDB.
#[derive(Debug, Clone)]
pub struct RocksDbOptions {
    /// Where databases are put, each process in a directory of its own that it removes; a local disk, the faster the
    /// better.
    pub directory: PathBuf,
    /// Bytes of table entries in memory, of each worker; none: [`RESIDENT_PERCENT`] of its memory.
    pub resident_bytes: Option<usize>,
    /// Threads for flushes and compactions, over all workers of a process.
    pub background_threads: u32,
    /// Who serves requests.
    pub serving: Serving,
}

impl Default for RocksDbOptions {
    fn default() -> Self {
        RocksDbOptions {
            directory: std::env::temp_dir(),
            resident_bytes: None,
            background_threads: 2,
            serving: Serving::OnThread,
        }
    }
}
