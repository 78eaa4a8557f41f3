//! State read with other types than it was written with.

use super::support::Parts;
use crate::{KeyedTable, ManagedState, Migration, NamespacedTable, OperatorListState, TimerTable};
use eddyline_core::{Data, Error, Key, KeyGroupRange};
use eddyline_protocol::StateManifest;

const MAX: u32 = 8;

fn write<K: Key, V: Data>(parts: &Parts, entries: impl Iterator<Item = (K, V)>) -> StateManifest {
    let mut table = KeyedTable::new("total", KeyGroupRange { start: 0, end: MAX }, MAX);
    entries.for_each(|(key, value)| drop(table.insert(key.stable_hash(), key, value)));
    parts.snapshot(&mut table, false, "written")
}

fn read<K: Key, V: Data>(
    parts: &Parts,
    manifest: &StateManifest,
    parallelism: u32,
) -> eddyline_core::Result<Vec<KeyedTable<K, V>>> {
    let read_one = |instance| {
        let range = KeyGroupRange::of_instance(MAX, parallelism, instance);
        let mut table = KeyedTable::new("total", range, MAX);
        table.restore(&mut parts.source(vec![manifest.clone()], MAX, instance, parallelism))?;
        Ok(table)
    };
    (0..parallelism).map(read_one).collect()
}

#[test]
fn values_are_widened_and_the_next_snapshot_is_full() {
    let parts = Parts::default();
    let written = write(&parts, (0..100u64).map(|key| (key, key as u32)));
    let mut tables = read::<u64, Option<u64>>(&parts, &written, 2).unwrap();
    assert_eq!(tables.iter().map(KeyedTable::len).sum::<usize>(), 100);
    assert!(tables.iter().flat_map(KeyedTable::iter).all(|(key, value)| Some(*key) == *value));
    let next = parts.snapshot(&mut tables[0], false, "next");
    assert!(next.chains.iter().all(|chain| chain.segments.len() == 1 && chain.segments[0].file == "next"));
}

#[test]
fn widened_keys_move_to_their_new_groups() {
    let parts = Parts::default();
    let written = write(&parts, (0..1_000u32).map(|key| (key, u64::from(key))));
    let tables = read::<u64, u64>(&parts, &written, 3).unwrap();
    assert_eq!(tables.iter().map(KeyedTable::len).sum::<usize>(), 1_000);
    for key in 0..1_000u64 {
        let found = tables.iter().filter(|table| table.get(key.stable_hash(), &key) == Some(&key)).count();
        assert_eq!(found, 1);
    }
    // The same for windows, whose chains hold namespaces.
    let mut windows = NamespacedTable::<u32, u32>::new("w", KeyGroupRange { start: 0, end: MAX }, MAX);
    for key in 0..100u32 {
        *windows.entry(i64::from(key % 3), key.stable_hash(), &key, || 0) = key;
    }
    parts.snapshot(&mut windows, false, "windows");
    windows.take_namespace(1).for_each(drop);
    let written = parts.snapshot(&mut windows, false, "windows-delta");
    let mut widened = NamespacedTable::<u64, u64>::new("w", KeyGroupRange { start: 0, end: MAX }, MAX);
    widened.restore(&mut parts.source(vec![written], MAX, 0, 1)).unwrap();
    assert_eq!(
        (widened.len(), widened.namespace_len(1), widened.get(2, 5u64.stable_hash(), &5)),
        (67, 0, Some(&5))
    );
}

#[test]
fn what_does_not_fit_is_an_error_with_ways_out() {
    let parts = Parts::default();
    let written = write(&parts, (0..10u64).map(|key| (key, key)));
    let Err(error) = read::<u64, String>(&parts, &written, 1) else { panic!("text is no number") };
    let report = error.report();
    for part in [
        "`total`",
        "`op`",
        "u64 → u64",
        "u64 → text",
        "another name",
        "alias",
        "migrate_from",
        "drop-state: op",
    ] {
        assert!(report.contains(part), "{part} is missing in {report}");
    }
    let mut timers = TimerTable::<u64>::new("total", KeyGroupRange { start: 0, end: MAX }, MAX);
    let error = timers.restore(&mut parts.source(vec![written.clone()], MAX, 0, 1)).unwrap_err();
    assert!(error.report().contains("KeyedValue") && error.report().contains("Timers"), "{}", error.report());
    let mut windows = NamespacedTable::<u64, u64>::new("total", KeyGroupRange { start: 0, end: MAX }, MAX);
    assert!(windows.restore(&mut parts.source(vec![written], MAX, 0, 1)).is_err());
}

#[test]
fn operator_state_evolves_too() {
    let parts = Parts::default();
    let mut list = OperatorListState::list("offsets", 0);
    list.set(vec![1u32, 2, 3]);
    let written = parts.snapshot(&mut list, false, "list");
    let mut wide = OperatorListState::<u64>::list("offsets", 0);
    wide.restore(&mut parts.source(vec![written.clone()], MAX, 0, 1)).unwrap();
    assert_eq!(wide.items(), [1, 2, 3]);
    let mut text = OperatorListState::<String>::list("offsets", 0);
    let error = text.restore(&mut parts.source(vec![written], MAX, 0, 1)).unwrap_err();
    assert!(error.report().contains("alias"), "{}", error.report());
}

#[test]
fn a_migration_takes_what_the_rules_cannot() {
    let parts = Parts::default();
    let written = write(&parts, (0..100u64).map(|key| (key, key as u32)));
    let restore = |migration: Migration| {
        let mut table = KeyedTable::<u64, String>::new("total", KeyGroupRange { start: 0, end: MAX }, MAX);
        let mut source = parts.source(vec![written.clone()], MAX, 0, 1);
        source.set_migrations(vec![migration]);
        table.restore(&mut source).map(|()| table)
    };
    let mut table = restore(Migration::new("total", |old: u32| Ok(format!("{old} pieces")))).unwrap();
    assert_eq!(table.len(), 100);
    assert_eq!(table.get(7u64.stable_hash(), &7).map(String::as_str), Some("7 pieces"));
    let next = parts.snapshot(&mut table, false, "next");
    assert!(next.chains.iter().all(|chain| chain.segments.len() == 1 && chain.segments[0].file == "next"));
    // One for another type, another state, and one that refuses.
    for (other, word) in [
        (Migration::new("total", |old: u64| Ok(old.to_string())), "migrate_from"),
        (Migration::new("other", |old: u32| Ok(old.to_string())), "migrate_from"),
        (
            Migration::new("total", |old: u32| match old {
                42 => Err(Error::user("nobody has 42")),
                old => Ok(old.to_string()),
            }),
            "nobody has 42",
        ),
    ] {
        let Err(error) = restore(other) else { panic!("{word}") };
        assert!(error.report().contains(word), "{}", error.report());
    }
}
