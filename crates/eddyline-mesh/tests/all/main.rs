//! The mesh over real sockets.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod attacks;
mod common;
mod control;
mod mesh;
mod stream;
