//! Text as a whole: its case, its length, its parts and joints. Positions and lengths count characters.

use super::columns::{int_of, ints, map_ascii, map_texts, text_at, text_builder, text_bytes};
use super::signature::{Takes, many, mismatch, nullable, strict};
use super::{Argument, CallInfo, Function, Resolved, any_nullable, arity};
use crate::row::{ColumnBuilder, ColumnView, Value, views_of};
use crate::types::{TypeKind, common_type_of};
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use std::fmt::Write;
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::columns("UPPER", one_text, |columns, _, _| Ok(upper(&columns[0]))),
    Function::columns("LOWER", one_text, |columns, _, _| Ok(lower(&columns[0]))),
    Function::columns("CHAR_LENGTH", length, char_length),
    Function::columns("CHARACTER_LENGTH", length, char_length),
    Function::columns("LENGTH", length, char_length),
    Function::columns("SUBSTRING", resolve_substring, substring),
    Function::columns("SUBSTR", resolve_substring, substring),
    Function::columns("LEFT", resolve_side, |columns, rows, _| Ok(side(columns, rows, true))),
    Function::columns("RIGHT", resolve_side, |columns, rows, _| Ok(side(columns, rows, false))),
    Function::columns("TRIM", resolve_trim, trim),
    Function::columns("LTRIM", resolve_trims, |columns, rows, _| Ok(trims(columns, rows, true, false))),
    Function::columns("RTRIM", resolve_trims, |columns, rows, _| Ok(trims(columns, rows, false, true))),
    Function::columns("BTRIM", resolve_trims, |columns, rows, _| Ok(trims(columns, rows, true, true))),
    Function::columns("CONCAT", resolve_concat, |columns, rows, _| Ok(concat_texts(columns, rows))),
    Function::columns("||", resolve_joint, joint),
    Function::columns("CONCAT_WS", resolve_concat_ws, concat_ws),
];

/// The result has the type of the text.
fn one_text(arguments: &[Argument]) -> Result<Resolved, String> {
    let resolved = strict(arguments, &[Takes::Text], 0, TypeKind::STRING)?;
    let given = &arguments[0].data_type;
    Ok(if given.kind.is_text() {
        Resolved { params: vec![given.clone()], result: given.clone() }
    } else {
        resolved
    })
}

fn upper(column: &ArrayRef) -> ArrayRef {
    map_ascii(column, <[u8]>::make_ascii_uppercase)
        .unwrap_or_else(|| map_texts(column, |text, out| out.append_value(text.to_uppercase())))
}

fn lower(column: &ArrayRef) -> ArrayRef {
    map_ascii(column, <[u8]>::make_ascii_lowercase)
        .unwrap_or_else(|| map_texts(column, |text, out| out.append_value(text.to_lowercase())))
}

fn length(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::Int)
}

fn char_length(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    let texts = columns[0].as_string::<i32>();
    Ok(ints(rows, |row| text_at(texts, row).map(|text| char_count(text) as i32)))
}

/// The number of characters.
pub(super) fn char_count(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// The byte at which character `number` begins; the end if there are fewer.
pub(super) fn byte_of_char(text: &str, number: usize) -> usize {
    if text.is_ascii() {
        return number.min(text.len());
    }
    text.char_indices().nth(number).map_or(text.len(), |(byte, _)| byte)
}

fn resolve_substring(arguments: &[Argument]) -> Result<Resolved, String> {
    let kind = match arguments.first().map(|text| &text.data_type.kind) {
        Some(TypeKind::Char(length) | TypeKind::VarChar(length)) => TypeKind::VarChar(*length),
        _ => TypeKind::STRING,
    };
    nullable(arguments, &[Takes::Text, Takes::Integer, Takes::Integer], 1, kind)
}

fn substring(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    let texts = columns[0].as_string::<i32>();
    let starts = ColumnView::new(&columns[1]);
    let lengths = columns.get(2).map(ColumnView::new);
    let mut builder = text_builder(texts);
    for row in 0..rows {
        let part = match (text_at(texts, row), starts.int(row), int_of(lengths.as_ref(), row, i64::MAX)) {
            (Some(text), Some(start), Some(length)) => part_of(text, start, length),
            _ => None,
        };
        builder.append_option(part);
    }
    Ok(Arc::new(builder.finish()))
}

/// `length` characters from character `start`, which counts from 1, or from the end if it is negative. None if the
/// length is negative.
pub(super) fn part_of(text: &str, start: i64, length: i64) -> Option<&str> {
    if length < 0 {
        return None;
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let skipped = if start > 0 {
        usize::try_from(start - 1).unwrap_or(usize::MAX)
    } else if start == 0 {
        0
    } else {
        let from_end = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
        match char_count(text).checked_sub(from_end) {
            Some(skipped) => skipped,
            None => return Some(""),
        }
    };
    let rest = &text[byte_of_char(text, skipped)..];
    Some(&rest[..byte_of_char(rest, length)])
}

fn resolve_side(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Integer], 0, TypeKind::STRING)
}

fn side(columns: &[ArrayRef], rows: usize, left: bool) -> ArrayRef {
    let texts = columns[0].as_string::<i32>();
    let lengths = ColumnView::new(&columns[1]);
    let mut builder = text_builder(texts);
    for row in 0..rows {
        let (Some(text), Some(length)) = (text_at(texts, row), lengths.int(row)) else {
            builder.append_null();
            continue;
        };
        let length = usize::try_from(length).unwrap_or(0);
        builder.append_value(if left {
            &text[..byte_of_char(text, length)]
        } else {
            &text[byte_of_char(text, char_count(text).saturating_sub(length))..]
        });
    }
    Arc::new(builder.finish())
}

/// Side, what, text.
fn resolve_trim(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text, Takes::Text], 0, TypeKind::STRING)
}

fn trim(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    let sides = columns[0].as_string::<i32>();
    let (what, texts) = (columns[1].as_string::<i32>(), columns[2].as_string::<i32>());
    let mut builder = text_builder(texts);
    for row in 0..rows {
        let trimmed = match (text_at(sides, row), text_at(what, row), text_at(texts, row)) {
            (Some(side), Some(what), Some(text)) => {
                Some(trimmed(text, what, side != "TRAILING", side != "LEADING"))
            }
            _ => None,
        };
        builder.append_option(trimmed);
    }
    Ok(Arc::new(builder.finish()))
}

fn resolve_trims(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text], 1, TypeKind::STRING)
}

fn trims(columns: &[ArrayRef], rows: usize, left: bool, right: bool) -> ArrayRef {
    let texts = columns[0].as_string::<i32>();
    let what = columns.get(1).map(|column| column.as_string::<i32>());
    let mut builder = text_builder(texts);
    for row in 0..rows {
        let what = match what {
            Some(what) => text_at(what, row),
            None => Some(" "),
        };
        let both = text_at(texts, row).zip(what);
        builder.append_option(both.map(|(text, what)| trimmed(text, what, left, right)));
    }
    Arc::new(builder.finish())
}

/// `text` without the characters that are in `what`, at its ends.
fn trimmed<'a>(text: &'a str, what: &str, left: bool, right: bool) -> &'a str {
    let is_gone = |c: char| what.contains(c);
    let text = if left { text.trim_start_matches(is_gone) } else { text };
    if right { text.trim_end_matches(is_gone) } else { text }
}

fn resolve_concat(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = many(arguments, 1, Takes::Text)?;
    Ok(Resolved { params, result: TypeKind::STRING.with_nullability(any_nullable(arguments)) })
}

fn concat_texts(columns: &[ArrayRef], rows: usize) -> ArrayRef {
    let texts: Vec<_> = columns.iter().map(|column| column.as_string::<i32>()).collect();
    let bytes: usize = texts.iter().map(|texts| text_bytes(texts)).sum();
    let mut builder = StringBuilder::with_capacity(rows, bytes);
    for row in 0..rows {
        if texts.iter().any(|texts| texts.is_null(row)) {
            builder.append_null();
            continue;
        }
        for texts in &texts {
            // Writing to a builder never fails.
            let _ = builder.write_str(texts.value(row));
        }
        builder.append_value("");
    }
    Arc::new(builder.finish())
}

/// Two texts, two runs of bytes, or two arrays.
fn resolve_joint(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 2..=2)?;
    let types = [&arguments[0].data_type, &arguments[1].data_type];
    let all = |holds: fn(&TypeKind) -> bool| {
        types.iter().all(|given| given.kind == TypeKind::Null || holds(&given.kind))
    };
    if all(TypeKind::is_text) {
        let kind = match (&types[0].kind, &types[1].kind) {
            (TypeKind::Char(one), TypeKind::Char(other)) => TypeKind::Char(one.saturating_add(*other)),
            (
                TypeKind::Char(one) | TypeKind::VarChar(one),
                TypeKind::Char(other) | TypeKind::VarChar(other),
            ) => TypeKind::VarChar(one.saturating_add(*other)),
            _ => TypeKind::STRING,
        };
        return strict(arguments, &[Takes::Text, Takes::Text], 0, kind);
    }
    if all(TypeKind::is_bytes) {
        return strict(arguments, &[Takes::Bytes, Takes::Bytes], 0, TypeKind::BYTES);
    }
    if all(|kind| matches!(kind, TypeKind::Array(_)))
        && let Some(result) = common_type_of(types)
    {
        return Ok(Resolved { params: vec![result.clone(), result.clone()], result });
    }
    Err(mismatch(arguments, &[Takes::Text, Takes::Text]))
}

fn joint(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    if info.result.kind.is_text() {
        return Ok(concat_texts(columns, rows));
    }
    let views = views_of(columns);
    let mut builder = ColumnBuilder::new(&info.result.kind);
    for row in 0..rows {
        builder.append(&match (views[0].value(row), views[1].value(row)) {
            (Value::Bytes(mut one), Value::Bytes(other)) => {
                one.extend(other);
                Value::Bytes(one)
            }
            (Value::List(mut one), Value::List(other)) => {
                one.extend(other);
                Value::List(one)
            }
            _ => Value::Null,
        });
    }
    Ok(builder.finish())
}

fn resolve_concat_ws(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = many(arguments, 2, Takes::Text)?;
    Ok(Resolved { params, result: TypeKind::STRING.with_nullability(arguments[0].data_type.nullable) })
}

/// Arguments that are NULL are left out; the separator must not be NULL.
fn concat_ws(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    let texts: Vec<_> = columns.iter().map(|column| column.as_string::<i32>()).collect();
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    for row in 0..rows {
        let Some(separator) = text_at(texts[0], row) else {
            builder.append_null();
            continue;
        };
        let mut is_first = true;
        for part in texts[1..].iter().filter_map(|texts| text_at(texts, row)) {
            if !is_first {
                let _ = builder.write_str(separator);
            }
            is_first = false;
            let _ = builder.write_str(part);
        }
        builder.append_value("");
    }
    Ok(Arc::new(builder.finish()))
}
