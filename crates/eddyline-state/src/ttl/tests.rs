//! Clean-up of what nobody asks for, and what becomes of state that gets or loses a time to live.

use super::model_tests::{States, TestTime, table};
use super::*;
use crate::keyed_state::{
    Accumulator, AggregatingState, KeyContext, ListState, MapState, ReducingState, ValueState,
};
use crate::managed::ManagedState;
use crate::restore::Migration;
use crate::table::KeyedTable;
use crate::tests::support::{Parts, bytes_in};
use eddyline_core::{Data, KeyGroupRange};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const TTL: Duration = Duration::from_millis(100);

fn fill(states: &States, keys: std::ops::Range<u64>) {
    for key in keys {
        states.select(key);
        states.value.update(1);
        states.list.add(1);
        states.map.insert(1, 1);
    }
}

fn sizes(states: &States) -> [usize; 3] {
    let (value, list, map) = &states.tables;
    [value.table().borrow().len(), list.table().borrow().len(), map.table().borrow().len()]
}

#[test]
fn state_that_nobody_asks_for_goes_with_the_records_of_others() {
    let time = Rc::new(TestTime::default());
    let states = States::new(StateTtlConfig::new(TTL).cleanup_incrementally(5, true), &time);
    fill(&states, 0..1_000);
    time.now.set(100);
    fill(&states, 1_000..1_010);
    for _ in 0..100 {
        states.tables.0.after_records(10);
        states.tables.1.after_records(10);
        states.tables.2.after_records(10);
    }
    assert_eq!(sizes(&states), [10; 3]);
}

#[test]
fn each_access_looks_at_some_others() {
    let time = Rc::new(TestTime::default());
    let states = States::new(StateTtlConfig::new(TTL), &time);
    fill(&states, 0..1_000);
    time.now.set(100);
    for _ in 0..2_000 {
        fill(&states, 7..8);
    }
    assert_eq!(sizes(&states), [1; 3]);
    time.now.set(200);
    states.tables.0.after_records(1_000);
    assert_eq!(sizes(&states)[0], 1, "records clean up only where that was asked for");
}

#[test]
fn full_snapshots_leave_out_what_has_expired() {
    let (parts, time) = (Parts::default(), Rc::new(TestTime::default()));
    let config = StateTtlConfig::new(TTL).disable_cleanup_in_background().cleanup_full_snapshot();
    let states = States::new(config, &time);
    fill(&states, 0..500);
    time.now.set(60);
    fill(&states, 490..500);
    states.list.add(2);
    let bytes = |file: &str, full: bool| {
        states.managed().map(|state| {
            let manifest = parts.snapshot(&mut *state.borrow_mut(), full, file);
            bytes_in(&manifest, file)
        })
    };
    let before = bytes("before", true);
    time.now.set(120);
    let after = bytes("after", true);
    for (before, after) in before.iter().zip(after) {
        assert!(after * 20 < *before, "{after} of {before} bytes");
    }
    assert_eq!(sizes(&states), [500; 3], "in memory they stay");
    states.select(3);
    assert_eq!((states.value.get(), states.list.get(), states.map.get(&1)), (None, vec![], None));
    states.select(499);
    assert_eq!((states.value.get(), states.list.get(), states.map.get(&1)), (Some(1), vec![1, 2], Some(1)));
}

#[test]
fn an_expired_value_is_returned_once_if_that_is_wanted() {
    let time = Rc::new(TestTime::default());
    let config = StateTtlConfig::new(TTL).visibility(StateVisibility::ReturnExpiredIfNotCleanedUp);
    let states = States::new(config, &time);
    fill(&states, 1..2);
    time.now.set(99);
    assert_eq!((states.value.get(), states.list.get()), (Some(1), vec![1]));
    time.now.set(100);
    assert_eq!((states.value.get(), states.list.get(), states.map.get(&1)), (Some(1), vec![1], Some(1)));
    assert_eq!((states.value.get(), states.list.get(), states.map.get(&1)), (None, vec![], None));
}

struct Total;
impl Accumulator for Total {
    type Input = i64;
    type State = i64;
    type Output = i64;
    fn create(&self) -> i64 {
        0
    }
    fn add(&self, state: &mut i64, input: i64) {
        *state += input;
    }
    fn merge(&self, state: &mut i64, other: i64) {
        *state += other;
    }
    fn result(&self, state: &i64) -> i64 {
        *state
    }
}

#[test]
fn reducing_and_aggregating_states_age_as_a_whole() {
    let (time, key) = (Rc::new(TestTime::default()), KeyContext::new());
    let config = StateTtlConfig::new(TTL);
    let values = |name: &str| ValueState::with_ttl(&table(&key, name, config, &time));
    let sum = ReducingState::new(values("sum"), |one: &i64, other: i64| one + other);
    let total = AggregatingState::new(values("total"), Total);
    key.set(1u64.stable_hash(), &1);
    for (now, number, expected) in [(0, 1, 1), (99, 2, 3), (150, 3, 6), (250, 4, 4)] {
        time.now.set(now);
        sum.add(number);
        total.add(number);
        assert_eq!((sum.get(), total.get()), (Some(expected), Some(expected)), "at {now}");
    }
    time.now.set(350);
    assert_eq!((sum.get(), total.get()), (None, None));
}

#[test]
fn state_gets_a_time_to_live_and_counts_as_touched_when_it_is_first_looked_at() {
    let (parts, time) = (Parts::default(), Rc::new(TestTime::default()));
    let range = KeyGroupRange { start: 0, end: 4 };
    let mut value = KeyedTable::<u64, i64>::new("value", range, 4);
    let mut list = KeyedTable::<u64, Vec<i64>>::new("list", range, 4);
    let mut map = KeyedTable::<u64, BTreeMap<u8, i64>>::new("map", range, 4);
    for key in 0..20u64 {
        value.insert(key.stable_hash(), key, 7);
        list.insert(key.stable_hash(), key, vec![7, 8]);
        map.insert(key.stable_hash(), key, BTreeMap::from([(1, 7)]));
    }
    let old: [&mut dyn ManagedState; 3] = [&mut value, &mut list, &mut map];
    let manifests = old.map(|state| {
        let file = state.descriptor().name;
        parts.snapshot(state, true, &file)
    });
    time.now.set(1_000);
    let states = States::new(StateTtlConfig::new(TTL).cleanup_incrementally(1, true), &time);
    for (state, manifest) in states.managed().iter().zip(manifests) {
        state.borrow_mut().restore(&mut parts.source(vec![manifest], 4, 0, 1)).unwrap();
    }
    states.tables.0.after_records(1_000);
    states.select(3);
    assert_eq!((states.value.get(), states.list.get(), states.map.get(&1)), (Some(7), vec![7, 8], Some(7)));
    time.now.set(1_099);
    assert_eq!(states.value.get(), Some(7));
    time.now.set(1_100);
    states.select(4);
    assert_eq!(states.value.get(), None, "stamped by the clean-up");
    states.select(3);
    assert_eq!((states.value.get(), states.list.get(), states.map.get(&1)), (None, vec![], None));
}

#[test]
fn to_lose_a_time_to_live_keeps_the_values_and_is_said() {
    let (parts, time) = (Parts::default(), Rc::new(TestTime::default()));
    let states = States::new(StateTtlConfig::new(TTL), &time);
    fill(&states, 0..1);
    let range = KeyGroupRange { start: 0, end: 4 };
    // All fields optional: read without a thought, all of them would be `None`.
    let mut value = KeyedTable::<u64, Option<i64>>::new("value", range, 4);
    let mut list = KeyedTable::<u64, Vec<i64>>::new("list", range, 4);
    let mut map = KeyedTable::<u64, BTreeMap<u8, i64>>::new("map", range, 4);
    let new: [&mut dyn ManagedState; 3] = [&mut value, &mut list, &mut map];
    for (old, new) in states.managed().iter().zip(new) {
        let name = new.descriptor().name;
        let manifest = parts.snapshot(&mut *old.borrow_mut(), true, &name);
        let mut source = parts.source(vec![manifest], 4, 0, 1);
        new.restore(&mut source).unwrap();
        assert!(source.notices()[0].contains(&format!("`{name}`")), "{:?}", source.notices());
        let next = parts.snapshot(new, false, &format!("{name} next"));
        assert!(
            next.chains.iter().all(|chain| chain.segments.len() == 1),
            "nothing continues what had times"
        );
    }
    let hash = 0u64.stable_hash();
    assert_eq!(value.get(hash, &0), Some(&Some(1)));
    assert_eq!(list.get(hash, &0), Some(&vec![1]));
    assert_eq!(map.get(hash, &0), Some(&BTreeMap::from([(1, 1)])));
}

#[test]
fn migrated_values_keep_their_times() {
    let (parts, time) = (Parts::default(), Rc::new(TestTime::default()));
    time.now.set(40);
    let states = States::new(StateTtlConfig::new(TTL), &time);
    fill(&states, 0..1);
    let range = KeyGroupRange { start: 0, end: 4 };
    let text = |number: i64| format!("<{number}>");
    let migrations = vec![
        Migration::new("value", move |old: i64| Ok(text(old))),
        Migration::new("list", move |old: Vec<i64>| {
            Ok(old.into_iter().flat_map(|old| [text(old), text(old + 1)]).collect::<Vec<_>>())
        }),
        Migration::new("map", move |old: BTreeMap<u8, i64>| {
            let renamed = old.into_iter().flat_map(|(key, old)| [(key, text(old)), (key + 1, text(old))]);
            Ok(renamed.collect::<BTreeMap<_, _>>())
        }),
    ];
    let mut value = KeyedTable::<u64, Timed<String>>::new("value", range, 4);
    let mut list = KeyedTable::<u64, TimedList<String>>::new("list", range, 4);
    let mut map = KeyedTable::<u64, BTreeMap<u8, Timed<String>>>::new("map", range, 4);
    let new: [&mut dyn ManagedState; 3] = [&mut value, &mut list, &mut map];
    for (old, new) in states.managed().iter().zip(new) {
        let manifest = parts.snapshot(&mut *old.borrow_mut(), true, &new.descriptor().name);
        let mut source = parts.source(vec![manifest], 4, 0, 1);
        source.set_migrations(migrations.clone());
        new.restore(&mut source).unwrap();
    }
    let (hash, timed) =
        (0u64.stable_hash(), |touched_ms, value: &str| Timed { touched_ms, value: value.to_string() });
    assert_eq!(value.get(hash, &0), Some(&timed(40, "<1>")));
    let twice = TimedList { touched_ms: vec![40, NEVER_STAMPED], values: vec!["<1>".into(), "<2>".into()] };
    assert_eq!(list.get(hash, &0), Some(&twice));
    let entries = BTreeMap::from([(1, timed(40, "<1>")), (2, timed(NEVER_STAMPED, "<1>"))]);
    assert_eq!(map.get(hash, &0), Some(&entries));
}

#[test]
fn aging_lists_and_maps_are_forgotten_when_they_are_empty() {
    let (time, key) = (Rc::new(TestTime::default()), KeyContext::new());
    let config = StateTtlConfig::new(TTL).disable_cleanup_in_background();
    let (lists, maps) = (table(&key, "list", config, &time), table(&key, "map", config, &time));
    let (list, map) = (ListState::<i64>::with_ttl(&lists), MapState::<u8, i64>::with_ttl(&maps));
    key.set(1u64.stable_hash(), &1);
    list.add_all([1, 2]);
    map.insert(1, 1);
    time.now.set(100);
    assert!(list.get().is_empty() && map.with(|map| map.is_none()));
    assert!(lists.table().borrow().is_empty() && maps.table().borrow().is_empty());
    list.add_all([]);
    map.with_mut(|map| map.clear());
    assert!(lists.table().borrow().is_empty() && maps.table().borrow().is_empty());
}
