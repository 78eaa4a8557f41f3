//! The same computations without an engine: loops over the same records, with the cheapest map there is.

use super::events::{Event, Events};
use crate::window_job::Mixing;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::hash::Hash;

pub type Map<K, V> = HashMap<K, V, Mixing>;

/// Adds up the values of all records.
pub fn values(events: Events) -> u64 {
    events.iter().map(|event| event.value).sum()
}

/// Adds up the records that are left of a filter.
pub fn filtered(events: Events) -> u64 {
    events.iter().filter(|event| event.id % 2 == 0).map(|event| event.value).sum()
}

/// Every record twice.
pub fn doubled(events: Events) -> u64 {
    let mut sum = 0;
    for event in events.iter() {
        let copy = std::hint::black_box(event.clone());
        sum += event.value + copy.value;
    }
    sum
}

/// A count per key, told at each record.
pub fn rolling(events: Events) -> u64 {
    let mut counts: Map<u64, u64> = Map::default();
    let count = |event: Event| {
        let count = counts.entry(event.key).or_default();
        *count += event.value;
        *count
    };
    events.iter().map(count).sum()
}

/// A map per window, each dropped when time has passed it; `windows` names the windows of a time by their ends, and
/// `finish` weighs what a window has come to.
pub fn windowed<S: Default, W: IntoIterator<Item = i64>>(
    events: Events,
    windows: impl Fn(&Event) -> W,
    add: impl Fn(&mut S, Event),
    finish: impl Fn(S) -> u64,
) -> u64 {
    let mut open: BTreeMap<i64, Map<u64, S>> = BTreeMap::new();
    let (mut sum, mut now) = (0, i64::MIN);
    for event in events.iter() {
        if event.time > now {
            now = event.time;
            while let Some(first) = open.first_entry().filter(|first| *first.key() <= now) {
                sum += first.remove().into_values().map(&finish).sum::<u64>();
            }
        }
        for end in windows(&event) {
            add(open.entry(end).or_default().entry(event.key).or_default(), event.clone());
        }
    }
    sum + open.into_values().flat_map(HashMap::into_values).map(finish).sum::<u64>()
}

/// The end of the window of a time, for windows one after the other.
pub fn tumbling(size_ms: i64) -> impl Fn(&Event) -> Option<i64> {
    move |event| Some(event.time - event.time.rem_euclid(size_ms) + size_ms)
}

/// The ends of the windows of a time, for windows that overlap.
pub fn sliding(size_ms: i64, slide_ms: i64) -> impl Fn(&Event) -> std::iter::StepBy<std::ops::Range<i64>> {
    move |event| {
        let first = event.time - event.time.rem_euclid(slide_ms) + slide_ms;
        (first..first + size_ms).step_by(slide_ms as usize)
    }
}

/// Counts per window.
pub fn counted<W: IntoIterator<Item = i64>>(events: Events, windows: impl Fn(&Event) -> W) -> u64 {
    windowed(events, windows, |count: &mut u64, event| *count += event.value, |count| count)
}

/// Counts per session, one open session per key.
pub fn sessions(events: Events, gap_ms: i64) -> u64 {
    let mut open: Map<u64, (i64, u64)> = Map::default();
    let mut sum = 0;
    for event in events.iter() {
        let session = open.entry(event.key).or_insert((event.time, 0));
        if event.time > session.0 + gap_ms {
            sum += std::mem::take(&mut session.1);
        }
        *session = (event.time, session.1 + event.value);
    }
    sum + open.into_values().map(|(_, count)| count).sum::<u64>()
}

/// The last so many records of each key, looked at every so many.
pub fn by_count(events: Events, size: usize, slide: u64, is_whole: bool) -> u64 {
    let mut open: Map<u64, (u64, std::collections::VecDeque<u64>)> = Map::default();
    let mut sum = 0;
    for event in events.iter() {
        let (count, values) = open.entry(event.key).or_default();
        *count += 1;
        values.push_back(event.value);
        if values.len() > size {
            values.pop_front();
        }
        if (*count).is_multiple_of(slide) && (!is_whole || values.len() == size) {
            sum += values.iter().sum::<u64>();
        }
    }
    sum
}

/// Records by what `key` gives for them, the even ones left and the odd ones right.
pub fn two_sides<K: Eq + Hash>(events: Events, key: impl Fn(&Event) -> K) -> Map<K, [Vec<Event>; 2]> {
    let mut groups: Map<K, [Vec<Event>; 2]> = Map::default();
    for (number, event) in events.iter().enumerate() {
        groups.entry(key(&event)).or_default()[number % 2].push(event);
    }
    groups
}
