//! Sessionisation: how many pages each visitor looks at before half an hour of silence.
//!
//! Run it: `cargo run -p eddyline-examples --example sessions -- -p 2`.

use eddyline::window::Count;
use eddyline::{Environment, Result, WatermarkStrategy};
use eddyline_examples::clicks::{Click, GAP_MS, clicks};
use std::time::Duration;

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let times = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(600));
    let day = clicks(3, 6_000).into_iter().map(|click| (click.clone(), click.at)).collect();
    environment
        .from_collection_with(day, times)
        .name("clicks")
        .key_by(|click: &Click| click.visitor)
        .session_window(Duration::from_millis(GAP_MS as u64))
        .aggregate(Count::new())
        .uid("sessions")
        .map(|session| {
            let seconds = (session.window.end - GAP_MS - session.window.start) / 1_000;
            format!("visitor {}: {} pages in {seconds} s", session.key, session.value)
        })
        .print();
    environment.execute("sessions")?;
    Ok(())
}
