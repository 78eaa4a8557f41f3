//! `Data` as others see it: what is derived, what is written, what is read again.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod derive;
mod evolution;
mod golden;
mod round_trip;
