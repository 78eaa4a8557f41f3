//! Small programs on Eddyline, each a file in `examples/examples`; run one with
//! `cargo run -p eddyline-examples --example word_count -- -- FILE…`.
