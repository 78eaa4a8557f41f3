//! Bounded data.

use super::bare;
use super::events::{Event, Events, add_up};
use super::{Operator, dear};
use eddyline::dataset::{GroupedDataSet, JoinStrategy, JoinedDataSets, SortBy};
use eddyline::window::Count;
use eddyline::{DataSet, Environment};

pub const OPERATORS: &[Operator] = &[
    dear("distinct", distinct, bare_distinct),
    dear("sort", sort, bare_sort),
    dear("aggregate of groups", aggregate, bare_aggregate),
    dear("group-reduce", reduce_group, bare_groups),
    dear("hash join", hash_join, bare_join),
    dear("sort-merge join", sort_merge_join, bare_join),
    dear("full outer join", outer_join, bare_join),
    dear("co-group of data sets", co_group, bare_join),
];

fn finish(data: &DataSet<u64>) {
    add_up(&data.clone().into_stream(), |value| *value);
}

fn distinct(environment: &Environment, events: Events) {
    let ids = events.data(environment).map(|event| event.id).distinct();
    finish(&ids.map(|_| 1));
}

fn bare_distinct(events: Events) -> u64 {
    let mut seen: bare::Map<u64, ()> = bare::Map::default();
    events.iter().map(|event| u64::from(seen.insert(event.id, ()).is_none())).sum()
}

fn sort(environment: &Environment, events: Events) {
    let sorted = events.data(environment).sort_partition(SortBy::ascending(|event: &Event| event.id));
    finish(&sorted.map(|event| event.value));
}

fn bare_sort(events: Events) -> u64 {
    let mut sorted: Vec<Event> = events.iter().collect();
    sorted.sort_by_key(|event| event.id);
    std::hint::black_box(sorted).iter().map(|event| event.value).sum()
}

fn aggregate(environment: &Environment, events: Events) {
    let counts = events.data(environment).group_by(|event| event.key).aggregate(Count::new());
    finish(&counts.map(|(_, count)| count));
}

fn bare_aggregate(events: Events) -> u64 {
    let mut counts: bare::Map<u64, u64> = bare::Map::default();
    events.iter().for_each(|event| *counts.entry(event.key).or_default() += event.value);
    counts.into_values().sum()
}

fn reduce_group(environment: &Environment, events: Events) {
    let groups = events.data(environment).group_by(|event| event.key);
    finish(&groups.reduce_group(|_, rows, out| out.collect(rows.map(|event| event.value).sum())));
}

fn bare_groups(events: Events) -> u64 {
    let mut groups: bare::Map<u64, Vec<Event>> = bare::Map::default();
    events.iter().for_each(|event| groups.entry(event.key).or_default().push(event));
    groups.into_values().flatten().map(|event| event.value).sum()
}

fn joined(environment: &Environment, events: Events) -> JoinedDataSets<u64, Event, Event> {
    let [left, right] = events.halves(environment).map(|half| half.bounded());
    left.join(&right, |event| event.id, |event| event.id)
}

fn hash_join(environment: &Environment, events: Events) {
    let joined = joined(environment, events).with_strategy(JoinStrategy::HashBuildLeft);
    finish(&joined.inner(|left, right| left.value + right.value));
}

fn sort_merge_join(environment: &Environment, events: Events) {
    let joined = joined(environment, events).with_strategy(JoinStrategy::SortMerge);
    finish(&joined.inner(|left, right| left.value + right.value));
}

fn outer_join(environment: &Environment, events: Events) {
    let value = |event: Option<&Event>| event.map_or(0, |event| event.value);
    finish(&joined(environment, events).full_outer(move |left, right| value(left) + value(right)));
}

fn bare_join(events: Events) -> u64 {
    let mut left: bare::Map<u64, Event> = bare::Map::default();
    left.extend(events.iter().step_by(2).map(|event| (event.id, event)));
    let right = events.iter().skip(1).step_by(2);
    right.filter_map(|event| left.get(&event.id).map(|partner| partner.value + event.value)).sum()
}

fn co_group(environment: &Environment, events: Events) {
    let [left, right] = events.halves(environment).map(|half| half.bounded());
    let by_id = |half: &DataSet<Event>| -> GroupedDataSet<u64, Event> { half.group_by(|event| event.id) };
    let sums = by_id(&left).co_group(&by_id(&right), |_, left, right, out| {
        out.collect(left.chain(right).map(|event| event.value).sum());
    });
    finish(&sums);
}
