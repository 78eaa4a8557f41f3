//! Functions with state and timers, by key and broadcast.

use crate::input::{Event, Input, mix};
use eddyline::{
    BroadcastContext, BroadcastHandle, BroadcastOpenContext, BroadcastReader, Collector, DataStream,
    Environment, KeyedBroadcastProcessFunction, KeyedContext, KeyedOpenContext, KeyedProcessFunction,
    ListState, MapState, ProcessingTimersAtEnd, ReducingState, Result, StateTtlConfig, TimeDomain,
    TtlTimeDomain, ValueState,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Length of a bucket, milliseconds.
const BUCKET_MS: i64 = 200;
/// Time to live, milliseconds.
const TTL_MS: i64 = 330;
/// Rules that are broadcast.
const RULES: u64 = 12;
/// A time after all others: a timer for it fires at the end of the input.
const END: i64 = i64::MAX - 1;

/// The last millisecond of the bucket of a time.
fn bucket_end(time: i64) -> i64 {
    (time.div_euclid(BUCKET_MS) + 1) * BUCKET_MS - 1
}

/// Sums per key, told at each record. Keys belong to one split, for only there the order is known.
#[derive(Default)]
struct RollingSums {
    sum: Option<ReducingState<i64>>,
}

impl KeyedProcessFunction<(u32, u64), Event, String> for RollingSums {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, (u32, u64)>) -> Result<()> {
        self.sum = Some(context.reducing_state("sum", |one: &i64, other: i64| one + other)?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, (u32, u64)>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let Some(sum) = &self.sum else { return Ok(()) };
        sum.add(event.value);
        out.collect(format!("{:?} {} {:?}", context.key(), event.index, sum.get()));
        Ok(())
    }
}

pub(crate) fn rolling_sums(environment: &Environment, input: &Input) -> DataStream<String> {
    input.stream(environment, 0).key_by(|event| (event.split, event.key)).process(RollingSums::default)
}

pub(crate) fn expected_rolling_sums(input: &Input) -> Vec<String> {
    let mut sums: BTreeMap<(u32, u64), i64> = BTreeMap::new();
    let line = |event: Event| {
        let key = (event.split, event.key);
        let sum = sums.entry(key).or_default();
        *sum += event.value;
        format!("{key:?} {} {:?}", event.index, Some(*sum))
    };
    input.events(0).map(line).collect()
}

/// Counts and sums the records of each bucket of time in a map, and tells them by an event-time timer.
#[derive(Default)]
struct Buckets {
    buckets: Option<MapState<i64, (u64, i64)>>,
}

impl KeyedProcessFunction<u64, Event, String> for Buckets {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.buckets = Some(context.map_state("buckets")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        let end = bucket_end(event.time);
        let (count, sum) = buckets.get(&end).unwrap_or_default();
        buckets.insert(end, (count + 1, sum + event.value));
        context.register_event_time_timer(end);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        if let Some((count, sum)) = self.buckets.as_ref().and_then(|buckets| buckets.remove(&time)) {
            out.collect(format!("{} {time} {count} {sum}", context.key()));
        }
        Ok(())
    }
}

pub(crate) fn event_timers(environment: &Environment, input: &Input) -> DataStream<String> {
    input.stream(environment, 0).key_by(|event| event.key).process(Buckets::default)
}

pub(crate) fn expected_event_timers(input: &Input) -> Vec<String> {
    let mut buckets: BTreeMap<(u64, i64), (u64, i64)> = BTreeMap::new();
    for event in input.events(0) {
        let bucket = buckets.entry((event.key, bucket_end(event.time))).or_default();
        *bucket = (bucket.0 + 1, bucket.1 + event.value);
    }
    buckets.into_iter().map(|((key, end), (count, sum))| format!("{key} {end} {count} {sum}")).collect()
}

/// Tells each record once, by a processing-time timer some time later or at the end of the input.
#[derive(Default)]
struct Alarms {
    waiting: Option<ListState<u32>>,
}

impl KeyedProcessFunction<(u32, u64), Event, String> for Alarms {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, (u32, u64)>) -> Result<()> {
        self.waiting = Some(context.list_state("waiting")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, (u32, u64)>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(waiting) = &self.waiting {
            waiting.add(event.index);
        }
        context.register_processing_time_timer(context.processing_time_ms() + 25);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, (u32, u64)>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let waiting = self.waiting.as_ref().map_or(Vec::new(), ListState::take);
        waiting.iter().for_each(|index| out.collect(format!("{} {index}", context.key().0)));
        Ok(())
    }
}

pub(crate) fn processing_timers(environment: &Environment, input: &Input) -> DataStream<String> {
    let keyed = input.stream(environment, 0).key_by(|event| (event.split, event.key));
    keyed.process_with(ProcessingTimersAtEnd::Fire, Alarms::default)
}

pub(crate) fn expected_processing_timers(input: &Input) -> Vec<String> {
    input.events(0).map(|event| format!("{} {}", event.split, event.index)).collect()
}

/// Tells at the end of each bucket of a key how many of its records are not older than the time to live. Records
/// after the bucket may be there already; they are told apart by their times.
#[derive(Default)]
struct Recent {
    times: Option<ListState<i64>>,
}

impl KeyedProcessFunction<u64, Event, String> for Recent {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        let config = StateTtlConfig::new(Duration::from_millis(TTL_MS as u64))
            .time_domain(TtlTimeDomain::EventTime)
            .cleanup_full_snapshot()
            .cleanup_incrementally(3, true);
        self.times = Some(context.time_to_live(config).list_state("times")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(times) = &self.times {
            times.add(event.time);
        }
        context.register_event_time_timer(bucket_end(event.time));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let times = self.times.as_ref().map_or(Vec::new(), ListState::get);
        let count = times.iter().filter(|at| **at <= time).count();
        out.collect(format!("{} {time} {count}", context.key()));
        Ok(())
    }
}

pub(crate) fn time_to_live(environment: &Environment, input: &Input) -> DataStream<String> {
    input.stream(environment, 0).key_by(|event| event.key).process(Recent::default)
}

pub(crate) fn expected_time_to_live(input: &Input) -> Vec<String> {
    let mut times: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    input.events(0).for_each(|event| times.entry(event.key).or_default().push(event.time));
    let mut lines = Vec::new();
    for (key, times) in times {
        let ends: std::collections::BTreeSet<i64> = times.iter().map(|time| bucket_end(*time)).collect();
        for end in ends {
            let count = times.iter().filter(|time| **time <= end && **time + TTL_MS > end).count();
            lines.push(format!("{key} {end} {count}"));
        }
    }
    lines
}

/// Adds up values per key, and rules that are broadcast; tells the product per key at the end of the input.
#[derive(Default)]
struct Rules {
    sum: Option<ValueState<i64>>,
    rules: Option<BroadcastHandle<u64, i64>>,
}

impl KeyedBroadcastProcessFunction<(u32, u64), Event, u64, String> for Rules {
    fn open(&mut self, context: &mut BroadcastOpenContext<'_, (u32, u64)>) -> Result<()> {
        self.sum = Some(context.value_state("sum")?);
        self.rules = Some(context.broadcast_state("rules")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, (u32, u64)>,
        _: &BroadcastReader,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(sum) = &self.sum {
            sum.with_mut(|| 0, |sum| *sum += event.value);
        }
        context.register_event_time_timer(END);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        rule: u64,
        context: &mut BroadcastContext<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(rules) = &self.rules {
            context.state(rules).insert(rule, rule_value(rule));
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, (u32, u64)>,
        broadcast: &BroadcastReader,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let factor: i64 = self
            .rules
            .as_ref()
            .map_or(0, |rules| broadcast.state(rules).iter().map(|(_, value)| *value).sum());
        let sum = self.sum.as_ref().and_then(ValueState::take).unwrap_or_default();
        out.collect(format!("{:?} {}", context.key(), sum * factor));
        Ok(())
    }
}

fn rule_value(rule: u64) -> i64 {
    (mix(rule) % 100) as i64
}

pub(crate) fn broadcast(environment: &Environment, input: &Input) -> DataStream<String> {
    // The rules come with the records of the second source, so that some of them are on their way at any cut.
    let rules = input.stream(environment, 1).map(|event| u64::from(event.index) % RULES);
    let keyed = input.stream(environment, 0).key_by(|event| (event.split, event.key));
    keyed.connect_broadcast(&rules).process(Rules::default)
}

pub(crate) fn expected_broadcast(input: &Input) -> Vec<String> {
    let factor: i64 = (0..RULES.min(u64::from(input.records))).map(rule_value).sum();
    let mut sums: BTreeMap<(u32, u64), i64> = BTreeMap::new();
    input.events(0).for_each(|event| *sums.entry((event.split, event.key)).or_default() += event.value);
    sums.into_iter().map(|(key, sum)| format!("{key:?} {}", sum * factor)).collect()
}
