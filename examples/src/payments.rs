//! Card payments, some of them by thieves.

use crate::random::Random;
use eddyline::Data;

/// A payment.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Payment {
    /// Who pays.
    pub account: u64,
    /// How much.
    pub cents: u64,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

/// Below this a payment is tiny: a thief tries whether a stolen card works.
pub const TINY_CENTS: u64 = 100;
/// Above this a payment is large.
pub const LARGE_CENTS: u64 = 50_000;
/// A large payment within so many milliseconds after a tiny one is suspicious.
pub const WITHIN_MS: i64 = 60_000;

/// `count` payments of one day in the order of their time, with a theft every now and then.
pub fn payments(seed: u64, count: usize) -> Vec<Payment> {
    let mut random = Random::new(seed);
    let step = 86_400_000 / count.max(1) as i64;
    let mut payments = Vec::with_capacity(count);
    let mut at = 1_767_225_600_000;
    while payments.len() < count {
        at += step;
        let account = random.below(1 + count as u64 / 20);
        payments.push(Payment { account, cents: 100 + random.below(40_000), at });
        if random.once_in(50) {
            payments.push(Payment { account, cents: 1 + random.below(99), at: at + 1 });
            let pause = random.below(2 * WITHIN_MS as u64) as i64;
            payments.push(Payment { account, cents: 50_001 + random.below(90_000), at: at + 1 + pause });
        }
    }
    payments.sort_by_key(|payment| payment.at);
    payments
}
