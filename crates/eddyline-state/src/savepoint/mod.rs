//! Checkpoints as a database: what they hold, read by program, and new ones written by program.
//!
//! [`SavepointReader`] reads a complete checkpoint, with the reader's types ([`SavepointReader::keyed`] and its
//! siblings, under the rules of a restore) or without any ([`SavepointReader::state`]). [`SavepointWriter`] writes one
//! that a job can start from: with state from elsewhere, or with that of another checkpoint, changed.
//!
//! Both work key group by key group: no more of a state is in memory than its largest key group, and what the writer
//! buffers.

mod reader;
mod state;
#[cfg(test)]
mod tests;
mod typed;
mod writer;

pub use reader::SavepointReader;
pub use state::{Entries, Placement, SavedEntry, SavedState};
pub use typed::TypedEntries;
pub use writer::{OperatorWriter, SavepointWriter};
