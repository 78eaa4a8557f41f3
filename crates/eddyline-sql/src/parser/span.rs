//! Where in the text something stands, and errors that point there.

use eddyline_core::Error;

/// A part of a script: byte offsets into its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Span { start: start as u32, end: end as u32 }
    }

    /// From the start of this to the end of `other`.
    pub(crate) fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.start) }
    }
}

/// What is wrong with a statement, and where.
#[derive(Debug, Clone)]
pub(crate) struct SqlError {
    pub(crate) message: String,
    pub(crate) span: Option<Span>,
    pub(crate) hint: Option<String>,
}

pub(crate) type SqlResult<T> = std::result::Result<T, SqlError>;

impl SqlError {
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        SqlError { message: message.into(), span: Some(span), hint: None }
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        SqlError { message: message.into(), span: None, hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points to `span` unless it already points somewhere.
    pub(crate) fn or_at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// The error for people, who see `text`, which begins at byte `offset` of the script `script`.
    pub(crate) fn into_error(self, script: &str) -> Error {
        let mut error = Error::config(self.message);
        if let Some(span) = self.span {
            error = error.with_detail(describe(script, span));
        }
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        SqlError { message: error.to_string(), span: None, hint: error.hint().map(str::to_owned) }
    }
}

/// `line 3, column 8: the text there`.
fn describe(script: &str, span: Span) -> String {
    let start = floor_boundary(script, span.start as usize);
    let before = &script[..start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
    let end = floor_boundary(script, (span.end as usize).max(start));
    let near: String = script[start..end].lines().next().unwrap_or_default().chars().take(60).collect();
    if near.is_empty() {
        format!("line {line}, column {column}")
    } else {
        format!("line {line}, column {column}: `{near}`")
    }
}

fn floor_boundary(text: &str, mut offset: usize) -> usize {
    offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The known name nearest to `name`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let distances =
        known.into_iter().map(|other| (strsim::damerau_levenshtein(&lower, &other.to_lowercase()), other));
    let (distance, best) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.chars().count() / 3).max(1)).then_some(best)
}
