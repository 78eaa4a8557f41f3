//! Access logs on Eddyline: from raw lines to a summary that a person enjoys reading.
//!
//! - [`parse`] reads Common and Combined Log Format without copying; what it cannot read it explains. [`mod@format`]
//!   has the other formats, and tells them apart.
//! - [`record`] is a line as it travels through a job; [`event`] what the reference model makes of one.
//! - [`job`] is the log job: windows, sessions, top values; [`detect`] has its alerts, [`sketch`] its sketches.
//! - [`store`] keeps lines, windows, sessions and alerts in columnar files, and finds them again.
//! - [`summary`] is the result: figures for machines, highlights for people.
//! - [`report`] draws it, live and at the end.
//! - [`traffic`] writes logs of a made-up site, with the truth about them known.
//! - [`mod@reference`] computes the same result in the simplest way there is, for comparison.
//!
//! **Architecture invariant:** nothing here asks for the time or looks at the environment; lines, times and what the
//! terminal can do are handed in. Only [`store`] opens files.

pub mod config;
pub mod detect;
pub mod event;
pub mod format;
pub mod job;
pub mod parse;
pub mod pattern;
pub mod record;
pub mod reference;
pub mod report;
pub mod sketch;
pub mod store;
pub mod summary;
pub mod traffic;

pub use event::LogEvent;
pub use parse::{LogLine, Reason, Request, Unparsed, parse_line};
pub use report::{
    LiveBlock, LiveStatus, RunFacts, Style, render_alerts, render_final, render_live, render_live_line,
};
pub use summary::{Highlights, PathCount, SESSION_GAP_MS, Session, StatusClasses, Summary};
pub use traffic::{TrafficLine, TrafficModel, TrafficTruth};
