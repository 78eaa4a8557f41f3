//! Lines of logs: fields found by a pattern, columns by the names of the fields.
//!
//! `log.format` says what lines look like: `common` and `combined` are those of web servers, with the fields `host`,
//! `ident`, `user`, `time`, `request`, `method`, `path`, `protocol`, `status`, `bytes`, and `referer` and `agent`;
//! `regex` and `grok` take `log.pattern`, whose named groups are the fields. A field that is `-`, empty, or not there
//! is NULL.

mod decode;
mod grok;
#[cfg(test)]
mod tests;

pub(crate) use decode::LogDecoder;

use super::rows::FormatColumn;
use crate::connector::options::OptionReader;
use crate::parser::span::{SqlError, SqlResult, nearest};
use regex::Regex;

/// The fields that are parts of a request.
const REQUEST_PARTS: [&str; 3] = ["method", "path", "protocol"];

/// The options of the format.
#[derive(Debug, Clone)]
pub(crate) struct LogOptions {
    pub(crate) pattern: Regex,
    pub(crate) ignore_parse_errors: bool,
}

impl LogOptions {
    pub(crate) fn read(options: &mut OptionReader<'_>, columns: &[FormatColumn]) -> SqlResult<Self> {
        let format = options.choice("log.format", &["common", "combined", "regex", "grok"])?;
        let Some(format) = format else {
            options.required("log.format")?;
            unreachable!("invariant: an option without a value is refused");
        };
        let ignore_parse_errors = options.bool("log.ignore-parse-errors", false)?;
        let text = match format {
            "common" => grok::expand("%{COMMONAPACHELOG}"),
            "combined" => grok::expand("%{COMBINEDAPACHELOG}"),
            "regex" => Ok(options.required("log.pattern")?.to_owned()),
            _ => grok::expand(options.required("log.pattern")?),
        };
        let text = text.map_err(SqlError::new)?;
        let pattern = Regex::new(&format!("^(?:{text})$"));
        let pattern =
            pattern.map_err(|error| SqlError::new(format!("'log.pattern' cannot be used: {error}")))?;
        check_columns(&pattern, columns)?;
        Ok(LogOptions { pattern, ignore_parse_errors })
    }
}

fn check_columns(pattern: &Regex, columns: &[FormatColumn]) -> SqlResult<()> {
    let mut fields: Vec<&str> = pattern.capture_names().flatten().collect();
    if fields.contains(&"request") {
        fields.extend(REQUEST_PARTS);
    }
    for column in columns {
        if fields.contains(&column.name.as_str()) {
            continue;
        }
        let error = SqlError::new(format!("column `{}` is no field of the log lines", column.name));
        return Err(match nearest(&column.name, fields.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("fields are {}", fields.join(", "))),
        });
    }
    Ok(())
}
