//! Arrays. Elements are equal if both are NULL; positions count from 1.

use super::signature::{Takes, int_or, params, text, text_or_null};
use super::{Argument, CallInfo, Function, Resolved, any_nullable, arity};
use crate::row::Value;
use crate::types::{SqlType, TypeKind, common_type, common_type_of, implicitly_castable};
use std::collections::HashSet;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("CARDINALITY", resolve_cardinality, |args, _| Ok(Value::Int(count(&args[0])))),
    Function::strict("ELEMENT", resolve_element, element),
    Function::rows("ARRAY_CONTAINS", resolve_contains, |args, _| {
        Ok(of_list(&args[0], |items| Value::Bool(items.contains(&args[1]))))
    }),
    Function::strict("ARRAY_POSITION", resolve_position, |args, _| {
        Ok(of_list(&args[0], |items| {
            Value::Int(items.iter().position(|item| *item == args[1]).map_or(0, |place| place as i64 + 1))
        }))
    }),
    Function::rows("ARRAY_REMOVE", resolve_remove, |args, _| {
        Ok(of_list(&args[0], |items| {
            Value::List(items.iter().filter(|item| **item != args[1]).cloned().collect())
        }))
    }),
    Function::rows("ARRAY_APPEND", resolve_add, |args, _| {
        Ok(of_list(&args[0], |items| Value::List(items.iter().chain([&args[1]]).cloned().collect())))
    }),
    Function::rows("ARRAY_PREPEND", resolve_add, |args, _| {
        Ok(of_list(&args[0], |items| Value::List([&args[1]].into_iter().chain(items).cloned().collect())))
    }),
    Function::strict("ARRAY_CONCAT", resolve_arrays, |args, _| {
        Ok(Value::List(args.iter().flat_map(items_of).cloned().collect()))
    }),
    Function::strict("ARRAY_DISTINCT", resolve_one, |args, _| Ok(distinct(items_of(&args[0]).iter()))),
    Function::strict("ARRAY_UNION", resolve_two, |args, _| {
        Ok(distinct(items_of(&args[0]).iter().chain(items_of(&args[1]))))
    }),
    Function::strict("ARRAY_EXCEPT", resolve_two, |args, _| Ok(restricted(&args[0], &args[1], false))),
    Function::strict("ARRAY_INTERSECT", resolve_two, |args, _| Ok(restricted(&args[0], &args[1], true))),
    Function::strict("ARRAY_REVERSE", resolve_one, |args, _| {
        Ok(Value::List(items_of(&args[0]).iter().rev().cloned().collect()))
    }),
    Function::strict("ARRAY_JOIN", resolve_join, join),
    Function::strict("ARRAY_MAX", resolve_extreme, |args, _| {
        Ok(items_of(&args[0]).iter().max().cloned().unwrap_or(Value::Null))
    }),
    Function::strict("ARRAY_MIN", resolve_extreme, |args, _| {
        let present = items_of(&args[0]).iter().filter(|item| !item.is_null());
        Ok(present.min().cloned().unwrap_or(Value::Null))
    }),
    Function::strict("ARRAY_SLICE", resolve_slice, slice),
    Function::strict("ARRAY_SORT", resolve_sort, sort),
];

fn items_of(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn of_list(value: &Value, make: impl Fn(&[Value]) -> Value) -> Value {
    match value {
        Value::List(items) => make(items),
        _ => Value::Null,
    }
}

fn count(value: &Value) -> i64 {
    match value {
        Value::List(items) => items.len() as i64,
        Value::Map(entries) => entries.len() as i64,
        _ => 0,
    }
}

/// An array, map or multiset.
fn resolve_cardinality(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=1)?;
    let given = &arguments[0].data_type;
    match given.kind {
        TypeKind::Array(_) | TypeKind::Map(..) | TypeKind::Multiset(_) => Ok(Resolved {
            params: vec![given.clone()],
            result: TypeKind::Int.with_nullability(given.nullable),
        }),
        _ => Err(format!("takes an array or a map, not {}", given.kind)),
    }
}

fn item_type(array: &SqlType) -> SqlType {
    match &array.kind {
        TypeKind::Array(item) => (**item).clone(),
        _ => TypeKind::Null.nullable(),
    }
}

fn array_of(item: SqlType, nullable: bool) -> SqlType {
    TypeKind::Array(Box::new(item)).with_nullability(nullable)
}

fn resolve_element(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Array], 0)?;
    let result = item_type(&params[0]).as_nullable();
    Ok(Resolved { params, result })
}

/// The only element; NULL if there is none.
fn element(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    match items_of(&args[0]) {
        [] => Ok(Value::Null),
        [only] => Ok(only.clone()),
        more => Err(format!("takes an array of one element, not of {}", more.len())),
    }
}

/// An array and something that can be an element of it.
fn resolve_within(arguments: &[Argument]) -> Result<Vec<SqlType>, String> {
    let mut params = params(arguments, &[Takes::Array, Takes::Anything], 0)?;
    let item = item_type(&params[0]);
    if implicitly_castable(&params[1].kind, &item.kind)
        && common_type(&params[1], &item).is_some_and(|t| t.kind == item.kind)
    {
        params[1] = item.kind.with_nullability(params[1].nullable);
        return Ok(params);
    }
    // A wider element makes the array wider.
    let common = common_type(&item, &params[1]).ok_or_else(|| {
        format!("finds no {} in {}", arguments[1].data_type.kind, arguments[0].data_type.kind)
    })?;
    params[0] = array_of(common.kind.clone().with_nullability(item.nullable), params[0].nullable);
    params[1] = common.kind.with_nullability(params[1].nullable);
    Ok(params)
}

fn resolve_contains(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = resolve_within(arguments)?;
    let result = TypeKind::Boolean.with_nullability(params[0].nullable);
    Ok(Resolved { params, result })
}

fn resolve_position(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = resolve_within(arguments)?;
    Ok(Resolved { params, result: TypeKind::Int.with_nullability(any_nullable(arguments)) })
}

fn resolve_remove(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = resolve_within(arguments)?;
    Ok(Resolved { result: params[0].clone(), params })
}

fn resolve_add(arguments: &[Argument]) -> Result<Resolved, String> {
    let mut params = resolve_within(arguments)?;
    let mut item = item_type(&params[0]);
    item.nullable |= params[1].nullable;
    params[0] = array_of(item, params[0].nullable);
    Ok(Resolved { result: params[0].clone(), params })
}

/// Arrays of a type that they have in common.
fn resolve_arrays(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=usize::MAX)?;
    super::signature::many(arguments, 1, Takes::Array)?;
    let common = common_type_of(arguments.iter().map(|argument| &argument.data_type))
        .ok_or("takes arrays that have a type in common")?;
    Ok(Resolved { params: vec![common.clone(); arguments.len()], result: common })
}

fn resolve_one(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=1)?;
    resolve_arrays(arguments)
}

fn resolve_two(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 2..=2)?;
    resolve_arrays(arguments)
}

/// Each of `items` once, in the order in which they came.
fn distinct<'a>(items: impl Iterator<Item = &'a Value>) -> Value {
    let mut seen = HashSet::new();
    Value::List(items.filter(|item| seen.insert(*item)).cloned().collect())
}

/// The elements of `one` that are in `other`, or are not, each once.
fn restricted(one: &Value, other: &Value, wanted: bool) -> Value {
    let others: HashSet<&Value> = items_of(other).iter().collect();
    distinct(items_of(one).iter().filter(|item| others.contains(item) == wanted))
}

/// An array of texts, what stands between them, and what stands for NULL.
fn resolve_join(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Array, Takes::Text, Takes::Text], 1)?;
    let item = item_type(&params[0]);
    if !item.kind.is_text() && item.kind != TypeKind::Null {
        return Err(format!("takes an array of texts, not {}", params[0].kind));
    }
    Ok(Resolved { params, result: TypeKind::STRING.with_nullability(any_nullable(arguments)) })
}

/// NULL is left out, unless something stands for it.
fn join(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let for_null = args.get(2).and_then(Value::as_text);
    let parts: Vec<&str> = items_of(&args[0]).iter().filter_map(|item| item.as_text().or(for_null)).collect();
    Ok(text_or_null(Some(parts.join(text(args, 1)))))
}

fn resolve_extreme(arguments: &[Argument]) -> Result<Resolved, String> {
    let resolved = resolve_one(arguments)?;
    let item = item_type(&resolved.params[0]);
    Ok(Resolved { result: item.as_nullable(), params: resolved.params })
}

/// An array, the first position, and the last one; negative ones count from the end.
fn resolve_slice(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Array, Takes::Integer, Takes::Integer], 1)?;
    let nullable = any_nullable(arguments);
    let result = params[0].kind.clone().with_nullability(nullable);
    Ok(Resolved { params, result })
}

fn slice(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let items = items_of(&args[0]);
    let length = items.len() as i64;
    let place = |position: i64| if position < 0 { length + position + 1 } else { position };
    let first = place(int_or(args, 1, 1)).max(1);
    let last = place(int_or(args, 2, length)).min(length);
    if first > last {
        return Ok(Value::List(Vec::new()));
    }
    Ok(Value::List(items[first as usize - 1..last as usize].to_vec()))
}

/// An array, whether it ascends, and whether NULL comes first.
fn resolve_sort(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Array, Takes::Boolean, Takes::Boolean], 2)?;
    let result = params[0].kind.clone().with_nullability(any_nullable(arguments));
    Ok(Resolved { params, result })
}

/// Without a word, NULL comes first if the array ascends.
fn sort(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let flag = |number: usize| args.get(number).map(|flag| *flag == Value::Bool(true));
    let ascending = flag(1).unwrap_or(true);
    let nulls_first = flag(2).unwrap_or(ascending);
    let (nulls, mut sorted): (Vec<Value>, Vec<Value>) =
        items_of(&args[0]).iter().cloned().partition(Value::is_null);
    sorted.sort();
    if !ascending {
        sorted.reverse();
    }
    Ok(Value::List(if nulls_first { [nulls, sorted].concat() } else { [sorted, nulls].concat() }))
}
