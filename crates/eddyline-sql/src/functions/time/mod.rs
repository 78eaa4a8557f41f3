//! Dates, times and timestamps.

mod arithmetic;
mod civil;
mod convert;
mod extract;
mod now;
mod overlaps;
mod pattern;
mod pattern_parse;
mod round;

use super::{Argument, CallInfo, Function, Resolved};

pub(super) const FAMILIES: [&[Function]; 5] =
    [arithmetic::FUNCTIONS, convert::FUNCTIONS, extract::FUNCTIONS, now::FUNCTIONS, overlaps::FUNCTIONS];

pub(super) use round::{is_rounding_of_time, resolve_round, rounded_time};

use crate::row::Value;

/// The unit of time that an argument names: it has to be known when the call is planned.
fn unit_argument(argument: &Argument) -> Result<&str, String> {
    argument.literal.as_ref().and_then(Value::as_text).ok_or_else(|| "takes a unit of time first".to_owned())
}
