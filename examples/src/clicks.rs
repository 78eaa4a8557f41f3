//! Visitors of a site: they come, look at some pages, and go.

use crate::random::Random;
use eddyline::Data;

/// A page that was looked at.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Click {
    /// Who.
    pub visitor: u64,
    /// What.
    pub page: String,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

/// A visitor who is quiet for so long has left, milliseconds.
pub const GAP_MS: i64 = 30 * 60 * 1_000;

/// `count` clicks of a day, out of order by a few places.
pub fn clicks(seed: u64, count: usize) -> Vec<Click> {
    let mut random = Random::new(seed);
    let visitors = 1 + count as u64 / 30;
    let step = 86_400_000 / count.max(1) as i64;
    let mut clicks: Vec<Click> = (0..count)
        .map(|index| Click {
            visitor: random.below(visitors),
            page: format!("/page/{}", random.below(12)),
            at: 1_767_225_600_000 + index as i64 * step,
        })
        .collect();
    random.disorder(&mut clicks, 6);
    clicks
}
