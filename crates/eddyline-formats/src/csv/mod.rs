//! CSV: records of fields, by way of serde.
//!
//! # Contract
//! - A record is read into a struct or a tuple by the position of its columns, or, with [`Csv::columns`], by name. A
//!   record with too few or too many columns is refused.
//! - A quoted field may hold line feeds, unless [`Csv::quoted_newlines`] is turned off; only then can readers share a
//!   file. A quote that is not closed is refused.
//! - An empty field is an empty string, or `None` of an `Option`; [`Csv::null_literal`] is another way to write an
//!   empty field.

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

pub use decoder::CsvDecoder;
pub use encoder::CsvEncoder;

use crate::{Framing, Quoting};

/// The format of CSV files and its options.
///
/// # Examples
/// ```
/// use eddyline_formats::{Csv, Decoder, RawRecord};
///
/// let mut decoder = Csv::new().delimiter(b';').null_literal("n/a").decoder::<(String, Option<u32>)>();
/// let mut decode = |text: &str| decoder.decode(RawRecord::new(text.as_bytes(), 0));
/// assert_eq!(decode("\"a;b\";7"), Ok(Some(("a;b".to_string(), Some(7)))));
/// assert_eq!(decode("c;n/a"), Ok(Some(("c".to_string(), None))));
/// assert_eq!(decode("c;x").unwrap_err(), "column 2: invalid digit found in string");
/// assert_eq!(decode("c;1;2").unwrap_err(), "3 columns, expected 2");
/// ```
#[derive(Debug, Clone)]
pub struct Csv {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    null_literal: Option<String>,
    header: bool,
    columns: Vec<String>,
    quoted_newlines: bool,
    extra_columns: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Csv {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comment: None,
            null_literal: None,
            header: false,
            columns: Vec::new(),
            quoted_newlines: true,
            extra_columns: false,
        }
    }
}

impl Csv {
    /// CSV as RFC 4180 has it, without a header.
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands between two fields (default `,`).
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// What stands around a field with special characters (default `"`); within, it is written twice.
    #[must_use]
    pub fn quote(mut self, quote: u8) -> Self {
        self.quote = Some(quote);
        self
    }

    /// Quotes have no meaning: fields hold neither delimiters nor line feeds.
    #[must_use]
    pub fn disable_quotes(mut self) -> Self {
        self.quote = None;
        self
    }

    /// What takes the meaning from the next character of a quoted field (default: nothing does).
    #[must_use]
    pub fn escape(mut self, escape: u8) -> Self {
        self.escape = Some(escape);
        self
    }

    /// Lines that begin so are comments (default: none are).
    #[must_use]
    pub fn allow_comments(mut self, begin: u8) -> Self {
        self.comment = Some(begin);
        self
    }

    /// What is read as an empty field, and written instead of one (default: the empty field itself).
    #[must_use]
    pub fn null_literal(mut self, literal: impl Into<String>) -> Self {
        self.null_literal = Some(literal.into());
        self
    }

    /// Files begin with a header. In reading it is skipped: what the columns are is said by the type, or by
    /// [`Csv::columns`], since a file may be read from its middle. In writing it says [`Csv::columns`].
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// The names of all columns, in order: fields of a struct are found by them, other columns are ignored.
    #[must_use]
    pub fn columns<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether quoted fields may hold line feeds (default: yes). If not, each line is a record, and large files are
    /// read by all instances.
    #[must_use]
    pub fn quoted_newlines(mut self, allowed: bool) -> Self {
        self.quoted_newlines = allowed;
        self
    }

    /// Whether columns beyond the expected ones are ignored (default: the record is refused).
    #[must_use]
    pub fn ignore_extra_columns(mut self, ignored: bool) -> Self {
        self.extra_columns = ignored;
        self
    }

    /// Reads records as `T`.
    pub fn decoder<T>(&self) -> CsvDecoder<T> {
        CsvDecoder::new(self.clone())
    }

    /// Writes anything that serde can write as a row of fields.
    pub fn encoder(&self) -> CsvEncoder {
        CsvEncoder::new(self.clone())
    }

    fn framing(&self) -> Framing {
        match self.quote {
            Some(quote) if self.quoted_newlines => Framing::Quoted(Quoting {
                delimiter: self.delimiter,
                quote,
                escape: self.escape,
                comment: self.comment,
            }),
            _ => Framing::Lines,
        }
    }
}
