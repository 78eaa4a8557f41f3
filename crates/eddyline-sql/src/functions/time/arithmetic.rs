//! TIMESTAMPADD and TIMESTAMPDIFF.

use super::civil::Moment;
use super::{Argument, CallInfo, Function, Resolved, unit_argument};
use crate::expr::arithmetic::{add_interval, add_months};
use crate::functions::columns::ints;
use crate::functions::signature::{Takes, int_or, mismatch, params, text};
use crate::functions::{any_nullable, arity};
use crate::row::{ColumnView, Value};
use crate::types::{TimeUnit, TypeKind};
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    Function::strict("TIMESTAMPADD", resolve_add, timestamp_add),
    Function::columns("TIMESTAMPDIFF", resolve_difference, timestamp_difference),
];

fn unit_of(argument: &Argument, finest: TimeUnit) -> Result<TimeUnit, String> {
    let name = unit_argument(argument)?;
    TimeUnit::parse(name)
        .filter(|unit| *unit <= finest)
        .ok_or_else(|| format!("knows no unit {name}: take one from SECOND to YEAR"))
}

/// Unit, number, point of time. A date that gets hours is a timestamp.
fn resolve_add(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 3..=3)?;
    let unit = unit_of(&arguments[0], TimeUnit::Millisecond)?;
    let takes = [Takes::Text, Takes::Integer, Takes::Temporal];
    let mut params = params(arguments, &takes, 0)?;
    let fine = unit > TimeUnit::Day;
    let kind = match &params[2].kind {
        TypeKind::Date if fine => TypeKind::Timestamp(if unit == TimeUnit::Millisecond { 3 } else { 0 }),
        TypeKind::Time(_) if !fine => return Err(format!("adds no {} to a time", arguments_unit(arguments))),
        TypeKind::Timestamp(p) if unit == TimeUnit::Millisecond => TypeKind::Timestamp((*p).max(3)),
        TypeKind::TimestampLtz(p) if unit == TimeUnit::Millisecond => TypeKind::TimestampLtz((*p).max(3)),
        kind => kind.clone(),
    };
    params[2].kind = kind.clone();
    Ok(Resolved { params, result: kind.with_nullability(any_nullable(arguments)) })
}

fn arguments_unit(arguments: &[Argument]) -> &str {
    unit_argument(&arguments[0]).unwrap_or_default()
}

fn timestamp_add(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let unit = TimeUnit::parse(text(args, 0)).ok_or("there is no such unit")?;
    let (number, value) = (int_or(args, 1, 0), int_or(args, 2, 0));
    let kind = &info.params[2].kind;
    let (interval, interval_kind) = if unit.is_months() {
        (number.checked_mul(unit.months()), TypeKind::IntervalYearMonth)
    } else {
        (number.checked_mul(unit.millis()), TypeKind::IntervalDaySecond)
    };
    let interval = interval.filter(|interval| {
        // Beyond this no day has a year that anything can show.
        interval_kind == TypeKind::IntervalDaySecond || interval.unsigned_abs() < 12_000_000_000
    });
    let interval = interval.ok_or_else(|| format!("{number} is too much to be added"))?;
    let zoned = matches!(kind, TypeKind::TimestampLtz(_)) && unit.is_months();
    if zoned {
        // Months are those of the calendar in the session's time zone.
        let moment = Moment::of(value, kind, &info.zone);
        let moved = Moment { days: add_months(moment.days, interval), ..moment };
        let local = moved.joined(kind.in_nanos());
        return Ok(Value::Int(crate::expr::text_format::instant_of_local(
            local,
            kind.in_nanos(),
            &info.zone,
        )));
    }
    Ok(Value::Int(add_interval(value, kind, interval, &interval_kind)))
}

/// Unit, earlier point of time, later point of time.
fn resolve_difference(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 3..=3)?;
    unit_of(&arguments[0], TimeUnit::Nanosecond)?;
    let takes = [Takes::Text, Takes::Temporal, Takes::Temporal];
    let params = params(arguments, &takes, 0)?;
    let is_time = |number: usize| matches!(params[number].kind, TypeKind::Time(_));
    if is_time(1) != is_time(2) {
        return Err(mismatch(arguments, &takes));
    }
    Ok(Resolved { params, result: TypeKind::Int.with_nullability(any_nullable(arguments)) })
}

fn timestamp_difference(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    if rows == 0 {
        return Ok(ints(0, |_| None));
    }
    let unit = TimeUnit::parse(columns[0].as_string::<i32>().value(0)).ok_or("there is no such unit")?;
    let (from, to) = (ColumnView::new(&columns[1]), ColumnView::new(&columns[2]));
    let (from_kind, to_kind) = (&info.params[1].kind, &info.params[2].kind);
    // Two instants are as far apart as they are; beside a date or a wall clock an instant is read as one.
    let instants = matches!((from_kind, to_kind), (TypeKind::TimestampLtz(_), TypeKind::TimestampLtz(_)));
    let utc = jiff::tz::TimeZone::UTC;
    let zone = if instants { &utc } else { &info.zone };
    Ok(ints(rows, |row| {
        let from = Moment::of(from.int(row)?, from_kind, zone);
        let to = Moment::of(to.int(row)?, to_kind, zone);
        Some(if unit.is_months() {
            (months_between(to, from) / unit.months()) as i32
        } else {
            let millis = |moment: Moment| moment.days * 86_400_000 + moment.nanos / 1_000_000;
            let millis = millis(to) - millis(from);
            // Flink counts what is finer than a second in whole seconds, and cuts the number to 32 bits.
            let in_seconds = |parts: i64| (millis / 1_000).wrapping_mul(parts);
            match unit {
                TimeUnit::Millisecond => in_seconds(1_000) as i32,
                TimeUnit::Microsecond => in_seconds(1_000_000) as i32,
                TimeUnit::Nanosecond => in_seconds(1_000_000_000) as i32,
                unit => (millis / unit.millis()) as i32,
            }
        })
    }))
}

/// Whole months from `earlier` to `later`, by day and by the time of the day.
fn months_between(later: Moment, earlier: Moment) -> i64 {
    let months = months_between_days(later.days, earlier.days);
    let is_same_day = add_months(earlier.days, months) == later.days;
    months - i64::from(is_same_day && later.nanos < earlier.nanos)
}

fn months_between_days(later: i64, earlier: i64) -> i64 {
    if later < earlier {
        return -months_between_days(earlier, later);
    }
    // No month has more than 31 days: the guess is too low, if it is wrong.
    let mut months = (later - earlier) / 31;
    loop {
        if add_months(earlier, months) >= later || add_months(earlier, months + 1) > later {
            return months;
        }
        months += 1;
    }
}
