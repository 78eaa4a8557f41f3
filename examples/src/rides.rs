//! Taxi rides: a start, and an end unless somebody forgot to press the button.

use crate::random::Random;
use eddyline::Data;

/// What a taxi reports.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct RideEvent {
    /// Which ride.
    pub ride: u64,
    /// Whether it starts or ends.
    pub is_start: bool,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

/// Rides longer than this are to be looked into, milliseconds.
pub const LONG_MS: i64 = 2 * 60 * 60 * 1_000;

/// The events of `count` rides, out of order by a few places.
pub fn ride_events(seed: u64, count: u64) -> Vec<RideEvent> {
    let mut random = Random::new(seed);
    let mut events = Vec::new();
    for ride in 0..count {
        let start = 1_767_225_600_000 + ride as i64 * 10_000;
        events.push(RideEvent { ride, is_start: true, at: start });
        if !random.once_in(20) {
            let minutes = if random.once_in(10) { 121 + random.below(60) } else { 3 + random.below(100) };
            events.push(RideEvent { ride, is_start: false, at: start + minutes as i64 * 60_000 });
        }
    }
    events.sort_by_key(|event| event.at);
    random.disorder(&mut events, 5);
    events
}
