//! One error type for everything that can go wrong in front of a user.
//!
//! An [`Error`] says what is wrong (`message`), where (`detail`) and what to do (`hint`). `Display` prints the
//! message alone; [`Error::report`] prints all three for people.

use std::fmt;

/// The result of a fallible operation of Eddyline.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong; decides who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The job or its options cannot work as they are: the author has to change them.
    Config,
    /// Input could not be read or understood.
    Input,
    /// Output could not be written.
    Output,
    /// State or a checkpoint does not fit or is damaged.
    State,
    /// Storage failed: full, read-only, gone.
    Storage,
    /// The network or a peer failed, or a peer is not who it should be.
    Network,
    /// User code returned an error or panicked.
    User,
    /// The memory limit was reached.
    Memory,
    /// The attempt was ended from outside (stop, fencing).
    Cancelled,
    /// A broken invariant of Eddyline itself: please report it.
    Internal,
}

/// What went wrong, where, and what to do about it.
///
/// # Examples
/// ```
/// use eddyline_core::{Error, ErrorKind};
///
/// let error = Error::storage("cannot write the checkpoint")
///     .with_detail("disk full")
///     .with_hint("free some space");
/// assert_eq!(error.kind(), ErrorKind::Storage);
/// assert_eq!(error.to_string(), "cannot write the checkpoint (disk full)");
/// assert_eq!(error.report(), "error: cannot write the checkpoint\n  where: disk full\n  try: free some space");
/// ```
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(#[doc = concat!("An error of kind [`ErrorKind::", stringify!($kind), "`].")]
        pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })*
    };
}

impl Error {
    /// An error of `kind`; `message` is lower case and has no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), detail: None, hint: None }))
    }

    constructors! {
        config => Config, input => Input, output => Output, state => State, storage => Storage, network => Network,
        user => User, memory => Memory, cancelled => Cancelled, internal => Internal,
    }

    /// Adds where it happened or what was seen there.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.0.detail = Some(match self.0.detail.take() {
            Some(before) => format!("{before}; {detail}"),
            None => detail,
        });
        self
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, in one phrase.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it went wrong, if known.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What to do about it, if known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The whole error for people: message, detail and hint, one a line.
    pub fn report(&self) -> String {
        let mut text = format!("error: {}", self.0.message);
        if let Some(detail) = &self.0.detail {
            text.push_str("\n  where: ");
            text.push_str(detail);
        }
        if let Some(hint) = &self.0.hint {
            text.push_str("\n  try: ");
            text.push_str(hint);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)?;
        match &self.0.detail {
            Some(detail) => write!(formatter, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_tells_what_where_and_what_to_do() {
        let error = Error::input("cannot read file").with_detail("a.log").with_hint("check the path");
        assert_eq!(error.report(), "error: cannot read file\n  where: a.log\n  try: check the path");
        assert_eq!(error.to_string(), "cannot read file (a.log)");
    }
}
