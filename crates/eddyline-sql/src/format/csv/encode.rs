//! From columns to CSV.

use super::CsvOptions;
use crate::expr::text_format::{write_double, write_float};
use crate::format::rows::FormatSchema;
use crate::format::time::{self, TimestampStyle};
use crate::format::{RecordEncoder, base64, number};
use crate::row::{ColumnView, Value};
use crate::types::TypeKind;
use std::fmt::Write;

/// Writes rows as lines of CSV.
pub(crate) struct CsvEncoder {
    options: CsvOptions,
    kinds: Vec<TypeKind>,
    line: String,
    cell: String,
}

impl CsvEncoder {
    pub(crate) fn new(schema: &FormatSchema, options: &CsvOptions) -> Self {
        CsvEncoder {
            options: options.clone(),
            kinds: schema.wanted_columns().map(|column| column.data_type.kind.clone()).collect(),
            line: String::new(),
            cell: String::new(),
        }
    }
}

impl RecordEncoder for CsvEncoder {
    fn encode(
        &mut self,
        views: &[ColumnView<'_>],
        row: usize,
        _kind: i8,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        self.line.clear();
        for (number, (view, kind)) in views.iter().zip(&self.kinds).enumerate() {
            if number > 0 {
                self.line.push(self.options.delimiter as char);
            }
            let is_only = views.len() == 1;
            match (view.text(row), view.is_null(row)) {
                (Some(text), _) => write_field(text, &self.options, is_only, number == 0, &mut self.line),
                (None, true) => {
                    let null = null_text(&self.options);
                    write_field(null, &self.options, false, number == 0, &mut self.line);
                }
                (None, false) => {
                    self.cell.clear();
                    write_cell(&view.value(row), kind, &self.options, &mut self.cell);
                    write_field(&self.cell, &self.options, is_only, number == 0, &mut self.line);
                }
            }
        }
        out.extend_from_slice(self.line.as_bytes());
        out.push(b'\n');
        Ok(())
    }
}

fn null_text(options: &CsvOptions) -> &str {
    options.null_literal.as_deref().filter(|_| options.write_nulls).unwrap_or_default()
}

/// Appends a field, quoted if it has to be. An empty field that is the only one would be a blank line.
fn write_field(field: &str, options: &CsvOptions, is_only: bool, is_first: bool, out: &mut String) {
    let Some(quote) = options.quote else {
        out.push_str(field);
        return;
    };
    let is_special = |byte: u8| byte == options.delimiter || byte == quote || matches!(byte, b'\n' | b'\r');
    let needs_quotes = field.bytes().any(|byte| is_special(byte) || Some(byte) == options.escape)
        || (field.is_empty() && is_only)
        || (is_first && options.comments && field.starts_with('#'));
    if !needs_quotes {
        out.push_str(field);
        return;
    }
    out.push(quote as char);
    for letter in field.chars() {
        if letter == quote as char || options.escape.is_some_and(|escape| letter == escape as char) {
            out.push(options.escape.unwrap_or(quote) as char);
        }
        out.push(letter);
    }
    out.push(quote as char);
}

fn write_cell(value: &Value, kind: &TypeKind, options: &CsvOptions, out: &mut String) {
    match (value, kind) {
        (Value::Null, _) => out.push_str(null_text(options)),
        (Value::Bool(value), _) => out.push_str(if *value { "true" } else { "false" }),
        (Value::Int(days), TypeKind::Date) => time::write_date(*days, out),
        (Value::Int(millis), TypeKind::Time(_)) => time::write_time(*millis, out),
        (Value::Int(value), TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_)) => {
            time::write_timestamp(*value, kind, TimestampStyle::Sql, out);
        }
        (Value::Int(value), _) => {
            let _ = write!(out, "{value}");
        }
        (Value::Float(value), TypeKind::Float) => write_float(*value as f32, out),
        (Value::Float(value), _) => write_double(*value, out),
        (Value::Decimal(value), _) => {
            let scale = kind.as_decimal().map_or(0, |(_, scale)| scale);
            number::write_decimal(*value, scale, options.plain_decimals, out);
        }
        (Value::Text(text), _) => out.push_str(text),
        (Value::Bytes(bytes), _) => base64::encode(bytes, out),
        (Value::List(items), TypeKind::Array(item)) => {
            for (number, value) in items.iter().enumerate() {
                out.push_str(if number > 0 { &options.element_delimiter } else { "" });
                write_cell(value, &item.kind, options, out);
            }
        }
        (Value::Row(values), TypeKind::Row(fields)) => {
            for (number, (value, field)) in values.iter().zip(fields).enumerate() {
                out.push_str(if number > 0 { &options.element_delimiter } else { "" });
                write_cell(value, &field.data_type.kind, options, out);
            }
        }
        // Refused when the table was used.
        (Value::List(_) | Value::Map(_) | Value::Row(_), _) => {}
    }
}
