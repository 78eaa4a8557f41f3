//! Plans as text.

use super::changelog::ChangelogMode;
use super::{AggregateCall, Op, OverFunction, Rel, WindowKind, changelog_mode, upsert_keys};
use crate::catalog::TableDef;
use crate::expr::{Node, Typed, text_format};
use crate::row::SortOrder;
use std::fmt::Write;

/// The plan as a tree of lines, with changelog modes if wanted.
pub(crate) fn explain(rel: &Rel, batch: bool, modes: Option<&dyn Fn(&TableDef) -> bool>) -> String {
    let mut text = String::new();
    write_rel(rel, batch, modes, 0, &mut text);
    text
}

fn write_rel(
    rel: &Rel,
    batch: bool,
    modes: Option<&dyn Fn(&TableDef) -> bool>,
    depth: usize,
    out: &mut String,
) {
    let indent = if depth == 0 { String::new() } else { format!("{}+- ", "   ".repeat(depth - 1)) };
    let mode = modes.map(|is_changelog| changelog_mode(rel, batch, is_changelog));
    let mode = mode.map(|mode| changes(rel, mode)).unwrap_or_default();
    let _ = writeln!(out, "{indent}{}{mode}", describe(rel, batch));
    for input in rel.inputs() {
        write_rel(input, batch, modes, depth + 1, out);
    }
}

/// What happens to the rows of `rel`, and by which columns their changes are told apart.
fn changes(rel: &Rel, mode: ChangelogMode) -> String {
    let mut text = format!(", changelogMode={}", mode.symbols());
    if mode.is_updating() {
        let keys: Vec<String> = upsert_keys(rel).iter().map(|key| format!("[{}]", names(rel, key))).collect();
        let _ = write!(text, ", upsertKeys=[{}]", keys.join(", "));
    }
    text
}

/// As [`explain`], with a line for the table `table` that the rows go to.
pub(crate) fn explain_sink(
    rel: &Rel,
    table: &TableDef,
    batch: bool,
    modes: Option<&dyn Fn(&TableDef) -> bool>,
) -> String {
    let mut text = format!("Sink(table=[{}]", table.path.join("."));
    if !table.primary_key.is_empty() {
        let _ = write!(text, ", primaryKey=[{}]", table.primary_key.join(", "));
    }
    let all: Vec<usize> = (0..rel.columns.len()).collect();
    let _ = writeln!(text, ", fields=[{}])", names(rel, &all));
    write_rel(rel, batch, modes, 1, &mut text);
    text
}

fn names(rel: &Rel, columns: &[usize]) -> String {
    columns.iter().map(|column| rel.columns[*column].name.clone()).collect::<Vec<_>>().join(", ")
}

fn orders(rel: &Rel, order: &[SortOrder]) -> String {
    let one = |order: &SortOrder| {
        let direction = if order.descending { " DESC" } else { " ASC" };
        format!("{}{direction}", rel.columns[order.column].name)
    };
    order.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(super) fn describe(rel: &Rel, batch: bool) -> String {
    match &*rel.op {
        Op::Scan { table, watermark, .. } => {
            let watermark =
                watermark.as_ref().map(|(column, _)| format!(", watermark=[{}]", rel.columns[*column].name));
            format!("TableScan(table=[{}]{})", table.path.join("."), watermark.unwrap_or_default())
        }
        Op::Values { rows } => format!("Values(rows=[{}])", rows.len()),
        Op::Project { input, exprs } => {
            let parts = exprs.iter().zip(&rel.columns).map(|(expr, column)| {
                let text = expr_text(expr, input);
                if text == column.name { text } else { format!("{text} AS {}", column.name) }
            });
            format!("Calc(select=[{}])", parts.collect::<Vec<_>>().join(", "))
        }
        Op::Filter { input, predicate } => format!("Calc(where=[{}])", expr_text(predicate, input)),
        Op::Join { kind, condition, .. } => {
            let both = super::join_columns(
                &rel.inputs()[0].columns,
                &rel.inputs()[1].columns,
                super::JoinKind::Inner,
            );
            let both = Rel::new(Op::Values { rows: Vec::new() }, both);
            let condition =
                condition.as_ref().map_or("TRUE".to_owned(), |condition| expr_text(condition, &both));
            let name = match () {
                () if super::is_window_join(rel) => "WindowJoin",
                () if !batch && super::interval_bounds(rel).is_some() => "IntervalJoin",
                () => "Join",
            };
            format!("{name}(joinType=[{kind:?}], where=[{condition}])")
        }
        Op::TemporalJoin { kind, condition, times, .. } => {
            let both = super::join_columns(
                &rel.inputs()[0].columns,
                &rel.inputs()[1].columns,
                super::JoinKind::Inner,
            );
            let both = Rel::new(Op::Values { rows: Vec::new() }, both);
            format!(
                "TemporalJoin(joinType=[{kind:?}], where=[{}], asOf=[{}])",
                expr_text(condition, &both),
                rel.inputs()[0].columns[times.0].name
            )
        }
        Op::Aggregate { input, keys, calls, window } => {
            let name = if window.is_some() { "WindowAggregate" } else { "GroupAggregate" };
            let calls: Vec<String> = calls.iter().map(|call| call_text(call, input)).collect();
            format!("{name}(groupBy=[{}], select=[{}])", names(input, keys), calls.join(", "))
        }
        Op::Window { input, kind, time, .. } => {
            let window = match kind {
                WindowKind::Tumble { size, .. } => format!("TUMBLE(size=[{size} ms])"),
                WindowKind::Hop { slide, size, .. } => format!("HOP(size=[{size} ms], slide=[{slide} ms])"),
                WindowKind::Cumulate { step, size, .. } => {
                    format!("CUMULATE(max_size=[{size} ms], step=[{step} ms])")
                }
                WindowKind::Session { gap } => format!("SESSION(gap=[{gap} ms])"),
            };
            format!("WindowTableFunction(window=[{window}], time=[{}])", input.columns[*time].name)
        }
        Op::Over { input, groups } => {
            let group = |group: &super::OverGroup| {
                let calls: Vec<String> = group.calls.iter().map(|call| over_text(&call.function)).collect();
                format!(
                    "{} (partitionBy=[{}], orderBy=[{}])",
                    calls.join(", "),
                    names(input, &group.partition),
                    orders(input, &group.order)
                )
            };
            format!("OverAggregate({})", groups.iter().map(group).collect::<Vec<_>>().join("; "))
        }
        Op::Rank { input, function, partition, order, start, end, .. } => format!(
            "Rank(function=[{function:?}], range=[{start}, {end}], partitionBy=[{}], orderBy=[{}])",
            names(input, partition),
            orders(input, order)
        ),
        Op::Sort { input, order } => format!("Sort(orderBy=[{}])", orders(input, order)),
        Op::Limit { input, order, offset, fetch } => {
            let fetch = fetch.map_or("all".to_owned(), |fetch| fetch.to_string());
            format!("Limit(orderBy=[{}], offset=[{offset}], fetch=[{fetch}])", orders(input, order))
        }
        Op::Set { op, all, .. } => format!("{op:?}(all=[{all}])"),
        Op::Union { .. } => "Union(all=[true])".to_owned(),
        Op::Unnest { input, expr, .. } => format!("Correlate(unnest=[{}])", expr_text(expr, input)),
        Op::Expand { projections, .. } => format!("Expand(projections=[{}])", projections.len()),
    }
}

fn over_text(function: &OverFunction) -> String {
    match function {
        OverFunction::Aggregate(function, distinct) => {
            format!("{}{}", function.name(), if *distinct { " DISTINCT" } else { "" })
        }
        other => format!("{other:?}"),
    }
}

fn call_text(call: &AggregateCall, input: &Rel) -> String {
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let args = if call.args.is_empty() { "*".to_owned() } else { names(input, &call.args) };
    let filter =
        call.filter.map(|filter| format!(" FILTER {}", input.columns[filter].name)).unwrap_or_default();
    format!("{}({distinct}{args}){filter}", call.function.name())
}

/// An expression over the columns of `input`.
pub(crate) fn expr_text(expr: &Typed, input: &Rel) -> String {
    let text = |part: &Typed| expr_text(part, input);
    let list = |parts: &[Typed]| parts.iter().map(text).collect::<Vec<_>>().join(", ");
    match &*expr.node {
        Node::Column(column) => {
            input.columns.get(*column).map_or(format!("${column}"), |column| column.name.clone())
        }
        Node::Literal(value) => {
            let shown = text_format::value_to_text(value, &expr.data_type.kind, &jiff::tz::TimeZone::UTC);
            if expr.data_type.kind.is_text() && !value.is_null() { format!("'{shown}'") } else { shown }
        }
        Node::Arithmetic(op, a, b) => format!("({} {} {})", text(a), op.symbol(), text(b)),
        Node::Compare(op, a, b) => format!("({} {} {})", text(a), op.symbol(), text(b)),
        Node::Negate(a) => format!("-{}", text(a)),
        Node::Distinct { left, right, negated } => {
            format!("({} IS {}DISTINCT FROM {})", text(left), if *negated { "NOT " } else { "" }, text(right))
        }
        Node::And(parts) => format!("({})", parts.iter().map(text).collect::<Vec<_>>().join(" AND ")),
        Node::Or(parts) => format!("({})", parts.iter().map(text).collect::<Vec<_>>().join(" OR ")),
        Node::Not(a) => format!("NOT({})", text(a)),
        Node::IsNull(a) => format!("({} IS NULL)", text(a)),
        Node::IsTruth(a, wanted) => format!("({} IS {})", text(a), if *wanted { "TRUE" } else { "FALSE" }),
        Node::Cast { expr: inner, is_try } => {
            format!(
                "{}({} AS {})",
                if *is_try { "TRY_CAST" } else { "CAST" },
                text(inner),
                expr.data_type.kind
            )
        }
        Node::Case { branches, otherwise } => {
            let whens =
                branches.iter().map(|(when, then)| format!("WHEN {} THEN {}", text(when), text(then)));
            format!("CASE {} ELSE {} END", whens.collect::<Vec<_>>().join(" "), text(otherwise))
        }
        Node::Coalesce(parts) => format!("COALESCE({})", list(parts)),
        Node::Call(function, parts) => format!("{}({})", function.0.name, list(parts)),
        Node::Row(parts) => format!("ROW({})", list(parts)),
        Node::Array(parts) => format!("ARRAY[{}]", list(parts)),
        Node::Map(parts) => format!("MAP[{}]", list(parts)),
        Node::Index(a, b) => format!("{}[{}]", text(a), text(b)),
        Node::Field(a, field) => match &a.data_type.kind {
            crate::types::TypeKind::Row(fields) => format!("{}.{}", text(a), fields[*field].name),
            _ => format!("{}.{field}", text(a)),
        },
        Node::Outer { .. } | Node::Aggregate(_) | Node::Over(_) | Node::Subquery(_) => "?".to_owned(),
    }
}
