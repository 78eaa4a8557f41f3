//! Values as text: what CAST to STRING gives, and what is printed.

use super::arithmetic::civil_of_days;
use super::decimals::POWERS;
use crate::row::Value;
use crate::types::TypeKind;
use jiff::tz::TimeZone;
use std::fmt::Write;

/// Appends the text of `value`, as `CAST(value AS STRING)` gives it.
pub(crate) fn write_value(value: &Value, kind: &TypeKind, zone: &TimeZone, out: &mut String) {
    match (value, kind) {
        (Value::Null, _) => out.push_str("NULL"),
        (Value::Bool(value), _) => out.push_str(if *value { "TRUE" } else { "FALSE" }),
        (Value::Int(days), TypeKind::Date) => write_date(*days, out),
        (Value::Int(millis), TypeKind::Time(precision)) => {
            write_time(i128::from(*millis) * 1_000_000, *precision, out)
        }
        (Value::Int(value), TypeKind::Timestamp(precision)) => {
            write_timestamp(*value, kind.in_nanos(), *precision, out)
        }
        (Value::Int(value), TypeKind::TimestampLtz(precision)) => {
            write_timestamp(
                local_of_instant(*value, kind.in_nanos(), zone),
                kind.in_nanos(),
                *precision,
                out,
            );
        }
        (Value::Int(months), TypeKind::IntervalYearMonth) => {
            let sign = if *months < 0 { '-' } else { '+' };
            let _ = write!(out, "{sign}{}-{:02}", months.abs() / 12, months.abs() % 12);
        }
        (Value::Int(millis), TypeKind::IntervalDaySecond) => {
            let (sign, total) = (if *millis < 0 { '-' } else { '+' }, millis.unsigned_abs());
            let (days, rest) = (total / 86_400_000, total % 86_400_000);
            let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
            let _ = write!(out, "{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{:03}", rest % 1_000);
        }
        (Value::Int(value), _) => {
            let _ = write!(out, "{value}");
        }
        (Value::Float(value), TypeKind::Float) => write_float(*value as f32, out),
        (Value::Float(value), _) => write_double(*value, out),
        (Value::Decimal(value), TypeKind::Decimal(_, scale)) => write_decimal(*value, *scale, out),
        (Value::Decimal(value), _) => write_decimal(*value, 0, out),
        (Value::Text(text), _) => out.push_str(text),
        (Value::Bytes(bytes), _) => out.push_str(&String::from_utf8_lossy(bytes)),
        (Value::List(items), TypeKind::Array(item)) => {
            out.push('[');
            for (number, value) in items.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                write_value(value, &item.kind, zone, out);
            }
            out.push(']');
        }
        (Value::Map(entries), TypeKind::Map(key_type, value_type)) => {
            write_entries(entries, (&key_type.kind, &value_type.kind), zone, out);
        }
        (Value::Map(entries), TypeKind::Multiset(item)) => {
            write_entries(entries, (&item.kind, &TypeKind::Int), zone, out)
        }
        (Value::Row(values), TypeKind::Row(fields)) => {
            out.push('(');
            for (number, (value, field)) in values.iter().zip(fields).enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                write_value(value, &field.data_type.kind, zone, out);
            }
            out.push(')');
        }
        (Value::List(_) | Value::Map(_) | Value::Row(_), _) => {}
    }
}

fn write_entries(
    entries: &[(Value, Value)],
    kinds: (&TypeKind, &TypeKind),
    zone: &TimeZone,
    out: &mut String,
) {
    out.push('{');
    for (number, (key, value)) in entries.iter().enumerate() {
        out.push_str(if number > 0 { ", " } else { "" });
        write_value(key, kinds.0, zone, out);
        out.push('=');
        write_value(value, kinds.1, zone, out);
    }
    out.push('}');
}

pub(crate) fn write_date(days: i64, out: &mut String) {
    let (year, month, day) = civil_of_days(days);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

/// The time of a day in nanoseconds.
pub(crate) fn write_time(nanos: i128, precision: u8, out: &mut String) {
    let nanos = nanos.rem_euclid(86_400_000_000_000) as u64;
    let seconds = nanos / 1_000_000_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if precision > 0 {
        let digits = format!("{:09}", nanos % 1_000_000_000);
        let _ = write!(out, ".{}", &digits[..usize::from(precision.min(9))]);
    }
}

/// A timestamp without zone, in micro- or nanoseconds.
pub(crate) fn write_timestamp(value: i64, in_nanos: bool, precision: u8, out: &mut String) {
    let nanos = if in_nanos { i128::from(value) } else { i128::from(value) * 1_000 };
    const DAY: i128 = 86_400_000_000_000;
    write_date(nanos.div_euclid(DAY) as i64, out);
    out.push(' ');
    write_time(nanos.rem_euclid(DAY), precision, out);
}

/// The reading of the wall clock in `zone` at an instant, both in micro- or nanoseconds since the epoch.
pub(crate) fn local_of_instant(value: i64, in_nanos: bool, zone: &TimeZone) -> i64 {
    let units = if in_nanos { 1_000_000_000 } else { 1_000_000 };
    let offset = offset_at(value.div_euclid(units), zone);
    value.wrapping_add(offset * units)
}

/// The instant at which the wall clock in `zone` reads `value`; in a gap, the time that the clock would have shown
/// without it.
pub(crate) fn instant_of_local(value: i64, in_nanos: bool, zone: &TimeZone) -> i64 {
    let units: i64 = if in_nanos { 1_000_000_000 } else { 1_000_000 };
    let seconds = value.div_euclid(units);
    // The offset before a change counts, as in Java.
    let early = offset_at(seconds - 86_400, zone);
    let guess = offset_at(seconds - early, zone);
    let offset = if offset_at(seconds - guess, zone) == guess { guess } else { early };
    value.wrapping_sub(offset * units)
}

fn offset_at(seconds: i64, zone: &TimeZone) -> i64 {
    jiff::Timestamp::from_second(seconds).map_or(0, |instant| i64::from(zone.to_offset(instant).seconds()))
}

pub(crate) fn write_decimal(value: i128, scale: u8, out: &mut String) {
    if scale == 0 {
        let _ = write!(out, "{value}");
        return;
    }
    let power = POWERS[usize::from(scale.min(38))].unsigned_abs();
    let (whole, fraction) = (value.unsigned_abs() / power, value.unsigned_abs() % power);
    let sign = if value < 0 { "-" } else { "" };
    let _ = write!(out, "{sign}{whole}.{fraction:0width$}", width = usize::from(scale));
}

/// A double as Java prints it: `1.0`, `1.0E10`, `1.0E-5`.
pub(crate) fn write_double(value: f64, out: &mut String) {
    java_float(value, format!("{value:?}"), format!("{value:e}"), out);
}

/// A float as Java prints it.
pub(crate) fn write_float(value: f32, out: &mut String) {
    java_float(f64::from(value), format!("{value:?}"), format!("{value:e}"), out);
}

fn java_float(value: f64, plain: String, exponential: String, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        out.push_str(&plain);
        if !plain.contains('.') {
            out.push_str(".0");
        }
    } else {
        let (mantissa, exponent) = exponential.split_once('e').unwrap_or((&exponential, "0"));
        out.push_str(mantissa);
        out.push_str(if mantissa.contains('.') { "E" } else { ".0E" });
        out.push_str(exponent);
    }
}

/// The value as text, alone.
pub(crate) fn value_to_text(value: &Value, kind: &TypeKind, zone: &TimeZone) -> String {
    let mut text = String::new();
    write_value(value, kind, zone, &mut text);
    text
}
