//! Where in a text something is, and the parts between separators. Positions count characters, from 1.

use super::columns::{int_of, text_at, text_builder};
use super::java_regex::JavaRegex;
use super::signature::{Takes, int_or, many, mismatch, nullable, params, strict, text};
use super::text::{byte_of_char, char_count};
use super::{Argument, CallInfo, Function, Resolved, arity};
use crate::row::{ColumnView, Value};
use crate::types::TypeKind;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("POSITION", resolve_position, locate),
    Function::strict("LOCATE", resolve_position, locate),
    Function::strict("INSTR", resolve_instr, instr),
    Function::strict("STARTSWITH", resolve_affix, |args, _| Ok(Value::Bool(begins(&args[0], &args[1])))),
    Function::strict("ENDSWITH", resolve_affix, |args, _| Ok(Value::Bool(ends(&args[0], &args[1])))),
    Function::columns("SPLIT_INDEX", resolve_split_index, split_index),
    Function::strict("SPLIT", resolve_split, split),
    Function::strict("STR_TO_MAP", resolve_str_to_map, str_to_map),
    Function::rows("IS_ALPHA", resolve_test, |args, _| {
        Ok(Value::Bool(args[0].as_text().is_some_and(|text| all(text, char::is_alphabetic))))
    }),
    Function::rows("IS_DIGIT", resolve_test, |args, _| Ok(Value::Bool(is_digit(&args[0])))),
    Function::rows("IS_DECIMAL", resolve_test, |args, _| Ok(Value::Bool(is_decimal(&args[0])))),
];

/// What is sought, where, and from which position on.
fn resolve_position(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text, Takes::Integer], 1, TypeKind::Int)
}

fn locate(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let from = usize::try_from(int_or(args, 2, 1) - 1).unwrap_or(0);
    Ok(Value::Int(position(text(args, 0), text(args, 1), from)))
}

/// The position of `sought`, behind `skipped` characters at least; 0 if there is none.
fn position(sought: &str, within: &str, skipped: usize) -> i64 {
    if sought.is_empty() {
        return 1;
    }
    let start = byte_of_char(within, skipped);
    match within[start..].find(sought) {
        Some(found) => char_count(&within[..start + found]) as i64 + 1,
        None => 0,
    }
}

/// Where, what, from which position on, and which of the appearances.
fn resolve_instr(arguments: &[Argument]) -> Result<Resolved, String> {
    let takes = [Takes::Text, Takes::Text, Takes::Integer, Takes::Integer];
    strict(arguments, &takes, 2, TypeKind::Int)
}

fn instr(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let (within, sought) = (text(args, 0), text(args, 1));
    let (start, appearance) = (int_or(args, 2, 1), int_or(args, 3, 1));
    if appearance <= 0 {
        return Err(format!("there is no appearance {appearance}: they count from 1"));
    }
    if start >= 0 {
        return Ok(Value::Int(appearance_of(sought, within, start, appearance)));
    }
    // From the end: the same in a mirror.
    let mirror = |text: &str| text.chars().rev().collect::<String>();
    let found = appearance_of(&mirror(sought), &mirror(within), -start, appearance);
    let (length, width) = (char_count(within) as i64, char_count(sought) as i64);
    Ok(Value::Int(if found == 0 { 0 } else { length + 2 - found - width }))
}

fn appearance_of(sought: &str, within: &str, start: i64, appearance: i64) -> i64 {
    if start == 0 {
        return 0;
    }
    let (mut skipped, mut found) = ((start - 1) as usize, 0);
    for _ in 0..appearance {
        found = position(sought, within, skipped);
        if found == 0 || sought.is_empty() {
            return found;
        }
        skipped = found as usize;
    }
    found
}

fn resolve_affix(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text], 0, TypeKind::Boolean).or_else(|refused| {
        strict(arguments, &[Takes::Bytes, Takes::Bytes], 0, TypeKind::Boolean).map_err(|_| refused)
    })
}

fn begins(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Text(whole), Value::Text(part)) => whole.starts_with(part.as_str()),
        (Value::Bytes(whole), Value::Bytes(part)) => whole.starts_with(part),
        _ => false,
    }
}

fn ends(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Text(whole), Value::Text(part)) => whole.ends_with(part.as_str()),
        (Value::Bytes(whole), Value::Bytes(part)) => whole.ends_with(part),
        _ => false,
    }
}

/// The separator is a text or the code of a character.
fn resolve_split_index(arguments: &[Argument]) -> Result<Resolved, String> {
    let by_code = [Takes::Text, Takes::Integer, Takes::Integer];
    nullable(arguments, &[Takes::Text, Takes::Text, Takes::Integer], 0, TypeKind::STRING)
        .or_else(|refused| nullable(arguments, &by_code, 0, TypeKind::STRING).map_err(|_| refused))
}

fn split_index(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    let texts = columns[0].as_string::<i32>();
    let (separators, indices) = (ColumnView::new(&columns[1]), ColumnView::new(&columns[2]));
    let is_text = info.params[1].kind.is_text();
    let mut builder = text_builder(texts);
    let mut code = [0u8; 4];
    for row in 0..rows {
        let separator = if is_text {
            separators.text(row)
        } else {
            let known = separators.int(row).and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0);
            known.map(|known| &*char::from(known).encode_utf8(&mut code))
        };
        let index = int_of(Some(&indices), row, 0).and_then(|index| usize::try_from(index).ok());
        let part = match (text_at(texts, row), separator, index) {
            // An empty text has no parts.
            (Some(text), Some(separator), Some(index)) if !text.is_empty() => {
                part_between(text, separator, index)
            }
            _ => None,
        };
        builder.append_option(part);
    }
    Ok(Arc::new(builder.finish()))
}

fn part_between<'a>(text: &'a str, separator: &str, index: usize) -> Option<&'a str> {
    if separator.is_empty() {
        return text.split(char::is_whitespace).nth(index);
    }
    match separator.as_bytes() {
        [single] => part_between_bytes(text, *single, index),
        _ => text.split(separator).nth(index),
    }
}

/// The part number `index` between ASCII separators: parts are short, so bytes are looked at one by one.
fn part_between_bytes(text: &str, separator: u8, index: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    let (mut start, mut passed) = (0, 0);
    for (place, byte) in bytes.iter().enumerate() {
        if *byte == separator {
            if passed == index {
                return Some(&text[start..place]);
            }
            passed += 1;
            start = place + 1;
        }
    }
    (passed == index).then(|| &text[start..])
}

fn resolve_split(arguments: &[Argument]) -> Result<Resolved, String> {
    let item = TypeKind::STRING.nullable();
    strict(arguments, &[Takes::Text, Takes::Text], 0, TypeKind::Array(Box::new(item)))
}

fn split(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let (whole, separator) = (text(args, 0), text(args, 1));
    let part = |part: &str| Value::Text(part.to_owned());
    if whole.is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    Ok(Value::List(if separator.is_empty() {
        whole.chars().map(|letter| Value::Text(letter.to_string())).collect()
    } else {
        whole.split(separator).map(part).collect()
    }))
}

fn resolve_str_to_map(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=3)?;
    if arguments.len() == 2 {
        return Err("takes one argument or three, not 2".into());
    }
    let params = many(arguments, 1, Takes::Text)?;
    let text = Box::new(TypeKind::STRING.nullable());
    let result = TypeKind::Map(text.clone(), text).nullable();
    Ok(Resolved { params, result })
}

/// The separators are regular expressions. A part without the second one is a key whose value is NULL.
fn str_to_map(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let pattern = |number: usize, default: &'static str| match args.get(number) {
        Some(given) => given.as_text().unwrap_or_default().to_owned(),
        None => default.to_owned(),
    };
    let between_pairs = JavaRegex::cached(&pattern(1, ","))?;
    let between_both = JavaRegex::cached(&pattern(2, "="))?;
    let whole = text(args, 0);
    if whole.is_empty() {
        return Ok(Value::Map(Vec::new()));
    }
    let mut pairs = between_pairs.split(whole);
    // Empty parts at the end do not count, as in Java.
    while pairs.last().is_some_and(|last| last.is_empty()) {
        pairs.pop();
    }
    let mut entries: Vec<(Value, Value)> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let (key, value) = match between_both.find(pair) {
            Some(found) => (&pair[..found.start], Value::Text(pair[found.end..].to_owned())),
            None => (pair, Value::Null),
        };
        let key = Value::Text(key.to_owned());
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    Ok(Value::Map(entries))
}

/// A text or a number; FALSE for NULL.
fn resolve_test(arguments: &[Argument]) -> Result<Resolved, String> {
    let accepted =
        [Takes::Text, Takes::Number].into_iter().find_map(|takes| params(arguments, &[takes], 0).ok());
    let params = accepted.ok_or_else(|| mismatch(arguments, &[Takes::Text]))?;
    Ok(Resolved { params, result: TypeKind::Boolean.not_null() })
}

fn all(text: &str, holds: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(holds)
}

fn is_digit(value: &Value) -> bool {
    match value {
        Value::Text(text) => all(text, char::is_numeric),
        value => matches!(value, Value::Int(_)),
    }
}

fn is_decimal(value: &Value) -> bool {
    match value {
        Value::Text(text) => !text.is_empty() && crate::expr::text_parse::float(text).is_some(),
        // A DECIMAL is none, for Flink.
        value => matches!(value, Value::Int(_) | Value::Float(_)),
    }
}
