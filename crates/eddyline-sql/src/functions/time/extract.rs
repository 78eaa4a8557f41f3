//! EXTRACT, and the functions named after what they extract.

use super::civil::{Moment, day_of_year, iso_week, iso_weekday};
use super::{Argument, CallInfo, Function, Resolved, unit_argument};
use crate::expr::arithmetic::civil_of_days;
use crate::functions::columns::longs;
use crate::functions::signature::{Takes, mismatch, strict};
use crate::functions::{any_nullable, arity};
use crate::row::ColumnView;
use crate::types::TypeKind;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    Function::columns("EXTRACT", resolve_extract, extract),
    Function::columns("YEAR", of_day, |columns, rows, info| column(Part::Year, columns, rows, info)),
    Function::columns("QUARTER", of_day, |columns, rows, info| column(Part::Quarter, columns, rows, info)),
    Function::columns("MONTH", of_day, |columns, rows, info| column(Part::Month, columns, rows, info)),
    Function::columns("WEEK", of_day, |columns, rows, info| column(Part::Week, columns, rows, info)),
    Function::columns("DAYOFYEAR", of_day, |columns, rows, info| {
        column(Part::DayOfYear, columns, rows, info)
    }),
    Function::columns("DAYOFMONTH", of_day, |columns, rows, info| column(Part::Day, columns, rows, info)),
    Function::columns("DAYOFWEEK", of_day, |columns, rows, info| {
        column(Part::DayOfWeek, columns, rows, info)
    }),
    Function::columns("HOUR", of_time, |columns, rows, info| column(Part::Hour, columns, rows, info)),
    Function::columns("MINUTE", of_time, |columns, rows, info| column(Part::Minute, columns, rows, info)),
    Function::columns("SECOND", of_time, |columns, rows, info| column(Part::Second, columns, rows, info)),
];

/// What can be extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Millennium,
    Century,
    Decade,
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    DayOfYear,
    /// 1 is Sunday.
    DayOfWeek,
    /// 1 is Monday.
    IsoDayOfWeek,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Epoch,
}

const PARTS: [(&str, Part); 19] = [
    ("MILLENNIUM", Part::Millennium),
    ("CENTURY", Part::Century),
    ("DECADE", Part::Decade),
    ("YEAR", Part::Year),
    ("ISOYEAR", Part::IsoYear),
    ("QUARTER", Part::Quarter),
    ("MONTH", Part::Month),
    ("WEEK", Part::Week),
    ("DAY", Part::Day),
    ("DOY", Part::DayOfYear),
    ("DOW", Part::DayOfWeek),
    ("ISODOW", Part::IsoDayOfWeek),
    ("HOUR", Part::Hour),
    ("MINUTE", Part::Minute),
    ("SECOND", Part::Second),
    ("MILLISECOND", Part::Millisecond),
    ("MICROSECOND", Part::Microsecond),
    ("NANOSECOND", Part::Nanosecond),
    ("EPOCH", Part::Epoch),
];

fn part_named(name: &str) -> Option<Part> {
    PARTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, part)| *part)
}

fn of_day(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Day], 0, TypeKind::BigInt)
}

fn of_time(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Temporal], 0, TypeKind::BigInt)
}

fn resolve_extract(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 2..=2)?;
    let unit = unit_argument(&arguments[0])?;
    let part = part_named(unit).ok_or_else(|| format!("knows no unit {unit}"))?;
    let kind = &arguments[1].data_type.kind;
    let is_taken = match kind {
        TypeKind::Time(_) => part >= Part::Hour,
        TypeKind::IntervalYearMonth => matches!(part, Part::Year | Part::Quarter | Part::Month),
        TypeKind::IntervalDaySecond => part == Part::Day || (part >= Part::Hour && part != Part::Epoch),
        kind => kind.is_timestamp() || matches!(kind, TypeKind::Date | TypeKind::Null),
    };
    if !is_taken {
        return Err(if kind.is_temporal() || kind.is_interval() {
            format!("finds no {unit} in {kind}")
        } else {
            mismatch(&arguments[1..], &[Takes::Temporal])
        });
    }
    let mut operand = arguments[1].data_type.clone();
    if operand.kind == TypeKind::Null {
        operand = TypeKind::Timestamp(3).nullable();
    }
    let params = vec![TypeKind::STRING.not_null(), operand];
    Ok(Resolved { params, result: TypeKind::BigInt.with_nullability(any_nullable(arguments)) })
}

impl PartialOrd for Part {
    /// From coarse to fine.
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (*self as u8).partial_cmp(&(*other as u8))
    }
}

fn extract(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    let unit = if rows > 0 { columns[0].as_string::<i32>().value(0) } else { "YEAR" };
    let part = part_named(unit).ok_or_else(|| format!("there is no unit {unit}"))?;
    column(
        part,
        &columns[1..],
        rows,
        &CallInfo {
            params: info.params[1..].to_vec(),
            constant: info.constant[1..].to_vec(),
            ..info.clone()
        },
    )
}

fn column(part: Part, columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    let view = ColumnView::new(&columns[0]);
    let kind = &info.params[0].kind;
    if kind.is_interval() {
        return Ok(longs(rows, |row| view.int(row).map(|value| of_interval(part, value, kind))));
    }
    Ok(longs(rows, |row| {
        let value = view.int(row)?;
        if part == Part::Epoch {
            return Some(epoch_seconds(value, kind));
        }
        Some(of_moment(part, Moment::of(value, kind, &info.zone)))
    }))
}

fn epoch_seconds(value: i64, kind: &TypeKind) -> i64 {
    match kind {
        TypeKind::Date => value * 86_400,
        TypeKind::Time(_) => value / 1_000,
        kind if kind.in_nanos() => value.div_euclid(1_000_000_000),
        _ => value.div_euclid(1_000_000),
    }
}

fn of_moment(part: Part, moment: Moment) -> i64 {
    let (year, month, day) = match part {
        Part::Millennium
        | Part::Century
        | Part::Decade
        | Part::Year
        | Part::Quarter
        | Part::Month
        | Part::Day => civil_of_days(moment.days),
        _ => (0, 1, 1),
    };
    match part {
        Part::Millennium => rounded_away(year, 1_000),
        Part::Century => rounded_away(year, 100),
        Part::Decade => year.div_euclid(10),
        Part::Year => year,
        Part::Quarter => i64::from(month - 1) / 3 + 1,
        Part::Month => i64::from(month),
        Part::Day => i64::from(day),
        Part::IsoYear => iso_week(moment.days).0,
        Part::Week => iso_week(moment.days).1,
        Part::DayOfYear => day_of_year(moment.days),
        Part::DayOfWeek => iso_weekday(moment.days) % 7 + 1,
        Part::IsoDayOfWeek => iso_weekday(moment.days),
        Part::Hour => moment.hour(),
        Part::Minute => moment.minute(),
        Part::Second => moment.second(),
        Part::Millisecond => moment.nano_of_second() / 1_000_000,
        Part::Microsecond => moment.nano_of_second() / 1_000,
        Part::Nanosecond => moment.nano_of_second(),
        Part::Epoch => moment.days * 86_400 + moment.nanos / 1_000_000_000,
    }
}

/// The century or millennium of a year: the first begins with the year 1.
fn rounded_away(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { (year - length + 1) / length }
}

fn of_interval(part: Part, value: i64, kind: &TypeKind) -> i64 {
    if *kind == TypeKind::IntervalYearMonth {
        return match part {
            Part::Year => value / 12,
            Part::Quarter => value % 12 / 3 + 1,
            _ => value % 12,
        };
    }
    match part {
        Part::Day => value / 86_400_000,
        Part::Hour => value / 3_600_000 % 24,
        Part::Minute => value / 60_000 % 60,
        Part::Second => value / 1_000 % 60,
        Part::Millisecond => value % 1_000,
        Part::Microsecond => value % 1_000 * 1_000,
        _ => value % 1_000 * 1_000_000,
    }
}
