//! Queries: WITH, set operations, VALUES, ORDER BY and LIMIT.

use super::Binder;
use super::coerce::cast_to;
use super::expr::ExprBinder;
use super::scope::Scope;
use super::select::{Selected, distinct};
use crate::expr::{Typed, fold};
use crate::parser::ast::{Expr, ExprKind, Query, SetExpr, SetOp};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{Column, Op, Rel, SetOperation};
use crate::row::{SortOrder, Value};
use crate::types::{SqlType, common_type};
use std::collections::BTreeMap;

impl Binder<'_> {
    pub(super) fn query(&self, query: &Query, outer: Option<&Scope<'_>>) -> SqlResult<Rel> {
        let has_ctes = !query.with.is_empty();
        if has_ctes {
            self.ctes.borrow_mut().push(BTreeMap::new());
            for cte in &query.with {
                let bound = self
                    .query(&cte.query, outer)
                    .map(unsorted)
                    .and_then(|rel| rename(rel, &cte.columns, cte.name.span));
                match bound {
                    Ok(rel) => {
                        if let Some(level) = self.ctes.borrow_mut().last_mut() {
                            level.insert(cte.name.name.clone(), rel);
                        }
                    }
                    Err(error) => {
                        self.ctes.borrow_mut().pop();
                        return Err(error);
                    }
                }
            }
        }
        let result = self.query_body(query, outer);
        if has_ctes {
            self.ctes.borrow_mut().pop();
        }
        result
    }

    fn query_body(&self, query: &Query, outer: Option<&Scope<'_>>) -> SqlResult<Rel> {
        let Selected { mut rel, visible, order } = match &query.body {
            SetExpr::Select(select) => self.select(select, &query.order_by, outer)?,
            body => {
                let rel = self.set_expr(body, outer)?;
                let order = self.order_by_columns(&rel, query)?;
                let visible = rel.columns.len();
                Selected { rel, visible, order }
            }
        };
        let (offset, fetch) = (self.count(query.offset.as_ref())?, self.count(query.limit.as_ref())?);
        if offset.is_some() || fetch.is_some() {
            let columns = rel.columns.clone();
            rel = Rel::new(Op::Limit { input: rel, order, offset: offset.unwrap_or(0), fetch }, columns);
        } else if !order.is_empty() {
            let columns = rel.columns.clone();
            rel = Rel::new(Op::Sort { input: rel, order }, columns);
        }
        Ok(rel.keep(visible))
    }

    /// ORDER BY behind a set operation: by columns of the result.
    fn order_by_columns(&self, rel: &Rel, query: &Query) -> SqlResult<Vec<SortOrder>> {
        let scope = Scope::of(rel, &[], None);
        let mut binder = ExprBinder::new(self, &scope, "ORDER BY");
        query
            .order_by
            .iter()
            .map(|item| {
                let column = match &*item.expr.kind {
                    ExprKind::Literal(crate::parser::ast::Literal::Number(digits)) => digits
                        .parse::<usize>()
                        .ok()
                        .filter(|place| (1..=rel.columns.len()).contains(place))
                        .map(|place| place - 1),
                    _ => binder.bind(&item.expr)?.as_column(),
                };
                let column = column.ok_or_else(|| {
                    SqlError::at(item.expr.span, "ORDER BY names a column of the result here")
                })?;
                let nulls_first = item.nulls_first.unwrap_or(!item.descending);
                Ok(SortOrder { column, descending: item.descending, nulls_first })
            })
            .collect()
    }

    /// The constant of LIMIT or OFFSET.
    fn count(&self, expr: Option<&Expr>) -> SqlResult<Option<u64>> {
        let Some(expr) = expr else { return Ok(None) };
        let scope = Scope::default();
        let typed = ExprBinder::new(self, &scope, "LIMIT").bind(expr)?;
        let value = if typed.data_type.kind.is_integer() { fold(&typed, &self.context).ok() } else { None };
        match value.and_then(|value| value.as_int()).and_then(|count| u64::try_from(count).ok()) {
            Some(count) => Ok(Some(count)),
            None => {
                Err(SqlError::at(expr.span, "LIMIT and OFFSET take a constant number that is not negative"))
            }
        }
    }

    pub(super) fn set_expr(&self, body: &SetExpr, outer: Option<&Scope<'_>>) -> SqlResult<Rel> {
        match body {
            SetExpr::Select(select) => {
                let selected = self.select(select, &[], outer)?;
                Ok(selected.rel.keep(selected.visible))
            }
            SetExpr::Query(query) => self.query(query, outer).map(unsorted),
            SetExpr::Values(rows, span) => self.values(rows, *span, outer),
            SetExpr::Table(name) => self.table(name, &[]).map(|(rel, _)| rel),
            SetExpr::SetOp { .. } => self.set_operation(body, outer),
        }
    }

    fn set_operation(&self, body: &SetExpr, outer: Option<&Scope<'_>>) -> SqlResult<Rel> {
        // Long chains lean to the left; they are walked instead of recursed into.
        let mut chain = Vec::new();
        let mut rest = body;
        while let SetExpr::SetOp { op, all, left, right, span } = rest {
            chain.push((*op, *all, right, *span));
            rest = left;
        }
        let mut rel = self.set_expr(rest, outer)?;
        for (op, all, right, span) in chain.into_iter().rev() {
            let right = self.set_expr(right, outer)?;
            let (left, right) = self.unify(rel, right, span)?;
            rel = match op {
                SetOp::Union => {
                    let union = union_all(left, right);
                    if all { union } else { distinct(union) }
                }
                SetOp::Intersect | SetOp::Except => {
                    let op =
                        if op == SetOp::Intersect { SetOperation::Intersect } else { SetOperation::Except };
                    let mut columns = left.columns.clone();
                    for column in &mut columns {
                        (column.time, column.window) = (None, None);
                    }
                    Rel::new(Op::Set { left, right, op, all }, columns)
                }
            };
        }
        Ok(rel)
    }

    /// Both sides with the same number of columns, of the same types.
    fn unify(&self, left: Rel, right: Rel, span: Span) -> SqlResult<(Rel, Rel)> {
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::at(
                span,
                format!("the sides have {} and {} columns", left.columns.len(), right.columns.len()),
            ));
        }
        let pairs = left.columns.iter().zip(&right.columns).enumerate();
        let common: Vec<SqlType> = pairs
            .map(|(number, (a, b))| {
                common_type(&a.data_type, &b.data_type).ok_or_else(|| {
                    let (a, b) = (&a.data_type.kind, &b.data_type.kind);
                    SqlError::at(
                        span,
                        format!("column {} is {a} on one side and {b} on the other", number + 1),
                    )
                })
            })
            .collect::<SqlResult<_>>()?;
        Ok((self.typed_as(left, &common), self.typed_as(right, &common)))
    }

    fn typed_as(&self, rel: Rel, types: &[SqlType]) -> Rel {
        if rel.columns.iter().zip(types).all(|(column, target)| column.data_type.kind == target.kind) {
            return rel;
        }
        let names = rel.columns.iter().map(|column| column.name.clone()).collect();
        let exprs = rel.all_typed().into_iter().zip(types);
        let exprs = exprs.map(|(expr, target)| cast_to(expr, &target.kind, &self.context)).collect();
        rel.project(exprs, names)
    }

    fn values(&self, rows: &[Expr], span: Span, outer: Option<&Scope<'_>>) -> SqlResult<Rel> {
        let scope = Scope { columns: Vec::new(), outer };
        let mut bound: Vec<Vec<Typed>> = Vec::new();
        for row in rows {
            let mut binder = ExprBinder::new(self, &scope, "VALUES");
            let items = match &*row.kind {
                ExprKind::Row(items) => binder.bind_all(items)?,
                _ => vec![binder.bind(row)?],
            };
            if let Some(first) = bound.first()
                && first.len() != items.len()
            {
                return Err(SqlError::at(
                    row.span,
                    format!("this row has {} values, the first has {}", items.len(), first.len()),
                ));
            }
            bound.push(items);
        }
        let width = bound.first().map_or(0, Vec::len);
        let mut columns = Vec::new();
        for number in 0..width {
            let common = crate::types::common_type_of(bound.iter().map(|row| &row[number].data_type))
                .ok_or_else(|| {
                    SqlError::at(span, format!("the values of column {} have no type in common", number + 1))
                })?;
            columns.push(Column::new(format!("EXPR${number}"), common));
        }
        let rows = bound
            .into_iter()
            .map(|row| {
                let values = row.into_iter().zip(&columns).map(|(typed, column)| {
                    fold(&cast_to(typed, &column.data_type.kind, &self.context), &self.context)
                        .map_err(|error| SqlError::at(span, error))
                });
                values.collect::<SqlResult<Vec<Value>>>()
            })
            .collect::<SqlResult<_>>()?;
        Ok(Rel::new(Op::Values { rows }, columns))
    }
}

/// `left` and `right`, whose types agree, as one; unions of unions are one.
fn union_all(left: Rel, right: Rel) -> Rel {
    let columns = left
        .columns
        .iter()
        .zip(&right.columns)
        .map(|(a, b)| {
            let mut column = a.clone();
            column.data_type.nullable |= b.data_type.nullable;
            // A time attribute stays one if it is on both sides.
            column.time = column.time.filter(|_| a.time == b.time);
            column.window = column.window.filter(|_| a.window == b.window);
            column
        })
        .collect();
    let mut inputs = Vec::new();
    for side in [left, right] {
        match *side.op {
            Op::Union { inputs: more } => inputs.extend(more),
            op => inputs.push(Rel::new(op, side.columns)),
        }
    }
    Rel::new(Op::Union { inputs }, columns)
}

/// A sub-query without the order of its rows, which is lost in what is around it.
pub(super) fn unsorted(rel: Rel) -> Rel {
    let Rel { op, columns, .. } = rel;
    match *op {
        Op::Sort { input, .. } => Rel::new(*input.op, columns),
        Op::Project { input, exprs } => match *input.op {
            Op::Sort { input: below, .. } => {
                let input = Rel::new(*below.op, input.columns);
                Rel::new(Op::Project { input, exprs }, columns)
            }
            op => Rel::new(Op::Project { input: Rel::new(op, input.columns), exprs }, columns),
        },
        op => Rel::new(op, columns),
    }
}

/// `rel` with its columns called `names`, if there are any.
pub(super) fn rename(mut rel: Rel, names: &[crate::parser::ast::Ident], span: Span) -> SqlResult<Rel> {
    if names.is_empty() {
        return Ok(rel);
    }
    if names.len() != rel.columns.len() {
        return Err(SqlError::at(
            span,
            format!("{} names are given for {} columns", names.len(), rel.columns.len()),
        ));
    }
    for (column, name) in rel.columns.iter_mut().zip(names) {
        column.name.clone_from(&name.name);
    }
    Ok(rel)
}
