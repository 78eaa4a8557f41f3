//! Windows of all kinds.

use super::bare::{self, by_count, counted, sessions, sliding, tumbling};
use super::events::{Event, Events, add_up};
use super::{Operator, cheap, dear};
use eddyline::stream::{KeyedStream, WindowedStream};
use eddyline::window::{
    Count, CountEvictor, CountTrigger, CumulativeWindows, Elements, EventTimeSessionWindows, GlobalWindows,
    ProcessWindowFunction, ProcessingTimeSessionWindows, PurgingTrigger, SlidingEventTimeWindows,
    SlidingProcessingTimeWindows, TimeWindow, Trigger, TumblingEventTimeWindows,
    TumblingProcessingTimeWindows, WindowAssigner, WindowContext,
};
use eddyline::{Collector, Environment, Result};
use std::time::Duration;

/// The size of the windows.
const SIZE: Duration = Duration::from_millis(50);
const SIZE_MS: i64 = 50;
/// From one window to the next, where they overlap.
const SLIDE: Duration = Duration::from_millis(10);
const SLIDE_MS: i64 = 10;
/// The pause that ends a session.
const GAP: Duration = Duration::from_millis(20);
const GAP_MS: i64 = 20;
/// The size of count windows, and from one to the next.
const COUNT: u64 = 50;
const COUNT_SLIDE: u64 = 10;

pub const OPERATORS: &[Operator] = &[
    cheap("tumbling", tumbling_windows, |events| counted(events, tumbling(SIZE_MS))),
    cheap("sliding, five fold", sliding_windows, |events| counted(events, sliding(SIZE_MS, SLIDE_MS))),
    dear("cumulative, five fold", cumulative, bare_cumulative),
    cheap("sessions", session_windows, |events| sessions(events, GAP_MS)),
    dear("sessions, dynamic gap", dynamic_sessions, |events| sessions(events, GAP_MS)),
    cheap("tumbling, processing time", processing_tumbling, bare::values),
    dear("sliding, five fold, processing time", processing_sliding, five_fold),
    dear("sessions, processing time", processing_sessions, bare::values),
    cheap("tumbling, non-keyed", non_keyed, bare::values),
    dear("global, count trigger, purging", global, whole_counts),
    dear("count windows", count_windows, whole_counts),
    dear("sliding count windows", sliding_counts, |events| {
        by_count(events, COUNT as usize, COUNT_SLIDE, false)
    }),
    dear("tumbling, allowed lateness", lateness, |events| counted(events, tumbling(SIZE_MS))),
    dear("tumbling, aggregate and function", aggregate_with, |events| counted(events, tumbling(SIZE_MS))),
    dear("tumbling, full-window function", whole, listed),
    dear("tumbling, count trigger", triggered, bare_triggered),
    dear("tumbling, evictor", evicted, bare_evicted),
    dear("sliding, full-window function, five fold", sliding_whole, bare_sliding_whole),
];

fn keyed(environment: &Environment, events: Events) -> KeyedStream<u64, Event> {
    events.stream(environment).key_by(|event| event.key)
}

fn count<A, Tr>(windows: &WindowedStream<u64, Event, A, Tr>)
where
    A: WindowAssigner<Event>,
    Tr: Trigger<Event, A::Window>,
{
    add_up(&windows.aggregate(Count::new()), |row| row.value);
}

fn tumbling_windows(environment: &Environment, events: Events) {
    count(&keyed(environment, events).window(TumblingEventTimeWindows::of(SIZE)));
}

fn sliding_windows(environment: &Environment, events: Events) {
    count(&keyed(environment, events).window(SlidingEventTimeWindows::of(SIZE, SLIDE)));
}

fn cumulative(environment: &Environment, events: Events) {
    count(&keyed(environment, events).window(CumulativeWindows::event_time(SIZE, SLIDE)));
}

fn bare_cumulative(events: Events) -> u64 {
    counted(events, |event| {
        let end = event.time - event.time.rem_euclid(SIZE_MS) + SIZE_MS;
        let first = event.time - event.time.rem_euclid(SLIDE_MS) + SLIDE_MS;
        (first..=end).step_by(SLIDE_MS as usize)
    })
}

fn session_windows(environment: &Environment, events: Events) {
    count(&keyed(environment, events).window(EventTimeSessionWindows::with_gap(GAP)));
}

fn dynamic_sessions(environment: &Environment, events: Events) {
    let windows = EventTimeSessionWindows::with_dynamic_gap(|_: &Event| GAP);
    count(&keyed(environment, events).window(windows));
}

fn processing_tumbling(environment: &Environment, events: Events) {
    count(&keyed(environment, events).window(TumblingProcessingTimeWindows::of(SIZE)));
}

fn processing_sliding(environment: &Environment, events: Events) {
    count(&keyed(environment, events).window(SlidingProcessingTimeWindows::of(SIZE, SLIDE)));
}

fn five_fold(events: Events) -> u64 {
    counted(events, sliding(SIZE_MS, SLIDE_MS))
}

fn processing_sessions(environment: &Environment, events: Events) {
    count(&keyed(environment, events).window(ProcessingTimeSessionWindows::with_gap(GAP)));
}

fn non_keyed(environment: &Environment, events: Events) {
    let windows = events.stream(environment).window_all(TumblingEventTimeWindows::of(SIZE));
    add_up(&windows.aggregate(Count::new()), |row| row.value);
}

fn global(environment: &Environment, events: Events) {
    let windows = keyed(environment, events).window(GlobalWindows::create());
    count(&windows.trigger(PurgingTrigger::of(CountTrigger::of(COUNT))));
}

fn count_windows(environment: &Environment, events: Events) {
    count(&keyed(environment, events).count_window(COUNT));
}

fn whole_counts(events: Events) -> u64 {
    let mut open: bare::Map<u64, u64> = bare::Map::default();
    let mut sum = 0;
    for event in events.iter() {
        let count = open.entry(event.key).or_default();
        *count += event.value;
        if *count == COUNT {
            sum += std::mem::take(count);
        }
    }
    sum
}

fn sliding_counts(environment: &Environment, events: Events) {
    count(&keyed(environment, events).count_window_sliding(COUNT, COUNT_SLIDE));
}

fn lateness(environment: &Environment, events: Events) {
    let windows = keyed(environment, events).window(TumblingEventTimeWindows::of(SIZE));
    count(&windows.allowed_lateness(SLIDE));
}

/// Passes a result on.
struct Pass;

impl ProcessWindowFunction<u64, TimeWindow, u64, u64> for Pass {
    fn process(
        &mut self,
        _: &u64,
        counts: Elements<'_, u64>,
        _: &mut WindowContext<'_, TimeWindow>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        out.collect(counts.iter().sum());
        Ok(())
    }
}

fn aggregate_with(environment: &Environment, events: Events) {
    let windows = keyed(environment, events).window(TumblingEventTimeWindows::of(SIZE));
    add_up(&windows.aggregate_with(Count::new(), || Pass), |count| *count);
}

fn sum_up<A, Tr>(windows: &WindowedStream<u64, Event, A, Tr>)
where
    A: WindowAssigner<Event, Window = TimeWindow>,
    Tr: Trigger<Event, TimeWindow>,
{
    let sums = windows.apply(|_, _: &TimeWindow, elements: Elements<'_, Event>, out: &mut Collector<u64>| {
        out.collect(elements.iter().map(|event| event.value).sum());
    });
    add_up(&sums, |sum| *sum);
}

fn whole(environment: &Environment, events: Events) {
    sum_up(&keyed(environment, events).window(TumblingEventTimeWindows::of(SIZE)));
}

fn sum_of(events: Vec<Event>) -> u64 {
    events.iter().map(|event| event.value).sum()
}

fn listed(events: Events) -> u64 {
    bare::windowed(events, tumbling(SIZE_MS), Vec::push, sum_of)
}

fn sliding_whole(environment: &Environment, events: Events) {
    sum_up(&keyed(environment, events).window(SlidingEventTimeWindows::of(SIZE, SLIDE)));
}

fn bare_sliding_whole(events: Events) -> u64 {
    bare::windowed(events, sliding(SIZE_MS, SLIDE_MS), Vec::push, sum_of)
}

fn triggered(environment: &Environment, events: Events) {
    let windows = keyed(environment, events).window(TumblingEventTimeWindows::of(SIZE));
    count(&windows.trigger(CountTrigger::of(COUNT_SLIDE)));
}

fn bare_triggered(events: Events) -> u64 {
    let add = |state: &mut (u64, u64), event: Event| {
        state.0 += event.value;
        if state.0.is_multiple_of(COUNT_SLIDE) {
            state.1 += state.0;
        }
    };
    bare::windowed(events, tumbling(SIZE_MS), add, |state| state.1)
}

fn evicted(environment: &Environment, events: Events) {
    let windows = keyed(environment, events).window(TumblingEventTimeWindows::of(SIZE));
    sum_up(&windows.evictor(CountEvictor::of(COUNT_SLIDE)));
}

fn bare_evicted(events: Events) -> u64 {
    bare::windowed(events, tumbling(SIZE_MS), Vec::push, |list: Vec<Event>| {
        list.iter().rev().take(COUNT_SLIDE as usize).map(|event| event.value).sum()
    })
}
