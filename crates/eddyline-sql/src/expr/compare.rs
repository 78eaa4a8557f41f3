//! Comparisons. Both sides have the same type; NULL gives NULL.

use super::Comparison;
use super::eval::{EvalResult, as_ref, text};
use super::operand::Operand;
use crate::row::ColumnView;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_ord::cmp;
use std::cmp::Ordering;

pub(super) fn compare(op: Comparison, left: &Operand, right: &Operand) -> EvalResult<ArrayRef> {
    let rows = if left.is_constant() { right.array().len() } else { left.array().len() };
    if left.data_type().is_null() || right.data_type().is_null() {
        return Ok(as_ref(BooleanArray::new_null(rows)));
    }
    if left.data_type().is_nested() || left.data_type().is_floating() {
        return Ok(by_value(op, &left.spread(rows)?, &right.spread(rows)?));
    }
    let result = match op {
        Comparison::Equal => cmp::eq(left, right),
        Comparison::NotEqual => cmp::neq(left, right),
        Comparison::Less => cmp::lt(left, right),
        Comparison::LessOrEqual => cmp::lt_eq(left, right),
        Comparison::Greater => cmp::gt(left, right),
        Comparison::GreaterOrEqual => cmp::gt_eq(left, right),
    };
    result.map(as_ref).map_err(text)
}

fn by_value(op: Comparison, left: &ArrayRef, right: &ArrayRef) -> ArrayRef {
    let (left_values, right_values) = (ColumnView::new(left), ColumnView::new(right));
    let holds = |ordering: Option<Ordering>| match op {
        Comparison::Equal => ordering == Some(Ordering::Equal),
        Comparison::NotEqual => ordering != Some(Ordering::Equal),
        Comparison::Less => ordering == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => ordering == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    };
    let is_float = left.data_type().is_floating();
    let result = (0..left.len()).map(|row| {
        if left_values.is_null(row) || right_values.is_null(row) {
            return None;
        }
        // NaN is unordered, as in Java.
        let ordering = if is_float {
            left_values.float(row).partial_cmp(&right_values.float(row))
        } else {
            Some(left_values.value(row).cmp(&right_values.value(row)))
        };
        Some(holds(ordering))
    });
    as_ref(result.collect::<BooleanArray>())
}

/// `IS DISTINCT FROM`, or with `negated` `IS NOT DISTINCT FROM`.
pub(super) fn distinct(left: &ArrayRef, right: &ArrayRef, negated: bool) -> EvalResult<ArrayRef> {
    let (left_values, right_values) = (ColumnView::new(left), ColumnView::new(right));
    let result = (0..left.len()).map(|row| {
        let differ = match (left_values.is_null(row), right_values.is_null(row)) {
            (true, true) => false,
            (false, false) => left_values.value(row) != right_values.value(row),
            _ => true,
        };
        Some(differ != negated)
    });
    Ok(as_ref(result.collect::<BooleanArray>()))
}
