//! Sensors of a plant, and the limits that people set for them.

use crate::random::Random;
use eddyline::Data;

/// What a sensor measured.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Reading {
    /// Which sensor.
    pub sensor: u64,
    /// What it measures: `temperature`, `pressure`.
    pub kind: String,
    /// What it found.
    pub value: i64,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

/// From `since` on, readings of a kind above `limit` are an alarm.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Threshold {
    /// For readings of this kind.
    pub kind: String,
    /// The greatest value that is no alarm.
    pub limit: i64,
    /// From when on it is valid, milliseconds since the epoch.
    pub since: i64,
}

/// When the plant is switched on.
pub const START_MS: i64 = 1_767_225_600_000;

/// `count` readings of 20 sensors, one each second, in order.
pub fn readings(seed: u64, count: usize) -> Vec<Reading> {
    let mut random = Random::new(seed);
    let one = |index: usize| {
        let sensor = random.below(20);
        let kind = if sensor < 12 { "temperature" } else { "pressure" };
        let value = random.below(100) as i64;
        Reading { sensor, kind: kind.into(), value, at: START_MS + index as i64 * 1_000 }
    };
    (0..count).map(one).collect()
}

/// Limits for both kinds; that of temperature is lowered half way through `count` readings.
pub fn thresholds(count: usize) -> Vec<Threshold> {
    let limit = |kind: &str, limit: i64, since: i64| Threshold { kind: kind.into(), limit, since };
    let half = START_MS + count as i64 * 500;
    vec![limit("temperature", 95, START_MS), limit("pressure", 90, START_MS), limit("temperature", 80, half)]
}
