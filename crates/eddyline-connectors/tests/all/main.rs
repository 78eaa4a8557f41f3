//! Jobs over real files.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod formats;
mod jobs;
