//! The records: each follows from seed, split and index.

use eddyline::Data;

/// How many splits there are.
pub const SPLITS: u64 = 4;
/// The split that falls silent in the middle.
pub const IDLE_SPLIT: u64 = 3;
/// How far records are out of order at most, milliseconds.
pub const DISORDER_MS: i64 = 200;
/// Keys from here on are those of late records, one each.
pub const LATE_KEYS: u64 = 1 << 40;

const KEYS: u64 = 12;
const STEP_MS: i64 = 10;
const LATE_TIME: i64 = -1_000_000_000;
/// The idle split goes on this far after the others, milliseconds: it was idle, so it must not be late.
const AFTER_IDLE_MS: i64 = 1_000_000;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Event {
    /// Its own number.
    pub id: u64,
    /// What it is grouped by.
    pub key: u64,
    /// Event time, milliseconds.
    pub time: i64,
}

impl Event {
    /// Whether it is far behind everything.
    pub fn is_late(&self) -> bool {
        self.key >= LATE_KEYS
    }
}

/// The record at `index` of `split`.
pub fn event(seed: u64, split: u64, index: u64, records_per_split: u64) -> Event {
    let id = split * 1_000_000 + index;
    let random = mix(seed ^ mix(id));
    if index % 29 == 17 {
        return Event { id, key: LATE_KEYS + id, time: LATE_TIME - (random % 1_000) as i64 };
    }
    let idle_gap = if split == IDLE_SPLIT && index >= records_per_split / 2 { AFTER_IDLE_MS } else { 0 };
    let jitter = (random >> 8) as i64 & 0xFFFF;
    let time = index as i64 * STEP_MS + jitter % (DISORDER_MS + 1) + idle_gap;
    Event { id, key: random % KEYS, time }
}

/// How often a record goes round the loop.
pub fn loop_rounds(id: u64) -> u64 {
    mix(id) % 5
}

/// splitmix64 (Steele, Lea, Flood 2014).
pub(super) fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
