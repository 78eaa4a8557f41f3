//! Checkpoints and savepoints as a database, for people and programs that do not know their types.
//!
//! [`open`] finds a checkpoint by its path and keeps it readable while a running job deletes it; [`Listing`] tells what it
//! holds; [`Selection`] picks rows, which [`RowWriter`]s write as JSON lines or CSV; [`compare`] finds the
//! differences of two; [`edit`] writes a new one with states replaced from JSON lines.
//!
//! All of it goes by the schemas that checkpoints carry, key group by key group: memory is bounded by the largest
//! key group of a state, whatever its size.
//!
//! # Examples
//! ```
//! use eddyline_state::SavepointWriter;
//! use eddyline_state_tools::{JsonRows, Listing, RowWriter, Selection, open, writable_store};
//!
//! let place = tempfile::tempdir()?;
//! let path = place.path().to_string_lossy();
//! let mut writer = SavepointWriter::create(&writable_store(&path, "visits")?, 128)?;
//! writer.operator("count-visits").keyed_state("count", [("/".to_string(), 3u64)])?;
//! writer.finish(0)?;
//!
//! let opened = open(&path)?;
//! let listing = Listing::of(&opened.reader)?;
//! assert_eq!((listing.states[0].state.as_str(), listing.states[0].key.as_str()), ("count", "text"));
//!
//! let mut lines = Vec::new();
//! let mut rows = JsonRows::new(&mut lines);
//! for row in Selection::all(opened.reader.state("count-visits", "count")?)?.with_key("/")?.rows()? {
//!     rows.write(&row?)?;
//! }
//! rows.finish()?;
//! assert!(String::from_utf8(lines)?.ends_with("\"key\":\"/\",\"value\":3}\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Architecture invariant:** nothing here knows of operators' types, jobs or terminals.

mod diff;
mod edit;
mod export;
mod json;
mod listing;
mod open;
mod rows;
#[cfg(test)]
mod tests;

pub use diff::{Change, Difference, StateDifference, compare};
pub use edit::{Edit, Edited, edit};
pub use export::{CsvRows, JsonRows, RowWriter};
pub use json::value_from_json;
pub use listing::{Ages, LargestKey, Listing, Measured, StateListing};
pub use open::{Opened, open, writable_store};
pub use rows::{Row, Rows, Selection};
