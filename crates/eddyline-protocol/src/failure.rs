//! Why an attempt failed, as it travels from a worker to the supervisor and on to a person.
//!
//! A [`FailureReport`] is the wire form of [`eddyline_core::Error`] plus what only the runtime knows: which
//! operator, which uid, which position in the input.

use eddyline_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// The serialisable mirror of [`ErrorKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The job or its options cannot work as they are.
    Config,
    /// Input could not be read or understood.
    Input,
    /// Output could not be written.
    Output,
    /// State or a checkpoint does not fit or is damaged.
    State,
    /// Storage failed.
    Storage,
    /// The network or a peer failed; also: a process ended or fell silent.
    Network,
    /// User code returned an error, panicked or did not return.
    User,
    /// The memory limit was reached.
    Memory,
    /// Ended from outside: stopped, or fenced by a later attempt.
    Cancelled,
    /// A broken invariant of Eddyline itself.
    Internal,
}

impl FailureKind {
    /// Whether another attempt could do better.
    ///
    /// `Config` and `Memory` would fail the same way again; `Cancelled` means that somebody else has taken over or
    /// wants the end. All else may pass: a disk is cleared, a peer comes back, a damaged checkpoint is skipped.
    pub fn can_be_retried(self) -> bool {
        !matches!(self, FailureKind::Config | FailureKind::Memory | FailureKind::Cancelled)
    }

    /// Whether a failure of this kind is usually only the echo of another one: when one process dies, its peers
    /// report broken connections.
    pub fn is_echo(self) -> bool {
        matches!(self, FailureKind::Network | FailureKind::Cancelled)
    }
}

impl From<ErrorKind> for FailureKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Config => FailureKind::Config,
            ErrorKind::Input => FailureKind::Input,
            ErrorKind::Output => FailureKind::Output,
            ErrorKind::State => FailureKind::State,
            ErrorKind::Storage => FailureKind::Storage,
            ErrorKind::Network => FailureKind::Network,
            ErrorKind::User => FailureKind::User,
            ErrorKind::Memory => FailureKind::Memory,
            ErrorKind::Cancelled => FailureKind::Cancelled,
            _ => FailureKind::Internal,
        }
    }
}

impl From<FailureKind> for ErrorKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Config => ErrorKind::Config,
            FailureKind::Input => ErrorKind::Input,
            FailureKind::Output => ErrorKind::Output,
            FailureKind::State => ErrorKind::State,
            FailureKind::Storage => ErrorKind::Storage,
            FailureKind::Network => ErrorKind::Network,
            FailureKind::User => ErrorKind::User,
            FailureKind::Memory => ErrorKind::Memory,
            FailureKind::Cancelled => ErrorKind::Cancelled,
            FailureKind::Internal => ErrorKind::Internal,
        }
    }
}

/// What ended an attempt: what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReport {
    /// The name of the operator, if one is to blame.
    pub operator: Option<String>,
    /// The operator's uid, if one is to blame.
    pub uid: Option<String>,
    /// Where in the input the record was that could not be processed, for example `access.log:4711`.
    pub position: Option<String>,
    /// Who has to act.
    pub kind: FailureKind,
    /// What went wrong, in one phrase.
    pub message: String,
    /// Where it went wrong, if known.
    pub detail: Option<String>,
    /// What to do about it, if known.
    pub hint: Option<String>,
}

impl FailureReport {
    /// A report that blames no operator.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let message = message.into();
        FailureReport { operator: None, uid: None, position: None, kind, message, detail: None, hint: None }
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the operator to blame.
    #[must_use]
    pub fn with_operator(mut self, name: impl Into<String>, uid: Option<String>) -> Self {
        self.operator = Some(name.into());
        self.uid = uid;
        self
    }

    /// The error to show: operator, uid and position join the detail.
    pub fn to_error(&self) -> Error {
        let mut error = Error::new(self.kind.into(), &self.message);
        if let Some(operator) = &self.operator {
            error = error.with_detail(format!("operator `{operator}`"));
        }
        if let Some(uid) = &self.uid {
            error = error.with_detail(format!("uid `{uid}`"));
        }
        if let Some(position) = &self.position {
            error = error.with_detail(format!("at {position}"));
        }
        if let Some(detail) = &self.detail {
            error = error.with_detail(detail);
        }
        match &self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl From<&Error> for FailureReport {
    fn from(error: &Error) -> Self {
        FailureReport {
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            ..FailureReport::new(error.kind().into(), error.message())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_kind_survives_the_wire() {
        let kinds = [
            ErrorKind::Config,
            ErrorKind::Input,
            ErrorKind::Output,
            ErrorKind::State,
            ErrorKind::Storage,
            ErrorKind::Network,
            ErrorKind::User,
            ErrorKind::Memory,
            ErrorKind::Cancelled,
            ErrorKind::Internal,
        ];
        for kind in kinds {
            assert_eq!(ErrorKind::from(FailureKind::from(kind)), kind);
        }
    }

    #[test]
    fn a_report_shows_operator_uid_and_position() {
        let error = Error::user("division by zero").with_detail("panicked in map").with_hint("guard it");
        let mut report = FailureReport::from(&error).with_operator("parse", Some("u1".into()));
        report.position = Some("a.log:7".into());
        assert_eq!(
            report.to_error().report(),
            "error: division by zero\n  where: operator `parse`; uid `u1`; at a.log:7; panicked in map\n  \
             try: guard it"
        );
    }
}
