//! Whole jobs over bounded data on the public API.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod iterations;
mod joins;
mod operators;
mod spilling;
#[path = "../support/mod.rs"]
mod support;
