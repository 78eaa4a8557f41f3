//! Windows.

use crate::input::{Event, Input};
use eddyline::window::{
    Aggregator, CumulativeWindows, Elements, SlicedWindows, TimeWindow, TumblingEventTimeWindows,
    WindowResult,
};
use eddyline::{Collector, DataStream, Environment};
use std::collections::BTreeMap;
use std::time::Duration;

/// Size of the windows, milliseconds.
const SIZE_MS: i64 = 200;
/// Slide of the sliding windows, milliseconds.
const SLIDE_MS: i64 = 80;
/// Gap of the sessions, milliseconds.
const GAP_MS: i64 = 12;

/// Counts and sums.
#[derive(Clone)]
struct CountAndSum;

impl Aggregator for CountAndSum {
    type Input = Event;
    type State = (u64, i64);
    type Output = (u64, i64);

    fn create(&self) -> (u64, i64) {
        (0, 0)
    }

    fn add(&self, state: &mut (u64, i64), event: Event) {
        *state = (state.0 + 1, state.1 + event.value);
    }

    fn merge(&self, state: &mut (u64, i64), other: &(u64, i64)) {
        *state = (state.0 + other.0, state.1 + other.1);
    }

    fn result(&self, state: &(u64, i64)) -> (u64, i64) {
        *state
    }
}

fn line<K: std::fmt::Debug>(row: WindowResult<K, (u64, i64)>) -> String {
    let WindowResult { key, window, value: (count, sum) } = row;
    format!("{key:?} {}-{} {count} {sum}", window.start, window.end)
}

fn sliced(environment: &Environment, input: &Input, windows: SlicedWindows) -> DataStream<String> {
    input.stream(environment, 0).key_by(|event| event.key).window(windows).aggregate(CountAndSum).map(line)
}

fn expected_sliced(input: &Input, slide_ms: i64) -> Vec<String> {
    let mut windows: BTreeMap<(u64, i64), (u64, i64)> = BTreeMap::new();
    for event in input.events(0) {
        let mut start = event.time - event.time.rem_euclid(slide_ms);
        while start + SIZE_MS > event.time {
            let window = windows.entry((event.key, start)).or_default();
            *window = (window.0 + 1, window.1 + event.value);
            start -= slide_ms;
        }
    }
    let line = |((key, start), (count, sum))| format!("{key:?} {start}-{} {count} {sum}", start + SIZE_MS);
    windows.into_iter().map(line).collect()
}

pub(crate) fn tumbling(environment: &Environment, input: &Input) -> DataStream<String> {
    sliced(environment, input, SlicedWindows::tumbling(SIZE_MS))
}

pub(crate) fn expected_tumbling(input: &Input) -> Vec<String> {
    expected_sliced(input, SIZE_MS)
}

pub(crate) fn sliding(environment: &Environment, input: &Input) -> DataStream<String> {
    sliced(environment, input, SlicedWindows::sliding(SIZE_MS, SLIDE_MS))
}

pub(crate) fn expected_sliding(input: &Input) -> Vec<String> {
    expected_sliced(input, SLIDE_MS)
}

pub(crate) fn sessions(environment: &Environment, input: &Input) -> DataStream<String> {
    let keyed = input.stream(environment, 0).key_by(|event| event.key);
    keyed.session_window(Duration::from_millis(GAP_MS as u64)).aggregate(CountAndSum).map(line)
}

pub(crate) fn expected_sessions(input: &Input) -> Vec<String> {
    let mut events: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
    input.events(0).for_each(|event| events.entry(event.key).or_default().push((event.time, event.value)));
    let mut lines = Vec::new();
    for (key, mut events) in events {
        events.sort_unstable();
        let mut open: Option<(i64, i64, u64, i64)> = None;
        let mut close = |(start, end, count, sum): (i64, i64, u64, i64)| {
            lines.push(format!("{key:?} {start}-{end} {count} {sum}"));
        };
        for (time, value) in events {
            open = match open {
                Some((start, end, count, sum)) if time <= end => {
                    Some((start, time + GAP_MS, count + 1, sum + value))
                }
                before => {
                    before.into_iter().for_each(&mut close);
                    Some((time, time + GAP_MS, 1, value))
                }
            };
        }
        open.into_iter().for_each(close);
    }
    lines
}

/// Step of the cumulative windows, milliseconds.
const STEP_MS: i64 = 50;
/// Size of the count windows.
const COUNT: u64 = 3;

pub(crate) fn cumulative(environment: &Environment, input: &Input) -> DataStream<String> {
    let millis = |millis: i64| Duration::from_millis(millis as u64);
    let windows = CumulativeWindows::event_time(millis(SIZE_MS), millis(STEP_MS));
    input.stream(environment, 0).key_by(|event| event.key).window(windows).aggregate(CountAndSum).map(line)
}

pub(crate) fn expected_cumulative(input: &Input) -> Vec<String> {
    let mut windows: BTreeMap<(u64, i64, i64), (u64, i64)> = BTreeMap::new();
    for event in input.events(0) {
        let start = event.time - event.time.rem_euclid(SIZE_MS);
        let ends = (1..=SIZE_MS / STEP_MS).map(|step| start + step * STEP_MS).filter(|end| event.time < *end);
        for end in ends {
            let window = windows.entry((event.key, start, end)).or_default();
            *window = (window.0 + 1, window.1 + event.value);
        }
    }
    let line = |((key, start, end), (count, sum))| format!("{key:?} {start}-{end} {count} {sum}");
    windows.into_iter().map(line).collect()
}

/// Windows that keep all their elements and show them to a function, in the order of the elements' values.
pub(crate) fn functions(environment: &Environment, input: &Input) -> DataStream<String> {
    let windows = TumblingEventTimeWindows::of(Duration::from_millis(SIZE_MS as u64));
    let show =
        |key: &u64, window: &TimeWindow, elements: Elements<'_, Event>, out: &mut Collector<String>| {
            let mut values: Vec<i64> = elements.iter().map(|event| event.value).collect();
            values.sort_unstable();
            out.collect(format!("{key} {} {values:?}", window.start));
        };
    input.stream(environment, 0).key_by(|event| event.key).window(windows).apply(show)
}

pub(crate) fn expected_functions(input: &Input) -> Vec<String> {
    let mut windows: BTreeMap<(u64, i64), Vec<i64>> = BTreeMap::new();
    for event in input.events(0) {
        let start = event.time - event.time.rem_euclid(SIZE_MS);
        windows.entry((event.key, start)).or_default().push(event.value);
    }
    let line = |((key, start), mut values): (_, Vec<i64>)| {
        values.sort_unstable();
        format!("{key} {start} {values:?}")
    };
    windows.into_iter().map(line).collect()
}

/// Windows by count. Keys belong to one split, for only there the order is known.
pub(crate) fn counts(environment: &Environment, input: &Input) -> DataStream<String> {
    let keyed = input.stream(environment, 0).key_by(|event| (event.split, event.key));
    keyed.count_window(COUNT).aggregate(CountAndSum).map(|row| format!("{:?} {:?}", row.key, row.value))
}

pub(crate) fn expected_counts(input: &Input) -> Vec<String> {
    let mut open: BTreeMap<(u32, u64), (u64, i64)> = BTreeMap::new();
    let mut lines = Vec::new();
    for event in input.events(0) {
        let key = (event.split, event.key);
        let window = open.entry(key).or_default();
        *window = (window.0 + 1, window.1 + event.value);
        if window.0 == COUNT {
            lines.push(format!("{key:?} {window:?}"));
            open.remove(&key);
        }
    }
    lines
}
