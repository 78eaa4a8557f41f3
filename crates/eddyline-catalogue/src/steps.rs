//! Steps without keys of their own: calls, loops, side outputs, partitioning.

use crate::input::{Event, Input};
use eddyline::async_call::{AsyncOptions, AsyncOrder};
use eddyline::{
    Collector, DataStream, Environment, KeyedContext, KeyedProcessFunction, OutputTag, ProcessContext,
    ProcessFunction, Result,
};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Rounds that records make in a loop, at most.
const ROUNDS: u32 = 4;
const ODD: &str = "odd";

fn line(event: &Event) -> String {
    format!("{} {}/{} {}", event.source, event.split, event.index, event.value)
}

/// Not ready at first, so that calls are under way at a cut.
struct Yield(u32);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Ordered calls of the one half, unordered calls of the other one.
pub(crate) fn async_calls(environment: &Environment, input: &Input) -> DataStream<String> {
    let events = input.stream(environment, 0);
    let call = |event: Event| async move {
        Yield(event.index % 3).await;
        Ok(vec![line(&event)])
    };
    let half = |wanted: bool| events.filter(move |event| (event.value % 2 == 0) == wanted);
    let ordered = half(true).async_call(AsyncOptions::new(AsyncOrder::Ordered), call);
    let unordered = half(false).async_call(AsyncOptions::new(AsyncOrder::Unordered), call);
    ordered.union(&unordered)
}

pub(crate) fn expected_async_calls(input: &Input) -> Vec<String> {
    input.events(0).map(|event| line(&event)).collect()
}

/// Records go round as often as their index says.
pub(crate) fn iterate(environment: &Environment, input: &Input) -> DataStream<String> {
    let events = input.stream(environment, 0).map(|event| (event, 0u32));
    events.iterate(|events| {
        let events = events.rebalance();
        let again = events.filter(|(event, rounds)| *rounds < event.index % ROUNDS);
        let done = events.filter(|(event, rounds)| *rounds >= event.index % ROUNDS);
        (
            again.map(|(event, rounds)| (event, rounds + 1)),
            done.map(|(event, rounds)| format!("{} after {rounds}", line(&event))),
        )
    })
}

pub(crate) fn expected_iterate(input: &Input) -> Vec<String> {
    input.events(0).map(|event| format!("{} after {}", line(&event), event.index % ROUNDS)).collect()
}

/// Sends odd values to the side.
struct Split;

impl KeyedProcessFunction<u64, Event, String> for Split {
    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        if event.value % 2 == 0 {
            out.collect(line(&event));
        } else {
            context.side_output(&OutputTag::new(ODD), event);
        }
        Ok(())
    }
}

/// The union of two sources, split into main and side output, and united again.
pub(crate) fn side_outputs(environment: &Environment, input: &Input) -> DataStream<String> {
    let events = input.stream(environment, 0).union(&input.stream(environment, 1));
    let even = events.key_by(|event| event.key).process(|| Split);
    let odd = even.side_output(&OutputTag::<Event>::new(ODD)).map(|event| format!("odd {}", line(&event)));
    even.union(&odd)
}

pub(crate) fn expected_side_outputs(input: &Input) -> Vec<String> {
    let line = |event: Event| {
        if event.value % 2 == 0 { line(&event) } else { format!("odd {}", line(&event)) }
    };
    input.events(0).chain(input.events(1)).map(line).collect()
}

/// Stateless steps behind every way to distribute records.
pub(crate) fn partitioning(environment: &Environment, input: &Input) -> DataStream<String> {
    let doubled = input.stream(environment, 0).rebalance().flat_map(|event, out: &mut Collector<Event>| {
        out.collect(event.clone());
        out.collect(Event { source: 9, ..event });
    });
    let chosen = doubled.partition_custom(|event, instances| event.index as usize % instances);
    let kept = chosen.filter(|event| event.key > 0);
    kept.global().map(|event| line(&event))
}

pub(crate) fn expected_partitioning(input: &Input) -> Vec<String> {
    let kept = input.events(0).filter(|event| event.key > 0);
    kept.flat_map(|event| [line(&event), line(&Event { source: 9, ..event })]).collect()
}

/// Lets small values pass and sends the others to the side, without keys.
struct Sort;

const LARGE: &str = "large";

impl ProcessFunction<Event, Event> for Sort {
    fn process_element(
        &mut self,
        event: Event,
        context: &mut ProcessContext<'_>,
        out: &mut Collector<Event>,
    ) -> Result<()> {
        if event.value < 500 {
            out.collect(event);
        } else {
            context.side_output(&OutputTag::new(LARGE), event);
        }
        Ok(())
    }
}

/// Two streams through functions with and without keys, and connected again.
pub(crate) fn transformations(environment: &Environment, input: &Input) -> DataStream<String> {
    let first = input.stream(environment, 0).filter_map(|event| (event.key != 1).then_some(event));
    let small = first.shuffle().process(|| Sort);
    let large = small.side_output(&OutputTag::<Event>::new(LARGE));
    let small = small.rescale().flat_map_iter(|event| [line(&event), format!("again {}", line(&event))]);
    small.connect(&large).map(|line| line, |event| format!("large {}", line(&event)))
}

pub(crate) fn expected_transformations(input: &Input) -> Vec<String> {
    let mut lines = Vec::new();
    for event in input.events(0).filter(|event| event.key != 1) {
        if event.value < 500 {
            lines.extend([line(&event), format!("again {}", line(&event))]);
        } else {
            lines.push(format!("large {}", line(&event)));
        }
    }
    lines
}
