//! The general operator against the model: all kinds of windows with all triggers, evictors and degrees of lateness,
//! through disorder, late records, restores at other parallelism, and outputs without room.

use super::model::{EvictorKind, Fired, Kind, Model, Setup, TriggerKind};
use super::model_support::{AnyTrigger, AnyWindows, AsFired, Numbers, evictor, fired, settings};
use super::{AsRow, Incremental, Whole, WindowContents, WindowOperator};
use crate::function::Collector;
use crate::side_output::SidePorts;
use crate::window::test_support::{Row, rows};
use crate::window::{
    Apply, Elements, GlobalWindow, GlobalWindows, LATE_OUTPUT, NeverTrigger, TimeWindow, Window,
    WindowAssigner, WindowResult,
};
use eddyline_core::key::owner_of;
use eddyline_core::{Data, EventTime, ManualClock, Record, key_group_of};
use eddyline_runtime::Operator;
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use proptest::prelude::*;
use std::marker::PhantomData;
use std::sync::Arc;

const KEY_GROUPS: u32 = 16;
const START_MS: i64 = 200;

#[derive(Debug, Clone)]
enum Step {
    Rows(Vec<(u8, i8, i16)>),
    Watermark(i16),
    Clock(u16),
    Restore(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (0u8..3, -5i8..5, -60i16..120);
    let step = prop_oneof![
        5 => prop::collection::vec(row, 1..10).prop_map(Step::Rows),
        3 => (0i16..40).prop_map(Step::Watermark),
        3 => (0u16..30).prop_map(Step::Clock),
        1 => (1u32..4).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..25)
}

fn setups() -> impl Strategy<Value = Setup> {
    let kind = prop_oneof![
        2 => Just(Kind::Sliding { size: 10, slide: 10, offset: 3 }),
        2 => Just(Kind::Sliding { size: 20, slide: 7, offset: 0 }),
        1 => Just(Kind::Sliding { size: 4, slide: 6, offset: 0 }),
        1 => Just(Kind::Cumulative { size_max: 24, step: 8 }),
        3 => Just(Kind::Session { gap: 6 }),
        2 => Just(Kind::DynamicSession),
        2 => Just(Kind::Global),
    ];
    let trigger = prop_oneof![
        3 => Just(TriggerKind::Default),
        2 => Just(TriggerKind::Count(3)),
        2 => Just(TriggerKind::ContinuousEvent(5)),
        2 => Just(TriggerKind::ContinuousProcessing(8)),
        1 => Just(TriggerKind::Delta(3)),
    ];
    let evictor = prop_oneof![
        4 => Just(None),
        1 => Just(Some(EvictorKind::Count(3))),
        1 => Just(Some(EvictorKind::Time(9))),
        1 => Just(Some(EvictorKind::Delta(4))),
        1 => Just(Some(EvictorKind::Count(0))),
    ];
    let lateness = prop_oneof![2 => Just(0i64), 1 => Just(5), 1 => Just(30)];
    let made = (kind, any::<bool>(), trigger, any::<bool>(), (evictor, any::<bool>()), lateness);
    (made, any::<bool>(), any::<bool>()).prop_map(|(made, whole, fires_at_end)| {
        let (kind, is_event_time, trigger, purging, (evictor, after), lateness) = made;
        let merges = matches!(kind, Kind::Session { .. } | Kind::DynamicSession);
        let is_event_time = is_event_time && kind != Kind::Global;
        Setup {
            kind,
            is_event_time,
            // No merging of a trigger that cannot.
            trigger: match trigger {
                TriggerKind::Delta(_) if merges => TriggerKind::Default,
                other => other,
            },
            purging,
            evictor: evictor.map(|evictor| (evictor, after)),
            lateness: if is_event_time { lateness } else { 0 },
            whole,
            fires_at_end,
        }
    })
}

/// Starts an instance.
type Start<'a> = dyn Fn(HarnessConfig, &[HarnessSnapshot]) -> OperatorHarness + 'a;

/// All instances of an operator, and the clock of all.
struct Instances<'a> {
    start: &'a Start<'a>,
    harnesses: Vec<OperatorHarness>,
    clock: ManualClock,
    batches_per_call: usize,
    watermark: EventTime,
}

impl Instances<'_> {
    fn start(&mut self, parallelism: u32, snapshots: &[HarnessSnapshot]) {
        let start = |instance| {
            let config = HarnessConfig {
                instance,
                parallelism,
                max_parallelism: KEY_GROUPS,
                clock: self.clock.clone(),
                batch_rows_max: if self.batches_per_call == 1 { 1 } else { 3 },
                batches_per_call: self.batches_per_call,
                ..HarnessConfig::default()
            };
            (self.start)(config, snapshots)
        };
        self.harnesses = (0..parallelism).map(start).collect();
    }

    fn restore(&mut self, parallelism: u32) {
        let snapshots: Vec<_> = self.harnesses.iter_mut().map(|of| of.snapshot().unwrap()).collect();
        self.start(parallelism, &snapshots);
    }

    fn push(&mut self, rows: &[Record<Row>]) {
        let parallelism = self.harnesses.len() as u32;
        for (instance, harness) in self.harnesses.iter_mut().enumerate() {
            let owner = |row: &Record<Row>| {
                owner_of(key_group_of(row.value.0.stable_hash(), KEY_GROUPS), KEY_GROUPS, parallelism)
            };
            let own = rows.iter().filter(|row| owner(row) as usize == instance).cloned().collect();
            harness.push(0, own).unwrap();
        }
    }

    fn take<W: Window + AsFired>(&mut self) -> (Vec<Fired>, Vec<Record<Row>>) {
        let (mut all, mut late) = (Vec::new(), Vec::new());
        for harness in &mut self.harnesses {
            assert!(harness.accepts_input());
            all.extend(harness.take::<WindowResult<String, Vec<i64>, W>>(0).into_iter().map(|row| {
                let WindowResult { key, window, value } = row.value;
                fired(key, &window, value, row.timestamp)
            }));
            late.extend(harness.take::<Row>(LATE_OUTPUT));
        }
        (all, late)
    }
}

/// What comes of the steps must be the same at every step.
fn agrees<W: Window + AsFired, O: Operator + 'static>(
    setup: Setup,
    steps: &[Step],
    batches_per_call: usize,
    make: impl Fn() -> O,
) {
    let mut model = Model::new(setup, START_MS);
    let start =
        |config, snapshots: &[HarnessSnapshot]| OperatorHarness::start(make(), config, snapshots).unwrap();
    let clock = ManualClock::new(START_MS as u64 * 1_000);
    let watermark = EventTime::MIN;
    let mut instances =
        Instances { start: &start, harnesses: Vec::new(), clock, batches_per_call, watermark };
    instances.start(1, &[]);
    let mut now = START_MS;
    for step in steps {
        match step {
            Step::Rows(of) => {
                let rows = rows(of);
                rows.iter().for_each(|row| model.add(row));
                instances.push(&rows);
            }
            Step::Watermark(ahead) => {
                instances.watermark = instances.watermark.max(-40) + i64::from(*ahead);
                model.advance_watermark(instances.watermark);
                let watermark = instances.watermark;
                instances.harnesses.iter_mut().for_each(|of| of.advance_watermark(watermark).unwrap());
                let promised = watermark - setup.lateness;
                assert!(instances.harnesses.iter().all(|of| of.output_watermark() == promised));
            }
            Step::Clock(ahead) => {
                now += i64::from(*ahead);
                model.advance_clock(now);
                instances.harnesses.iter_mut().for_each(|of| of.advance_clock(now).unwrap());
            }
            Step::Restore(parallelism) => instances.restore(*parallelism),
        }
        compare::<W>(&mut model, &mut instances, step);
    }
    // Timers in processing time that are left fire up to the latest one of an instance: of one, here.
    instances.restore(1);
    model.end();
    instances.harnesses[0].end().unwrap();
    compare::<W>(&mut model, &mut instances, &Step::Restore(0));
}

fn compare<W: Window + AsFired>(model: &mut Model, instances: &mut Instances<'_>, step: &Step) {
    let (mut fired, mut late) = instances.take::<W>();
    let (mut expected, mut expected_late) =
        (std::mem::take(&mut model.fired), std::mem::take(&mut model.late));
    fired.sort();
    expected.sort();
    late.sort_by(|one, other| (one.timestamp, &one.value).cmp(&(other.timestamp, &other.value)));
    expected_late.sort_by(|one, other| (one.timestamp, &one.value).cmp(&(other.timestamp, &other.value)));
    assert_eq!((fired, late), (expected, expected_late), "after {step:?}");
}

fn whole<W: Window>(setup: &Setup) -> impl WindowContents<String, W, Row> {
    let all = |key: &String, window: &W, elements: Elements<'_, Row>, out: &mut Collector<_>| {
        let value: Vec<i64> = elements.iter().map(|row| row.1).collect();
        out.collect(WindowResult { key: key.clone(), window: window.clone(), value });
    };
    Whole { function: Apply::new(all), evictor: evictor(setup), _output: PhantomData }
}

fn incremental(
    setup: &Setup,
) -> Incremental<Row, TimeWindow, Numbers, AsRow, WindowResult<String, Vec<i64>, TimeWindow>> {
    Incremental { aggregator: Numbers, finish: AsRow, evictor: evictor(setup), _output: PhantomData }
}

fn operator<A: WindowAssigner<Row>, C: WindowContents<String, A::Window, Row>>(
    assigner: A,
    setup: &Setup,
    contents: C,
) -> impl Operator + 'static {
    let Setup { trigger: kind, purging, is_event_time, .. } = *setup;
    let trigger = AnyTrigger { kind, purging, is_event_time };
    let key_of = Arc::new(|row: &Row| row.0.clone());
    WindowOperator::new((assigner, trigger), key_of, contents, settings(setup), SidePorts::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn windows_agree_with_the_model(
        steps in steps(),
        setup in setups(),
        batches_per_call in prop_oneof![Just(1usize), Just(2), Just(usize::MAX)],
    ) {
        let any = AnyWindows { kind: setup.kind, is_event_time: setup.is_event_time };
        if setup.kind == Kind::Global {
            let setup = Setup { whole: true, ..setup };
            let make = || operator::<GlobalWindows<NeverTrigger>, _>(GlobalWindows::create(), &setup, whole(&setup));
            agrees::<GlobalWindow, _>(setup, &steps, batches_per_call, make);
        } else if setup.whole {
            let make = || operator(any.clone(), &setup, whole(&setup));
            agrees::<TimeWindow, _>(setup, &steps, batches_per_call, make);
        } else {
            let make = || operator(any.clone(), &setup, incremental(&setup));
            agrees::<TimeWindow, _>(setup, &steps, batches_per_call, make);
        }
    }
}
