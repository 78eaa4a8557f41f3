//! Recognising joins whose sides are bound to each other in event time.

use super::{Op, Rel, TimeAttribute};
use crate::expr::{Arithmetic, Comparison, Node, Typed};
use crate::row::Value;
use crate::types::TypeKind;

/// `lower ≤ left time − right time ≤ upper`, milliseconds, and the columns on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IntervalBounds {
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) lower: i64,
    pub(crate) upper: i64,
}

/// The interval of a join, if its condition bounds it on both sides.
pub(crate) fn interval_bounds(rel: &Rel) -> Option<IntervalBounds> {
    let Op::Join { left, right, condition, kind } = &*rel.op else { return None };
    if !kind.has_right() {
        return None;
    }
    let width = left.columns.len();
    let is_rowtime = |column: usize| {
        let side = if column < width { &left.columns[column] } else { &right.columns[column - width] };
        side.time == Some(TimeAttribute::Rowtime)
    };
    let mut found: Option<IntervalBounds> = None;
    for conjunct in condition.clone().into_iter().flat_map(Typed::conjuncts) {
        let Some((column, other, low, high)) = bound(&conjunct, width, &is_rowtime) else { continue };
        let bounds = found.get_or_insert(IntervalBounds {
            left: column,
            right: other,
            lower: i64::MIN,
            upper: i64::MAX,
        });
        if (bounds.left, bounds.right) == (column, other) {
            (bounds.lower, bounds.upper) = (bounds.lower.max(low), bounds.upper.min(high));
        }
    }
    found.filter(|bounds| bounds.lower > i64::MIN && bounds.upper < i64::MAX)
}

/// `column + offset`, milliseconds.
fn shifted(expr: &Typed) -> Option<(usize, i64)> {
    if let Some(column) = expr.as_column() {
        return Some((column, 0));
    }
    let Node::Arithmetic(op, a, b) = &*expr.node else { return None };
    let millis = |typed: &Typed| match (typed.as_literal(), &typed.data_type.kind) {
        (Some(Value::Int(millis)), TypeKind::IntervalDaySecond) => Some(*millis),
        _ => None,
    };
    let (inner, sign, interval) = match (op, millis(a), millis(b)) {
        (Arithmetic::Add, Some(interval), None) => (b, 1, interval),
        (Arithmetic::Add, None, Some(interval)) => (a, 1, interval),
        (Arithmetic::Subtract, None, Some(interval)) => (a, -1, interval),
        _ => return None,
    };
    let (column, offset) = shifted(inner)?;
    Some((column, offset + sign * interval))
}

/// What a comparison says of `left − right`: the columns of both sides (the right one by its own number) and a range.
fn bound(
    conjunct: &Typed,
    width: usize,
    is_rowtime: &dyn Fn(usize) -> bool,
) -> Option<(usize, usize, i64, i64)> {
    let Node::Compare(op, a, b) = &*conjunct.node else { return None };
    let ((first, one), (second, other)) = (shifted(a)?, shifted(b)?);
    if !is_rowtime(first) || !is_rowtime(second) || (first < width) == (second < width) {
        return None;
    }
    // first + one OP second + other
    let (op, left, right, distance) = if first < width {
        (*op, first, second - width, other - one)
    } else {
        (op.swapped(), second, first - width, one - other)
    };
    let (low, high) = match op {
        Comparison::Equal => (distance, distance),
        Comparison::GreaterOrEqual => (distance, i64::MAX),
        Comparison::Greater => (distance + 1, i64::MAX),
        Comparison::LessOrEqual => (i64::MIN, distance),
        Comparison::Less => (i64::MIN, distance - 1),
        Comparison::NotEqual => return None,
    };
    Some((left, right, low, high))
}
