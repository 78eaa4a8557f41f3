//! Equalities of expressions in joins become equalities of columns, by which rows can meet.

use super::{Op, Rel};
use crate::expr::{Comparison, Node, Typed};

/// `rel` with its joins by equalities of expressions made joins by columns that hold them.
pub(super) fn key_columns(rel: Rel) -> Rel {
    let mut rel = rel;
    for input in rel.inputs_mut() {
        let taken = std::mem::replace(input, Rel::new(Op::Values { rows: Vec::new() }, Vec::new()));
        *input = key_columns(taken);
    }
    let Rel { op, columns, state_ttl_ms } = rel;
    let keyed = match *op {
        Op::Join { left, right, kind, condition: Some(condition) } => {
            let (width, right_width) = (left.columns.len(), right.columns.len());
            let (left, right, condition) = with_key_columns(left, right, condition);
            let is_same = left.columns.len() == width && right.columns.len() == right_width;
            let all = left.columns.len();
            let joined = left.join(right, kind, Some(condition));
            if is_same {
                return Rel { op: joined.op, columns, state_ttl_ms };
            }
            let right_kept = if kind.has_right() { right_width } else { 0 };
            let kept = (0..width).chain(all..all + right_kept);
            let exprs = kept.map(|column| joined.typed(column)).collect();
            Rel::new(Op::Project { input: joined, exprs }, columns)
        }
        op => Rel::new(op, columns),
    };
    keyed.with_ttl(state_ttl_ms)
}

/// Both sides with columns behind their own for the sides of equalities that are no columns yet, and the condition over
/// them.
pub(crate) fn with_key_columns(left: Rel, right: Rel, on: Typed) -> (Rel, Rel, Typed) {
    let width = left.columns.len();
    let right_width = right.columns.len();
    let (mut more_left, mut more_right) = (Vec::new(), Vec::new());
    let mut pairs = Vec::new();
    let mut rest = Vec::new();
    for conjunct in on.conjuncts() {
        let Node::Compare(Comparison::Equal, a, b) = &*conjunct.node else {
            rest.push(conjunct);
            continue;
        };
        let is_left = |side: &Typed| {
            let columns = side.columns();
            !columns.is_empty() && columns.iter().all(|column| *column < width)
        };
        let is_right = |side: &Typed| {
            let columns = side.columns();
            !columns.is_empty() && columns.iter().all(|column| *column >= width)
        };
        let (a, b) = match () {
            () if a.data_type.kind != b.data_type.kind => {
                rest.push(conjunct);
                continue;
            }
            () if is_left(a) && is_right(b) => (a.clone(), b.clone()),
            () if is_left(b) && is_right(a) => (b.clone(), a.clone()),
            () => {
                rest.push(conjunct);
                continue;
            }
        };
        let b = b.with_columns(&|column| column - width);
        let place = |side: Typed, own: usize, more: &mut Vec<Typed>| {
            let data_type = side.data_type.clone();
            let at = side.as_column().unwrap_or_else(|| {
                more.push(side);
                own + more.len() - 1
            });
            (at, data_type)
        };
        let one = place(a, width, &mut more_left);
        let other = place(b, right_width, &mut more_right);
        pairs.push((one, other));
    }
    let all_left = width + more_left.len();
    let mut conditions: Vec<Typed> = pairs
        .into_iter()
        .map(|((a, a_type), (b, b_type))| {
            Typed::equal(Typed::column(a, &a_type), Typed::column(all_left + b, &b_type))
        })
        .collect();
    let shift = |column: usize| if column >= width { column - width + all_left } else { column };
    conditions.extend(rest.into_iter().map(|conjunct| conjunct.with_columns(&shift)));
    let left = if more_left.is_empty() { left } else { left.append(more_left) };
    let right = if more_right.is_empty() { right } else { right.append(more_right) };
    (left, right, Typed::and(conditions))
}
