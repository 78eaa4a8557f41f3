//! The rows of simulated jobs, and the input that a seed stands for.

use crate::random::mix;
use crate::scenario::{EVENT_STEP_MS, FIRST_EVENT_MS, Input};
use eddyline_core::{Data, EventTime};

/// A record of the input.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct Event {
    /// Its key.
    pub key: u64,
    /// What is summed up.
    pub value: i64,
    /// The split it comes from, counted over both sources.
    pub split: u32,
    /// Its place in the split.
    pub index: u32,
    /// Rounds it has made in loops.
    pub rounds: u32,
}

/// What an outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A window has fired: key, its end, count and sum.
    Window,
    /// A record came too late: key, the end of its window, 1, its value.
    Late,
    /// All of a key: key, 0, count and sum.
    Total,
    /// A record: split and index, its event time, rounds, value.
    Record,
}

impl Kind {
    /// The number that is written.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// A row that the sink writes; what the fields mean depends on the [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct Outcome {
    /// The branch of the job.
    pub branch: u32,
    /// The number of a [`Kind`].
    pub kind: u8,
    /// Key, or place in the input.
    pub key: u64,
    /// Event time, milliseconds since the epoch.
    pub at: i64,
    /// A count.
    pub count: u64,
    /// A sum.
    pub sum: i64,
}

/// The number of split `split` of `source` among the splits of both sources.
pub fn split_number(input: &Input, source: u32, split: u32) -> u32 {
    source * input.splits + split
}

/// The record at `index` of split number `split`.
pub fn event_of(input: &Input, split: u32, index: u32) -> (Event, EventTime) {
    let chance = mix(input.seed ^ mix((u64::from(split) << 32) | u64::from(index)));
    let key = chance % input.keys;
    let value = (chance >> 20) as i64 % 1_000;
    let due = FIRST_EVENT_MS + i64::from(index) * EVENT_STEP_MS;
    let disorder = (chance >> 40) as i64 % input.disorder_ms;
    let late = if input.unruly && (chance >> 8).is_multiple_of(13) {
        100 + (chance >> 12) as i64 % 2_000
    } else {
        0
    };
    (Event { key, value, split, index, rounds: 0 }, due - disorder - late)
}

/// Where and for how many milliseconds split number `split` pauses, if it does.
pub(super) fn pause_of(input: &Input, split: u32) -> Option<(u32, u64)> {
    let chance = mix(input.seed.rotate_left(17) ^ u64::from(split));
    let pauses = input.unruly && chance.is_multiple_of(2);
    pauses.then(|| ((chance >> 8) as u32 % input.records, 50 + (chance >> 40) % 300))
}

/// The value of rule `number`.
pub fn rule_of(input: &Input, number: u32) -> i64 {
    (mix(input.seed ^ 0x5255_4C45 ^ u64::from(number)) % 100) as i64
}
