//! Functions on two streams against models.

use crate::support::{Shape, environment, run, shapes, sorted};
use eddyline::{
    CoFlatMapFunction, CoMapFunction, CoProcessFunction, Collector, DataGenerator, Environment,
    KeyedCoProcessFunction, KeyedContext, KeyedOpenContext, ListState, OutputTag, ProcessContext,
    RestartStrategy, Result, RuntimeContext, TimeDomain, ValueState, WatermarkStrategy,
};
use eddyline_state::MemoryFileSystem;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Key, number, time.
type Row = (u8, u32, i64);

const DELAY_MS: i64 = 20;

fn bounded() -> WatermarkStrategy<Row> {
    WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(DELAY_MS as u64))
}

fn bell() -> OutputTag<u32> {
    OutputTag::new("bell")
}

/// Keeps the numbers of both streams of a key and tells them, sorted, when time is at its end; numbers of the second
/// stream that are divisible by 5 ring a bell.
#[derive(Default)]
struct Gather {
    first: Option<ListState<u32>>,
    second: Option<ListState<u32>>,
}

type Gathered = (u8, Vec<u32>, Vec<u32>);

impl KeyedCoProcessFunction<u8, Row, (u32, u8), Gathered> for Gather {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u8>) -> Result<()> {
        self.first = Some(context.list_state("first")?);
        self.second = Some(context.list_state("second")?);
        Ok(())
    }

    fn process_element1(
        &mut self,
        row: Row,
        context: &mut KeyedContext<'_, u8>,
        _: &mut Collector<Gathered>,
    ) -> Result<()> {
        assert_eq!((*context.key(), context.timestamp()), (row.0, row.2));
        self.first.as_ref().unwrap().add(row.1);
        context.register_event_time_timer(1_000_000);
        Ok(())
    }

    fn process_element2(
        &mut self,
        (number, key): (u32, u8),
        context: &mut KeyedContext<'_, u8>,
        _: &mut Collector<Gathered>,
    ) -> Result<()> {
        assert_eq!(*context.key(), key);
        self.second.as_ref().unwrap().add(number);
        context.register_event_time_timer(1_000_000);
        if number.is_multiple_of(5) {
            context.side_output(&bell(), number);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<Gathered>,
    ) -> Result<()> {
        assert_eq!((time, domain), (1_000_000, TimeDomain::EventTime));
        let told = |list: &Option<ListState<u32>>| sorted(list.as_ref().unwrap().get());
        out.collect((*context.key(), told(&self.first), told(&self.second)));
        Ok(())
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0u8..5, 0u32..30, 0i64..100), 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn both_streams_of_a_key_share_its_state(first in rows(), second in rows(), shape in shapes()) {
        let environment = environment(shape);
        let timed: Vec<(Row, i64)> = first.iter().map(|row| (*row, row.2)).collect();
        let one = environment.from_collection_with(timed, bounded());
        let timed: Vec<((u32, u8), i64)> = second.iter().map(|row| ((row.1, row.0), row.2)).collect();
        let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(100));
        let other = environment.from_collection_with(timed, strategy);
        let gathered = one.connect(&other).key_by(|row| row.0, |row| row.1).process(Gather::default);
        let (bells, gathered) = (gathered.side_output(&bell()).collect(), gathered.collect());
        run(&environment, "gather");
        let mut expected: BTreeMap<u8, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
        first.iter().for_each(|row| expected.entry(row.0).or_default().0.push(row.1));
        second.iter().for_each(|row| expected.entry(row.0).or_default().1.push(row.1));
        let expected: Vec<Gathered> =
            expected.into_iter().map(|(key, (one, other))| (key, sorted(one), sorted(other))).collect();
        prop_assert_eq!(sorted(gathered.rows()), expected);
        let rung = second.iter().map(|row| row.1).filter(|number| number % 5 == 0);
        prop_assert_eq!(sorted(bells.rows()), sorted(rung.collect::<Vec<_>>()));
    }
}

/// Counts what comes in on each side, with a life of its own.
#[derive(Default)]
struct Counting {
    opened: u32,
    counts: (u32, u32),
}

impl CoProcessFunction<u64, String, (u32, u32)> for Counting {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.opened = context.info().parallelism;
        Ok(())
    }
    fn process_element1(
        &mut self,
        value: u64,
        context: &mut ProcessContext<'_>,
        _: &mut Collector<(u32, u32)>,
    ) -> Result<()> {
        self.counts.0 += 1;
        if value.is_multiple_of(5) {
            context.side_output(&bell(), value as u32);
        }
        Ok(())
    }
    fn process_element2(
        &mut self,
        _: String,
        _: &mut ProcessContext<'_>,
        _: &mut Collector<(u32, u32)>,
    ) -> Result<()> {
        self.counts.1 += 1;
        Ok(())
    }
    fn finish(&mut self, out: &mut Collector<(u32, u32)>) -> Result<()> {
        out.collect(self.counts);
        Ok(())
    }
}

struct Lengths;

impl CoMapFunction<u64, String, u64> for Lengths {
    fn map1(&mut self, value: u64) -> Result<u64> {
        Ok(value)
    }
    fn map2(&mut self, word: String) -> Result<u64> {
        if word.len() > 5 { Err("too long".into()) } else { Ok(word.len() as u64) }
    }
}

impl CoFlatMapFunction<u64, String, u64> for Lengths {
    fn flat_map1(&mut self, value: u64, out: &mut Collector<u64>) -> Result<()> {
        out.collect(value);
        out.collect(value);
        Ok(())
    }
    fn flat_map2(&mut self, word: String, out: &mut Collector<u64>) -> Result<()> {
        word.split(' ').for_each(|word| out.collect(word.len() as u64));
        Ok(())
    }
}

#[test]
fn maps_and_process_functions_see_every_record_of_both_streams() {
    let environment = environment(Shape { parallelism: 2, batch_rows: 3, tick_millis: 1 });
    let numbers = environment.from_collection((10..30u64).collect());
    let words = environment.from_collection(["a", "a bc", "x"].map(str::to_owned).to_vec());
    let both = numbers.connect(&words);
    let mapped = both.map_with(|| Lengths).collect();
    let closures = both.map(|number| number + 1, |word| word.len() as u64).collect();
    let spread = both.flat_map_with(|| Lengths).collect();
    let counted = both.process(Counting::default);
    let (bells, counted) = (counted.side_output(&bell()).collect(), counted.collect());
    run(&environment, "both");
    assert_eq!(sorted(mapped.rows()), [1, 1, 4].into_iter().chain(10..30).collect::<Vec<_>>());
    assert_eq!(sorted(closures.rows()), [1, 1, 4].into_iter().chain(11..31).collect::<Vec<_>>());
    let twice = (10..30).flat_map(|number| [number, number]);
    assert_eq!(sorted(spread.rows()), [1, 1, 1, 2].into_iter().chain(twice).collect::<Vec<_>>());
    assert_eq!(sorted(bells.rows()), [10, 15, 20, 25]);
    let counts = counted.rows();
    assert_eq!(counts.len(), 2, "one per instance");
    assert_eq!(counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1)), (20, 3));
}

#[test]
fn an_error_on_the_second_side_names_operator_and_record() {
    let environment = Environment::new();
    let numbers = environment.from_collection(vec![1u64]);
    let words = environment.from_collection(vec!["much too long".to_string()]);
    numbers.connect(&words).map_with(|| Lengths).name("lengths").print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("too long") && report.contains("lengths"), "{report}");
}

#[test]
fn streams_of_two_environments_are_refused() {
    let (one, other) = (Environment::new(), Environment::new());
    let numbers = one.from_collection(vec![1u64]);
    numbers.connect(&other.from_collection(vec![2u32])).map(|one| one, u64::from).print();
    assert!(one.explain().unwrap_err().message().contains("different environments"));
}

/// Adds up the numbers of both sides.
#[derive(Default)]
struct Balance {
    balance: Option<ValueState<i64>>,
}

impl Balance {
    fn add(&self, amount: i64, key: u64, out: &mut Collector<(u64, i64)>) {
        let balance = self.balance.as_ref().unwrap().with_mut(
            || 0,
            |balance| {
                *balance += amount;
                *balance
            },
        );
        out.collect((key, balance));
    }
}

impl KeyedCoProcessFunction<u64, u64, u64, (u64, i64)> for Balance {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.balance = Some(context.value_state("balance")?);
        Ok(())
    }
    fn process_element1(
        &mut self,
        _: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, i64)>,
    ) -> Result<()> {
        self.add(1, *context.key(), out);
        Ok(())
    }
    fn process_element2(
        &mut self,
        _: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, i64)>,
    ) -> Result<()> {
        self.add(1_000, *context.key(), out);
        Ok(())
    }
}

#[test]
fn shared_state_goes_on_where_it_was_after_a_failure() {
    const COUNT: u64 = 1_200;
    for parallelism in [1, 3] {
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
        let numbers = || DataGenerator::new(|index| index).with_count(COUNT).with_rate_per_second(6_000.0);
        let ones = environment.from_generator(numbers(), WatermarkStrategy::no_watermarks());
        let others = environment.from_generator(numbers(), WatermarkStrategy::no_watermarks());
        let others = others.try_map(move |number| {
            if number == 700 && failures.fetch_add(1, Ordering::SeqCst) == 0 {
                Err("too much")
            } else {
                Ok(number)
            }
        });
        let balances = ones
            .key_by(|number| number % 5)
            .connect(&others.key_by(|number| number % 5))
            .process(Balance::default)
            .uid("balance")
            .collect();
        run(&environment, "balances");
        assert!(failed.load(Ordering::SeqCst) > 1, "the failure has happened");
        assert_eq!(balances.len(), 2 * COUNT as usize);
        for key in 0..5 {
            let last = balances.rows().into_iter().filter(|row| row.0 == key).map(|row| row.1).max();
            assert_eq!(last, Some(COUNT as i64 / 5 * 1_001), "parallelism {parallelism}");
        }
    }
}
