//! Keyed functions with state and timers against a model that processes one record at a time.

use crate::support::{environment, exact, run, shapes, sorted};
use eddyline::{
    Collector, Data, KeyedContext, KeyedOpenContext, KeyedProcessFunction, ListState, OutputTag, Result,
    TimeDomain, ValueState, WatermarkStrategy,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A record: key, number, time.
type Row = (u8, u32, i64);
/// What the function says: key, time of the timer, numbers so far.
type Said = (u8, i64, Vec<u32>);

const DELAY_MS: i64 = 20;

fn bounded() -> WatermarkStrategy<Row> {
    WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(DELAY_MS as u64))
}

fn timed(rows: &[Row]) -> Vec<(Row, i64)> {
    rows.iter().map(|row| (*row, row.2)).collect()
}

fn bell() -> OutputTag<(u8, u32)> {
    OutputTag::new("bell")
}

/// Keeps the numbers of a key; a timer per decade of time tells them; numbers divisible by 5 cancel the timer of
/// their decade; numbers divisible by 7 ring a bell.
#[derive(Default)]
struct Teller {
    numbers: Option<ListState<u32>>,
}

fn decade_end(time: i64) -> i64 {
    time.div_euclid(10) * 10 + 9
}

impl KeyedProcessFunction<u8, Row, Said> for Teller {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u8>) -> Result<()> {
        self.numbers = Some(context.list_state("numbers")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        row: Row,
        context: &mut KeyedContext<'_, u8>,
        _: &mut Collector<Said>,
    ) -> Result<()> {
        assert_eq!(*context.key(), row.0);
        assert_eq!(context.timestamp(), row.2);
        self.numbers.as_ref().unwrap().add(row.1);
        context.register_event_time_timer(decade_end(row.2));
        context.register_event_time_timer(decade_end(row.2));
        if row.1.is_multiple_of(5) {
            context.delete_event_time_timer(decade_end(row.2));
        }
        if row.1.is_multiple_of(7) {
            context.side_output(&bell(), (row.0, row.1));
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<Said>,
    ) -> Result<()> {
        assert_eq!((domain, context.timestamp()), (TimeDomain::EventTime, time));
        out.collect((*context.key(), time, self.numbers.as_ref().unwrap().get()));
        Ok(())
    }
}

/// The same, one record at a time, with a watermark after each.
fn model(rows: &[Row]) -> Vec<Said> {
    let mut numbers: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
    let mut timers: BTreeSet<(i64, u8)> = BTreeSet::new();
    let mut said = Vec::new();
    let mut greatest = i64::MIN;
    for (key, number, time) in rows {
        numbers.entry(*key).or_default().push(*number);
        timers.insert((decade_end(*time), *key));
        if number % 5 == 0 {
            timers.remove(&(decade_end(*time), *key));
        }
        // A timer for a time that has passed already waits for the next watermark.
        if *time > greatest {
            greatest = *time;
            fire(&mut timers, greatest - DELAY_MS - 1, &numbers, &mut said);
        }
    }
    fire(&mut timers, i64::MAX, &numbers, &mut said);
    said
}

fn fire(
    timers: &mut BTreeSet<(i64, u8)>,
    watermark: i64,
    numbers: &BTreeMap<u8, Vec<u32>>,
    said: &mut Vec<Said>,
) {
    while let Some((time, key)) = timers.first().copied().filter(|(time, _)| *time <= watermark) {
        timers.remove(&(time, key));
        said.push((key, time, numbers[&key].clone()));
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0u8..4, 0u32..30, 0i64..40), 0..60).prop_map(|steps| {
        let mut time = 0;
        let row = |(key, number, ahead): (u8, u32, i64)| {
            time += ahead / 8;
            (key, number, time - ahead % 8 * 5)
        };
        steps.into_iter().map(row).collect()
    })
}

/// What does not depend on the order of records and watermarks, as long as no record is late: how many timers fire
/// per key and when, if none is deleted, and the bells.
fn in_order_free(rows: &[Row]) -> Vec<Row> {
    rows.iter()
        .map(|(key, number, time)| (*key, if number % 5 == 0 { number + 1 } else { *number }, *time))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn one_worker_with_exact_watermarks_equals_the_model_in_order(rows in rows()) {
        let environment = exact();
        let stream = environment.from_collection_with(timed(&rows), bounded());
        let said = stream.key_by(|row| row.0).process(Teller::default);
        let bells = said.side_output(&bell()).collect();
        let said = said.collect();
        run(&environment, "teller");
        prop_assert_eq!(said.rows(), model(&rows));
        let expected: Vec<(u8, u32)> = rows.iter().filter(|row| row.1 % 7 == 0).map(|row| (row.0, row.1)).collect();
        prop_assert_eq!(bells.rows(), expected);
    }

    #[test]
    fn timers_fire_once_per_key_and_time_whatever_the_shape(rows in rows(), shape in shapes()) {
        let rows = in_order_free(&rows);
        let environment = environment(shape);
        let stream = environment.from_collection_with(timed(&rows), bounded());
        let fired = stream.key_by(|row| row.0).process(Teller::default).map(|(key, time, _)| (key, time)).collect();
        run(&environment, "teller");
        // A record that comes after its timer has fired registers it again: with shares in order, only records that
        // are late by more than the delay can do that, and there are none.
        let distinct: BTreeSet<(u8, i64)> = rows.iter().map(|row| (row.0, decade_end(row.2))).collect();
        let fired = sorted(fired.rows());
        prop_assert_eq!(fired.iter().copied().collect::<BTreeSet<_>>(), distinct.clone());
        prop_assert_eq!(fired.len(), distinct.len());
    }
}

/// Registers processing-time timers long past and far away; says when they fire.
#[derive(Default)]
struct Alarm {
    count: Option<ValueState<u32>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Data)]
struct Rang {
    key: u8,
    time: i64,
    count: u32,
}

impl KeyedProcessFunction<u8, u8, Rang> for Alarm {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u8>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        _: u8,
        context: &mut KeyedContext<'_, u8>,
        _: &mut Collector<Rang>,
    ) -> Result<()> {
        self.count.as_ref().unwrap().with_mut(|| 0, |count| *count += 1);
        context.register_processing_time_timer(1_000);
        context.register_processing_time_timer(i64::MAX - 1);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Collector<Rang>,
    ) -> Result<()> {
        assert_eq!(domain, TimeDomain::ProcessingTime);
        let count = self.count.as_ref().unwrap().get().unwrap();
        out.collect_with_time(Rang { key: *context.key(), time, count }, 0);
        Ok(())
    }
}

#[test]
fn processing_time_timers_at_the_end_of_the_input_are_dropped_or_fired() {
    use eddyline::ProcessingTimersAtEnd;
    for (at_end, expected) in [(ProcessingTimersAtEnd::Drop, 0), (ProcessingTimersAtEnd::Fire, 3)] {
        let environment = eddyline::Environment::new();
        environment.set_parallelism(2);
        let rang = environment
            .from_collection(vec![1u8, 2, 3, 1])
            .key_by(|key| *key)
            .process_with(at_end, Alarm::default)
            .collect();
        run(&environment, "alarm");
        let late: Vec<Rang> = rang.rows().into_iter().filter(|rang| rang.time > 1_000).collect();
        assert_eq!(late.len(), expected, "{at_end:?}");
    }
}

#[test]
fn a_state_declared_twice_is_an_error_that_names_the_operator() {
    struct Twice;
    impl KeyedProcessFunction<u8, u8, u8> for Twice {
        fn open(&mut self, context: &mut KeyedOpenContext<'_, u8>) -> Result<()> {
            context.value_state::<u8>("a")?;
            context.value_state::<u8>("a")?;
            Ok(())
        }
        fn process_element(
            &mut self,
            _: u8,
            _: &mut KeyedContext<'_, u8>,
            _: &mut Collector<u8>,
        ) -> Result<()> {
            Ok(())
        }
    }
    let environment = eddyline::Environment::new();
    environment.from_collection(vec![1u8]).key_by(|key| *key).process(|| Twice).name("twice").collect();
    let error = environment.execute("job").unwrap_err();
    assert!(error.report().contains("declared twice"), "{}", error.report());
    assert!(error.report().contains("twice"), "{}", error.report());
}

#[test]
fn a_panic_in_a_function_ends_the_job_with_operator_and_record() {
    let environment = eddyline::Environment::new();
    let numbers = environment.from_collection((0..10u32).collect());
    numbers.map(|number| 100 / (7 - number)).name("divide").uid("divide-7").print();
    let report = environment.execute("job").unwrap_err().report();
    assert!(report.contains("divide") && report.contains("record 8"), "{report}");
}
