//! A checkpoint on disk, listed, read, compared and edited.

use crate::*;
use eddyline_core::{Data, KeyGroupRange, Reader, Result, Value, data};
use eddyline_protocol::{MANIFEST_FORMAT, Manifest, ManifestKind, OperatorManifest};
use eddyline_state::ttl::Timed;
use eddyline_state::{
    CheckpointStore, KeyedTable, ManagedState, PartWriter, SavepointReader, SavepointWriter,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const MAX: u32 = 8;

#[derive(Debug, Clone, PartialEq, Data)]
struct Account {
    owner: String,
    balance: i64,
    status: Status,
    limit: Option<f32>,
}

#[derive(Debug, Clone, PartialEq, Data)]
enum Status {
    Open,
    Blocked { since: u128 },
}

fn account(key: u64) -> Account {
    let status =
        if key.is_multiple_of(2) { Status::Open } else { Status::Blocked { since: u128::from(key) << 70 } };
    Account { owner: format!("owner {key}"), balance: -(key as i64), status, limit: (key > 3).then_some(0.5) }
}

/// Writes a checkpoint with a state of each kind.
fn example(root: &Path, job: &str, accounts: impl Iterator<Item = (u64, Account)>) {
    let store = writable_store(root.to_str().unwrap(), job).unwrap();
    let mut writer = SavepointWriter::create(&store, MAX).unwrap();
    let mut bank = writer.operator("bank");
    bank.keyed_state("accounts", accounts).unwrap();
    let seen = [("a", 1_000), ("b", 61_000), ("c", 100_000_000)];
    let seen = seen.map(|(key, touched_ms)| (key.to_string(), Timed { touched_ms, value: 7u32 }));
    bank.keyed_state("seen", seen).unwrap();
    bank.timers("__event-timers", [(5_000, 1u64), (6_000, 2)]).unwrap();
    let mut source = writer.operator("source");
    source.list_state("positions", ["a.log".to_string(), "b.log".into(), "a.log".into()]).unwrap();
    source.broadcast_state("rules", BTreeMap::from([("strict".to_string(), true)])).unwrap();
    writer.finish(1_700_000_000_000).unwrap();
}

fn rows(reader: &SavepointReader, uid: &str, state: &str, key: Option<&str>) -> Vec<String> {
    let mut selection = Selection::all(reader.state(uid, state).unwrap()).unwrap();
    if let Some(key) = key {
        selection = selection.with_key(key).unwrap();
    }
    let mut out = Vec::new();
    let mut writer = JsonRows::new(&mut out);
    for row in selection.rows().unwrap() {
        writer.write(&row.unwrap()).unwrap();
    }
    writer.finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn opened(path: &Path) -> Result<SavepointReader> {
    open(path.to_str().unwrap()).map(|opened| opened.reader)
}

#[test]
fn a_checkpoint_is_found_by_any_of_its_paths() {
    let root = tempfile::tempdir().unwrap();
    let nothing = opened(root.path()).err().unwrap();
    assert!(nothing.message().contains("no checkpoint"), "{nothing}");
    example(root.path(), "bank", (0..5).map(|key| (key, account(key))));
    for path in ["", "bank", "bank/checkpoint-0000000001", "bank/checkpoint-0000000001/COMPLETE"] {
        let reader = opened(&root.path().join(path)).unwrap();
        assert_eq!((reader.manifest().job.as_str(), reader.manifest().checkpoint), ("bank", 1), "{path}");
    }
    example(root.path(), "other", std::iter::empty());
    let several = opened(root.path()).err().unwrap();
    assert!(several.hint().unwrap().contains("bank, other"), "{}", several.report());
    assert!(opened(&root.path().join("missing")).is_err());
    assert!(opened(&root.path().join("bank/attempts")).is_err());
}

#[test]
fn what_was_opened_can_be_read_when_its_job_has_deleted_it() {
    let root = tempfile::tempdir().unwrap();
    example(root.path(), "bank", (0..50).map(|key| (key, account(key))));
    let reader = opened(root.path()).unwrap();
    std::fs::remove_dir_all(root.path().join("bank")).unwrap();
    assert_eq!(rows(&reader, "bank", "accounts", None).len(), 50);
    reader.verify(&mut |_| {}).unwrap();
}

/// Completes checkpoint `number` with as many entries and deletes the ones before, as a job does that keeps one.
fn complete_and_retire(store: &CheckpointStore, attempt: u64, number: u64) {
    let path = store.part_path(number, attempt, 0);
    let mut part = PartWriter::new(path.clone());
    let range = KeyGroupRange { start: 0, end: MAX };
    let mut table = KeyedTable::<u64, u64>::new("count", range, MAX);
    for key in 0..100u64 {
        table.insert(key.stable_hash(), key, number);
    }
    table.freeze(true);
    while !table.write_frozen(usize::MAX, &mut part).unwrap() {}
    let states = vec![table.manifest_of_frozen().unwrap()];
    let mut file = store.create_part(&path).unwrap();
    part.finish().unwrap().chunks.iter().for_each(|chunk| file.write(chunk).unwrap());
    file.finish().unwrap();
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        job: store.job().to_owned(),
        checkpoint: number,
        attempt,
        tick: number,
        completed_at_ms: 0,
        max_parallelism: MAX,
        finished: false,
        kind: ManifestKind::Checkpoint,
        origin: None,
        operators: vec![OperatorManifest { uid: "op".into(), states }],
    };
    store.write_complete(&manifest).unwrap();
    store.retire(&[number]).unwrap();
}

#[test]
fn the_newest_checkpoint_can_be_read_while_checkpoints_come_and_go() {
    let root = tempfile::tempdir().unwrap();
    let store = writable_store(root.path().to_str().unwrap(), "busy").unwrap();
    let attempt = store.claim_attempt().unwrap();
    complete_and_retire(&store, attempt, 1);
    let job = std::thread::spawn(move || {
        (2..=200).for_each(|number| complete_and_retire(&store, attempt, number));
    });
    let (mut reads, mut newest) = (0, 0);
    while !job.is_finished() || reads == 0 {
        let reader = opened(root.path()).unwrap();
        let entries = reader.keyed::<u64, u64>("op", "count").unwrap().map(Result::unwrap);
        let values: Vec<u64> = entries.map(|(_, value)| value).collect();
        let checkpoint = reader.manifest().checkpoint;
        assert_eq!(values, vec![checkpoint; 100], "all of one checkpoint");
        assert!(checkpoint >= newest);
        (reads, newest) = (reads + 1, checkpoint);
    }
    job.join().unwrap();
}

#[test]
fn a_listing_tells_sizes_large_keys_and_ages() {
    let root = tempfile::tempdir().unwrap();
    let large = Account { owner: "x".repeat(1_000), ..account(0) };
    let accounts = (0..100).map(move |key| (key, if key == 42 { large.clone() } else { account(key) }));
    example(root.path(), "bank", accounts);
    let reader = opened(root.path()).unwrap();
    let mut listing = Listing::of(&reader).unwrap();
    let names: Vec<_> = listing.states.iter().map(|state| state.state.as_str()).collect();
    assert_eq!(names, ["__event-timers", "accounts", "seen", "positions", "rules"]);
    let mut bytes = 0;
    listing.measure(&reader, 3, &mut |more| bytes += more).unwrap();
    assert!(bytes > 0 && bytes < listing.bytes);
    let measured = |at: usize| listing.states[at].measured.as_ref().unwrap();
    let accounts = measured(1);
    assert_eq!((accounts.entries, accounts.by_group.len(), accounts.largest.len()), (100, 8, 3));
    assert_eq!(accounts.largest[0].key, Value::UInt(42, 64));
    assert!(accounts.largest[0].bytes > 1_000 && accounts.largest[1].bytes < 100);
    assert_eq!(accounts.by_group.values().map(|(entries, _)| entries).sum::<u64>(), 100);
    let ages = measured(2).ages.as_ref().unwrap();
    assert_eq!((ages.oldest_ms, ages.newest_ms), (1_000, 100_000_000));
    assert_eq!((ages.within_minute, ages.within_day, ages.older), (1, 0, 2));
    assert!(accounts.ages.is_none());
    assert!(serde_json::to_string(&listing).unwrap().contains("\"kind\":\"keyed_value\""));
}

#[test]
fn rows_are_shown_by_key_or_all_as_json_and_csv() {
    let root = tempfile::tempdir().unwrap();
    example(root.path(), "bank", (0..5).map(|key| (key, account(key))));
    let reader = opened(root.path()).unwrap();
    let one = rows(&reader, "bank", "accounts", Some("1"));
    let group = eddyline_core::key_group_of(Data::stable_hash(&1u64), MAX);
    let expected = format!(
        "{{\"uid\":\"bank\",\"state\":\"accounts\",\"group\":{group},\"key\":1,\"value\":{{\"owner\":\"owner 1\",\
         \"balance\":-1,\"status\":{{\"Blocked\":{{\"since\":\"{}\"}}}},\"limit\":null}}}}",
        1u128 << 70
    );
    assert_eq!(one, [expected]);
    assert!(rows(&reader, "bank", "accounts", Some("77")).is_empty());
    let seen = rows(&reader, "bank", "seen", Some("b"));
    assert!(seen[0].ends_with("\"key\":\"b\",\"value\":7,\"touched_ms\":61000}"), "{seen:?}");
    assert_eq!(rows(&reader, "bank", "seen", Some("\"b\"")), seen);
    let timer = rows(&reader, "bank", "__event-timers", Some("2"));
    assert!(timer[0].ends_with("\"time\":6000,\"namespace\":0,\"key\":2}"), "{timer:?}");
    let rules = rows(&reader, "source", "rules", Some("strict"));
    assert!(rules[0].ends_with("\"key\":\"strict\",\"value\":true}"), "{rules:?}");
    assert_eq!(rows(&reader, "source", "positions", None).len(), 3);
    let selection = |state: &str| Selection::all(reader.state("bank", state).unwrap()).unwrap();
    let error = selection("accounts").with_key("first").err().unwrap();
    assert!(error.detail().unwrap().contains("u64"), "{}", error.report());

    let mut out = Vec::new();
    let mut writer = CsvRows::new(&mut out);
    for row in selection("seen").raw(true).with_key("a").unwrap().rows().unwrap() {
        writer.write(&row.unwrap()).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "uid,state,group,window,time,namespace,key,value,touched_ms");
    assert!(lines[1].ends_with(",a,\"{\"\"__touched_ms\"\":1000,\"\"value\"\":7}\",1000"), "{text}");
}

#[test]
fn differences_are_found_key_by_key() {
    let root = tempfile::tempdir().unwrap();
    example(root.path(), "before", (0..50).map(|key| (key, account(key))));
    let changed = (1..51).map(|key| (key, if key == 7 { account(8) } else { account(key) }));
    example(root.path(), "after", changed);
    let (before, after) =
        (opened(&root.path().join("before")).unwrap(), opened(&root.path().join("after")).unwrap());
    let mut changes = Vec::new();
    let mut note = |change: &Change| {
        changes.push(change.clone());
        Ok(())
    };
    let difference = compare(&before, &after, |_, _| true, &mut note).unwrap();
    assert!(difference.differs() && difference.states.len() == 5);
    let accounts = difference.states.iter().find(|state| state.state == "accounts").unwrap();
    let counts = (accounts.added, accounts.removed, accounts.changed, accounts.same);
    assert_eq!(counts, (1, 1, 1, 48));
    assert_eq!(changes.len(), 3);
    let shown = serde_json::to_string(&changes).unwrap();
    assert!(shown.contains("\"change\":\"added\"") && shown.contains("\"change\":\"changed\""), "{shown}");
    let others = difference.states.iter().filter(|state| state.state != "accounts");
    assert!(others.clone().all(|state| !state.differs() && state.same > 0), "{difference:?}");
    let same = compare(&before, &before, |_, _| true, &mut |_| panic!("nothing differs")).unwrap();
    assert!(!same.differs());

    // Another schema: compared by sight.
    let store = writable_store(root.path().to_str().unwrap(), "wide").unwrap();
    let mut writer = SavepointWriter::create(&store, MAX).unwrap();
    writer
        .operator("bank")
        .keyed_state("accounts", (0..50u128).map(|key| (key, account(key as u64))))
        .unwrap();
    writer.finish(0).unwrap();
    let wide = SavepointReader::newest(&store).unwrap();
    let only_accounts = |_: &str, state: &str| state == "accounts";
    let difference = compare(&before, &wide, only_accounts, &mut |_| Ok(())).unwrap();
    let [accounts] = difference.states.as_slice() else { panic!("one state was wanted") };
    assert!(accounts.schema.is_some() && accounts.same == 50, "{accounts:?}");
}

#[test]
fn what_was_read_can_be_changed_and_written() {
    let root = tempfile::tempdir().unwrap();
    example(root.path(), "bank", (0..50).map(|key| (key, account(key))));
    let reader = opened(root.path()).unwrap();
    let text = |uid: &str, state: &str| rows(&reader, uid, state, None).join("\n");
    let edit_of = |uid: &str, state: &str, text: String| Edit {
        uid: uid.into(),
        state: state.into(),
        lines: std::io::Cursor::new(text),
        name: format!("{state}.jsonl"),
    };
    let all = || {
        let states = [
            ("bank", "accounts"),
            ("bank", "seen"),
            ("bank", "__event-timers"),
            ("source", "positions"),
            ("source", "rules"),
        ];
        states.map(|(uid, state)| edit_of(uid, state, text(uid, state))).into_iter().collect::<Vec<_>>()
    };
    let target = |name: &str| writable_store(root.path().join(name).to_str().unwrap(), "bank").unwrap();
    // Unchanged, it is the same.
    let edited = edit(&reader, &target("same"), all(), &[], 5, &mut |_| {}).unwrap();
    assert_eq!(edited, Edited { entries: 50 + 3 + 2 + 3 + 1, copied_bytes: 0 });
    let same = opened(&root.path().join("same")).unwrap();
    assert!(!compare(&reader, &same, |_, _| true, &mut |_| Ok(())).unwrap().differs());

    let changed = text("bank", "accounts").replace("\"owner 3\"", "\"Ada\"") + "\n\n";
    let edits = vec![edit_of("bank", "accounts", changed)];
    let edited = edit(&reader, &target("new"), edits, &["source".to_string()], 5, &mut |_| {}).unwrap();
    assert!(edited.copied_bytes > 0);
    let new = opened(&root.path().join("new")).unwrap();
    assert_eq!(new.uids(), ["bank"]);
    let ada: Account = new.get("bank", "accounts", &3u64).unwrap().unwrap();
    assert_eq!(ada, Account { owner: "Ada".into(), ..account(3) });

    for (line, word) in [
        ("{\"key\":1}", "owner"),
        ("{\"value\":1}", "key"),
        ("{\"key\":-1,\"value\":null}", "u64"),
        ("no json", "JSON"),
    ] {
        let edits = vec![edit_of("bank", "accounts", format!("\n{line}"))];
        let error = edit(&reader, &target(&format!("bad {word}")), edits, &[], 5, &mut |_| {}).unwrap_err();
        assert!(
            error.report().contains(word) && error.report().contains("accounts.jsonl, line 2"),
            "{}",
            error.report()
        );
    }
    let edits = vec![edit_of("bank", "unknown", String::new())];
    assert!(edit(&reader, &target("unknown"), edits, &[], 5, &mut |_| {}).is_err());
    assert!(edit(&reader, &target("unknown"), all(), &["nobody".to_string()], 5, &mut |_| {}).is_err());
}

#[derive(Debug, Clone, PartialEq, Data)]
struct Everything {
    numbers: (i8, u16, i64, u128, i128),
    floats: (f32, f64),
    text: String,
    character: char,
    bytes: Vec<u8>,
    list: Vec<Option<bool>>,
    map: BTreeMap<String, i32>,
    pairs: BTreeMap<(u8, bool), Vec<u64>>,
    status: Option<Status>,
    unit: (),
}

prop_compose! {
    fn everything()(
        numbers in any::<(i8, u16, i64, u128, i128)>(),
        floats in any::<(f32, f64)>().prop_filter("equal to itself", |(one, other)| !one.is_nan() && !other.is_nan()),
        (text, character) in (".*", any::<char>()),
        bytes in any::<Vec<u8>>(),
        list in any::<Vec<Option<bool>>>(),
        (map, pairs) in (any::<BTreeMap<String, i32>>(), any::<BTreeMap<(u8, bool), Vec<u64>>>()),
        status in prop_oneof![Just(None), Just(Some(Status::Open)), any::<u128>().prop_map(|since| Some(Status::Blocked { since }))],
    ) -> Everything {
        Everything { numbers, floats, text, character, bytes, list, map, pairs, status, unit: () }
    }
}

proptest! {
    #[test]
    fn json_and_bytes_lead_back_to_the_value(value in everything()) {
        let (schema, bytes) = (Everything::schema(), data::to_bytes(&value));
        let read = Value::decode(&schema, &mut Reader::new(&bytes)).unwrap();
        let mut again = Vec::new();
        read.encode_as(&schema, &mut again).unwrap();
        prop_assert_eq!(&again, &bytes);
        let json = serde_json::to_string(&read).unwrap();
        let from_json = value_from_json(&schema, &serde_json::from_str(&json).unwrap()).unwrap();
        let mut last = Vec::new();
        from_json.encode_as(&schema, &mut last).unwrap();
        prop_assert_eq!(data::from_bytes::<Everything>(&last).unwrap(), value, "{}", json);
    }
}
