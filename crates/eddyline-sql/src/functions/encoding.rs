//! Texts as bytes and bytes as texts.

use super::signature::{Takes, strict, text};
use super::{Argument, CallInfo, Function, Resolved};
use crate::row::Value;
use crate::types::TypeKind;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("TO_BASE64", resolve_base64, to_base64),
    Function::strict("FROM_BASE64", resolve_base64, from_base64),
    Function::strict("ENCODE", resolve_encode, encode),
    Function::strict("DECODE", resolve_decode, decode),
];

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A text or bytes.
fn resolve_base64(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::STRING)
        .or_else(|refused| strict(arguments, &[Takes::Bytes], 0, TypeKind::STRING).map_err(|_| refused))
}

fn bytes_of(value: &Value) -> &[u8] {
    match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        _ => &[],
    }
}

fn to_base64(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    Ok(Value::Text(base64_of(bytes_of(&args[0]))))
}

pub(super) fn base64_of(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .enumerate()
            .fold(0u32, |group, (place, byte)| group | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            let is_there = place <= chunk.len();
            let digit = DIGITS[(group >> (18 - 6 * place) & 63) as usize];
            out.push(if is_there { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Padding may be missing at the end, but nothing else is taken.
fn from_base64(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let given = bytes_of(&args[0]);
    let digits = given.strip_suffix(b"==").or_else(|| given.strip_suffix(b"=")).unwrap_or(given);
    let is_padded = digits.len() < given.len();
    if (is_padded && !given.len().is_multiple_of(4)) || digits.len() % 4 == 1 {
        return Err("the text has a wrong number of base64 digits".into());
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut group = 0u32;
        for (place, digit) in chunk.iter().enumerate() {
            let value = DIGITS.iter().position(|known| known == digit);
            let value = value.ok_or_else(|| format!("{:?} is no base64 digit", char::from(*digit)))?;
            group |= (value as u32) << (18 - 6 * place);
        }
        bytes.extend((0..chunk.len() - 1).map(|place| (group >> (16 - 8 * place)) as u8));
    }
    Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A text and the name of a character set.
fn resolve_encode(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text], 0, TypeKind::BYTES)
}

/// Bytes and the name of a character set.
fn resolve_decode(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Bytes, Takes::Text], 0, TypeKind::STRING)
}

fn unknown(name: &str) -> String {
    format!("knows no character set {name}: take US-ASCII, ISO-8859-1, UTF-8, UTF-16, UTF-16BE or UTF-16LE")
}

/// What a set has no code for is a question mark.
fn encode(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let (whole, name) = (text(args, 0), text(args, 1));
    let single = |most: u32| whole.chars().map(|c| if (c as u32) <= most { c as u8 } else { b'?' }).collect();
    let bytes: Vec<u8> = match name.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => whole.as_bytes().to_vec(),
        "US-ASCII" | "ASCII" => single(0x7f),
        "ISO-8859-1" | "LATIN1" => single(0xff),
        "UTF-16BE" => whole.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF-16LE" => whole.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16" => [0xfeff].into_iter().chain(whole.encode_utf16()).flat_map(u16::to_be_bytes).collect(),
        _ => return Err(unknown(name)),
    };
    Ok(Value::Bytes(bytes))
}

/// What is no code of the set is the replacement character.
fn decode(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let (bytes, name) = (bytes_of(&args[0]), text(args, 1));
    let wide = |bytes: &[u8], code: fn([u8; 2]) -> u16| {
        let (pairs, rest) = (bytes.chunks_exact(2), bytes.len() % 2);
        let codes: Vec<u16> = pairs.map(|pair| code([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&codes) + if rest > 0 { "\u{fffd}" } else { "" }
    };
    let decoded = match name.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => String::from_utf8_lossy(bytes).into_owned(),
        "US-ASCII" | "ASCII" => {
            bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect()
        }
        "ISO-8859-1" | "LATIN1" => bytes.iter().copied().map(char::from).collect(),
        "UTF-16LE" => wide(bytes, u16::from_le_bytes),
        "UTF-16BE" => wide(bytes, u16::from_be_bytes),
        "UTF-16" => match bytes {
            [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
            rest => wide(rest, u16::from_be_bytes),
        },
        _ => return Err(unknown(name)),
    };
    Ok(Value::Text(decoded))
}
