//! Steps without state, and rolling aggregates.

use super::bare;
use super::events::{Event, Events, add_up};
use super::{Operator, cheap, dear};
use eddyline::async_call::{AsyncOptions, AsyncOrder};
use eddyline::window::Sum;
use eddyline::{Collector, Environment};

pub const OPERATORS: &[Operator] = &[
    cheap("map", map, bare::values),
    cheap("filter", filter, bare::filtered),
    cheap("flat_map", flat_map, bare::doubled),
    cheap("union", union, bare::values),
    cheap("key_by", key_by, bare::values),
    cheap("reduce", reduce, bare::rolling),
    cheap("fold", fold, bare::rolling),
    cheap("aggregate", aggregate, bare::rolling),
    dear("async call, ordered", ordered, bare::values),
    dear("async call, unordered", unordered, bare::values),
];

pub fn nothing(environment: &Environment, events: Events) {
    add_up(&events.stream(environment), |event| event.value);
}

fn map(environment: &Environment, events: Events) {
    let mapped = events.stream(environment).map(|event| Event { time: event.time + 1, ..event });
    add_up(&mapped, |event| event.value);
}

fn filter(environment: &Environment, events: Events) {
    add_up(&events.stream(environment).filter(|event| event.id % 2 == 0), |event| event.value);
}

fn flat_map(environment: &Environment, events: Events) {
    let doubled = events.stream(environment).flat_map(|event: Event, out: &mut Collector<Event>| {
        out.collect(event.clone());
        out.collect(event);
    });
    add_up(&doubled, |event| event.value);
}

fn union(environment: &Environment, events: Events) {
    let [left, right] = events.halves(environment);
    add_up(&left.union(&right), |event| event.value);
}

fn key_by(environment: &Environment, events: Events) {
    let keyed =
        events.stream(environment).partition_custom(|event, instances| event.key as usize % instances);
    add_up(&keyed, |event| event.value);
}

fn reduce(environment: &Environment, events: Events) {
    let keyed = events.stream(environment).key_by(|event| event.key);
    let counts = keyed.reduce(|one, other| Event { value: one.value + other.value, ..other });
    add_up(&counts, |event| event.value);
}

fn fold(environment: &Environment, events: Events) {
    let keyed = events.stream(environment).key_by(|event| event.key);
    add_up(&keyed.fold(0, |count: &mut u64, event| *count += event.value), |count| *count);
}

fn aggregate(environment: &Environment, events: Events) {
    let keyed = events.stream(environment).key_by(|event| event.key);
    add_up(&keyed.aggregate(Sum::of(|event: &Event| event.value)), |(_, count)| *count);
}

fn calls(environment: &Environment, events: Events, order: AsyncOrder) {
    let answers = events
        .stream(environment)
        .async_call(AsyncOptions::new(order), |event: Event| async move { Ok(vec![event.value]) });
    add_up(&answers, |value| *value);
}

fn ordered(environment: &Environment, events: Events) {
    calls(environment, events, AsyncOrder::Ordered);
}

fn unordered(environment: &Environment, events: Events) {
    calls(environment, events, AsyncOrder::Unordered);
}
