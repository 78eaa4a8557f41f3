//! The library of scalar functions: a file per family, one table.
//!
//! A function says what types it takes and gives (`resolve`) and how values are computed (`eval`). The planner casts
//! the arguments to the types that `resolve` answers, so `eval` sees exactly those.

mod array;
mod columns;
mod conditional;
mod encoding;
mod hash;
mod java_regex;
mod json;
mod like;
mod map;
mod math;
mod math_functions;
mod memo;
mod numerals;
mod printf;
mod random;
mod regexp;
mod registry;
mod signature;
#[cfg(test)]
mod tests;
mod text;
mod text_search;
mod text_shape;
mod time;
mod type_name;
mod url;

pub(crate) use registry::{find, names};

use crate::row::Value;
use crate::types::SqlType;
use arrow_array::ArrayRef;
use jiff::tz::TimeZone;

/// What is known of an argument when a call is planned.
#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub(crate) data_type: SqlType,
    /// Its value, if it is a constant. Words that a function takes as they are (`SECOND`, `LEADING`) are texts.
    pub(crate) literal: Option<Value>,
}

/// The types that a call works with.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// What each argument is cast to.
    pub(crate) params: Vec<SqlType>,
    pub(crate) result: SqlType,
}

/// What a function may know while it computes.
#[derive(Debug, Clone)]
pub(crate) struct CallInfo {
    pub(crate) params: Vec<SqlType>,
    pub(crate) result: SqlType,
    /// Which arguments are the same in all rows, as they were written.
    pub(crate) constant: Vec<bool>,
    /// The session's time zone.
    pub(crate) zone: TimeZone,
    /// The current time, microseconds since the epoch: fixed for a batch of rows.
    pub(crate) now_micros: i64,
}

/// How a function computes.
#[derive(Clone, Copy)]
pub(crate) enum Eval {
    /// Row by row; NULL whenever an argument is NULL.
    Strict(fn(&[Value], &CallInfo) -> Result<Value, String>),
    /// Row by row, NULL or not.
    Rows(fn(&[Value], &CallInfo) -> Result<Value, String>),
    /// Whole columns of so many rows.
    Columns(fn(&[ArrayRef], usize, &CallInfo) -> Result<ArrayRef, String>),
}

/// Answers the types of a call, or why there is no such call: `expects a text and a number`.
pub(crate) type Resolve = fn(&[Argument]) -> Result<Resolved, String>;

/// A scalar function.
pub(crate) struct Function {
    /// In upper case.
    pub(crate) name: &'static str,
    pub(crate) resolve: Resolve,
    pub(crate) eval: Eval,
    /// Whether equal arguments always give equal results, so that constant calls are computed once.
    pub(crate) deterministic: bool,
}

impl Function {
    pub(crate) const fn strict(
        name: &'static str,
        resolve: Resolve,
        eval: fn(&[Value], &CallInfo) -> Result<Value, String>,
    ) -> Self {
        Function { name, resolve, eval: Eval::Strict(eval), deterministic: true }
    }

    pub(crate) const fn rows(
        name: &'static str,
        resolve: Resolve,
        eval: fn(&[Value], &CallInfo) -> Result<Value, String>,
    ) -> Self {
        Function { name, resolve, eval: Eval::Rows(eval), deterministic: true }
    }

    pub(crate) const fn columns(
        name: &'static str,
        resolve: Resolve,
        eval: fn(&[ArrayRef], usize, &CallInfo) -> Result<ArrayRef, String>,
    ) -> Self {
        Function { name, resolve, eval: Eval::Columns(eval), deterministic: true }
    }

    pub(crate) const fn not_deterministic(mut self) -> Self {
        self.deterministic = false;
        self
    }
}

/// Whether any argument may be NULL: then a strict function's result may be, too.
pub(crate) fn any_nullable(arguments: &[Argument]) -> bool {
    arguments.iter().any(|argument| argument.data_type.nullable)
}

/// `count` arguments, no more and no less.
pub(crate) fn arity(arguments: &[Argument], counts: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    if counts.contains(&arguments.len()) {
        return Ok(());
    }
    let (least, most) = (counts.start(), counts.end());
    Err(match () {
        () if least == most => format!("takes {least} arguments, not {}", arguments.len()),
        () if *most == usize::MAX => format!("takes at least {least} arguments, not {}", arguments.len()),
        () => format!("takes {least} to {most} arguments, not {}", arguments.len()),
    })
}
