//! JSON_VALUE, JSON_QUERY, JSON_EXISTS and IS JSON.

use super::clauses::{Answer, Call, Clauses, Wrapper, resolve};
use super::document::Json;
use super::path::{Mode, Path};
use super::{Argument, CallInfo, Function, Resolved};
use crate::functions::arity;
use crate::functions::signature::{Takes, params, text};
use crate::row::Value;
use crate::types::TypeKind;
use std::cell::RefCell;
use std::rc::Rc;

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    Function::rows("JSON_VALUE", resolve_value, json_value),
    Function::rows("JSON_QUERY", resolve_query, json_query),
    Function::rows("JSON_EXISTS", resolve_exists, json_exists),
    Function::rows("IS JSON", resolve_is_json, is_json),
];

/// The text, the path, and clauses of `call`.
fn resolve_path(arguments: &[Argument], call: Call) -> Result<(Resolved, Option<TypeKind>), String> {
    arity(arguments, 2..=usize::MAX)?;
    let mut params = params(&arguments[..2], &[Takes::Text, Takes::Text], 0)?;
    if let Some(path) = arguments[1].literal.as_ref().and_then(Value::as_text) {
        Path::parse(path)?;
    }
    let (clauses, returning) = resolve(&arguments[2..], call)?;
    params.extend(clauses);
    Ok((Resolved { params, result: TypeKind::STRING.nullable() }, returning))
}

fn resolve_value(arguments: &[Argument]) -> Result<Resolved, String> {
    let (mut resolved, returning) = resolve_path(arguments, Call::Value)?;
    match returning {
        None => {}
        Some(kind)
            if kind.is_text() || matches!(kind, TypeKind::Boolean | TypeKind::Int | TypeKind::Double) =>
        {
            resolved.result = kind.nullable();
        }
        Some(kind) => return Err(format!("returns STRING, BOOLEAN, INT or DOUBLE, not {kind}")),
    }
    Ok(resolved)
}

fn resolve_query(arguments: &[Argument]) -> Result<Resolved, String> {
    let (mut resolved, returning) = resolve_path(arguments, Call::Query)?;
    match returning {
        None => {}
        Some(kind) if kind.is_text() => {}
        Some(TypeKind::Array(item)) if item.kind.is_text() => {
            resolved.result = TypeKind::Array(item).nullable()
        }
        Some(kind) => return Err(format!("returns STRING or ARRAY<STRING>, not {kind}")),
    }
    Ok(resolved)
}

fn resolve_exists(arguments: &[Argument]) -> Result<Resolved, String> {
    let (resolved, _) = resolve_path(arguments, Call::Exists)?;
    Ok(Resolved { result: TypeKind::Boolean.nullable(), params: resolved.params })
}

/// The path of a call, which is a constant as a rule.
fn path_of(text: &str) -> Result<Rc<Path>, String> {
    thread_local! {
        static LAST: RefCell<Option<(String, Rc<Path>)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((known, path)) if known == text => Ok(path.clone()),
        _ => {
            let path = Rc::new(Path::parse(text)?);
            *last = Some((text.to_owned(), path.clone()));
            Ok(path)
        }
    })
}

/// What the path of a call finds, the mode of the path, and why nothing could be sought.
fn found(args: &[Value]) -> Result<(Result<Option<Json>, String>, Mode), String> {
    let path = path_of(text(args, 1))?;
    let found = match Json::parse(text(args, 0)) {
        Some(document) => path.find(&document),
        None => Err("the text is not JSON".into()),
    };
    Ok((found, path.mode))
}

fn json_value(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    if args[0].is_null() || args[1].is_null() {
        return Ok(Value::Null);
    }
    let clauses = Clauses::of(&args[2..]);
    let (found, mode) = found(args)?;
    let why = match found {
        Ok(Some(value)) if value.is_scalar() => match scalar(&value, &info.result.kind) {
            Some(value) => return Ok(value),
            None => format!("{} is no {}", value.to_text(true), info.result.kind),
        },
        Ok(Some(_)) if mode == Mode::Strict => "the path leads to an array or object".to_owned(),
        Ok(_) => return clauses.on_empty.value("the path leads to nothing that is a scalar"),
        Err(why) => why,
    };
    clauses.on_error.value(&why)
}

fn scalar(value: &Json, wanted: &TypeKind) -> Option<Value> {
    match (value, wanted) {
        (Json::Bool(value), TypeKind::Boolean) => Some(Value::Bool(*value)),
        (Json::Number(digits), TypeKind::Int) => {
            digits.parse::<i32>().ok().map(|number| Value::Int(i64::from(number)))
        }
        (Json::Number(digits), TypeKind::Double) => digits.parse().ok().map(Value::Float),
        (Json::Text(text), wanted) if wanted.is_text() => Some(Value::Text(text.clone())),
        (value, wanted) if wanted.is_text() => Some(Value::Text(value.to_text(true))),
        _ => None,
    }
}

fn json_query(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    if args[0].is_null() || args[1].is_null() {
        return Ok(Value::Null);
    }
    let clauses = Clauses::of(&args[2..]);
    let (found, mode) = found(args)?;
    let wrapped = found.map(|found| {
        found.map(|value| match clauses.wrapper {
            Wrapper::Unconditional => Json::Array(vec![value]),
            Wrapper::Conditional if !matches!(value, Json::Array(_)) => Json::Array(vec![value]),
            _ => value,
        })
    });
    let as_array = matches!(info.result.kind, TypeKind::Array(_));
    let answer = |answer: &Answer, why: &str| match (answer, as_array) {
        (Answer::EmptyArray, true) => Ok(Value::List(Vec::new())),
        (answer, _) => answer.value(why),
    };
    let why = match wrapped {
        Ok(Some(Json::Array(items))) if as_array => {
            return Ok(Value::List(items.iter().map(item_text).collect()));
        }
        Ok(Some(value)) if !value.is_scalar() && !as_array => return Ok(Value::Text(value.to_text(true))),
        Ok(None) => return answer(&clauses.on_empty, "the path leads to nothing"),
        Ok(Some(value)) if mode == Mode::Lax && value.is_scalar() => {
            return answer(&clauses.on_empty, "the path leads to a scalar");
        }
        Ok(Some(_)) => "the path leads to something else than it should".to_owned(),
        Err(why) => why,
    };
    answer(&clauses.on_error, &why)
}

fn item_text(item: &Json) -> Value {
    match item {
        Json::Null => Value::Null,
        Json::Text(text) => Value::Text(text.clone()),
        item => Value::Text(item.to_text(true)),
    }
}

fn json_exists(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    if args[0].is_null() || args[1].is_null() {
        return Ok(Value::Null);
    }
    let mut clauses = Clauses::of(&args[2..]);
    if args.len() == 2 {
        clauses.on_error = Answer::False;
    }
    let (found, _) = found(args)?;
    match found {
        Ok(found) => Ok(Value::Bool(found.is_some())),
        Err(why) => clauses.on_error.value(&why),
    }
}

/// A text, and VALUE, SCALAR, ARRAY or OBJECT.
fn resolve_is_json(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Text, Takes::Text], 1)?;
    Ok(Resolved { params, result: TypeKind::Boolean.not_null() })
}

fn is_json(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let document = args[0].as_text().and_then(Json::parse);
    let kind = args.get(1).and_then(Value::as_text).unwrap_or("VALUE");
    Ok(Value::Bool(document.is_some_and(|document| match kind {
        "SCALAR" => document.is_scalar(),
        "ARRAY" => matches!(document, Json::Array(_)),
        "OBJECT" => matches!(document, Json::Object(_)),
        _ => true,
    })))
}
