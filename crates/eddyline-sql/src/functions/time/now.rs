//! The current time. It is the same for all rows of a batch.

use super::civil::Moment;
use super::{Argument, CallInfo, Function, Resolved};
use crate::functions::arity;
use crate::row::Value;
use crate::types::TypeKind;

const fn of_now(
    name: &'static str,
    resolve: fn(&[Argument]) -> Result<Resolved, String>,
    eval: fn(&[Value], &CallInfo) -> Result<Value, String>,
) -> Function {
    Function::rows(name, resolve, eval).not_deterministic()
}

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    of_now(
        "CURRENT_DATE",
        |arguments| nothing(arguments, TypeKind::Date),
        |_, info| Ok(Value::Int(local(info).days)),
    ),
    of_now("CURRENT_TIME", |arguments| nothing(arguments, TypeKind::Time(0)), time_of_day),
    of_now("LOCALTIME", |arguments| nothing(arguments, TypeKind::Time(0)), time_of_day),
    of_now(
        "LOCALTIMESTAMP",
        |arguments| nothing(arguments, TypeKind::Timestamp(3)),
        |_, info| Ok(Value::Int(local(info).joined(false) / 1_000 * 1_000)),
    ),
    of_now("CURRENT_TIMESTAMP", instant, this_instant),
    of_now("NOW", instant, this_instant),
    of_now("CURRENT_ROW_TIMESTAMP", instant, this_instant),
    of_now("PROCTIME", instant, this_instant),
];

fn nothing(arguments: &[Argument], result: TypeKind) -> Result<Resolved, String> {
    arity(arguments, 0..=0)?;
    Ok(Resolved { params: Vec::new(), result: result.not_null() })
}

fn instant(arguments: &[Argument]) -> Result<Resolved, String> {
    nothing(arguments, TypeKind::TimestampLtz(3))
}

/// Cut to milliseconds.
fn this_instant(_: &[Value], info: &CallInfo) -> Result<Value, String> {
    Ok(Value::Int(info.now_micros.div_euclid(1_000) * 1_000))
}

fn local(info: &CallInfo) -> Moment {
    Moment::of(info.now_micros, &TypeKind::TimestampLtz(6), &info.zone)
}

fn time_of_day(_: &[Value], info: &CallInfo) -> Result<Value, String> {
    Ok(Value::Int(local(info).nanos / 1_000_000_000 * 1_000))
}
