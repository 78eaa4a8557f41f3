//! What functions take: the short way to write a `resolve`.

use super::{Argument, Resolved, any_nullable, arity};
use crate::row::Value;
use crate::types::{SqlType, TypeKind};

/// What an argument has to be, and so what it is cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Cast to STRING.
    Text,
    /// Cast to BYTES.
    Bytes,
    /// Stays of the integer type that it has.
    Integer,
    /// A number that is not approximate: stays as it is.
    Exact,
    /// Any number: stays as it is.
    Number,
    /// Any number, cast to DOUBLE.
    Double,
    Boolean,
    /// A date, time or timestamp: stays as it is.
    Temporal,
    /// A date or timestamp: stays as it is.
    Day,
    Array,
    Map,
    Anything,
}

impl Takes {
    fn words(self) -> &'static str {
        match self {
            Takes::Text => "a text",
            Takes::Bytes => "bytes",
            Takes::Integer => "a whole number",
            Takes::Exact => "an exact number",
            Takes::Number | Takes::Double => "a number",
            Takes::Boolean => "a truth value",
            Takes::Temporal => "a date, time or timestamp",
            Takes::Day => "a date or timestamp",
            Takes::Array => "an array",
            Takes::Map => "a map",
            Takes::Anything => "anything",
        }
    }

    /// What an argument of type `given` is cast to; none if it is something else.
    fn param(self, given: &SqlType) -> Option<SqlType> {
        let kind = &given.kind;
        if *kind == TypeKind::Null {
            // A bare NULL is taken for whatever is wanted.
            let kind = match self {
                Takes::Text => TypeKind::STRING,
                Takes::Bytes => TypeKind::BYTES,
                Takes::Integer | Takes::Exact | Takes::Number => TypeKind::Int,
                Takes::Double => TypeKind::Double,
                Takes::Boolean => TypeKind::Boolean,
                Takes::Temporal | Takes::Day => TypeKind::Timestamp(3),
                Takes::Array => TypeKind::Array(Box::new(TypeKind::Null.nullable())),
                Takes::Map => {
                    TypeKind::Map(Box::new(TypeKind::Null.nullable()), Box::new(TypeKind::Null.nullable()))
                }
                Takes::Anything => TypeKind::Null,
            };
            return Some(kind.nullable());
        }
        let as_is = |holds: bool| holds.then(|| given.clone());
        let cast = |holds: bool, to: TypeKind| holds.then(|| to.with_nullability(given.nullable));
        match self {
            Takes::Text => cast(kind.is_text(), TypeKind::STRING),
            Takes::Bytes => cast(kind.is_bytes(), TypeKind::BYTES),
            Takes::Integer => as_is(kind.is_integer()),
            Takes::Exact => as_is(kind.is_exact()),
            Takes::Number => as_is(kind.is_numeric()),
            Takes::Double => cast(kind.is_numeric(), TypeKind::Double),
            Takes::Boolean => as_is(*kind == TypeKind::Boolean),
            Takes::Temporal => as_is(kind.is_temporal()),
            Takes::Day => as_is(kind.is_timestamp() || *kind == TypeKind::Date),
            Takes::Array => as_is(matches!(kind, TypeKind::Array(_))),
            Takes::Map => as_is(matches!(kind, TypeKind::Map(..))),
            Takes::Anything => Some(given.clone()),
        }
    }
}

/// What the arguments are cast to, the last `optional` of which may be missing.
pub(super) fn params(
    arguments: &[Argument],
    takes: &[Takes],
    optional: usize,
) -> Result<Vec<SqlType>, String> {
    arity(arguments, takes.len() - optional..=takes.len())?;
    let cast = arguments.iter().zip(takes).map(|(argument, takes)| takes.param(&argument.data_type));
    cast.collect::<Option<_>>().ok_or_else(|| mismatch(arguments, takes))
}

/// Says what is taken and what was given.
pub(super) fn mismatch(arguments: &[Argument], takes: &[Takes]) -> String {
    let words: Vec<&str> = takes.iter().take(arguments.len()).map(|takes| takes.words()).collect();
    let given: Vec<String> = arguments.iter().map(|argument| argument.data_type.kind.to_string()).collect();
    format!("takes {}, not {}", words.join(" and "), given.join(" and "))
}

/// A result that is NULL only if an argument is.
pub(super) fn strict(
    arguments: &[Argument],
    takes: &[Takes],
    optional: usize,
    result: TypeKind,
) -> Result<Resolved, String> {
    let params = params(arguments, takes, optional)?;
    Ok(Resolved { params, result: result.with_nullability(any_nullable(arguments)) })
}

/// A result that may be NULL although no argument is.
pub(super) fn nullable(
    arguments: &[Argument],
    takes: &[Takes],
    optional: usize,
    result: TypeKind,
) -> Result<Resolved, String> {
    Ok(Resolved { params: params(arguments, takes, optional)?, result: result.nullable() })
}

/// Any number of arguments of one sort, at least `least`.
pub(super) fn many(arguments: &[Argument], least: usize, takes: Takes) -> Result<Vec<SqlType>, String> {
    arity(arguments, least..=usize::MAX)?;
    params(arguments, &vec![takes; arguments.len()], 0)
}

/// The text of argument `number`, which is one by the signature.
pub(super) fn text(values: &[Value], number: usize) -> &str {
    values.get(number).and_then(Value::as_text).unwrap_or_default()
}

/// The whole number of argument `number`; `default` if there is no such argument.
pub(super) fn int_or(values: &[Value], number: usize, default: i64) -> i64 {
    values.get(number).and_then(Value::as_int).unwrap_or(default)
}

/// The double of argument `number`.
pub(super) fn float(values: &[Value], number: usize) -> f64 {
    match values.get(number) {
        Some(Value::Float(value)) => *value,
        Some(Value::Int(value)) => *value as f64,
        _ => 0.0,
    }
}

/// A text, or NULL if there is none.
pub(super) fn text_or_null(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}
