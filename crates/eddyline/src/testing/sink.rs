//! Sinks that the test reads.

use crate::sink::{SinkContext, SinkFunction};
use eddyline_core::{Data, Record, Result};
use eddyline_protocol::CheckpointId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Rows<T> {
    /// What came in and was not taken yet, over all attempts.
    written: Vec<Record<T>>,
    /// What is visible for good, by checkpoint.
    committed: BTreeMap<CheckpointId, Vec<Record<T>>>,
}

/// What a sink of a [`TestPipeline`](super::TestPipeline) was given.
pub struct TestSink<T> {
    rows: Arc<Mutex<Rows<T>>>,
}

impl<T> Clone for TestSink<T> {
    fn clone(&self) -> Self {
        TestSink { rows: self.rows.clone() }
    }
}

impl<T: Data> TestSink<T> {
    pub(super) fn new() -> Self {
        let rows = Rows { written: Vec::new(), committed: BTreeMap::new() };
        TestSink { rows: Arc::new(Mutex::new(rows)) }
    }

    pub(super) fn function(&self) -> TestSinkFunction<T> {
        TestSinkFunction { sink: self.clone(), uncommitted: Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Rows<T>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the records that came in since the last call, committed or not, with their timestamps. What a restart
    /// repeats comes again.
    pub fn take(&self) -> Vec<Record<T>> {
        std::mem::take(&mut self.lock().written)
    }

    /// As [`TestSink::take`], without timestamps.
    pub fn take_values(&self) -> Vec<T> {
        self.take().into_iter().map(|record| record.value).collect()
    }

    /// A copy of all records that belong to complete checkpoints: each exactly once, whatever happened.
    pub fn committed(&self) -> Vec<Record<T>> {
        self.lock().committed.values().flatten().cloned().collect()
    }

    /// As [`TestSink::committed`], without timestamps.
    pub fn committed_values(&self) -> Vec<T> {
        self.committed().into_iter().map(|record| record.value).collect()
    }
}

/// The sink itself.
pub(super) struct TestSinkFunction<T> {
    sink: TestSink<T>,
    uncommitted: Vec<(T, i64)>,
}

impl<T: Data> SinkFunction<T> for TestSinkFunction<T> {
    type Committable = Vec<(T, i64)>;

    fn write(&mut self, record: Record<T>, _: &mut SinkContext<'_, '_>) -> Result<()> {
        self.uncommitted.push((record.value.clone(), record.timestamp));
        self.sink.lock().written.push(record);
        Ok(())
    }

    fn pre_commit(&mut self, _: CheckpointId, _: &mut SinkContext<'_, '_>) -> Result<Vec<Self::Committable>> {
        let rows = std::mem::take(&mut self.uncommitted);
        Ok(if rows.is_empty() { Vec::new() } else { vec![rows] })
    }

    fn commit(
        &mut self,
        checkpoint: CheckpointId,
        rows: Self::Committable,
        _: &mut SinkContext<'_, '_>,
    ) -> Result<()> {
        let records = || rows.into_iter().map(|(value, timestamp)| Record { value, timestamp }).collect();
        self.sink.lock().committed.entry(checkpoint).or_insert_with(records);
        Ok(())
    }
}
