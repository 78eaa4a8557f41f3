//! Records that are collected on the service's own threads.

use super::merge::Repeatable;
use super::run::{BLOCK_BYTES_MIN, RunReader, RunWriter};
use super::storage::SpillStorage;
use eddyline_core::{Data, Result};
use std::sync::Arc;

/// Collects records in memory, and in a file beyond so many bytes. May wait for the disk.
pub(crate) struct Overflow<T> {
    storage: Arc<dyn SpillStorage>,
    bytes_max: usize,
    rows: Vec<T>,
    bytes: usize,
    writer: Option<RunWriter>,
}

impl<T: Data> Overflow<T> {
    /// Nothing yet, with room for `bytes_max` in memory.
    pub(crate) fn new(storage: Arc<dyn SpillStorage>, bytes_max: usize) -> Self {
        Overflow { storage, bytes_max, rows: Vec::new(), bytes: 0, writer: None }
    }

    /// Takes a record.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn push(&mut self, value: T) -> Result<()> {
        self.bytes += size_of::<T>() + if T::HAS_HEAP { value.heap_bytes() } else { 0 };
        self.rows.push(value);
        if self.bytes <= self.bytes_max {
            return Ok(());
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => RunWriter::new(&*self.storage, BLOCK_BYTES_MIN)?,
        };
        for value in self.rows.drain(..) {
            writer.push(&value)?;
        }
        self.bytes = 0;
        self.writer = Some(writer);
        Ok(())
    }

    /// What was taken, in its order.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn finish(self) -> Result<Repeatable<T>> {
        let runs = match self.writer {
            Some(writer) => vec![RunReader::new(writer.finish()?, BLOCK_BYTES_MIN)],
            None => Vec::new(),
        };
        Ok(Repeatable::new(runs, self.rows))
    }
}
