//! JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_QUOTE and JSON_UNQUOTE.
//!
//! What these make has the type [`TypeKind::JSON_TEXT`], so that one within another goes in as it is.

use super::document::{Json, big_decimal, write_text};
use super::{Argument, CallInfo, Function, Resolved};
use crate::expr::text_format::{value_to_text, write_date, write_double, write_time};
use crate::functions::arity;
use crate::functions::encoding::base64_of;
use crate::functions::signature::{Takes, params, strict, text};
use crate::row::Value;
use crate::types::{SqlType, TypeKind};
use jiff::tz::TimeZone;
use std::fmt::Write;

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    Function::rows("JSON_OBJECT", resolve_object, json_object),
    Function::rows("JSON_ARRAY", resolve_array, json_array),
    Function::strict("JSON_STRING", resolve_string, json_string),
    Function::strict("JSON", resolve_json, json),
    Function::strict("JSON_QUOTE", resolve_quote, |args, _| Ok(Value::Text(quoted(text(args, 0))))),
    Function::strict("JSON_UNQUOTE", resolve_quote, |args, _| Ok(Value::Text(unquoted(text(args, 0))))),
];

/// Whether the last argument is a clause; then whether it leaves NULL out.
fn absent_on_null(last: Option<&Value>) -> Option<bool> {
    match last.and_then(Value::as_text) {
        Some("NULL ON NULL") => Some(false),
        Some("ABSENT ON NULL") => Some(true),
        _ => None,
    }
}

/// The arguments that are values, without the clause.
fn without_clause(arguments: &[Argument]) -> &[Argument] {
    match arguments.split_last() {
        Some((last, values)) if absent_on_null(last.literal.as_ref()).is_some() => values,
        _ => arguments,
    }
}

fn given(arguments: &[Argument]) -> Vec<SqlType> {
    arguments.iter().map(|argument| argument.data_type.clone()).collect()
}

/// Keys and values by turns.
fn resolve_object(arguments: &[Argument]) -> Result<Resolved, String> {
    let values = without_clause(arguments);
    if !values.len().is_multiple_of(2) {
        return Err("takes a value for each key".into());
    }
    for pair in values.chunks(2) {
        let key = &pair[0].data_type;
        if !key.kind.is_text() || key.nullable {
            return Err(format!("takes keys that are texts and not NULL, not {key}"));
        }
        writable(&pair[1].data_type.kind)?;
    }
    Ok(Resolved { params: given(arguments), result: TypeKind::JSON_TEXT.not_null() })
}

fn resolve_array(arguments: &[Argument]) -> Result<Resolved, String> {
    for value in without_clause(arguments) {
        writable(&value.data_type.kind)?;
    }
    Ok(Resolved { params: given(arguments), result: TypeKind::JSON_TEXT.not_null() })
}

fn resolve_string(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=1)?;
    writable(&arguments[0].data_type.kind)?;
    let result = TypeKind::STRING.with_nullability(arguments[0].data_type.nullable);
    Ok(Resolved { params: given(arguments), result })
}

/// Whether values of this type have a form in JSON.
fn writable(kind: &TypeKind) -> Result<(), String> {
    match kind {
        TypeKind::Date | TypeKind::Time(_) | TypeKind::IntervalYearMonth | TypeKind::IntervalDaySecond => {
            Err(format!("finds no form in JSON for {kind}: cast it to STRING"))
        }
        TypeKind::Array(item) => writable(&item.kind),
        TypeKind::Multiset(item) => text_key(&item.kind),
        TypeKind::Map(key, value) => text_key(&key.kind).and_then(|()| writable(&value.kind)),
        TypeKind::Row(fields) => fields.iter().try_for_each(|field| writable(&field.data_type.kind)),
        _ => Ok(()),
    }
}

fn text_key(kind: &TypeKind) -> Result<(), String> {
    if kind.is_text() { Ok(()) } else { Err(format!("takes maps whose keys are texts, not {kind}")) }
}

fn json_object(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let clause = absent_on_null(args.last().filter(|_| !args.len().is_multiple_of(2)));
    let mut out = String::from("{");
    for (pair, types) in args.chunks_exact(2).zip(info.params.chunks_exact(2)) {
        if pair[1].is_null() && clause == Some(true) {
            continue;
        }
        if out.len() > 1 {
            out.push(',');
        }
        write_text(pair[0].as_text().unwrap_or_default(), &mut out);
        out.push(':');
        write_json(&pair[1], &types[1].kind, &info.zone, &mut out);
    }
    out.push('}');
    Ok(Value::Text(out))
}

/// NULL is left out, unless a clause says otherwise.
fn json_array(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let clause = absent_on_null(args.last());
    let values = if clause.is_some() { &args[..args.len() - 1] } else { args };
    let mut out = String::from("[");
    for (value, data_type) in values.iter().zip(&info.params) {
        if value.is_null() && clause != Some(false) {
            continue;
        }
        if out.len() > 1 {
            out.push(',');
        }
        write_json(value, &data_type.kind, &info.zone, &mut out);
    }
    out.push(']');
    Ok(Value::Text(out))
}

fn json_string(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let mut out = String::new();
    let kind = &info.params[0].kind;
    if *kind == TypeKind::JSON_TEXT {
        write_text(text(args, 0), &mut out)
    } else {
        write_json(&args[0], kind, &info.zone, &mut out)
    }
    Ok(Value::Text(out))
}

fn write_json(value: &Value, kind: &TypeKind, zone: &TimeZone, out: &mut String) {
    match (value, kind) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Bool(value), _) => out.push_str(if *value { "true" } else { "false" }),
        (Value::Int(value), kind) if kind.is_timestamp() => write_timestamp(*value, kind, out),
        (Value::Int(value), _) => {
            // Writing to a text never fails.
            let _ = write!(out, "{value}");
        }
        (Value::Float(value), _) if !value.is_finite() => {
            out.push('"');
            write_double(*value, out);
            out.push('"');
        }
        (Value::Float(_) | Value::Decimal(_), kind) => {
            let digits = value_to_text(value, kind, zone);
            out.push_str(&big_decimal(&digits).unwrap_or(digits));
        }
        (Value::Text(text), &TypeKind::JSON_TEXT) => out.push_str(text),
        (Value::Text(text), _) => write_text(text, out),
        (Value::Bytes(bytes), _) => write_text(&base64_of(bytes), out),
        (Value::List(items), TypeKind::Array(item)) => {
            out.push('[');
            for (number, value) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                write_json(value, &item.kind, zone, out);
            }
            out.push(']');
        }
        (Value::Map(entries), TypeKind::Map(_, value_type)) => {
            write_members(
                entries.iter().map(|(key, value)| (key.as_text(), value, &value_type.kind)),
                zone,
                out,
            );
        }
        (Value::Map(entries), _) => {
            write_members(
                entries.iter().map(|(key, count)| (key.as_text(), count, &TypeKind::Int)),
                zone,
                out,
            );
        }
        (Value::Row(values), TypeKind::Row(fields)) => {
            let members = values.iter().zip(fields);
            let members =
                members.map(|(value, field)| (Some(field.name.as_str()), value, &field.data_type.kind));
            write_members(members, zone, out);
        }
        _ => out.push_str("null"),
    }
}

fn write_members<'a>(
    members: impl Iterator<Item = (Option<&'a str>, &'a Value, &'a TypeKind)>,
    zone: &TimeZone,
    out: &mut String,
) {
    out.push('{');
    for (number, (name, value, kind)) in members.enumerate() {
        out.push_str(if number > 0 { "," } else { "" });
        write_text(name.unwrap_or("null"), out);
        out.push(':');
        write_json(value, kind, zone, out);
    }
    out.push('}');
}

/// `2020-01-01T10:00:00.5`, with `Z` behind an instant, which is in UTC.
fn write_timestamp(value: i64, kind: &TypeKind, out: &mut String) {
    const DAY: i128 = 86_400_000_000_000;
    let nanos = if kind.in_nanos() { i128::from(value) } else { i128::from(value) * 1_000 };
    out.push('"');
    write_date(nanos.div_euclid(DAY) as i64, out);
    out.push('T');
    let mut clock = String::new();
    write_time(nanos.rem_euclid(DAY), 9, &mut clock);
    let (seconds, fraction) = clock.split_once('.').unwrap_or((&clock, ""));
    out.push_str(seconds);
    let digits = fraction.trim_end_matches('0');
    if !digits.is_empty() {
        out.push('.');
        out.push_str(digits);
    }
    out.push_str(if matches!(kind, TypeKind::TimestampLtz(_)) { "Z\"" } else { "\"" });
}

/// A text that is JSON, to be put into what is made.
fn resolve_json(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Text], 0)?;
    let result = TypeKind::JSON_TEXT.with_nullability(params[0].nullable);
    Ok(Resolved { params, result })
}

fn json(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let document = Json::parse(text(args, 0)).ok_or_else(|| format!("'{}' is not JSON", text(args, 0)))?;
    Ok(Value::Text(document.to_text(false)))
}

fn resolve_quote(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::STRING)
}

/// In quotes, and all that is not ASCII by its code.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// What stands in the quotes; the text as it is if it is no text of JSON.
fn unquoted(text: &str) -> String {
    let is_quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    match Json::parse(text) {
        Some(Json::Text(inner)) if is_quoted => inner,
        _ => text.to_owned(),
    }
}
