//! State that ages, state that belongs to instances, and accumulators.

use crate::input::{Event, Input, mix};
use eddyline::accumulators::{AccumulatorHandle, Count, Maximum, Sum};
use eddyline::{
    Collector, DataStream, Environment, KeyedContext, KeyedOpenContext, KeyedProcessFunction, MapState,
    OperatorList, OperatorMap, ProcessContext, ProcessFunction, ReducingState, Result, RuntimeContext,
    StateTtlConfig, TimeDomain, TtlTimeDomain, TtlUpdateType,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Length of a bucket, milliseconds.
const BUCKET_MS: i64 = 100;
/// Time to live, milliseconds.
const TTL_MS: i64 = 330;
/// From the end of a bucket to the question what is left of it: later than some of it has been forgotten.
const PAUSE_MS: i64 = TTL_MS - BUCKET_MS / 2;
/// Accumulators that count.
const SLOTS: u32 = 16;
/// Names that are broadcast.
const NAMES: u64 = 9;

fn bucket_end(time: i64) -> i64 {
    (time.div_euclid(BUCKET_MS) + 1) * BUCKET_MS - 1
}

fn forgetful() -> StateTtlConfig {
    StateTtlConfig::new(Duration::from_millis(TTL_MS as u64))
        .time_domain(TtlTimeDomain::EventTime)
        .update_type(TtlUpdateType::OnCreateAndWrite)
        .cleanup_full_snapshot()
        .cleanup_incrementally(2, true)
}

/// Keeps each record in a map, entry by entry, and the sum of each bucket in a value of a key that never comes back; asks
/// for both when a part of them has expired. Buckets are keys: most of the state is dead, and cleaned up on the way.
#[derive(Default)]
struct Forgetful {
    records: Option<MapState<(u32, u32), i64>>,
    sum: Option<ReducingState<i64>>,
}

impl KeyedProcessFunction<(u64, i64), Event, String> for Forgetful {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, (u64, i64)>) -> Result<()> {
        self.records = Some(context.time_to_live(forgetful()).map_state("records")?);
        self.sum = Some(context.time_to_live(forgetful()).reducing_state("sum", |one, other| one + other)?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, (u64, i64)>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let (Some(records), Some(sum)) = (&self.records, &self.sum) {
            records.insert((event.split, event.index), event.value);
            sum.add(event.value);
        }
        context.register_event_time_timer(context.key().1 + PAUSE_MS);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, (u64, i64)>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let left = self.records.as_ref().map_or(0, |records| {
            records.with(|records| records.map_or(0, |records| records.values().sum::<i64>()))
        });
        let sum = self.sum.as_ref().and_then(ReducingState::get);
        out.collect(format!("{:?} {left} {sum:?}", context.key()));
        Ok(())
    }
}

pub(crate) fn expiring(environment: &Environment, input: &Input) -> DataStream<String> {
    let keyed = input.stream(environment, 0).key_by(|event| (event.key, bucket_end(event.time)));
    keyed.process(Forgetful::default)
}

pub(crate) fn expected_expiring(input: &Input) -> Vec<String> {
    let mut buckets: BTreeMap<(u64, i64), Vec<Event>> = BTreeMap::new();
    for event in input.events(0) {
        buckets.entry((event.key, bucket_end(event.time))).or_default().push(event);
    }
    let line = |(key, events): ((u64, i64), Vec<Event>)| {
        // What was touched so long ago is forgotten at the time of the question.
        let limit = key.1 + PAUSE_MS - TTL_MS;
        let lives = |event: &&Event| event.time > limit;
        let left: i64 = events.iter().filter(lives).map(|event| event.value).sum();
        let sum = events
            .iter()
            .any(|event| lives(&event))
            .then(|| events.iter().map(|event| event.value).sum::<i64>());
        format!("{key:?} {left} {sum:?}")
    };
    buckets.into_iter().map(line).collect()
}

/// Keeps records in a list of its instance and tells them at the end.
#[derive(Default)]
struct Keep {
    kept: Option<OperatorList<(u32, u32)>>,
}

impl ProcessFunction<Event, String> for Keep {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.kept = Some(context.operator_list_state("kept")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        _: &mut ProcessContext<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(kept) = &self.kept {
            kept.add((event.split, event.index));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Collector<String>) -> Result<()> {
        let kept = self.kept.as_ref().map_or(Vec::new(), OperatorList::get);
        kept.iter().for_each(|(split, index)| out.collect(format!("kept {split} {index}")));
        Ok(())
    }
}

/// Keeps what is broadcast in a map that all instances have, and the first of them tells it at the end.
#[derive(Default)]
struct Learn {
    known: Option<OperatorMap<u64, u64>>,
    is_first: bool,
}

impl ProcessFunction<u64, String> for Learn {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.known = Some(context.operator_broadcast_state("known")?);
        self.is_first = context.info().instance == 0;
        Ok(())
    }

    fn process_element(
        &mut self,
        name: u64,
        _: &mut ProcessContext<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(known) = &self.known {
            known.insert(name, mix(name));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Collector<String>) -> Result<()> {
        if let (Some(known), true) = (&self.known, self.is_first) {
            known.entries().iter().for_each(|(name, value)| out.collect(format!("known {name} {value}")));
        }
        Ok(())
    }
}

pub(crate) fn of_instances(environment: &Environment, input: &Input) -> DataStream<String> {
    let kept = input.stream(environment, 0).rebalance().process(Keep::default);
    let names = input.stream(environment, 1).map(|event| u64::from(event.index) % NAMES);
    kept.union(&names.broadcast().process(Learn::default))
}

pub(crate) fn expected_of_instances(input: &Input) -> Vec<String> {
    let kept = input.events(0).map(|event| format!("kept {} {}", event.split, event.index));
    let names: BTreeSet<u64> = input.events(1).map(|event| u64::from(event.index) % NAMES).collect();
    kept.chain(names.into_iter().map(|name| format!("known {name} {}", mix(name)))).collect()
}

/// Adds to accumulators and tells at the end what its instance has.
#[derive(Default)]
struct Accumulate {
    counts: Vec<AccumulatorHandle<Count>>,
    sum: Option<AccumulatorHandle<Sum<i64>>>,
    most: Option<AccumulatorHandle<Maximum<i64>>>,
}

impl ProcessFunction<Event, (String, i64)> for Accumulate {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        for slot in 0..SLOTS {
            self.counts.push(context.accumulator(&format!("records of slot {slot}"))?);
        }
        self.sum = Some(context.accumulator("sum")?);
        self.most = Some(context.accumulator("most")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: Event,
        _: &mut ProcessContext<'_>,
        _: &mut Collector<(String, i64)>,
    ) -> Result<()> {
        if let (Some(count), Some(sum), Some(most)) =
            (self.counts.get((event.index % SLOTS) as usize), &self.sum, &self.most)
        {
            count.add(1);
            sum.add(event.value);
            most.add(event.value);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Collector<(String, i64)>) -> Result<()> {
        for (slot, count) in self.counts.iter().enumerate() {
            out.collect((format!("records of slot {slot}"), count.local().value() as i64));
        }
        if let (Some(sum), Some(most)) = (&self.sum, &self.most) {
            out.collect(("sum".to_owned(), sum.local().value()));
            if let Some(most) = most.local().value() {
                out.collect(("most".to_owned(), *most));
            }
        }
        Ok(())
    }
}

/// Merges what instances have.
#[derive(Default)]
struct Merge {
    told: Option<OperatorList<(String, i64)>>,
}

impl ProcessFunction<(String, i64), String> for Merge {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.told = Some(context.operator_list_state("told")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        told: (String, i64),
        _: &mut ProcessContext<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(all) = &self.told {
            all.add(told);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Collector<String>) -> Result<()> {
        let mut merged: BTreeMap<String, i64> = BTreeMap::new();
        for (name, value) in self.told.as_ref().map_or(Vec::new(), OperatorList::get) {
            let is_maximum = name == "most";
            let merge = |before: i64| if is_maximum { before.max(value) } else { before + value };
            merged.entry(name).and_modify(|merged| *merged = merge(*merged)).or_insert(value);
        }
        merged.iter().for_each(|(name, value)| out.collect(format!("{name}: {value}")));
        Ok(())
    }
}

pub(crate) fn accumulators(environment: &Environment, input: &Input) -> DataStream<String> {
    let told = input.stream(environment, 0).rebalance().process(Accumulate::default);
    told.global().process(Merge::default).set_parallelism(1)
}

pub(crate) fn expected_accumulators(input: &Input) -> Vec<String> {
    let mut merged: BTreeMap<String, i64> =
        (0..SLOTS).map(|slot| (format!("records of slot {slot}"), 0)).collect();
    let (mut sum, mut most) = (0, i64::MIN);
    for event in input.events(0) {
        *merged.entry(format!("records of slot {}", event.index % SLOTS)).or_default() += 1;
        (sum, most) = (sum + event.value, most.max(event.value));
    }
    merged.extend([("sum".to_owned(), sum), ("most".to_owned(), most)]);
    merged.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}
