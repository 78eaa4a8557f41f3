//! Window tables in memory and with a store, against a map and against one another: each reads what the other one has
//! written, bases and deltas.

use super::support::Parts;
use crate::store::MemoryBackend;
use crate::{ManagedState, NamespacedTable, PlacedTable, StateBackend, StatePlace, StoredWindows};
use eddyline_core::{Data, KeyGroupRange};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::task::Waker;

const MAX: u32 = 4;
const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: MAX };

type Content = BTreeMap<(i64, u64), u64>;

#[derive(Debug, Clone)]
enum Step {
    Add(i64, Vec<u64>),
    Fire(i64),
    Freeze(bool),
    /// Restores the last snapshot in the other kind of table.
    Change,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4i64, proptest::collection::vec(0..40u64, 1..30)).prop_map(|(n, keys)| Step::Add(n, keys)),
        2 => (0..4i64).prop_map(Step::Fire),
        3 => proptest::bool::weighted(0.2).prop_map(Step::Freeze),
        2 => Just(Step::Change),
    ]
}

fn store(bytes: usize) -> Box<dyn crate::StateStore> {
    let place = StatePlace {
        worker: 0,
        worker_memory_bytes: 1 << 20,
        attempt: 1,
        uid: "op".into(),
        state: "s".into(),
        expires: false,
    };
    MemoryBackend::new(bytes).open(&place, Waker::noop().clone()).unwrap()
}

enum Windows {
    InMemory(NamespacedTable<u64, u64>),
    Stored(StoredWindows<u64, u64>),
}

impl Windows {
    fn in_memory() -> Self {
        Windows::InMemory(NamespacedTable::new("s", ALL, MAX))
    }

    fn stored() -> Self {
        Windows::Stored(StoredWindows::new("s", ALL, MAX, store(300)))
    }

    fn state(&mut self) -> &mut dyn ManagedState {
        match self {
            Windows::InMemory(table) => table,
            Windows::Stored(table) => table,
        }
    }

    fn add(&mut self, namespace: i64, keys: &[u64]) {
        let hashes: Vec<u64> = keys.iter().map(Data::stable_hash).collect();
        let ticket = self.state().fetch(&hashes);
        assert!(self.state().is_fetched(ticket).unwrap());
        for (key, hash) in keys.iter().zip(&hashes) {
            let value = match self {
                Windows::InMemory(table) => table.entry(namespace, *hash, key, || 0),
                Windows::Stored(table) => table.entry(namespace, *hash, key, || 0),
            };
            *value += 1;
        }
        self.state().release(&hashes);
    }

    fn take(&mut self, namespace: i64) -> BTreeMap<u64, u64> {
        match self {
            Windows::InMemory(table) => {
                table.take_namespace(namespace).map(|(_, key, value)| (key, value)).collect()
            }
            Windows::Stored(table) => {
                let mut taken = BTreeMap::new();
                loop {
                    let hashes = table.last_hashes(namespace, 3).to_vec();
                    if hashes.is_empty() {
                        return taken;
                    }
                    let ticket = ManagedState::fetch(table, &hashes);
                    assert!(ManagedState::is_fetched(table, ticket).unwrap());
                    hashes.iter().for_each(|_| taken.extend(table.take_last(namespace)));
                    ManagedState::release(table, &hashes);
                }
            }
        }
    }

    fn first(&self) -> Option<i64> {
        match self {
            Windows::InMemory(table) => table.first_namespace(),
            Windows::Stored(table) => table.first_namespace(),
        }
    }
}

fn of(content: &Content, namespace: i64) -> BTreeMap<u64, u64> {
    let entries = content.iter().filter(|((of, _), _)| *of == namespace);
    entries.map(|((_, key), value)| (*key, *value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn windows_are_the_same_with_and_without_a_store(steps in proptest::collection::vec(step(), 1..60)) {
        let (parts, mut windows, mut content) = (Parts::default(), Windows::in_memory(), Content::new());
        let mut saved = None;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Add(namespace, keys) => {
                    windows.add(namespace, &keys);
                    keys.iter().for_each(|key| *content.entry((namespace, *key)).or_default() += 1);
                }
                Step::Fire(namespace) => {
                    prop_assert_eq!(windows.take(namespace), of(&content, namespace));
                    content.retain(|(of, _), _| *of != namespace);
                }
                Step::Freeze(full) => {
                    let manifest = parts.snapshot(windows.state(), full, &format!("p{number}"));
                    saved = Some((manifest, content.clone()));
                }
                Step::Change => {
                    let Some((manifest, then)) = saved.clone() else { continue };
                    windows = match windows {
                        Windows::InMemory(_) => Windows::stored(),
                        Windows::Stored(_) => Windows::in_memory(),
                    };
                    windows.state().restore(&mut parts.source(vec![manifest], MAX, 0, 1)).unwrap();
                    content = then;
                }
            }
            prop_assert_eq!(windows.first(), content.keys().next().map(|(namespace, _)| *namespace));
        }
        for namespace in 0..4 {
            prop_assert_eq!(windows.take(namespace), of(&content, namespace));
        }
    }
}

#[test]
fn placed_tables_are_the_same_with_and_without_a_store() {
    let parts = Parts::default();
    let mut table: PlacedTable<u64, u64> = PlacedTable::new("s", ALL, MAX, None);
    let mut content = Content::new();
    for round in 0..8u64 {
        for key in 0..50u64 {
            let (namespace, hash) = ((key % 3) as i64, key.stable_hash());
            let ticket = table.fetch(&[hash]);
            assert!(table.is_fetched(ticket).unwrap());
            assert_eq!(table.get(namespace, hash, &key), content.get(&(namespace, key)));
            if (key + round).is_multiple_of(5) {
                assert_eq!(table.remove(namespace, hash, &key), content.remove(&(namespace, key)));
            } else if let Some(value) = table.get_mut(namespace, hash, &key) {
                *value += 1;
                *content.get_mut(&(namespace, key)).unwrap() += 1;
            } else {
                *table.entry(namespace, hash, &key, || 7) += round;
                content.insert((namespace, key), 7 + round);
            }
            table.release(&[hash]);
        }
        let manifest = parts.snapshot(&mut table, false, &format!("p{round}"));
        let has_store = round % 2 == 0;
        table = PlacedTable::new("s", ALL, MAX, has_store.then(|| store(300)));
        table.restore(&mut parts.source(vec![manifest], MAX, 0, 1)).unwrap();
        assert_eq!(table.keys_per_fetch().is_some(), has_store);
    }
}
