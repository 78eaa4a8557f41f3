//! RocksDB as the store of what does not fit in memory.
//!
//! Each worker has a database of its own and a thread that serves the requests of its tables in order, one column family
//! per state. The database is scratch: no log is written, it begins empty with every attempt, and it is gone with it.
//! Whatever fails in it ends the attempt; the next one starts from the checkpoint.
//!
//! | of a worker's memory | for |
//! |---|---|
//! | `RESIDENT_PERCENT` | entries of tables that are in memory |
//! | `ROCKSDB_PERCENT` | RocksDB: blocks, indexes, filters and write buffers in one cache |
//! | the rest | records in flight, timers and windows, snapshots under way |
//!
//! **Architecture invariant:** a worker's thread hands requests over and polls for answers. Only a restore waits, before
//! anything runs, and a simulation, which wants the same order every time.
//!
//! All of it is behind the feature `rocksdb`: without it the crate is empty, and needs neither a C++ compiler nor
//! RocksDB to be built.

#[cfg(feature = "rocksdb")]
mod backend;

#[cfg(feature = "rocksdb")]
pub use backend::{RESIDENT_PERCENT, ROCKSDB_PERCENT, RocksDb, RocksDbOptions, Serving};
