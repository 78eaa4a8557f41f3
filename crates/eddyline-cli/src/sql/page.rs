//! Rows of a result as lines of text, for terminals.

use eddyline_sql::{LiveRows, ResultColumn};
use std::io::{Result, Write};
use std::time::Duration;

/// A value without what a terminal would take for a command, no longer than `width` letters.
pub(super) fn cell(text: &str, width: usize) -> String {
    let visible = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    if text.chars().count() <= width {
        return text.chars().map(visible).collect();
    }
    let kept = text.chars().take(width.saturating_sub(1)).map(visible);
    kept.chain(std::iter::once('…')).collect()
}

/// `1,234,567`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 rows`, `1 row`
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1.25 s`
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A line of cells, each as wide as its column.
fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::from("|");
    for (cell, width) in cells.iter().zip(widths) {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        text.push_str(&format!(" {padding}{cell} |"));
    }
    text
}

fn rule(widths: &[usize]) -> String {
    let parts: String = widths.iter().map(|width| format!("{}+", "-".repeat(width + 2))).collect();
    format!("+{parts}")
}

/// Writes all rows as a table.
pub(super) fn table(rows: &LiveRows, width_max: usize, out: &mut dyn Write) -> Result<()> {
    let names: Vec<String> = rows.columns().iter().map(|column| cell(&column.name, usize::MAX)).collect();
    let cells: Vec<Vec<String>> = rows
        .page(0, usize::MAX)
        .iter()
        .map(|row| row.iter().map(|text| cell(text, width_max)).collect())
        .collect();
    let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    writeln!(out, "{}\n{}\n{}", rule(&widths), line(&names, &widths), rule(&widths))?;
    for row in &cells {
        writeln!(out, "{}", line(row, &widths))?;
    }
    if !cells.is_empty() {
        writeln!(out, "{}", rule(&widths))?;
    }
    Ok(())
}

/// Writes changes as they come, so columns have widths that depend on their types alone.
pub(super) struct Tableau {
    widths: Vec<usize>,
    shown: u64,
    with_op: bool,
}

impl Tableau {
    /// Writes the head.
    pub(super) fn begin(rows: &LiveRows, width_max: usize, out: &mut dyn Write) -> Result<Self> {
        let with_op = !rows.is_batch();
        let width = |column: &ResultColumn| {
            let wanted = match column.type_name.split('(').next() {
                Some("BOOLEAN") => 7,
                Some("TINYINT" | "SMALLINT" | "DATE") => 10,
                Some("INT") => 11,
                Some("TIMESTAMP" | "TIMESTAMP_LTZ") => 26,
                _ if column.is_numeric => 20,
                _ => 30,
            };
            column.name.chars().count().max(wanted.min(width_max))
        };
        let mut widths: Vec<usize> = rows.columns().iter().map(width).collect();
        let mut names: Vec<String> = rows.columns().iter().map(|column| column.name.clone()).collect();
        if with_op {
            widths.insert(0, 2);
            names.insert(0, "op".to_owned());
        }
        writeln!(out, "{}\n{}\n{}", rule(&widths), line(&names, &widths), rule(&widths))?;
        Ok(Tableau { widths, shown: 0, with_op })
    }

    /// Writes the changes that have come since the last call.
    pub(super) fn go_on(&mut self, rows: &LiveRows, out: &mut dyn Write) -> Result<()> {
        if self.shown == rows.changes_seen() {
            return Ok(());
        }
        let places = &self.widths[usize::from(self.with_op)..];
        for change in rows.changes(self.shown, usize::MAX) {
            let mut cells: Vec<String> =
                change.cells.iter().zip(places).map(|(text, width)| cell(text, *width)).collect();
            if self.with_op {
                cells.insert(0, change.op.to_owned());
            }
            writeln!(out, "{}", line(&cells, &self.widths))?;
        }
        self.shown = rows.changes_seen();
        out.flush()
    }

    /// Writes the foot.
    pub(super) fn end(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "{}", rule(&self.widths))
    }
}
