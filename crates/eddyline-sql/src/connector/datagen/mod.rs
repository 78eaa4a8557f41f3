//! Made-up rows.
//!
//! A row is decided by its number alone, so that a restored table goes on with the same rows; only timestamps follow
//! the clock. Rows fall to instances in turn.

mod field;
#[cfg(test)]
mod tests;

use super::options::OptionReader;
use super::{Position, ReadOutcome, Rows, TableReader, TableSource, no_metadata, physical_columns};
use crate::catalog::TableDef;
use crate::parser::span::SqlResult;
use crate::row::ColumnBuilder;
use eddyline_core::{Clock, Error, Reader, Result, SystemClock};
use field::{Field, Random};
use std::sync::Arc;
use std::time::Duration;

/// Rows a second, unless said otherwise.
const ROWS_PER_SECOND: i64 = 10_000;

/// A generator of rows.
struct Datagen {
    fields: Vec<Field>,
    /// Of all instances together.
    rows_per_second: u64,
    rows: Option<u64>,
}

/// The source of made-up rows.
pub(super) fn source_of(table: &TableDef) -> SqlResult<Arc<dyn TableSource>> {
    no_metadata(table)?;
    let mut options = OptionReader::new(table);
    let rows_per_second = options.whole("rows-per-second", 1)?.unwrap_or(ROWS_PER_SECOND) as u64;
    let mut rows = options.whole("number-of-rows", 0)?.map(|rows| rows as u64);
    options.whole("scan.parallelism", 1)?;
    let mut fields = Vec::new();
    for column in physical_columns(table) {
        let field = Field::read(&mut options, &format!("fields.{}", column.name), &column.data_type.kind)?;
        // The first sequence that is used up ends the table.
        rows = rows.into_iter().chain(field.length()).min();
        fields.push(field);
    }
    options.finish()?;
    Ok(Arc::new(Source(Arc::new(Datagen { fields, rows_per_second, rows }))))
}

struct Source(Arc<Datagen>);

impl TableSource for Source {
    fn is_bounded(&self) -> bool {
        self.0.rows.is_some()
    }

    fn reader(&self, instance: u32, parallelism: u32) -> Result<Box<dyn TableReader>> {
        Ok(Box::new(DatagenReader::new(
            self.0.clone(),
            instance,
            parallelism.max(1),
            Arc::new(SystemClock::new()),
        )))
    }
}

/// Every `of`th row from row `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    first: u64,
    of: u64,
    done: u64,
}

impl Part {
    fn next(&self) -> u64 {
        self.first + self.done * self.of
    }
}

struct DatagenReader {
    datagen: Arc<Datagen>,
    instance: u32,
    parallelism: u32,
    parts: Vec<Part>,
    clock: Arc<dyn Clock>,
    /// When the first row was made in this attempt, and how many were since.
    started: Option<u64>,
    made: u64,
}

impl DatagenReader {
    fn new(datagen: Arc<Datagen>, instance: u32, parallelism: u32, clock: Arc<dyn Clock>) -> Self {
        let parts = vec![Part { first: u64::from(instance), of: u64::from(parallelism), done: 0 }];
        DatagenReader { datagen, instance, parallelism, parts, clock, started: None, made: 0 }
    }

    /// How many rows may be made now; if none, how long to wait.
    fn allowance(&mut self) -> std::result::Result<u64, Duration> {
        let now = self.clock.monotonic_micros();
        let started = *self.started.get_or_insert(now);
        let rate = u128::from(self.datagen.rows_per_second);
        let of = u128::from(self.parallelism) * 1_000_000;
        // A tenth of a second's rows come at once.
        let due = u128::from(now - started + 100_000) * rate / of + 1;
        let allowed = due.saturating_sub(u128::from(self.made));
        if allowed > 0 {
            return Ok(u64::try_from(allowed).unwrap_or(u64::MAX));
        }
        Err(Duration::from_micros((of / rate).clamp(1_000, 1_000_000) as u64))
    }
}

impl TableReader for DatagenReader {
    fn restore(&mut self, positions: Vec<Position>) -> Result<()> {
        self.parts.clear();
        for (name, bytes) in positions {
            let read = || {
                let (first, of) = name.split_once('/')?;
                let done = u64::from_le_bytes(Reader::new(&bytes).array().ok()?);
                Some(Part { first: first.parse().ok()?, of: of.parse().ok()?, done })
            };
            let part = read().ok_or_else(|| {
                Error::state("the position of a datagen table cannot be read").with_detail(name.clone())
            })?;
            if part.first % u64::from(self.parallelism) == u64::from(self.instance) {
                self.parts.push(part);
            }
        }
        Ok(())
    }

    fn read(&mut self, rows_max: usize) -> Result<ReadOutcome> {
        let rows = self.datagen.rows;
        let is_left = |part: &Part| rows.is_none_or(|rows| part.next() < rows);
        let Some(place) = self.parts.iter().position(is_left) else { return Ok(ReadOutcome::End) };
        let allowed = match self.allowance() {
            Ok(allowed) => allowed,
            Err(wait) => return Ok(ReadOutcome::Wait(wait)),
        };
        let mut part = self.parts[place];
        let left = rows.map_or(u64::MAX, |rows| (rows - part.next()).div_ceil(part.of));
        let count = allowed.min(left).min(rows_max.max(1) as u64);
        let now = self.clock.wall_millis();
        let mut columns: Vec<ColumnBuilder> =
            self.datagen.fields.iter().map(|field| ColumnBuilder::new(field.kind())).collect();
        for _ in 0..count {
            let row = part.next();
            let mut random = Random::of_row(row);
            for (field, column) in self.datagen.fields.iter().zip(&mut columns) {
                column.append(&field.value(row, &mut random, now));
            }
            part.done += 1;
        }
        self.parts[place] = part;
        self.made += count;
        let columns = columns.into_iter().map(ColumnBuilder::finish).collect();
        Ok(ReadOutcome::Rows(Rows { columns, count: count as usize, kinds: None }))
    }

    fn positions(&self) -> Vec<Position> {
        let position =
            |part: &Part| (format!("{}/{}", part.first, part.of), part.done.to_le_bytes().to_vec());
        self.parts.iter().map(position).collect()
    }
}
