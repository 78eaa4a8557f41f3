//! Where tables are read and written.
//!
//! A connector makes readers and writers of a table. They may block: each runs on a thread of its own, behind a bounded
//! channel, so that no worker ever waits for them.

mod datagen;
mod files;
mod host;
pub(crate) mod options;
mod print;
mod socket;

pub(crate) use host::HostRef;
pub use host::{HostTable, HostType, HostValue, TakeRow};

use crate::catalog::{ColumnSource, TableDef};
use crate::format::FormatColumn;
use crate::parser::span::{SqlError, SqlResult, nearest};
use arrow_array::{ArrayRef, RecordBatch};
use eddyline_core::Result;
use std::sync::Arc;
use std::time::Duration;

/// Rows as a reader gives them: the columns of [`TableDef::stored_columns`] in order.
#[derive(Debug)]
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

    /// The same table with only these of its stored columns, in this order; none if it has to be read whole.
    fn projected(&self, columns: &[usize]) -> Option<Arc<dyn TableSource>> {
        let _ = columns;
        None
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

/// The connectors that there are.
const CONNECTORS: &[&str] = &["filesystem", "datagen", "socket", "print", "blackhole"];

/// Whether a table's rows are changes.
pub(crate) fn is_changelog(table: &TableDef) -> bool {
    source_of(table).is_ok_and(|source| source.is_changelog())
}

/// The source behind `table`, whose options are checked.
pub(crate) fn source_of(table: &TableDef) -> SqlResult<Arc<dyn TableSource>> {
    if let Some(host) = &table.host {
        return host::source_of(table, host);
    }
    match table.connector() {
        "filesystem" => files::source_of(table),
        "datagen" => datagen::source_of(table),
        "socket" => socket::source_of(table),
        "print" | "blackhole" => Err(wrong_end(table, "be read from, only written to")),
        _ => Err(unknown(table)),
    }
}

/// The sink behind `table`, whose options are checked.
pub(crate) fn sink_of(table: &TableDef) -> SqlResult<Arc<dyn TableSink>> {
    if table.host.is_some() {
        return Err(SqlError::new(format!("table `{}` cannot be written to", table.name())));
    }
    match table.connector() {
        "filesystem" => files::sink_of(table),
        "print" => print::sink_of(table),
        "blackhole" => print::blackhole_of(table),
        "datagen" | "socket" => Err(wrong_end(table, "be written to, only read from")),
        _ => Err(unknown(table)),
    }
}

fn wrong_end(table: &TableDef, what: &str) -> SqlError {
    SqlError::new(format!("table `{}` cannot {what}: its connector is '{}'", table.name(), table.connector()))
}

fn unknown(table: &TableDef) -> SqlError {
    let (name, connector) = (table.name(), table.connector());
    if connector.is_empty() {
        let error =
            SqlError::new(format!("table `{name}` has no connector, so it can be neither read nor written"));
        return error.hint("add 'connector' = '…' to WITH (…)");
    }
    let error = SqlError::new(format!("table `{name}`: there is no connector '{connector}'"));
    match nearest(connector, CONNECTORS.iter().copied()) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint(format!("connectors are {}", CONNECTORS.join(", "))),
    }
}

/// The physical columns of `table`.
fn physical_columns(table: &TableDef) -> Vec<FormatColumn> {
    let physical = table.columns.iter().filter(|column| matches!(column.source, ColumnSource::Physical));
    physical
        .map(|column| FormatColumn { name: column.name.clone(), data_type: column.data_type.clone() })
        .collect()
}

/// Fails if `table` has metadata columns, which its connector does not know.
fn no_metadata(table: &TableDef) -> SqlResult<()> {
    let metadata = table.columns.iter().find(|column| matches!(column.source, ColumnSource::Metadata { .. }));
    match metadata {
        Some(column) => Err(SqlError::new(format!(
            "column `{}` of table `{}`: connector '{}' has no metadata",
            column.name,
            table.name(),
            table.connector()
        ))),
        None => Ok(()),
    }
}
