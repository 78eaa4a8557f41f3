//! Two streams that meet.

use crate::input::{Event, Input};
use eddyline::window::{CumulativeWindows, SlicedWindows};
use eddyline::{
    Collector, DataStream, Environment, KeyedCoProcessFunction, KeyedContext, KeyedOpenContext, KeyedStream,
    Result, TimeDomain, ValueState,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Size of the windows, milliseconds.
const SIZE_MS: i64 = 60;
/// Bounds of the interval, milliseconds.
const LOWER_MS: i64 = -35;
const UPPER_MS: i64 = 20;

fn sides(environment: &Environment, input: &Input) -> [KeyedStream<u64, Event>; 2] {
    [0, 1].map(|source| input.stream(environment, source).key_by(|event| event.key))
}

fn line(left: &Event, right: &Event) -> String {
    format!("{} {}/{} {}/{}", left.key, left.split, left.index, right.split, right.index)
}

/// All pairs of records with equal keys that `wanted` wants.
fn expected_pairs(input: &Input, wanted: impl Fn(&Event, &Event) -> bool) -> Vec<String> {
    let right: Vec<Event> = input.events(1).collect();
    let mut lines = Vec::new();
    for left in input.events(0) {
        let partners = right.iter().filter(|right| right.key == left.key && wanted(&left, right));
        lines.extend(partners.map(|right| line(&left, right)));
    }
    lines
}

/// Only every eighth record of each split takes part: all pairs would be many.
pub(crate) fn join(environment: &Environment, input: &Input) -> DataStream<String> {
    let [left, right] = [0, 1].map(|source| {
        let some = input.stream(environment, source).filter(|event| event.index.is_multiple_of(8));
        some.key_by(|event| event.key)
    });
    left.join(&right).with_retention(Duration::from_secs(3_600)).apply(line)
}

pub(crate) fn expected_join(input: &Input) -> Vec<String> {
    expected_pairs(input, |left, right| left.index.is_multiple_of(8) && right.index.is_multiple_of(8))
}

pub(crate) fn window_join(environment: &Environment, input: &Input) -> DataStream<String> {
    let [left, right] = sides(environment, input);
    left.join(&right).window(SlicedWindows::tumbling(SIZE_MS)).apply(line)
}

pub(crate) fn expected_window_join(input: &Input) -> Vec<String> {
    let window = |event: &Event| event.time.div_euclid(SIZE_MS);
    expected_pairs(input, |left, right| window(left) == window(right))
}

pub(crate) fn co_group(environment: &Environment, input: &Input) -> DataStream<String> {
    let [left, right] = sides(environment, input);
    left.co_group(&right).window(SlicedWindows::tumbling(SIZE_MS)).apply(|key, window, left, right, out| {
        let sum = |events: &[Event]| events.iter().map(|event| event.value).sum::<i64>();
        out.collect(group_line(*key, window.start, (left.len(), sum(left)), (right.len(), sum(right))));
        Ok(())
    })
}

/// Windows that grow, which the operator for windows of all kinds runs.
pub(crate) fn cumulative_co_group(environment: &Environment, input: &Input) -> DataStream<String> {
    let [left, right] = sides(environment, input);
    let millis = |millis: i64| Duration::from_millis(millis as u64);
    let windows = CumulativeWindows::event_time(millis(SIZE_MS), millis(SIZE_MS / 2));
    left.co_group(&right).window(windows).apply(|key, window, left, right, out| {
        let sum = |events: &[Event]| events.iter().map(|event| event.value).sum::<i64>();
        out.collect(group_line(*key, window.end, (left.len(), sum(left)), (right.len(), sum(right))));
        Ok(())
    })
}

pub(crate) fn expected_cumulative_co_group(input: &Input) -> Vec<String> {
    let mut groups: BTreeMap<(u64, i64), [(usize, i64); 2]> = BTreeMap::new();
    for source in [0, 1] {
        for event in input.events(source) {
            let start = event.time.div_euclid(SIZE_MS) * SIZE_MS;
            let ends = [start + SIZE_MS / 2, start + SIZE_MS].into_iter().filter(|end| event.time < *end);
            for end in ends {
                let side = &mut groups.entry((event.key, end)).or_default()[source as usize];
                *side = (side.0 + 1, side.1 + event.value);
            }
        }
    }
    groups.into_iter().map(|((key, end), [left, right])| group_line(key, end, left, right)).collect()
}

fn group_line(key: u64, start: i64, left: (usize, i64), right: (usize, i64)) -> String {
    format!("{key} {start} {left:?} {right:?}")
}

pub(crate) fn expected_co_group(input: &Input) -> Vec<String> {
    let mut groups: BTreeMap<(u64, i64), [(usize, i64); 2]> = BTreeMap::new();
    for source in [0, 1] {
        for event in input.events(source) {
            let start = event.time.div_euclid(SIZE_MS) * SIZE_MS;
            let side = &mut groups.entry((event.key, start)).or_default()[source as usize];
            *side = (side.0 + 1, side.1 + event.value);
        }
    }
    groups.into_iter().map(|((key, start), [left, right])| group_line(key, start, left, right)).collect()
}

pub(crate) fn interval_join(environment: &Environment, input: &Input) -> DataStream<String> {
    let [left, right] = sides(environment, input);
    left.interval_join(&right).between(LOWER_MS, UPPER_MS).upper_bound_exclusive().apply(line)
}

pub(crate) fn expected_interval_join(input: &Input) -> Vec<String> {
    expected_pairs(input, |left, right| (LOWER_MS..UPPER_MS).contains(&(right.time - left.time)))
}

/// Adds up what both sides have of a key in one state, and tells it at the end of each stretch of time.
#[derive(Default)]
struct Together {
    sums: Option<ValueState<BTreeMap<i64, (i64, i64)>>>,
}

/// The last millisecond of the stretch of a time.
fn stretch_end(time: i64) -> i64 {
    (time.div_euclid(SIZE_MS) + 1) * SIZE_MS - 1
}

impl Together {
    fn add(&self, event: &Event, context: &mut KeyedContext<'_, u64>, change: impl FnOnce(&mut (i64, i64))) {
        let Some(sums) = &self.sums else { return };
        let end = stretch_end(event.time);
        sums.with_mut(BTreeMap::new, |sums| change(sums.entry(end).or_default()));
        context.register_event_time_timer(end);
    }
}

impl KeyedCoProcessFunction<u64, Event, Event, String> for Together {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.sums = Some(context.value_state("sums")?);
        Ok(())
    }

    fn process_element1(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        self.add(&event, context, |sums| sums.0 += event.value);
        Ok(())
    }

    fn process_element2(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        self.add(&event, context, |sums| sums.1 += event.value);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let Some(sums) = &self.sums else { return Ok(()) };
        if let Some(sum) = sums.with_mut(BTreeMap::new, |sums| sums.remove(&time)) {
            out.collect(format!("{} {time} {sum:?}", context.key()));
        }
        Ok(())
    }
}

pub(crate) fn connect(environment: &Environment, input: &Input) -> DataStream<String> {
    let [left, right] = sides(environment, input);
    left.connect(&right).process(Together::default)
}

pub(crate) fn expected_connect(input: &Input) -> Vec<String> {
    let mut sums: BTreeMap<(u64, i64), (i64, i64)> = BTreeMap::new();
    for event in input.events(0) {
        sums.entry((event.key, stretch_end(event.time))).or_default().0 += event.value;
    }
    for event in input.events(1) {
        sums.entry((event.key, stretch_end(event.time))).or_default().1 += event.value;
    }
    sums.into_iter().map(|((key, end), sum)| format!("{key} {end} {sum:?}")).collect()
}
