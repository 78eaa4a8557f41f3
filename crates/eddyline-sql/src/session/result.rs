//! How results are written.

use super::live::{JobProgress, LiveRows, Watcher};
use super::materialize::Materialized;
use super::query::Ran;
use crate::format::show;
use crate::row::{columns_of_rows, kind, views_of};
use crate::types::SqlType;
use arrow_array::RecordBatch;
use eddyline_core::{Error, Result};
use jiff::tz::TimeZone;
use std::io::Write;
use std::ops::ControlFlow;

/// How the rows of queries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// A table for people.
    Table,
    /// CSV with a line of names.
    Csv,
    /// The final rows, a JSON object a line.
    Json,
    /// Changes as they come: `{"op":"+I","row":{…}}` a line.
    Changelog,
}

/// Where a script writes to.
pub struct ScriptOutput<'a> {
    format: OutputFormat,
    out: &'a mut dyn Write,
    pub(super) shows_rows: bool,
    /// Shows the rows of queries instead.
    pub(super) watcher: Option<&'a mut dyn Watcher>,
    /// Whether what is there for people, such as answers to SHOW, is written: not where a program reads rows.
    pub(super) tells: bool,
}

/// The rows of a query on their way to the reader.
pub(super) struct RowsOutput {
    names: Vec<String>,
    types: Vec<SqlType>,
    rows: Materialized,
    /// What a watcher sees; `rows` is empty then.
    pub(super) live: Option<LiveRows>,
}

impl RowsOutput {
    /// Keeps the rows for a watcher.
    pub(super) fn watched(&mut self, rows_max: usize, zone: TimeZone, is_bounded: bool, is_batch: bool) {
        let live = LiveRows::new(self.names.clone(), self.types.clone(), rows_max, zone);
        self.live = Some(live.of(is_bounded, is_batch));
    }
}

fn failed(error: &std::io::Error) -> Error {
    Error::output(format!("the result cannot be written: {error}"))
}

impl<'a> ScriptOutput<'a> {
    pub(super) fn new(format: OutputFormat, out: &'a mut dyn Write) -> Self {
        ScriptOutput { format, out, shows_rows: true, watcher: None, tells: true }
    }

    pub(super) fn watched(out: &'a mut dyn Write, watcher: &'a mut dyn Watcher) -> Self {
        ScriptOutput { watcher: Some(watcher), ..ScriptOutput::new(OutputFormat::Table, out) }
    }

    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        if !self.tells {
            return Ok(());
        }
        writeln!(self.out, "{text}").map_err(|error| failed(&error))
    }

    /// Text for people: not in the formats for programs.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        self.line(text.trim_end())
    }

    /// Two columns of text.
    pub(super) fn pairs(&mut self, (first, second): (&str, &str), rows: &[(String, String)]) -> Result<()> {
        let rows: Vec<Vec<String>> = rows.iter().map(|(a, b)| vec![a.clone(), b.clone()]).collect();
        self.table(&[first.to_owned(), second.to_owned()], &rows)
    }

    pub(super) fn rows(&self, names: Vec<String>, types: Vec<SqlType>) -> RowsOutput {
        RowsOutput { names, types, rows: Materialized::default(), live: None }
    }

    /// Takes rows in; a changelog is written at once.
    pub(super) fn take(&mut self, output: &mut RowsOutput, rows: &RecordBatch, kinds: &[i8]) -> Result<()> {
        if !self.shows_rows {
            return Ok(());
        }
        if let Some(live) = &mut output.live {
            live.take(rows, kinds);
            return Ok(());
        }
        if self.format != OutputFormat::Changelog {
            output.rows.apply(rows, kinds);
            return Ok(());
        }
        let views = views_of(rows.columns());
        let mut text = String::new();
        for (row, meaning) in kinds.iter().enumerate() {
            let object = show::json_object(&output.names, &output.types, &views, row);
            text.push_str(&format!("{{\"op\":\"{}\",\"row\":{object}}}\n", kind::symbol(*meaning)));
        }
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(|error| failed(&error))
    }

    /// Shows how far a job is; `Break` says that it is to end.
    pub(super) fn look(
        &mut self,
        progress: &JobProgress,
        rows: Option<&mut RowsOutput>,
    ) -> Result<ControlFlow<()>> {
        let Some(watcher) = &mut self.watcher else { return Ok(ControlFlow::Continue(())) };
        let mut live = rows.and_then(|rows| rows.live.as_mut());
        let flow = watcher.look(progress, live.as_deref())?;
        if let Some(live) = &mut live {
            live.forget();
        }
        Ok(flow)
    }

    /// Says that a job has ended, as it should or since it was cancelled.
    pub(super) fn ended(&mut self, ran: &Ran, rows: Option<&RowsOutput>) -> Result<()> {
        if let Some(watcher) = &mut self.watcher {
            watcher.ended(&ran.progress, rows.and_then(|rows| rows.live.as_ref()), ran.cancelled)?;
        }
        if ran.cancelled { Err(Error::cancelled("the statement was cancelled")) } else { Ok(()) }
    }

    /// Writes what is left to write when the query has ended.
    pub(super) fn finish(&mut self, output: &RowsOutput) -> Result<()> {
        if !self.shows_rows || self.format == OutputFormat::Changelog || output.live.is_some() {
            return Ok(());
        }
        let columns = columns_of_rows(&output.types, output.rows.rows())?;
        let views = views_of(&columns);
        let count = output.rows.rows().count();
        let mut text = String::new();
        match self.format {
            OutputFormat::Json => {
                for row in 0..count {
                    text.push_str(&show::json_object(&output.names, &output.types, &views, row));
                    text.push('\n');
                }
            }
            OutputFormat::Csv => {
                text.push_str(&show::csv_header(&output.names));
                text.push('\n');
                for row in 0..count {
                    text.push_str(&show::csv_line(&output.types, &views, row));
                    text.push('\n');
                }
            }
            OutputFormat::Table | OutputFormat::Changelog => {
                let zone = jiff::tz::TimeZone::system();
                let cell = |column: usize, row: usize| {
                    crate::expr::text_format::value_to_text(
                        &views[column].value(row),
                        &output.types[column].kind,
                        &zone,
                    )
                };
                let rows: Vec<Vec<String>> = (0..count)
                    .map(|row| (0..views.len()).map(|column| cell(column, row)).collect())
                    .collect();
                self.table(&output.names, &rows)?;
                let noun = if count == 1 { "row" } else { "rows" };
                return self.line(&format!("{count} {noun} in set"));
            }
        }
        self.out.write_all(text.as_bytes()).map_err(|error| failed(&error))
    }

    /// A table with lines around it.
    pub(super) fn table(&mut self, names: &[String], rows: &[Vec<String>]) -> Result<()> {
        let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let rule = format!(
            "+{}",
            widths.iter().map(|width| format!("{}+", "-".repeat(width + 2))).collect::<String>()
        );
        let line = |cells: &[String]| {
            let cells = widths.iter().zip(cells).map(|(width, cell)| {
                let padding = " ".repeat(width - cell.chars().count());
                format!(" {padding}{cell} |")
            });
            format!("|{}", cells.collect::<String>())
        };
        self.line(&rule)?;
        self.line(&line(names))?;
        self.line(&rule)?;
        for row in rows {
            self.line(&line(row))?;
        }
        self.line(&rule)
    }
}
