//! Where tables are read and written.
//!
//! A connector makes readers and writers of a table. They may block: each runs on a thread of its own, behind a bounded
//! channel, so that no worker ever waits for them.

use crate::catalog::TableDef;
use crate::parser::span::SqlResult;
use arrow_array::{ArrayRef, RecordBatch};
use eddyline_core::Result;
use std::sync::Arc;
use std::time::Duration;

/// Rows as a reader gives them: the columns of [`TableDef::stored_columns`] in order.
pub(crate) struct Rows {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) count: usize,
    /// What each row means (see [`crate::row::kind`]); none: all are inserted.
    pub(crate) kinds: Option<Vec<i8>>,
}

/// What came of a read.
pub(crate) enum ReadOutcome {
    Rows(Rows),
    /// Nothing now; to be asked again after this time.
    Wait(Duration),
    /// There will never be more.
    End,
}

/// A part of a table (a file, a share of a generator) and how far it was read, in bytes that the reader understands.
pub(crate) type Position = (String, Vec<u8>);

/// Reads one instance's share of a table. May block.
pub(crate) trait TableReader: Send {
    /// Goes on from `positions`: those of all instances at a checkpoint. Called before the first read, if at all.
    fn restore(&mut self, positions: Vec<Position>) -> Result<()>;

    /// Reads about `rows_max` rows at most.
    fn read(&mut self, rows_max: usize) -> Result<ReadOutcome>;

    /// From where reading would go on after what was read so far.
    fn positions(&self) -> Vec<Position>;

    /// Lines that were left out as they could not be read, so far.
    fn skipped(&self) -> u64 {
        0
    }
}

/// Makes the readers of a table.
pub(crate) trait TableSource: Send + Sync {
    /// Whether the table ends.
    fn is_bounded(&self) -> bool;

    /// Whether rows are changes of other rows.
    fn is_changelog(&self) -> bool {
        false
    }

    /// Whether changes come without what was there before (`-U`), by primary key only.
    fn is_upsert(&self) -> bool {
        false
    }

    /// The reader of instance `instance` of `parallelism`.
    fn reader(&self, instance: u32, parallelism: u32) -> Result<Box<dyn TableReader>>;
}

/// What changes a sink takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinkMode {
    /// Inserted rows only.
    Append,
    /// All changes.
    Retract,
    /// Changes by primary key: `-U` is left out.
    Upsert,
}

/// Writes one instance's share of a table. May block.
pub(crate) trait TableWriter: Send {
    /// Takes rows of the table's persisted columns; `kinds` as in [`Rows`].
    fn write(&mut self, rows: &RecordBatch, kinds: Option<&[i8]>) -> Result<()>;

    /// Makes everything written so far durable, to be seen when `checkpoint` is committed. Answers what has to be kept
    /// for that.
    fn prepare(&mut self, checkpoint: u64) -> Result<Vec<u8>>;

    /// Makes what `prepare` answered visible; may be asked again for what is visible already.
    fn commit(&mut self, prepared: &[u8]) -> Result<()>;
}

/// Makes the writers of a table.
pub(crate) trait TableSink: Send + Sync {
    fn mode(&self) -> SinkMode;

    /// The writer of instance `instance` in attempt `attempt`.
    fn writer(&self, instance: u32, attempt: u64) -> Result<Box<dyn TableWriter>>;

    /// Called once before a job that overwrites the table starts.
    fn overwrite(&self) -> Result<()> {
        Err(eddyline_core::Error::config("this table cannot be overwritten").with_hint("use INSERT INTO"))
    }
}

/// The source behind `table`, whose options were checked.
pub(crate) fn source_of(table: &TableDef) -> SqlResult<Arc<dyn TableSource>> {
    let _ = table;
    Err(crate::parser::span::SqlError::new("there are no connectors yet"))
}

/// The sink behind `table`.
pub(crate) fn sink_of(table: &TableDef) -> SqlResult<Arc<dyn TableSink>> {
    let _ = table;
    Err(crate::parser::span::SqlError::new("there are no connectors yet"))
}
