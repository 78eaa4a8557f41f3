//! Where operators get tables from: in memory alone, or with a store for what does not fit.

use crate::context::InstanceInfo;
use eddyline_core::{Data, Key, Result};
use eddyline_state::ttl::Aging;
use eddyline_state::{KeyedTable, PlacedTable, StateBackend, StatePlace, StateStore, StoredWindows};
use std::sync::Arc;
use std::task::Waker;

/// As a service: what keeps state that does not fit in memory. Without it, the memory backend holds all state.
#[derive(Clone)]
pub struct StateBackendService(pub Arc<dyn StateBackend>);

/// Makes the tables of an operator instance.
#[derive(Clone)]
pub struct StateFactory {
    pub(crate) info: InstanceInfo,
    pub(crate) backend: Option<Arc<StateBackendService>>,
    pub(crate) worker_memory_bytes: usize,
    pub(crate) waker: Waker,
}

impl StateFactory {
    /// The facts about the instance.
    pub fn info(&self) -> &InstanceInfo {
        &self.info
    }

    /// An empty table for the keys of the instance. Where it has a store, the operator has to name the keys
    /// that it uses; see [`Operator::key_hashes`](crate::Operator::key_hashes).
    ///
    /// # Errors
    /// If the store cannot be opened.
    pub fn keyed_table<K: Key, V: Data>(&self, name: impl Into<String>) -> Result<KeyedTable<K, V>> {
        self.table(name.into(), false)
    }

    /// As [`StateFactory::keyed_table`], for state with a time to live: what has expired may leave the store.
    ///
    /// # Errors
    /// If the store cannot be opened.
    pub fn aging_table<K: Key, V: Aging>(&self, name: impl Into<String>) -> Result<KeyedTable<K, V>> {
        self.table(name.into(), true)
    }

    fn table<K: Key, V: Data>(&self, name: String, expires: bool) -> Result<KeyedTable<K, V>> {
        let (groups, max) = (self.info.key_groups, self.info.max_parallelism);
        Ok(match self.store(&name, expires)? {
            None => KeyedTable::new(name, groups, max),
            Some(store) => KeyedTable::with_store(name, groups, max, store),
        })
    }

    /// An empty table for the keys of the instance in namespaces that is asked by both.
    ///
    /// # Errors
    /// If the store cannot be opened.
    pub fn placed_table<K: Key, V: Data>(&self, name: impl Into<String>) -> Result<PlacedTable<K, V>> {
        let (name, groups, max) = (name.into(), self.info.key_groups, self.info.max_parallelism);
        let store = self.store(&name, false)?;
        Ok(PlacedTable::new(name, groups, max, store))
    }

    /// An empty table for windows of the keys of the instance, if the job's backend has stores.
    ///
    /// # Errors
    /// If the store cannot be opened.
    pub fn stored_windows<K: Key, V: Data>(
        &self,
        name: impl Into<String>,
    ) -> Result<Option<StoredWindows<K, V>>> {
        let (name, groups, max) = (name.into(), self.info.key_groups, self.info.max_parallelism);
        let store = self.store(&name, false)?;
        Ok(store.map(|store| StoredWindows::new(name, groups, max, store)))
    }

    fn store(&self, state: &str, expires: bool) -> Result<Option<Box<dyn StateStore>>> {
        let Some(backend) = &self.backend else { return Ok(None) };
        let place = StatePlace {
            worker: self.info.worker,
            worker_memory_bytes: self.worker_memory_bytes,
            attempt: self.info.attempt,
            uid: self.info.uid.to_string(),
            state: state.to_owned(),

            expires,
        };
        backend.0.open(&place, self.waker.clone()).map(Some)
    }
}
