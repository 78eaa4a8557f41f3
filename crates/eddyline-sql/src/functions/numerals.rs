//! Numbers in other bases.

use super::signature::{Takes, int_or, mismatch, nullable, strict, text};
use super::{Argument, CallInfo, Function, Resolved};
use crate::row::Value;
use crate::types::TypeKind;
use std::fmt::Write;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("BIN", resolve_bin, |args, _| Ok(Value::Text(format!("{:b}", int_or(args, 0, 0))))),
    Function::strict("HEX", resolve_hex, |args, _| Ok(Value::Text(hex(&args[0])))),
    Function::strict("UNHEX", resolve_unhex, unhex),
];

fn resolve_bin(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Integer], 0, TypeKind::STRING)
}

/// A whole number or a text.
fn resolve_hex(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Integer], 0, TypeKind::STRING)
        .or_else(|_| strict(arguments, &[Takes::Text], 0, TypeKind::STRING))
        .map_err(|_| mismatch(arguments, &[Takes::Text]))
}

fn hex(value: &Value) -> String {
    match value {
        Value::Int(number) => format!("{number:X}"),
        value => hex_of(value.as_text().unwrap_or_default().as_bytes(), true),
    }
}

/// Two digits for each byte.
pub(super) fn hex_of(bytes: &[u8], upper: bool) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a text never fails.
        let _ = if upper { write!(digits, "{byte:02X}") } else { write!(digits, "{byte:02x}") };
    }
    digits
}

fn resolve_unhex(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text], 0, TypeKind::BYTES)
}

/// NULL if there is anything but digits. Of an odd number of digits the first makes a byte that is zero.
fn unhex(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let digits = text(args, 0).as_bytes();
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let (first, pairs) = digits.split_at(digits.len() % 2);
    let first = first.iter().map(|first| digit(first).map(|_| 0));
    let bytes = first.chain(pairs.chunks_exact(2).map(|pair| Some(digit(&pair[0])? << 4 | digit(&pair[1])?)));
    Ok(bytes.collect::<Option<Vec<u8>>>().map_or(Value::Null, Value::Bytes))
}
