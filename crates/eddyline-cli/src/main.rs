//! The `eddyline` binary.
fn main() {}
