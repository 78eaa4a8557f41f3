//! Taking out of a sub-query what it says of the query around.
//!
//! Conditions that name columns of the query around move up, past projections, aggregates (which then group by what the
//! conditions read), joins and limits (which then are per value of it), until a join can take them. What is no equality
//! cannot move past an aggregate: there the sub-query is joined with the values that the query around has.

use super::expr::or;
use crate::expr::{Comparison, Node, Typed};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{Column, JoinKind, Op, Rel};
use crate::row::SortOrder;
use crate::types::TypeKind;

/// Takes what `rel` says of the query around, whose rows are `around`, out of it. The first columns stay those of `rel`; others may follow.
/// Conditions are over the result (columns) and the query around (`Outer`).
pub(super) fn decorrelate(rel: Rel, around: &Rel, span: Span) -> SqlResult<(Rel, Vec<Typed>)> {
    if !speaks_of_outer(&rel) {
        return Ok((rel, Vec::new()));
    }
    let unsupported = || {
        SqlError::at(span, "this form of a correlated sub-query is not supported").hint("write it as a join")
    };
    let Rel { op, columns, .. } = rel;
    match *op {
        Op::Filter { input, predicate } => {
            let (input, mut conditions) = decorrelate(input, around, span)?;
            let mut own = Vec::new();
            for conjunct in predicate.conjuncts() {
                if conjunct.has_outer() { conditions.push(conjunct) } else { own.push(conjunct) }
            }
            Ok((input.filter(Typed::and(own)), conditions))
        }
        Op::Project { input, mut exprs } => {
            let (mut input, mut conditions) = decorrelate(input, around, span)?;
            if exprs.iter().any(Typed::has_outer) {
                let domain = Domain::of(around, conditions.iter().chain(&exprs)).ok_or_else(unsupported)?;
                exprs = exprs.into_iter().map(|expr| domain.inside(expr, input.columns.len())).collect();
                (input, conditions) = domain.join(input, conditions);
            }
            let mut names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            let conditions = conditions
                .into_iter()
                .map(|condition| {
                    for column in condition.columns() {
                        if !exprs.iter().any(|expr| expr.as_column() == Some(column)) {
                            exprs.push(input.typed(column));
                            names.push(input.columns[column].name.clone());
                        }
                    }
                    let place = |column: usize| {
                        exprs.iter().position(|expr| expr.as_column() == Some(column)).unwrap_or(column)
                    };
                    condition.with_columns(&place)
                })
                .collect();
            Ok((input.project(exprs, names), conditions))
        }
        Op::Aggregate { input, keys, calls, window } => {
            let (input, conditions) = decorrelate(input, around, span)?;
            let (input, conditions) = by_equality(input, conditions, around).ok_or_else(unsupported)?;
            let mut all = keys.clone();
            for column in conditions.iter().flat_map(Typed::columns) {
                if !all.contains(&column) {
                    all.push(column);
                }
            }
            let place = |column: usize| all.iter().position(|key| *key == column).unwrap_or(column);
            let conditions: Vec<Typed> =
                conditions.into_iter().map(|condition| condition.with_columns(&place)).collect();
            let mut inner: Vec<Column> = all.iter().map(|key| input.columns[*key].clone()).collect();
            let result = columns[keys.len()..].to_vec();
            inner.extend(result);
            let (added, old) = (all.len() - keys.len(), keys.len());
            let calls_count = calls.len();
            let rel = Rel::new(Op::Aggregate { input, keys: all, calls, window }, inner);
            // Keys, calls, added keys.
            let order: Vec<usize> = (0..old)
                .chain((0..calls_count).map(|call| old + added + call))
                .chain(old..old + added)
                .collect();
            let moved = |column: usize| order.iter().position(|from| *from == column).unwrap_or(column);
            let conditions = conditions.into_iter().map(|condition| condition.with_columns(&moved)).collect();
            let names = order.iter().map(|column| rel.columns[*column].name.clone()).collect();
            let exprs = order.iter().map(|column| rel.typed(*column)).collect();
            Ok((rel.project(exprs, names), conditions))
        }
        Op::Join { left, right, kind, condition } => {
            if condition.as_ref().is_some_and(Typed::has_outer) && kind != JoinKind::Inner {
                return Err(unsupported());
            }
            let (left, mut conditions) = decorrelate(left, around, span)?;
            let old_left = join_width(&columns, &right, kind);
            let added_left = left.columns.len() - old_left;
            let right_width = right.columns.len();
            let (right, more) = decorrelate(right, around, span)?;
            if !more.is_empty() && kind != JoinKind::Inner {
                return Err(unsupported());
            }
            let shift = |column: usize| if column >= old_left { column + added_left } else { column };
            let mut own = Vec::new();
            for conjunct in condition.into_iter().flat_map(Typed::conjuncts) {
                let conjunct = conjunct.with_columns(&shift);
                if conjunct.has_outer() { conditions.push(conjunct) } else { own.push(conjunct) }
            }
            let by = left.columns.len();
            conditions
                .extend(more.into_iter().map(|condition| condition.with_columns(&|column| column + by)));
            let joined = left.join(right, kind, (!own.is_empty()).then(|| Typed::and(own)));
            if added_left == 0 {
                return Ok((joined, conditions));
            }
            // The columns as they were come first.
            let kept_right = if kind.has_right() { right_width } else { 0 };
            let mut order: Vec<usize> = (0..old_left).chain(by..by + kept_right).collect();
            order.extend(
                (0..joined.columns.len()).filter(|column| !order.contains(column)).collect::<Vec<_>>(),
            );
            let moved = |column: usize| order.iter().position(|from| *from == column).unwrap_or(column);
            let conditions = conditions.into_iter().map(|condition| condition.with_columns(&moved)).collect();
            let names = order.iter().map(|column| joined.columns[*column].name.clone()).collect();
            let exprs = order.iter().map(|column| joined.typed(*column)).collect();
            Ok((joined.project(exprs, names), conditions))
        }
        Op::Limit { input, order, offset, fetch } => {
            // The first rows for each row of the query around: the first rows of each partition.
            let (input, conditions) = decorrelate(input, around, span)?;
            let (input, conditions) = by_equality(input, conditions, around).ok_or_else(unsupported)?;
            let mut partition: Vec<usize> = conditions.iter().flat_map(Typed::columns).collect();
            partition.sort_unstable();
            partition.dedup();
            let columns = input.columns.clone();
            let (start, end) = (offset + 1, fetch.map_or(u64::MAX, |fetch| offset.saturating_add(fetch)));
            let function = crate::plan::RankFunction::RowNumber;
            let order: Vec<SortOrder> = order;
            Ok((
                Rel::new(
                    Op::Rank { input, function, partition, order, start, end, number: false, window: None },
                    columns,
                ),
                conditions,
            ))
        }
        Op::Sort { input, .. } => decorrelate(input, around, span),
        _ => Err(unsupported()),
    }
}

/// The values of columns of the query around.
struct Domain {
    rel: Rel,
    /// Its columns, by their places in the query around.
    columns: Vec<usize>,
}

impl Domain {
    /// The values of the columns of `around` that `exprs` speak of.
    fn of<'e>(around: &Rel, exprs: impl Iterator<Item = &'e Typed>) -> Option<Domain> {
        let mut columns = Vec::new();
        let mut is_next = true;
        for expr in exprs {
            let mut copy = expr.clone();
            copy.rewrite(&mut |part| {
                if let Node::Outer { depth, column } = *part.node {
                    is_next &= depth == 1;
                    if !columns.contains(&column) {
                        columns.push(column);
                    }
                }
                None
            });
        }
        if !is_next || columns.iter().any(|column| *column >= around.columns.len()) {
            return None;
        }
        let names = columns.iter().map(|column| around.columns[*column].name.clone()).collect();
        let exprs = columns.iter().map(|column| around.typed(*column)).collect();
        Some(Domain { rel: super::select::distinct(around.clone().project(exprs, names)), columns })
    }

    /// `expr` over a relation of `width` columns and the domain behind it.
    fn inside(&self, mut expr: Typed, width: usize) -> Typed {
        expr.rewrite(&mut |part| match *part.node {
            Node::Outer { depth: 1, column } => {
                let place = self.columns.iter().position(|known| *known == column)?;
                Some(Typed::column(width + place, &part.data_type))
            }
            _ => None,
        });
        expr
    }

    /// `input` with the values for which `conditions` hold, and the conditions that these are those of a row around.
    fn join(self, input: Rel, conditions: Vec<Typed>) -> (Rel, Vec<Typed>) {
        let width = input.columns.len();
        let on: Vec<Typed> = conditions.into_iter().map(|condition| self.inside(condition, width)).collect();
        let boolean = TypeKind::Boolean.not_null();
        let equalities = self.columns.iter().zip(&self.rel.columns).enumerate();
        let equalities = equalities.map(|(place, (column, known))| {
            let inner = Typed::column(width + place, &known.data_type);
            let outer = Typed::new(Node::Outer { depth: 1, column: *column }, known.data_type.clone());
            let equal = Typed::equal(inner.clone(), outer.clone());
            if !known.data_type.nullable {
                return equal;
            }
            let is_null = |typed| Typed::new(Node::IsNull(typed), boolean.clone());
            or(vec![equal, Typed::and(vec![is_null(inner), is_null(outer)])])
        });
        let equalities = equalities.collect();
        let on = (!on.is_empty()).then(|| Typed::and(on));
        (input.join(self.rel, JoinKind::Inner, on), equalities)
    }
}

/// `input` with conditions that an aggregate or a limit may group by.
fn by_equality(input: Rel, conditions: Vec<Typed>, around: &Rel) -> Option<(Rel, Vec<Typed>)> {
    let (mut equalities, others): (Vec<_>, Vec<_>) = conditions.into_iter().partition(is_equality);
    if others.is_empty() {
        return Some((input, equalities));
    }
    let (input, more) = Domain::of(around, others.iter())?.join(input, others);
    equalities.extend(more);
    Some((input, equalities))
}

fn join_width(columns: &[Column], right: &Rel, kind: JoinKind) -> usize {
    if kind.has_right() { columns.len() - right.columns.len() } else { columns.len() }
}

fn speaks_of_outer(rel: &Rel) -> bool {
    super::expressions(rel).into_iter().any(Typed::has_outer) || rel.inputs().into_iter().any(speaks_of_outer)
}

/// `column = outer`, in either order, where both sides speak of one relation each.
pub(super) fn is_equality(condition: &Typed) -> bool {
    match &*condition.node {
        Node::Compare(Comparison::Equal, left, right) => {
            (!left.has_outer() && right.columns().is_empty())
                || (!right.has_outer() && left.columns().is_empty())
        }
        _ => false,
    }
}
