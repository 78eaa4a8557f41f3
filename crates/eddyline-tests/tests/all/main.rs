//! Real programs whose input or whose end is out of the ordinary.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod bad_input;
mod clean_ends;
