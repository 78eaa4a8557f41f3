//! Records in the memory of the program that started the job.

use super::{SinkContext, SinkFunction};
use eddyline_core::{Data, Record, Result};
use eddyline_protocol::CheckpointId;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What has become visible: by checkpoint and instance, so that a repeated commit changes nothing.
struct Rows<T> {
    committed: BTreeMap<(CheckpointId, u32), Vec<Record<T>>>,
    /// Rows shown as they came, without waiting for a commit.
    at_once: Vec<Record<T>>,
}

/// What a collecting sink and its handle share.
pub(crate) struct Collected<T> {
    rows: Mutex<Rows<T>>,
    news: Condvar,
}

impl<T> Collected<T> {
    fn lock(&self) -> MutexGuard<'_, Rows<T>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows that a job has collected, to be read after it or while it runs on another thread.
///
/// In a job of several processes the rows are with the first process.
pub struct CollectHandle<T> {
    collected: Arc<Collected<T>>,
}

impl<T> Clone for CollectHandle<T> {
    fn clone(&self) -> Self {
        CollectHandle { collected: self.collected.clone() }
    }
}

impl<T: Data> CollectHandle<T> {
    pub(crate) fn new() -> (Self, Arc<Collected<T>>) {
        let rows = Rows { committed: BTreeMap::new(), at_once: Vec::new() };
        let collected = Arc::new(Collected { rows: Mutex::new(rows), news: Condvar::new() });
        (CollectHandle { collected: collected.clone() }, collected)
    }

    /// A copy of all rows that are visible, with their timestamps.
    pub fn records(&self) -> Vec<Record<T>> {
        let rows = self.collected.lock();
        rows.committed.values().flatten().chain(&rows.at_once).cloned().collect()
    }

    /// A copy of the values of all rows that are visible.
    pub fn rows(&self) -> Vec<T> {
        self.records().into_iter().map(|record| record.value).collect()
    }

    /// How many rows are visible.
    pub fn len(&self) -> usize {
        let rows = self.collected.lock();
        rows.committed.values().map(Vec::len).sum::<usize>() + rows.at_once.len()
    }

    /// Whether no row is visible.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until `count` rows are visible, for `timeout` at most; says whether they are.
    pub fn wait_for(&self, count: usize, timeout: std::time::Duration) -> bool {
        let visible = |rows: &Rows<T>| {
            rows.committed.values().map(Vec::len).sum::<usize>() + rows.at_once.len() >= count
        };
        let waited =
            self.collected.news.wait_timeout_while(self.collected.lock(), timeout, |rows| !visible(rows));
        let (rows, _) = waited.unwrap_or_else(PoisonError::into_inner);
        visible(&rows)
    }
}

/// Collects records and shows them in the handle.
pub(crate) struct CollectSink<T> {
    collected: Arc<Collected<T>>,
    at_once: bool,
    instance: u32,
    buffer: Vec<(T, i64)>,
}

impl<T: Data> CollectSink<T> {
    pub(crate) fn new(collected: Arc<Collected<T>>, at_once: bool) -> Self {
        CollectSink { collected, at_once, instance: 0, buffer: Vec::new() }
    }
}

fn record<T>((value, timestamp): (T, i64)) -> Record<T> {
    Record { value, timestamp }
}

impl<T: Data> SinkFunction<T> for CollectSink<T> {
    /// With the instance that has collected them: after a restart another one may show them.
    type Committable = (u32, Vec<(T, i64)>);

    fn open(&mut self, context: &mut SinkContext<'_, '_>) -> Result<()> {
        self.instance = context.info().instance;
        Ok(())
    }

    fn write(&mut self, record: Record<T>, _context: &mut SinkContext<'_, '_>) -> Result<()> {
        self.buffer.push((record.value, record.timestamp));
        Ok(())
    }

    fn end_batch(&mut self, _context: &mut SinkContext<'_, '_>) -> Result<()> {
        if self.at_once {
            self.collected.lock().at_once.extend(self.buffer.drain(..).map(record));
            self.collected.news.notify_all();
        }
        Ok(())
    }

    fn pre_commit(&mut self, _: CheckpointId, _: &mut SinkContext<'_, '_>) -> Result<Vec<Self::Committable>> {
        if self.buffer.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![(self.instance, std::mem::take(&mut self.buffer))])
    }

    fn commit(
        &mut self,
        checkpoint: CheckpointId,
        (instance, rows): Self::Committable,
        _context: &mut SinkContext<'_, '_>,
    ) -> Result<()> {
        let mut shown = self.collected.lock();
        shown
            .committed
            .entry((checkpoint, instance))
            .or_insert_with(|| rows.into_iter().map(record).collect());
        self.collected.news.notify_all();
        Ok(())
    }
}
