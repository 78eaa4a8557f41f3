//! OVER calls.

use super::expr::ExprBinder;
use super::functions;
use crate::expr::{Node, Typed};
use crate::parser::ast::{self, Bound, Call, Over, WindowSpec};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{Column, Frame, FrameBound, Op, OverCall, OverFunction, OverGroup, Rel};
use crate::row::{SortOrder, Value};
use crate::types::{SqlType, TypeKind};

/// An OVER call whose parts are still expressions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OverSpec {
    function: OverFunction,
    args: Vec<Typed>,
    filter: Option<Typed>,
    partition: Vec<Typed>,
    order: Vec<(Typed, bool, bool)>,
    frame: Frame,
    result: SqlType,
}

impl OverSpec {
    /// Rewrites all expressions of the call.
    pub(super) fn rewrite(&mut self, rewrite: &mut dyn FnMut(&mut Typed) -> SqlResult<()>) -> SqlResult<()> {
        let order = self.order.iter_mut().map(|(typed, ..)| typed);
        self.args
            .iter_mut()
            .chain(&mut self.filter)
            .chain(&mut self.partition)
            .chain(order)
            .try_for_each(rewrite)
    }
}

const WHOLE: Frame =
    Frame { rows: false, preceding: FrameBound::Unbounded, following: FrameBound::Unbounded };
const RUNNING: Frame =
    Frame { rows: false, preceding: FrameBound::Unbounded, following: FrameBound::Current };
const RUNNING_ROWS: Frame =
    Frame { rows: true, preceding: FrameBound::Unbounded, following: FrameBound::Current };

impl ExprBinder<'_, '_> {
    pub(super) fn over_call(&mut self, call: &Call, name: &str, span: Span) -> SqlResult<Typed> {
        let Some(mut overs) = self.found.overs.take() else {
            return Err(SqlError::at(span, format!("{} cannot hold an OVER call", self.found.place))
                .hint("OVER belongs into SELECT, QUALIFY or ORDER BY; put it into a sub-query"));
        };
        let spec = self.over_spec(call, name, span);
        let result = spec.map(|spec| {
            let number = overs.iter().position(|known| *known == spec).unwrap_or_else(|| {
                overs.push(spec.clone());
                overs.len() - 1
            });
            Typed::new(Node::Over(number), spec.result)
        });
        self.found.overs = Some(overs);
        result
    }

    fn window_of_call(&self, over: &Over) -> SqlResult<WindowSpec> {
        let named = |name: &ast::Ident| {
            let found = self.windows.iter().find(|(known, _)| known.name == name.name);
            found
                .map(|(_, spec)| spec.clone())
                .ok_or_else(|| SqlError::at(name.span, format!("there is no window `{}`", name.name)))
        };
        match over {
            Over::Named(name) => named(name),
            Over::Spec(spec) => match &spec.base {
                None => Ok(spec.clone()),
                Some(base) => {
                    let mut merged = named(base)?;
                    if merged.partition_by.is_empty() {
                        merged.partition_by.clone_from(&spec.partition_by);
                    }
                    if merged.order_by.is_empty() {
                        merged.order_by.clone_from(&spec.order_by);
                    }
                    merged.frame = spec.frame.clone().or(merged.frame);
                    Ok(merged)
                }
            },
        }
    }

    fn over_spec(&mut self, call: &Call, name: &str, span: Span) -> SqlResult<OverSpec> {
        let Some(over) = &call.over else { return Err(SqlError::at(span, "OVER is missing")) };
        let window = self.window_of_call(over)?;
        let partition = self.bind_all(&window.partition_by)?;
        let order = self.order_items(&window.order_by)?;
        let count = TypeKind::BigInt.not_null();
        let mut filter = None;
        let (function, args, result, frame) = match name {
            "ROW_NUMBER" => (OverFunction::RowNumber, Vec::new(), count, RUNNING_ROWS),
            "RANK" => (OverFunction::Rank, Vec::new(), count, RUNNING_ROWS),
            "DENSE_RANK" => (OverFunction::DenseRank, Vec::new(), count, RUNNING_ROWS),
            "PERCENT_RANK" => (OverFunction::PercentRank, Vec::new(), TypeKind::Double.not_null(), WHOLE),
            "CUME_DIST" => (OverFunction::CumeDist, Vec::new(), TypeKind::Double.not_null(), WHOLE),
            "NTILE" => (OverFunction::Ntile, self.bind_all(&call.args)?, count, WHOLE),
            "LAG" | "LEAD" => self.shift(call, name, span)?,
            _ => {
                let Some(function) = functions::aggregate(name) else {
                    return Err(SqlError::at(span, format!("{name} cannot be used with OVER")));
                };
                let spec = self.aggregate_spec(function, call, span)?;
                filter = spec.filter;
                let frame = self.frame(&window, !order.is_empty())?;
                let result = match function {
                    crate::plan::AggregateFunction::Count => count,
                    _ => spec.result.as_nullable(),
                };
                (OverFunction::Aggregate(function, spec.distinct), spec.args, result, frame)
            }
        };
        if order.is_empty() && matches!(function, OverFunction::Rank | OverFunction::DenseRank) {
            return Err(SqlError::at(span, format!("{name} needs an ORDER BY in its OVER clause")));
        }
        Ok(OverSpec { function, args, filter, partition, order, frame, result })
    }

    fn shift(
        &mut self,
        call: &Call,
        name: &str,
        span: Span,
    ) -> SqlResult<(OverFunction, Vec<Typed>, SqlType, Frame)> {
        let args = self.bind_all(&call.args)?;
        let sign = if name == "LAG" { 1 } else { -1 };
        let distance = match args.get(1).map(|arg| arg.as_literal()) {
            None => 1,
            Some(Some(Value::Int(distance))) => *distance,
            Some(_) => {
                return Err(SqlError::at(
                    span,
                    format!("the second argument of {name} is a constant number"),
                ));
            }
        };
        let Some(value) = args.first().cloned() else {
            return Err(SqlError::at(span, format!("{name} takes an argument")));
        };
        let mut result = value.data_type.as_nullable();
        let mut kept = vec![value];
        if let Some(default) = args.get(2).cloned() {
            let common =
                crate::types::common_type(&kept[0].data_type, &default.data_type).ok_or_else(|| {
                    SqlError::at(span, format!("the default of {name} is of another type than its value"))
                })?;
            result.nullable = common.nullable;
            result.kind = common.kind.clone();
            kept[0] = super::cast_to(kept[0].clone(), &common.kind, &self.binder.context);
            kept.push(super::cast_to(default, &common.kind, &self.binder.context));
        }
        // As in Flink, rows of one time see each other.
        Ok((OverFunction::Shift(sign * distance), kept, result, RUNNING))
    }

    fn frame(&mut self, window: &WindowSpec, ordered: bool) -> SqlResult<Frame> {
        let Some(frame) = &window.frame else {
            // Without ORDER BY all rows of the partition, else all up to the row and its peers.
            let following = if ordered { FrameBound::Current } else { FrameBound::Unbounded };
            return Ok(Frame { rows: false, preceding: FrameBound::Unbounded, following });
        };
        let wrong = |span| {
            SqlError::at(span, "this frame is not possible").hint("use BETWEEN … PRECEDING AND CURRENT ROW")
        };
        let mut distance = |expr: &ast::Expr| -> SqlResult<i64> {
            let typed = self.bind(expr)?;
            match (typed.as_literal(), &typed.data_type.kind, frame.rows) {
                (Some(Value::Int(count)), kind, true) if kind.is_integer() && *count >= 0 => Ok(*count),
                (Some(Value::Int(millis)), TypeKind::IntervalDaySecond, false) if *millis >= 0 => Ok(*millis),
                (Some(Value::Int(count)), kind, false) if kind.is_integer() && *count >= 0 => Ok(*count),
                _ => Err(SqlError::at(
                    expr.span,
                    "the frame's bound is a constant: a number of rows, or an interval of time",
                )),
            }
        };
        // Bounds as distances back, so that a frame may lie wholly before or behind the row.
        let preceding = match &frame.start {
            Bound::UnboundedPreceding => FrameBound::Unbounded,
            Bound::CurrentRow => FrameBound::Current,
            Bound::Preceding(expr) => FrameBound::Offset(distance(expr)?),
            Bound::Following(expr) => FrameBound::Offset(-distance(expr)?),
            Bound::UnboundedFollowing => return Err(wrong(window.span)),
        };
        let following = match &frame.end {
            Bound::UnboundedFollowing => FrameBound::Unbounded,
            Bound::CurrentRow => FrameBound::Current,
            Bound::Following(expr) => FrameBound::Offset(distance(expr)?),
            Bound::Preceding(expr) => FrameBound::Offset(-distance(expr)?),
            Bound::UnboundedPreceding => return Err(wrong(window.span)),
        };
        Ok(Frame { rows: frame.rows, preceding, following })
    }
}

/// Puts the OVER calls `specs` on top of `rel`; answers the place of each among the columns.
pub(super) fn over(rel: Rel, specs: Vec<OverSpec>) -> (Rel, Vec<usize>) {
    let width = rel.columns.len();
    let mut more: Vec<Typed> = Vec::new();
    let mut place = |typed: &Typed| -> usize {
        if let Some(column) = typed.as_column() {
            return column;
        }
        width
            + more.iter().position(|known| known == typed).unwrap_or_else(|| {
                more.push(typed.clone());
                more.len() - 1
            })
    };
    let mut groups: Vec<OverGroup> = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::new();
    for spec in &specs {
        let partition: Vec<usize> = spec.partition.iter().map(&mut place).collect();
        let order: Vec<SortOrder> = spec
            .order
            .iter()
            .map(|(typed, descending, nulls_first)| SortOrder {
                column: place(typed),
                descending: *descending,
                nulls_first: *nulls_first,
            })
            .collect();
        let call = OverCall {
            function: spec.function.clone(),
            args: spec.args.iter().map(&mut place).collect(),
            filter: spec.filter.as_ref().map(&mut place),
            result: spec.result.clone(),
        };
        let same = |group: &OverGroup| {
            group.partition == partition && group.order == order && group.frame == spec.frame
        };
        let number = groups.iter().position(same).unwrap_or_else(|| {
            groups.push(OverGroup {
                partition: partition.clone(),
                order: order.clone(),
                frame: spec.frame,
                calls: Vec::new(),
            });
            groups.len() - 1
        });
        groups[number].calls.push(call);
        places.push((number, groups[number].calls.len() - 1));
    }
    let rel = if more.is_empty() { rel } else { rel.append(more) };
    let mut columns = rel.columns.clone();
    let mut firsts = Vec::new();
    for group in &groups {
        firsts.push(columns.len());
        columns.extend(
            group
                .calls
                .iter()
                .enumerate()
                .map(|(number, call)| Column::new(format!("$w{number}"), call.result.clone())),
        );
    }
    let places = places.into_iter().map(|(group, call)| firsts[group] + call).collect();
    (Rel::new(Op::Over { input: rel, groups }, columns), places)
}
