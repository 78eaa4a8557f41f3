//! What is written and what is referenced.

use super::support::{Parts, bytes_in, manifest};
use crate::segment::DELTAS_MAX;
use crate::{
    BroadcastState, KeyedTable, ManagedState, NamespacedTable, OperatorListState, PartWriter, RestoreSource,
    TimerTable,
};
use eddyline_core::{Data, KeyGroupRange};
use eddyline_protocol::{SegmentKind, StateManifest};
use std::sync::Arc;

const MAX: u32 = 8;
const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: MAX };

fn table_of(keys: u64) -> KeyedTable<u64, u64> {
    let mut table = KeyedTable::new("t", ALL, MAX);
    for key in 0..keys {
        table.insert(key.stable_hash(), key, key);
    }
    table
}

fn touch(table: &mut KeyedTable<u64, u64>, key: u64) {
    *table.entry_or_insert_with(key.stable_hash(), &key, || 0) += 1;
}

fn content(parts: &Parts, states: Vec<StateManifest>) -> Vec<(u64, u64)> {
    let mut table = table_of(0);
    table.restore(&mut parts.source(states, MAX, 0, 1)).unwrap();
    let mut content: Vec<_> = table.iter().map(|(key, value)| (*key, *value)).collect();
    content.sort_unstable();
    content
}

#[test]
fn unchanged_groups_are_referenced_and_changes_are_small() {
    let (parts, mut table) = (Parts::default(), table_of(10_000));
    let base = parts.snapshot(&mut table, false, "base");
    assert!(bytes_in(&base, "base") > 160_000);
    let same = parts.snapshot(&mut table, false, "same");
    assert_eq!((bytes_in(&same, "same"), &same.chains), (0, &base.chains));
    touch(&mut table, 1);
    table.remove(2u64.stable_hash(), &2);
    let delta = parts.snapshot(&mut table, false, "delta");
    assert!((1..100).contains(&bytes_in(&delta, "delta")), "{}", bytes_in(&delta, "delta"));
    let restored = content(&parts, vec![delta]);
    assert_eq!((restored.len(), restored[1], restored[2]), (9_999, (1, 2), (3, 3)));
    let full = parts.snapshot(&mut table, true, "full");
    assert!(full.chains.iter().all(|chain| chain.segments.len() == 1 && chain.segments[0].file == "full"));
}

#[test]
fn short_lived_entries_leave_no_trace() {
    let (parts, mut table) = (Parts::default(), table_of(1_000));
    parts.snapshot(&mut table, false, "base");
    for key in 1_000..2_000u64 {
        touch(&mut table, key);
        table.remove(key.stable_hash(), &key);
    }
    let delta = parts.snapshot(&mut table, false, "delta");
    // A header for each group that changed, and not one key.
    assert!(bytes_in(&delta, "delta") <= u64::from(MAX) * 16, "{}", bytes_in(&delta, "delta"));
}

#[test]
fn chains_are_compacted_a_few_groups_at_a_time() {
    let (parts, mut table) = (Parts::default(), table_of(4_000));
    parts.snapshot(&mut table, false, "p0");
    let mut rewritten = 0;
    for round in 1..80u64 {
        (0..400).for_each(|key| touch(&mut table, key));
        let file = format!("p{round}");
        let manifest = parts.snapshot(&mut table, false, &file);
        let new = manifest.chains.iter().filter(|chain| chain.segments[0].file == file).count();
        assert!(new <= 1, "{new} of 8 groups rewritten at once");
        rewritten += new;
        assert!(manifest.chains.iter().all(|chain| chain.segments.len() <= DELTAS_MAX));
        if round % 20 == 0 {
            let expected: Vec<_> =
                (0..4_000).map(|key| (key, if key < 400 { key + round } else { key })).collect();
            assert_eq!(content(&parts, vec![manifest]), expected);
        }
    }
    assert!(rewritten >= 8, "{rewritten}");
}

#[test]
fn the_first_snapshot_after_a_restore_is_a_delta() {
    let (parts, mut table) = (Parts::default(), table_of(5_000));
    let base = parts.snapshot(&mut table, false, "base");
    let mut restored = table_of(0);
    restored.restore(&mut parts.source(vec![base], MAX, 0, 1)).unwrap();
    touch(&mut restored, 7);
    restored.remove(8u64.stable_hash(), &8);
    let delta = parts.snapshot(&mut restored, false, "delta");
    assert!((1..100).contains(&bytes_in(&delta, "delta")));
    let content = content(&parts, vec![delta]);
    assert_eq!((content.len(), content[7], content[8]), (4_999, (7, 8), (9, 9)));
}

#[test]
fn after_an_abandoned_snapshot_comes_a_full_one() {
    let (parts, mut table) = (Parts::default(), table_of(1_000));
    parts.snapshot(&mut table, false, "base");
    touch(&mut table, 1);
    table.freeze(false);
    table.abandon();
    let mut part = PartWriter::new("nothing");
    assert!(table.write_frozen(1, &mut part).is_err() && table.manifest_of_frozen().is_err());
    let next = parts.snapshot(&mut table, false, "next");
    assert!(next.chains.iter().all(|chain| chain.segments.len() == 1 && chain.segments[0].file == "next"));
    assert_eq!(content(&parts, vec![next])[1], (1, 2));
}

#[test]
fn large_windows_become_bases_in_pieces() {
    let (parts, mut table) = (Parts::default(), NamespacedTable::<u64, Vec<u8>>::new("w", ALL, MAX));
    for key in 0..3_000u64 {
        *table.entry((key % 3) as i64, key.stable_hash(), &key, Vec::new) = vec![key as u8; 10_000];
    }
    let base = parts.snapshot(&mut table, false, "base");
    assert!(base.chains.iter().all(|chain| chain.segments.len() > 1));
    assert!(base.chains.iter().all(|chain| chain.segments[0].kind == SegmentKind::Base));
    assert_eq!(table.take_namespace(1).count(), 1_000);
    let delta = parts.snapshot(&mut table, false, "delta");
    assert!(bytes_in(&delta, "delta") < 500, "a dropped window is told, not its keys");
    let mut restored = NamespacedTable::<u64, Vec<u8>>::new("w", ALL, MAX);
    restored.restore(&mut parts.source(vec![delta], MAX, 0, 1)).unwrap();
    assert_eq!((restored.len(), restored.namespaces(..).collect::<Vec<_>>()), (2_000, vec![0, 2]));
    assert!(restored.iter().all(|(_, key, value)| *value == vec![*key as u8; 10_000]));
    let memory = restored.memory_bytes();
    assert!((20_000_000..30_000_000).contains(&memory), "{memory}");
}

#[test]
fn operator_state_is_dealt_out_anew() {
    let parts = Parts::default();
    let mut manifests = Vec::new();
    for instance in 0..3u32 {
        let (mut list, mut union) =
            (OperatorListState::list("list", instance), OperatorListState::union("union", instance));
        let mut rules = BroadcastState::new("rules", instance);
        for item in 0..=instance {
            list.add(instance * 10 + item);
            union.add(format!("{instance}.{item}"));
        }
        rules.insert("limit".to_string(), 5u64);
        for (number, state) in
            [&mut list as &mut dyn ManagedState, &mut union, &mut rules].into_iter().enumerate()
        {
            let first = parts.snapshot(state, false, &format!("{instance}-{number}"));
            let again = parts.snapshot(state, false, "unchanged");
            assert_eq!(first, again);
            manifests.push(again);
        }
    }
    let mut dealt = Vec::new();
    for instance in 0..2u32 {
        let (mut list, mut union) = (
            OperatorListState::<u32>::list("list", instance),
            OperatorListState::<String>::union("union", instance),
        );
        let mut rules = BroadcastState::<String, u64>::new("rules", instance);
        let mut source = parts.source(manifests.clone(), MAX, instance, 2);
        for state in [&mut list as &mut dyn ManagedState, &mut union] {
            state.restore(&mut source).unwrap();
        }
        assert_eq!(source.unclaimed(), ["rules"]);
        rules.restore(&mut source).unwrap();
        assert_eq!(list.items().len(), 3);
        dealt.extend_from_slice(list.items());
        assert_eq!((union.items().len(), union.items()[5].as_str()), (6, "2.2"));
        assert_eq!(rules.iter().collect::<Vec<_>>(), [(&"limit".to_string(), &5)]);
    }
    dealt.sort_unstable();
    assert_eq!(dealt, [0, 10, 11, 20, 21, 22]);
}

#[test]
fn timers_registered_and_deleted_while_firing_are_seen() {
    let mut timers = TimerTable::new("t", ALL, MAX);
    let hash = |key: &str| key.to_string().stable_hash();
    let register = |timers: &mut TimerTable<String>, time, key: &str, namespace| {
        timers.register(time, hash(key), &key.to_string(), namespace)
    };
    assert!(
        register(&mut timers, 10, "b", 1)
            && register(&mut timers, 10, "a", 2)
            && register(&mut timers, 5, "z", 0)
    );
    assert!(register(&mut timers, 10, "c", 1) && !register(&mut timers, 10, "c", 1));
    assert!(register(&mut timers, 11, "a", 1));
    assert_eq!((timers.next_time(), timers.len()), (Some(5), 5));
    let pop = |timers: &mut TimerTable<String>| timers.pop_due(10).map(|timer| (timer.time, timer.key));
    assert_eq!(pop(&mut timers), Some((5, "z".into())));
    assert_eq!(pop(&mut timers), Some((10, "a".into())));
    assert!(timers.delete(10, hash("b"), &"b".to_string(), 1));
    assert!(!timers.delete(10, hash("b"), &"b".to_string(), 1));
    register(&mut timers, 7, "late", 1);
    register(&mut timers, 10, "again", 1);
    assert_eq!(pop(&mut timers), Some((7, "late".into())));
    assert_eq!(pop(&mut timers), Some((10, "c".into())));
    assert_eq!(pop(&mut timers), Some((10, "again".into())));
    assert_eq!(pop(&mut timers), None);
    assert_eq!((timers.next_time(), timers.is_empty()), (Some(11), false));
}

#[test]
fn memory_is_counted_with_what_values_own() {
    let mut table = KeyedTable::<u64, String>::new("t", ALL, MAX);
    assert!(table.memory_bytes() < 10_000);
    (0..10_000u64).for_each(|key| drop(table.insert(key.stable_hash(), key, "x".repeat(100))));
    let bytes = table.memory_bytes();
    assert!((1_300_000..2_500_000).contains(&bytes), "{bytes}");
    assert_eq!(table.drain().count(), 10_000);
    assert!(table.is_empty() && table.memory_bytes() < 10_000);
}

#[test]
fn a_checkpoint_of_another_maximum_parallelism_is_refused() {
    let (parts, mut table) = (Parts::default(), table_of(10));
    let base = parts.snapshot(&mut table, false, "base");
    let mut source = RestoreSource::new(Arc::new(parts), &manifest(vec![base], 16), "op", 0, 1);
    let error = table.restore(&mut source).unwrap_err();
    assert!(error.hint().unwrap().contains("set the maximum parallelism to 16"), "{}", error.report());
}
