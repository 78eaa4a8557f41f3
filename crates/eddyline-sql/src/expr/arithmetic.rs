//! Arithmetic with Flink's rules: whole numbers wrap, a decimal that overflows is NULL, division by zero is an error for
//! exact numbers, and dates take intervals.

use super::Arithmetic;
use super::eval::{EvalResult, as_ref, text};
use crate::row::{ColumnBuilder, ColumnView};
use crate::types::TypeKind;
use arrow_arith::numeric;
use arrow_array::{Array, ArrayRef};

/// `left op right`; whole numbers and floats have one type on both sides, decimals may have two.
pub(super) fn binary(
    op: Arithmetic,
    left: &ArrayRef,
    left_kind: &TypeKind,
    right: &ArrayRef,
    right_kind: &TypeKind,
    result: &TypeKind,
) -> EvalResult<ArrayRef> {
    if matches!(result, TypeKind::Decimal(..)) {
        return decimals(op, left, left_kind, right, right_kind, result);
    }
    if left_kind.is_temporal() || right_kind.is_temporal() {
        return temporal(op, left, left_kind, right, right_kind, result);
    }
    if left_kind.is_interval() || right_kind.is_interval() {
        return intervals(op, left, right, right_kind, result);
    }
    let computed = match op {
        Arithmetic::Add => numeric::add_wrapping(left, right),
        Arithmetic::Subtract => numeric::sub_wrapping(left, right),
        Arithmetic::Multiply => numeric::mul_wrapping(left, right),
        Arithmetic::Divide | Arithmetic::Modulo if left_kind.is_integer() => {
            return whole_division(op, left, right, result);
        }
        Arithmetic::Divide => numeric::div(left, right),
        Arithmetic::Modulo => numeric::rem(left, right),
    };
    computed.map_err(text)
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

pub(crate) const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut exponent = 1;
    while exponent < 39 {
        powers[exponent] = powers[exponent - 1].wrapping_mul(10);
        exponent += 1;
    }
    powers
};

/// Whether `value` has at most `precision` digits.
pub(crate) fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < POWERS[usize::from(precision.min(38))].unsigned_abs()
}

/// `value` of scale `from` at scale `to`, rounded half away from zero; none if it overflows.
pub(crate) fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(*POWERS.get(usize::from(to - from))?);
    }
    let divisor = POWERS[usize::from((from - to).min(38))];
    Some(divide_rounded(value, divisor))
}

/// `dividend / divisor`, rounded half away from zero.
pub(crate) fn divide_rounded(dividend: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let away = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    if !away || rest == 0 {
        return quotient;
    }
    if (dividend < 0) == (divisor < 0) { quotient + 1 } else { quotient - 1 }
}

/// The value of `row` as a decimal and its scale.
fn unscaled(view: &ColumnView<'_>, row: usize, kind: &TypeKind) -> Option<i128> {
    if kind.is_integer() { view.int(row).map(i128::from) } else { view.decimal(row) }
}

fn decimals(
    op: Arithmetic,
    left: &ArrayRef,
    left_kind: &TypeKind,
    right: &ArrayRef,
    right_kind: &TypeKind,
    result: &TypeKind,
) -> EvalResult<ArrayRef> {
    let TypeKind::Decimal(precision, scale) = *result else { return Err("decimals of another type".into()) };
    let scale_of = |kind: &TypeKind| kind.as_decimal().map_or(0, |(_, scale)| scale);
    let (s1, s2) = (scale_of(left_kind), scale_of(right_kind));
    let (a, b) = (ColumnView::new(left), ColumnView::new(right));
    let mut values: Vec<Option<i128>> = Vec::with_capacity(left.len());
    for row in 0..left.len() {
        let (Some(a), Some(b)) = (unscaled(&a, row, left_kind), unscaled(&b, row, right_kind)) else {
            values.push(None);
            continue;
        };
        if b == 0 && matches!(op, Arithmetic::Divide | Arithmetic::Modulo) {
            return Err("division by zero".into());
        }
        values.push(decimal(op, (a, s1), (b, s2), scale).filter(|value| fits(*value, precision)));
    }
    let array = arrow_array::Decimal128Array::from(values);
    array.with_precision_and_scale(precision, scale as i8).map(as_ref).map_err(text)
}

/// `a op b` at `scale`; none if it overflows.
pub(crate) fn decimal(op: Arithmetic, (a, s1): (i128, u8), (b, s2): (i128, u8), scale: u8) -> Option<i128> {
    match op {
        Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Modulo => {
            let common = s1.max(s2);
            let (a, b) = (rescale(a, s1, common)?, rescale(b, s2, common)?);
            let exact = match op {
                Arithmetic::Add => a.checked_add(b)?,
                Arithmetic::Subtract => a.checked_sub(b)?,
                _ => a.checked_rem(b)?,
            };
            rescale(exact, common, scale)
        }
        Arithmetic::Multiply => match a.checked_mul(b) {
            Some(product) => rescale(product, s1 + s2, scale),
            None => wide_product(a, b, s1 + s2, scale),
        },
        Arithmetic::Divide => {
            // a / 10^s1 ÷ b / 10^s2 at `scale` is a · 10^(scale − s1 + s2) ÷ b.
            let exponent = i32::from(scale) - i32::from(s1) + i32::from(s2);
            if exponent >= 0 {
                match POWERS.get(exponent as usize).and_then(|power| a.checked_mul(*power)) {
                    Some(dividend) => Some(divide_rounded(dividend, b)),
                    None => wide_quotient(a, exponent as u32, b),
                }
            } else {
                let divisor = b.checked_mul(*POWERS.get((-exponent) as usize)?)?;
                Some(divide_rounded(a, divisor))
            }
        }
    }
}

fn wide_product(a: i128, b: i128, from: u8, to: u8) -> Option<i128> {
    use arrow_buffer::i256;
    let product = i256::from_i128(a).checked_mul(i256::from_i128(b))?;
    let drop = u32::from(from.checked_sub(to)?);
    round_wide(product, i256::from_i128(10).checked_pow(drop)?)
}

fn wide_quotient(a: i128, exponent: u32, b: i128) -> Option<i128> {
    use arrow_buffer::i256;
    let dividend = i256::from_i128(a).checked_mul(i256::from_i128(10).checked_pow(exponent)?)?;
    round_wide(dividend, i256::from_i128(b))
}

fn round_wide(dividend: arrow_buffer::i256, divisor: arrow_buffer::i256) -> Option<i128> {
    use arrow_buffer::i256;
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let rounded = if twice < divisor.wrapping_abs() {
        quotient
    } else if (dividend < i256::ZERO) == (divisor < i256::ZERO) {
        quotient.checked_add(i256::ONE)?
    } else {
        quotient.checked_sub(i256::ONE)?
    };
    rounded.to_i128()
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
