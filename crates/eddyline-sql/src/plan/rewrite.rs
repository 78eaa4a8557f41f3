//! Making a plan cheaper without changing what it computes.
//!
//! Filters on a row number become ranks; filters move towards the sources and into joins.

use super::{JoinKind, Op, OverFunction, RankFunction, Rel, WindowKind};
use crate::bind::window_of;
use crate::expr::{Comparison, Node, Typed};
use crate::row::Value;

/// The plan, rewritten until nothing moves any more.
pub(crate) fn optimize(rel: Rel) -> Rel {
    super::prune::prune(super::keys::key_columns(push_filters(super::empty::fold_empty(ranks(rel)))))
}

/// Rebuilds `rel` with `change` applied to its inputs.
pub(super) fn map_inputs(mut rel: Rel, change: &dyn Fn(Rel) -> Rel) -> Rel {
    for input in rel.inputs_mut() {
        let taken = std::mem::replace(input, Rel::new(Op::Values { rows: Vec::new() }, Vec::new()));
        *input = change(taken);
    }
    rel
}

/// Turns `ROW_NUMBER() … <= n` into ranks.
fn ranks(rel: Rel) -> Rel {
    let rel = map_inputs(rel, &ranks);
    let ttl_ms = rel.state_ttl_ms;
    let Op::Filter { input, predicate } = &*rel.op else { return rel };
    // The filter, expressed over the OVER below projections.
    let mut over = input;
    let mut condition = predicate.clone();
    let mut projects = Vec::new();
    while let Op::Project { input: below, exprs } = &*over.op {
        if !condition.columns().iter().all(|column| exprs[*column].is_deterministic()) {
            return rel;
        }
        condition = condition.over(exprs);
        projects.push(over);
        over = below;
    }
    let Some((rank, rest)) = rank_of(over, condition) else { return rel };
    let mut result = rank.filter(Typed::and(rest));
    for project in projects.into_iter().rev() {
        let Op::Project { exprs, .. } = &*project.op else { continue };
        result = Rel::new(Op::Project { input: result, exprs: exprs.clone() }, project.columns.clone());
    }
    result.with_ttl(ttl_ms)
}

/// The rank that `condition` over an OVER with one row number means, and what else the condition says.
fn rank_of(over: &Rel, condition: Typed) -> Option<(Rel, Vec<Typed>)> {
    let Op::Over { input, groups } = &*over.op else { return None };
    let [group] = groups.as_slice() else { return None };
    let [call] = group.calls.as_slice() else { return None };
    let function = match call.function {
        OverFunction::RowNumber => RankFunction::RowNumber,
        OverFunction::Rank => RankFunction::Rank,
        OverFunction::DenseRank => RankFunction::DenseRank,
        _ => return None,
    };
    let column = input.columns.len();
    let (mut start, mut end) = (1i64, i64::MAX);
    let mut rest = Vec::new();
    for conjunct in condition.conjuncts() {
        match bound(&conjunct, column) {
            Some((low, high)) => (start, end) = (start.max(low), end.min(high)),
            None => rest.push(conjunct),
        }
    }
    if end == i64::MAX {
        return None;
    }
    let (start, end) = (start.max(1) as u64, end.max(0) as u64);
    let window = window_of(input, &group.partition);
    let op = Op::Rank {
        input: input.clone(),
        function,
        partition: group.partition.clone(),
        order: group.order.clone(),
        start,
        end,
        number: true,
        window,
    };
    Some((Rel::new(op, over.columns.clone()), rest))
}

/// The range that a comparison of column `column` with a constant means.
fn bound(conjunct: &Typed, column: usize) -> Option<(i64, i64)> {
    let Node::Compare(op, left, right) = &*conjunct.node else { return None };
    let strip = |side: &Typed| -> Option<usize> {
        match &*side.node {
            Node::Cast { expr, .. } => expr.as_column(),
            _ => side.as_column(),
        }
    };
    let (op, value) = if strip(left) == Some(column) {
        (*op, right.as_literal()?)
    } else if strip(right) == Some(column) {
        (op.swapped(), left.as_literal()?)
    } else {
        return None;
    };
    let Value::Int(value) = value else { return None };
    Some(match op {
        Comparison::Equal => (*value, *value),
        Comparison::Less => (i64::MIN, value.saturating_sub(1)),
        Comparison::LessOrEqual => (i64::MIN, *value),
        Comparison::Greater => (value.saturating_add(1), i64::MAX),
        Comparison::GreaterOrEqual => (*value, i64::MAX),
        Comparison::NotEqual => return None,
    })
}

/// Moves filters down.
fn push_filters(rel: Rel) -> Rel {
    let Rel { op, columns, state_ttl_ms } = rel;
    let pushed = match *op {
        Op::Filter { input, predicate } => push(input, predicate.conjuncts()),
        Op::Join { left, right, kind, condition } => {
            let conjuncts = condition.into_iter().flat_map(Typed::conjuncts).collect();
            join(left, right, kind, conjuncts, Vec::new())
        }
        op => map_inputs(Rel::new(op, columns), &push_filters),
    };
    pushed.with_ttl(state_ttl_ms)
}

/// `input` filtered by `conjuncts`, which go as far down as they can.
fn push(input: Rel, mut conjuncts: Vec<Typed>) -> Rel {
    conjuncts.retain(|conjunct| conjunct.as_literal() != Some(&Value::Bool(true)));
    if conjuncts.is_empty() {
        return push_filters(input);
    }
    let Rel { op, columns, state_ttl_ms } = input;
    let pushed = match *op {
        Op::Filter { input, predicate } => {
            let mut all = predicate.conjuncts();
            all.extend(conjuncts);
            push(input, all)
        }
        Op::Project { input, exprs } => {
            let can_move =
                |conjunct: &Typed| conjunct.columns().iter().all(|column| exprs[*column].is_deterministic());
            let (down, stay): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(can_move);
            let down = down.into_iter().map(|conjunct| conjunct.over(&exprs)).collect();
            Rel::new(Op::Project { input: push(input, down), exprs }, columns).filter(Typed::and(stay))
        }
        Op::Union { inputs } => {
            let inputs = inputs.into_iter().map(|input| push(input, conjuncts.clone())).collect();
            Rel::new(Op::Union { inputs }, columns)
        }
        Op::Join { left, right, kind, condition } => {
            let own = condition.into_iter().flat_map(Typed::conjuncts).collect();
            join(left, right, kind, own, conjuncts)
        }
        Op::Aggregate { input, keys, calls, window } => {
            let on_keys = |conjunct: &Typed| {
                !keys.is_empty()
                    && !conjunct.columns().is_empty()
                    && conjunct.columns().iter().all(|column| *column < keys.len())
            };
            let (down, stay): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(on_keys);
            let down =
                down.into_iter().map(|conjunct| conjunct.with_columns(&|column| keys[column])).collect();
            Rel::new(Op::Aggregate { input: push(input, down), keys, calls, window }, columns)
                .filter(Typed::and(stay))
        }
        Op::Window { input, kind, time, partition } if !matches!(kind, WindowKind::Session { .. }) => {
            let width = input.columns.len();
            let below = |conjunct: &Typed| conjunct.columns().iter().all(|column| *column < width);
            let (down, stay): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(below);
            Rel::new(Op::Window { input: push(input, down), kind, time, partition }, columns)
                .filter(Typed::and(stay))
        }
        Op::Unnest { input, expr, outer, ordinality } => {
            let width = input.columns.len();
            let below = |conjunct: &Typed| conjunct.columns().iter().all(|column| *column < width);
            let (down, stay): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(below);
            Rel::new(Op::Unnest { input: push(input, down), expr, outer, ordinality }, columns)
                .filter(Typed::and(stay))
        }
        op => map_inputs(Rel::new(op, columns), &push_filters).filter(Typed::and(conjuncts)),
    };
    pushed.with_ttl(state_ttl_ms)
}

/// A join with the condition `own` under a filter `above`.
fn join(left: Rel, right: Rel, kind: JoinKind, own: Vec<Typed>, above: Vec<Typed>) -> Rel {
    let width = left.columns.len();
    let is_left = |conjunct: &Typed| conjunct.columns().iter().all(|column| *column < width);
    let is_right = |conjunct: &Typed| {
        let columns = conjunct.columns();
        !columns.is_empty() && columns.iter().all(|column| *column >= width)
    };
    let (mut to_left, mut to_right, mut on, mut stay) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for conjunct in own {
        // A condition on the side that is kept whole decides about matches, not about rows.
        match kind {
            JoinKind::Inner if is_left(&conjunct) => to_left.push(conjunct),
            JoinKind::Semi if is_left(&conjunct) && !conjunct.columns().is_empty() => to_left.push(conjunct),
            JoinKind::Right if is_left(&conjunct) && !conjunct.columns().is_empty() => to_left.push(conjunct),
            JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti if is_right(&conjunct) => {
                to_right.push(conjunct)
            }
            _ => on.push(conjunct),
        }
    }
    for conjunct in above {
        match kind {
            JoinKind::Inner if is_left(&conjunct) => to_left.push(conjunct),
            JoinKind::Inner if is_right(&conjunct) => to_right.push(conjunct),
            JoinKind::Inner => on.push(conjunct),
            JoinKind::Left | JoinKind::Semi | JoinKind::Anti if is_left(&conjunct) => to_left.push(conjunct),
            JoinKind::Right if is_right(&conjunct) => to_right.push(conjunct),
            _ => stay.push(conjunct),
        }
    }
    let to_right =
        to_right.into_iter().map(|conjunct| conjunct.with_columns(&|column| column - width)).collect();
    let condition = (!on.is_empty()).then(|| Typed::and(on));
    push(left, to_left).join(push(right, to_right), kind, condition).filter(Typed::and(stay))
}
