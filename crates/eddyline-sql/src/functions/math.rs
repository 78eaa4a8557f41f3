//! Numbers: sign, rounding, remainder.

use super::signature::{Takes, int_or, params};
use super::time::{is_rounding_of_time, resolve_round as resolve_round_of_time, rounded_time};
use super::{Argument, CallInfo, Function, Resolved, any_nullable, arity};
use crate::expr::Arithmetic;
use crate::expr::decimals::{POWERS, decimal, divide_rounded, fits};
use crate::row::{ColumnBuilder, ColumnView, Value};
use crate::types::TypeKind;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("ABS", of_number, abs),
    Function::strict("SIGN", of_number, sign),
    Function::strict("ROUND", resolve_rounding, |args, info| rounded(args, info, Rounding::HalfUp)),
    Function::strict("TRUNCATE", resolve_rounding, |args, info| rounded(args, info, Rounding::Down)),
    Function::strict("CEIL", resolve_whole, |args, info| whole(args, info, true)),
    Function::strict("CEILING", resolve_whole, |args, info| whole(args, info, true)),
    Function::strict("FLOOR", resolve_whole, |args, info| whole(args, info, false)),
    Function::columns("MOD", resolve_modulo, modulo),
];

fn of_number(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Number], 0)?;
    let result = params[0].clone();
    Ok(Resolved { params, result })
}

/// The least whole number stays negative, as in Java: there is no other.
fn abs(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    Ok(match &args[0] {
        Value::Int(value) => Value::Int(value.wrapping_abs()),
        Value::Float(value) => Value::Float(value.abs()),
        Value::Decimal(value) => Value::Decimal(value.abs()),
        _ => Value::Null,
    })
}

fn sign(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let (_, scale) = info.params[0].kind.as_decimal().unwrap_or((0, 0));
    Ok(match &args[0] {
        Value::Int(value) => Value::Int(value.signum()),
        Value::Float(value) if *value == 0.0 || value.is_nan() => Value::Float(*value),
        Value::Float(value) => Value::Float(value.signum()),
        Value::Decimal(value) => Value::Decimal(value.signum() * POWERS[usize::from(scale)]),
        _ => Value::Null,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// Half away from zero.
    HalfUp,
    Down,
}

/// A number, and how many digits stay behind the point.
fn resolve_rounding(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Number, Takes::Integer], 1)?;
    let places = match arguments.get(1) {
        None => Some(0),
        Some(places) => places.literal.as_ref().and_then(Value::as_int),
    };
    let kind = match (&params[0].kind, places) {
        (TypeKind::Decimal(precision, scale), Some(places)) => rounded_type(*precision, *scale, places),
        (kind, _) => kind.clone(),
    };
    Ok(Resolved { params, result: kind.with_nullability(any_nullable(arguments)) })
}

/// Rounding may need a digit more before the point.
fn rounded_type(precision: u8, scale: u8, places: i64) -> TypeKind {
    if places >= i64::from(scale) {
        return TypeKind::Decimal(precision, scale);
    }
    let places = places.max(0) as u8;
    TypeKind::Decimal((1 + precision - scale + places).min(38), places)
}

fn rounded(args: &[Value], info: &CallInfo, rounding: Rounding) -> Result<Value, String> {
    let places = int_or(args, 1, 0).clamp(-400, 400);
    Ok(match &args[0] {
        Value::Int(value) if places < 0 => {
            // Narrower types keep the low bits, as their columns do.
            Value::Int(rounded_unscaled(i128::from(*value), -places, rounding) as i64)
        }
        Value::Int(value) => Value::Int(*value),
        Value::Decimal(value) => {
            let (_, from) = info.params[0].kind.as_decimal().unwrap_or((38, 0));
            let (precision, to) = info.result.kind.as_decimal().unwrap_or((38, 0));
            let kept = rounded_unscaled(*value, i64::from(from) - places, rounding);
            // What was rounded is exact at the scale of the result.
            let result = kept / POWERS[usize::from(from.saturating_sub(to))];
            if fits(result, precision) { Value::Decimal(result) } else { Value::Null }
        }
        Value::Float(value) => Value::Float(rounded_float(*value, &info.params[0].kind, places, rounding)?),
        _ => Value::Null,
    })
}

/// `value` with its last `digits` digits made zeros.
fn rounded_unscaled(value: i128, digits: i64, rounding: Rounding) -> i128 {
    if digits <= 0 {
        return value;
    }
    let Some(power) = usize::try_from(digits).ok().and_then(|digits| POWERS.get(digits)) else { return 0 };
    match rounding {
        Rounding::HalfUp => divide_rounded(value, *power).wrapping_mul(*power),
        Rounding::Down => value / power * power,
    }
}

/// Rounds the decimal digits that the number is shown with, as Java does.
fn rounded_float(value: f64, kind: &TypeKind, places: i64, rounding: Rounding) -> Result<f64, String> {
    if !value.is_finite() {
        return Err(format!("{value} cannot be rounded"));
    }
    // ROUND of a FLOAT sees the double of the same value, TRUNCATE as well.
    let shown = format!("{value:e}");
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    let unscaled: i128 = mantissa.replace('.', "").parse().map_err(|_| "the number has too many digits")?;
    let scale = fraction - exponent.parse::<i64>().unwrap_or(0);
    let kept = rounded_unscaled(unscaled, scale - places, rounding);
    let result: f64 = format!("{kept}e{}", -scale).parse().unwrap_or(value);
    Ok(if *kind == TypeKind::Float { f64::from(result as f32) } else { result })
}

/// A finite number at `places` digits behind the point, rounded half away from zero.
pub(super) fn half_up(value: f64, places: i64) -> Option<f64> {
    rounded_float(value, &TypeKind::Double, places, Rounding::HalfUp).ok()
}

/// A number, or a point of time and a unit.
fn resolve_whole(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=2)?;
    if is_rounding_of_time(arguments) {
        return resolve_round_of_time(arguments);
    }
    let resolved = of_number(arguments)?;
    let kind = match &resolved.params[0].kind {
        TypeKind::Decimal(precision, _) => TypeKind::Decimal(*precision, 0),
        kind => kind.clone(),
    };
    Ok(Resolved { result: kind.with_nullability(any_nullable(arguments)), params: resolved.params })
}

fn whole(args: &[Value], info: &CallInfo, up: bool) -> Result<Value, String> {
    if args.len() == 2 {
        return rounded_time(args, info, up);
    }
    Ok(match &args[0] {
        Value::Float(value) => Value::Float(if up { value.ceil() } else { value.floor() }),
        Value::Decimal(value) => {
            let (precision, scale) = info.params[0].kind.as_decimal().unwrap_or((38, 0));
            let power = POWERS[usize::from(scale)];
            let floor = value.div_euclid(power);
            let result = if up && floor * power != *value { floor + 1 } else { floor };
            if fits(result, precision) { Value::Decimal(result) } else { Value::Null }
        }
        other => other.clone(),
    })
}

/// Two exact numbers. The result has the type of the divisor, or the scale that both need.
fn resolve_modulo(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Exact, Takes::Exact], 0)?;
    let (one, other) = (&params[0].kind, &params[1].kind);
    let kind = match (one.as_decimal(), other.as_decimal()) {
        (Some((p1, s1)), Some((p2, s2))) if !one.is_integer() || !other.is_integer() => {
            let scale = s1.max(s2);
            TypeKind::Decimal(((p1 - s1).min(p2 - s2) + scale).min(38), scale)
        }
        _ => other.clone(),
    };
    Ok(Resolved { params, result: kind.with_nullability(any_nullable(arguments)) })
}

const BY_ZERO: &str = "division by zero";

/// The rests of whole numbers of 64 bits among which is no NULL; none if the columns are others.
fn long_rests(columns: &[ArrayRef]) -> Result<Option<ArrayRef>, String> {
    let longs =
        |column: &ArrayRef| column.as_primitive_opt::<Int64Type>().map(|longs| longs.values().clone());
    let (Some(dividends), Some(divisors)) = (longs(&columns[0]), longs(&columns[1])) else { return Ok(None) };
    if columns.iter().any(|column| column.null_count() > 0) {
        return Ok(None);
    }
    if divisors.contains(&0) {
        return Err(BY_ZERO.into());
    }
    let rests =
        dividends.iter().zip(divisors.iter()).map(|(dividend, divisor)| dividend.wrapping_rem(*divisor));
    Ok(Some(Arc::new(Int64Array::from_iter_values(rests))))
}

fn modulo(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    if let Some(rests) = long_rests(columns)? {
        return Ok(rests);
    }
    let (dividends, divisors) = (ColumnView::new(&columns[0]), ColumnView::new(&columns[1]));
    let (one, other) = (&info.params[0].kind, &info.params[1].kind);
    let mut builder = ColumnBuilder::new(&info.result.kind);
    let TypeKind::Decimal(precision, scale) = info.result.kind else {
        for row in 0..rows {
            match (dividends.int(row), divisors.int(row)) {
                (Some(_), Some(0)) => return Err(BY_ZERO.into()),
                (Some(dividend), Some(divisor)) => builder.append_int(dividend.wrapping_rem(divisor)),
                _ => builder.append_null(),
            }
        }
        return Ok(builder.finish());
    };
    let scale_of = |kind: &TypeKind| kind.as_decimal().map_or(0, |(_, scale)| scale);
    let unscaled = |view: &ColumnView<'_>, kind: &TypeKind, row: usize| {
        if kind.is_integer() { view.int(row).map(i128::from) } else { view.decimal(row) }
    };
    for row in 0..rows {
        let (Some(dividend), Some(divisor)) =
            (unscaled(&dividends, one, row), unscaled(&divisors, other, row))
        else {
            builder.append_null();
            continue;
        };
        if divisor == 0 {
            return Err(BY_ZERO.into());
        }
        let rest = decimal(Arithmetic::Modulo, (dividend, scale_of(one)), (divisor, scale_of(other)), scale);
        let rest = rest.filter(|rest| fits(*rest, precision));
        builder.append(&rest.map_or(Value::Null, Value::Decimal));
    }
    Ok(builder.finish())
}
