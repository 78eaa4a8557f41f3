//! Functions with a life of their own: opened, given a context, closed; metrics and accumulators.

use crate::support::{Shape, environment, run, sorted};
use eddyline::accumulators::{
    AccumulatorHandle, Average, Count, Histogram, JobAccumulator, List, Maximum, Minimum, Sum,
};
use eddyline::metrics::{Counter, Meter};
use eddyline::sink::{SinkContext, SinkFunction};
use eddyline::{
    Collector, Data, DataGenerator, Environment, FilterFunction, FlatMapFunction, KeyedContext,
    KeyedOpenContext, KeyedProcessFunction, MapFunction, MetricValue, OutputTag, Parameters, ProcessContext,
    ProcessFunction, Record, RestartStrategy, Result, RuntimeContext, WatermarkStrategy,
};
use eddyline_state::MemoryFileSystem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many instances have been opened and closed.
#[derive(Clone, Default)]
struct Lives(Arc<(AtomicU32, AtomicU32)>);

impl Lives {
    fn open(&self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }

    fn close(&self) {
        self.0.1.fetch_add(1, Ordering::SeqCst);
    }

    fn counts(&self) -> (u32, u32) {
        (self.0.0.load(Ordering::SeqCst), self.0.1.load(Ordering::SeqCst))
    }
}

struct Living(Lives);

impl MapFunction<u64, u64> for Living {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        assert_eq!((&*context.info().uid, &*context.info().name), ("living", "lives"));
        assert_eq!((context.info().parallelism, context.info().attempt), (3, 1));
        self.0.open();
        Ok(())
    }
    fn map(&mut self, value: u64) -> Result<u64> {
        Ok(value + 1)
    }
    fn close(&mut self) {
        self.0.close();
    }
}

impl FilterFunction<u64> for Living {
    fn open(&mut self, _: &mut RuntimeContext) -> Result<()> {
        self.0.open();
        Ok(())
    }
    fn filter(&mut self, value: &u64) -> Result<bool> {
        Ok(value.is_multiple_of(2))
    }
    fn close(&mut self) {
        self.0.close();
    }
}

impl FlatMapFunction<u64, u64> for Living {
    fn open(&mut self, _: &mut RuntimeContext) -> Result<()> {
        self.0.open();
        Ok(())
    }
    fn flat_map(&mut self, value: u64, out: &mut Collector<u64>) -> Result<()> {
        out.collect(value);
        out.collect(value);
        Ok(())
    }
    fn close(&mut self) {
        self.0.close();
    }
}

#[test]
fn every_instance_is_opened_and_closed_once() {
    let environment = environment(Shape { parallelism: 3, batch_rows: 4, tick_millis: 1 });
    let lives = Lives::default();
    let (one, two, three) = (lives.clone(), lives.clone(), lives.clone());
    let numbers = environment.from_collection((0..20u64).collect());
    let numbers = numbers.map_with(move || Living(one.clone())).name("lives").uid("living");
    let numbers =
        numbers.filter_with(move || Living(two.clone())).flat_map_with(move || Living(three.clone()));
    let numbers = numbers.collect();
    run(&environment, "lives");
    assert_eq!(lives.counts(), (9, 9));
    let expected: Vec<u64> = (0..=20).filter(|number| number % 2 == 0 && *number > 0).collect();
    assert_eq!(sorted(numbers.rows()), sorted([expected.clone(), expected].concat()));
}

/// Counts in metrics; sets aside what is not divisible by the parameter `by`.
#[derive(Default)]
struct Divide {
    by: u64,
    kept: Option<Counter>,
    seen: Option<Meter>,
}

fn rest() -> OutputTag<(u64, i64)> {
    OutputTag::new("rest")
}

impl ProcessFunction<u64, u64> for Divide {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.by = context.parameters().require_parsed("by")?;
        self.kept = Some(context.metrics().counter("kept")?);
        self.seen = Some(context.metrics().meter("seen")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        value: u64,
        context: &mut ProcessContext<'_>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.seen.as_ref().unwrap().mark();
        context.runtime().metrics().histogram("values")?.record(value);
        context.runtime().metrics().gauge("last")?.set(value as f64);
        if value.is_multiple_of(self.by) {
            self.kept.as_ref().unwrap().inc();
            out.collect(value);
        } else {
            context.side_output(&rest(), (value, context.timestamp()));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Collector<u64>) -> Result<()> {
        out.collect(1_000);
        Ok(())
    }
}

#[test]
fn a_process_function_has_parameters_side_outputs_metrics_and_an_end() {
    let environment = environment(Shape { parallelism: 2, batch_rows: 3, tick_millis: 1 });
    environment.set_parameters(Parameters::from_args(["--by", "3"]).unwrap());
    let rows = (0..30u64).map(|number| (number, number as i64 * 10)).collect();
    let stream = environment.from_collection_with(rows, WatermarkStrategy::for_monotonous_timestamps());
    let kept = stream.process(Divide::default).name("divide");
    let (rest, kept) = (kept.side_output(&rest()).collect(), kept.collect());
    let report = environment.execute("divide").unwrap();
    let expected = (0..30).filter(|number| number % 3 == 0).chain([1_000, 1_000]);
    assert_eq!(sorted(kept.rows()), expected.collect::<Vec<u64>>());
    let expected = (0..30u64).filter(|number| number % 3 != 0).map(|number| (number, number as i64 * 10));
    assert_eq!(sorted(rest.rows()), expected.collect::<Vec<_>>());
    assert_eq!((report.status.counter("kept"), report.status.counter("seen")), (10, 30));
    let named = |name: &str| {
        let metrics = report.status.metrics.iter().filter(|metric| metric.name == name);
        metrics.map(|metric| (metric.operator.clone(), metric.value)).collect::<Vec<_>>()
    };
    assert!(named("kept").iter().all(|(operator, _)| operator == "divide"));
    let values = named("values").into_iter().map(|(_, value)| match value {
        MetricValue::Histogram { count, max, .. } => (count, max),
        other => panic!("{other:?}"),
    });
    let values: Vec<(u64, u64)> = values.collect();
    assert_eq!(
        (values.iter().map(|value| value.0).sum::<u64>(), values.iter().map(|value| value.1).max()),
        (30, Some(29))
    );
}

#[test]
fn a_parameter_that_is_missing_ends_the_job_with_its_name() {
    let mut environment = Environment::new();
    environment.options_mut().arguments = vec!["--buy".into(), "3".into()];
    environment.from_collection(vec![1u64]).process(Divide::default).name("divide").print();
    let report = environment.execute("divide").unwrap_err().report();
    assert!(report.contains("`--by` is missing") && report.contains("`--buy`"), "{report}");
    assert!(report.contains("divide"), "{report}");
}

/// Adds every number to an accumulator of each kind.
#[derive(Default)]
struct Everything {
    count: Option<AccumulatorHandle<Count>>,
    sum: Option<AccumulatorHandle<Sum<i64>>>,
    least: Option<AccumulatorHandle<Minimum<u64>>>,
    greatest: Option<AccumulatorHandle<Maximum<u64>>>,
    average: Option<AccumulatorHandle<Average>>,
    digits: Option<AccumulatorHandle<Histogram<u8>>>,
    hundreds: Option<AccumulatorHandle<List<u64>>>,
    parity: Option<AccumulatorHandle<Parity>>,
}

/// How many odd and even numbers there are.
#[derive(Debug, Clone, Default, PartialEq, Data)]
struct Parity {
    odd: u64,
    even: u64,
}

impl JobAccumulator for Parity {
    type Input = u64;

    fn add(&mut self, number: u64) {
        if number.is_multiple_of(2) {
            self.even += 1;
        } else {
            self.odd += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        self.odd += other.odd;
        self.even += other.even;
    }
}

impl MapFunction<u64, u64> for Everything {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.count = Some(context.accumulator("count")?);
        self.sum = Some(context.accumulator("sum")?);
        self.least = Some(context.accumulator("least")?);
        self.greatest = Some(context.accumulator("greatest")?);
        self.average = Some(context.accumulator("average")?);
        self.digits = Some(context.accumulator("digits")?);
        self.hundreds = Some(context.accumulator("hundreds")?);
        self.parity = Some(context.accumulator("parity")?);
        Ok(())
    }

    fn map(&mut self, number: u64) -> Result<u64> {
        self.count.as_ref().unwrap().add(1);
        self.sum.as_ref().unwrap().add(-(number as i64));
        self.least.as_ref().unwrap().add(number);
        self.greatest.as_ref().unwrap().add(number);
        self.average.as_ref().unwrap().add(number as f64);
        self.digits.as_ref().unwrap().add((number % 10) as u8);
        if number.is_multiple_of(100) {
            self.hundreds.as_ref().unwrap().add(number);
        }
        self.parity.as_ref().unwrap().add(number);
        Ok(number)
    }
}

/// Counts the records of each key in the accumulator that the map counts in, too.
#[derive(Default)]
struct KeyedCount(Option<AccumulatorHandle<Count>>);

impl KeyedProcessFunction<u64, u64, u64> for KeyedCount {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.runtime().accumulator("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.0.as_ref().unwrap().add(1_000_000);
        out.collect(number);
        Ok(())
    }
}

/// Counts what it writes.
#[derive(Default)]
struct CountingSink(Option<AccumulatorHandle<Count>>);

impl SinkFunction<u64> for CountingSink {
    type Committable = ();

    fn open(&mut self, context: &mut SinkContext<'_, '_>) -> Result<()> {
        self.0 = Some(context.accumulator("written")?);
        Ok(())
    }

    fn write(&mut self, _: Record<u64>, _: &mut SinkContext<'_, '_>) -> Result<()> {
        self.0.as_ref().unwrap().add(1);
        Ok(())
    }
}

#[test]
fn accumulators_count_every_record_once_whatever_fails() {
    const COUNT: u64 = 2_000;
    for parallelism in 1..=3 {
        let mut environment = Environment::new();
        {
            let mut options = environment.options_mut();
            options.parallelism = parallelism;
            options.runtime.checkpoint_dir = Some("/checkpoints".into());
            options.runtime.file_system = Arc::new(MemoryFileSystem::new());
            options.runtime.checkpoints.interval_ms = Some(20);
            options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
            options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 5, delay_ms: 1 });
        }
        let failures = Arc::new(AtomicU32::new(0));
        let failed = failures.clone();
        let numbers = DataGenerator::new(|index| index).with_count(COUNT).with_rate_per_second(6_000.0);
        environment
            .from_generator(numbers, WatermarkStrategy::no_watermarks())
            .map_with(Everything::default)
            .uid("everything")
            .try_map(move |number| {
                let fatal = [700, 1_500].contains(&number);
                if fatal && number / 700 > u64::from(failures.load(Ordering::SeqCst)) {
                    failures.fetch_add(1, Ordering::SeqCst);
                    return Err("too much");
                }
                Ok(number)
            })
            .key_by(|number| number % 7)
            .process(KeyedCount::default)
            .uid("keyed")
            .add_sink("count", CountingSink::default)
            .uid("sink");
        let report = environment.execute("accumulators").unwrap_or_else(|error| panic!("{}", error.report()));
        assert_eq!(failed.load(Ordering::SeqCst), 2, "both failures have happened");
        let numbers = || 0..COUNT;
        assert_eq!(report.accumulator::<Count>("count").unwrap().unwrap().value(), COUNT * 1_000_001);
        assert_eq!(report.accumulator::<Count>("written").unwrap().unwrap().value(), COUNT);
        let sum = report.accumulator::<Sum<i64>>("sum").unwrap().unwrap();
        assert_eq!(sum.value(), -(numbers().sum::<u64>() as i64));
        assert_eq!(report.accumulator::<Minimum<u64>>("least").unwrap().unwrap().value(), Some(&0));
        assert_eq!(
            report.accumulator::<Maximum<u64>>("greatest").unwrap().unwrap().value(),
            Some(&(COUNT - 1))
        );
        let average = report.accumulator::<Average>("average").unwrap().unwrap();
        assert_eq!((average.count(), average.value()), (COUNT, Some((COUNT - 1) as f64 / 2.0)));
        let digits = report.accumulator::<Histogram<u8>>("digits").unwrap().unwrap();
        assert_eq!(digits.counts(), &(0..10u8).map(|digit| (digit, COUNT / 10)).collect());
        let hundreds = report.accumulator::<List<u64>>("hundreds").unwrap().unwrap();
        assert_eq!(
            sorted(hundreds.items().to_vec()),
            numbers().filter(|number| number % 100 == 0).collect::<Vec<_>>()
        );
        let parity = report.accumulator::<Parity>("parity").unwrap().unwrap();
        assert_eq!(parity, Parity { odd: COUNT / 2, even: COUNT / 2 });
        assert!(report.accumulator::<Count>("absent").unwrap().is_none());
        assert!(report.accumulator::<Count>("sum").unwrap_err().message().contains("Sum<i64>"));
    }
}

#[test]
fn what_is_declared_twice_or_too_late_is_an_error_that_says_so() {
    struct Twice;
    impl MapFunction<u64, u64> for Twice {
        fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
            context.accumulator::<Count>("seen")?;
            context.accumulator::<Count>("seen").map(drop)
        }
        fn map(&mut self, value: u64) -> Result<u64> {
            Ok(value)
        }
    }
    struct Late(bool);
    impl ProcessFunction<u64, u64> for Late {
        fn process_element(
            &mut self,
            _: u64,
            context: &mut ProcessContext<'_>,
            _: &mut Collector<u64>,
        ) -> Result<()> {
            if self.0 {
                context.runtime().accumulator::<Count>("seen").map(drop)
            } else {
                context.runtime().operator_list_state::<u64>("items").map(drop)
            }
        }
    }
    let report_of = |describe: &dyn Fn(&eddyline::DataStream<u64>)| {
        let environment = Environment::new();
        describe(&environment.from_collection(vec![1u64]));
        environment.execute("job").unwrap_err().report()
    };
    let report = report_of(&|numbers| drop(numbers.map_with(|| Twice).print()));
    assert!(report.contains("`seen` is declared twice"), "{report}");
    for accumulator in [true, false] {
        let report = report_of(&|numbers| drop(numbers.process(move || Late(accumulator)).print()));
        assert!(report.contains("is declared too late") && report.contains("record 1"), "{report}");
    }
}

#[test]
fn accumulators_that_grow_without_end_end_the_job() {
    #[derive(Default)]
    struct Hoard(Option<AccumulatorHandle<List<String>>>);
    impl MapFunction<u64, u64> for Hoard {
        fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
            self.0 = Some(context.accumulator("hoard")?);
            Ok(())
        }
        fn map(&mut self, value: u64) -> Result<u64> {
            self.0.as_ref().unwrap().add("x".repeat(10_000));
            Ok(value)
        }
    }
    let environment = Environment::new();
    let numbers = DataGenerator::new(|index| index).with_rate_per_second(2_000.0);
    let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks());
    numbers.map_with(Hoard::default).add_sink("count", CountingSink::default);
    let report = environment.execute("hoard").unwrap_err().report();
    assert!(report.contains("`hoard`") && report.contains("more than 1024 KiB"), "{report}");
}
