//! Sub-queries become joins; what they say of the query around becomes the condition.

use super::decorrelate::decorrelate;
use super::expr::{ExprBinder, comparison_of, not, or};
use crate::expr::{Comparison, Node, Typed};
use crate::parser::ast::{BinaryOp, Expr, Query};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{AggregateCall, AggregateFunction, Column, JoinKind, Op, Rel};
use crate::row::Value;
use crate::types::TypeKind;

/// A sub-query within an expression.
pub(super) struct Subquery {
    kind: SubqueryKind,
    rel: Rel,
    span: Span,
}

enum SubqueryKind {
    Exists,
    /// Some row for which the comparison of the value and the sub-query's column holds.
    Any(Comparison, Typed),
    Scalar,
}

impl ExprBinder<'_, '_> {
    fn subquery(
        &mut self,
        kind: SubqueryKind,
        rel: Rel,
        data_type: crate::types::SqlType,
        span: Span,
    ) -> Typed {
        self.found.subqueries.push(Subquery { kind, rel, span });
        Typed::new(Node::Subquery(self.found.subqueries.len() - 1), data_type)
    }

    fn inner(&self, query: &Query) -> SqlResult<Rel> {
        self.binder.query(query, Some(self.scope))
    }

    pub(super) fn exists(&mut self, query: &Query) -> SqlResult<Typed> {
        let mut rel = self.inner(query)?;
        // What the rows hold does not matter.
        if let Op::Project { exprs, .. } = &mut *rel.op {
            exprs.iter_mut().filter(|expr| expr.has_outer()).for_each(|expr| *expr = Typed::bool(true));
        }
        Ok(self.subquery(SubqueryKind::Exists, rel, TypeKind::Boolean.not_null(), query.span))
    }

    pub(super) fn scalar_query(&mut self, query: &Query, span: Span) -> SqlResult<Typed> {
        let rel = self.inner(query)?;
        let [column] = rel.columns.as_slice() else {
            return Err(SqlError::at(
                span,
                format!("a sub-query here has one column, not {}", rel.columns.len()),
            ));
        };
        let data_type = column.data_type.as_nullable();
        Ok(self.subquery(SubqueryKind::Scalar, rel, data_type, span))
    }

    pub(super) fn in_query(
        &mut self,
        value: &Expr,
        query: &Query,
        negated: bool,
        span: Span,
    ) -> SqlResult<Typed> {
        let value = self.bind(value)?;
        let found = self.any(Comparison::Equal, value, query, span)?;
        Ok(if negated { not(found) } else { found })
    }

    pub(super) fn quantified(
        &mut self,
        value: &Expr,
        op: BinaryOp,
        all: bool,
        query: &Query,
        span: Span,
    ) -> SqlResult<Typed> {
        let value = self.bind(value)?;
        let comparison =
            comparison_of(op).ok_or_else(|| SqlError::at(span, "ALL and ANY follow a comparison"))?;
        // x > ALL (…) is NOT x <= ANY (…).
        let opposite = match comparison {
            Comparison::Equal => Comparison::NotEqual,
            Comparison::NotEqual => Comparison::Equal,
            Comparison::Less => Comparison::GreaterOrEqual,
            Comparison::LessOrEqual => Comparison::Greater,
            Comparison::Greater => Comparison::LessOrEqual,
            Comparison::GreaterOrEqual => Comparison::Less,
        };
        if all {
            Ok(not(self.any(opposite, value, query, span)?))
        } else {
            self.any(comparison, value, query, span)
        }
    }

    fn any(&mut self, comparison: Comparison, value: Typed, query: &Query, span: Span) -> SqlResult<Typed> {
        let mut rel = self.inner(query)?;
        let items = match *value.node {
            Node::Row(items) => items,
            node => vec![Typed { node: Box::new(node), data_type: value.data_type }],
        };
        if items.len() != rel.columns.len() {
            return Err(SqlError::at(
                span,
                format!(
                    "{} values are compared with the {} columns of the sub-query",
                    items.len(),
                    rel.columns.len()
                ),
            ));
        }
        // Both sides get one type.
        let (mut values, mut columns) = (Vec::new(), Vec::new());
        for (number, item) in items.into_iter().enumerate() {
            let (left, right) =
                super::coerce::comparable(item, rel.typed(number), span, &self.binder.context)?;
            values.push(left);
            columns.push(right);
        }
        if columns.iter().enumerate().any(|(number, column)| column.as_column() != Some(number)) {
            let names = rel.columns.iter().map(|column| column.name.clone()).collect();
            rel = rel.project(columns, names);
        }
        let nullable = values.iter().any(|value| value.data_type.nullable)
            || rel.columns.iter().any(|c| c.data_type.nullable);
        let value = if values.len() == 1 { values.remove(0) } else { super::expr::row_of(values) };
        let result = TypeKind::Boolean.with_nullability(nullable);
        Ok(self.subquery(SubqueryKind::Any(comparison, value), rel, result, span))
    }
}

impl Subquery {
    /// The value that is compared, over the query around.
    pub(super) fn value_mut(&mut self) -> Option<&mut Typed> {
        match &mut self.kind {
            SubqueryKind::Any(_, value) => Some(value),
            SubqueryKind::Exists | SubqueryKind::Scalar => None,
        }
    }

    /// Speaks of the keys of an aggregate instead of the columns of its input.
    pub(super) fn over_aggregate(
        &mut self,
        key_of: &dyn Fn(usize) -> Option<usize>,
        span: Span,
    ) -> SqlResult<()> {
        let mut wrong = false;
        map_outer(&mut self.rel, 1, &mut |column| {
            key_of(column).unwrap_or_else(|| {
                wrong = true;
                column
            })
        });
        if wrong {
            return Err(SqlError::at(span, "a sub-query speaks of a column that is not grouped by"));
        }
        Ok(())
    }
}

/// Renames the columns of the query around, wherever `rel` speaks of them.
fn map_outer(rel: &mut Rel, level: usize, map: &mut dyn FnMut(usize) -> usize) {
    let mut rename = |expr: &mut Typed| {
        expr.rewrite(&mut |part| match *part.node {
            Node::Outer { depth, column } if depth == level => {
                Some(Typed::new(Node::Outer { depth, column: map(column) }, part.data_type.clone()))
            }
            _ => None,
        });
    };
    match &mut *rel.op {
        Op::Project { exprs, .. } => exprs.iter_mut().for_each(&mut rename),
        Op::Filter { predicate, .. } => rename(predicate),
        Op::Join { condition, .. } => condition.iter_mut().for_each(&mut rename),
        Op::Unnest { expr, .. } => rename(expr),
        Op::Expand { projections, .. } => projections.iter_mut().flatten().for_each(&mut rename),
        _ => {}
    }
    for input in rel.inputs_mut() {
        map_outer(input, level, map);
    }
}

/// The comparison of `value` (perhaps a row) with the columns from `first` on.
fn any_condition(comparison: Comparison, value: &Typed, columns: &[Column], first: usize) -> Typed {
    let values: Vec<Typed> = match &*value.node {
        Node::Row(items) => items.clone(),
        _ => vec![value.clone()],
    };
    let parts = values.into_iter().zip(columns).enumerate().map(|(number, (value, column))| {
        let nullable = value.data_type.nullable || column.data_type.nullable;
        let right = Typed::column(first + number, &column.data_type);
        Typed::new(Node::Compare(comparison, value, right), TypeKind::Boolean.with_nullability(nullable))
    });
    Typed::and(parts.collect())
}

/// `rel` restricted to the rows for which `predicate`, with its sub-queries, holds.
pub(super) fn filter(rel: Rel, predicate: Typed, subqueries: Vec<Subquery>) -> SqlResult<Rel> {
    let width = rel.columns.len();
    let mut subqueries: Vec<Option<Subquery>> = subqueries.into_iter().map(Some).collect();
    let mut others = Vec::new();
    let mut rel = rel;
    let conjuncts = predicate.conjuncts();
    let mut direct = Vec::new();
    for conjunct in conjuncts {
        match &*conjunct.node {
            Node::Subquery(number) => direct.push((*number, false)),
            Node::Not(inner) => match *inner.node {
                Node::Subquery(number) => direct.push((number, true)),
                _ => others.push(conjunct),
            },
            _ => others.push(conjunct),
        }
    }
    let has_subquery = |conjunct: &Typed| conjunct.any(&|part| matches!(*part.node, Node::Subquery(_)));
    let (with, without): (Vec<_>, Vec<_>) = others.into_iter().partition(has_subquery);
    rel = rel.filter(Typed::and(without));
    for (number, negated) in direct {
        // A scalar BOOLEAN sub-query is a value as any other.
        let is_scalar =
            matches!(subqueries[number].as_ref().map(|subquery| &subquery.kind), Some(SubqueryKind::Scalar));
        if is_scalar {
            let typed = Typed::new(Node::Subquery(number), TypeKind::Boolean.nullable());
            let mut exprs = vec![if negated { not(typed) } else { typed }];
            rel = values_at(rel, &mut exprs, &mut subqueries)?.filter(exprs.remove(0)).keep(width);
        } else if let Some(subquery) = subqueries[number].take() {
            rel = semi_join(rel, subquery, negated)?;
        }
    }
    if !with.is_empty() {
        let mut exprs = vec![Typed::and(with)];
        rel = values_at(rel, &mut exprs, &mut subqueries)?.filter(exprs.remove(0)).keep(width);
    }
    Ok(rel)
}

/// Adds columns to `rel` for the sub-queries in `exprs`, which refer to them afterwards.
pub(super) fn values(rel: Rel, exprs: &mut [Typed], subqueries: Vec<Subquery>) -> SqlResult<Rel> {
    let mut subqueries: Vec<Option<Subquery>> = subqueries.into_iter().map(Some).collect();
    values_at(rel, exprs, &mut subqueries)
}

fn values_at(mut rel: Rel, exprs: &mut [Typed], subqueries: &mut [Option<Subquery>]) -> SqlResult<Rel> {
    for (number, subquery) in subqueries.iter_mut().enumerate() {
        let is_used = |part: &Typed| matches!(*part.node, Node::Subquery(used) if used == number);
        if !exprs.iter().any(|expr| expr.any(&is_used)) {
            continue;
        }
        let Some(subquery) = subquery.take() else { continue };
        let (joined, value) = value_join(rel, subquery)?;
        rel = joined;
        for expr in exprs.iter_mut() {
            expr.rewrite(&mut |part| is_used(part).then(|| value.clone()));
        }
    }
    Ok(rel)
}

fn semi_join(rel: Rel, subquery: Subquery, negated: bool) -> SqlResult<Rel> {
    let width = rel.columns.len();
    let (inner, conditions) = decorrelate(subquery.rel, subquery.span)?;
    let mut conditions: Vec<Typed> =
        conditions.into_iter().map(|condition| over_both(condition, width)).collect();
    if let SubqueryKind::Any(comparison, value) = &subquery.kind {
        let matched = any_condition(*comparison, value, &inner.columns, width);
        // NOT IN is not TRUE if the comparison is NULL for some row.
        conditions.push(if negated && matched.data_type.nullable {
            let unknown = Typed::new(Node::IsNull(matched.clone()), TypeKind::Boolean.not_null());
            or(vec![matched, unknown])
        } else {
            matched
        });
    }
    let kind = if negated { JoinKind::Anti } else { JoinKind::Semi };
    let condition = (!conditions.is_empty()).then(|| Typed::and(conditions));
    Ok(rel.join(inner, kind, condition))
}

/// A condition over the inner relation and the outer one (as `Outer`) as one over both, the outer one first.
fn over_both(mut condition: Typed, width: usize) -> Typed {
    condition.rewrite(&mut |part| match *part.node {
        Node::Column(column) => Some(Typed::column(width + column, &part.data_type)),
        Node::Outer { depth: 1, column } => Some(Typed::column(column, &part.data_type)),
        Node::Outer { depth, column } => {
            Some(Typed::new(Node::Outer { depth: depth - 1, column }, part.data_type.clone()))
        }
        _ => None,
    });
    condition
}

/// `rel` with a column for the value of the sub-query.
fn value_join(rel: Rel, subquery: Subquery) -> SqlResult<(Rel, Typed)> {
    let (width, span) = (rel.columns.len(), subquery.span);
    match subquery.kind {
        SubqueryKind::Scalar => scalar_join(rel, subquery.rel, span),
        SubqueryKind::Exists => {
            let (inner, conditions) = decorrelate(subquery.rel, span)?;
            let (inner, conditions) = distinct_keys(inner, conditions, Vec::new(), span)?;
            let mark = inner.columns.len() - 1;
            let condition = join_condition(conditions, width);
            let joined = rel.join(inner, JoinKind::Left, condition);
            let mark = joined.typed(width + mark);
            let missing = Typed::new(Node::IsNull(mark), TypeKind::Boolean.not_null());
            Ok((joined, not(missing)))
        }
        SubqueryKind::Any(comparison, value) => {
            let (inner, conditions) = decorrelate(subquery.rel.clone(), span)?;
            if !conditions.is_empty() {
                return Err(SqlError::at(
                    span,
                    "a correlated IN, ANY or ALL is possible as a condition of its own only, not within OR",
                ));
            }
            if comparison != Comparison::Equal {
                return any_by_extremes(rel, inner, comparison, &value, span);
            }
            let columns = inner.columns.len();
            let all: Vec<usize> = (0..columns).collect();
            let (marked, _) = distinct_keys(inner, Vec::new(), all, span)?;
            let condition = any_condition(comparison, &value, &marked.columns, width);
            let joined = rel.join(marked, JoinKind::Left, Some(condition));
            let mark = joined.typed(width + columns);
            let counted = counts(subquery.rel);
            let first = joined.columns.len();
            let joined = joined.join(counted, JoinKind::Left, None);
            let (rows, known) = (joined.typed(first), joined.typed(first + 1));
            let found = not(Typed::new(Node::IsNull(mark), TypeKind::Boolean.not_null()));
            Ok((joined, in_value(found, &value, rows, known)))
        }
    }
}

/// `value op ANY (inner)`, which the least and the greatest value decide.
fn any_by_extremes(
    rel: Rel,
    inner: Rel,
    comparison: Comparison,
    value: &Typed,
    span: Span,
) -> SqlResult<(Rel, Typed)> {
    if inner.columns.len() != 1 {
        return Err(SqlError::at(
            span,
            "rows can be compared with ANY and ALL by `=` and `<>` only, on their own",
        ));
    }
    let extreme = inner.columns[0].data_type.as_nullable();
    let mut counted = counts(inner);
    if let Op::Aggregate { calls, .. } = &mut *counted.op {
        calls.push(call(AggregateFunction::Min, vec![0], extreme.clone()));
        calls.push(call(AggregateFunction::Max, vec![0], extreme.clone()));
    }
    counted.columns.push(Column::new("$min", extreme.clone()));
    counted.columns.push(Column::new("$max", extreme));
    let first = rel.columns.len();
    let joined = rel.join(counted, JoinKind::Left, None);
    let compare = |place: usize| {
        let right = joined.typed(first + place);
        Typed::new(Node::Compare(comparison, value.clone(), right), TypeKind::Boolean.nullable())
    };
    let found = match comparison {
        Comparison::Greater | Comparison::GreaterOrEqual => compare(2),
        Comparison::Less | Comparison::LessOrEqual => compare(3),
        Comparison::Equal | Comparison::NotEqual => or(vec![compare(2), compare(3)]),
    };
    let (rows, known) = (joined.typed(first), joined.typed(first + 1));
    Ok((joined, in_value(found, value, rows, known)))
}

/// TRUE if `found` is; FALSE among no rows; NULL if the value or some row is NULL; else FALSE.
fn in_value(found: Typed, value: &Typed, rows: Typed, known: Typed) -> Typed {
    let boolean = TypeKind::Boolean.not_null();
    let zero = Typed::literal(Value::Int(0), TypeKind::BigInt.not_null());
    let is_null = |typed: Typed| Typed::new(Node::IsNull(typed), boolean.clone());
    let or_zero =
        |typed: Typed| Typed::new(Node::Coalesce(vec![typed, zero.clone()]), TypeKind::BigInt.not_null());
    let (rows, known) = (or_zero(rows), or_zero(known));
    let none = Typed::equal(rows.clone(), zero.clone());
    let unknown = or(vec![
        is_null(value.clone()),
        Typed::new(Node::Compare(Comparison::Less, known, rows), boolean.clone()),
    ]);
    let null = Typed::literal(Value::Null, TypeKind::Boolean.nullable());
    Typed::new(
        Node::Case {
            branches: vec![(found, Typed::bool(true)), (none, Typed::bool(false)), (unknown, null)],
            otherwise: Typed::bool(false),
        },
        TypeKind::Boolean.nullable(),
    )
}

fn call(function: AggregateFunction, args: Vec<usize>, result: crate::types::SqlType) -> AggregateCall {
    AggregateCall {
        function,
        args,
        distinct: false,
        filter: None,
        order: Vec::new(),
        ignore_nulls: false,
        result,
    }
}

/// The number of rows, and of those whose first column is not NULL.
fn counts(rel: Rel) -> Rel {
    let count = TypeKind::BigInt.not_null();
    let calls = vec![
        call(AggregateFunction::Count, Vec::new(), count.clone()),
        call(AggregateFunction::Count, vec![0], count.clone()),
    ];
    let columns = vec![Column::new("$rows", count.clone()), Column::new("$known", count)];
    Rel::new(Op::Aggregate { input: rel, keys: Vec::new(), calls, window: None }, columns)
}

fn join_condition(conditions: Vec<Typed>, width: usize) -> Option<Typed> {
    let both: Vec<Typed> = conditions.into_iter().map(|condition| over_both(condition, width)).collect();
    (!both.is_empty()).then(|| Typed::and(both))
}

/// The distinct values of what `conditions` read of `inner` and of `columns`, with a column of TRUE behind them; the
/// conditions are over that.
fn distinct_keys(
    inner: Rel,
    conditions: Vec<Typed>,
    columns: Vec<usize>,
    _span: Span,
) -> SqlResult<(Rel, Vec<Typed>)> {
    let mut keys = columns;
    for condition in &conditions {
        for column in condition.columns() {
            if !keys.contains(&column) {
                keys.push(column);
            }
        }
    }
    let place = |column: usize| keys.iter().position(|key| *key == column).unwrap_or(column);
    let conditions = conditions.into_iter().map(|condition| condition.with_columns(&place)).collect();
    let columns: Vec<Column> = keys.iter().map(|key| inner.columns[*key].clone()).collect();
    let count = TypeKind::BigInt.not_null();
    let mut with_count = columns;
    with_count.push(Column::new("$mark", count.clone()));
    let calls = vec![call(AggregateFunction::Count, Vec::new(), count)];
    Ok((Rel::new(Op::Aggregate { input: inner, keys, calls, window: None }, with_count), conditions))
}

/// `rel` with the one value of `inner` for each row; NULL if there is none.
fn scalar_join(rel: Rel, inner: Rel, span: Span) -> SqlResult<(Rel, Typed)> {
    let width = rel.columns.len();
    // What stands above a global aggregate is computed behind the join, where a COUNT of nothing is 0.
    let (mut expr, mut inner) = (inner.typed(0), inner);
    while let Op::Project { input, exprs } = &*inner.op {
        if !is_global_aggregate(below_projects(input)) {
            break;
        }
        expr = expr.over(exprs);
        inner = input.clone();
    }
    let counted: Vec<usize> = match &*inner.op {
        Op::Aggregate { keys, calls, .. } if keys.is_empty() => {
            let is_count = |call: &AggregateCall| {
                matches!(call.function, AggregateFunction::Count | AggregateFunction::Sum0)
            };
            calls.iter().enumerate().filter(|(_, call)| is_count(call)).map(|(number, _)| number).collect()
        }
        _ => Vec::new(),
    };
    let is_single = is_global_aggregate(&inner);
    let (inner, conditions) = decorrelate(inner, span)?;
    let (inner, conditions) =
        if is_single { (inner, conditions) } else { single_value(inner, conditions, &mut expr)? };
    let condition = join_condition(conditions, width);
    let joined = rel.join(inner, JoinKind::Left, condition);
    expr.rewrite(&mut |part| match *part.node {
        Node::Column(column) => {
            let value = joined.typed(width + column);
            Some(if counted.contains(&column) {
                let zero = Typed::literal(Value::Int(0), TypeKind::Int.not_null());
                let zero = super::cast_to(zero, &value.data_type.kind, &neutral_context());
                let not_null = value.data_type.kind.clone().not_null();
                Typed::new(Node::Coalesce(vec![value, zero]), not_null)
            } else {
                value
            })
        }
        Node::Outer { depth: 1, column } => Some(joined.typed(column)),
        Node::Outer { depth, column } => {
            Some(Typed::new(Node::Outer { depth: depth - 1, column }, part.data_type.clone()))
        }
        _ => None,
    });
    Ok((joined, expr))
}

/// For casts of constants that no session can change.
fn neutral_context() -> crate::expr::EvalContext {
    crate::expr::EvalContext { zone: jiff::tz::TimeZone::UTC, now_micros: 0, lenient_casts: false }
}

fn below_projects(rel: &Rel) -> &Rel {
    match &*rel.op {
        Op::Project { input, .. } => below_projects(input),
        _ => rel,
    }
}

fn is_global_aggregate(rel: &Rel) -> bool {
    matches!(&*rel.op, Op::Aggregate { keys, .. } if keys.is_empty())
}

/// One row per value of what the conditions read: more than one value of the expression is an error when it happens.
fn single_value(inner: Rel, conditions: Vec<Typed>, expr: &mut Typed) -> SqlResult<(Rel, Vec<Typed>)> {
    let mut keys: Vec<usize> = Vec::new();
    for condition in &conditions {
        keys.extend(condition.columns());
    }
    keys.sort_unstable();
    keys.dedup();
    let value = inner.columns[0].data_type.as_nullable();
    let place = |column: usize| keys.iter().position(|key| *key == column).unwrap_or(column);
    let conditions = conditions.into_iter().map(|condition| condition.with_columns(&place)).collect();
    let mut columns: Vec<Column> = keys.iter().map(|key| inner.columns[*key].clone()).collect();
    columns.push(Column::new("$value", value.clone()));
    let calls = vec![call(AggregateFunction::SingleValue, vec![0], value.clone())];
    let at = keys.len();
    *expr = Typed::column(at, &value);
    Ok((Rel::new(Op::Aggregate { input: inner, keys, calls, window: None }, columns), conditions))
}

/// A LATERAL sub-query next to `left`.
pub(super) fn lateral(
    left: Rel,
    inner: Rel,
    kind: JoinKind,
    on: Option<Typed>,
    span: Span,
) -> SqlResult<Rel> {
    let width = left.columns.len();
    let visible = inner.columns.len();
    let (inner, conditions) = decorrelate(inner, span)?;
    let mut condition: Vec<Typed> = join_condition(conditions, width).into_iter().collect();
    condition.extend(on);
    let condition = (!condition.is_empty()).then(|| Typed::and(condition));
    Ok(left.join(inner, kind, condition).keep(width + visible))
}
