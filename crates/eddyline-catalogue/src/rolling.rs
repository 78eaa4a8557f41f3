//! Aggregates that roll along. Keys belong to one split, for only there the order is known.

use crate::input::{Event, Input};
use eddyline::{DataStream, Environment};
use std::collections::BTreeMap;

fn line(what: &str, event: &Event, value: i64) -> String {
    format!("{what} {}/{} {value}", event.split, event.key)
}

pub(crate) fn aggregates(environment: &Environment, input: &Input) -> DataStream<String> {
    let keyed = input.stream(environment, 0).key_by(|event| (event.split, event.key));
    let reduced = keyed.reduce(|before, now| Event { value: before.value.max(now.value) - 1, ..now });
    let reduced = reduced.map(|event| line("reduced", &event, event.value));
    let summed = keyed.sum(|event| &mut event.value).map(|event| line("summed", &event, event.value));
    let least = keyed.min(|event| &mut event.value).map(|event| line("least", &event, event.value));
    let counted = keyed.count().map(|((split, key), count)| format!("counted {split}/{key} {count}"));
    let folded = keyed.fold((0u32, 0u64, 0i64), |(split, key, sum), event| {
        (*split, *key) = (event.split, event.key);
        *sum = (*sum * 3 + event.value) % 1_000;
    });
    let folded = folded.map(|(split, key, sum)| format!("folded {split}/{key} {sum}"));
    reduced.union_all([&summed, &least, &counted, &folded])
}

pub(crate) fn expected_aggregates(input: &Input) -> Vec<String> {
    /// Reduced, sum, least, count, folded.
    type Rolling = (Option<i64>, i64, Option<i64>, u64, i64);
    let mut states: BTreeMap<(u32, u64), Rolling> = BTreeMap::new();
    let mut lines = Vec::new();
    for event in input.events(0) {
        let (reduced, sum, least, count, folded) = states.entry((event.split, event.key)).or_default();
        *reduced = Some(reduced.map_or(event.value, |before| before.max(event.value) - 1));
        *sum += event.value;
        *least = Some(least.map_or(event.value, |before| before.min(event.value)));
        *count += 1;
        *folded = (*folded * 3 + event.value) % 1_000;
        lines.extend(reduced.map(|value| line("reduced", &event, value)));
        lines.push(line("summed", &event, *sum));
        lines.extend(least.map(|value| line("least", &event, value)));
        lines.push(format!("counted {}/{} {count}", event.split, event.key));
        lines.push(format!("folded {}/{} {folded}", event.split, event.key));
    }
    lines
}
