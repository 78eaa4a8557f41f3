//! How far a text file source has come, for progress bars and for people.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Warnings that are kept until somebody takes them; older ones are dropped.
const WARNINGS_MAX: usize = 100;

/// Counters of all instances of one source in this process; an attempt that starts anew replaces those of before.
#[derive(Debug, Default)]
pub struct FileProgress {
    instances: Mutex<BTreeMap<u32, Arc<InstanceProgress>>>,
    warnings: Mutex<VecDeque<String>>,
}

/// Counters of one instance.
#[derive(Debug, Default)]
pub(crate) struct InstanceProgress {
    pub(crate) bytes_read: AtomicU64,
    pub(crate) bytes_total: AtomicU64,
    pub(crate) lines: AtomicU64,
    pub(crate) lines_too_long: AtomicU64,
    pub(crate) records_bad: AtomicU64,
}

impl FileProgress {
    /// Bytes whose lines have been emitted, or skipped as too long.
    pub fn bytes_read(&self) -> u64 {
        self.sum(|instance| &instance.bytes_read)
    }

    /// Bytes there are to be read; for followed files, those seen so far.
    pub fn bytes_total(&self) -> u64 {
        self.sum(|instance| &instance.bytes_total).max(self.bytes_read())
    }

    /// Lines emitted by this attempt.
    pub fn lines(&self) -> u64 {
        self.sum(|instance| &instance.lines)
    }

    /// Lines of this attempt that were longer than the limit.
    pub fn lines_too_long(&self) -> u64 {
        self.sum(|instance| &instance.lines_too_long)
    }

    /// Records of this attempt that could not be decoded and were left out.
    pub fn records_bad(&self) -> u64 {
        self.sum(|instance| &instance.records_bad)
    }

    /// What people should know of, each once: files cut off, lost or not readable. Also written to the log.
    pub fn take_warnings(&self) -> Vec<String> {
        self.lock_warnings().drain(..).collect()
    }

    pub(crate) fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        let mut warnings = self.lock_warnings();
        if warnings.len() == WARNINGS_MAX {
            warnings.pop_front();
        }
        warnings.push_back(warning);
    }

    /// Fresh counters of `instance`.
    pub(crate) fn begin(&self, instance: u32) -> Arc<InstanceProgress> {
        let fresh = Arc::new(InstanceProgress::default());
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).insert(instance, fresh.clone());
        fresh
    }

    fn sum(&self, counter: impl Fn(&InstanceProgress) -> &AtomicU64) -> u64 {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.values().map(|instance| counter(instance).load(Ordering::Relaxed)).sum()
    }

    fn lock_warnings(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
