//! Between dates, times, timestamps and their texts and numbers.

use super::civil::Moment;
use super::pattern::{Dialect, Pattern};
use super::{Argument, CallInfo, Function, Resolved};
use crate::expr::decimals::POWERS;
use crate::expr::text_format::{instant_of_local, local_of_instant};
use crate::expr::text_parse;
use crate::functions::columns::{Last, text_at};
use crate::functions::signature::{Takes, int_or, mismatch, nullable, params, text};
use crate::functions::{any_nullable, arity};
use crate::row::{ColumnView, Value};
use crate::types::TypeKind;
use arrow_array::ArrayRef;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use jiff::tz::TimeZone;
use std::sync::Arc;

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    Function::columns("DATE_FORMAT", resolve_date_format, date_format),
    Function::strict("TO_DATE", |arguments| from_text(arguments, TypeKind::Date), to_date),
    Function::strict("TO_TIMESTAMP", |arguments| from_text(arguments, TypeKind::Timestamp(3)), to_timestamp),
    Function::strict("TO_TIMESTAMP_LTZ", resolve_to_instant, to_instant),
    Function::strict("FROM_UNIXTIME", resolve_from_unixtime, from_unixtime),
    Function::strict("UNIX_TIMESTAMP", resolve_unix_timestamp, unix_timestamp).not_deterministic(),
    Function::strict("CONVERT_TZ", resolve_convert_tz, convert_tz),
];

const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

/// A timestamp, date or text, and a pattern.
fn resolve_date_format(arguments: &[Argument]) -> Result<Resolved, String> {
    let of_text = [Takes::Text, Takes::Text];
    nullable(arguments, &[Takes::Day, Takes::Text], 0, TypeKind::STRING)
        .or_else(|refused| nullable(arguments, &of_text, 0, TypeKind::STRING).map_err(|_| refused))
}

fn date_format(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    let values = ColumnView::new(&columns[0]);
    let patterns = columns[1].as_string::<i32>();
    let kind = &info.params[0].kind;
    let is_text = kind.is_text();
    let dialect = if is_text { Dialect::Simple } else { Dialect::Formatter };
    let default = Pattern::parse(DEFAULT_PATTERN, Dialect::Simple)?;
    let mut last = Last::new();
    let mut shown = String::new();
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    // What was shown for the stretch of time before, whose length in units of the values the pattern decides.
    let mut stretch: Option<(i64, i64, usize)> = None;
    let per_second = match kind {
        kind if kind.in_nanos() => 1_000_000_000,
        kind if kind.is_timestamp() => 1_000_000,
        _ => 0,
    };
    for row in 0..rows {
        if let Some((length, number, of)) = stretch
            && values.int(row).is_some_and(|value| value.div_euclid(length) == number)
            && (of == row || text_at(patterns, row) == text_at(patterns, of))
        {
            builder.append_value(&shown);
            continue;
        }
        stretch = None;
        let moment = if is_text {
            values.text(row).and_then(|text| default.read(text)).map(|parsed| parsed.moment)
        } else {
            values.int(row).map(|value| Moment::of(value, kind, &info.zone))
        };
        let (Some(moment), Some(pattern)) = (moment, text_at(patterns, row)) else {
            builder.append_null();
            continue;
        };
        let pattern = last.get(pattern, |pattern| Pattern::parse(pattern, dialect))?;
        shown.clear();
        pattern.write(moment, 0, &mut shown);
        builder.append_value(&shown);
        // The offset of a zone changes at whole minutes.
        let longest = if matches!(kind, TypeKind::TimestampLtz(_)) { 60 } else { i64::MAX };
        stretch = values.int(row).filter(|_| per_second > 0).zip(pattern.seconds_alike()).map(
            |(value, seconds)| {
                let length = seconds.min(longest) * per_second;
                (length, value.div_euclid(length), row)
            },
        );
    }
    Ok(Arc::new(builder.finish()))
}

/// A text and perhaps a pattern; NULL if the text does not follow it.
fn from_text(arguments: &[Argument], result: TypeKind) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Text], 1, result)
}

/// Patterns of one thread's calls, which are few.
fn with_pattern<T>(pattern: &str, dialect: Dialect, use_it: impl FnOnce(&Pattern) -> T) -> Result<T, String> {
    thread_local! {
        static LAST: std::cell::RefCell<Option<(String, Pattern)>> = const { std::cell::RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if !matches!(last, Some((known, made)) if known == pattern && made.dialect == dialect) {
            *last = Some((pattern.to_owned(), Pattern::parse(pattern, dialect)?));
        }
        let (_, made) = last.as_ref().expect("invariant: it was made just now");
        Ok(use_it(made))
    })
}

fn to_date(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let days = match args.get(1).and_then(Value::as_text) {
        Some(pattern) => {
            let parsed = with_pattern(pattern, Dialect::Simple, |pattern| pattern.read(text(args, 0)))?;
            parsed.map(|parsed| parsed.moment.days)
        }
        None => text_parse::date(text(args, 0)),
    };
    Ok(days.map_or(Value::Null, Value::Int))
}

fn to_timestamp(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let whole = text(args, 0);
    let moment = match args.get(1).and_then(Value::as_text) {
        Some(pattern) => with_pattern(pattern, Dialect::Formatter, |pattern| pattern.read(whole))?
            .map(|parsed| parsed.moment),
        None => None,
    };
    Ok(moment.or_else(|| plain_timestamp(whole)).map_or(Value::Null, |moment| Value::Int(in_millis(moment))))
}

/// `2024-2-29 12:30:05.25`, `2024-2-29`.
fn plain_timestamp(text: &str) -> Option<Moment> {
    let text = text.trim();
    let (date, clock) = text.split_once(' ').map_or((text, None), |(date, clock)| (date, Some(clock)));
    let is_whole = date.matches('-').count() == 2 && date.find('-') == Some(4) && !date.contains('T');
    let days = if is_whole { text_parse::date(date)? } else { return None };
    let nanos = match clock {
        Some(clock) if clock.matches(':').count() == 2 && !clock.contains(' ') => text_parse::time(clock)?,
        Some(_) => return None,
        None => 0,
    };
    Some(Moment { days, nanos })
}

/// Microseconds since the epoch, cut to milliseconds.
fn in_millis(moment: Moment) -> i64 {
    moment.joined(false).div_euclid(1_000) * 1_000
}

/// A number and the precision that it is in, or a text and perhaps its pattern and time zone.
fn resolve_to_instant(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=3)?;
    let of_text = [Takes::Text, Takes::Text, Takes::Text];
    if arguments[0].data_type.kind.is_text() {
        return nullable(arguments, &of_text, 2, TypeKind::TimestampLtz(3));
    }
    let of_number = [Takes::Number, Takes::Integer];
    let precision = match arguments.get(1) {
        None => Some(3),
        Some(precision) => precision.literal.as_ref().and_then(Value::as_int),
    };
    let precision =
        precision.and_then(|precision| u8::try_from(precision).ok()).filter(|precision| *precision <= 9);
    let precision = precision.ok_or("takes a precision from 0 to 9 that is a constant")?;
    nullable(arguments, &of_number, 1, TypeKind::TimestampLtz(precision.max(3)))
        .map_err(|_| mismatch(arguments, &of_number))
}

fn to_instant(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let kind = &info.params[0].kind;
    if kind.is_text() {
        return instant_of_text(args);
    }
    let precision = int_or(args, 1, 3).clamp(0, 9) as u8;
    // The number counts units of 10^-precision seconds; the column has micro- or nanoseconds.
    let digits = if info.result.kind.in_nanos() { 9 } else { 6 } - precision;
    let power = POWERS[usize::from(digits)];
    let instant = match &args[0] {
        Value::Int(units) => i128::from(*units).checked_mul(power),
        Value::Float(units) => {
            // Kept to milliseconds at least.
            let kept = precision.max(3);
            let scaled = (units * 10f64.powi(i32::from(kept - precision))) as i64;
            i128::from(scaled).checked_mul(power / POWERS[usize::from(kept - precision)])
        }
        Value::Decimal(units) => {
            let scale = kind.as_decimal().map_or(0, |(_, scale)| scale);
            (units / POWERS[usize::from(scale)]).checked_mul(power)
        }
        _ => None,
    };
    let instant = instant.and_then(|instant| i64::try_from(instant).ok());
    Ok(instant.map_or(Value::Null, Value::Int))
}

fn instant_of_text(args: &[Value]) -> Result<Value, String> {
    let whole = text(args, 0);
    let zone = match args.get(2).and_then(Value::as_text) {
        Some(name) => zone_named(name).ok_or_else(|| format!("knows no time zone {name}"))?,
        None => TimeZone::UTC,
    };
    let moment = match args.get(1).and_then(Value::as_text) {
        Some(pattern) => with_pattern(pattern, Dialect::Formatter, |pattern| pattern.read(whole))?
            .map(|parsed| parsed.moment),
        None => Some(plain_timestamp(whole).ok_or_else(|| format!("'{whole}' is no timestamp"))?),
    };
    let instant = moment.map(|moment| instant_of_local(in_millis(moment), false, &zone));
    Ok(instant.map_or(Value::Null, Value::Int))
}

/// `UTC`, `Europe/Berlin`, `GMT+01:00`, `+01:00`.
fn zone_named(name: &str) -> Option<TimeZone> {
    let bare = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC")).unwrap_or(name);
    if bare.is_empty() || bare == "Z" {
        return Some(TimeZone::UTC);
    }
    if let Some(digits) = bare.strip_prefix(['+', '-']) {
        let (hours, minutes) = match digits.split_once(':') {
            Some((hours, minutes)) => (hours, minutes),
            None if digits.len() == 4 => digits.split_at(2),
            None => (digits, "0"),
        };
        let seconds = hours.parse::<i32>().ok()?.checked_mul(3_600)? + minutes.parse::<i32>().ok()? * 60;
        let offset = jiff::tz::Offset::from_seconds(if bare.starts_with('-') { -seconds } else { seconds });
        return offset.ok().map(TimeZone::fixed);
    }
    TimeZone::get(name).ok()
}

fn resolve_from_unixtime(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Integer, Takes::Text], 1, TypeKind::STRING)
}

fn from_unixtime(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let pattern = args.get(1).and_then(Value::as_text).unwrap_or(DEFAULT_PATTERN);
    let seconds = int_or(args, 0, 0);
    let Some(micros) = seconds.checked_mul(1_000_000) else { return Ok(Value::Null) };
    let local = local_of_instant(micros, false, &info.zone);
    let mut shown = String::new();
    let offset = (local - micros) / 1_000_000;
    with_pattern(pattern, Dialect::Simple, |pattern| {
        pattern.write(Moment::split(local, false), offset, &mut shown);
    })?;
    Ok(Value::Text(shown))
}

fn resolve_unix_timestamp(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 0..=2)?;
    let takes = [Takes::Text, Takes::Text];
    let params = params(arguments, &takes[..arguments.len()], 0)?;
    Ok(Resolved { params, result: TypeKind::BigInt.with_nullability(any_nullable(arguments)) })
}

/// Seconds since the epoch: now, or when a text says. The least number if the text says nothing.
fn unix_timestamp(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    if args.is_empty() {
        return Ok(Value::Int(info.now_micros.div_euclid(1_000_000)));
    }
    let pattern = args.get(1).and_then(Value::as_text).unwrap_or(DEFAULT_PATTERN);
    let parsed = with_pattern(pattern, Dialect::Simple, |pattern| pattern.read(text(args, 0)))?;
    let Some(parsed) = parsed else { return Ok(Value::Int(i64::MIN)) };
    let local = parsed.moment.joined(false);
    let instant = match parsed.offset_seconds {
        Some(offset) => local - offset * 1_000_000,
        None => instant_of_local(local, false, &info.zone),
    };
    Ok(Value::Int(instant.div_euclid(1_000_000)))
}

/// A text, the zone that it is in, and the zone that it is wanted in.
fn resolve_convert_tz(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Text, Takes::Text], 0, TypeKind::STRING)
}

fn convert_tz(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    // Java takes a zone that it does not know for GMT.
    let zone = |number: usize| zone_named(text(args, number)).unwrap_or(TimeZone::UTC);
    with_pattern(DEFAULT_PATTERN, Dialect::Simple, |pattern| {
        let Some(parsed) = pattern.read(text(args, 0)) else { return Value::Null };
        let instant = instant_of_local(parsed.moment.joined(false), false, &zone(1));
        let local = local_of_instant(instant, false, &zone(2));
        let mut shown = String::new();
        pattern.write(Moment::split(local, false), 0, &mut shown);
        Value::Text(shown)
    })
}
