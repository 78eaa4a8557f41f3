//! Aging states against a model that keeps every part with the time of its touch in a plain list.

use super::*;
use crate::keyed_state::{KeyContext, ListState, MapState, ValueState};
use crate::table::KeyedTable;
use crate::tests::support::Parts;
use crate::{ManagedState, RestoreSource};
use eddyline_core::{Data, KeyGroupRange};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A clock for both domains: the time, and how far records are ahead of it.
#[derive(Default)]
pub(super) struct TestTime {
    pub(super) now: Cell<i64>,
    pub(super) ahead: Cell<i64>,
}

impl TtlTime for TestTime {
    fn now_ms(&self) -> i64 {
        self.now.get()
    }

    fn touch_ms(&self) -> i64 {
        self.now.get() + self.ahead.get()
    }
}

type Tables = (
    Rc<TtlTable<u64, Timed<i64>>>,
    Rc<TtlTable<u64, TimedList<i64>>>,
    Rc<TtlTable<u64, BTreeMap<u8, Timed<i64>>>>,
);

/// One instance with a state of each kind.
pub(super) struct States {
    pub(super) key: KeyContext<u64>,
    pub(super) value: ValueState<i64>,
    pub(super) list: ListState<i64>,
    pub(super) map: MapState<u8, i64>,
    pub(super) tables: Tables,
}

const RANGE: KeyGroupRange = KeyGroupRange { start: 0, end: 4 };

pub(super) fn table<W: Aging>(
    key: &KeyContext<u64>,
    name: &str,
    config: StateTtlConfig,
    time: &Rc<TestTime>,
) -> Rc<TtlTable<u64, W>> {
    TtlTable::new(key, KeyedTable::new(name, RANGE, 4), config, time.clone()).unwrap()
}

impl States {
    pub(super) fn new(config: StateTtlConfig, time: &Rc<TestTime>) -> Self {
        let key = KeyContext::new();
        let tables: Tables = (
            table(&key, "value", config, time),
            table(&key, "list", config, time),
            table(&key, "map", config, time),
        );
        States {
            value: ValueState::with_ttl(&tables.0),
            list: ListState::with_ttl(&tables.1),
            map: MapState::with_ttl(&tables.2),
            key,
            tables,
        }
    }

    pub(super) fn managed(&self) -> [Rc<RefCell<dyn ManagedState>>; 3] {
        [self.tables.0.managed(), self.tables.1.managed(), self.tables.2.managed()]
    }

    pub(super) fn select(&self, key: u64) {
        self.key.set(key.stable_hash(), &key);
    }

    /// The same states, restored from a snapshot of these.
    fn restored(
        &self,
        config: StateTtlConfig,
        time: &Rc<TestTime>,
        (parts, at, full): (&Parts, usize, bool),
    ) -> Self {
        let restored = States::new(config, time);
        for (number, state) in self.managed().iter().enumerate() {
            let manifest = parts.snapshot(&mut *state.borrow_mut(), full, &format!("part-{at}-{number}"));
            let mut source: RestoreSource = parts.source(vec![manifest], 4, 0, 1);
            restored.managed()[number].borrow_mut().restore(&mut source).unwrap();
        }
        restored
    }
}

#[derive(Debug, Clone)]
enum Step {
    Update(i64),
    Increase,
    Get,
    TakeValue,
    Add(i64),
    ReadList,
    ChangeList(i64),
    TakeList,
    Insert(u8, i64),
    Look(u8),
    Remove(u8),
    ReadMap,
    ChangeMap(u8),
    IsEmpty,
    Records(u8),
    Advance(i64),
    Restore(bool),
}

fn steps() -> impl Strategy<Value = Vec<(u64, i64, Step)>> {
    let step = prop_oneof![
        1 => any::<i8>().prop_map(|value| Step::Update(value.into())),
        1 => Just(Step::Increase),
        2 => Just(Step::Get),
        1 => Just(Step::TakeValue),
        2 => any::<i8>().prop_map(|value| Step::Add(value.into())),
        2 => Just(Step::ReadList),
        1 => any::<i8>().prop_map(|value| Step::ChangeList(value.into())),
        1 => Just(Step::TakeList),
        2 => (0u8..3, any::<i8>()).prop_map(|(key, value)| Step::Insert(key, value.into())),
        2 => (0u8..3).prop_map(Step::Look),
        1 => (0u8..3).prop_map(Step::Remove),
        1 => Just(Step::ReadMap),
        1 => (0u8..3).prop_map(Step::ChangeMap),
        1 => Just(Step::IsEmpty),
        1 => (0u8..20).prop_map(Step::Records),
        4 => (0i64..12).prop_map(Step::Advance),
        1 => any::<bool>().prop_map(Step::Restore),
    ];
    prop::collection::vec((0u64..5, 0i64..4, step), 1..80)
}

/// A part and the time of its touch.
type Part<T> = (T, i64);

/// All parts of all keys; expired ones stay until they are asked for.
#[derive(Default, Clone)]
struct Model {
    value: BTreeMap<u64, Part<i64>>,
    list: BTreeMap<u64, Vec<Part<i64>>>,
    map: BTreeMap<u64, BTreeMap<u8, Part<i64>>>,
}

struct Rules {
    ttl: i64,
    on_read: bool,
    shows_expired: bool,
    event_time: bool,
}

impl Rules {
    fn lives(&self, at: i64, now: i64) -> bool {
        at + self.ttl > now
    }

    fn touch(&self, before: i64, stamp: i64) -> i64 {
        if self.event_time { before.max(stamp) } else { stamp }
    }

    /// What a read of parts shows; afterwards only those that live are there.
    fn read<T: Clone>(&self, parts: &mut Vec<Part<T>>, now: i64, stamp: i64) -> Vec<T> {
        let shown = parts.iter().filter(|(_, at)| self.shows_expired || self.lives(*at, now));
        let shown = shown.map(|(value, _)| value.clone()).collect();
        parts.retain(|(_, at)| self.lives(*at, now));
        if self.on_read {
            parts.iter_mut().for_each(|(_, at)| *at = self.touch(*at, stamp));
        }
        shown
    }

    fn take<T>(&self, part: Option<Part<T>>, now: i64) -> Option<T> {
        part.filter(|(_, at)| self.shows_expired || self.lives(*at, now)).map(|(value, _)| value)
    }
}

impl Model {
    /// Does `step`; answers what is seen, as text.
    fn step(&mut self, rules: &Rules, key: u64, step: &Step, now: i64, stamp: i64) -> String {
        let list = self.list.entry(key).or_default();
        let map = self.map.entry(key).or_default();
        match step {
            Step::Update(value) => {
                let at = self.value.get(&key).map_or(stamp, |(_, before)| rules.touch(*before, stamp));
                self.value.insert(key, (*value, at));
                String::new()
            }
            Step::Increase => {
                let before = self.value.remove(&key);
                let at = before.map_or(stamp, |(_, before)| rules.touch(before, stamp));
                let value = rules.take(before, now).unwrap_or(0).wrapping_add(1);
                self.value.insert(key, (value, at));
                format!("{value}")
            }
            Step::Get => {
                let mut part = self.value.remove(&key).into_iter().collect();
                let shown = rules.read(&mut part, now, stamp);
                self.value.extend(part.pop().map(|part| (key, part)));
                format!("{:?}", shown.first())
            }
            Step::TakeValue => format!("{:?}", rules.take(self.value.remove(&key), now)),
            Step::Add(value) => {
                list.push((*value, stamp));
                String::new()
            }
            Step::ReadList => format!("{:?}", rules.read(list, now, stamp)),
            Step::ChangeList(value) => {
                list.retain(|(_, at)| rules.shows_expired || rules.lives(*at, now));
                list.insert(0, (*value, stamp));
                list.iter_mut().for_each(|(_, at)| *at = stamp);
                String::new()
            }
            Step::TakeList => {
                let taken = std::mem::take(list).into_iter();
                format!("{:?}", taken.filter_map(|part| rules.take(Some(part), now)).collect::<Vec<_>>())
            }
            Step::Insert(entry, value) => {
                let at = map.get(entry).map_or(stamp, |(_, before)| rules.touch(*before, stamp));
                format!("{:?}", rules.take(map.insert(*entry, (*value, at)), now))
            }
            Step::Look(entry) => {
                let mut part = map.remove(entry).into_iter().collect();
                let shown = rules.read(&mut part, now, stamp);
                map.extend(part.pop().map(|part| (*entry, part)));
                format!("{:?}", shown.first())
            }
            Step::Remove(entry) => format!("{:?}", rules.take(map.remove(entry), now)),
            Step::ReadMap => {
                let mut parts = std::mem::take(map)
                    .into_iter()
                    .map(|(entry, (value, at))| ((entry, value), at))
                    .collect();
                let shown = rules.read(&mut parts, now, stamp);
                map.extend(parts.into_iter().map(|((entry, value), at)| (entry, (value, at))));
                format!("{:?}", shown.into_iter().collect::<BTreeMap<_, _>>())
            }
            Step::ChangeMap(entry) => {
                map.retain(|_, (_, at)| rules.shows_expired || rules.lives(*at, now));
                map.insert(*entry, (99, stamp));
                map.values_mut().for_each(|(_, at)| *at = stamp);
                String::new()
            }
            Step::IsEmpty => {
                format!("{}", !map.values().any(|(_, at)| rules.shows_expired || rules.lives(*at, now)))
            }
            Step::Records(_) | Step::Advance(_) | Step::Restore(_) => String::new(),
        }
    }
}

fn real_step(states: &States, step: &Step) -> String {
    match step {
        Step::Update(value) => {
            states.value.update(*value);
            String::new()
        }
        Step::Increase => {
            let increased = states.value.with_mut(
                || 0,
                |value| {
                    *value = value.wrapping_add(1);
                    *value
                },
            );
            format!("{increased}")
        }
        Step::Get => format!("{:?}", states.value.get()),
        Step::TakeValue => format!("{:?}", states.value.take()),
        Step::Add(value) => {
            states.list.add(*value);
            String::new()
        }
        Step::ReadList => format!("{:?}", states.list.get()),
        Step::ChangeList(value) => {
            states.list.with_mut(|list| list.insert(0, *value));
            String::new()
        }
        Step::TakeList => format!("{:?}", states.list.take()),
        Step::Insert(entry, value) => format!("{:?}", states.map.insert(*entry, *value)),
        Step::Look(entry) => format!("{:?}", states.map.get(entry)),
        Step::Remove(entry) => format!("{:?}", states.map.remove(entry)),
        Step::ReadMap => states.map.with(|map| format!("{:?}", map.cloned().unwrap_or_default())),
        Step::ChangeMap(entry) => {
            states.map.with_mut(|map| map.insert(*entry, 99));
            String::new()
        }
        Step::IsEmpty => format!("{}", states.map.is_empty()),
        Step::Records(count) => {
            states.tables.0.after_records(usize::from(*count));
            states.tables.1.after_records(usize::from(*count));
            states.tables.2.after_records(usize::from(*count));
            String::new()
        }
        Step::Advance(_) | Step::Restore(_) => String::new(),
    }
}

fn agrees(steps: &[(u64, i64, Step)], config: StateTtlConfig) {
    let time = Rc::new(TestTime::default());
    let rules = Rules {
        ttl: config.ttl_ms(),
        on_read: config.update_type == TtlUpdateType::OnReadAndWrite,
        shows_expired: config.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp,
        event_time: config.time_domain == TtlTimeDomain::EventTime,
    };
    let (mut states, mut model) = (States::new(config, &time), Model::default());
    let parts = Parts::default();
    for (number, (key, ahead, step)) in steps.iter().enumerate() {
        time.ahead.set(if rules.event_time { *ahead } else { 0 });
        match step {
            Step::Advance(millis) => time.now.set(time.now.get() + millis),
            Step::Restore(full) => states = states.restored(config, &time, (&parts, number, *full)),
            _ => {}
        }
        states.select(*key);
        let found = real_step(&states, step);
        let expected = model.step(&rules, *key, step, time.now_ms(), time.touch_ms());
        assert_eq!(found, expected, "step {number}: {step:?} of key {key} at {}", time.now_ms());
    }
}

fn configs() -> impl Strategy<Value = StateTtlConfig> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0usize..4, 1u64..20);
    flags.prop_map(|(on_read, shows_expired, event_time, in_snapshots, entries, ttl)| {
        let mut config = StateTtlConfig::new(Duration::from_millis(ttl));
        if on_read {
            config = config.update_type(TtlUpdateType::OnReadAndWrite);
        }
        if event_time {
            config = config.time_domain(TtlTimeDomain::EventTime);
        }
        if shows_expired {
            // What is cleaned up when is nobody's business: only without clean-up all that expired can be foretold.
            return config
                .visibility(StateVisibility::ReturnExpiredIfNotCleanedUp)
                .disable_cleanup_in_background();
        }
        config = config.cleanup_incrementally(entries, true);
        if in_snapshots { config.cleanup_full_snapshot() } else { config }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn aging_states_agree_with_the_model(steps in steps(), config in configs()) {
        agrees(&steps, config);
    }
}
