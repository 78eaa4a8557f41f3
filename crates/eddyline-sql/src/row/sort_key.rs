//! Bytes whose order is the order of rows.

use super::Value;

/// How a column is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SortOrder {
    pub(crate) column: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// Appends bytes for `value`, so that comparing them compares values by `order`.
pub(crate) fn encode_sort_key(value: &Value, order: SortOrder, out: &mut Vec<u8>) {
    if value.is_null() {
        out.push(if order.nulls_first { 0 } else { 2 });
        return;
    }
    out.push(1);
    let start = out.len();
    ascending(value, out);
    if order.descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

fn ascending(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Int(value) => out.extend_from_slice(&(*value as u64 ^ (1 << 63)).to_be_bytes()),
        Value::Float(value) => {
            let bits = super::value::canonical_bits(*value);
            let flipped = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
            out.extend_from_slice(&flipped.to_be_bytes());
        }
        Value::Decimal(value) => out.extend_from_slice(&(*value as u128 ^ (1 << 127)).to_be_bytes()),
        Value::Text(text) => terminated(text.as_bytes(), out),
        Value::Bytes(bytes) => terminated(bytes, out),
        Value::List(items) | Value::Row(items) => {
            for item in items {
                out.push(if item.is_null() { 1 } else { 2 });
                if !item.is_null() {
                    ascending(item, out);
                }
            }
            out.push(0);
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                out.push(1);
                ascending(key, out);
                ascending(value, out);
            }
            out.push(0);
        }
    }
}

/// Zeros are escaped, so that the end (two zeros) comes before anything that goes on.
fn terminated(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}
