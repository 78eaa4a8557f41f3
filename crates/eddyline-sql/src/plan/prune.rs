//! Columns that nobody reads are not computed and not read.
//!
//! Columns keep their places: what is not needed is NULL, which costs a scan nothing and state one byte.

use super::{Op, Rel};
use crate::expr::{Node, Typed};
use crate::row::Value;
use std::collections::BTreeSet;

type Columns = BTreeSet<usize>;

/// Marks what is needed of `rel`, of which all columns are read.
pub(super) fn prune(mut rel: Rel) -> Rel {
    let all = (0..rel.columns.len()).collect();
    mark(&mut rel, &all);
    rel
}

/// The columns among `needed` that an input of `width` columns has.
fn below(needed: &Columns, width: usize) -> Columns {
    needed.range(..width).copied().collect()
}

fn mark(rel: &mut Rel, needed: &Columns) {
    match &mut *rel.op {
        Op::Values { .. } => {}
        Op::Scan { computed, watermark, needed: marks, .. } => {
            let mut wanted = needed.clone();
            if let Some((column, expr)) = watermark {
                wanted.insert(*column);
                wanted.extend(expr.columns());
            }
            *marks = (0..computed.len()).map(|column| wanted.contains(&column)).collect();
        }
        Op::Project { input, exprs } => {
            let mut below = Columns::new();
            for (number, expr) in exprs.iter_mut().enumerate() {
                if needed.contains(&number) {
                    below.extend(expr.columns());
                } else {
                    *expr = Typed::new(Node::Literal(Value::Null), expr.data_type.as_nullable());
                }
            }
            mark(input, &below);
        }
        Op::Filter { input, predicate } => {
            let mut wanted = needed.clone();
            wanted.extend(predicate.columns());
            mark(input, &wanted);
        }
        Op::Join { left, right, condition, kind } => {
            let width = left.columns.len();
            let mut wanted = if kind.has_right() { needed.clone() } else { below(needed, width) };
            wanted.extend(condition.iter().flat_map(Typed::columns));
            mark(left, &below(&wanted, width));
            mark(right, &wanted.range(width..).map(|column| column - width).collect());
        }
        Op::Aggregate { input, keys, calls, .. } => {
            let mut wanted: Columns = keys.iter().copied().collect();
            for call in calls {
                wanted.extend(call.args.iter().copied());
                wanted.extend(call.filter);
                wanted.extend(call.order.iter().map(|order| order.column));
            }
            mark(input, &wanted);
        }
        Op::Window { input, time, partition, .. } => {
            let mut wanted = below(needed, input.columns.len());
            wanted.insert(*time);
            wanted.extend(partition.iter().copied());
            mark(input, &wanted);
        }
        Op::Over { input, groups } => {
            let mut wanted = below(needed, input.columns.len());
            for group in groups {
                wanted.extend(group.partition.iter().copied());
                wanted.extend(group.order.iter().map(|order| order.column));
                wanted
                    .extend(group.calls.iter().flat_map(|call| call.args.iter().copied().chain(call.filter)));
            }
            mark(input, &wanted);
        }
        Op::Rank { input, partition, order, .. } => {
            let mut wanted = below(needed, input.columns.len());
            wanted.extend(partition.iter().copied());
            wanted.extend(order.iter().map(|order| order.column));
            mark(input, &wanted);
        }
        Op::Sort { input, order } | Op::Limit { input, order, .. } => {
            let mut wanted = needed.clone();
            wanted.extend(order.iter().map(|order| order.column));
            mark(input, &wanted);
        }
        Op::Set { left, right, .. } => {
            let all = (0..left.columns.len()).collect();
            mark(left, &all);
            mark(right, &all);
        }
        Op::Union { inputs } => inputs.iter_mut().for_each(|input| mark(input, needed)),
        Op::Unnest { input, expr, .. } => {
            let mut wanted = below(needed, input.columns.len());
            wanted.extend(expr.columns());
            mark(input, &wanted);
        }
        Op::Expand { input, projections } => {
            let wanted = projections.iter().flatten().flat_map(Typed::columns).collect();
            mark(input, &wanted);
        }
    }
}
