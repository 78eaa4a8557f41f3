//! CEIL and FLOOR of dates, times and timestamps to a unit of time.

use super::civil::{DAY_NANOS, Moment, iso_weekday};
use super::{Argument, CallInfo, Resolved, unit_argument};
use crate::expr::arithmetic::{civil_of_days, days_of_civil};
use crate::functions::any_nullable;
use crate::functions::signature::{Takes, int_or, params, text};
use crate::row::Value;
use crate::types::{TimeUnit, TypeKind};

/// Whether CEIL or FLOOR has a unit of time.
pub(in crate::functions) fn is_rounding_of_time(arguments: &[Argument]) -> bool {
    arguments.len() == 2 && arguments[1].literal.as_ref().and_then(Value::as_text).is_some()
}

pub(in crate::functions) fn resolve_round(arguments: &[Argument]) -> Result<Resolved, String> {
    let name = unit_argument(&arguments[1])?;
    let unit = TimeUnit::parse(name)
        .filter(|unit| *unit <= TimeUnit::Millisecond)
        .ok_or_else(|| format!("knows no unit {name}"))?;
    let params = params(arguments, &[Takes::Temporal, Takes::Text], 0)?;
    let kind = params[0].kind.clone();
    match kind {
        TypeKind::Time(_) if unit <= TimeUnit::Day => return Err(format!("finds no {name} in {kind}")),
        _ => {}
    }
    Ok(Resolved { params, result: kind.with_nullability(any_nullable(arguments)) })
}

pub(in crate::functions) fn rounded_time(args: &[Value], info: &CallInfo, up: bool) -> Result<Value, String> {
    let unit = TimeUnit::parse(text(args, 1)).ok_or("there is no such unit")?;
    let kind = &info.params[0].kind;
    let given = int_or(args, 0, 0);
    let moment = Moment::of(given, kind, &info.zone);
    let rounded = if unit >= TimeUnit::Day && *kind != TypeKind::Date {
        rounded_clock(moment, unit.millis() * 1_000_000, up)
    } else {
        Moment { days: rounded_day(moment.days, unit, up), nanos: 0 }
    };
    Ok(Value::Int(match kind {
        TypeKind::Date => rounded.days,
        TypeKind::Time(_) => rounded.nanos / 1_000_000,
        // As in Flink: with the offset that the zone has at the given time, not at the rounded one.
        TypeKind::TimestampLtz(_) => given - moment.joined(kind.in_nanos()) + rounded.joined(kind.in_nanos()),
        _ => rounded.joined(kind.in_nanos()),
    }))
}

fn rounded_clock(moment: Moment, step: i64, up: bool) -> Moment {
    let rest = moment.nanos % step;
    let nanos = moment.nanos - rest + if up && rest > 0 { step } else { 0 };
    Moment { days: moment.days + nanos / DAY_NANOS, nanos: nanos % DAY_NANOS }
}

/// The first day of the unit that `days` is in, or of the next one unless it is the first day. Weeks begin on Sunday.
fn rounded_day(days: i64, unit: TimeUnit, up: bool) -> i64 {
    if unit >= TimeUnit::Day {
        return days;
    }
    if unit == TimeUnit::Week {
        let behind = iso_weekday(days) % 7;
        return days - behind + if up && behind > 0 { 7 } else { 0 };
    }
    let (year, month, _) = civil_of_days(days);
    let length = unit.months();
    let first = if length <= 12 {
        year * 12 + i64::from(month - 1) / length * length
    } else if unit == TimeUnit::Decade {
        year.div_euclid(10) * 120
    } else {
        // The first century begins with the year 1.
        let years = length / 12;
        ((year - 1).div_euclid(years) * years + 1) * 12
    };
    let day_of = |months: i64| days_of_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1);
    let begin = day_of(first);
    if up && begin < days { day_of(first + length) } else { begin }
}
