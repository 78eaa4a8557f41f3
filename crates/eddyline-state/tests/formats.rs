//! State that every format version wrote is read by this one: `tests/formats/<version>` holds a checkpoint of each.
//!
//! `cargo test -p eddyline-state --test formats -- --ignored write` writes that of the present version, for a new one:
//! what is there is never written again.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

use eddyline_core::{Data, KeyGroupRange};
use eddyline_protocol::{MANIFEST_FORMAT, Manifest, ManifestKind, OperatorManifest, StateManifest};
use eddyline_state::ttl::Timed;
use eddyline_state::{
    BroadcastState, CheckpointStore, KeyedTable, LocalFileSystem, ManagedState, NamespacedTable,
    OperatorListState, PartWriter, RestoreSource, SavepointReader, TimerTable,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAX: u32 = 4;
const UID: &str = "operator";
const RANGE: KeyGroupRange = KeyGroupRange { start: 0, end: MAX };

#[derive(Debug, Clone, PartialEq, Data)]
struct Account {
    owner: String,
    balance: i64,
    limits: Option<(u32, f64)>,
    tags: BTreeMap<String, Vec<u8>>,
    status: Status,
}

#[derive(Debug, Clone, PartialEq, Data)]
enum Status {
    Open,
    Blocked { since: i64, reason: String },
    Closed(u8),
}

fn account(key: u64) -> Account {
    Account {
        owner: format!("owner {key}"),
        balance: -3 * key as i64,
        limits: (key.is_multiple_of(2)).then_some((key as u32, key as f64 / 4.0)),
        tags: (0..key % 3).map(|tag| (format!("tag {tag}"), vec![tag as u8; 3])).collect(),
        status: match key % 3 {
            0 => Status::Open,
            1 => Status::Blocked { since: key as i64, reason: "späm".into() },
            _ => Status::Closed(key as u8),
        },
    }
}

/// One state of each kind, as it is after both checkpoints.
struct States {
    accounts: KeyedTable<u64, Account>,
    timed: KeyedTable<String, Timed<u32>>,
    windows: NamespacedTable<u64, (u64, f64)>,
    timers: TimerTable<String>,
    positions: OperatorListState<(String, u64)>,
    seen: OperatorListState<u128>,
    rules: BroadcastState<String, bool>,
}

impl States {
    fn new() -> Self {
        States {
            accounts: KeyedTable::new("accounts", RANGE, MAX),
            timed: KeyedTable::new("timed", RANGE, MAX),
            windows: NamespacedTable::new("windows", RANGE, MAX),
            timers: TimerTable::new("timers", RANGE, MAX),
            positions: OperatorListState::list("positions", 0),
            seen: OperatorListState::union("seen", 0),
            rules: BroadcastState::new("rules", 0),
        }
    }

    fn fill(&mut self) {
        for key in 0..40u64 {
            let name = format!("key {key}");
            self.accounts.insert(key.stable_hash(), key, account(key));
            let timed = Timed { touched_ms: 1_000 + key as i64, value: key as u32 };
            self.timed.insert(name.stable_hash(), name.clone(), timed);
            *self.windows.entry(60_000 * (key as i64 % 4), key.stable_hash(), &key, || (0, 0.0)) = (key, 0.5);
            self.timers.register(5_000 + key as i64 % 3, name.stable_hash(), &name, key as i64);
        }
        self.positions.set(vec![("a.log".into(), 7), ("b.log".into(), 1 << 40)]);
        self.seen.set(vec![1, u128::MAX]);
        self.rules.insert("strict".into(), true);
    }

    /// What the second checkpoint has as deltas: changes, removals, a window that is gone.
    fn change(&mut self) {
        for key in [3u64, 5, 100] {
            self.accounts.insert(key.stable_hash(), key, account(key + 1));
        }
        self.accounts.remove(8u64.stable_hash(), &8);
        self.windows.take_namespace(60_000).for_each(drop);
        *self.windows.entry(240_000, 9u64.stable_hash(), &9, || (0, 0.0)) = (9, 0.25);
        while self.timers.pop_due(5_000).is_some() {}
        self.rules.insert("strict".into(), false);
        self.rules.insert("fast".into(), true);
    }

    fn managed(&mut self) -> [&mut dyn ManagedState; 7] {
        let States { accounts, timed, windows, timers, positions, seen, rules } = self;
        [accounts, timed, windows, timers, positions, seen, rules]
    }
}

fn directory(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(format.to_string())
}

fn store(format: u32) -> CheckpointStore {
    CheckpointStore::new(Arc::new(LocalFileSystem), directory(format), "formats").unwrap()
}

fn checkpoint(store: &CheckpointStore, states: &mut States, attempt: u64, number: u64) {
    let path = store.part_path(number, attempt, 0);
    let mut part = PartWriter::new(path.clone());
    let written = states.managed().map(|state| {
        state.freeze(false);
        while !state.write_frozen(usize::MAX, &mut part).unwrap() {}
        state.manifest_of_frozen().unwrap()
    });
    let mut file = store.create_part(&path).unwrap();
    for chunk in part.finish().unwrap().chunks {
        file.write(&chunk).unwrap();
    }
    file.finish().unwrap();
    store.write_complete(&manifest(attempt, number, written.to_vec())).unwrap();
}

fn manifest(attempt: u64, checkpoint: u64, states: Vec<StateManifest>) -> Manifest {
    Manifest {
        format: MANIFEST_FORMAT,
        job: "formats".into(),
        checkpoint,
        attempt,
        tick: 10 * checkpoint,
        completed_at_ms: 1_700_000_000_000,
        max_parallelism: MAX,
        finished: false,
        kind: ManifestKind::Checkpoint,
        origin: None,
        operators: vec![OperatorManifest { uid: UID.into(), states }],
    }
}

/// Writes the test data of the present format. Not run with the others: what is there stays as it is.
#[test]
#[ignore = "writes test data, once for each format"]
fn write() {
    assert!(!directory(MANIFEST_FORMAT).exists(), "format {MANIFEST_FORMAT} has been written already");
    let store = store(MANIFEST_FORMAT);
    let attempt = store.claim_attempt().unwrap();
    let mut states = States::new();
    states.fill();
    checkpoint(&store, &mut states, attempt, 1);
    states.change();
    checkpoint(&store, &mut states, attempt, 2);
}

#[test]
fn every_format_that_was_ever_written_is_restored() {
    for format in 1..=MANIFEST_FORMAT {
        let reader = SavepointReader::newest(&store(format)).unwrap();
        assert_eq!((reader.manifest().format, reader.manifest().checkpoint), (format, 2));
        reader.verify(&mut |_| {}).unwrap();
        let mut expected = States::new();
        expected.fill();
        expected.change();
        let mut restored = States::new();
        let mut source = RestoreSource::new(reader.segments().clone(), reader.manifest(), UID, 0, 1);
        for state in restored.managed() {
            state.restore(&mut source).unwrap();
        }
        assert!(source.unclaimed().is_empty());
        let by_key = |table: &KeyedTable<u64, Account>| -> BTreeMap<u64, Account> {
            table.iter().map(|(key, value)| (*key, value.clone())).collect()
        };
        assert_eq!(by_key(&restored.accounts), by_key(&expected.accounts));
        let by_name = |table: &KeyedTable<String, Timed<u32>>| -> BTreeMap<String, Timed<u32>> {
            table.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        assert_eq!(by_name(&restored.timed), by_name(&expected.timed));
        let by_window = |table: &NamespacedTable<u64, (u64, f64)>| -> BTreeMap<(i64, u64), (u64, f64)> {
            table.iter().map(|(window, key, value)| ((window, *key), *value)).collect()
        };
        assert_eq!(by_window(&restored.windows), by_window(&expected.windows));
        let due = |table: &mut TimerTable<String>| {
            std::iter::from_fn(|| table.pop_due(i64::MAX)).collect::<Vec<_>>()
        };
        assert_eq!(due(&mut restored.timers), due(&mut expected.timers));
        assert_eq!(restored.positions.items(), expected.positions.items());
        assert_eq!(restored.seen.items(), expected.seen.items());
        assert!(restored.rules.iter().eq(expected.rules.iter()));
    }
}
