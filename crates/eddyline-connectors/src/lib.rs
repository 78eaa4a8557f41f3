//! Eddyline's light connectors: text files as a source, files as an exactly-once sink, dead letters.
//!
//! **Architecture invariant:** a connector waits for its disk on a thread of its own, never on a worker's; whatever
//! it holds is bounded and counted. It knows the public source and sink traits, nothing of ticks or of Timely.

pub mod environment;
pub mod files;
mod lane;
pub mod sink;
pub mod socket;

pub use environment::{ConnectorEnvironment, Waiting};
