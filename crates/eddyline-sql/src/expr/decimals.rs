//! Arithmetic of decimals: unscaled numbers of 128 bits. A result that overflows is NULL.

use super::Arithmetic;
use super::eval::{EvalResult, as_ref, text};
use super::operand::Operand;
use crate::row::ColumnView;
use crate::types::TypeKind;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array};
use arrow_buffer::{NullBuffer, NullBufferBuilder};
use arrow_schema::DataType;

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

/// The unscaled values of one side; those of NULLs mean nothing.
enum Unscaled<'a> {
    Same(&'a [i128]),
    Whole(Vec<i128>),
    Constant(i128),
}

impl<'a> Unscaled<'a> {
    fn new(operand: &'a Operand, kind: &TypeKind) -> Self {
        let array = operand.array();
        let view = ColumnView::new(array);
        let at =
            |row: usize| if kind.is_integer() { view.int(row).map(i128::from) } else { view.decimal(row) };
        if operand.is_constant() {
            return Unscaled::Constant(at(0).unwrap_or(0));
        }
        match array.data_type() {
            DataType::Decimal128(..) => Unscaled::Same(array.as_primitive::<Decimal128Type>().values()),
            DataType::Int64 => {
                let values = array.as_primitive::<Int64Type>().values();
                Unscaled::Whole(values.iter().map(|value| i128::from(*value)).collect())
            }
            _ => Unscaled::Whole((0..array.len()).map(|row| at(row).unwrap_or(0)).collect()),
        }
    }

    #[inline]
    fn value(&self, row: usize) -> i128 {
        match self {
            Unscaled::Same(values) => values[row],
            Unscaled::Whole(values) => values[row],
            Unscaled::Constant(value) => *value,
        }
    }
}

/// Where both sides have a value in `rows` rows; none if they all do.
fn valid(left: &Operand, right: &Operand, rows: usize) -> Option<NullBuffer> {
    let of = |side: &Operand| match side.is_constant() {
        true if side.array().is_null(0) => Some(NullBuffer::new_null(rows)),
        true => None,
        false => side.array().logical_nulls(),
    };
    NullBuffer::union(of(left).as_ref(), of(right).as_ref())
}

/// `left op right` where the result is a decimal; the sides are decimals or whole numbers.
pub(super) fn binary(
    op: Arithmetic,
    left: &Operand,
    left_kind: &TypeKind,
    right: &Operand,
    right_kind: &TypeKind,
    result: &TypeKind,
) -> EvalResult<ArrayRef> {
    let TypeKind::Decimal(precision, scale) = *result else { return Err("decimals of another type".into()) };
    let scale_of = |kind: &TypeKind| kind.as_decimal().map_or(0, |(_, scale)| scale);
    let (s1, s2) = (scale_of(left_kind), scale_of(right_kind));
    let rows = if left.is_constant() { right.array().len() } else { left.array().len() };
    let valid = valid(left, right, rows);
    let is_valid = |row: usize| valid.as_ref().is_none_or(|valid| valid.is_valid(row));
    let (a, b) = (Unscaled::new(left, left_kind), Unscaled::new(right, right_kind));
    let mut values: Vec<i128> = Vec::with_capacity(rows);
    let mut nulls = NullBufferBuilder::new(rows);
    let mut push = |value: Option<i128>| {
        let value = value.filter(|value| fits(*value, precision));
        nulls.append(value.is_some());
        values.push(value.unwrap_or(0));
    };
    match op {
        // Products keep all their digits as long as these are not too many.
        Arithmetic::Multiply if s1 + s2 == scale => {
            for row in 0..rows {
                let (a, b) = (a.value(row), b.value(row));
                let product = match (i64::try_from(a), i64::try_from(b)) {
                    (Ok(a), Ok(b)) => Some(i128::from(a) * i128::from(b)),
                    _ => a.checked_mul(b),
                };
                push(product.filter(|_| is_valid(row)));
            }
        }
        _ => {
            for row in 0..rows {
                if !is_valid(row) {
                    push(None);
                    continue;
                }
                let (a, b) = (a.value(row), b.value(row));
                if b == 0 && matches!(op, Arithmetic::Divide | Arithmetic::Modulo) {
                    return Err("division by zero".into());
                }
                push(decimal(op, (a, s1), (b, s2), scale));
            }
        }
    }
    let array = Decimal128Array::new(values.into(), nulls.finish());
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
