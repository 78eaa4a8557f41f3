//! Where checkpoints and savepoints are kept, chosen by a location:
//!
//! | location | storage |
//! |---|---|
//! | `/path`, `path`, `file:///path` | files of this machine, or of a file system mounted there |
//! | `memory://name/path` | memory of this process, for tests |
//! | `s3://bucket/path` | Amazon S3 and whatever speaks its protocol (feature `s3`) |
//! | `hdfs://host:port/path` | Hadoop's file system (feature `hdfs`) |
//!
//! All of them are an [`ObjectStorage`](eddyline_state::ObjectStorage): objects appear whole and durable or not at all,
//! and of two who put the same name one succeeds. Calls wait for the network, so they belong on threads that may wait,
//! never on a worker's.
//!
//! **Architecture invariant:** this is the only crate of the product that names `object_store`, Tokio, S3 or HDFS.
//! Secrets get in by [`StorageSettings`] or the environment and never out: no error, log line or debug output has them.

mod location;
mod memory;
#[cfg(any(feature = "s3", feature = "hdfs"))]
mod remote;
mod settings;

pub use location::{Location, join, open, split};
pub use settings::StorageSettings;
