//! What the example programs work on: data that is made by a seed, so that results can be checked.
//!
//! The programs are files in `examples/examples`, one concept each; run one with
//! `cargo run -p eddyline-examples --example fraud_detection -- -p 2`. `tests/programs.rs` runs them all and holds their
//! results against plain loops over the same data.

pub mod advertising;
pub mod clicks;
pub mod payments;
pub mod random;
pub mod rides;
pub mod sensors;
pub mod trades;
