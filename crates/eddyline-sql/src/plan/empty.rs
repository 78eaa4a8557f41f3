//! What can give no rows is folded: a filter that nothing passes, and what depends on it.
//!
//! A global aggregate over nothing has one row, which a stream could not give, as it never comes to an end of nothing.

use super::rewrite::map_inputs;
use super::{AggregateFunction, JoinKind, Op, Rel};
use crate::expr::{EvalContext, Node, Typed, fold};
use crate::row::Value;
use jiff::tz::TimeZone;

/// `rel` with what gives no rows made empty, and global aggregates over it made their one row.
pub(super) fn fold_empty(rel: Rel) -> Rel {
    let rel = map_inputs(rel, &fold_empty);
    let folded = match &*rel.op {
        Op::Filter { predicate, .. } if passes_nothing(predicate) => Some(Vec::new()),
        Op::Join { left, right, kind, condition } => {
            let never = condition.as_ref().is_some_and(passes_nothing);
            let (left, right) = (is_empty(left), is_empty(right));
            let is_nothing = match kind {
                JoinKind::Inner | JoinKind::Semi => left || right || never,
                JoinKind::Left | JoinKind::Anti => left,
                JoinKind::Right => right,
                JoinKind::Full => left && right,
            };
            is_nothing.then(Vec::new)
        }
        Op::Aggregate { input, keys, window: None, calls } if keys.is_empty() && is_empty(input) => {
            let value = |function: AggregateFunction| match function {
                AggregateFunction::Count => Some(Value::Int(0)),
                AggregateFunction::Sum
                | AggregateFunction::Avg
                | AggregateFunction::Min
                | AggregateFunction::Max => Some(Value::Null),
                _ => None,
            };
            let row: Option<Vec<Value>> = calls.iter().map(|call| value(call.function)).collect();
            row.map(|row| vec![row])
        }
        Op::Aggregate { keys, .. } if keys.is_empty() => None,
        Op::Scan { .. } | Op::Values { .. } | Op::TemporalJoin { .. } | Op::Set { .. } => None,
        _ => rel.inputs().into_iter().all(is_empty).then(Vec::new),
    };
    match folded {
        Some(rows) => Rel::new(Op::Values { rows }, rel.columns),
        None => rel,
    }
}

fn is_empty(rel: &Rel) -> bool {
    matches!(&*rel.op, Op::Values { rows } if rows.is_empty())
}

/// Whether a condition holds for no row, whatever the row.
fn passes_nothing(predicate: &Typed) -> bool {
    predicate.clone().conjuncts().iter().any(|conjunct| matches!(constant(conjunct), Some(false)))
}

/// Whether `condition` holds, if that is the same for all rows, at all times and everywhere; NULL does not hold.
fn constant(condition: &Typed) -> Option<bool> {
    let depends = |part: &Typed| {
        !matches!(
            *part.node,
            Node::Literal(_)
                | Node::Compare(..)
                | Node::Arithmetic(..)
                | Node::And(_)
                | Node::Or(_)
                | Node::Not(_)
                | Node::IsNull(_)
                | Node::IsTruth(..)
        )
    };
    if condition.any(&depends) {
        return None;
    }
    let context = EvalContext { zone: TimeZone::UTC, now_micros: 0, lenient_casts: false };
    // What fails does so when it is computed.
    fold(condition, &context).ok().map(|value| value == Value::Bool(true))
}
