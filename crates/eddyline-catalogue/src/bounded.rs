//! Bounded data: jobs that keep nothing for a restart and give everything at their end.

use crate::input::{Event, Input};
use eddyline::dataset::SortBy;
use eddyline::window::Count;
use eddyline::{DataStream, Environment};
use std::collections::{BTreeMap, BTreeSet};

/// Only one in so many records of a split takes part in the join: all pairs would be many.
const PART: u32 = 8;

fn pair(left: &Event, right: &Event) -> String {
    format!("{} {}/{} {}/{}", left.key, left.split, left.index, right.split, right.index)
}

/// Sorted and numbered groups, a join, distinct values, counts.
pub(crate) fn data_sets(environment: &Environment, input: &Input) -> DataStream<String> {
    let [left, right] = [0, 1].map(|source| input.stream(environment, source).bounded());
    let by_time = SortBy::ascending(|event: &Event| (event.time, event.split, event.index));
    let groups = left.group_by(|event| event.key).sort_group(by_time).reduce_group(|key, rows, out| {
        for (number, event) in rows.enumerate() {
            out.collect(format!("{key} {number}: {}/{}", event.split, event.index));
        }
    });
    let [some, others] = [&left, &right].map(|side| side.filter(|event| event.index.is_multiple_of(PART)));
    let pairs = some.join(&others, |event| event.key, |event| event.key).inner(pair);
    let values = left.union(&right).map(|event| event.value).distinct().map(|value| format!("value {value}"));
    let counts = right.group_by(|event| event.split).aggregate(Count::new());
    let counts = counts.map(|(split, count)| format!("split {split}: {count}"));
    groups.union(&pairs).union(&values).union(&counts).into_stream()
}

pub(crate) fn expected_data_sets(input: &Input) -> Vec<String> {
    let mut lines = Vec::new();
    let mut groups: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    input.events(0).for_each(|event| groups.entry(event.key).or_default().push(event));
    for (key, mut events) in groups {
        events.sort_by_key(|event| (event.time, event.split, event.index));
        let numbered = events.iter().enumerate();
        lines.extend(
            numbered.map(|(number, event)| format!("{key} {number}: {}/{}", event.split, event.index)),
        );
    }
    let right: Vec<Event> = input.events(1).filter(|event| event.index.is_multiple_of(PART)).collect();
    for left in input.events(0).filter(|event| event.index.is_multiple_of(PART)) {
        lines.extend(right.iter().filter(|right| right.key == left.key).map(|right| pair(&left, right)));
    }
    let values: BTreeSet<i64> = input.events(0).chain(input.events(1)).map(|event| event.value).collect();
    lines.extend(values.iter().map(|value| format!("value {value}")));
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    input.events(1).for_each(|event| *counts.entry(event.split).or_default() += 1);
    lines.extend(counts.iter().map(|(split, count)| format!("split {split}: {count}")));
    lines
}
