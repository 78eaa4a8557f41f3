//! What a program writes is what tables restore and readers read.

use super::{Placement, SavepointReader, SavepointWriter};
use crate::managed::ManagedState;
use crate::restore::RestoreSource;
use crate::tests::support::{Parts, manifest};
use crate::ttl::Timed;
use crate::{
    BroadcastState, CheckpointStore, FileSystem, KeyedTable, MemoryFileSystem, NamespacedTable,
    OperatorListState, TimerTable,
};
use eddyline_core::{Data, Error, Key, KeyGroupRange};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const MAX: u32 = 8;

fn store(files: &Arc<MemoryFileSystem>, root: &str) -> CheckpointStore {
    CheckpointStore::new(files.clone(), root, "job").unwrap()
}

fn source(reader: &SavepointReader, instance: u32, parallelism: u32) -> RestoreSource {
    RestoreSource::new(reader.segments().clone(), reader.manifest(), "op", instance, parallelism)
}

fn all() -> KeyGroupRange {
    KeyGroupRange { start: 0, end: MAX }
}

/// The entries of a table that instances restore from `reader`.
fn restored<K: Key + Ord, V: Data>(reader: &SavepointReader, parallelism: u32) -> BTreeMap<K, V> {
    let mut entries = BTreeMap::new();
    for instance in 0..parallelism {
        let range = KeyGroupRange::of_instance(MAX, parallelism, instance);
        let mut table = KeyedTable::<K, V>::new("state", range, MAX);
        table.restore(&mut source(reader, instance, parallelism)).unwrap();
        entries.extend(table.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn keyed_state_of_any_size_comes_back(
        entries in prop::collection::vec((0u64..200, ".{0,8}"), 0..300),
        buffered in 1usize..2_000,
        parallelism in 1u32..5,
    ) {
        let files = Arc::new(MemoryFileSystem::new());
        let store = store(&files, "/a");
        let mut writer = SavepointWriter::create(&store, MAX).unwrap();
        writer.set_buffered_bytes_max(buffered);
        let written = writer.operator("op").keyed_state("state", entries.clone()).unwrap();
        prop_assert_eq!(written, entries.len() as u64);
        writer.finish(5).unwrap();
        let expected: BTreeMap<u64, String> = entries.into_iter().collect();
        let reader = SavepointReader::newest(&store).unwrap();
        prop_assert_eq!(&restored::<u64, String>(&reader, parallelism), &expected);
        let read: BTreeMap<u64, String> = reader.keyed("op", "state").unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(&read, &expected);
        for key in 0..200u64 {
            let found: Option<String> = reader.get("op", "state", &key).unwrap();
            prop_assert_eq!(found.as_ref(), expected.get(&key));
        }
        let wide: Option<String> = reader.get("op", "state", &u128::from(7u8)).unwrap();
        prop_assert_eq!(wide.as_ref(), expected.get(&7), "a key of another type is looked for everywhere");
    }
}

fn one_of_each(writer: &mut SavepointWriter) {
    let mut operator = writer.operator("op");
    operator.keyed_state("state", (0..100u64).map(|key| (key, vec![key]))).unwrap();
    operator.keyed_state("timed", [(7u64, Timed { touched_ms: 40, value: 1u32 })]).unwrap();
    operator.timers("timers", (0..10u64).map(|key| (1_000 + key as i64, key))).unwrap();
    operator.list_state("list", [1u64, 2, 3]).unwrap();
    operator.union_state("union", ["a".to_string(), "b".into()]).unwrap();
    operator.broadcast_state("rules", BTreeMap::from([(1u8, true), (2, false)])).unwrap();
}

#[test]
fn every_kind_of_state_can_be_written_restored_and_read() {
    let files = Arc::new(MemoryFileSystem::new());
    let store = store(&files, "/a");
    let mut writer = SavepointWriter::create(&store, MAX).unwrap();
    one_of_each(&mut writer);
    writer.finish(5).unwrap();
    let reader = SavepointReader::newest(&store).unwrap();
    assert_eq!(reader.manifest().completed_at_ms, 5);
    assert_eq!(reader.state_names("op"), ["list", "rules", "state", "timed", "timers", "union"]);

    let mut timers = TimerTable::<u64>::new("timers", all(), MAX);
    timers.restore(&mut source(&reader, 0, 1)).unwrap();
    assert_eq!(timers.next_time(), Some(1_000));
    let mut read: Vec<(i64, u64)> = reader.timers("op", "timers").unwrap().map(Result::unwrap).collect();
    read.sort_unstable();
    let expected: Vec<(i64, u64)> = timers.iter().map(|(time, key, _)| (time, *key)).collect();
    assert_eq!(read, expected);

    let mut list = OperatorListState::<u64>::list("list", 0);
    list.restore(&mut source(&reader, 1, 2)).unwrap();
    assert_eq!((list.items(), reader.items::<u64>("op", "list").unwrap()), (&[2][..], vec![1, 2, 3]));
    let mut union = OperatorListState::<String>::union("union", 1);
    union.restore(&mut source(&reader, 1, 2)).unwrap();
    assert_eq!(union.items(), reader.items::<String>("op", "union").unwrap());

    let mut rules = BroadcastState::<u8, bool>::new("rules", 1);
    rules.restore(&mut source(&reader, 1, 2)).unwrap();
    let entries: Vec<(u8, bool)> = rules.iter().map(|(key, value)| (*key, *value)).collect();
    assert_eq!(entries, reader.broadcast::<u8, bool>("op", "rules").unwrap());

    // With a time to live or without, as the reader likes.
    let timed = Timed { touched_ms: 40, value: 1u32 };
    assert_eq!(reader.get("op", "timed", &7u64).unwrap(), Some(timed));
    assert_eq!(reader.get("op", "timed", &7u64).unwrap(), Some(1u64));
    assert_eq!(reader.schemas("op", "timed").unwrap(), (u64::schema(), u32::schema()));
    reader.verify(&mut |_| {}).unwrap();
}

#[test]
fn a_copy_may_change_one_state_and_keeps_the_rest() {
    let files = Arc::new(MemoryFileSystem::new());
    let (old, new) = (store(&files, "/old"), store(&files, "/new"));
    let mut writer = SavepointWriter::create(&old, MAX).unwrap();
    one_of_each(&mut writer);
    writer.finish(5).unwrap();
    let reader = SavepointReader::newest(&old).unwrap();
    let mut writer = SavepointWriter::create_like(&new, &reader).unwrap();
    let mut copied = 0;
    writer.copy(&reader, |_, state| state.name != "state", &mut |bytes| copied += bytes).unwrap();
    assert!(copied > 0);
    let changed = reader.keyed::<u64, Vec<u64>>("op", "state").unwrap();
    let changed = changed.map(|entry| entry.map(|(key, value)| (key, value.len() as u32)));
    writer.operator("op").try_keyed_state("state", changed).unwrap();
    let again = writer.operator("op").list_state("list", [0u8]).unwrap_err();
    assert!(again.message().contains("written twice"), "{again}");
    writer.finish(6).unwrap();
    let copy = SavepointReader::newest(&new).unwrap();
    assert_eq!(restored::<u64, u32>(&copy, 3).len(), 100);
    assert_eq!(copy.items::<u64>("op", "list").unwrap(), [1, 2, 3]);
    copy.verify(&mut |_| {}).unwrap();
    // Nobody writes over a job's checkpoints.
    let error = SavepointWriter::create(&new, MAX).err().unwrap();
    assert!(error.message().contains("checkpoints there already"), "{error}");
}

#[test]
fn misuse_and_damage_are_told() {
    let files = Arc::new(MemoryFileSystem::new());
    let store = store(&files, "/a");
    let error = SavepointReader::newest(&store).err().unwrap();
    assert!(error.message().contains("no complete checkpoint"), "{error}");
    let mut writer = SavepointWriter::create(&store, MAX).unwrap();
    one_of_each(&mut writer);
    writer.set_buffered_bytes_max(10);
    let error = writer.operator("op").list_state("large", 0u64..10).unwrap_err();
    assert!(error.message().contains("too large"), "{error}");
    let failing = [Ok((1u8, 1u8)), Err(Error::user("no more"))];
    assert!(writer.operator("op").try_keyed_state("failing", failing).is_err());
    let manifest = writer.finish(5).unwrap();

    let reader = SavepointReader::newest(&store).unwrap();
    let report = |error: Option<Error>| error.unwrap().report();
    let unknown = report(reader.get::<u64, u64>("other", "state", &1).err());
    assert!(unknown.contains("`other`") && unknown.contains("`op`"), "{unknown}");
    let unknown = report(reader.get::<u64, u64>("op", "stat", &1).err());
    assert!(unknown.contains("`stat`") && unknown.contains("`state`"), "{unknown}");
    let kind = report(reader.items::<u64>("op", "state").err());
    assert!(kind.contains("KeyedValue") && kind.contains("List"), "{kind}");
    let shape = report(reader.get::<u64, bool>("op", "state", &1).err());
    assert!(shape.contains("u64 → [u64]") && shape.contains("u64 → bool"), "{shape}");
    assert!(reader.keyed::<u64, bool>("op", "state").unwrap().any(|entry| entry.is_err()));

    // One byte is another one.
    let name = &manifest.operators[0].states[0].chains[0].segments[0].file;
    let path = Path::new("/a/job").join(name);
    let mut bytes = files.read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    files.remove(&path).unwrap();
    files.create_new(&path).unwrap().unwrap().write(&bytes).unwrap();
    let damaged = report(reader.verify(&mut |_| {}).err());
    assert!(damaged.contains("checksum") && damaged.contains("operator `op`"), "{damaged}");
}

#[test]
fn windows_are_told_from_keys_of_two_parts() {
    let parts = Parts::default();
    let mut windows = NamespacedTable::<u64, u64>::new("windows", all(), MAX);
    let mut pairs = KeyedTable::<(i64, u64), u64>::new("pairs", all(), MAX);
    for key in 0..100u64 {
        *windows.entry(i64::from(key as u32 % 3), key.stable_hash(), &key, || 0) = key;
        let pair = (5, key);
        pairs.insert(pair.stable_hash(), pair, key);
    }
    parts.snapshot(&mut windows, false, "windows");
    windows.take_namespace(1).for_each(drop);
    let written = [parts.snapshot(&mut windows, false, "more"), parts.snapshot(&mut pairs, false, "pairs")];
    let reader = SavepointReader::new(manifest(written.to_vec(), MAX), Arc::new(parts));
    for (name, expected) in [("windows", Placement::OfWindows), ("pairs", Placement::OfKeys)] {
        let state = reader.state("op", name).unwrap();
        let placement = state.placement().unwrap();
        assert_eq!(placement, expected);
        for entry in state.entries().map(Result::unwrap) {
            assert_eq!(placement.group(&entry.key_bytes, MAX), entry.group);
        }
    }
    let read = reader.keyed::<(i64, u64), u64>("op", "windows").unwrap().map(Result::unwrap);
    let read: Vec<((i64, u64), u64)> = read.collect();
    assert_eq!(read.len(), windows.len());
    assert!(read.iter().all(|((window, key), value)| *window == (*key % 3) as i64 && key == value));
}
