//! Tables whose rows come from the program that runs the session.
//!
//! The program is asked for all rows each time that the table is read. It may take its time: it runs on a thread of its
//! own, a few batches ahead of the query, and is told to stop when nobody wants more.

use super::{Position, ReadOutcome, Rows, TableReader, TableSource, physical_columns};
use crate::catalog::TableDef;
use crate::format::FormatColumn;
use crate::parser::span::{SqlError, SqlResult};
use crate::row::ColumnBuilder;
use crate::types::TypeKind;
use arrow_array::ArrayRef;
use eddyline_core::{Error, Result};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Rows of a batch.
const BATCH_ROWS: usize = 2_048;
/// Batches that are ready before they are wanted.
const BATCHES_AHEAD: usize = 4;
/// How long a read waits for a batch before it answers that there is none yet.
const PATIENCE: Duration = Duration::from_millis(50);

/// The type of a column of a [`HostTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostType {
    /// BIGINT
    Whole,
    /// STRING
    Text,
    /// TIMESTAMP_LTZ(3)
    Time,
}

impl HostType {
    pub(crate) fn kind(self) -> TypeKind {
        match self {
            HostType::Whole => TypeKind::BigInt,
            HostType::Text => TypeKind::STRING,
            HostType::Time => TypeKind::TimestampLtz(3),
        }
    }
}

/// A value in a row of a [`HostTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostValue<'a> {
    /// There is none.
    Null,
    /// A number; of a time, milliseconds since the epoch.
    Whole(i64),
    /// A text.
    Text(&'a str),
}

impl From<u64> for HostValue<'_> {
    fn from(number: u64) -> Self {
        HostValue::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Self>> From<Option<T>> for HostValue<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(HostValue::Null, Into::into)
    }
}

impl From<i64> for HostValue<'_> {
    fn from(number: i64) -> Self {
        HostValue::Whole(number)
    }
}

impl<'a> From<&'a str> for HostValue<'a> {
    fn from(text: &'a str) -> Self {
        HostValue::Text(text)
    }
}

/// Takes a row; `Break` says that no more are wanted.
pub type TakeRow<'a> = dyn FnMut(&[HostValue<'_>]) -> ControlFlow<()> + 'a;

/// A table whose rows the program has.
pub trait HostTable: Send + Sync {
    /// The names and types of the columns.
    fn columns(&self) -> Vec<(&'static str, HostType)>;

    /// Gives all rows, each with a value per column. It may block.
    ///
    /// # Errors
    /// Why the rows cannot be had.
    fn scan(&self, take: &mut TakeRow<'_>) -> Result<()>;
}

/// The table of the program, as a definition keeps it.
#[derive(Clone)]
pub(crate) struct HostRef(pub(crate) Arc<dyn HostTable>);

impl fmt::Debug for HostRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HostRef")
    }
}

struct HostSource {
    columns: Vec<FormatColumn>,
    table: Arc<dyn HostTable>,
}

/// The source of a table of the program.
pub(super) fn source_of(table: &TableDef, host: &HostRef) -> SqlResult<Arc<dyn TableSource>> {
    if let Some(key) = table.options.keys().next() {
        return Err(SqlError::new(format!("table `{}` has no option '{key}'", table.name())));
    }
    Ok(Arc::new(HostSource { columns: physical_columns(table), table: host.0.clone() }))
}

impl TableSource for HostSource {
    fn is_bounded(&self) -> bool {
        true
    }

    fn reader(&self, instance: u32, _parallelism: u32) -> Result<Box<dyn TableReader>> {
        let reader = HostReader { batches: None };
        if instance > 0 {
            return Ok(Box::new(reader));
        }
        let (sender, batches) = sync_channel(BATCHES_AHEAD);
        let (table, kinds) = (self.table.clone(), self.columns.clone());
        std::thread::Builder::new()
            .name("sql-host-table".into())
            .spawn(move || fill(&*table, &kinds, &sender))
            .map_err(|error| Error::internal(format!("a thread cannot be started: {error}")))?;
        Ok(Box::new(HostReader { batches: Some(batches) }))
    }
}

type Sent = Result<(Vec<ArrayRef>, usize)>;

/// Sends all rows of `table` in batches, until nobody takes them.
fn fill(table: &dyn HostTable, columns: &[FormatColumn], sender: &SyncSender<Sent>) {
    let builders = || -> Vec<ColumnBuilder> {
        columns.iter().map(|column| ColumnBuilder::new(&column.data_type.kind)).collect()
    };
    let (mut batch, mut count) = (builders(), 0);
    let outcome = table.scan(&mut |row| {
        for ((builder, column), value) in batch.iter_mut().zip(columns).zip(row) {
            match value {
                HostValue::Null => builder.append_null(),
                HostValue::Text(text) => builder.append_text(text),
                HostValue::Whole(millis) if column.data_type.kind.is_timestamp() => {
                    builder.append_int(millis.saturating_mul(1_000));
                }
                HostValue::Whole(number) => builder.append_int(*number),
            }
        }
        count += 1;
        if count < BATCH_ROWS {
            return ControlFlow::Continue(());
        }
        let full = std::mem::replace(&mut batch, builders());
        match sender.send(Ok((finished(full), std::mem::take(&mut count)))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    let last = outcome.map(|()| (finished(batch), count));
    // Whoever does not take it has what it wanted.
    let _ = sender.send(last);
}

fn finished(builders: Vec<ColumnBuilder>) -> Vec<ArrayRef> {
    builders.into_iter().map(ColumnBuilder::finish).collect()
}

struct HostReader {
    batches: Option<Receiver<Sent>>,
}

impl TableReader for HostReader {
    fn restore(&mut self, _positions: Vec<Position>) -> Result<()> {
        Err(Error::state("a table of the program cannot be read on from where it was"))
    }

    fn read(&mut self, _rows_max: usize) -> Result<ReadOutcome> {
        let Some(batches) = &self.batches else { return Ok(ReadOutcome::End) };
        match batches.recv_timeout(PATIENCE) {
            Ok(Ok((columns, count))) => Ok(ReadOutcome::Rows(Rows { columns, count, kinds: None })),
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(ReadOutcome::Wait(Duration::ZERO)),
            Err(RecvTimeoutError::Disconnected) => Ok(ReadOutcome::End),
        }
    }

    fn positions(&self) -> Vec<Position> {
        Vec::new()
    }
}
