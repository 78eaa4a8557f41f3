//! From columns to JSON.

use super::cursor::write_string;
use super::{JsonOptions, NullKeys};
use crate::expr::text_format::{write_double, write_float};
use crate::format::rows::FormatSchema;
use crate::format::{RecordEncoder, base64, number, time};
use crate::row::{ColumnView, Value};
use crate::types::{SqlType, TypeKind};
use std::fmt::Write;

/// Writes values as JSON.
#[derive(Debug, Clone)]
pub(crate) struct JsonWriter {
    options: JsonOptions,
    /// The names of the columns as they stand before the colon, and their types.
    columns: Vec<(String, SqlType)>,
}

impl JsonWriter {
    pub(crate) fn new(schema: &FormatSchema, options: &JsonOptions) -> Self {
        let columns = schema.wanted_columns().map(|column| {
            let mut name = String::new();
            write_string(&column.name, &mut name);
            name.push(':');
            (name, column.data_type.clone())
        });
        JsonWriter { columns: columns.collect(), options: options.clone() }
    }

    /// Appends a row as an object.
    pub(crate) fn row(&self, views: &[ColumnView<'_>], row: usize, out: &mut String) -> Result<(), String> {
        out.push('{');
        let mut first = true;
        for ((name, data_type), view) in self.columns.iter().zip(views) {
            if self.options.ignore_null_fields && view.is_null(row) {
                continue;
            }
            if !first {
                out.push(',');
            }
            first = false;
            out.push_str(name);
            self.cell(view, row, &data_type.kind, out)?;
        }
        out.push('}');
        Ok(())
    }

    fn cell(
        &self,
        view: &ColumnView<'_>,
        row: usize,
        kind: &TypeKind,
        out: &mut String,
    ) -> Result<(), String> {
        if view.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match (kind, view.text(row)) {
            (_, Some(text)) => write_string(text, out),
            (kind, None) if kind.is_integer() => {
                let _ = write!(out, "{}", view.int(row).unwrap_or_default());
            }
            _ => return self.value(&view.value(row), kind, out),
        }
        Ok(())
    }

    fn value(&self, value: &Value, kind: &TypeKind, out: &mut String) -> Result<(), String> {
        match (value, kind) {
            (Value::Null, _) => out.push_str("null"),
            (Value::Bool(value), _) => out.push_str(if *value { "true" } else { "false" }),
            (Value::Int(days), TypeKind::Date) => quoted(out, |out| time::write_date(*days, out)),
            (Value::Int(millis), TypeKind::Time(_)) => quoted(out, |out| time::write_time(*millis, out)),
            (Value::Int(value), TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_)) => {
                quoted(out, |out| time::write_timestamp(*value, kind, self.options.timestamps, out));
            }
            (Value::Int(value), _) => {
                let _ = write!(out, "{value}");
            }
            // Numbers in JSON are finite; the others are written as texts, which are read again.
            (Value::Float(value), _) if !value.is_finite() => quoted(out, |out| write_double(*value, out)),
            (Value::Float(value), TypeKind::Float) => write_float(*value as f32, out),
            (Value::Float(value), _) => write_double(*value, out),
            (Value::Decimal(value), _) => {
                let scale = kind.as_decimal().map_or(0, |(_, scale)| scale);
                number::write_decimal(*value, scale, self.options.plain_decimals, out);
            }
            (Value::Text(text), _) => write_string(text, out),
            (Value::Bytes(bytes), _) => quoted(out, |out| base64::encode(bytes, out)),
            (Value::List(items), TypeKind::Array(item)) => {
                out.push('[');
                for (number, value) in items.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    self.value(value, &item.kind, out)?;
                }
                out.push(']');
            }
            (Value::Map(entries), TypeKind::Map(_, value)) => return self.entries(entries, &value.kind, out),
            (Value::Map(entries), _) => return self.entries(entries, &TypeKind::Int, out),
            (Value::Row(values), TypeKind::Row(fields)) => {
                out.push('{');
                let mut first = true;
                for (value, field) in values.iter().zip(fields) {
                    if self.options.ignore_null_fields && value.is_null() {
                        continue;
                    }
                    if !first {
                        out.push(',');
                    }
                    first = false;
                    write_string(&field.name, out);
                    out.push(':');
                    self.value(value, &field.data_type.kind, out)?;
                }
                out.push('}');
            }
            (Value::List(_) | Value::Row(_), _) => return Err(format!("{kind} cannot be written as JSON")),
        }
        Ok(())
    }

    fn entries(&self, entries: &[(Value, Value)], kind: &TypeKind, out: &mut String) -> Result<(), String> {
        out.push('{');
        let mut first = true;
        for (key, value) in entries {
            let key = match (key, &self.options.null_keys) {
                (Value::Text(text), _) => text.as_str(),
                (_, NullKeys::Drop) => continue,
                (_, NullKeys::Literal(literal)) => literal,
                (_, NullKeys::Fail) => {
                    return Err(
                        "a map has a key that is NULL; json.map-null-key.mode says what to do with it".into(),
                    );
                }
            };
            if !first {
                out.push(',');
            }
            first = false;
            write_string(key, out);
            out.push(':');
            self.value(value, kind, out)?;
        }
        out.push('}');
        Ok(())
    }
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

/// Writes rows as JSON objects, one a line.
pub(crate) struct JsonEncoder {
    writer: JsonWriter,
    line: String,
}

impl JsonEncoder {
    pub(crate) fn new(schema: &FormatSchema, options: &JsonOptions) -> Self {
        JsonEncoder { writer: JsonWriter::new(schema, options), line: String::new() }
    }
}

impl RecordEncoder for JsonEncoder {
    fn encode(
        &mut self,
        views: &[ColumnView<'_>],
        row: usize,
        _kind: i8,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        self.line.clear();
        self.writer.row(views, row, &mut self.line)?;
        out.extend_from_slice(self.line.as_bytes());
        out.push(b'\n');
        Ok(())
    }
}
