//! Advertising: which impressions led to a click within ten minutes, and how many of each campaign did in an hour.
//!
//! An interval join brings clicks and impressions of the same user and campaign together; it keeps no more of either side
//! than the interval needs. Run it: `cargo run -p eddyline-examples --example ad_attribution -- -p 2`.

use eddyline::window::TumblingEventTimeWindows;
use eddyline::{Environment, Result, WatermarkStrategy};
use eddyline_examples::advertising::{ATTRIBUTED_MS, AdClick, Impression, advertising};
use std::time::Duration;

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let (impressions, clicks) = advertising(17, 8_000);
    let shown = environment
        .from_collection_with(
            impressions.into_iter().map(|shown| (shown.clone(), shown.at)).collect(),
            WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(60)),
        )
        .name("impressions");
    let clicked = environment
        .from_collection_with(
            clicks.into_iter().map(|click| (click.clone(), click.at)).collect(),
            WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(300)),
        )
        .name("clicks");
    clicked
        .key_by(|click: &AdClick| (click.user, click.campaign))
        .interval_join(&shown.key_by(|shown: &Impression| (shown.user, shown.campaign)))
        .between(-ATTRIBUTED_MS, 0)
        .apply(|click, _shown| click.campaign)
        .uid("attribution")
        .key_by(|campaign| *campaign)
        .window(TumblingEventTimeWindows::of(Duration::from_secs(3_600)))
        .count()
        .uid("per-hour")
        .map(|counted| format!("{} campaign {}: {}", counted.window.end, counted.key, counted.value))
        .print();
    environment.execute("ad-attribution")?;
    Ok(())
}
