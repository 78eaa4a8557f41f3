//! From CSV to columns.

use super::CsvOptions;
use crate::expr::{text_parse, units_of_nanos};
use crate::format::json::text_of;
use crate::format::number::{self, DecimalText};
use crate::format::rows::{FormatSchema, RowsBuilder};
use crate::format::{RecordDecoder, base64};
use crate::row::{ColumnBuilder, Nested, kind};
use crate::types::TypeKind;
use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};
use eddyline_formats::RawRecord;

/// Reads rows of CSV.
pub(crate) struct CsvDecoder {
    options: CsvOptions,
    /// The name and type of each field, and the column that it goes to.
    fields: Vec<(String, TypeKind, Option<usize>)>,
    splitter: Splitter,
    fields_ignored: u64,
}

impl CsvDecoder {
    pub(crate) fn new(schema: &FormatSchema, options: &CsvOptions) -> Self {
        let fields = schema.columns.iter().enumerate().map(|(index, column)| {
            let wanted = schema.wanted.iter().position(|wanted| *wanted == index);
            (column.name.clone(), column.data_type.kind.clone(), wanted)
        });
        CsvDecoder {
            fields: fields.collect(),
            splitter: Splitter::new(options),
            options: options.clone(),
            fields_ignored: 0,
        }
    }

    fn row(&mut self, text: &str, out: &mut RowsBuilder, filled: &mut usize) -> Result<(), String> {
        let count = self.splitter.split(text)?;
        let (expected, ignores) = (self.fields.len(), self.options.ignore_parse_errors);
        // A delimiter may stand behind the last field.
        let is_trailing = count == expected + 1 && self.splitter.field(text, expected)?.is_empty();
        if count > expected && !is_trailing || count < expected && !ignores {
            return Err(format!("{count} fields, expected {expected}"));
        }
        for (number, (name, kind, target)) in self.fields.iter().enumerate() {
            let Some(target) = target else { continue };
            let field = if number < count { Some(self.splitter.field(text, number)?) } else { None };
            let column = &mut out.columns[*target];
            *filled = target + 1;
            let Some(field) = field else {
                column.append_null();
                continue;
            };
            if let Err(reason) = cell(field, kind, &self.options, column, &mut self.fields_ignored) {
                if !ignores {
                    return Err(format!("field `{name}`: {reason}"));
                }
                self.fields_ignored += 1;
            }
        }
        Ok(())
    }
}

impl RecordDecoder for CsvDecoder {
    fn decode(&mut self, record: RawRecord<'_>, out: &mut RowsBuilder) -> Result<(), String> {
        let is_comment = self.options.comments && record.bytes.first() == Some(&b'#');
        if record.bytes.is_empty() || is_comment || (self.options.ignore_first_line && record.offset == 0) {
            return Ok(());
        }
        let text = text_of(record.bytes)?;
        let (row, mut filled) = (out.rows(), 0);
        let read = self.row(text, out, &mut filled);
        if read.is_err() {
            out.columns[filled..].iter_mut().for_each(ColumnBuilder::append_null);
        }
        out.end_row(kind::INSERT);
        if read.is_err() {
            out.spoil_from(row);
        }
        read
    }

    fn fields_ignored(&self) -> u64 {
        self.fields_ignored
    }
}

/// Reads a field into `column`; if that fails, NULL.
fn cell(
    text: &str,
    kind: &TypeKind,
    options: &CsvOptions,
    column: &mut ColumnBuilder,
    ignored: &mut u64,
) -> Result<(), String> {
    if options.null_literal.as_deref() == Some(text) {
        column.append_null();
        return Ok(());
    }
    match kind {
        TypeKind::Array(item) => {
            let Nested::List(items) = column.nested() else { unreachable!("invariant: arrays have items") };
            let (mut count, mut outcome) = (0, Ok(()));
            // Nothing at all is no item, as in Flink.
            for part in text.split(options.element_delimiter.as_str()).filter(|_| !text.is_empty()) {
                count += 1;
                outcome = outcome.and(part_of(part, &item.kind, options, items, ignored));
            }
            column.end_nested(count);
            outcome
        }
        TypeKind::Row(fields) => {
            let parts: Vec<&str> = text.split(options.element_delimiter.as_str()).collect();
            if parts.len() != fields.len() && !options.ignore_parse_errors {
                column.append_null();
                return Err(format!("{} parts, expected {}", parts.len(), fields.len()));
            }
            let Nested::Row(columns) = column.nested() else { unreachable!("invariant: rows have fields") };
            let mut outcome = Ok(());
            for (number, (field, column)) in fields.iter().zip(columns).enumerate() {
                match parts.get(number) {
                    Some(part) => {
                        outcome = outcome.and(part_of(part, &field.data_type.kind, options, column, ignored));
                    }
                    None => column.append_null(),
                }
            }
            column.end_nested(0);
            outcome
        }
        _ => {
            let read = single(text, kind, column);
            if read.is_err() {
                column.append_null();
            }
            read
        }
    }
}

/// Reads a part of an array or a row, which may be NULL by itself.
fn part_of(
    text: &str,
    kind: &TypeKind,
    options: &CsvOptions,
    column: &mut ColumnBuilder,
    ignored: &mut u64,
) -> Result<(), String> {
    let read = cell(text, kind, options, column, ignored);
    if read.is_err() && options.ignore_parse_errors {
        *ignored += 1;
        return Ok(());
    }
    read
}

/// Reads a single value; appends nothing if that fails.
fn single(text: &str, kind: &TypeKind, column: &mut ColumnBuilder) -> Result<(), String> {
    let wrong = |what: &str| format!("`{}` is no {what}", text.chars().take(40).collect::<String>());
    let whole = |least: i64, most: i64| {
        let value = number::whole(text.trim()).filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| wrong(&format!("whole number from {least} to {most}")))
    };
    match kind {
        TypeKind::Char(_) | TypeKind::VarChar(_) => column.append_text(text),
        TypeKind::BigInt | TypeKind::IntervalDaySecond => column.append_int(whole(i64::MIN, i64::MAX)?),
        TypeKind::Int | TypeKind::IntervalYearMonth => {
            column.append_int(whole(i64::from(i32::MIN), i64::from(i32::MAX))?);
        }
        TypeKind::SmallInt => column.append_int(whole(i64::from(i16::MIN), i64::from(i16::MAX))?),
        TypeKind::TinyInt => column.append_int(whole(i64::from(i8::MIN), i64::from(i8::MAX))?),
        TypeKind::Boolean => column.append_bool(text.trim().eq_ignore_ascii_case("true")),
        TypeKind::Float | TypeKind::Double => {
            column.append_float(number::float(text.trim()).ok_or_else(|| wrong("number"))?);
        }
        TypeKind::Decimal(precision, scale) => match number::decimal(text, *precision, *scale) {
            DecimalText::Value(value) => column.append_decimal(value),
            DecimalText::TooLarge => column.append_null(),
            DecimalText::NoNumber => return Err(wrong("number")),
        },
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
            column.append_bytes(&base64::decode(text).ok_or_else(|| wrong("Base64"))?);
        }
        TypeKind::Date => column.append_int(date(text).ok_or_else(|| wrong("date such as 2020-12-30"))?),
        TypeKind::Time(precision) => {
            let nanos = text.contains(':').then(|| text_parse::time(text)).flatten();
            let millis = nanos.ok_or_else(|| wrong("time such as 12:13:14"))? / 1_000_000;
            let step = 10i64.pow(3 - u32::from((*precision).min(3)));
            column.append_int(millis / step * step);
        }
        TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) => {
            let zoned = matches!(kind, TypeKind::TimestampLtz(_));
            let bare = if zoned { text.strip_suffix('Z').unwrap_or(text) } else { text };
            let value =
                timestamp(bare, *precision).ok_or_else(|| wrong("timestamp such as 2020-12-30 12:13:14"))?;
            column.append_int(value);
        }
        TypeKind::Null => column.append_null(),
        TypeKind::Array(_) | TypeKind::Map(..) | TypeKind::Multiset(_) | TypeKind::Row(_) => {
            return Err(format!("{kind} cannot be read here"));
        }
    }
    Ok(())
}

/// `2020-12-30`, also `2020-1-3`.
fn date(text: &str) -> Option<i64> {
    (text.matches('-').count() == 2 && !text.contains([' ', 'T'])).then(|| text_parse::date(text)).flatten()
}

/// `2020-12-30 12:13:14` with a fraction or none.
fn timestamp(text: &str, precision: u8) -> Option<i64> {
    let (day, clock) = text.trim().split_once(' ')?;
    if clock.matches(':').count() != 2 {
        return None;
    }
    let nanos = i128::from(date(day)?) * 86_400_000_000_000 + i128::from(text_parse::time(clock)?);
    units_of_nanos(nanos, precision)
}

/// Takes a record apart into fields.
struct Splitter {
    reader: csv_core::Reader,
    delimiter: u8,
    quote: Option<u8>,
    has_escape: bool,
    /// The fields without quotes and escapes, if the record had any.
    unquoted: Vec<u8>,
    is_unquoted: bool,
    ends: Vec<usize>,
}

impl Splitter {
    fn new(options: &CsvOptions) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(options.delimiter).escape(options.escape).terminator(Terminator::Any(b'\n'));
        match options.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        Splitter {
            reader: builder.build(),
            delimiter: options.delimiter,
            quote: options.quote,
            has_escape: options.escape.is_some(),
            unquoted: vec![0; 256],
            is_unquoted: false,
            ends: Vec::new(),
        }
    }

    /// Finds the fields of `text`; answers how many there are.
    fn split(&mut self, text: &str) -> Result<usize, String> {
        let has_quotes = self.quote.is_some_and(|quote| memchr::memchr(quote, text.as_bytes()).is_some());
        self.is_unquoted = has_quotes || self.has_escape;
        if self.is_unquoted {
            return self.split_quoted(text.as_bytes());
        }
        self.ends.clear();
        self.ends.extend(memchr::memchr_iter(self.delimiter, text.as_bytes()));
        self.ends.push(text.len());
        Ok(self.ends.len())
    }

    fn split_quoted(&mut self, bytes: &[u8]) -> Result<usize, String> {
        self.reader.reset();
        self.ends.resize(self.ends.len().max(16), 0);
        let (mut inputs, mut current) = ([&b"\n"[..]].into_iter(), bytes);
        let (mut filled, mut ended) = (0, 0);
        loop {
            let (output, ends) = (&mut self.unquoted[filled..], &mut self.ends[ended..]);
            let (result, taken, written, found) = self.reader.read_record(current, output, ends);
            current = &current[taken..];
            filled += written;
            ended += found;
            match result {
                ReadRecordResult::OutputFull => self.unquoted.resize(self.unquoted.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty => match inputs.next() {
                    Some(next) => current = next,
                    None => return Err("a quote is not closed".to_string()),
                },
                ReadRecordResult::Record if current.is_empty() => break,
                ReadRecordResult::Record => return Err("a line feed in the middle of a record".to_string()),
                ReadRecordResult::End => return Err("no record".to_string()),
            }
        }
        self.ends.truncate(ended);
        Ok(ended)
    }

    /// A field of the record `text`, which was split before.
    fn field<'a>(&'a self, text: &'a str, number: usize) -> Result<&'a str, String> {
        let end = self.ends[number];
        if self.is_unquoted {
            let start = if number == 0 { 0 } else { self.ends[number - 1] };
            return text_of(&self.unquoted[start..end]);
        }
        let start = if number == 0 { 0 } else { self.ends[number - 1] + 1 };
        Ok(&text[start..end])
    }
}
