//! Windows: table functions and the older group windows.

use super::Binder;
use super::expr::ExprBinder;
use super::scope::{Scope, ScopeColumn};
use crate::parser::ast::{Call, Expr, ExprKind, GroupItem, Ident, OrderItem, Select};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{Column, Op, Rel, TimeAttribute, WindowBound, WindowKind};
use crate::row::Value;
use crate::types::TypeKind;

/// The qualifier of the columns that a group window adds; no script can write it.
const HIDDEN: &str = "\u{0}window";

/// The parts of a SELECT that speak of groups, after group windows were replaced by columns.
pub(super) struct Rewritten {
    pub(super) items: Vec<(Expr, Option<String>)>,
    pub(super) group_by: Vec<GroupItem>,
    pub(super) having: Option<Expr>,
    pub(super) qualify: Option<Expr>,
    pub(super) order_by: Vec<OrderItem>,
}

impl Rewritten {
    pub(super) fn of(select: &Select, items: &[(Expr, Option<String>)], order_by: &[OrderItem]) -> Self {
        Rewritten {
            items: items.to_vec(),
            group_by: select.group_by.clone(),
            having: select.having.clone(),
            qualify: select.qualify.clone(),
            order_by: order_by.to_vec(),
        }
    }
}

/// A group window: `GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)`.
pub(super) struct GroupWindow {
    kind: WindowKind,
    time: usize,
}

impl Binder<'_> {
    /// `TUMBLE(TABLE t, DESCRIPTOR(ts), …)` and its kin.
    pub(super) fn table_function(
        &self,
        call: &Call,
        span: Span,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<Rel> {
        let name = call.name.last().map(|part| part.name.to_ascii_uppercase()).unwrap_or_default();
        let names: &[&str] = match name.as_str() {
            "TUMBLE" => &["DATA", "TIMECOL", "SIZE", "OFFSET"],
            "HOP" => &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
            "CUMULATE" => &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"],
            "SESSION" => &["DATA", "TIMECOL", "GAP"],
            _ => return Err(SqlError::at(span, format!("there is no table function `{name}`"))),
        };
        let arguments = by_name(&call.args, names, &name, span)?;
        let Some(Some(data)) = arguments.first() else {
            return Err(SqlError::at(span, format!("{name} lacks its table")));
        };
        let ExprKind::Table(table) = &*data.kind else {
            return Err(SqlError::at(data.span, format!("the first argument of {name} is a table: TABLE t")));
        };
        if let Some(item) = table.order_by.first() {
            return Err(SqlError::at(item.expr.span, format!("the table of {name} cannot be ordered")));
        }
        let input = self.query(&table.query, outer)?;
        let scope = Scope::of(&input, &[], None);
        let time = match arguments.get(1).copied().flatten().map(|expr| (&*expr.kind, expr.span)) {
            Some((ExprKind::Descriptor(columns), at)) => match columns.as_slice() {
                [column] => ExprBinder::new(self, &scope, "DESCRIPTOR")
                    .bind(&name_expr(vec![column.clone()]))?
                    .as_column(),
                _ => return Err(SqlError::at(at, "DESCRIPTOR names one column here")),
            },
            _ => {
                return Err(SqlError::at(
                    span,
                    format!("the second argument of {name} is DESCRIPTOR(time column)"),
                ));
            }
        };
        let time = time.ok_or_else(|| SqlError::at(span, "DESCRIPTOR names a column"))?;
        let mut partition = Vec::new();
        for expr in &table.partition_by {
            let typed = ExprBinder::new(self, &scope, "PARTITION BY").bind(expr)?;
            let column = typed
                .as_column()
                .ok_or_else(|| SqlError::at(expr.span, "PARTITION BY names columns here"))?;
            partition.push(column);
        }
        let length = |place: usize| -> SqlResult<Option<i64>> {
            arguments.get(place).copied().flatten().map(|expr| self.length(expr)).transpose()
        };
        let needed = |place: usize| -> SqlResult<i64> {
            let found = length(place)?;
            found.ok_or_else(|| SqlError::at(span, format!("{name} lacks its argument {}", names[place])))
        };
        let kind = match name.as_str() {
            "TUMBLE" => WindowKind::Tumble { size: needed(2)?, offset: length(3)?.unwrap_or(0) },
            "HOP" => WindowKind::Hop { slide: needed(2)?, size: needed(3)?, offset: length(4)?.unwrap_or(0) },
            "CUMULATE" => {
                WindowKind::Cumulate { step: needed(2)?, size: needed(3)?, offset: length(4)?.unwrap_or(0) }
            }
            _ => WindowKind::Session { gap: needed(2)? },
        };
        self.window(input, kind, time, partition, span)
    }

    /// A constant interval in milliseconds.
    fn length(&self, expr: &Expr) -> SqlResult<i64> {
        let scope = Scope::default();
        let typed = ExprBinder::new(self, &scope, "a window").bind(expr)?;
        match (typed.as_literal(), &typed.data_type.kind) {
            (Some(Value::Int(millis)), TypeKind::IntervalDaySecond) => Ok(*millis),
            _ => Err(SqlError::at(expr.span, "a window's length is a constant interval of days to seconds")),
        }
    }

    fn window(
        &self,
        input: Rel,
        kind: WindowKind,
        time: usize,
        partition: Vec<usize>,
        span: Span,
    ) -> SqlResult<Rel> {
        check_kind(kind).map_err(|what| SqlError::at(span, what))?;
        let column = &input.columns[time];
        let is_time = column.time.is_some() || (self.batch && column.data_type.kind.is_timestamp());
        if !is_time {
            return Err(SqlError::at(
                span,
                format!("`{}` ({}) is no time attribute", column.name, column.data_type),
            )
            .hint(
                "declare WATERMARK FOR it where the table is created, and do not compute it anew on the way",
            ));
        }
        let bound = TypeKind::Timestamp(3).not_null();
        let time_type = match (&column.data_type.kind, column.time) {
            (_, Some(TimeAttribute::Proctime)) | (TypeKind::TimestampLtz(_), _) => {
                TypeKind::TimestampLtz(3).not_null()
            }
            _ => bound.clone(),
        };
        let time_attribute = column.time;
        let mut columns = input.columns.clone();
        for column in &mut columns {
            column.window = None;
        }
        let make =
            |name: &str, data_type, window, time| Column { name: name.to_owned(), data_type, time, window };
        columns.push(make("window_start", bound.clone(), Some(WindowBound::Start), None));
        columns.push(make("window_end", bound, Some(WindowBound::End), None));
        columns.push(make("window_time", time_type, None, time_attribute));
        Ok(Rel::new(Op::Window { input, kind, time, partition }, columns))
    }

    /// The window of GROUP BY, if there is one.
    pub(super) fn group_window(&self, select: &Select, scope: &Scope<'_>) -> SqlResult<Option<GroupWindow>> {
        let mut found = None;
        for expr in super::select::group_exprs(&select.group_by) {
            let Some((name, call)) = window_call(expr) else { continue };
            if found.is_some() {
                return Err(SqlError::at(expr.span, "GROUP BY can have one window only"));
            }
            let Some(first) = call.args.first() else {
                return Err(SqlError::at(expr.span, format!("{name} takes a time column and a length")));
            };
            let time = ExprBinder::new(self, scope, "GROUP BY").bind(first)?;
            let time =
                time.as_column().ok_or_else(|| SqlError::at(first.span, "a window is over a time column"))?;
            let length = |place: usize| match call.args.get(place) {
                Some(expr) => self.length(expr),
                None => Err(SqlError::at(expr.span, format!("{name} lacks a length"))),
            };
            let kind = match name.as_str() {
                "TUMBLE" => WindowKind::Tumble { size: length(1)?, offset: 0 },
                "HOP" => WindowKind::Hop { slide: length(1)?, size: length(2)?, offset: 0 },
                _ => WindowKind::Session { gap: length(1)? },
            };
            found = Some(GroupWindow { kind, time });
        }
        Ok(found)
    }

    /// `rel` with the window's columns, and the SELECT over them.
    pub(super) fn apply_group_window<'s>(
        &self,
        rel: Rel,
        scope: Scope<'s>,
        window: GroupWindow,
        select: &Select,
        items: &[(Expr, Option<String>)],
        order_by: &[OrderItem],
    ) -> SqlResult<(Rel, Scope<'s>, Option<Rewritten>)> {
        let mut rel = rel;
        let mut partition = Vec::new();
        if matches!(window.kind, WindowKind::Session { .. }) {
            let mut keys = Vec::new();
            for expr in super::select::group_exprs(&select.group_by) {
                if window_call(expr).is_none() {
                    keys.push(ExprBinder::new(self, &scope, "GROUP BY").bind(expr)?);
                }
            }
            let width = rel.columns.len();
            partition = (width..width + keys.len()).collect();
            rel = rel.append(keys);
        }
        let span = select.span;
        let first = rel.columns.len();
        let rel = self.window(rel, window.kind, window.time, partition, span)?;
        let mut scope = scope;
        for column in &mut scope.columns {
            column.column = rel.columns[column.index].clone();
        }
        for (number, name) in ["start", "end", "time"].into_iter().enumerate() {
            let mut column = rel.columns[first + number].clone();
            column.name = name.to_owned();
            scope.columns.push(ScopeColumn {
                qualifier: vec![HIDDEN.into()],
                column,
                index: first + number,
                merged: true,
            });
        }
        let mut parts = Rewritten::of(select, items, order_by);
        for (number, (expr, alias)) in parts.items.iter_mut().enumerate() {
            if alias.is_none() && window_property(expr).is_some() {
                *alias = Some(format!("EXPR${number}"));
            }
            replace(expr);
        }
        for item in &mut parts.order_by {
            replace(&mut item.expr);
        }
        for item in parts.having.iter_mut().chain(&mut parts.qualify) {
            replace(item);
        }
        let mut group_by = Vec::new();
        for item in parts.group_by {
            match item {
                GroupItem::Expr(expr) if window_call(&expr).is_some() => {
                    group_by.extend(
                        ["start", "end", "time"].map(|part| GroupItem::Expr(hidden(part, expr.span))),
                    );
                }
                GroupItem::Expr(mut expr) => {
                    replace(&mut expr);
                    group_by.push(GroupItem::Expr(expr));
                }
                other => {
                    return Err(SqlError::at(
                        super::select::group_exprs(&[other]).first().map_or(span, |expr| expr.span),
                        "a group window cannot be combined with grouping sets",
                    )
                    .hint("use the table function: TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), …))"));
                }
            }
        }
        parts.group_by = group_by;
        Ok((rel, scope, Some(parts)))
    }
}

/// Whether the lengths of a window make sense.
fn check_kind(kind: WindowKind) -> Result<(), String> {
    match kind {
        WindowKind::Tumble { size, .. } if size <= 0 => Err("the size of a window must be positive".into()),
        WindowKind::Hop { slide, size, .. } if slide <= 0 || size <= 0 => {
            Err("slide and size of a window must be positive".into())
        }
        WindowKind::Hop { slide, size, .. } if size % slide != 0 => {
            Err(format!("the size of HOP ({size} ms) must be a multiple of its slide ({slide} ms)"))
        }
        WindowKind::Cumulate { step, size, .. } if step <= 0 || size <= 0 || size % step != 0 => {
            Err("the size of CUMULATE must be a positive multiple of its step".into())
        }
        WindowKind::Session { gap } if gap <= 0 => Err("the gap of a session must be positive".into()),
        _ => Ok(()),
    }
}

/// Arguments in the order of `names`, whether they were given by place or by name.
fn by_name<'e>(
    args: &'e [Expr],
    names: &[&str],
    function: &str,
    span: Span,
) -> SqlResult<Vec<Option<&'e Expr>>> {
    let mut found: Vec<Option<&Expr>> = vec![None; names.len()];
    for (number, arg) in args.iter().enumerate() {
        let (place, value) = match &*arg.kind {
            ExprKind::Named(name, value) => {
                let place = names.iter().position(|known| name.name.eq_ignore_ascii_case(known));
                (
                    place.ok_or_else(|| {
                        SqlError::at(name.span, format!("{function} has no argument `{}`", name.name))
                    })?,
                    value,
                )
            }
            _ => (number, arg),
        };
        match found.get_mut(place) {
            Some(slot) => *slot = Some(value),
            None => {
                return Err(SqlError::at(
                    span,
                    format!("{function} takes at most {} arguments", names.len()),
                ));
            }
        }
    }
    Ok(found)
}

fn name_expr(parts: Vec<Ident>) -> Expr {
    let span = parts.first().map(|part| part.span).unwrap_or_default();
    Expr { kind: Box::new(ExprKind::Name(parts)), span }
}

fn hidden(name: &str, span: Span) -> Expr {
    let part = |name: &str| Ident { name: name.to_owned(), span };
    name_expr(vec![part(HIDDEN), part(name)])
}

/// `TUMBLE(…)`, `HOP(…)` or `SESSION(…)` as an expression.
fn window_call(expr: &Expr) -> Option<(String, &Call)> {
    let ExprKind::Call(call) = &*expr.kind else { return None };
    let name = call.name.last()?.name.to_ascii_uppercase();
    matches!(name.as_str(), "TUMBLE" | "HOP" | "SESSION").then_some((name, call))
}

/// The hidden column that `TUMBLE_START(…)` and its kin mean.
fn window_property(expr: &Expr) -> Option<&'static str> {
    let ExprKind::Call(call) = &*expr.kind else { return None };
    let name = call.name.last()?.name.to_ascii_uppercase();
    let (window, property) = name.split_once('_')?;
    if !matches!(window, "TUMBLE" | "HOP" | "SESSION") {
        return None;
    }
    match property {
        "START" => Some("start"),
        "END" => Some("end"),
        "ROWTIME" | "PROCTIME" => Some("time"),
        _ => None,
    }
}

fn replace(expr: &mut Expr) {
    if let Some(property) = window_property(expr) {
        *expr = hidden(property, expr.span);
        return;
    }
    match expr.kind.as_mut() {
        ExprKind::Unary(_, a) | ExprKind::Field(a, _) | ExprKind::Named(_, a) => replace(a),
        ExprKind::Cast { expr, .. } => replace(expr),
        ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
            replace(a);
            replace(b);
        }
        ExprKind::Is { expr, .. } => replace(expr),
        ExprKind::Between { expr, low, high, .. } => [expr, low, high].into_iter().for_each(replace),
        ExprKind::InList { expr, list, .. } => std::iter::once(expr).chain(list).for_each(replace),
        ExprKind::Case { operand, branches, otherwise } => {
            let both = branches.iter_mut().flat_map(|(when, then)| [when, then]);
            operand.iter_mut().chain(both).chain(otherwise).for_each(replace);
        }
        ExprKind::Call(call) => call.args.iter_mut().for_each(replace),
        ExprKind::Row(items) | ExprKind::Array(items) | ExprKind::Map(items) => {
            items.iter_mut().for_each(replace)
        }
        _ => {}
    }
}
