//! The tables of windows, sessions and alerts.

use super::Store;
use super::columns::{Columns, schema};
use super::files::{FileCache, files, partitions};
use crate::detect::{Alert, AlertKind, Severity};
use crate::job::{Figures, WindowKind};
use crate::summary::Session;
use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};
use eddyline_core::{Data, Error, EventTime, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub(super) const WINDOWS: &str = "windows";
pub(super) const SESSIONS: &str = "sessions";
pub(super) const ALERTS: &str = "alerts";

/// A window as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct WindowRow {
    /// The number of its kind: 0 minute, 1 sliding, 2 day.
    pub(crate) kind: u8,
    pub(crate) figures: Figures,
}

/// A table of numbers and texts: enough for results, of which there are few.
struct Table {
    schema: SchemaRef,
    numbers: Vec<Int64Builder>,
    texts: Vec<StringBuilder>,
}

impl Table {
    fn new(numbers: &[&str], texts: &[&str]) -> Self {
        let number = |name: &&str| Field::new(*name, DataType::Int64, true);
        let text = |name: &&str| Field::new(*name, DataType::Utf8, false);
        Table {
            schema: schema(numbers.iter().map(number).chain(texts.iter().map(text)).collect()),
            numbers: numbers.iter().map(|_| Int64Builder::new()).collect(),
            texts: texts.iter().map(|_| StringBuilder::new()).collect(),
        }
    }

    fn append(&mut self, numbers: &[Option<i64>], texts: &[&str]) -> usize {
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_option(*number);
        }
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        8 * numbers.len() + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    fn take(&mut self) -> RecordBatch {
        let numbers =
            self.numbers.iter_mut().map(|column| Arc::new(column.finish()) as arrow_array::ArrayRef);
        let texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as arrow_array::ArrayRef);
        let columns = numbers.chain(texts).collect();
        RecordBatch::try_new(self.schema.clone(), columns).expect("invariant: columns are of the schema")
    }
}

/// One row of a batch of a [`Table`].
struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn number(&self, column: usize) -> Option<i64> {
        let numbers = self.batch.columns().get(column)?.as_primitive_opt::<Int64Type>()?;
        numbers.is_valid(self.row).then(|| numbers.value(self.row))
    }

    fn unsigned(&self, column: usize) -> Option<u64> {
        self.number(column).map(i64::unsigned_abs)
    }

    fn text(&self, column: usize) -> Option<&str> {
        Some(self.batch.columns().get(column)?.as_string_opt::<i32>()?.value(self.row))
    }

    fn json<T: DeserializeOwned>(&self, column: usize) -> Option<T> {
        serde_json::from_str(self.text(column)?).ok()
    }
}

fn signed(number: u64) -> Option<i64> {
    Some(i64::try_from(number).unwrap_or(i64::MAX))
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("invariant: texts and maps of numbers are always JSON")
}

macro_rules! columns {
    ($name:ident, $row:ty, $numbers:expr, $texts:expr, $append:expr) => {
        /// Rows of the table by column.
        pub(super) struct $name(Table);

        impl Default for $name {
            fn default() -> Self {
                $name(Table::new(&$numbers, &$texts))
            }
        }

        impl Columns<$row> for $name {
            fn schema(&self) -> SchemaRef {
                self.0.schema.clone()
            }

            fn append(&mut self, row: &$row) -> usize {
                let append: fn(&mut Table, &$row) -> usize = $append;
                append(&mut self.0, row)
            }

            fn take(&mut self) -> RecordBatch {
                self.0.take()
            }
        }
    };
}

columns!(
    WindowColumns,
    WindowRow,
    [
        "start",
        "end",
        "lines",
        "requests",
        "bytes",
        "errors",
        "visitors",
        "latency_p50_us",
        "latency_p90_us",
        "latency_p99_us",
        "kind"
    ],
    ["status"],
    |table, WindowRow { kind, figures }| {
        let numbers = [
            Some(figures.start),
            Some(figures.end),
            signed(figures.lines),
            signed(figures.requests),
            signed(figures.bytes),
            signed(figures.errors),
            signed(figures.visitors),
            figures.latency_p50_us.and_then(signed),
            figures.latency_p90_us.and_then(signed),
            figures.latency_p99_us.and_then(signed),
            Some(i64::from(*kind)),
        ];
        table.append(&numbers, &[&to_json(&figures.status)])
    }
);

columns!(SessionColumns, Session, ["start", "end", "requests", "bytes"], ["host"], |table, session| {
    let numbers = [Some(session.start), Some(session.end), signed(session.requests), signed(session.bytes)];
    table.append(&numbers, &[&session.host])
});

columns!(
    AlertColumns,
    Alert,
    ["opened", "updated", "closed", "count", "revision"],
    ["id", "kind", "subject", "severity", "message", "evidence"],
    |table, alert| {
        let numbers = [
            Some(alert.opened),
            Some(alert.updated),
            alert.closed,
            signed(alert.count),
            Some(i64::from(alert.revision)),
        ];
        let (kind, severity) = (to_json(&alert.kind), to_json(&alert.severity));
        let evidence = to_json(&alert.evidence);
        table.append(&numbers, &[&alert.id, &kind, &alert.subject, &severity, &alert.message, &evidence])
    }
);

fn window_of(row: &Row<'_>) -> Option<WindowRow> {
    Some(WindowRow {
        kind: u8::try_from(row.number(10)?).ok()?,
        figures: Figures {
            start: row.number(0)?,
            end: row.number(1)?,
            lines: row.unsigned(2)?,
            requests: row.unsigned(3)?,
            bytes: row.unsigned(4)?,
            errors: row.unsigned(5)?,
            visitors: row.unsigned(6)?,
            latency_p50_us: row.unsigned(7),
            latency_p90_us: row.unsigned(8),
            latency_p99_us: row.unsigned(9),
            status: row.json(11)?,
        },
    })
}

fn session_of(row: &Row<'_>) -> Option<Session> {
    Some(Session {
        start: row.number(0)?,
        end: row.number(1)?,
        requests: row.unsigned(2)?,
        bytes: row.unsigned(3)?,
        host: row.text(4)?.to_owned(),
    })
}

fn alert_of(row: &Row<'_>) -> Option<Alert> {
    Some(Alert {
        opened: row.number(0)?,
        updated: row.number(1)?,
        closed: row.number(2),
        count: row.unsigned(3)?,
        revision: u32::try_from(row.number(4)?).ok()?,
        id: row.text(5)?.to_owned(),
        kind: row.json::<AlertKind>(6)?,
        subject: row.text(7)?.to_owned(),
        severity: row.json::<Severity>(8)?,
        message: row.text(9)?.to_owned(),
        evidence: row.json(10)?,
    })
}

/// Has `visit` look at all rows of the partitions of `table` that may have rows of `times`; the latest first.
fn each_row(
    cache: &FileCache,
    table: &Path,
    times: &Range<EventTime>,
    visit: &mut dyn FnMut(&Row<'_>) -> bool,
) -> Result<()> {
    for partition in partitions(table, times)?.into_iter().rev() {
        let mut go_on = true;
        for path in files(cache, &partition.directory)? {
            let Some((file, footer)) = cache.open(&path)? else { continue };
            let unreadable = |error: &dyn std::fmt::Display| {
                Error::storage(format!("cannot read a stored file: {error}"))
                    .with_detail(path.display().to_string())
            };
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer);
            for batch in reader.build().map_err(|error| unreadable(&error))? {
                let batch = batch.map_err(|error| unreadable(&error))?;
                for row in 0..batch.num_rows() {
                    go_on &= visit(&Row { batch: &batch, row });
                }
            }
        }
        if !go_on {
            return Ok(());
        }
    }
    Ok(())
}

impl Store {
    /// Stored windows that begin within `times`: the latest `limit`, in the order of time. Of a window that was stored
    /// more than once (a day so far) it is the latest state.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn windows(&self, kind: WindowKind, times: Range<EventTime>, limit: usize) -> Result<Vec<Figures>> {
        let mut found: BTreeMap<EventTime, Figures> = BTreeMap::new();
        let table = self.settings().directory.join(WINDOWS);
        // A window is stored under the day in which it ends.
        let end = times.end.saturating_add(super::files::DAY_MS);
        each_row(&self.cache, &table, &(times.start..end), &mut |row| {
            let window =
                window_of(row).filter(|row| row.kind == kind as u8 && times.contains(&row.figures.start));
            if let Some(WindowRow { figures, .. }) = window {
                let known = found.entry(figures.start).or_default();
                if known.end <= figures.end {
                    *known = figures;
                }
            }
            found.len() < limit
        })?;
        let skipped = found.len().saturating_sub(limit);
        Ok(found.into_values().skip(skipped).collect())
    }

    /// Stored sessions that began within `times`, of `host` if it is given: the latest `limit`, the latest first.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn sessions(
        &self,
        times: Range<EventTime>,
        host: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Session>> {
        let mut found: BTreeMap<(EventTime, String), Session> = BTreeMap::new();
        let table = self.settings().directory.join(SESSIONS);
        let end = times.end.saturating_add(super::files::DAY_MS);
        each_row(&self.cache, &table, &(times.start..end), &mut |row| {
            let is_wanted = |session: &Session| {
                times.contains(&session.start) && host.is_none_or(|host| session.host == host)
            };
            if let Some(session) = session_of(row).filter(is_wanted) {
                found.insert((session.start, session.host.clone()), session);
                if found.len() > limit {
                    found.pop_first();
                }
            }
            found.len() < limit
        })?;
        Ok(found.into_values().rev().collect())
    }

    /// Stored alerts that opened within `times`: the latest `limit`, the latest first.
    ///
    /// # Errors
    /// If files cannot be read.
    pub fn alerts(&self, times: Range<EventTime>, limit: usize) -> Result<Vec<Alert>> {
        let mut found: BTreeMap<(EventTime, String), Alert> = BTreeMap::new();
        let table = self.settings().directory.join(ALERTS);
        each_row(&self.cache, &table, &times, &mut |row| {
            if let Some(alert) = alert_of(row).filter(|alert| times.contains(&alert.opened)) {
                let key = (alert.opened, alert.id.clone());
                match found.get_mut(&key) {
                    Some(known) if known.revision > alert.revision => {}
                    Some(known) => *known = alert,
                    None => {
                        found.insert(key, alert);
                    }
                }
            }
            true
        })?;
        Ok(found.into_values().rev().take(limit).collect())
    }
}
