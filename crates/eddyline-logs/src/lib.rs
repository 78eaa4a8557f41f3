//! Access logs on Eddyline: from raw lines to a summary that a person enjoys reading.
//!
//! - [`parse`] reads Common and Combined Log Format without copying; what it cannot read it explains.
//! - [`event`] is the owned record that travels through a job.
//! - [`summary`] is the result: six figures for machines, highlights for people.
//! - [`report`] draws it, live and at the end.
//! - [`traffic`] writes logs of a made-up site, with the truth about them known.
//! - [`mod@reference`] computes the same result in the simplest way there is, for comparison.
//!
//! **Architecture invariant:** nothing here opens a file, asks for the time or looks at the environment; lines,
//! times and what the terminal can do are handed in.

pub mod event;
pub mod job;
pub mod parse;
pub mod reference;
pub mod report;
pub mod summary;
pub mod traffic;

pub use event::LogEvent;
pub use parse::{LogLine, Reason, Request, Unparsed, parse_line};
pub use report::{LiveBlock, LiveStatus, RunFacts, Style, render_final, render_live, render_live_line};
pub use summary::{Highlights, PathCount, SESSION_GAP_MS, Session, StatusClasses, Summary};
pub use traffic::{TrafficLine, TrafficModel, TrafficTruth};
