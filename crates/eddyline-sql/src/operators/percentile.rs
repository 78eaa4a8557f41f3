//! PERCENTILE: the value below which a share of the values lies, between two values by their distances.

use crate::row::Value;
use crate::types::{SqlType, TypeKind};

/// The percentile of rows of arguments (value, share or shares, perhaps how often) of `types` with their numbers; NULL of
/// no rows.
pub(super) fn percentile(rows: impl Iterator<Item = (Vec<Value>, i64)>, types: &[SqlType]) -> Value {
    let mut shares = Value::Null;
    let mut values: Vec<(f64, i64)> = Vec::new();
    for (arguments, count) in rows {
        let [value, share, often @ ..] = arguments.as_slice() else { continue };
        let often = often.first().and_then(Value::as_int).unwrap_or(1);
        if often > 0 && count > 0 {
            values.push((number(value, &types[0].kind), count * often));
        }
        shares = share.clone();
    }
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    if values.is_empty() {
        return Value::Null;
    }
    match (&shares, &types[1].kind) {
        (Value::List(items), TypeKind::Array(item)) => Value::List(
            items.iter().map(|share| Value::Float(at(&values, number(share, &item.kind)))).collect(),
        ),
        (share, kind) => Value::Float(at(&values, number(share, kind))),
    }
}

/// The value at `share` of `values`, which are in order, with their numbers.
fn at(values: &[(f64, i64)], share: f64) -> f64 {
    let total: i64 = values.iter().map(|(_, count)| count).sum();
    let position = share * (total - 1) as f64;
    let nth = |place: i64| {
        let mut before = 0;
        let found = values.iter().find(|(_, count)| {
            before += count;
            place < before
        });
        found.or(values.last()).map_or(0.0, |(value, _)| *value)
    };
    let (low, high) = (position.floor(), position.ceil());
    let (lower, upper) = (nth(low as i64), nth(high as i64));
    if low == high || lower == upper { lower } else { (high - position) * lower + (position - low) * upper }
}

fn number(value: &Value, kind: &TypeKind) -> f64 {
    match (value, kind) {
        (Value::Int(value), _) => *value as f64,
        (Value::Float(value), _) => *value,
        (Value::Decimal(value), TypeKind::Decimal(_, scale)) => *value as f64 / 10f64.powi(i32::from(*scale)),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_values() {
        let values = [(1.0, 1), (2.0, 2), (10.0, 1)];
        assert_eq!([0.0, 0.5, 1.0].map(|share| at(&values, share)), [1.0, 2.0, 10.0]);
        assert!((at(&values, 0.9) - 7.6).abs() < 1e-9);
    }
}
