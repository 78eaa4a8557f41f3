//! The records that operators are measured with, and where their results go.

use crate::bid::mixed;
use crate::figures;
use eddyline::stream::DataStream;
use eddyline::{DataGenerator, DataSet, Environment, NodeSpec, WatermarkStrategy};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::{Operator, OperatorContext, Stateful};
use std::marker::PhantomData;

/// Records per millisecond of event time.
const PER_MS: u64 = 1_000;
/// Half of the keys is silent while the other half is not, in turns of this length: sessions end.
const TURN_MS: u64 = 50;

/// A record.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Event {
    /// The key.
    pub key: u64,
    /// Always 1, so that sums do not depend on the order.
    pub value: u64,
    /// Any number; the same for two records in a row.
    pub id: u64,
    /// When, milliseconds.
    pub time: i64,
}

/// Which records there are.
#[derive(Debug, Clone, Copy)]
pub struct Events {
    /// How many.
    pub count: u64,
    /// Distinct keys.
    pub keys: u64,
}

impl Events {
    /// The record of that number.
    #[inline]
    pub fn at(self, number: u64) -> Event {
        let (half, time) = (self.keys / 2, number / PER_MS);
        let key = mixed(number) % half + if (time / TURN_MS).is_multiple_of(2) { 0 } else { half };
        Event { key, value: 1, id: mixed(number / 2), time: time as i64 }
    }

    /// All records, one after the other.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        (0..self.count).map(move |number| std::hint::black_box(self.at(number)))
    }

    /// All records as a stream with event times.
    pub fn stream(self, environment: &Environment) -> DataStream<Event> {
        self.part(environment, 0, 1)
    }

    /// The records with even, and those with odd numbers.
    pub fn halves(self, environment: &Environment) -> [DataStream<Event>; 2] {
        [0, 1].map(|part| self.part(environment, part, 2))
    }

    fn part(self, environment: &Environment, part: u64, parts: u64) -> DataStream<Event> {
        let generator = DataGenerator::new(move |index| self.at(index * parts + part));
        let count = (self.count - part).div_ceil(parts);
        let times = WatermarkStrategy::for_monotonous_timestamps()
            .with_timestamp_assigner(|event: &Event, _| event.time);
        environment.from_generator(generator.with_count(count), times)
    }

    /// All records as bounded data.
    pub fn data(self, environment: &Environment) -> DataSet<Event> {
        self.stream(environment).bounded()
    }
}

/// Ends a stream: adds up what `weigh` gives for each of its records, and tells the figure `sum`.
pub fn add_up<T: Data>(stream: &DataStream<T>, weigh: fn(&T) -> u64) {
    stream.add_sink_operator(NodeSpec::named("sum"), move || SumSink { weigh, sum: 0, record: PhantomData });
}

struct SumSink<T> {
    weigh: fn(&T) -> u64,
    sum: u64,
    record: PhantomData<fn(T)>,
}

impl<T> Stateful for SumSink<T> {}

impl<T: Data> Operator for SumSink<T> {
    fn on_batch(&mut self, _input: usize, mut batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        self.sum += batch.take_rows::<T>()?.iter().map(|record| (self.weigh)(&record.value)).sum::<u64>();
        Ok(())
    }

    fn close(&mut self) {
        figures::print("sum", self.sum as f64);
    }
}
