//! Rows for people: as JSON objects, as CSV, and as Flink's `print` shows them.

use super::json::write_string;
use crate::expr::text_format::{self, write_decimal, write_double, write_float};
use crate::row::{ColumnView, Value, kind};
use crate::types::{SqlType, TypeKind};
use jiff::tz::TimeZone;
use std::fmt::Write;

/// Row `row` as a JSON object: DECIMAL, dates and times are strings, BYTES `0x…`, a ROW an object, a MAP a list of
/// pairs, a TIMESTAMP has the digits of its precision, a TIMESTAMP_LTZ is in UTC with a `Z`.
pub(crate) fn json_object(
    names: &[String],
    types: &[SqlType],
    views: &[ColumnView<'_>],
    row: usize,
) -> String {
    let mut out = String::from("{");
    for (number, ((name, data_type), view)) in names.iter().zip(types).zip(views).enumerate() {
        if number > 0 {
            out.push(',');
        }
        write_string(name, &mut out);
        out.push(':');
        json_value(&view.value(row), &data_type.kind, &mut out);
    }
    out.push('}');
    out
}

fn json_value(value: &Value, kind: &TypeKind, out: &mut String) {
    match (value, kind) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Bool(value), _) => out.push_str(if *value { "true" } else { "false" }),
        (Value::Int(value), kind) if kind.is_integer() => {
            let _ = write!(out, "{value}");
        }
        (Value::Float(value), _) if !value.is_finite() => quoted(out, |out| write_double(*value, out)),
        (Value::Float(value), TypeKind::Float) => write_float(*value as f32, out),
        (Value::Float(value), _) => write_double(*value, out),
        (Value::Text(text), _) => write_string(text, out),
        (Value::List(items), TypeKind::Array(item)) => {
            out.push('[');
            for (number, value) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                json_value(value, &item.kind, out);
            }
            out.push(']');
        }
        (Value::Map(entries), _) => {
            let (key_kind, value_kind) = entry_kinds(kind);
            out.push('[');
            for (number, (key, value)) in entries.iter().enumerate() {
                out.push_str(if number > 0 { ",[" } else { "[" });
                json_value(key, key_kind, out);
                out.push(',');
                json_value(value, value_kind, out);
                out.push(']');
            }
            out.push(']');
        }
        (Value::Row(values), TypeKind::Row(fields)) => {
            out.push('{');
            for (number, (value, field)) in values.iter().zip(fields).enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                write_string(&field.name, out);
                out.push(':');
                json_value(value, &field.data_type.kind, out);
            }
            out.push('}');
        }
        _ => quoted(out, |out| plain(value, kind, out)),
    }
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

/// A value that has no parts, without quotes.
fn plain(value: &Value, kind: &TypeKind, out: &mut String) {
    match (value, kind) {
        (Value::Bytes(bytes), _) => {
            out.push_str("0x");
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
        }
        _ => text_format::write_value(value, kind, &TimeZone::UTC, out),
    }
    if kind.is_timestamp() || matches!(kind, TypeKind::Time(_)) {
        // Fractions of seconds without the zeros behind them.
        while out.ends_with('0') && out.rfind('.').is_some_and(|point| !out[point..].contains(':')) {
            out.pop();
        }
        if out.ends_with('.') {
            out.pop();
        }
    }
    if matches!(kind, TypeKind::TimestampLtz(_)) {
        out.push('Z');
    }
}

fn entry_kinds(kind: &TypeKind) -> (&TypeKind, &TypeKind) {
    match kind {
        TypeKind::Map(key, value) => (&key.kind, &value.kind),
        TypeKind::Multiset(item) => (&item.kind, &TypeKind::Int),
        _ => (&TypeKind::Null, &TypeKind::Null),
    }
}

/// The names of columns as the first line of CSV.
pub(crate) fn csv_header(names: &[String]) -> String {
    let cells: Vec<String> = names.iter().map(|name| csv_cell(name)).collect();
    cells.join(",")
}

/// Row `row` as a line of CSV without its end: NULL is empty, an empty text `""`; values with parts are JSON.
pub(crate) fn csv_line(types: &[SqlType], views: &[ColumnView<'_>], row: usize) -> String {
    let mut line = String::new();
    for (number, (data_type, view)) in types.iter().zip(views).enumerate() {
        if number > 0 {
            line.push(',');
        }
        let value = view.value(row);
        let mut text = String::new();
        match &value {
            Value::Null => continue,
            Value::Text(known) => text.push_str(known),
            Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) | Value::Row(_) => {
                json_value(&value, &data_type.kind, &mut text);
                if matches!(value, Value::Float(_)) {
                    text.retain(|letter| letter != '"');
                }
            }
            _ => plain(&value, &data_type.kind, &mut text),
        }
        line.push_str(&csv_cell(&text));
    }
    line
}

fn csv_cell(text: &str) -> String {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// `+I[1, a]`: a row and what it means, as Flink's `print` shows it.
pub(crate) fn change(row_kind: i8, types: &[SqlType], views: &[ColumnView<'_>], row: usize) -> String {
    let mut out = String::from(kind::symbol(row_kind));
    out.push('[');
    for (number, (data_type, view)) in types.iter().zip(views).enumerate() {
        out.push_str(if number > 0 { ", " } else { "" });
        java_value(&view.value(row), &data_type.kind, &mut out);
    }
    out.push(']');
    out
}

/// A value as `toString` of its Java object has it.
fn java_value(value: &Value, kind: &TypeKind, out: &mut String) {
    match (value, kind) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Bool(value), _) => out.push_str(if *value { "true" } else { "false" }),
        (Value::Int(millis), TypeKind::Time(_)) => java_clock(millis * 1_000_000, false, out),
        (Value::Int(value), TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_)) => {
            let units = if kind.in_nanos() { 1 } else { 1_000 };
            let (day, zoned) = (86_400_000_000_000 / units, matches!(kind, TypeKind::TimestampLtz(_)));
            text_format::write_date(value.div_euclid(day), out);
            out.push('T');
            java_clock(value.rem_euclid(day) * units, zoned, out);
            out.push_str(if zoned { "Z" } else { "" });
        }
        (Value::Int(months), TypeKind::IntervalYearMonth) => {
            let (years, months) = (months / 12, months % 12);
            let _ = match (years, months) {
                (0, months) => write!(out, "P{months}M"),
                (years, 0) => write!(out, "P{years}Y"),
                _ => write!(out, "P{years}Y{months}M"),
            };
        }
        (Value::Int(millis), TypeKind::IntervalDaySecond) => java_duration(*millis, out),
        (Value::Decimal(value), _) => {
            write_decimal(*value, kind.as_decimal().map_or(0, |(_, scale)| scale), out)
        }
        (Value::Bytes(bytes), _) => {
            out.push('[');
            for (number, byte) in bytes.iter().enumerate() {
                let _ = write!(out, "{}{}", if number > 0 { ", " } else { "" }, *byte as i8);
            }
            out.push(']');
        }
        (Value::List(items), TypeKind::Array(item)) => {
            out.push('[');
            for (number, value) in items.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                java_value(value, &item.kind, out);
            }
            out.push(']');
        }
        (Value::Map(entries), _) => {
            let (key_kind, value_kind) = entry_kinds(kind);
            out.push('{');
            for (number, (key, value)) in entries.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                java_value(key, key_kind, out);
                out.push('=');
                java_value(value, value_kind, out);
            }
            out.push('}');
        }
        (Value::Row(values), TypeKind::Row(fields)) => {
            out.push_str("+I[");
            for (number, (value, field)) in values.iter().zip(fields).enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                java_value(value, &field.data_type.kind, out);
            }
            out.push(']');
        }
        _ => text_format::write_value(value, kind, &TimeZone::UTC, out),
    }
}

/// `10:15`, `10:15:30`, `10:15:30.120`: no more than is needed, fractions in groups of three digits.
fn java_clock(nanos: i64, with_seconds: bool, out: &mut String) {
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let _ = write!(out, "{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
    if with_seconds || seconds % 60 > 0 || fraction > 0 {
        let _ = write!(out, ":{:02}", seconds % 60);
    }
    let _ = match fraction {
        0 => Ok(()),
        _ if fraction % 1_000_000 == 0 => write!(out, ".{:03}", fraction / 1_000_000),
        _ if fraction % 1_000 == 0 => write!(out, ".{:06}", fraction / 1_000),
        _ => write!(out, ".{fraction:09}"),
    };
}

/// `PT1H30M5.25S`
fn java_duration(millis: i64, out: &mut String) {
    if millis == 0 {
        out.push_str("PT0S");
        return;
    }
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    out.push_str("PT");
    if hours != 0 {
        let _ = write!(out, "{hours}H");
    }
    if minutes != 0 {
        let _ = write!(out, "{minutes}M");
    }
    if rest != 0 {
        let sign = if rest < 0 { "-" } else { "" };
        let text = format!("{}.{:03}", rest.abs() / 1_000, rest.abs() % 1_000);
        let _ = write!(out, "{sign}{}S", text.trim_end_matches('0').trim_end_matches('.'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{build_columns, views_of};
    use crate::types::RowField;

    fn table() -> (Vec<String>, Vec<SqlType>, Vec<Value>) {
        let text = || TypeKind::STRING.nullable();
        let columns = [
            (TypeKind::Int, Value::Int(-1)),
            (TypeKind::Decimal(5, 2), Value::Decimal(150)),
            (TypeKind::Double, Value::Float(1e10)),
            (TypeKind::Float, Value::Float(0.5)),
            (TypeKind::STRING, Value::Text("a\"b".into())),
            (TypeKind::BYTES, Value::Bytes(vec![1, 255])),
            (TypeKind::Date, Value::Int(1)),
            (TypeKind::Time(0), Value::Int(3_661_000)),
            (TypeKind::Timestamp(3), Value::Int(1_500_000)),
            (TypeKind::TimestampLtz(0), Value::Int(0)),
            (TypeKind::Array(Box::new(text())), Value::List(vec![Value::Text("x".into()), Value::Null])),
            (
                TypeKind::Map(Box::new(text()), Box::new(TypeKind::Int.nullable())),
                Value::Map(vec![(Value::Text("k".into()), Value::Int(7))]),
            ),
            (
                TypeKind::Row(vec![RowField { name: "f".into(), data_type: TypeKind::Boolean.nullable() }]),
                Value::Row(vec![Value::Bool(true)]),
            ),
            (TypeKind::Int, Value::Null),
        ];
        let names = (0..columns.len()).map(|number| format!("c{number}")).collect();
        let (types, values) = columns.into_iter().map(|(kind, value)| (kind.nullable(), value)).unzip();
        (names, types, values)
    }

    #[test]
    fn rows_are_shown_as_json_csv_and_java() {
        let (names, types, values) = table();
        let columns = build_columns(&types, [values.as_slice()]);
        let views = views_of(&columns);
        assert_eq!(
            json_object(&names, &types, &views, 0),
            r#"{"c0":-1,"c1":"1.50","c2":1.0E10,"c3":0.5,"c4":"a\"b","c5":"0x01ff","c6":"1970-01-02","c7":"01:01:01","c8":"1970-01-01 00:00:01.5","c9":"1970-01-01 00:00:00Z","c10":["x",null],"c11":[["k",7]],"c12":{"f":true},"c13":null}"#
        );
        assert_eq!(
            csv_line(&types, &views, 0),
            r#"-1,1.50,1.0E10,0.5,"a""b",0x01ff,1970-01-02,01:01:01,1970-01-01 00:00:01.5,1970-01-01 00:00:00Z,"[""x"",null]","[[""k"",7]]","{""f"":true}","#
        );
        assert_eq!(
            change(kind::UPDATE_AFTER, &types, &views, 0),
            "+U[-1, 1.50, 1.0E10, 0.5, a\"b, [1, -1], 1970-01-02, 01:01:01, 1970-01-01T00:00:01.500, \
             1970-01-01T00:00:00Z, [x, null], {k=7}, +I[true], null]"
        );
        assert_eq!(csv_header(&["a".into(), "b,c".into()]), "a,\"b,c\"");
    }

    #[test]
    fn intervals_are_shown_as_java_has_them() {
        let text = |millis| {
            let mut out = String::new();
            java_duration(millis, &mut out);
            out
        };
        assert_eq!(
            (text(0), text(5_405_250), text(-1_500)),
            ("PT0S".into(), "PT1H30M5.25S".into(), "PT-1.5S".into())
        );
    }
}
