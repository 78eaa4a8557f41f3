//! CSV: a row a record, columns by position.
//!
//! Fields are read as Flink reads them. An array or a row is one field, its parts separated by
//! `csv.array-element-delimiter`. Quoted fields may hold line feeds; blank lines are no records.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::CsvDecoder;
pub(crate) use encode::CsvEncoder;

use super::rows::FormatColumn;
use crate::connector::options::OptionReader;
use crate::parser::span::{SqlError, SqlResult};
use crate::types::TypeKind;
use eddyline_formats::{Framing, Quoting};

/// The options of the format.
#[derive(Debug, Clone)]
pub(crate) struct CsvOptions {
    pub(crate) delimiter: u8,
    pub(crate) quote: Option<u8>,
    pub(crate) escape: Option<u8>,
    pub(crate) comments: bool,
    pub(crate) ignore_parse_errors: bool,
    pub(crate) element_delimiter: String,
    pub(crate) null_literal: Option<String>,
    pub(crate) write_nulls: bool,
    pub(crate) plain_decimals: bool,
    pub(crate) ignore_first_line: bool,
}

impl CsvOptions {
    pub(crate) fn read(options: &mut OptionReader<'_>) -> SqlResult<Self> {
        let without_quotes = options.bool("csv.disable-quote-character", false)?;
        let quote = options.character("csv.quote-character")?;
        if without_quotes && quote.is_some() {
            let message = "csv.quote-character makes no sense with csv.disable-quote-character";
            return Err(SqlError::new(message).hint("leave one of them out"));
        }
        let read = CsvOptions {
            delimiter: options.character("csv.field-delimiter")?.unwrap_or(b','),
            quote: (!without_quotes).then_some(quote.unwrap_or(b'"')),
            escape: options.character("csv.escape-character")?,
            comments: options.bool("csv.allow-comments", false)?,
            ignore_parse_errors: options.bool("csv.ignore-parse-errors", false)?,
            element_delimiter: options.text("csv.array-element-delimiter").unwrap_or(";").to_owned(),
            null_literal: options.text("csv.null-literal").map(str::to_owned),
            write_nulls: options.bool("csv.write-null-literals", true)?,
            plain_decimals: !options.bool("csv.write-bigdecimal-in-scientific-notation", true)?,
            ignore_first_line: options.bool("csv.ignore-first-line", false)?,
        };
        if read.element_delimiter.is_empty() {
            return Err(SqlError::new("csv.array-element-delimiter is empty").hint("give a text such as ';'"));
        }
        if read.quote == Some(read.delimiter) || matches!(read.delimiter, b'\n' | b'\r') {
            return Err(SqlError::new("csv.field-delimiter cannot be the quote character or a line feed"));
        }
        Ok(read)
    }

    pub(crate) fn framing(&self) -> Framing {
        match self.quote {
            Some(quote) => Framing::Quoted(Quoting {
                delimiter: self.delimiter,
                quote,
                escape: self.escape,
                comment: self.comments.then_some(b'#'),
            }),
            None => Framing::Lines,
        }
    }
}

/// Whether a column can be read and written: parts of arrays and rows are single values.
pub(crate) fn check_column(column: &FormatColumn) -> SqlResult<()> {
    let is_single = |kind: &TypeKind| {
        !matches!(kind, TypeKind::Array(_) | TypeKind::Row(_) | TypeKind::Map(..) | TypeKind::Multiset(_))
    };
    let fits = match &column.data_type.kind {
        TypeKind::Array(item) => is_single(&item.kind),
        TypeKind::Row(fields) => fields.iter().all(|field| is_single(&field.data_type.kind)),
        kind => is_single(kind),
    };
    if fits {
        return Ok(());
    }
    let message = format!("column `{}`: {} cannot be written in CSV", column.name, column.data_type.kind);
    Err(SqlError::new(message).hint("use the format json"))
}
