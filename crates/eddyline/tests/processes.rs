//! Accumulators and metrics over several processes. A worker process is this program once more, so there is one test
//! only: it would run the others as well.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline::accumulators::{AccumulatorHandle, Count, Histogram};
use eddyline::metrics::Counter;
use eddyline::sink::{SinkContext, SinkFunction};
use eddyline::{Environment, MapFunction, Record, Result, RuntimeContext};

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

struct Drop;

impl SinkFunction<u64> for Drop {
    type Committable = ();

    fn write(&mut self, _: Record<u64>, _: &mut SinkContext<'_, '_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn accumulators_of_all_processes_are_merged() {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.parallelism = 4;
        options.runtime.processes = 2;
    }
    let numbers = environment.from_collection((0..1_000u64).collect());
    numbers.shuffle().map_with(Seen::default).add_sink("drop", || Drop);
    let report = environment.execute("processes").unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(report.accumulator::<Count>("seen").unwrap().unwrap().value(), 1_000 * 999 / 2);
    let instances = report.accumulator::<Histogram<u32>>("instances").unwrap().unwrap();
    assert_eq!(instances.counts().keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(instances.counts().values().sum::<u64>(), 1_000);
    assert_eq!(report.status.counter("seen"), 1_000);
}
