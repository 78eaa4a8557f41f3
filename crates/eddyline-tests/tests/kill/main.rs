//! Real programs that are killed. `cargo xtask test` runs the targets named `kill…` one test at a time.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod anywhere;
mod catalogue;
mod supervisor;
mod workers;
