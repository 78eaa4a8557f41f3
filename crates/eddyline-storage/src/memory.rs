//! Storage in the memory of this process, by name, so that a job that is started again finds it.

use eddyline_state::MemoryFileSystem;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

static NAMED: Mutex<BTreeMap<String, MemoryFileSystem>> = Mutex::new(BTreeMap::new());

/// The files of that name; the same ones each time.
pub(crate) fn named(name: &str) -> MemoryFileSystem {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
}
