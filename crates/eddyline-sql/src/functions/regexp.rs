//! Functions of regular expressions. A pattern that is wrong gives NULL, or FALSE, as in Flink; one that needs what
//! the engine has not is an error.

use super::columns::{Last, bools, int_of, text_at, text_bytes};
use super::java_regex::JavaRegex;
use super::memo::Memo;
use super::signature::{Takes, int_or, nullable, strict, text, text_or_null};
use super::text::char_count;
use super::{Argument, CallInfo, Function, Resolved};
use crate::row::{ColumnView, Value};
use crate::types::TypeKind;
use arrow_array::ArrayRef;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::columns("REGEXP", resolve_regexp, regexp),
    Function::columns("REGEXP_EXTRACT", resolve_extract, regexp_extract),
    Function::strict("REGEXP_EXTRACT_ALL", resolve_extract_all, regexp_extract_all),
    Function::strict("REGEXP_REPLACE", resolve_replace, regexp_replace),
    Function::strict("REGEXP_COUNT", resolve_number, regexp_count),
    Function::strict("REGEXP_INSTR", resolve_number, regexp_instr),
    Function::strict("REGEXP_SUBSTR", resolve_substr, regexp_substr),
];

fn resolve_regexp(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text], 0, TypeKind::Boolean)
}

fn regexp(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut last = Last::new();
    bools(rows, |row| {
        let (Some(text), Some(pattern)) = (text_at(texts, row), text_at(patterns, row)) else {
            return Ok(None);
        };
        if pattern.is_empty() {
            return Ok(Some(false));
        }
        let regex = last.get(pattern, JavaRegex::cached)?;
        Ok(Some(regex.valid().is_some_and(|regex| regex.is_match(text))))
    })
}

fn resolve_extract(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Text, Takes::Integer], 1, TypeKind::STRING)
}

/// A group of the first match, which is the whole match if none is named.
fn regexp_extract(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let groups = columns.get(2).map(ColumnView::new);
    let group_at = |row: usize| int_of(groups.as_ref(), row, 0).and_then(|group| usize::try_from(group).ok());
    let mut builder = StringBuilder::with_capacity(rows, text_bytes(texts) / 2);
    // A run of rows with the same pattern and group: mostly all rows.
    let mut first = 0;
    while first < rows {
        let (Some(pattern), Some(group)) = (text_at(patterns, first), group_at(first)) else {
            builder.append_null();
            first += 1;
            continue;
        };
        let is_same = |row: &usize| text_at(patterns, *row) == Some(pattern) && group_at(*row) == Some(group);
        let end = match info.constant[1..].iter().all(|constant| *constant) {
            true => rows,
            false => (first..rows).find(|row| !is_same(row)).unwrap_or(rows),
        };
        let compiled = JavaRegex::cached(pattern)?;
        match compiled.valid() {
            Some(regex) => {
                let name = format!("{group} {pattern}");
                let mut memo = Memo::take(&name);
                let mut places = regex.capture_locations();
                let mut find = |text: &str| match group {
                    0 => regex.find(text).map(|found| (found.start(), found.end())),
                    _ => regex.captures_read(&mut places, text).and_then(|_| places.get(group)),
                };
                for row in first..end {
                    let part = text_at(texts, row).and_then(|text| {
                        let (start, end) = memo.part(text, &mut find)?;
                        Some(&text[start..end])
                    });
                    builder.append_option(part);
                }
                memo.keep(name);
            }
            None => (first..end).for_each(|_| builder.append_null()),
        }
        first = end;
    }
    Ok(Arc::new(builder.finish()))
}

fn resolve_extract_all(arguments: &[Argument]) -> Result<Resolved, String> {
    let item = Box::new(TypeKind::STRING.nullable());
    nullable(arguments, &[Takes::Text, Takes::Text, Takes::Integer], 1, TypeKind::Array(item))
}

/// The first group of every match, or the one that is named.
fn regexp_extract_all(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let compiled = JavaRegex::cached(text(args, 1))?;
    let group = usize::try_from(int_or(args, 2, 1)).ok();
    let (Some(regex), Some(group)) = (compiled.valid(), group) else { return Ok(Value::Null) };
    if group >= regex.captures_len() {
        return Ok(Value::Null);
    }
    let matches = regex.captures_iter(text(args, 0));
    let items =
        matches.map(|found| text_or_null(found.get(group).map(|part| part.as_str().to_owned()))).collect();
    Ok(Value::List(items))
}

fn resolve_replace(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Text, Takes::Text], 0, TypeKind::STRING)
}

/// What replaces is taken as it is: `$1` means no group.
fn regexp_replace(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let compiled = JavaRegex::cached(text(args, 1))?;
    let Some(regex) = compiled.valid() else { return Ok(Value::Null) };
    let replaced = regex.replace_all(text(args, 0), regex::NoExpand(text(args, 2)));
    Ok(Value::Text(replaced.into_owned()))
}

fn resolve_number(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Text], 0, TypeKind::Int)
}

fn regexp_count(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let compiled = JavaRegex::cached(text(args, 1))?;
    let count = compiled.valid().map(|regex| regex.find_iter(text(args, 0)).count() as i64);
    Ok(count.map_or(Value::Null, Value::Int))
}

fn regexp_instr(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let compiled = JavaRegex::cached(text(args, 1))?;
    let Some(regex) = compiled.valid() else { return Ok(Value::Null) };
    let whole = text(args, 0);
    let found = regex.find(whole).map_or(0, |found| char_count(&whole[..found.start()]) as i64 + 1);
    Ok(Value::Int(found))
}

fn resolve_substr(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Text], 0, TypeKind::STRING)
}

fn regexp_substr(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let compiled = JavaRegex::cached(text(args, 1))?;
    let found = compiled.valid().and_then(|regex| regex.find(text(args, 0)));
    Ok(text_or_null(found.map(|found| found.as_str().to_owned())))
}
