//! Stock quotes: the volume-weighted average price of each minute, and the moving average of five minutes every minute.
//!
//! One aggregator serves both; sliding windows share the slices that they have in common. Run it:
//! `cargo run -p eddyline-examples --example stock_quotes -- -p 2`.

use eddyline::window::{Aggregator, SlicedWindows};
use eddyline::{Environment, Result, WatermarkStrategy};
use eddyline_examples::trades::{Trade, trades};
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;

/// Volume-weighted average price, in hundredths of a cent.
#[derive(Clone)]
struct Vwap;

impl Aggregator for Vwap {
    type Input = Trade;
    /// Price times volume, and volume.
    type State = (i64, i64);
    type Output = i64;

    fn create(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, state: &mut (i64, i64), trade: Trade) {
        state.0 += trade.cents * trade.quantity;
        state.1 += trade.quantity;
    }

    fn merge(&self, state: &mut (i64, i64), other: &(i64, i64)) {
        state.0 += other.0;
        state.1 += other.1;
    }

    fn result(&self, state: &(i64, i64)) -> i64 {
        state.0 * 100 / state.1
    }
}

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let times = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(10));
    let day = trades(5, 20_000).into_iter().map(|trade| (trade.clone(), trade.at)).collect();
    let by_symbol = environment
        .from_collection_with(day, times)
        .name("trades")
        .key_by(|trade: &Trade| trade.symbol.clone());
    let of_minute = by_symbol.window(SlicedWindows::tumbling(MINUTE_MS)).aggregate(Vwap).uid("minute");
    let moving =
        by_symbol.window(SlicedWindows::sliding(5 * MINUTE_MS, MINUTE_MS)).aggregate(Vwap).uid("moving");
    of_minute.map(|price| format!("{} {} minute {}", price.window.end, price.key, price.value)).print();
    moving.map(|price| format!("{} {} moving {}", price.window.end, price.key, price.value)).print();
    environment.execute("stock-quotes")?;
    Ok(())
}
