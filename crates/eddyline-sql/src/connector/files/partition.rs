//! Values in the names of directories: `key=value`.

use super::{FileTable, utc};
use crate::expr::{cast_value, text_format::value_to_text};
use crate::row::Value;
use crate::types::TypeKind;
use eddyline_connectors::sink::partition_path;
use eddyline_core::{Error, Result};
use jiff::tz::TimeZone;

/// The values of the partition keys in the path `name` of a file below the table's.
pub(super) fn values_of(table: &FileTable, name: &str) -> Result<Vec<Value>> {
    let directories: Vec<(String, String)> = name
        .rsplit_once('/')
        .map_or("", |(directories, _)| directories)
        .split('/')
        .filter_map(|directory| directory.split_once('='))
        .map(|(key, value)| (unescape(key), unescape(value)))
        .collect();
    let values = table.partition_keys.iter().map(|key| {
        let found = directories.iter().rev().find(|(known, _)| *known == key.name);
        let Some((_, text)) = found else {
            return Err(Error::input(format!("a file of table `{}` is in no partition", table.name))
                .with_detail(format!("{name} has no directory `{}=…`", key.name))
                .with_hint(
                    "move the file into the directory of its partition, or leave PARTITIONED BY out",
                ));
        };
        if *text == table.default_partition {
            return Ok(Value::Null);
        }
        let kind = &key.data_type.kind;
        cast_value(&Value::Text(text.clone()), &TypeKind::STRING, kind, &utc()).ok_or_else(|| {
            Error::input(format!("the partition of a file of table `{}` has a wrong value", table.name))
                .with_detail(format!("{name}: `{text}` is no {kind}"))
        })
    });
    values.collect()
}

/// The directories for the values of the partition keys, below the table's path; empty if there are no keys.
pub(super) fn directory_of(table: &FileTable, values: &[Value]) -> String {
    let columns: Vec<(&str, String)> = table
        .partition_keys
        .iter()
        .zip(values)
        .map(|(key, value)| {
            let text = match value {
                Value::Null => String::new(),
                value => value_to_text(value, &key.data_type.kind, &TimeZone::UTC),
            };
            (key.name.as_str(), if text.is_empty() { table.default_partition.clone() } else { text })
        })
        .collect();
    partition_path(&columns)
}

/// Takes `%41` for `A`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
