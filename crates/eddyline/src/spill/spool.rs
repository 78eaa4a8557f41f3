//! Collecting records within a budget.

use super::merge::{Merge, Order, Repeatable, Sequence, Source};
use super::pool::{SpillService, Task};
use super::run::{BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, Run, RunReader, RunWriter};
use super::storage::SpillStorage;
use eddyline_core::{Data, Result};
use std::sync::Arc;
use std::task::Waker;

/// Most runs merged at once: each needs a block of memory.
const FAN_IN: usize = 16;
/// Runs (and with them open files) from which on a spool merges some of them while it still collects.
const RUNS_MAX: usize = 4 * FAN_IN;
/// One part of the budget is filled, one is being written, one is what sorting and merging need.
const BUDGET_PARTS: usize = 3;

/// What a spool needs of its operator.
#[derive(Clone)]
pub(crate) struct SpillSetup {
    /// Threads and files.
    pub(crate) service: Arc<SpillService>,
    /// Wakes the operator.
    pub(crate) waker: Waker,
    /// Memory that may be used.
    pub(crate) budget_bytes: usize,
}

impl SpillSetup {
    /// The same with a part of the budget.
    pub(crate) fn share(&self, parts: usize) -> Self {
        SpillSetup { budget_bytes: self.budget_bytes / parts.max(1), ..self.clone() }
    }
}

/// What the service does for a spool.
enum Work {
    Write(Task<Run>),
    /// Runs that stood at this place are made one.
    Compact(usize, Task<Run>),
}

/// Records collected on a worker's thread.
pub(crate) struct Spool<T> {
    setup: SpillSetup,
    order: Option<Order<T>>,
    rows: Vec<T>,
    heap_bytes: usize,
    runs: Vec<Run>,
    work: Option<Work>,
    work_bytes: usize,
}

impl<T: Data> Spool<T> {
    /// An empty spool, sorted by `order`; without one, it keeps the order of arrival.
    pub(crate) fn new(setup: SpillSetup, order: Option<Order<T>>) -> Self {
        Spool { setup, order, rows: Vec::new(), heap_bytes: 0, runs: Vec::new(), work: None, work_bytes: 0 }
    }

    fn rows_bytes(&self) -> usize {
        self.rows.capacity().saturating_mul(size_of::<T>()) + self.heap_bytes
    }

    fn part_bytes(&self) -> usize {
        self.setup.budget_bytes / BUDGET_PARTS
    }

    /// The memory in use.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.rows_bytes() + self.work_bytes
    }

    /// Whether nothing was collected.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.runs.is_empty() && self.work.is_none()
    }

    /// Takes a record. Call [`Spool::poll`] after a batch of them, and take no other batch before
    /// [`Spool::accepts`] says so.
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        if self.rows.len() == self.rows.capacity() {
            // Doubled, but not far beyond what will be handed over anyway.
            let most = self.part_bytes() / size_of::<T>().max(1);
            let more = self.rows.len().min(most.saturating_sub(self.rows.len())).max(64);
            self.rows.reserve_exact(more);
        }
        if T::HAS_HEAP {
            self.heap_bytes += value.heap_bytes();
        }
        self.rows.push(value);
    }

    /// Whether another batch may be pushed; if not, the operator's waker will be called.
    pub(crate) fn accepts(&self) -> bool {
        self.work.is_none() || !self.is_full()
    }

    fn is_full(&self) -> bool {
        let flat = self.rows.len().saturating_mul(size_of::<T>());
        flat + self.heap_bytes >= self.part_bytes().max(1)
    }

    /// Takes in what the service has done, and hands over what is too much.
    pub(crate) fn poll(&mut self) -> Result<()> {
        match &self.work {
            Some(Work::Write(task)) => match task.take()? {
                Some(run) => self.runs.push(run),
                None => return Ok(()),
            },
            Some(Work::Compact(at, task)) => match task.take()? {
                Some(run) => self.runs.insert(*at, run),
                None => return Ok(()),
            },
            None => {}
        }
        (self.work, self.work_bytes) = (None, 0);
        if self.runs.len() >= RUNS_MAX && self.order.is_some() {
            self.compact();
        } else if self.is_full() && !self.rows.is_empty() {
            self.write();
        }
        Ok(())
    }

    fn write(&mut self) {
        self.work_bytes = self.rows_bytes();
        self.heap_bytes = 0;
        let (rows, order) = (std::mem::take(&mut self.rows), self.order.clone());
        let storage = self.setup.service.storage();
        let block = block_bytes(self.setup.budget_bytes, 1);
        let task = self.setup.service.submit(&self.setup.waker, move || {
            let mut run = RunWriter::new(&*storage, block)?;
            for value in sorted(rows, order.as_ref()) {
                run.push(&value)?;
            }
            run.finish()
        });
        self.work = Some(Work::Write(task));
    }

    /// Merges the neighbours with the fewest bytes.
    fn compact(&mut self) {
        let Some(order) = self.order.clone() else { return };
        let at = cheapest(&self.runs);
        let runs: Vec<Run> = self.runs.drain(at..at + FAN_IN).collect();
        let storage = self.setup.service.storage();
        let block = block_bytes(self.setup.budget_bytes, FAN_IN + 1);
        self.work_bytes = block * (FAN_IN + 1);
        let task = self
            .setup
            .service
            .submit(&self.setup.waker, move || merge_to_run::<T>(runs, &order, &*storage, block));
        self.work = Some(Work::Compact(at, task));
    }

    /// All records, once nothing is being written any more; else the operator's waker will be called.
    pub(crate) fn finish(&mut self) -> Result<Option<Spooled<T>>> {
        self.poll()?;
        if self.work.is_some() {
            return Ok(None);
        }
        self.heap_bytes = 0;
        Ok(Some(Spooled {
            rows: std::mem::take(&mut self.rows),
            runs: std::mem::take(&mut self.runs),
            order: self.order.clone(),
            storage: self.setup.service.storage(),
            budget_bytes: self.setup.budget_bytes,
        }))
    }
}

/// Where the [`FAN_IN`] neighbours with the fewest bytes begin.
fn cheapest(runs: &[Run]) -> usize {
    let bytes = |window: &[Run]| window.iter().map(|run| run.bytes).sum::<u64>();
    let windows = runs.windows(FAN_IN).enumerate();
    windows.min_by_key(|(at, window)| (bytes(window), *at)).map_or(0, |(at, _)| at)
}

fn block_bytes(budget_bytes: usize, readers: usize) -> usize {
    (budget_bytes / BUDGET_PARTS / readers).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX)
}

fn sorted<T>(mut rows: Vec<T>, order: Option<&Order<T>>) -> Vec<T> {
    if let Some(order) = order {
        rows.sort_by(|one, other| order(one, other));
    }
    rows
}

fn merge_to_run<T: Data>(
    runs: Vec<Run>,
    order: &Order<T>,
    storage: &dyn SpillStorage,
    block: usize,
) -> Result<Run> {
    let sources = runs.into_iter().map(|run| Source::Run(RunReader::new(run, block))).collect();
    let mut merge = Merge::<T>::new(sources, order.clone())?;
    let mut merged = RunWriter::new(storage, block)?;
    while let Some(value) = merge.next()? {
        merged.push(&value)?;
    }
    merged.finish()
}

/// Everything that a spool has collected; to be read on the service's threads.
pub(crate) struct Spooled<T> {
    rows: Vec<T>,
    runs: Vec<Run>,
    order: Option<Order<T>>,
    storage: Arc<dyn SpillStorage>,
    budget_bytes: usize,
}

impl<T: Data> Spooled<T> {
    /// Whether nothing was spilled.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.runs.is_empty()
    }

    /// The records in memory: all of them, if nothing was spilled.
    pub(crate) fn rows(&self) -> &[T] {
        &self.rows
    }

    /// Where more may be spilled.
    pub(crate) fn storage(&self) -> Arc<dyn SpillStorage> {
        self.storage.clone()
    }

    /// The memory that reading may use beside what merging needs.
    pub(crate) fn spare_bytes(&self) -> usize {
        self.budget_bytes / BUDGET_PARTS
    }

    /// The records in order. Waits for the disk.
    ///
    /// # Errors
    /// If files cannot be read, or not be written in between.
    pub(crate) fn into_merge(mut self) -> Result<Merge<T>> {
        let order = self.order.take().unwrap_or_else(|| Arc::new(|_, _| std::cmp::Ordering::Equal));
        let block = block_bytes(self.budget_bytes, FAN_IN + 1);
        while self.runs.len() > FAN_IN {
            // As many at once as lead to a last merge of FAN_IN, so that few records are written again.
            let many = (self.runs.len() - FAN_IN + 1).min(FAN_IN);
            let at = if many == FAN_IN { cheapest(&self.runs) } else { 0 };
            let runs: Vec<Run> = self.runs.drain(at..at + many).collect();
            let merged = merge_to_run::<T>(runs, &order, &*self.storage, block)?;
            self.runs.insert(at, merged);
        }
        let runs = self.runs.into_iter().map(|run| Source::Run(RunReader::new(run, block)));
        let rows = sorted(self.rows, Some(&order));
        Merge::new(runs.chain([Source::Rows(rows.into_iter())]).collect(), order)
    }

    /// The records in memory as they came.
    pub(crate) fn into_arrived(self) -> Vec<T> {
        self.rows
    }

    /// The records as they came (runs are sorted in themselves, if the spool has an order).
    pub(crate) fn into_sequence(self) -> Sequence<T> {
        let (runs, rows) = self.into_parts();
        Sequence::new(runs, rows)
    }

    /// As [`Spooled::into_sequence`], to be read again and again.
    pub(crate) fn into_repeatable(self) -> Repeatable<T> {
        let (runs, rows) = self.into_parts();
        Repeatable::new(runs, rows)
    }

    fn into_parts(self) -> (Vec<RunReader<T>>, Vec<T>) {
        let block = block_bytes(self.budget_bytes, 1);
        (self.runs.into_iter().map(|run| RunReader::new(run, block)).collect(), self.rows)
    }
}
