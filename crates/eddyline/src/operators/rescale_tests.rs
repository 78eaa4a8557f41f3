//! Operators by hand: what they keep is snapshot in the middle and restored at another parallelism.

use super::{KeyedCoProcessOperator, ProcessOperator, ProcessingTimersAtEnd, Rolling, RollingOperator};
use crate::function::{
    Collector, KeyedCoProcessFunction, KeyedContext, KeyedOpenContext, OperatorList, OperatorMap,
    ProcessContext, ProcessFunction, RuntimeContext, TimeDomain,
};
use crate::side_output::SidePorts;
use eddyline_core::key::owner_of;
use eddyline_core::{Data, Record, Result, key_group_of};
use eddyline_runtime::Operator;
use eddyline_runtime::accumulators::{AccumulatorHandle, Count, List};
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use eddyline_state::ValueState;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn start(
    operator: impl Operator + 'static,
    (instance, parallelism): (u32, u32),
    snapshots: &[HarnessSnapshot],
) -> OperatorHarness {
    let config = HarnessConfig { instance, parallelism, batch_rows_max: 3, ..HarnessConfig::default() };
    OperatorHarness::start(operator, config, snapshots).unwrap_or_else(|report| panic!("{report:?}"))
}

fn owner(key: u64, parallelism: u32) -> usize {
    owner_of(key_group_of(key.stable_hash(), 128), 128, parallelism) as usize
}

/// Keeps its records in state of every kind and tells all of it at the end.
#[derive(Default)]
struct Keeper {
    own: Option<OperatorList<u64>>,
    all: Option<OperatorList<u64>>,
    equal: Option<OperatorMap<u64, u64>>,
    count: Option<AccumulatorHandle<Count>>,
    seen: Option<AccumulatorHandle<List<u64>>>,
    /// Brought into the state by the snapshot alone.
    field: Vec<u64>,
    restored: usize,
}

/// Own, all, equal, counted, seen, and how many items were there after the restore.
type Told = (Vec<u64>, Vec<u64>, Vec<(u64, u64)>, u64, (Vec<u64>, u64));

impl ProcessFunction<u64, Told> for Keeper {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.own = Some(context.operator_list_state("own")?);
        self.all = Some(context.operator_union_state("all")?);
        self.equal = Some(context.operator_broadcast_state("equal")?);
        self.count = Some(context.accumulator("count")?);
        self.seen = Some(context.accumulator("seen")?);
        Ok(())
    }

    fn restored(&mut self) -> Result<()> {
        self.restored = self.own.as_ref().unwrap().get().len();
        Ok(())
    }

    fn process_element(
        &mut self,
        value: u64,
        _: &mut ProcessContext<'_>,
        _: &mut Collector<Told>,
    ) -> Result<()> {
        self.field.push(value);
        self.all.as_ref().unwrap().add(value);
        // The same in all instances, whatever they see.
        for number in 0..3 {
            self.equal.as_ref().unwrap().insert(number, number);
        }
        self.count.as_ref().unwrap().add(1);
        self.seen.as_ref().unwrap().add(value);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<()> {
        self.own.as_ref().unwrap().with_mut(|own| own.append(&mut self.field));
        Ok(())
    }

    fn finish(&mut self, out: &mut Collector<Told>) -> Result<()> {
        let seen = self.seen.as_ref().unwrap().local().items().to_vec();
        out.collect((
            self.own.as_ref().unwrap().get(),
            self.all.as_ref().unwrap().get(),
            self.equal.as_ref().unwrap().entries(),
            self.count.as_ref().unwrap().local().value(),
            (seen, self.restored as u64),
        ));
        Ok(())
    }
}

#[test]
fn operator_state_and_accumulators_are_dealt_out_at_another_parallelism() {
    let keeper = || ProcessOperator::<u64, Told, Keeper>::new(Keeper::default(), SidePorts::default());
    for (before, after) in [(1, 1), (1, 3), (3, 1), (2, 3), (4, 2)] {
        let mut snapshots = Vec::new();
        for instance in 0..before {
            let mut harness = start(keeper(), (instance, before), &[]);
            let rows = (0..30u64).filter(|value| value % u64::from(before) == u64::from(instance));
            harness.push(0, rows.map(|value| Record::new(value, 0)).collect()).unwrap();
            snapshots.push(harness.snapshot().unwrap());
        }
        let (mut own, mut seen, mut count) = (Vec::new(), Vec::new(), 0);
        for instance in 0..after {
            let mut harness = start(keeper(), (instance, after), &snapshots);
            harness.end().unwrap();
            let told = harness.take::<Told>(0).remove(0).value;
            assert_eq!(told.4.1, told.0.len() as u64, "the list is there when it is said to be restored");
            own.extend(told.0);
            let mut all = told.1;
            all.sort_unstable();
            assert_eq!(all, (0..30).collect::<Vec<u64>>());
            assert_eq!(told.2, [(0, 0), (1, 1), (2, 2)]);
            count += told.3;
            seen.extend(told.4.0);
        }
        own.sort_unstable();
        seen.sort_unstable();
        assert_eq!((own, count), ((0..30).collect(), 30), "{before} to {after}");
        assert_eq!(seen, (0..30).collect::<Vec<u64>>());
    }
}

/// Sums up, and says which key it was.
#[derive(Clone)]
struct Summed;

impl Rolling<u64, (u64, i64)> for Summed {
    type State = i64;
    type Output = (u64, i64);

    fn first(&self, input: (u64, i64)) -> i64 {
        input.1
    }
    fn next(&self, state: &mut i64, input: (u64, i64)) {
        *state += input.1;
    }
    fn output(&self, key: &u64, state: &i64) -> (u64, i64) {
        (*key, *state)
    }
}

/// Adds one stream, subtracts the other; a timer at 100 tells the difference.
#[derive(Default)]
struct Difference(Option<ValueState<i64>>);

impl KeyedCoProcessFunction<u64, (u64, i64), (u64, i64), (u64, i64)> for Difference {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.value_state("difference")?);
        Ok(())
    }
    fn process_element1(
        &mut self,
        (_, number): (u64, i64),
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<(u64, i64)>,
    ) -> Result<()> {
        self.0.as_ref().unwrap().with_mut(|| 0, |sum| *sum += number);
        context.register_event_time_timer(100);
        Ok(())
    }
    fn process_element2(
        &mut self,
        (_, number): (u64, i64),
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<(u64, i64)>,
    ) -> Result<()> {
        self.0.as_ref().unwrap().with_mut(|| 0, |sum| *sum -= number);
        context.register_event_time_timer(100);
        Ok(())
    }
    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, i64)>,
    ) -> Result<()> {
        out.collect((*context.key(), self.0.as_ref().unwrap().get().unwrap()));
        Ok(())
    }
}

fn instances<O: Operator + 'static>(
    make: impl Fn() -> O,
    parallelism: u32,
    snapshots: &[HarnessSnapshot],
) -> Vec<OperatorHarness> {
    (0..parallelism).map(|instance| start(make(), (instance, parallelism), snapshots)).collect()
}

/// Gives each row to the instance that owns its key.
fn push(harnesses: &mut [OperatorHarness], input: usize, rows: &[(u64, i64)]) {
    let parallelism = harnesses.len() as u32;
    for row in rows {
        harnesses[owner(row.0, parallelism)].push(input, vec![Record::new(*row, 0)]).unwrap();
    }
}

fn take(harnesses: &mut [OperatorHarness]) -> Vec<(u64, i64)> {
    let rows = harnesses.iter_mut().flat_map(|harness| harness.take::<(u64, i64)>(0));
    rows.map(|record| record.value).collect()
}

fn rows() -> impl Strategy<Value = Vec<(u64, i64)>> {
    prop::collection::vec((0u64..6, -9i64..10), 0..40)
}

proptest! {
    #[test]
    fn rolling_sums_go_on_at_another_parallelism(
        early in rows(), late in rows(), before in 1u32..5, after in 1u32..5,
    ) {
        let make = || RollingOperator::new(Summed, Arc::new(|row: &(u64, i64)| row.0));
        let mut harnesses = instances(make, before, &[]);
        push(&mut harnesses, 0, &early);
        let mut said = take(&mut harnesses);
        let snapshots: Vec<_> = harnesses.iter_mut().map(|harness| harness.snapshot().unwrap()).collect();
        let mut harnesses = instances(make, after, &snapshots);
        push(&mut harnesses, 0, &late);
        said.extend(take(&mut harnesses));
        let mut sums: BTreeMap<u64, i64> = BTreeMap::new();
        let model = early.iter().chain(&late).map(|(key, number)| {
            let sum = sums.entry(*key).or_default();
            *sum += number;
            (*key, *sum)
        });
        let mut model: Vec<(u64, i64)> = model.collect();
        // Only the order of the rows of a key is fixed.
        model.sort_by_key(|row| row.0);
        said.sort_by_key(|row| row.0);
        prop_assert_eq!(said, model);
    }

    #[test]
    fn state_and_timers_of_two_streams_go_on_at_another_parallelism(
        early in (rows(), rows()), late in (rows(), rows()), before in 1u32..5, after in 1u32..5,
    ) {
        let make = || {
            let key_of = Arc::new(|row: &(u64, i64)| row.0);
            KeyedCoProcessOperator::<u64, (u64, i64), (u64, i64), (u64, i64), Difference>::new(
                Difference::default(),
                (key_of.clone(), key_of),
                SidePorts::default(),
                ProcessingTimersAtEnd::Drop,
            )
        };
        let mut harnesses = instances(make, before, &[]);
        push(&mut harnesses, 0, &early.0);
        push(&mut harnesses, 1, &early.1);
        let snapshots: Vec<_> = harnesses.iter_mut().map(|harness| harness.snapshot().unwrap()).collect();
        let mut harnesses = instances(make, after, &snapshots);
        push(&mut harnesses, 1, &late.1);
        push(&mut harnesses, 0, &late.0);
        for harness in &mut harnesses {
            harness.advance_watermark(100).unwrap();
        }
        let mut said = take(&mut harnesses);
        said.sort_unstable();
        let mut model: BTreeMap<u64, i64> = BTreeMap::new();
        early.0.iter().chain(&late.0).for_each(|(key, number)| *model.entry(*key).or_default() += number);
        early.1.iter().chain(&late.1).for_each(|(key, number)| *model.entry(*key).or_default() -= number);
        prop_assert_eq!(said, model.into_iter().collect::<Vec<_>>());
    }
}
