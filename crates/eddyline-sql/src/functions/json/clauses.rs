//! The clauses of JSON functions: what is done if nothing is found or something is wrong.

use super::Argument;
use crate::row::Value;
use crate::types::{SqlType, TypeKind};

/// What a clause answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Null,
    Error,
    Default(Value),
    EmptyArray,
    EmptyObject,
    True,
    False,
}

/// Whether a value is put into an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapper {
    Without,
    Conditional,
    Unconditional,
}

/// What the clauses of a call say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clauses {
    pub(super) on_empty: Answer,
    pub(super) on_error: Answer,
    pub(super) wrapper: Wrapper,
}

/// Which call has which clauses.
const VALUE: &[&str] = &["NULL ON EMPTY", "ERROR ON EMPTY", "NULL ON ERROR", "ERROR ON ERROR"];
const QUERY: &[&str] = &[
    "NULL ON EMPTY",
    "ERROR ON EMPTY",
    "EMPTY ARRAY ON EMPTY",
    "EMPTY OBJECT ON EMPTY",
    "NULL ON ERROR",
    "ERROR ON ERROR",
    "EMPTY ARRAY ON ERROR",
    "EMPTY OBJECT ON ERROR",
    "WITHOUT WRAPPER",
    "WITHOUT ARRAY WRAPPER",
    "WITH WRAPPER",
    "WITH ARRAY WRAPPER",
    "WITH CONDITIONAL WRAPPER",
    "WITH CONDITIONAL ARRAY WRAPPER",
    "WITH UNCONDITIONAL WRAPPER",
    "WITH UNCONDITIONAL ARRAY WRAPPER",
];
const EXISTS: &[&str] = &["TRUE ON ERROR", "FALSE ON ERROR", "UNKNOWN ON ERROR", "ERROR ON ERROR"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Value,
    Query,
    Exists,
}

impl Call {
    fn words(self) -> &'static [&'static str] {
        match self {
            Call::Value => VALUE,
            Call::Query => QUERY,
            Call::Exists => EXISTS,
        }
    }
}

fn word_of(argument: &Argument) -> &str {
    argument.literal.as_ref().and_then(Value::as_text).unwrap_or_default()
}

/// The types that the clauses are cast to, and the type that is wanted if one says so. A default has the type `wanted`.
pub(super) fn resolve(
    arguments: &[Argument],
    call: Call,
) -> Result<(Vec<SqlType>, Option<TypeKind>), String> {
    let mut params: Vec<SqlType> = Vec::new();
    let mut returning = None;
    let mut defaults = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let word = word_of(argument);
        params.push(TypeKind::STRING.not_null());
        match word {
            "RETURNING" if call != Call::Exists => {
                let wanted = &rest.next().ok_or("needs a type behind RETURNING")?.data_type;
                params.push(wanted.clone());
                returning = Some(wanted.kind.clone());
            }
            "DEFAULT ON EMPTY" | "DEFAULT ON ERROR" if call == Call::Value => {
                rest.next().ok_or("needs a value behind DEFAULT")?;
                defaults.push(params.len());
                params.push(TypeKind::STRING.nullable());
            }
            word if call.words().contains(&word) => {}
            word => return Err(format!("knows no clause {word}")),
        }
    }
    for place in defaults {
        params[place] = returning.clone().unwrap_or(TypeKind::STRING).nullable();
    }
    Ok((params, returning))
}

impl Clauses {
    /// What the arguments behind the path say.
    pub(super) fn of(args: &[Value]) -> Clauses {
        let mut clauses =
            Clauses { on_empty: Answer::Null, on_error: Answer::Null, wrapper: Wrapper::Without };
        let mut rest = args.iter();
        while let Some(word) = rest.next().and_then(Value::as_text) {
            if word == "RETURNING" {
                rest.next();
                continue;
            }
            let Some((answer, when)) = word.split_once(" ON ") else {
                clauses.wrapper = match () {
                    () if word.starts_with("WITHOUT") => Wrapper::Without,
                    () if word.contains(" CONDITIONAL") => Wrapper::Conditional,
                    () => Wrapper::Unconditional,
                };
                continue;
            };
            let answer = match answer {
                "ERROR" => Answer::Error,
                "DEFAULT" => Answer::Default(rest.next().cloned().unwrap_or(Value::Null)),
                "EMPTY ARRAY" => Answer::EmptyArray,
                "EMPTY OBJECT" => Answer::EmptyObject,
                "TRUE" => Answer::True,
                "FALSE" => Answer::False,
                _ => Answer::Null,
            };
            if when == "EMPTY" { clauses.on_empty = answer } else { clauses.on_error = answer }
        }
        clauses
    }
}

impl Answer {
    /// The value of the call; the error `why` if that is wanted.
    pub(super) fn value(&self, why: &str) -> Result<Value, String> {
        Ok(match self {
            Answer::Null => Value::Null,
            Answer::Error => return Err(why.to_owned()),
            Answer::Default(value) => value.clone(),
            Answer::EmptyArray => Value::Text("[]".into()),
            Answer::EmptyObject => Value::Text("{}".into()),
            Answer::True => Value::Bool(true),
            Answer::False => Value::Bool(false),
        })
    }
}
