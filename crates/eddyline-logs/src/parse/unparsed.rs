//! Why a line could not be read.

use std::fmt;

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing in it.
    EmptyLine,
    /// It is longer than [`super::LINE_BYTES_MAX`].
    LineTooLong,
    /// It holds control bytes or bytes outside ASCII where a log has none.
    BinaryGarbage,
    /// It ends before all fields were there, or a field is empty.
    MissingField,
    /// No `[` opens the time.
    MissingOpeningBracket,
    /// No `]` closes the time.
    MissingClosingBracket,
    /// The time does not have the form `17/May/2015:10:05:03 +0000`.
    MalformedTime,
    /// The time has the right form but there is no such day, time of day or zone offset.
    ImpossibleTime,
    /// No `"` opens a quoted field.
    MissingOpeningQuote,
    /// No `"` closes a quoted field.
    MissingClosingQuote,
    /// The status is not three digits.
    StatusNotANumber,
    /// The status is a number outside 100 to 599.
    StatusOutOfRange,
    /// The byte count is neither a number nor `-`.
    BytesNotANumber,
    /// The byte count does not fit in 64 bits.
    BytesOutOfRange,
    /// Something other than a space stands behind a field.
    MissingSpace,
    /// The line is no JSON object.
    NotJson,
    /// The JSON object has no time under any of the known names.
    JsonWithoutTime,
    /// The line does not begin as a line of its file's format does.
    ForeignHeader,
    /// No known format fits.
    UnknownFormat,
}

impl Reason {
    /// The reason in a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::EmptyLine => "empty line",
            Reason::LineTooLong => "line longer than 1 MiB",
            Reason::BinaryGarbage => "binary garbage",
            Reason::MissingField => "a field is missing",
            Reason::MissingOpeningBracket => "no opening bracket before the time",
            Reason::MissingClosingBracket => "no closing bracket after the time",
            Reason::MalformedTime => "time is not of the form 17/May/2015:10:05:03 +0000",
            Reason::ImpossibleTime => "impossible date or time of day",
            Reason::MissingOpeningQuote => "no opening quote",
            Reason::MissingClosingQuote => "no closing quote",
            Reason::StatusNotANumber => "status is not a three-digit number",
            Reason::StatusOutOfRange => "status is not within 100 to 599",
            Reason::BytesNotANumber => "byte count is neither a number nor -",
            Reason::BytesOutOfRange => "byte count is too large",
            Reason::MissingSpace => "no space after a field",
            Reason::NotJson => "no JSON object",
            Reason::JsonWithoutTime => "a JSON object without a time",
            Reason::ForeignHeader => "the line does not begin as its format does",
            Reason::UnknownFormat => "no known log format",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A line that is not an access log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unparsed {
    /// What is wrong.
    pub reason: Reason,
    /// At which byte of the line, counted from 1.
    pub column: usize,
}

impl Unparsed {
    /// `offset` counts from 0, as slices do.
    #[cold]
    pub(crate) fn new(reason: Reason, offset: usize) -> Self {
        Unparsed { reason, column: offset + 1 }
    }

    /// If the line holds binary garbage up to where parsing stopped, that explains more than the field in which
    /// it was noticed. Costs only lines that failed.
    #[cold]
    pub(crate) fn or_binary(self, line: &[u8]) -> Self {
        let seen = &line[..self.column.min(line.len())];
        let is_binary = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        match seen.iter().position(is_binary) {
            Some(offset) => Unparsed::new(Reason::BinaryGarbage, offset),
            None => self,
        }
    }
}

impl fmt::Display for Unparsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.reason, self.column)
    }
}

impl std::error::Error for Unparsed {}

impl From<Unparsed> for eddyline_core::Error {
    fn from(unparsed: Unparsed) -> Self {
        eddyline_core::Error::input(unparsed.reason.as_str()).with_detail(format!("byte {}", unparsed.column))
    }
}
