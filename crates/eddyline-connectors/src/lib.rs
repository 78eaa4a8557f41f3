//! Eddyline's light connectors: files as a source and as an exactly-once sink, dead letters, sockets, and what it takes
//! to write a connector: sources that discover their splits, sinks for stores with transactions.
//!
//! **Architecture invariant:** a connector waits for its disk on a thread of its own, never on a worker's; whatever
//! it holds is bounded and counted. It knows the public source and sink traits, nothing of ticks or of Timely.

pub mod discovery;
pub mod environment;
pub mod files;
mod lane;
pub mod sink;
pub mod socket;
pub mod transactional;

pub use environment::{ConnectorEnvironment, Waiting};
