//! Two streams that meet.

use super::bare;
use super::events::{Event, Events, add_up};
use super::{Operator, cheap, dear};
use eddyline::window::TumblingEventTimeWindows;
use eddyline::{Environment, KeyedStream};
use std::collections::VecDeque;
use std::time::Duration;

/// How far the partners of an interval join may be from one another.
const DISTANCE_MS: i64 = 2;
/// The size of the windows of the window join: small, for all pairs are many.
const SIZE: Duration = Duration::from_millis(5);
const SIZE_MS: i64 = 5;
/// The size of the windows of the co-group.
const GROUP: Duration = Duration::from_millis(50);
const GROUP_MS: i64 = 50;

pub const OPERATORS: &[Operator] = &[
    cheap("connect, co-map", co_map, bare::values),
    dear("interval join", interval_join, bare_interval_join),
    dear("window join", window_join, bare_window_join),
    dear("co-group", co_group, bare_co_group),
];

fn sides(environment: &Environment, events: Events) -> [KeyedStream<u64, Event>; 2] {
    events.halves(environment).map(|half| half.key_by(|event| event.key))
}

fn co_map(environment: &Environment, events: Events) {
    let [left, right] = events.halves(environment);
    add_up(&left.connect(&right).map(|event| event.value, |event| event.value), |value| *value);
}

fn interval_join(environment: &Environment, events: Events) {
    let [left, right] = sides(environment, events);
    let pairs = left.interval_join(&right).between(-DISTANCE_MS, DISTANCE_MS);
    add_up(&pairs.apply(|left, right| left.value * right.value), |product| *product);
}

fn bare_interval_join(events: Events) -> u64 {
    let mut kept: bare::Map<u64, [VecDeque<(i64, u64)>; 2]> = bare::Map::default();
    let mut sum = 0;
    for (number, event) in events.iter().enumerate() {
        let sides = kept.entry(event.key).or_default();
        for side in sides.iter_mut() {
            while side.front().is_some_and(|(time, _)| *time < event.time - DISTANCE_MS) {
                side.pop_front();
            }
        }
        sum += sides[1 - number % 2].iter().map(|(_, value)| value * event.value).sum::<u64>();
        sides[number % 2].push_back((event.time, event.value));
    }
    sum
}

fn window_join(environment: &Environment, events: Events) {
    let [left, right] = sides(environment, events);
    let pairs = left.join(&right).window(TumblingEventTimeWindows::of(SIZE));
    add_up(&pairs.apply(|left, right| left.value * right.value), |product| *product);
}

fn bare_window_join(events: Events) -> u64 {
    let groups = bare::two_sides(events, |event| (event.key, event.time / SIZE_MS));
    let pairs = |[left, right]: [Vec<Event>; 2]| {
        let with = |one: &Event| right.iter().map(|other| one.value * other.value).sum::<u64>();
        left.iter().map(with).sum::<u64>()
    };
    groups.into_values().map(pairs).sum()
}

fn co_group(environment: &Environment, events: Events) {
    let [left, right] = sides(environment, events);
    let groups = left.co_group(&right).window(TumblingEventTimeWindows::of(GROUP));
    let sums = groups.apply(|_, _, left, right, out| {
        out.collect(left.iter().chain(right).map(|event| event.value).sum::<u64>());
        Ok(())
    });
    add_up(&sums, |sum| *sum);
}

fn bare_co_group(events: Events) -> u64 {
    let groups = bare::two_sides(events, |event| (event.key, event.time / GROUP_MS));
    groups.into_values().flatten().flatten().map(|event| event.value).sum()
}
