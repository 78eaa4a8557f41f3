//! Sockets: a stream of records from a server, and records to one.
//!
//! # Contract
//! - The source connects to a server and reads records that end by a delimiter. A connection cannot be rewound: what
//!   was read and is not part of a complete checkpoint is lost when the job restarts, so it is *at most once*; it is
//!   there for trying things out, and for servers that do not mind. One instance reads; the others have ended.
//! - If the server closes the connection, the stream has ended, unless [`SocketSource::retries_max`] says to connect
//!   again. Pauses between attempts begin at [`SocketSource::retry_interval`] and double up to [`RETRY_INTERVAL_MAX`].
//! - The sink writes records to a server, *at least once*: a cut waits until everything before it was handed to the
//!   operating system, and a connection that breaks is made again, beginning with what was being written.
//! - Both wait for the network on a thread of their own, and hold a bounded number of bytes.

mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use sink::{SocketSink, SocketSinkOperator, WriteToSocket};
pub use source::{SocketReader, SocketSource};

use std::time::Duration;

/// The longest pause between two attempts to connect.
pub const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// The pause after `failures` failures in a row, at least 1.
fn pause_after(failures: u32, first: Duration) -> Duration {
    first
        .saturating_mul(1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX))
        .min(RETRY_INTERVAL_MAX)
}
