//! JSON, one object a record.
//!
//! Values are read as Flink reads them: numbers may stand in quotes, text may be any value, BYTES are Base64, a
//! timestamp has the style that `json.timestamp-format.standard` says. Of members with one name the first counts (in a
//! MAP the last, as in Flink).

mod cursor;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use cursor::{Cursor, Fault, Parsed, Token, write_string};
pub(crate) use decode::{JsonDecoder, RowPlan, ValueDecoder, at_end, text_of};
pub(crate) use encode::{JsonEncoder, JsonWriter};

use super::time::TimestampStyle;
use crate::connector::options::OptionReader;
use crate::parser::span::{SqlError, SqlResult};
use crate::types::{SqlType, TypeKind};

/// What is written for a key of a map that is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NullKeys {
    Fail,
    Drop,
    Literal(String),
}

/// The options of the format.
#[derive(Debug, Clone)]
pub(crate) struct JsonOptions {
    pub(crate) fail_on_missing_field: bool,
    pub(crate) ignore_parse_errors: bool,
    pub(crate) timestamps: TimestampStyle,
    pub(crate) null_keys: NullKeys,
    pub(crate) plain_decimals: bool,
    pub(crate) ignore_null_fields: bool,
}

impl JsonOptions {
    /// Reads the options `json.…`, or those of another format that is written in JSON.
    pub(crate) fn read(options: &mut OptionReader<'_>, format: &str) -> SqlResult<Self> {
        let key = |name: &str| format!("{format}.{name}");
        let is_plain = format == "json";
        let timestamps = match options.choice(&key("timestamp-format.standard"), &["SQL", "ISO-8601"])? {
            Some("ISO-8601") => TimestampStyle::Iso8601,
            _ => TimestampStyle::Sql,
        };
        let literal = options.text(&key("map-null-key.literal")).unwrap_or("null").to_owned();
        let null_keys = match options.choice(&key("map-null-key.mode"), &["FAIL", "DROP", "LITERAL"])? {
            Some("DROP") => NullKeys::Drop,
            Some("LITERAL") => NullKeys::Literal(literal),
            _ => NullKeys::Fail,
        };
        let read = JsonOptions {
            fail_on_missing_field: is_plain && options.bool(&key("fail-on-missing-field"), false)?,
            ignore_parse_errors: options.bool(&key("ignore-parse-errors"), false)?,
            timestamps,
            null_keys,
            plain_decimals: options.bool(&key("encode.decimal-as-plain-number"), false)?,
            ignore_null_fields: options.bool(&key("encode.ignore-null-fields"), false)?,
        };
        if is_plain {
            // Which of Flink's two parsers is used makes no difference here.
            options.bool(&key("decode.json-parser.enabled"), true)?;
        }
        if read.fail_on_missing_field && read.ignore_parse_errors {
            let message = "json.fail-on-missing-field and json.ignore-parse-errors cannot both be true";
            return Err(SqlError::new(message).hint("leave one of them out"));
        }
        Ok(read)
    }
}

/// Whether columns of this type can be read and written.
pub(crate) fn check_type(name: &str, data_type: &SqlType) -> SqlResult<()> {
    match &data_type.kind {
        TypeKind::Map(key, value) if key.kind.is_text() => check_type(name, value),
        TypeKind::Multiset(item) if item.kind.is_text() => Ok(()),
        TypeKind::Map(..) | TypeKind::Multiset(_) => {
            let message = format!(
                "column `{name}`: the keys of {} are no texts, as they have to be in JSON",
                data_type.kind
            );
            Err(SqlError::new(message).hint("use a MAP<STRING, …>, or an array of rows"))
        }
        TypeKind::Array(item) => check_type(name, item),
        TypeKind::Row(fields) => fields.iter().try_for_each(|field| check_type(name, &field.data_type)),
        _ => Ok(()),
    }
}
