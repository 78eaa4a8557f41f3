//! Where a job's keyed state is kept, in Flink's words.

use eddyline_core::{Error, Result};
use eddyline_runtime::Services;
use std::path::PathBuf;

/// What keeps the state of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateBackendType {
    /// Memory: fast, and the job ends when it is full.
    #[default]
    HashMap,
    /// RocksDB, with what is used most in memory: as large as the disk.
    RocksDb,
}

/// Where a job's keyed state is kept.
///
/// # Examples
/// ```
/// use eddyline::{Options, StateBackendType};
///
/// let mut options = Options::default();
/// options.set("state.backend.type", "rocksdb")?;
/// options.set("state.backend.rocksdb.localdir", "/mnt/nvme")?;
/// assert_eq!(options.state_backend.kind, StateBackendType::RocksDb);
/// assert!(options.set("state.backend.type", "heap").is_err());
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StateBackendOptions {
    /// What keeps it.
    pub kind: StateBackendType,
    /// Where RocksDB has its files while a job runs; none: the first directory for temporary files.
    pub directory: Option<PathBuf>,
    /// Bytes of state in memory beside RocksDB, of each worker; none: 40 % of its memory.
    pub resident_bytes: Option<usize>,
    /// Threads of RocksDB that write and merge files, of each process.
    pub background_threads: u32,
}

impl Default for StateBackendOptions {
    fn default() -> Self {
        StateBackendOptions {
            kind: StateBackendType::HashMap,
            directory: None,
            resident_bytes: None,
            background_threads: 2,
        }
    }
}

impl StateBackendOptions {
    /// Takes in the value of the option `key`.
    pub(super) fn set_type(&mut self, key: &str, value: &str) -> Result<()> {
        self.kind = match value.trim() {
            "hashmap" => StateBackendType::HashMap,
            "rocksdb" => StateBackendType::RocksDb,
            other => {
                return Err(Error::config(format!("option `{key}` cannot be `{other}`"))
                    .with_hint("give `hashmap` or `rocksdb`"));
            }
        };
        Ok(())
    }

    /// Lends the backend to the operators of a job.
    pub(super) fn install(&self, tmp_dirs: &[PathBuf], services: &mut Services) -> Result<()> {
        match self.kind {
            StateBackendType::HashMap => Ok(()),
            StateBackendType::RocksDb => self.install_rocksdb(tmp_dirs, services),
        }
    }

    #[cfg(feature = "rocksdb")]
    fn install_rocksdb(&self, tmp_dirs: &[PathBuf], services: &mut Services) -> Result<()> {
        use eddyline_runtime::StateBackendService;
        use eddyline_state_rocksdb::{RocksDb, RocksDbOptions};
        use std::sync::Arc;

        if services.get::<StateBackendService>().is_some() {
            return Ok(());
        }
        let mut options = RocksDbOptions {
            resident_bytes: self.resident_bytes,
            background_threads: self.background_threads,
            ..Default::default()
        };
        if let Some(directory) = self.directory.as_ref().or(tmp_dirs.first()) {
            options.directory.clone_from(directory);
        }
        services.insert(Arc::new(StateBackendService(Arc::new(RocksDb::new(options)))));
        Ok(())
    }

    #[cfg(not(feature = "rocksdb"))]
    fn install_rocksdb(&self, _tmp_dirs: &[PathBuf], _services: &mut Services) -> Result<()> {
        Err(Error::config("this program was built without RocksDB").with_hint(
            "build it with the feature `rocksdb` of the crate `eddyline`, or set state.backend.type=hashmap",
        ))
    }
}
