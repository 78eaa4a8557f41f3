//! Arithmetic with Flink's rules: whole numbers wrap, a decimal that overflows is NULL, division by zero is an error for
//! exact numbers, and dates take intervals.

use super::Arithmetic;
use super::eval::{EvalResult, as_ref, text};
use super::operand::Operand;
use crate::row::{ColumnBuilder, ColumnView};
use crate::types::TypeKind;
use arrow_arith::numeric;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

/// `left op right`; whole numbers and floats have one type on both sides, decimals may have two.
pub(super) fn binary(
    op: Arithmetic,
    left: &Operand,
    left_kind: &TypeKind,
    right: &Operand,
    right_kind: &TypeKind,
    result: &TypeKind,
) -> EvalResult<ArrayRef> {
    let rows = if left.is_constant() { right.array().len() } else { left.array().len() };
    if matches!(result, TypeKind::Decimal(..)) {
        return super::decimals::binary(op, left, left_kind, right, right_kind, result);
    }
    if left_kind.is_temporal() || right_kind.is_temporal() {
        if let Some(shifted) = shifted(op, left, left_kind, right, right_kind) {
            return Ok(shifted);
        }
        return temporal(op, &left.spread(rows)?, left_kind, &right.spread(rows)?, right_kind, result);
    }
    if left_kind.is_interval() || right_kind.is_interval() {
        return intervals(op, &left.spread(rows)?, &right.spread(rows)?, right_kind, result);
    }
    let computed = match op {
        Arithmetic::Add => numeric::add_wrapping(left, right),
        Arithmetic::Subtract => numeric::sub_wrapping(left, right),
        Arithmetic::Multiply => numeric::mul_wrapping(left, right),
        Arithmetic::Divide | Arithmetic::Modulo if left_kind.is_integer() => {
            if let Some(divided) = divided_by_constant(op, left, right) {
                return Ok(divided);
            }
            return whole_division(op, &left.spread(rows)?, &right.spread(rows)?, result);
        }
        Arithmetic::Divide => numeric::div(left, right),
        Arithmetic::Modulo => numeric::rem(left, right),
    };
    computed.map_err(text)
}

/// Whole numbers divided by a constant that is not zero.
fn divided_by_constant(op: Arithmetic, left: &Operand, right: &Operand) -> Option<ArrayRef> {
    let divisor = right.constant_int().filter(|divisor| *divisor != 0)?;
    let column = left.array();
    if left.is_constant() || column.data_type() != right.data_type() {
        return None;
    }
    let divides = op == Arithmetic::Divide;
    Some(match column.data_type() {
        DataType::Int64 => {
            let column = column.as_primitive::<Int64Type>();
            as_ref(if divides {
                column.unary::<_, Int64Type>(|value| value.wrapping_div(divisor))
            } else {
                column.unary::<_, Int64Type>(|value| value.wrapping_rem(divisor))
            })
        }
        DataType::Int32 => {
            let (column, divisor) = (column.as_primitive::<Int32Type>(), divisor as i32);
            as_ref(if divides {
                column.unary::<_, Int32Type>(|value| value.wrapping_div(divisor))
            } else {
                column.unary::<_, Int32Type>(|value| value.wrapping_rem(divisor))
            })
        }
        _ => return None,
    })
}

/// Timestamps a constant number of milliseconds later or earlier.
fn shifted(
    op: Arithmetic,
    left: &Operand,
    left_kind: &TypeKind,
    right: &Operand,
    right_kind: &TypeKind,
) -> Option<ArrayRef> {
    let millis = right.constant_int().filter(|_| *right_kind == TypeKind::IntervalDaySecond)?;
    let sign = if op == Arithmetic::Subtract { -1 } else { 1 };
    let shift = (sign * millis).wrapping_mul(per_milli(left_kind));
    let column = left.array();
    let data_type = column.data_type().clone();
    Some(match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let column = column.as_primitive::<TimestampMicrosecondType>();
            let later = column.unary::<_, TimestampMicrosecondType>(|value| value.wrapping_add(shift));
            as_ref(later.with_data_type(data_type))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let column = column.as_primitive::<TimestampNanosecondType>();
            let later = column.unary::<_, TimestampNanosecondType>(|value| value.wrapping_add(shift));
            as_ref(later.with_data_type(data_type))
        }
        _ => return None,
    })
}

fn whole_division(
    op: Arithmetic,
    left: &ArrayRef,
    right: &ArrayRef,
    result: &TypeKind,
) -> EvalResult<ArrayRef> {
    let (a, b) = (ColumnView::new(left), ColumnView::new(right));
    let mut builder = ColumnBuilder::new(result);
    for row in 0..left.len() {
        match (a.int(row), b.int(row)) {
            (Some(_), Some(0)) => return Err("division by zero".into()),
            (Some(a), Some(b)) => builder.append_int(match op {
                Arithmetic::Divide => a.wrapping_div(b),
                _ => a.wrapping_rem(b),
            }),
            _ => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

pub(super) fn negate(operand: &ArrayRef, kind: &TypeKind) -> EvalResult<ArrayRef> {
    if kind.is_interval() {
        let view = ColumnView::new(operand);
        let mut builder = ColumnBuilder::new(kind);
        for row in 0..operand.len() {
            match view.int(row) {
                Some(value) => builder.append_int(value.wrapping_neg()),
                None => builder.append_null(),
            }
        }
        return Ok(builder.finish());
    }
    numeric::neg_wrapping(operand).map_err(text)
}

/// Units of a timestamp in a millisecond.
fn per_milli(kind: &TypeKind) -> i64 {
    if kind.in_nanos() { 1_000_000 } else { 1_000 }
}

fn temporal(
    op: Arithmetic,
    left: &ArrayRef,
    left_kind: &TypeKind,
    right: &ArrayRef,
    right_kind: &TypeKind,
    result: &TypeKind,
) -> EvalResult<ArrayRef> {
    // An interval may stand first, in a sum.
    if left_kind.is_interval() {
        return temporal(op, right, right_kind, left, left_kind, result);
    }
    let sign = if op == Arithmetic::Subtract { -1 } else { 1 };
    let (a, b) = (ColumnView::new(left), ColumnView::new(right));
    let mut builder = ColumnBuilder::new(result);
    for row in 0..left.len() {
        match (a.int(row), b.int(row)) {
            (Some(a), Some(b)) => builder.append_int(add_interval(a, left_kind, sign * b, right_kind)),
            _ => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

/// A date, time or timestamp and an interval later.
pub(crate) fn add_interval(value: i64, kind: &TypeKind, interval: i64, interval_kind: &TypeKind) -> i64 {
    const DAY_MILLIS: i64 = 86_400_000;
    if *interval_kind == TypeKind::IntervalYearMonth {
        return match kind {
            TypeKind::Date => add_months(value, interval),
            TypeKind::Time(_) => value,
            _ => {
                let day = DAY_MILLIS * per_milli(kind);
                let (days, rest) = (value.div_euclid(day), value.rem_euclid(day));
                add_months(days, interval).wrapping_mul(day).wrapping_add(rest)
            }
        };
    }
    match kind {
        TypeKind::Date => value.wrapping_add(interval / DAY_MILLIS),
        TypeKind::Time(_) => value.wrapping_add(interval).rem_euclid(DAY_MILLIS),
        _ => value.wrapping_add(interval.wrapping_mul(per_milli(kind))),
    }
}

/// A day some months later; the end of a shorter month if there is no such day.
pub(crate) fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_of_days(days);
    let total = year * 12 + i64::from(month) - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
    days_of_civil(year, month, day.min(days_in_month(year, month)))
}

pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The civil date of a day since 1970-01-01: `(year, month, day)`. Proleptic Gregorian, after Howard Hinnant's
/// `civil_from_days`.
pub(crate) fn civil_of_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970-01-01 of a civil date.
pub(crate) fn days_of_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Intervals among themselves, and an interval times a number.
fn intervals(
    op: Arithmetic,
    left: &ArrayRef,
    right: &ArrayRef,
    right_kind: &TypeKind,
    result: &TypeKind,
) -> EvalResult<ArrayRef> {
    let (a, b) = (ColumnView::new(left), ColumnView::new(right));
    let mut builder = ColumnBuilder::new(result);
    for row in 0..left.len() {
        let (Some(a), Some(b)) = (a.int(row), b.int(row).or_else(|| b.float(row).map(|value| value as i64)))
        else {
            builder.append_null();
            continue;
        };
        builder.append_int(match op {
            Arithmetic::Add => a.wrapping_add(b),
            Arithmetic::Subtract => a.wrapping_sub(b),
            Arithmetic::Multiply => a.wrapping_mul(b),
            _ if b == 0 => return Err("division by zero".into()),
            Arithmetic::Divide => a.wrapping_div(b),
            Arithmetic::Modulo => a.wrapping_rem(b),
        });
    }
    let _ = right_kind;
    Ok(builder.finish())
}
