//! Functions with state and timers.

use super::bare::{self, counted, tumbling};
use super::events::{Event, Events, add_up};
use super::{Operator, cheap, dear};
use eddyline::{
    BroadcastContext, BroadcastHandle, BroadcastOpenContext, BroadcastReader, Collector, Environment,
    KeyedBroadcastProcessFunction, KeyedCoProcessFunction, KeyedContext, KeyedOpenContext,
    KeyedProcessFunction, OutputTag, ProcessContext, ProcessFunction, Result, TimeDomain, ValueState,
};

/// From one timer of a key to the next, milliseconds.
const BUCKET_MS: i64 = 50;
/// Records that are broadcast.
const RULES: u64 = 100;

pub const OPERATORS: &[Operator] = &[
    cheap("process function", process, bare::values),
    cheap("side output", side_output, bare::values),
    cheap("keyed process function, state", with_state, bare::rolling),
    dear("keyed process function, state and timers", with_timers, |events| {
        counted(events, tumbling(BUCKET_MS))
    }),
    dear("keyed connect, state", keyed_connect, bare::rolling),
    cheap("keyed broadcast connect", broadcast, bare::values),
];

struct Pass;

impl ProcessFunction<Event, Event> for Pass {
    fn process_element(
        &mut self,
        event: Event,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<Event>,
    ) -> Result<()> {
        out.collect(event);
        Ok(())
    }
}

fn process(environment: &Environment, events: Events) {
    add_up(&events.stream(environment).process(|| Pass), |event| event.value);
}

/// Sends half of the records to the side.
struct Split(OutputTag<Event>);

impl ProcessFunction<Event, Event> for Split {
    fn process_element(
        &mut self,
        event: Event,
        context: &mut ProcessContext<'_>,
        out: &mut Collector<Event>,
    ) -> Result<()> {
        if event.id.is_multiple_of(2) {
            out.collect(event);
        } else {
            context.side_output(&self.0, event);
        }
        Ok(())
    }
}

fn side_output(environment: &Environment, events: Events) {
    let tag = || OutputTag::<Event>::new("odd");
    let even = events.stream(environment).process(move || Split(tag()));
    add_up(&even.union(&even.side_output(&tag())), |event| event.value);
}

/// A count per key, told at each record, or by a timer at the end of each bucket of time.
#[derive(Default)]
struct Counts {
    count: Option<ValueState<u64>>,
    has_timers: bool,
}

impl Counts {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        Ok(())
    }

    fn add(&self, event: &Event, context: &mut KeyedContext<'_, u64>, out: &mut Collector<u64>) {
        let Some(state) = &self.count else { return };
        let count = state.with_mut(
            || 0,
            |count| {
                *count += event.value;
                *count
            },
        );
        if self.has_timers {
            let end = event.time - event.time.rem_euclid(BUCKET_MS) + BUCKET_MS;
            context.register_event_time_timer(end - 1);
        } else {
            out.collect(count);
        }
    }
}

impl KeyedProcessFunction<u64, Event, u64> for Counts {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        Counts::open(self, context)
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.add(&event, context, out);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        out.collect(self.count.as_ref().and_then(ValueState::take).unwrap_or_default());
        Ok(())
    }
}

impl KeyedCoProcessFunction<u64, Event, Event, u64> for Counts {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        Counts::open(self, context)
    }

    fn process_element1(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.add(&event, context, out);
        Ok(())
    }

    fn process_element2(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.add(&event, context, out);
        Ok(())
    }
}

fn with_state(environment: &Environment, events: Events) {
    let keyed = events.stream(environment).key_by(|event| event.key);
    add_up(&keyed.process(Counts::default), |count| *count);
}

fn with_timers(environment: &Environment, events: Events) {
    let keyed = events.stream(environment).key_by(|event| event.key);
    add_up(&keyed.process(|| Counts { has_timers: true, ..Counts::default() }), |count| *count);
}

fn keyed_connect(environment: &Environment, events: Events) {
    let [left, right] = events.halves(environment).map(|half| half.key_by(|event| event.key));
    add_up(&left.connect(&right).process(Counts::default), |count| *count);
}

/// Looks a rule up for each record.
#[derive(Default)]
struct Rules(Option<BroadcastHandle<u64, u64>>);

impl KeyedBroadcastProcessFunction<u64, Event, u64, u64> for Rules {
    fn open(&mut self, context: &mut BroadcastOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.broadcast_state("rules")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        _: &mut KeyedContext<'_, u64>,
        rules: &BroadcastReader,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        // Rules come at any time: what they say must not change the sum.
        let rule = self.0.as_ref().and_then(|handle| rules.state(handle).get(&(event.id % RULES)).copied());
        out.collect(event.value * rule.unwrap_or(1));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        rule: u64,
        context: &mut BroadcastContext<'_>,
        _: &mut Collector<u64>,
    ) -> Result<()> {
        if let Some(rules) = &self.0 {
            context.state(rules).insert(rule, 1);
        }
        Ok(())
    }
}

fn broadcast(environment: &Environment, events: Events) {
    let rules = environment.from_collection((0..RULES).collect());
    let keyed = events.stream(environment).key_by(|event| event.key);
    add_up(&keyed.connect_broadcast(&rules).process(Rules::default), |value| *value);
}
