//! Maps. Of equal keys the last one counts.

use super::signature::{Takes, many, params};
use super::{Argument, CallInfo, Function, Resolved, any_nullable};
use crate::row::Value;
use crate::types::{RowField, SqlType, TypeKind, common_type_of};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("MAP_KEYS", resolve_keys, |args, _| {
        Ok(Value::List(entries_of(&args[0]).iter().map(|(key, _)| key.clone()).collect()))
    }),
    Function::strict("MAP_VALUES", resolve_values, |args, _| {
        Ok(Value::List(entries_of(&args[0]).iter().map(|(_, value)| value.clone()).collect()))
    }),
    Function::strict("MAP_ENTRIES", resolve_entries, |args, _| {
        let entries = entries_of(&args[0]).iter();
        Ok(Value::List(entries.map(|(key, value)| Value::Row(vec![key.clone(), value.clone()])).collect()))
    }),
    Function::strict("MAP_FROM_ARRAYS", resolve_from_arrays, from_arrays),
    Function::strict("MAP_UNION", resolve_union, |args, _| {
        Ok(united(args.iter().flat_map(|map| entries_of(map).iter().cloned())))
    }),
];

fn entries_of(value: &Value) -> &[(Value, Value)] {
    match value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// The types of keys and values of the only argument.
fn entry_types(arguments: &[Argument]) -> Result<(Vec<SqlType>, SqlType, SqlType), String> {
    let params = params(arguments, &[Takes::Map], 0)?;
    let TypeKind::Map(key, value) = params[0].kind.clone() else { return Err("takes a map".into()) };
    Ok((params, *key, *value))
}

fn array_of(item: SqlType, arguments: &[Argument]) -> SqlType {
    TypeKind::Array(Box::new(item)).with_nullability(any_nullable(arguments))
}

fn resolve_keys(arguments: &[Argument]) -> Result<Resolved, String> {
    let (params, key, _) = entry_types(arguments)?;
    Ok(Resolved { params, result: array_of(key, arguments) })
}

fn resolve_values(arguments: &[Argument]) -> Result<Resolved, String> {
    let (params, _, value) = entry_types(arguments)?;
    Ok(Resolved { params, result: array_of(value, arguments) })
}

fn resolve_entries(arguments: &[Argument]) -> Result<Resolved, String> {
    let (params, key, value) = entry_types(arguments)?;
    let field = |name: &str, data_type: SqlType| RowField { name: name.to_owned(), data_type };
    let row = TypeKind::Row(vec![field("key", key), field("value", value)]);
    Ok(Resolved { params, result: array_of(row.nullable(), arguments) })
}

/// An array of keys, and one of values that is as long.
fn resolve_from_arrays(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Array, Takes::Array], 0)?;
    let item = |number: usize| match &params[number].kind {
        TypeKind::Array(item) => item.clone(),
        _ => Box::new(TypeKind::Null.nullable()),
    };
    let result = TypeKind::Map(item(0), item(1)).with_nullability(any_nullable(arguments));
    Ok(Resolved { params, result })
}

fn from_arrays(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let (Value::List(keys), Value::List(values)) = (&args[0], &args[1]) else { return Ok(Value::Null) };
    if keys.len() != values.len() {
        return Err(format!("takes as many values as keys, not {} of {}", values.len(), keys.len()));
    }
    Ok(united(keys.iter().cloned().zip(values.iter().cloned())))
}

fn resolve_union(arguments: &[Argument]) -> Result<Resolved, String> {
    many(arguments, 1, Takes::Map)?;
    let common = common_type_of(arguments.iter().map(|argument| &argument.data_type))
        .ok_or("takes maps that have a type in common")?;
    Ok(Resolved { params: vec![common.clone(); arguments.len()], result: common })
}

/// A key stays where it was first.
fn united(entries: impl Iterator<Item = (Value, Value)>) -> Value {
    let mut union: Vec<(Value, Value)> = Vec::new();
    for (key, value) in entries {
        match union.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => union.push((key, value)),
        }
    }
    Value::Map(union)
}
