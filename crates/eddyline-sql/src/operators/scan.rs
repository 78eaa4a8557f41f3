//! Reading a table: a reader on a thread of its own, computed columns, watermarks.
//!
//! Batches are cut so that a watermark lies between a row and a later one that it makes late: so late rows are the same
//! ones, however the rows are batched, and the same as in a processor that sees row by row.

use super::batches::assemble;
use super::{Settings, failed, wall_micros};
use crate::connector::{Position, ReadOutcome, Rows, TableReader, TableSource};
use crate::expr::{Typed, evaluate};
use crate::row::ColumnView;
use arrow_array::{Array, ArrayRef, NullArray, RecordBatch};
use eddyline_core::{Batch, Error, EventTime, Result, WATERMARK_MIN};
use eddyline_runtime::operator::Source;
use eddyline_runtime::{OperatorContext, SourceStatus, Stateful};
use eddyline_state::{ManagedState, OperatorListState};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::Waker;
use std::time::Duration;

/// Batches that a reader may be ahead.
const READ_AHEAD: usize = 2;

enum Message {
    Rows(Rows, Vec<Position>),
    Skipped(u64),
    End,
    Failed(Error),
}

/// What is to be read.
#[derive(Clone)]
pub(crate) struct ScanSpec {
    pub(crate) name: String,
    pub(crate) source: Arc<dyn TableSource>,
    /// For each column of the table: none if it is stored, in order; else what it is computed from.
    pub(crate) computed: Vec<Option<Typed>>,
    /// Which of all columns somebody reads; the others are NULL.
    pub(crate) needed: Vec<bool>,
    /// The stored columns that the source gives; none: all.
    pub(crate) stored: Option<Vec<usize>>,
    /// The rowtime column, and the watermark after a row, over all columns.
    pub(crate) watermark: Option<(usize, Typed)>,
    pub(crate) updating: bool,
    /// Whether it matters that a row comes after the watermark one millisecond before it: for sessions, which it would
    /// touch otherwise.
    pub(crate) touching: bool,
    pub(crate) settings: Settings,
}

/// Rows that are not emitted yet, with the watermark after each of them.
struct Pending {
    rows: RecordBatch,
    /// Event times and watermarks.
    clock: Option<(ArrayRef, ArrayRef)>,
    /// Where reading goes on when all of them are emitted.
    positions: Vec<Position>,
}

pub(crate) struct ScanOperator {
    spec: ScanSpec,
    messages: Option<Receiver<Message>>,
    pending: Option<Pending>,
    positions: Vec<Position>,
    /// Rows behind `positions` that were emitted.
    emitted: u64,
    /// Rows that a restored reader gives again.
    to_skip: u64,
    watermark: EventTime,
    skipped: u64,
    state: OperatorListState<(String, Vec<u8>)>,
    marks: OperatorListState<(u32, EventTime, u64)>,
}

impl ScanOperator {
    pub(crate) fn new(spec: ScanSpec) -> Self {
        ScanOperator {
            spec,
            messages: None,
            pending: None,
            positions: Vec::new(),
            emitted: 0,
            to_skip: 0,
            watermark: WATERMARK_MIN,
            skipped: 0,
            state: OperatorListState::union("positions", 0),
            marks: OperatorListState::union("watermarks", 0),
        }
    }

    /// The rows of the table, computed columns included.
    fn table_rows(&self, rows: Rows) -> Result<RecordBatch> {
        let count = rows.count;
        let unread = || -> ArrayRef { Arc::new(NullArray::new(count)) };
        let stored = match &self.spec.stored {
            None => rows.columns,
            Some(given) => {
                let mut given = given.iter().zip(rows.columns).peekable();
                let stored = self.spec.computed.iter().filter(|computed| computed.is_none()).count();
                let column = |number: usize| {
                    given.next_if(|(place, _)| **place == number).map_or_else(unread, |(_, column)| column)
                };
                (0..stored).map(column).collect()
            }
        };
        let stored = assemble(stored, count, None)?;
        let context = self.spec.settings.context(wall_micros());
        let mut next = 0;
        let mut columns = Vec::with_capacity(self.spec.computed.len());
        for (number, computed) in self.spec.computed.iter().enumerate() {
            columns.push(match computed {
                Some(_) if !self.spec.needed[number] => unread(),
                Some(expr) => evaluate(expr, &stored, &context)
                    .map_err(|error| failed(&format!("scan of {}", self.spec.name), error))?,
                None => {
                    next += 1;
                    stored.column(next - 1).clone()
                }
            });
        }
        let kinds =
            self.spec.updating.then(|| rows.kinds.unwrap_or_else(|| vec![crate::row::kind::INSERT; count]));
        assemble(columns, count, kinds)
    }

    fn take_in(&mut self, rows: Rows, positions: Vec<Position>) -> Result<()> {
        let rows = self.table_rows(rows)?;
        let mut clock = None;
        if let Some((column, expr)) = &self.spec.watermark
            && !self.spec.settings.batch
        {
            let context = self.spec.settings.context(wall_micros());
            let mark = evaluate(expr, &rows, &context)
                .map_err(|error| failed(&format!("watermark of {}", self.spec.name), error))?;
            clock = Some((rows.column(*column).clone(), mark));
        }
        self.pending = Some(Pending { rows, clock, positions });
        if self.to_skip > 0 {
            self.skip();
        }
        Ok(())
    }

    /// Leaves out rows that were emitted before the checkpoint from which the job was restored.
    fn skip(&mut self) {
        let Some(pending) = &mut self.pending else { return };
        let count = (self.to_skip as usize).min(pending.rows.num_rows());
        pending.drop_front(count);
        self.to_skip -= count as u64;
        self.emitted += count as u64;
    }

    /// Emits rows up to the next one that the watermark of those before it makes late.
    fn emit(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        let total = pending.rows.num_rows();
        let mut count = total;
        if let Some((times, marks)) = &pending.clock {
            let margin = EventTime::from(self.spec.touching);
            let (times, marks) = (ColumnView::new(times), ColumnView::new(marks));
            (count, self.watermark) = until_late(&times, &marks, total, self.watermark, margin);
        }
        if count > 0 {
            let rows = pending.rows.slice(0, count);
            context.emit(0, Batch::from_arrow(rows, wall_micros() as u64))?;
        }
        context.set_watermark(self.watermark, false);
        if count == total {
            self.positions = pending.positions;
            self.emitted = 0;
        } else {
            self.emitted += count as u64;
            pending.drop_front(count);
            self.pending = Some(pending);
        }
        Ok(())
    }
}

/// How many rows come before the next one that the watermark of those before it makes late, and the watermark after them.
fn until_late(
    times: &ColumnView<'_>,
    marks: &ColumnView<'_>,
    rows: usize,
    before: EventTime,
    margin: EventTime,
) -> (usize, EventTime) {
    let (time_unit, mark_unit) = (times.units_per_milli(), marks.units_per_milli());
    let highest = marks.greatest().map_or(before, |highest| before.max(highest.div_euclid(mark_unit)));
    let none_late = times.least().is_none_or(|least| {
        // The watermark excludes its own millisecond, as Flink's generators have it.
        least.div_euclid(time_unit) > highest.saturating_add(margin)
    });
    if none_late {
        return (rows, highest);
    }
    let mut watermark = before;
    for row in 0..rows {
        let time = times.int(row).map(|time| time.div_euclid(time_unit));
        let late = time.is_some_and(|time| time <= watermark.saturating_add(margin));
        if late && row > 0 && watermark > before {
            return (row, watermark);
        }
        if let Some(mark) = marks.int(row) {
            watermark = watermark.max(mark.div_euclid(mark_unit));
        }
    }
    (rows, watermark)
}

impl Pending {
    fn drop_front(&mut self, count: usize) {
        let left = self.rows.num_rows() - count;
        self.rows = self.rows.slice(count, left);
        if let Some((times, marks)) = &mut self.clock {
            (*times, *marks) = (times.slice(count, left), marks.slice(count, left));
        }
    }
}

impl Stateful for ScanOperator {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.state)?;
        visit(&mut self.marks)
    }
}

impl Source for ScanOperator {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.state = OperatorListState::union("positions", context.info().instance);
        self.marks = OperatorListState::union("watermarks", context.info().instance);
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        let mut reader = self.spec.source.reader(info.instance, info.parallelism)?;
        let instance = info.instance;
        let positions = self.state.items().to_vec();
        if let Some(least) = self.marks.items().iter().map(|(_, watermark, _)| *watermark).min() {
            self.watermark = least;
        }
        if let Some((_, own, emitted)) = self.marks.items().iter().find(|(number, ..)| *number == instance) {
            (self.watermark, self.to_skip) = (*own, *emitted);
        }
        if !positions.is_empty() {
            reader.restore(positions)?;
        }
        self.positions = reader.positions();
        let (sender, receiver) = sync_channel(READ_AHEAD);
        let (waker, rows_max) = (context.waker().clone(), context.batch_rows_max().max(1));
        let name = format!("read-{}", self.spec.name);
        std::thread::Builder::new()
            .name(name)
            .spawn(move || read_all(reader.as_mut(), rows_max, &sender, &waker))
            .map_err(|error| Error::internal(format!("a thread cannot be started: {error}")))?;
        self.messages = Some(receiver);
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        if self.pending.is_none() {
            let Some(messages) = &self.messages else { return Ok(SourceStatus::Finished) };
            match messages.try_recv() {
                Ok(Message::Rows(rows, positions)) => self.take_in(rows, positions)?,
                Ok(Message::Skipped(skipped)) => self.skipped = skipped,
                Ok(Message::End) => return Ok(SourceStatus::Finished),
                Ok(Message::Failed(error)) => return Err(error),
                Err(TryRecvError::Empty) => return Ok(SourceStatus::Pending),
                Err(TryRecvError::Disconnected) => {
                    return Err(Error::internal(format!("the reader of {} is gone", self.spec.name)));
                }
            }
        }
        self.emit(context)?;
        Ok(SourceStatus::Ready)
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: eddyline_protocol::CheckpointId,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.state.set(self.positions.clone());
        self.marks.set(vec![(context.info().instance, self.watermark, self.emitted)]);
        Ok(())
    }

    fn close(&mut self) {
        self.messages = None;
    }
}

/// Reads on until the table ends or nobody wants more.
fn read_all(reader: &mut dyn TableReader, rows_max: usize, sender: &SyncSender<Message>, waker: &Waker) {
    let mut skipped = 0;
    loop {
        let outcome = reader.read(rows_max);
        if reader.skipped() != skipped {
            skipped = reader.skipped();
            if sender.send(Message::Skipped(skipped)).is_err() {
                return;
            }
        }
        let (message, ends) = match outcome {
            Ok(ReadOutcome::Rows(rows)) => (Message::Rows(rows, reader.positions()), false),
            Ok(ReadOutcome::Wait(pause)) => {
                // A pause of a reader that has a thread of its own; bounded so that an end is noticed.
                std::thread::park_timeout(pause.min(Duration::from_millis(200)));
                if sender.send(Message::Skipped(skipped)).is_err() {
                    return;
                }
                waker.wake_by_ref();
                continue;
            }
            Ok(ReadOutcome::End) => (Message::End, true),
            Err(error) => (Message::Failed(error), true),
        };
        if sender.send(message).is_err() {
            return;
        }
        waker.wake_by_ref();
        if ends {
            return;
        }
    }
}
