//! SELECT: from FROM to QUALIFY, in the order in which it is computed.

use super::Binder;
use super::aggregate::{Aggregated, aggregate};
use super::expr::{ExprBinder, Found};
use super::scope::Scope;
use super::subquery;
use crate::expr::{Node, Typed};
use crate::parser::ast::{Expr, ExprKind, GroupItem, OrderItem, Select, SelectItem};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{Column, Op, Rel};
use crate::row::SortOrder;
use crate::types::TypeKind;

/// A SELECT, and by what its rows are to be ordered (columns behind the visible ones may be used for that only).
pub(super) struct Selected {
    pub(super) rel: Rel,
    pub(super) visible: usize,
    pub(super) order: Vec<SortOrder>,
}

struct Item {
    typed: Typed,
    name: String,
    span: Span,
}

impl Binder<'_> {
    pub(super) fn select(
        &self,
        select: &Select,
        order_by: &[OrderItem],
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<Selected> {
        self.note_hints(&select.hints);
        let (mut rel, scope) = self.with_ttl_hints(&select.hints, || self.from(&select.from, outer))?;
        let scope = Scope { columns: scope.columns, outer };
        if let Some(filter) = &select.filter {
            let mut binder = ExprBinder::new(self, &scope, "WHERE");
            let predicate = binder.condition(filter)?;
            rel = subquery::filter(rel, predicate, binder.found.subqueries)
                .map_err(|error| error.or_at(filter.span))?;
        }
        let items = self.items(select, &scope)?;
        let group_window = self.group_window(select, &scope)?;
        let (rel, scope, select_exprs) = match group_window {
            Some(window) => self.apply_group_window(rel, scope, window, select, &items, order_by)?,
            None => (rel, scope, None),
        };
        let rewritten =
            select_exprs.unwrap_or_else(|| super::window::Rewritten::of(select, &items, order_by));
        self.select_list(select, rel, &scope, rewritten)
    }

    /// The items of SELECT with `*` written out: expressions and names.
    fn items(&self, select: &Select, scope: &Scope<'_>) -> SqlResult<Vec<(Expr, Option<String>)>> {
        let mut items = Vec::new();
        for item in &select.items {
            match item {
                SelectItem::Expr(expr, alias) => {
                    items.push((expr.clone(), alias.as_ref().map(|alias| alias.name.clone())))
                }
                SelectItem::Star(qualifier, span) => {
                    let columns = scope.star(qualifier);
                    if columns.is_empty()
                        && let Some(fields) = fields_of(qualifier, scope)
                    {
                        items.extend(fields);
                        continue;
                    }
                    if columns.is_empty() {
                        let what = match qualifier.last() {
                            Some(table) => format!("there is no table `{}` here", table.name),
                            None => "`*` needs a FROM clause".to_owned(),
                        };
                        return Err(SqlError::at(*span, what));
                    }
                    for column in columns {
                        let place = ExprKind::Name(vec![crate::parser::ast::Ident {
                            name: format!("\u{0}{}", column.index),
                            span: *span,
                        }]);
                        let expr = Expr { kind: Box::new(place), span: *span };
                        items.push((expr, Some(column.column.name.clone())));
                    }
                }
            }
        }
        Ok(items)
    }

    fn select_list(
        &self,
        select: &Select,
        rel: Rel,
        scope: &Scope<'_>,
        parts: super::window::Rewritten,
    ) -> SqlResult<Selected> {
        let selected = &parts.items;
        let has_aggregate = |expr: &Expr| contains_aggregate(expr);
        let is_grouped = !parts.group_by.is_empty()
            || selected.iter().any(|(expr, _)| has_aggregate(expr))
            || parts.having.as_ref().is_some_and(has_aggregate)
            || parts.order_by.iter().any(|item| has_aggregate(&item.expr));
        let mut binder = ExprBinder::new(self, scope, "SELECT");
        binder.windows = &select.windows;
        binder.found.place = "GROUP BY";
        let grouping = binder.grouping(&parts.group_by, selected)?;
        let found = Found {
            aggregates: is_grouped.then(Vec::new),
            overs: Some(Vec::new()),
            place: "SELECT",
            // A set without keys gives a row for no rows, but then only in batch mode.
            place_grouped: grouping.grouped && grouping.sets.iter().all(|set| !set.is_empty()),
            subqueries: std::mem::take(&mut binder.found.subqueries),
        };
        binder.found = found;
        let mut items: Vec<Item> = Vec::new();
        for (number, (expr, alias)) in selected.iter().enumerate() {
            let typed = bind_item(&mut binder, rel_column(&rel, expr), expr)?;
            let name = alias.clone().unwrap_or_else(|| item_name(expr, number));
            items.push(Item { typed, name, span: expr.span });
        }
        binder.aliases = items.iter().map(|item| (item.name.clone(), item.typed.clone())).collect();
        binder.found.place = "HAVING";
        let having = match &parts.having {
            Some(having) if is_grouped => Some((binder.condition(having)?, having.span)),
            Some(having) => {
                return Err(
                    SqlError::at(having.span, "HAVING needs GROUP BY or an aggregate").hint("use WHERE")
                );
            }
            None => None,
        };
        binder.found.place = "QUALIFY";
        let qualify = match &parts.qualify {
            Some(qualify) => Some((binder.condition(qualify)?, qualify.span)),
            None => None,
        };
        binder.found.place = "ORDER BY";
        let mut order = Vec::new();
        for item in &parts.order_by {
            order.push(self.order_item(&mut binder, item, &items)?);
        }
        let Found { aggregates, overs, subqueries, .. } = binder.found;

        // Aggregates, HAVING, sub-queries, OVER, QUALIFY, DISTINCT: each over the columns of the one before.
        let mut exprs: Vec<Typed> = items.iter().map(|item| item.typed.clone()).collect();
        let spans: Vec<Span> = items.iter().map(|item| item.span).collect();
        let mut order_exprs: Vec<Typed> = order.iter().map(|(typed, ..)| typed.clone()).collect();
        let mut having_expr = having.as_ref().map(|(typed, _)| typed.clone());
        let mut qualify_expr = qualify.as_ref().map(|(typed, _)| typed.clone());
        let mut overs = overs.unwrap_or_default();
        let mut rel = rel;
        let mut subqueries = subqueries;
        if is_grouped {
            let specs = aggregates.unwrap_or_default();
            let aggregated = aggregate(rel, grouping, &specs)?;
            let mut each: Vec<(&mut Typed, Span)> = exprs.iter_mut().zip(spans.iter().copied()).collect();
            each.extend(order_exprs.iter_mut().zip(parts.order_by.iter().map(|item| item.expr.span)));
            each.extend(having_expr.as_mut().zip(having.as_ref().map(|(_, span)| *span)));
            each.extend(qualify_expr.as_mut().zip(qualify.as_ref().map(|(_, span)| *span)));
            for (typed, span) in each {
                aggregated.rewrite(typed, span)?;
            }
            for spec in &mut overs {
                spec.rewrite(&mut |typed| aggregated.rewrite(typed, select.span))?;
            }
            for subquery in &mut subqueries {
                rewrite_subquery(subquery, &aggregated, select.span)?;
            }
            rel = aggregated.rel;
        }
        if !subqueries.is_empty() {
            let mut all: Vec<Typed> = Vec::new();
            all.append(&mut exprs);
            all.append(&mut order_exprs);
            all.extend(having_expr.take());
            all.extend(qualify_expr.take());
            let (item_count, order_count) = (items.len(), order.len());
            rel = subquery::values(rel, &mut all, subqueries)?;
            let mut rest = all.split_off(item_count);
            exprs = all;
            let mut conditions = rest.split_off(order_count);
            order_exprs = rest;
            if qualify.is_some() {
                qualify_expr = conditions.pop();
            }
            if having.is_some() {
                having_expr = conditions.pop();
            }
        }
        if let Some(having) = having_expr {
            rel = rel.filter(having);
        }
        if !overs.is_empty() {
            let (with_overs, places) = super::over::over(rel, overs);
            rel = with_overs;
            let result = |typed: &mut Typed| {
                typed.rewrite(&mut |part| match *part.node {
                    Node::Over(number) => Some(rel.typed(places[number])),
                    _ => None,
                });
            };
            exprs.iter_mut().chain(&mut order_exprs).chain(&mut qualify_expr).for_each(result);
        }
        if let Some(qualify) = qualify_expr {
            rel = rel.filter(qualify);
        }
        self.finish(
            select,
            rel,
            exprs,
            items.into_iter().map(|item| item.name).collect(),
            (order, order_exprs),
        )
    }

    /// The projection, DISTINCT, and the columns to order by.
    fn finish(
        &self,
        select: &Select,
        rel: Rel,
        mut exprs: Vec<Typed>,
        mut names: Vec<String>,
        (order, order_exprs): (Vec<(Typed, bool, bool)>, Vec<Typed>),
    ) -> SqlResult<Selected> {
        let visible = exprs.len();
        let mut orders = Vec::new();
        for ((_, descending, nulls_first), typed) in order.into_iter().zip(order_exprs) {
            let column = match exprs.iter().position(|expr| *expr == typed) {
                Some(column) => column,
                None if select.distinct => {
                    return Err(SqlError::at(
                        select.span,
                        "ORDER BY of SELECT DISTINCT can use selected columns only",
                    ));
                }
                None => {
                    names.push(format!("$o{}", exprs.len()));
                    exprs.push(typed);
                    exprs.len() - 1
                }
            };
            orders.push(SortOrder { column, descending, nulls_first });
        }
        let mut rel = rel.project(exprs, names);
        if select.distinct {
            rel = distinct(rel);
        }
        Ok(Selected { rel, visible, order: orders })
    }

    fn order_item(
        &self,
        binder: &mut ExprBinder<'_, '_>,
        item: &OrderItem,
        items: &[Item],
    ) -> SqlResult<(Typed, bool, bool)> {
        use crate::parser::ast::Literal;
        let typed = match &*item.expr.kind {
            ExprKind::Literal(Literal::Number(digits)) => match digits.parse::<usize>() {
                Ok(place) if (1..=items.len()).contains(&place) => items[place - 1].typed.clone(),
                _ => return Err(SqlError::at(item.expr.span, format!("SELECT has no item number {digits}"))),
            },
            // The names that SELECT gives come before those of the tables.
            ExprKind::Name(parts) if parts.len() == 1 => {
                match items.iter().find(|known| known.name == parts[0].name) {
                    Some(known) => known.typed.clone(),
                    None => binder.bind(&item.expr)?,
                }
            }
            _ => binder.bind(&item.expr)?,
        };
        Ok((typed, item.descending, item.nulls_first.unwrap_or(!item.descending)))
    }
}

/// Items of `*` stand for a column by its number.
fn rel_column(rel: &Rel, expr: &Expr) -> Option<Typed> {
    match &*expr.kind {
        ExprKind::Name(parts) if parts.len() == 1 => {
            let index = parts[0].name.strip_prefix('\u{0}')?.parse::<usize>().ok()?;
            Some(rel.typed(index))
        }
        _ => None,
    }
}

fn bind_item(binder: &mut ExprBinder<'_, '_>, column: Option<Typed>, expr: &Expr) -> SqlResult<Typed> {
    match column {
        Some(column) => Ok(column),
        None => {
            let typed = binder.bind(expr)?;
            Ok(match typed.data_type.kind {
                // A bare NULL or text constant gets a type that tables have.
                TypeKind::Null => Typed { node: typed.node, data_type: TypeKind::Null.nullable() },
                _ => typed,
            })
        }
    }
}

/// The name of an item without alias: that of its column or field, else `EXPR$n`.
fn item_name(expr: &Expr, number: usize) -> String {
    match &*expr.kind {
        ExprKind::Name(parts) => parts.last().map(|part| part.name.clone()).unwrap_or_default(),
        ExprKind::Field(_, field) => field.name.clone(),
        _ => format!("EXPR${number}"),
    }
}

/// Each row once.
pub(super) fn distinct(rel: Rel) -> Rel {
    let columns: Vec<Column> =
        rel.columns.iter().map(|column| Column { time: None, ..column.clone() }).collect();
    let keys: Vec<usize> = (0..columns.len()).collect();
    let window = super::aggregate::window_of(&rel, &keys);
    let columns = match window {
        Some(_) => rel.columns.clone(),
        None => columns.into_iter().map(|column| Column { window: None, ..column }).collect(),
    };
    Rel::new(Op::Aggregate { input: rel, keys, calls: Vec::new(), window }, columns)
}

/// Whether an aggregate without OVER is called in `expr`, sub-queries aside.
pub(super) fn contains_aggregate(expr: &Expr) -> bool {
    match &*expr.kind {
        ExprKind::Call(call) => {
            let name = call.name.last().map(|part| part.name.as_str()).unwrap_or_default();
            let own = call.over.is_none()
                && (super::functions::aggregate(name).is_some()
                    || name.eq_ignore_ascii_case("GROUPING")
                    || name.eq_ignore_ascii_case("GROUPING_ID"));
            let over = match &call.over {
                Some(crate::parser::ast::Over::Spec(spec)) => {
                    spec.partition_by.iter().any(contains_aggregate)
                        || spec.order_by.iter().any(|item| contains_aggregate(&item.expr))
                }
                _ => false,
            };
            own || over || call.args.iter().any(contains_aggregate)
        }
        _ => children(expr).into_iter().any(contains_aggregate),
    }
}

/// The parts of an expression of the tree, sub-queries aside.
pub(super) fn children(expr: &Expr) -> Vec<&Expr> {
    use crate::parser::ast::IsTest;
    match &*expr.kind {
        ExprKind::Unary(_, a) | ExprKind::Field(a, _) | ExprKind::Named(_, a) => vec![a],
        ExprKind::Cast { expr, .. } | ExprKind::InQuery { expr, .. } | ExprKind::Quantified { expr, .. } => {
            vec![expr]
        }
        ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => vec![a, b],
        ExprKind::Is { expr, test: IsTest::DistinctFrom(other), .. } => vec![expr, other],
        ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::Between { expr, low, high, .. } => vec![expr, low, high],
        ExprKind::InList { expr, list, .. } => std::iter::once(expr).chain(list).collect(),
        ExprKind::Like { expr, pattern, escape, .. } => [expr, pattern].into_iter().chain(escape).collect(),
        ExprKind::Case { operand, branches, otherwise } => {
            let both = branches.iter().flat_map(|(when, then)| [when, then]);
            operand.iter().chain(both).chain(otherwise).collect()
        }
        ExprKind::Call(call) => call.args.iter().collect(),
        ExprKind::Row(items) | ExprKind::Array(items) | ExprKind::Map(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// What a sub-query says of the query around, over the aggregate's result.
fn rewrite_subquery(subquery: &mut subquery::Subquery, aggregated: &Aggregated, span: Span) -> SqlResult<()> {
    subquery.over_aggregate(&|column| aggregated.key_of(column), span)?;
    if let Some(value) = subquery.value_mut() {
        aggregated.rewrite(value, span)?;
    }
    Ok(())
}

/// Kinds of GROUP BY items that are expressions.
pub(super) fn group_exprs(items: &[GroupItem]) -> Vec<&Expr> {
    items
        .iter()
        .flat_map(|item| match item {
            GroupItem::Expr(expr) => vec![expr],
            GroupItem::Sets(sets) | GroupItem::Rollup(sets) | GroupItem::Cube(sets) => {
                sets.iter().flatten().collect()
            }
        })
        .collect()
}

/// The items that `row.*` stands for, if `path` names a column that is a ROW.
fn fields_of(path: &[crate::parser::ast::Ident], scope: &Scope<'_>) -> Option<Vec<(Expr, Option<String>)>> {
    if path.is_empty() {
        return None;
    }
    let typed = scope.resolve(path).ok()?;
    let crate::types::TypeKind::Row(fields) = &typed.data_type.kind else { return None };
    let span = path[path.len() - 1].span;
    let item = |name: &String| {
        let mut parts = path.to_vec();
        parts.push(crate::parser::ast::Ident { name: name.clone(), span });
        (Expr { kind: Box::new(ExprKind::Name(parts)), span }, Some(name.clone()))
    };
    Some(fields.iter().map(|field| item(&field.name)).collect())
}
