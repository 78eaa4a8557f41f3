//! Digests of texts, in hexadecimal digits.

use super::numerals::hex_of;
use super::signature::{Takes, int_or, strict, text};
use super::{Argument, CallInfo, Function, Resolved};
use crate::row::Value;
use crate::types::TypeKind;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("MD5", resolve_digest, |args, _| digest::<Md5>(args)),
    Function::strict("SHA1", resolve_digest, |args, _| digest::<Sha1>(args)),
    Function::strict("SHA224", resolve_digest, |args, _| digest::<Sha224>(args)),
    Function::strict("SHA256", resolve_digest, |args, _| digest::<Sha256>(args)),
    Function::strict("SHA384", resolve_digest, |args, _| digest::<Sha384>(args)),
    Function::strict("SHA512", resolve_digest, |args, _| digest::<Sha512>(args)),
    Function::strict("SHA2", resolve_sha2, sha2_of_length),
    Function::strict("HASH_CODE", resolve_hash_code, |args, _| Ok(Value::Int(hash_code(text(args, 0))))),
];

fn resolve_digest(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::STRING)
}

fn digest<D: Digest>(args: &[Value]) -> Result<Value, String> {
    Ok(Value::Text(hex_of(&D::digest(text(args, 0).as_bytes()), false)))
}

/// A text and the number of bits.
fn resolve_sha2(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Integer], 0, TypeKind::STRING)
}

fn sha2_of_length(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    match int_or(args, 1, 0) {
        224 => digest::<Sha224>(args),
        256 => digest::<Sha256>(args),
        384 => digest::<Sha384>(args),
        512 => digest::<Sha512>(args),
        other => Err(format!("knows no digest of {other} bits: take 224, 256, 384 or 512")),
    }
}

fn resolve_hash_code(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::Int)
}

/// Java's hash of a text, without its sign.
fn hash_code(text: &str) -> i64 {
    let hash =
        text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    i64::from(hash.wrapping_abs())
}
