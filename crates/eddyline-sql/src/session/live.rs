//! Looking on while a statement runs: what a query has given so far, how far its job is, and ending it.
//!
//! A [`Watcher`] is called on the thread that runs the statement, again and again while the job runs and once when it
//! has ended. Of a query without end it sees the latest rows, and of all the latest changes.

use super::materialize::Materialized;
use crate::expr::text_format::value_to_text;
use crate::format::show;
use crate::row::{RowBytes, columns_of_rows, kind, row_bytes, views_of};
use crate::types::{SqlType, TypeKind};
use arrow_array::RecordBatch;
use eddyline_core::Result;
use jiff::tz::TimeZone;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

/// Changes that are kept to be looked at.
const CHANGES_MAX: usize = 10_000;
/// Rows that are kept of a table, unless the session says otherwise.
pub(super) const ROWS_MAX: usize = 1_000_000;

/// Looks on while the jobs of statements run, and may end them.
pub trait Watcher {
    /// Called every few milliseconds while a job runs: `rows` is what a query has given so far, none of statements that
    /// write. [`ControlFlow::Break`] cancels the job.
    ///
    /// # Errors
    /// What hinders it from looking on, which ends the job.
    fn look(&mut self, progress: &JobProgress, rows: Option<&LiveRows>) -> Result<ControlFlow<()>>;

    /// Called once when the job has ended: `cancelled` says that `look` wanted that.
    ///
    /// # Errors
    /// What hinders it from showing the result.
    fn ended(&mut self, progress: &JobProgress, rows: Option<&LiveRows>, cancelled: bool) -> Result<()>;
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// Since it was started.
    pub elapsed: Duration,
    /// Records that its sources have read; up to date within some hundred milliseconds.
    pub records_in: u64,
    /// Whether it writes to the terminal itself.
    pub prints: bool,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name, which no other column has.
    pub name: String,
    /// Its type as SQL has it.
    pub type_name: String,
    /// Whether its values are numbers.
    pub is_numeric: bool,
}

/// A change of a result: `+I`, `-U`, `+U` or `-D`, and the row as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultChange {
    /// What happened to the row.
    pub op: &'static str,
    /// The row's values.
    pub cells: Vec<String>,
}

/// What a query has given so far.
pub struct LiveRows {
    columns: Vec<ResultColumn>,
    names: Vec<String>,
    types: Vec<SqlType>,
    zone: TimeZone,
    is_bounded: bool,
    is_batch: bool,
    rows: Materialized,
    changes: VecDeque<(i8, RowBytes)>,
    seen: u64,
}

impl LiveRows {
    pub(super) fn new(names: Vec<String>, types: Vec<SqlType>, rows_max: usize, zone: TimeZone) -> Self {
        let columns = names.iter().zip(&types).map(|(name, data_type)| ResultColumn {
            name: name.clone(),
            type_name: data_type.kind.to_string(),
            is_numeric: data_type.kind.is_numeric(),
        });
        LiveRows {
            columns: columns.collect(),
            rows: Materialized::live(rows_max),
            names,
            types,
            zone,
            is_bounded: true,
            is_batch: false,
            changes: VecDeque::new(),
            seen: 0,
        }
    }

    /// Of a query that ends by itself all rows are kept.
    pub(super) fn of(mut self, is_bounded: bool, is_batch: bool) -> Self {
        (self.is_bounded, self.is_batch) = (is_bounded, is_batch);
        if is_bounded {
            self.rows = Materialized::live(usize::MAX);
        }
        self
    }

    /// Takes changes in; all of them can be asked for until [`LiveRows::forget`].
    pub(super) fn take(&mut self, rows: &RecordBatch, kinds: &[i8]) {
        let views = views_of(rows.columns());
        for (row, meaning) in kinds.iter().enumerate() {
            let bytes = row_bytes(&views, row);
            self.changes.push_back((*meaning, bytes.clone()));
            self.rows.change(bytes, *meaning);
        }
        self.seen += kinds.len() as u64;
    }

    /// Forgets all but the latest changes.
    pub(super) fn forget(&mut self) {
        let extra = self.changes.len().saturating_sub(CHANGES_MAX);
        self.changes.drain(..extra);
    }

    /// The columns.
    pub fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    /// Whether the query ends by itself.
    pub fn is_bounded(&self) -> bool {
        self.is_bounded
    }

    /// Whether the query gives final results only.
    pub fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many changes have come.
    pub fn changes_seen(&self) -> u64 {
        self.seen
    }

    /// The number of the first change that is still known.
    pub fn changes_begin(&self) -> u64 {
        self.seen - self.changes.len() as u64
    }

    /// The values of `count` rows from the one at place `from` on, as texts.
    pub fn page(&self, from: usize, count: usize) -> Vec<Vec<String>> {
        self.cells(self.rows.rows().skip(from).take(count))
    }

    /// `count` changes from number `from` on, as far as they are known.
    pub fn changes(&self, from: u64, count: usize) -> Vec<ResultChange> {
        let skipped = from.saturating_sub(self.changes_begin()) as usize;
        let shown = || self.changes.iter().skip(skipped).take(count);
        let cells = self.cells(shown().map(|(_, bytes)| bytes.as_slice()));
        shown().zip(cells).map(|((op, _), cells)| ResultChange { op: kind::symbol(*op), cells }).collect()
    }

    /// `count` rows from the one at place `from` on, as JSON objects.
    pub fn json(&self, from: usize, count: usize) -> Vec<String> {
        let rows = self.rows.rows().skip(from).take(count);
        let Ok(columns) = columns_of_rows(&self.types, rows) else { return Vec::new() };
        let views = views_of(&columns);
        let count = count.min(self.len().saturating_sub(from));
        (0..count).map(|row| show::json_object(&self.names, &self.types, &views, row)).collect()
    }

    fn cells<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<String>> {
        let rows: Vec<&[u8]> = rows.collect();
        let Ok(columns) = columns_of_rows(&self.types, rows.iter().copied()) else { return Vec::new() };
        let views = views_of(&columns);
        let cell = |column: usize, row: usize| {
            let value = views[column].value(row);
            let kind: &TypeKind = &self.types[column].kind;
            value_to_text(&value, kind, &self.zone)
        };
        (0..rows.len()).map(|row| (0..views.len()).map(|column| cell(column, row)).collect()).collect()
    }
}
