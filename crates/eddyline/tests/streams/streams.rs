//! Unions, broadcasts, loops and ways to distribute records, against what a few lines over vectors say.

use crate::support::{Shape, environment, run, shapes, sorted};
use eddyline::{
    BroadcastContext, BroadcastHandle, BroadcastOpenContext, BroadcastProcessFunction, BroadcastReadContext,
    BroadcastReader, Collector, DataGenerator, Environment, KeyedBroadcastProcessFunction, KeyedContext,
    Result, ValueState, WatermarkStrategy,
};
use proptest::prelude::*;

/// Keeps the greatest rule of each number; tells numbers with the rules that are known.
#[derive(Default)]
struct Rules {
    rules: Option<BroadcastHandle<u8, u32>>,
}

impl BroadcastProcessFunction<u8, (u8, u32), (u8, u32)> for Rules {
    fn open(&mut self, context: &mut BroadcastOpenContext<'_>) -> Result<()> {
        self.rules = Some(context.broadcast_state("rules")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        value: u8,
        context: &mut BroadcastReadContext<'_>,
        out: &mut Collector<(u8, u32)>,
    ) -> Result<()> {
        let rule = context.state(self.rules.as_ref().unwrap()).get(&value).copied();
        out.collect((value, rule.unwrap_or(0)));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (number, rule): (u8, u32),
        context: &mut BroadcastContext<'_>,
        out: &mut Collector<(u8, u32)>,
    ) -> Result<()> {
        let mut rules = context.state(self.rules.as_ref().unwrap());
        let known = rules.get(&number).copied().unwrap_or(0);
        rules.insert(number, known.max(rule));
        drop(rules);
        out.collect((200, rule));
        Ok(())
    }
}

/// Counts values per key, multiplied by a factor that is broadcast; waits with its answer for the watermark.
#[derive(Default)]
struct Scaled {
    count: Option<ValueState<u32>>,
    factor: Option<BroadcastHandle<u8, u32>>,
}

impl KeyedBroadcastProcessFunction<u8, u8, u32, (u8, u32)> for Scaled {
    fn open(&mut self, context: &mut BroadcastOpenContext<'_, u8>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        self.factor = Some(context.broadcast_state("factor")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        _: u8,
        context: &mut KeyedContext<'_, u8>,
        _: &BroadcastReader,
        _: &mut Collector<(u8, u32)>,
    ) -> Result<()> {
        self.count.as_ref().unwrap().with_mut(|| 0, |count| *count += 1);
        context.register_event_time_timer(i64::MAX);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        factor: u32,
        context: &mut BroadcastContext<'_>,
        _: &mut Collector<(u8, u32)>,
    ) -> Result<()> {
        context.state(self.factor.as_ref().unwrap()).insert(0, factor);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: eddyline::TimeDomain,
        context: &mut KeyedContext<'_, u8>,
        broadcast: &BroadcastReader,
        out: &mut Collector<(u8, u32)>,
    ) -> Result<()> {
        let factor = broadcast.state(self.factor.as_ref().unwrap()).get(&0).copied().unwrap_or(1);
        out.collect((*context.key(), self.count.as_ref().unwrap().get().unwrap() * factor));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn steps_and_unions_equal_iterators(
        one in prop::collection::vec(0u64..100, 0..200),
        other in prop::collection::vec(0u64..100, 0..200),
        shape in shapes(),
    ) {
        let environment = environment(shape);
        let left = environment.from_collection(one.clone()).map(|value| value * 3);
        let right = environment.from_collection(other.clone()).filter(|value| value % 2 == 0).rebalance();
        let both = left.union(&right).flat_map(|value: u64, out: &mut Collector<u64>| {
            (0..value % 4).for_each(|copy| out.collect(value + copy));
        });
        let collected = both.collect();
        run(&environment, "union");
        let left = one.into_iter().map(|value| value * 3);
        let all = left.chain(other.into_iter().filter(|value| value % 2 == 0));
        let expected: Vec<u64> = all.flat_map(|value| (0..value % 4).map(move |copy| value + copy)).collect();
        prop_assert_eq!(sorted(collected.rows()), sorted(expected));
    }

    #[test]
    fn a_loop_lets_every_record_leave_once(numbers in prop::collection::vec(1u64..5_000, 0..100), shape in shapes()) {
        let environment = environment(shape);
        let steps = environment.from_collection(numbers.clone()).map(|number| (number, number, 0u32)).iterate(|walks| {
            let next = |(start, at, steps): (u64, u64, u32)| {
                (start, if at % 2 == 0 { at / 2 } else { 3 * at + 1 }, steps + 1)
            };
            (walks.filter(|walk| walk.1 != 1).map(next).rebalance(), walks.filter(|walk| walk.1 == 1))
        });
        let steps = steps.map(|(start, _, steps)| (start, steps)).collect();
        run(&environment, "collatz");
        let expected = numbers.into_iter().map(|start| {
            let (mut at, mut steps) = (start, 0);
            while at != 1 {
                at = if at % 2 == 0 { at / 2 } else { 3 * at + 1 };
                steps += 1;
            }
            (start, steps)
        });
        prop_assert_eq!(sorted(steps.rows()), sorted(expected.collect()));
    }

    #[test]
    fn every_instance_sees_every_broadcast_record(
        rules in prop::collection::vec((0u8..5, 1u32..9), 0..20),
        shape in shapes(),
    ) {
        let environment = environment(shape);
        let values = environment.from_collection(vec![1u8; 50]);
        let rules_stream = environment.from_collection(rules.clone());
        let told = values.connect_broadcast(&rules_stream).process(Rules::default).collect();
        run(&environment, "rules");
        let mut expected: Vec<u32> = rules.iter().flat_map(|rule| vec![rule.1; shape.parallelism as usize]).collect();
        expected.sort();
        let seen = told.rows().into_iter().filter(|(number, _)| *number == 200).map(|(_, rule)| rule);
        prop_assert_eq!(sorted(seen.collect()), expected);
        // Which rules a value saw depends on who came first; that it saw none that was not given does not.
        for (_, rule) in told.rows().into_iter().filter(|(number, _)| *number != 200) {
            prop_assert!(rule == 0 || rules.contains(&(1, rule)));
        }
        prop_assert_eq!(told.rows().into_iter().filter(|(number, _)| *number != 200).count(), 50);
    }

    #[test]
    fn keyed_functions_see_broadcast_state(values in prop::collection::vec(0u8..6, 1..60), shape in shapes()) {
        let environment = environment(shape);
        let factors = environment.from_collection(vec![5u32]);
        let stream = environment.from_collection(values.clone());
        let scaled = stream.key_by(|value| *value).connect_broadcast(&factors).process(Scaled::default).collect();
        run(&environment, "scaled");
        let expected = (0u8..6).map(|key| (key, 5 * values.iter().filter(|value| **value == key).count() as u32));
        prop_assert_eq!(sorted(scaled.rows()), expected.filter(|(_, count)| *count > 0).collect::<Vec<_>>());
    }
}

#[test]
fn records_go_where_they_are_sent() {
    for parallelism in 1..=3u32 {
        let environment = environment(Shape { parallelism, batch_rows: 4, tick_millis: 1 });
        let numbers = environment.from_collection((0..100u64).collect());
        let all = numbers.broadcast().map(|number| number).collect();
        let first = numbers.global().map(|number| number).collect();
        let chosen =
            numbers.partition_custom(|number, targets| (*number as usize) % targets).map(|n| n).collect();
        let forward = numbers.forward().map(|number| number).set_parallelism(parallelism).collect();
        let fewer = numbers.map(|number| number).set_parallelism(1).collect();
        run(&environment, "routes");
        assert_eq!(all.len(), 100 * parallelism as usize);
        for rows in [first, chosen, forward, fewer] {
            assert_eq!(sorted(rows.rows()), (0..100).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_generator_counts_to_its_end_at_any_parallelism() {
    for parallelism in 1..=4 {
        let environment = environment(Shape { parallelism, batch_rows: 16, tick_millis: 1 });
        let numbers = DataGenerator::new(|index| index).with_count(1_001);
        let paced = DataGenerator::new(|index| index).with_count(50).with_rate_per_second(10_000.0);
        let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks()).collect();
        let paced = environment.from_generator(paced, WatermarkStrategy::no_watermarks()).collect();
        run(&environment, "numbers");
        assert_eq!(sorted(numbers.rows()), (0..1_001).collect::<Vec<_>>());
        assert_eq!(sorted(paced.rows()), (0..50).collect::<Vec<_>>());
    }
}

#[test]
fn descriptions_that_cannot_work_are_refused() {
    let environment = Environment::new();
    let stream = environment.from_collection(vec![1u8]);
    stream.side_output(&eddyline::OutputTag::<u8>::new("none")).print();
    assert!(environment.explain().unwrap_err().message().contains("side output `none`"));

    let environment = Environment::new();
    let stream = environment.from_collection(vec![1u8]).map(|value| value).uid("a");
    stream.filter(|_| true).rebalance().map(|value| value).uid("a").print();
    assert!(environment.explain().unwrap_err().message().contains("uid `a` is given twice"));

    let environment = Environment::new();
    environment.from_collection(vec![1u8]).map(|value| value).set_parallelism(3).print();
    assert!(environment.execute("job").unwrap_err().report().contains("3 instances"));
}
