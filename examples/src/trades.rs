//! Trades at an exchange: prices that walk at random.

use crate::random::Random;
use eddyline::Data;

/// A trade.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Trade {
    /// What was traded.
    pub symbol: String,
    /// For how much apiece, cents.
    pub cents: i64,
    /// How many.
    pub quantity: i64,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

const SYMBOLS: [&str; 4] = ["EDDY", "FLOW", "TIDE", "WEIR"];

/// `count` trades, ten per second, out of order by a few places.
pub fn trades(seed: u64, count: usize) -> Vec<Trade> {
    let mut random = Random::new(seed);
    let mut prices = [10_000i64, 2_500, 40_000, 800];
    let mut trades: Vec<Trade> = (0..count)
        .map(|index| {
            let which = random.below(4) as usize;
            prices[which] = (prices[which] + random.below(21) as i64 - 10).max(1);
            Trade {
                symbol: SYMBOLS[which].into(),
                cents: prices[which],
                quantity: 1 + random.below(500) as i64,
                at: 1_767_225_600_000 + index as i64 * 100,
            }
        })
        .collect();
    random.disorder(&mut trades, 7);
    trades
}
