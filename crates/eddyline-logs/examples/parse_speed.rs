//! Measures what a line costs: `cargo run --release -p eddyline-logs --example parse_speed`.

use eddyline_logs::{LogEvent, TrafficModel, parse_line};
use std::hint::black_box;
use std::time::Instant;

/// Few enough to stay in the cache, as lines do that were just read.
const LINES: usize = 2_000;
const ROUNDS: usize = 200;

fn main() {
    let start = Instant::now();
    let lines: Vec<Vec<u8>> =
        TrafficModel::new(1, 1_780_000_000_000, 1_000).take(LINES).map(|line| line.line).collect();
    println!("model   {:>6.0} ns per line", start.elapsed().as_nanos() as f64 / LINES as f64);
    report("parse", &lines, |line| _ = black_box(parse_line(line)));
    report("event", &lines, |line| _ = black_box(parse_line(line).map(|parsed| LogEvent::from(&parsed))));
}

/// Prints the best of some rounds over all lines.
fn report(name: &str, lines: &[Vec<u8>], work: impl Fn(&[u8])) {
    let round = || {
        let start = Instant::now();
        lines.iter().for_each(|line| work(line));
        start.elapsed().as_nanos() as f64 / lines.len() as f64
    };
    let best = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    println!("{name:<7} {best:>6.0} ns per line");
}
