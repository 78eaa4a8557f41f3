//! Advertisements that were shown, and clicks on some of them.

use crate::random::Random;
use eddyline::Data;

/// An advertisement was shown to somebody.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Impression {
    /// To whom.
    pub user: u64,
    /// Which campaign it belongs to.
    pub campaign: u64,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

/// Somebody clicked on an advertisement.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct AdClick {
    /// Who.
    pub user: u64,
    /// On an advertisement of which campaign.
    pub campaign: u64,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

/// A click belongs to what was shown up to so many milliseconds before it.
pub const ATTRIBUTED_MS: i64 = 10 * 60 * 1_000;

/// `count` impressions, one per second, and the clicks that some of them led to, soon or late; both out of order by a
/// few places.
pub fn advertising(seed: u64, count: usize) -> (Vec<Impression>, Vec<AdClick>) {
    let mut random = Random::new(seed);
    let (mut impressions, mut clicks) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (user, campaign) = (random.below(200), random.below(5));
        let at = 1_767_225_600_000 + index as i64 * 1_000;
        impressions.push(Impression { user, campaign, at });
        if random.once_in(8) {
            let later = random.below(2 * ATTRIBUTED_MS as u64) as i64;
            clicks.push(AdClick { user, campaign, at: at + later });
        }
    }
    clicks.sort_by_key(|click| click.at);
    random.disorder(&mut impressions, 9);
    random.disorder(&mut clicks, 3);
    (impressions, clicks)
}
