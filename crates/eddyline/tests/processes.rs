//! Accumulators, metrics and operators on bounded data over several processes. A worker process is this program once
//! more, so there is one test only: it would run the others as well.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline::accumulators::{AccumulatorHandle, Count, Histogram};
use eddyline::dataset::SortBy;
use eddyline::metrics::Counter;
use eddyline::sink::{SinkContext, SinkFunction};
use eddyline::{DataSet, Environment, Error, MapFunction, Record, Result, RuntimeContext};

#[derive(Default)]
struct Seen {
    seen: Option<AccumulatorHandle<Count>>,
    instances: Option<AccumulatorHandle<Histogram<u32>>>,
    counter: Option<Counter>,
    instance: u32,
}

impl MapFunction<u64, u64> for Seen {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.seen = Some(context.accumulator("seen")?);
        self.instances = Some(context.accumulator("instances")?);
        self.counter = Some(context.metrics().counter("seen")?);
        self.instance = context.info().instance;
        Ok(())
    }

    fn map(&mut self, value: u64) -> Result<u64> {
        self.seen.as_ref().unwrap().add(value);
        self.instances.as_ref().unwrap().add(self.instance);
        self.counter.as_ref().unwrap().inc();
        Ok(value)
    }
}

/// Adds up numbers; refuses those that are out of order, if that was asked for.
struct Summed {
    name: &'static str,
    ascending: bool,
    last: u64,
    sum: Option<AccumulatorHandle<Count>>,
}

impl MapFunction<u64, u64> for Summed {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.sum = Some(context.accumulator(self.name)?);
        Ok(())
    }

    fn map(&mut self, value: u64) -> Result<u64> {
        if self.ascending && value < self.last {
            return Err(Error::user(format!("{value} comes after {}", self.last)));
        }
        self.last = value;
        self.sum.as_ref().unwrap().add(value);
        Ok(value)
    }
}

/// Ends a data set in the accumulator `name`.
fn sum_up(data: DataSet<u64>, name: &'static str, ascending: bool) {
    let summed = data.into_stream().map_with(move || Summed { name, ascending, last: 0, sum: None });
    summed.add_sink(name, || Drop);
}

struct Drop;

impl SinkFunction<u64> for Drop {
    type Committable = ();

    fn write(&mut self, _: Record<u64>, _: &mut SinkContext<'_, '_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn accumulators_of_all_processes_are_merged_and_bounded_data_is_exchanged() {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.parallelism = 4;
        options.runtime.processes = 2;
    }
    let numbers = environment.from_collection((0..1_000u64).collect());
    numbers.shuffle().map_with(Seen::default).add_sink("drop", || Drop);
    let data = numbers.bounded();
    sum_up(data.sort_by(SortBy::ascending(|number: &u64| *number)), "sorted", true);
    let doubles = data.map(|number| number * 2);
    sum_up(
        data.join(&doubles, |left| *left, |right| *right).inner(|left, right| left + right),
        "joined",
        false,
    );
    let tens =
        data.group_by(|number| number / 10).reduce_group(|_, rows, out| out.collect(rows.count() as u64));
    sum_up(tens, "grouped", false);
    let report = environment.execute("processes").unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(report.accumulator::<Count>("seen").unwrap().unwrap().value(), 1_000 * 999 / 2);
    let instances = report.accumulator::<Histogram<u32>>("instances").unwrap().unwrap();
    assert_eq!(instances.counts().keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(instances.counts().values().sum::<u64>(), 1_000);
    assert_eq!(report.status.counter("seen"), 1_000);
    let sum = |name: &str| report.accumulator::<Count>(name).unwrap().unwrap().value();
    assert_eq!((sum("sorted"), sum("grouped")), (1_000 * 999 / 2, 1_000));
    // Each even number below 1,000 meets itself.
    assert_eq!(sum("joined"), (0..1_000).step_by(2).map(|number| 2 * number).sum::<u64>());
}
