//! Eddyline's SQL: Flink's dialect, planned onto streaming relational operators.
//!
//! A script goes through `parser` (text to tree), `bind` (names and types to a relational plan), `plan` (rewriting) and
//! `job` (operators on the runtime); `session` holds what lasts from one statement to the next.

mod bind;
mod catalog;
mod connector;
mod expr;
mod format;
mod functions;
mod job;
mod operators;
mod parser;
mod plan;
mod row;
mod session;
mod types;

pub use connector::{HostTable, HostType, HostValue, TakeRow};
pub use parser::{Piece, PieceKind, pieces};
pub use session::{
    JobProgress, KnownTable, LiveRows, OutputFormat, ResultChange, ResultColumn, ScriptOutput, Session,
    SqlMode, Vocabulary, Watcher, report,
};
