//! Text in another form: padded, repeated, reversed, replaced in parts.

use super::columns::{Last, text_at, text_builder};
use super::signature::{Takes, int_or, nullable, strict, text};
use super::text::{byte_of_char, char_count};
use super::{Argument, CallInfo, Function, Resolved, arity};
use crate::row::Value;
use crate::types::{TypeKind, common_type_of};
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use memchr::memmem;
use std::sync::Arc;

/// The longest text that LPAD, RPAD and REPEAT make, in bytes.
const LONGEST_BYTES: usize = 1 << 30;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("LPAD", resolve_pad, |args, _| pad(args, true)),
    Function::strict("RPAD", resolve_pad, |args, _| pad(args, false)),
    Function::strict("REPEAT", resolve_repeat, repeat),
    Function::strict("REVERSE", one_text, |args, _| Ok(Value::Text(text(args, 0).chars().rev().collect()))),
    Function::strict("INITCAP", one_text, |args, _| Ok(Value::Text(capitalised(text(args, 0))))),
    Function::columns("REPLACE", three_texts, replace),
    Function::strict("OVERLAY", resolve_overlay, overlay),
    Function::strict("TRANSLATE", three_texts, |args, _| {
        Ok(Value::Text(translated(text(args, 0), text(args, 1), text(args, 2))))
    }),
    Function::strict("ASCII", resolve_ascii, |args, _| {
        // A byte is signed, as Java's are.
        Ok(Value::Int(text(args, 0).bytes().next().map_or(0, |byte| i64::from(byte as i8))))
    }),
    Function::strict("CHR", resolve_chr, |args, _| Ok(Value::Text(character(int_or(args, 0, 0))))),
    Function::rows("ELT", resolve_elt, elt),
];

fn one_text(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::STRING)
}

fn three_texts(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text, Takes::Text], 0, TypeKind::STRING)
}

fn replace(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    let [texts, sought, instead] = [0, 1, 2].map(|number: usize| columns[number].as_string::<i32>());
    let mut last = Last::new();
    let mut builder = text_builder(texts);
    let mut replaced = String::new();
    for row in 0..rows {
        let (Some(text), Some(wanted), Some(instead)) =
            (text_at(texts, row), text_at(sought, row), text_at(instead, row))
        else {
            builder.append_null();
            continue;
        };
        if wanted.is_empty() {
            builder.append_value(text.replace("", instead));
            continue;
        }
        let finder = last.get(wanted, |wanted| Ok(memmem::Finder::new(wanted).into_owned()))?;
        replaced.clear();
        let mut rest = 0;
        for place in finder.find_iter(text.as_bytes()) {
            replaced.push_str(&text[rest..place]);
            replaced.push_str(instead);
            rest = place + wanted.len();
        }
        replaced.push_str(&text[rest..]);
        builder.append_value(&replaced);
    }
    Ok(Arc::new(builder.finish()))
}

fn resolve_pad(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Integer, Takes::Text], 0, TypeKind::STRING)
}

/// NULL if the length is negative or nothing is there to pad with.
fn pad(args: &[Value], left: bool) -> Result<Value, String> {
    let (base, filler) = (text(args, 0), text(args, 2));
    let Ok(wanted) = usize::try_from(int_or(args, 1, 0)) else { return Ok(Value::Null) };
    if filler.is_empty() {
        return Ok(Value::Null);
    }
    let count = char_count(base);
    if wanted <= count {
        return Ok(Value::Text(base[..byte_of_char(base, wanted)].to_owned()));
    }
    if wanted.saturating_mul(4) > LONGEST_BYTES {
        return Err(format!("a text of {wanted} characters is too long"));
    }
    let padding: String = filler.chars().cycle().take(wanted - count).collect();
    Ok(Value::Text(if left { padding + base } else { base.to_owned() + &padding }))
}

fn resolve_repeat(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Integer], 0, TypeKind::STRING)
}

fn repeat(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let part = text(args, 0);
    let times = usize::try_from(int_or(args, 1, 0)).unwrap_or(0);
    if part.len().saturating_mul(times) > LONGEST_BYTES {
        return Err(format!("{times} times a text of {} bytes is too long", part.len()));
    }
    Ok(Value::Text(part.repeat(times)))
}

/// Words are runs of ASCII letters and digits, as Calcite has it.
fn capitalised(text: &str) -> String {
    let mut begins = true;
    let letters = text.chars().map(|letter| {
        let result = if begins { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
        begins = !letter.is_ascii_alphanumeric();
        result
    });
    letters.collect()
}

fn resolve_overlay(arguments: &[Argument]) -> Result<Resolved, String> {
    let takes = [Takes::Text, Takes::Text, Takes::Integer, Takes::Integer];
    strict(arguments, &takes, 1, TypeKind::STRING)
}

/// The text with `length` characters from `start` on replaced; as it is if it does not reach to `start`.
fn overlay(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let (base, patch) = (text(args, 0), text(args, 1));
    let start = int_or(args, 2, 1);
    let length = int_or(args, 3, char_count(patch) as i64);
    let count = char_count(base) as i64;
    if start <= 0 || start > count {
        return Ok(Value::Text(base.to_owned()));
    }
    let mut result = base[..byte_of_char(base, (start - 1) as usize)].to_owned();
    result.push_str(patch);
    if length > 0 && start.saturating_add(length) <= count {
        result.push_str(&base[byte_of_char(base, (start - 1 + length) as usize)..]);
    }
    Ok(Value::Text(result))
}

/// Each character of `from` becomes the one of `to` in its place, or nothing if there is none; the first counts.
fn translated(text: &str, from: &str, to: &str) -> String {
    let changes: Vec<(char, Option<char>)> =
        from.chars().enumerate().map(|(place, c)| (c, to.chars().nth(place))).collect();
    let change = |c: char| match changes.iter().find(|(known, _)| *known == c) {
        Some((_, new)) => *new,
        None => Some(c),
    };
    text.chars().filter_map(change).collect()
}

fn resolve_ascii(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::Int)
}

fn resolve_chr(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Integer], 0, TypeKind::STRING)
}

fn character(code: i64) -> String {
    if code < 0 { String::new() } else { char::from((code & 0xff) as u8).to_string() }
}

/// A number and at least one text or run of bytes.
fn resolve_elt(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 2..=usize::MAX)?;
    let common = common_type_of(arguments[1..].iter().map(|argument| &argument.data_type));
    let index = &arguments[0].data_type;
    match common {
        Some(common) if (common.kind.is_text() || common.kind.is_bytes()) && index.kind.is_integer() => {
            let kind = if common.kind.is_text() { TypeKind::STRING } else { TypeKind::BYTES };
            let mut params = vec![kind.clone().nullable(); arguments.len()];
            params[0] = index.clone();
            Ok(Resolved { params, result: kind.nullable() })
        }
        _ => Err("takes a whole number, and then texts or bytes".into()),
    }
}

fn elt(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let chosen = args[0].as_int().filter(|index| *index > 0).and_then(|index| args.get(index as usize));
    Ok(chosen.cloned().unwrap_or(Value::Null))
}
