//! `(start, end) OVERLAPS (start, end)`, as a call with four arguments. An end may be the interval from the start to it.

use super::{Argument, CallInfo, Function, Resolved};
use crate::expr::arithmetic::add_interval;
use crate::functions::signature::int_or;
use crate::functions::{any_nullable, arity};
use crate::row::Value;
use crate::types::{TypeKind, common_type_of};

pub(in crate::functions) const FUNCTIONS: &[Function] =
    &[Function::strict("OVERLAPS", resolve_overlaps, overlaps)];

fn resolve_overlaps(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 4..=4)?;
    let points = arguments.iter().filter(|argument| !argument.data_type.kind.is_interval());
    let common =
        common_type_of(points.map(|argument| &argument.data_type)).filter(|common| common.kind.is_temporal());
    let starts = [&arguments[0], &arguments[2]];
    match common {
        Some(common) if starts.iter().all(|start| !start.data_type.kind.is_interval()) => {
            let param = |argument: &Argument| {
                let given = &argument.data_type;
                if given.kind.is_interval() {
                    given.clone()
                } else {
                    common.kind.clone().with_nullability(given.nullable)
                }
            };
            let result = TypeKind::Boolean.with_nullability(any_nullable(arguments));
            Ok(Resolved { params: arguments.iter().map(param).collect(), result })
        }
        _ => Err("takes two points of time, each with another one or an interval behind".into()),
    }
}

fn overlaps(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let period = |first: usize| {
        let (start, kind) = (int_or(args, first, 0), &info.params[first].kind);
        let (end, end_kind) = (int_or(args, first + 1, 0), &info.params[first + 1].kind);
        let end = if end_kind.is_interval() { add_interval(start, kind, end, end_kind) } else { end };
        (start.min(end), start.max(end))
    };
    let ((start, end), (other_start, other_end)) = (period(0), period(2));
    Ok(Value::Bool(end >= other_start && other_end >= start))
}
