//! RocksDB behind the tables: what it keeps, what it drops, what it does when its files are lost.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

mod expiry;
mod faults;
mod tables;
