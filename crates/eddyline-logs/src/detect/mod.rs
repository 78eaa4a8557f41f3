//! Detectors: from counts and telling lines to alerts.
//!
//! | detector | opens | closes |
//! |---|---|---|
//! | [`spike`] | errors of a minute are many, and many more than in the hour before | two minutes without |
//! | [`hosts`], brute force | N failed logins of a host within T; critical when one succeeds after them | T without |
//! | [`hosts`], scanner | N different missing paths asked for by a host in one session | the session ends |
//! | [`silence`] | a file has no lines for long | the next line |
//!
//! # Contract
//! - An [`Alert`] is emitted whole each time it opens, is updated and closes; its id stays, its revision grows.
//!   Updates are rare: when the count has doubled, or the severity rises.
//! - Detectors do not need order: what counts is the lines' own time. They do not wait for watermarks to open, only to
//!   close and to forget, so an alert is out as soon as the line is read that completes it.
//! - What an alert shows as evidence are lines, shortened, [`EVIDENCE_MAX`] at most.
//! - All state is bounded: per host and alert by the limits here, over time by forgetting with the watermark.

pub mod hosts;
mod settings;
pub mod silence;
pub mod spike;
#[cfg(test)]
mod tests;

pub use settings::DetectionSettings;

use crate::parse::civil_from_days;
use eddyline_core::{Data, EventTime};
use serde::{Deserialize, Serialize};

/// How many lines an alert shows.
pub const EVIDENCE_MAX: usize = 10;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Data, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// Many more errors than usual.
    ErrorSpike,
    /// Many failed logins from one host.
    BruteForce,
    /// A host asks for many things that do not exist.
    Scanner,
    /// A file has no lines any more.
    SilentSource,
}

impl AlertKind {
    /// The name that alerts are shown and asked for by.
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::ErrorSpike => "error-spike",
            AlertKind::BruteForce => "brute-force",
            AlertKind::Scanner => "scanner",
            AlertKind::SilentSource => "silent-source",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Data, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// Somebody should act.
    Critical,
}

/// Something that is, or was, wrong.
#[derive(Debug, Clone, PartialEq, Eq, Data, Serialize)]
pub struct Alert {
    /// The same for all revisions: kind, subject and time of opening in one word.
    pub id: String,
    /// What kind of thing is wrong.
    pub kind: AlertKind,
    /// What it is about: a host, a file, or `site`.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// How often it has been emitted before.
    pub revision: u32,
    /// When it began, by the lines' time.
    pub opened: EventTime,
    /// The time of the latest line that belongs to it.
    pub updated: EventTime,
    /// When it ended; none: it is open.
    pub closed: Option<EventTime>,
    /// How many errors, failures, or missing paths it is about.
    pub count: u64,
    /// What happened, in a sentence.
    pub message: String,
    /// Lines that show it.
    pub evidence: Vec<String>,
}

impl Alert {
    /// An alert that opens.
    pub(crate) fn open(kind: AlertKind, subject: &str, severity: Severity, opened: EventTime) -> Self {
        let hash = eddyline_core::stable_hash(format!("{}\n{subject}\n{opened}", kind.name()).as_bytes());
        Alert {
            id: format!("{}-{}-{:08x}", kind.name(), stamp(opened), hash as u32),
            kind,
            subject: subject.to_owned(),
            severity,
            revision: 0,
            opened,
            updated: opened,
            closed: None,
            count: 0,
            message: String::new(),
            evidence: Vec::new(),
        }
    }

    /// Whether it is still going on.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Adds a line to the evidence, if there is room.
    pub(crate) fn add_evidence(&mut self, line: String) {
        if self.evidence.len() < EVIDENCE_MAX && !self.evidence.contains(&line) {
            self.evidence.push(line);
        }
    }

    /// The alert as it is emitted next.
    pub(crate) fn revised(&mut self) -> Alert {
        let emitted = self.clone();
        self.revision += 1;
        emitted
    }

    /// The alert, ended at `time`.
    pub(crate) fn close(mut self, time: EventTime) -> Alert {
        self.closed = Some(time.max(self.opened));
        self
    }
}

/// `20150517T100503Z`.
fn stamp(time: EventTime) -> String {
    let seconds = time.div_euclid(1_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

/// Lines and errors of a slice of ten seconds, as far as one batch has them.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Pulse {
    /// The start of the slice.
    pub slice: EventTime,
    /// The lines.
    pub lines: u64,
    /// The errors among them.
    pub errors: u64,
    /// Some of the errors' lines.
    pub samples: Vec<String>,
}

/// A line that says something about its host.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Signal {
    /// The host.
    pub host: String,
    /// When it happened.
    pub time: EventTime,
    /// What happened.
    pub kind: SignalKind,
    /// The line, shortened.
    pub line: String,
}

/// What a host did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Data)]
pub enum SignalKind {
    /// A login that was refused.
    LoginFailed,
    /// A login that was let in.
    LoginSucceeded,
    /// It asked for something that does not exist.
    NotFound {
        /// A hash of what it asked for.
        path_hash: u64,
    },
}
