//! What all operators on bounded data have in common: collect, then produce.
//!
//! A [`Body`] takes records on the worker's thread and keeps them (in memory, and in files beyond its share of the
//! worker's memory). At the end of the input it gives a [`Produce`], which makes the results on the threads of the
//! spill service: reading files and calling functions over whole groups would hold the worker up. The results come
//! back a batch at a time, and the next batch is made while the last one is sent on.
//!
//! What a body has collected is no state: it does not survive a failure, and a checkpoint in the middle of it is
//! refused. A job with such operators therefore takes no periodic checkpoints; if it fails it begins again, and sinks
//! show nothing before its end.

use crate::spill::{SpillService, SpillSetup, Spool, Task, lost_work};
use eddyline_core::{Batch, Data, Error, EventTime, Record, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{InstanceInfo, Operator, OperatorContext, Progress, Stateful};

/// Bytes of results made in one go.
const OUT_BYTES_MAX: usize = 512 << 10;

/// Takes the results of a [`Produce`].
pub(crate) struct Out<O> {
    rows: Vec<Record<O>>,
    heap_bytes: usize,
    rows_max: usize,
}

impl<O: Data> Out<O> {
    /// For `rows_max` results or a few more.
    pub(crate) fn new(rows_max: usize) -> Self {
        Out { rows: Vec::new(), heap_bytes: 0, rows_max }
    }

    /// Takes a result.
    #[inline]
    pub(crate) fn push(&mut self, value: O) {
        if O::HAS_HEAP {
            self.heap_bytes += value.heap_bytes();
        }
        self.rows.push(Record { value, timestamp: EventTime::MIN });
    }

    /// Whether these are enough for now.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= self.rows_max || self.bytes() >= OUT_BYTES_MAX
    }

    fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Record<O>>() + self.heap_bytes
    }

    /// Sends on what was taken.
    fn emit(mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let rows_max = context.batch_rows_max().max(1);
        while self.rows.len() > rows_max {
            let rest = self.rows.split_off(rows_max);
            context.emit_rows(0, std::mem::replace(&mut self.rows, rest), 0)?;
        }
        context.emit_rows(0, self.rows, 0)
    }
}

/// Makes results, on a thread of the spill service.
pub(crate) trait Produce<O>: Send {
    /// Fills `out`; says whether there is more. What a single call of a user's function gives may overfill it.
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool>;
}

/// Any producer.
pub(crate) type Producer<O> = Box<dyn Produce<O>>;

/// A producer that is an iterator.
pub(crate) struct FromIterator<I>(pub(crate) I);

impl<O: Data, I: Iterator<Item = O> + Send> Produce<O> for FromIterator<I> {
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        while !out.is_full() {
            match self.0.next() {
                Some(value) => out.push(value),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Something that records are collected in.
pub(crate) trait Collects {
    /// Whether another batch may be taken; if not, the operator's waker will be called.
    fn accepts(&self) -> bool {
        true
    }
    /// The memory in use.
    fn memory_bytes(&self) -> usize;
    /// Whether it cannot be spilled.
    fn has_to_fit(&self) -> bool {
        false
    }
    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool;
}

impl<T: Data> Collects for Spool<T> {
    fn accepts(&self) -> bool {
        Spool::accepts(self)
    }

    fn memory_bytes(&self) -> usize {
        Spool::memory_bytes(self)
    }

    fn is_empty(&self) -> bool {
        Spool::is_empty(self)
    }
}

/// Values in memory, however many; their bytes are counted as they come.
pub(crate) struct Held<T> {
    values: Vec<T>,
    heap_bytes: usize,
    is_small: bool,
}

impl<T: Data> Held<T> {
    /// For as many values as there are.
    pub(crate) fn new() -> Self {
        Held { values: Vec::new(), heap_bytes: 0, is_small: false }
    }

    /// For a few values, whatever the size of the input.
    pub(crate) fn few() -> Self {
        Held { is_small: true, ..Held::new() }
    }

    pub(crate) fn push(&mut self, value: T) {
        if T::HAS_HEAP {
            self.heap_bytes += value.heap_bytes();
        }
        self.values.push(value);
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Puts `value` in the place of another one.
    pub(crate) fn replace(&mut self, place: usize, value: T) {
        let before = std::mem::replace(&mut self.values[place], value);
        if T::HAS_HEAP {
            self.heap_bytes += self.values[place].heap_bytes();
            self.heap_bytes = self.heap_bytes.saturating_sub(before.heap_bytes());
        }
    }

    /// Takes all values out.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.heap_bytes = 0;
        std::mem::take(&mut self.values)
    }
}

impl<T: Data> Collects for Held<T> {
    fn memory_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>() + self.heap_bytes
    }

    fn has_to_fit(&self) -> bool {
        !self.is_small
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<C: Collects> Collects for Option<C> {
    fn accepts(&self) -> bool {
        self.as_ref().is_none_or(C::accepts)
    }

    fn memory_bytes(&self) -> usize {
        self.as_ref().map_or(0, C::memory_bytes)
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_none_or(C::is_empty)
    }
}

/// The memory that a body uses, and how much of it cannot be spilled.
fn memory_bytes(body: &impl Body) -> (usize, usize) {
    let (mut bytes, mut fitting) = (0, 0);
    body.collections(&mut |collects| {
        bytes += collects.memory_bytes();
        fitting += if collects.has_to_fit() { collects.memory_bytes() } else { 0 };
    });
    (bytes, fitting)
}

/// What one call gave, or what all instances hold, is more than half of the worker's memory: better a word on it than
/// an end without one.
fn too_large(what: &str, bytes: usize, worker_bytes: usize) -> Error {
    let (bytes, worker_bytes) = (bytes >> 10, worker_bytes >> 10);
    Error::memory(format!("{what}: more than half of its worker's memory"))
        .with_detail(format!("it takes {bytes} of {worker_bytes} KiB"))
}

/// What a body may do while it takes records.
pub(crate) struct TakeContext<'a, O> {
    /// Results that can leave at once: no more than in proportion to the records taken.
    pub(crate) out: &'a mut Out<O>,
}

/// What an operator does with its records.
pub(crate) trait Body: 'static {
    /// What leaves it.
    type Output: Data;

    /// Prepares the instance.
    fn open(&mut self, setup: &SpillSetup, info: &InstanceInfo) -> Result<()>;

    /// Takes the records of a batch that came in on `input`.
    fn take(&mut self, input: usize, batch: Batch, context: TakeContext<'_, Self::Output>) -> Result<()>;

    /// Takes in what the spill service has done.
    fn poll(&mut self) -> Result<()> {
        Ok(())
    }

    /// Shows everything that records are collected in.
    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        let _ = visit;
    }

    /// Whether nothing was collected.
    fn is_empty(&self) -> bool {
        let mut empty = true;
        self.collections(&mut |collects| empty &= collects.is_empty());
        empty
    }

    /// The input has ended: what makes the results, or nothing as long as something is being written (then the
    /// operator's waker will be called). Leaves the body empty, ready to collect again.
    fn finish(&mut self) -> Result<Option<Producer<Self::Output>>>;
}

type Made<O> = (Producer<O>, Out<O>, bool);

enum Phase<O> {
    Collecting,
    Producing(Task<Made<O>>),
    Done,
}

/// One instance of an operator on bounded data.
pub(crate) struct BlockingOperator<B: Body> {
    body: B,
    setup: Option<SpillSetup>,
    phase: Phase<B::Output>,
    accounted: usize,
    rows_max: usize,
    worker_bytes: usize,
}

impl<B: Body> BlockingOperator<B> {
    pub(crate) fn new(body: B) -> Self {
        BlockingOperator {
            body,
            setup: None,
            phase: Phase::Collecting,
            accounted: 0,
            rows_max: 1,
            worker_bytes: 0,
        }
    }

    fn account(&mut self, bytes: usize, context: &OperatorContext<'_>) {
        context.account_bytes(bytes as i64 - self.accounted as i64);
        self.accounted = bytes;
    }

    fn submit(&self, mut producer: Producer<B::Output>) -> Result<Task<Made<B::Output>>> {
        let setup = self.setup.as_ref().ok_or_else(lost_work)?;
        let (rows_max, worker_bytes) = (self.rows_max, self.worker_bytes);
        Ok(setup.service.submit(&setup.waker, move || {
            let mut out = Out::new(rows_max);
            let more = producer.produce(&mut out)?;
            if out.bytes() > (worker_bytes / 2).max(2 * OUT_BYTES_MAX) {
                let error =
                    too_large("what one call of a function gave is too large", out.bytes(), worker_bytes);
                return Err(error.with_hint(
                    "emit less per group, partition or value, or raise taskmanager.memory.process.size",
                ));
            }
            Ok((producer, out, more))
        }))
    }
}

impl<B: Body> Stateful for BlockingOperator<B> {}

impl<B: Body> Operator for BlockingOperator<B> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let setup = SpillSetup {
            service: context.service::<SpillService>().unwrap_or_else(SpillService::shared),
            waker: context.waker().clone(),
            budget_bytes: context.managed_memory_bytes(),
        };
        self.rows_max = context.batch_rows_max().max(1);
        self.worker_bytes = context.worker_memory_bytes();
        self.body.open(&setup, context.info())?;
        self.setup = Some(setup);
        Ok(())
    }

    fn on_batch(&mut self, input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let mut out = Out::new(self.rows_max);
        self.body.take(input, batch, TakeContext { out: &mut out })?;
        self.body.poll()?;
        let (bytes, fitting) = memory_bytes(&self.body);
        if fitting > self.worker_bytes / 2 {
            let error =
                too_large("a data set that each instance holds is too large", fitting, self.worker_bytes);
            return Err(error.with_hint(
                "a broadcast set has to fit in memory: join with it, or raise taskmanager.memory.process.size",
            ));
        }
        self.account(bytes, context);
        out.emit(context)
    }

    fn on_wake(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if matches!(self.phase, Phase::Collecting) {
            self.body.poll()?;
            let (bytes, _) = memory_bytes(&self.body);
            self.account(bytes, context);
        }
        Ok(Progress::Done)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        loop {
            match &self.phase {
                Phase::Collecting => {
                    let Some(producer) = self.body.finish()? else { return Ok(Progress::Waiting) };
                    self.phase = Phase::Producing(self.submit(producer)?);
                }
                Phase::Producing(task) => {
                    if !context.has_room() {
                        return Ok(Progress::More);
                    }
                    let Some((producer, out, more)) = task.take()? else { return Ok(Progress::Waiting) };
                    self.phase = if more { Phase::Producing(self.submit(producer)?) } else { Phase::Done };
                    out.emit(context)?;
                }
                Phase::Done => {
                    self.account(0, context);
                    return Ok(Progress::Done);
                }
            }
        }
    }

    fn accepts_input(&self) -> bool {
        let mut accepts = true;
        self.body.collections(&mut |collects| accepts &= collects.accepts());
        accepts
    }

    fn before_snapshot(&mut self, _: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        if matches!(self.phase, Phase::Done) || self.body.is_empty() && self.accounted == 0 {
            return Ok(());
        }
        // Tried again, it would be refused again.
        Err(Error::config("a job cannot be suspended while it collects bounded data")
            .with_detail(format!("operator `{}`", context.info().name))
            .with_hint(
                "let it come to its end, or cancel it: a job on bounded data begins again after a stop",
            ))
    }
}
