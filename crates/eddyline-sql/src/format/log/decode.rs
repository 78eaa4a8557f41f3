//! From log lines to columns.

use super::{LogOptions, REQUEST_PARTS};
use crate::expr::arithmetic::days_of_civil;
use crate::expr::{EvalContext, cast_value, text_parse, units_of_nanos};
use crate::format::RecordDecoder;
use crate::format::rows::{FormatSchema, RowsBuilder};
use crate::row::{ColumnBuilder, Value, kind};
use crate::types::TypeKind;
use eddyline_formats::RawRecord;
use jiff::tz::TimeZone;
use regex::{CaptureLocations, Regex};

/// Where a column's text comes from.
enum Field {
    Group(usize),
    /// A part of the request, which is a group.
    Request(usize, usize),
}

/// Reads lines of a log.
pub(crate) struct LogDecoder {
    pattern: Regex,
    fields: Vec<(String, TypeKind, Field)>,
    ignore_errors: bool,
    fields_ignored: u64,
    locations: CaptureLocations,
    context: EvalContext,
}

impl LogDecoder {
    pub(crate) fn new(schema: &FormatSchema, options: &LogOptions) -> Self {
        let group = |name: &str| options.pattern.capture_names().position(|known| known == Some(name));
        let fields = schema.wanted_columns().map(|column| {
            let part = REQUEST_PARTS.iter().position(|part| *part == column.name);
            let field = match (group(&column.name), group("request"), part) {
                (None, Some(request), Some(part)) => Field::Request(request, part),
                (found, ..) => Field::Group(found.unwrap_or_default()),
            };
            (column.name.clone(), column.data_type.kind.clone(), field)
        });
        LogDecoder {
            fields: fields.collect(),
            locations: options.pattern.capture_locations(),
            pattern: options.pattern.clone(),
            ignore_errors: options.ignore_parse_errors,
            fields_ignored: 0,
            context: EvalContext { zone: TimeZone::UTC, now_micros: 0, lenient_casts: false },
        }
    }
}

impl RecordDecoder for LogDecoder {
    fn decode(&mut self, record: RawRecord<'_>, out: &mut RowsBuilder) -> Result<(), String> {
        // Clients send what they like: what is no UTF-8 is shown as such.
        let line = String::from_utf8_lossy(record.bytes);
        if line.is_empty() {
            return Ok(());
        }
        if self.pattern.captures_read(&mut self.locations, &line).is_none() {
            let shown: String = line.chars().take(80).collect();
            return Err(format!("the line does not match the pattern of the log: {shown}"));
        }
        let (row, mut outcome) = (out.rows(), Ok(()));
        for ((name, kind, field), column) in self.fields.iter().zip(&mut out.columns) {
            let group = |group: usize| self.locations.get(group).map_or("", |(start, end)| &line[start..end]);
            let text = match field {
                Field::Group(number) => group(*number),
                Field::Request(number, part) => request_part(group(*number), *part),
            };
            let Err(reason) = cell(text, kind, &self.context, column) else { continue };
            if self.ignore_errors {
                self.fields_ignored += 1;
            } else {
                outcome = outcome.and(Err(format!("field `{name}`: {reason}")));
            }
        }
        out.end_row(kind::INSERT);
        if outcome.is_err() {
            out.spoil_from(row);
        }
        outcome
    }

    fn fields_ignored(&self) -> u64 {
        self.fields_ignored
    }
}

/// Method, path or protocol of a request; empty if the request is none.
fn request_part(request: &str, part: usize) -> &str {
    let Some((method, rest)) = request.split_once(' ') else { return "" };
    let (path, protocol) = match rest.rsplit_once(' ') {
        Some((path, protocol)) if protocol.starts_with("HTTP/") => (path, protocol),
        _ => (rest, ""),
    };
    [method, path, protocol][part]
}

/// Reads a field into `column`; if that fails, NULL.
fn cell(
    text: &str,
    kind: &TypeKind,
    context: &EvalContext,
    column: &mut ColumnBuilder,
) -> Result<(), String> {
    if text.is_empty() || text == "-" {
        column.append_null();
        return Ok(());
    }
    if kind.is_text() {
        column.append_text(text);
        return Ok(());
    }
    let value = match (kind, log_time(text)) {
        (TypeKind::TimestampLtz(precision), Some((local, offset))) => {
            units_of_nanos(local - offset, *precision).map(Value::Int)
        }
        (TypeKind::Timestamp(precision), Some((local, _))) => {
            units_of_nanos(local, *precision).map(Value::Int)
        }
        _ => cast_value(&Value::Text(text.to_owned()), &TypeKind::STRING, kind, context),
    };
    match value {
        Some(value) => {
            column.append(&value);
            Ok(())
        }
        None => {
            column.append_null();
            Err(format!("`{}` is no {kind}", text.chars().take(40).collect::<String>()))
        }
    }
}

/// `10/Oct/2000:13:55:36 -0700`: the reading of the clock and its offset from UTC, in nanoseconds.
fn log_time(text: &str) -> Option<(i128, i128)> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (day, rest) = text.split_once('/')?;
    let (month, rest) = rest.split_once('/')?;
    let (year, rest) = rest.split_once(':')?;
    let (clock, zone) = rest.split_once(' ').unwrap_or((rest, "+0000"));
    let month = MONTHS.iter().position(|known| *known == month)? as u32 + 1;
    let (year, day) = (year.parse::<i64>().ok()?, day.parse::<u32>().ok()?);
    if !(1..=9_999).contains(&year) || day < 1 || day > crate::expr::arithmetic::days_in_month(year, month) {
        return None;
    }
    let (hours, minutes) = (zone.get(1..3)?.parse::<i128>().ok()?, zone.get(3..5)?.parse::<i128>().ok()?);
    let offset = (hours * 60 + minutes) * 60_000_000_000;
    let offset = if zone.starts_with('-') { -offset } else { offset };
    let nanos = i128::from(text_parse::time(clock)?);
    Some((i128::from(days_of_civil(year, month, day)) * 86_400_000_000_000 + nanos, offset))
}
