//! Tables against a map: whatever happens between freeze and the last slice, what is restored is what was frozen.

use super::support::Parts;
use crate::{KeyedTable, ManagedState, NamespacedTable, PartWriter, TimerTable};
use eddyline_core::key::owner_of;
use eddyline_core::{Data, KeyGroupRange, key_group_of};
use eddyline_protocol::StateManifest;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

type Content = BTreeMap<(i64, String), u64>;

/// What the three tables have in common.
trait Subject: ManagedState + Sized {
    fn create(range: KeyGroupRange, max: u32) -> Self;
    fn put(&mut self, namespace: i64, key: &str, value: u64);
    fn add(&mut self, namespace: i64, key: &str, value: u64);
    fn take(&mut self, namespace: i64, key: &str);
    fn drop_namespace(&mut self, namespace: i64);
    fn content(&self) -> Content;
    /// Whether values are kept.
    const VALUES: bool = true;
}

type Composite = (i64, String);

/// Placed by the same hash as the others so that one model routes all.
#[derive(Clone, PartialEq, Eq)]
struct KeyedKey(Composite);

impl Data for KeyedKey {
    fn schema() -> eddyline_core::DataType {
        Composite::schema()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(input: &mut eddyline_core::Reader<'_>) -> Result<Self, eddyline_core::DecodeError> {
        Composite::decode(input).map(KeyedKey)
    }
    fn from_value(value: eddyline_core::Value) -> Result<Self, eddyline_core::DecodeError> {
        Composite::from_value(value).map(KeyedKey)
    }
    fn stable_hash(&self) -> u64 {
        self.0.1.stable_hash()
    }
}

impl Subject for KeyedTable<KeyedKey, u64> {
    fn create(range: KeyGroupRange, max: u32) -> Self {
        KeyedTable::new("s", range, max)
    }
    fn put(&mut self, namespace: i64, key: &str, value: u64) {
        let key = &key.to_string();
        self.insert(key.stable_hash(), KeyedKey((namespace, key.clone())), value);
    }
    fn add(&mut self, namespace: i64, key: &str, value: u64) {
        let key = &key.to_string();
        if let Some(place) = self.get_mut(key.stable_hash(), &KeyedKey((namespace, key.clone()))) {
            *place += value;
        }
    }
    fn take(&mut self, namespace: i64, key: &str) {
        let key = &key.to_string();
        self.remove(key.stable_hash(), &KeyedKey((namespace, key.clone())));
    }
    fn drop_namespace(&mut self, namespace: i64) {
        // Most of the time key by key; the whole table if it is the only namespace.
        let all: Vec<_> = self.iter().map(|(key, _)| key.clone()).collect();
        if all.iter().all(|key| key.0.0 == namespace) {
            assert_eq!(self.drain().count(), all.len());
        } else {
            for key in all.iter().filter(|key| key.0.0 == namespace) {
                self.remove(key.stable_hash(), key);
            }
        }
    }
    fn content(&self) -> Content {
        self.iter().map(|(key, value)| (key.0.clone(), *value)).collect()
    }
}

impl Subject for NamespacedTable<String, u64> {
    fn create(range: KeyGroupRange, max: u32) -> Self {
        NamespacedTable::new("s", range, max)
    }
    fn put(&mut self, namespace: i64, key: &str, value: u64) {
        let key = &key.to_string();
        *self.entry(namespace, key.stable_hash(), key, || 0) = value;
    }
    fn add(&mut self, namespace: i64, key: &str, value: u64) {
        let key = &key.to_string();
        if let Some(place) = self.get_mut(namespace, key.stable_hash(), key) {
            *place += value;
        }
    }
    fn take(&mut self, namespace: i64, key: &str) {
        let key = &key.to_string();
        self.remove(namespace, key.stable_hash(), key);
    }
    fn drop_namespace(&mut self, namespace: i64) {
        let count = self.namespace_len(namespace);
        assert_eq!(self.take_namespace(namespace).count(), count);
    }
    fn content(&self) -> Content {
        let content: Content =
            self.iter().map(|(namespace, key, value)| ((namespace, key.clone()), *value)).collect();
        assert_eq!(self.first_namespace(), content.keys().next().map(|key| key.0));
        content
    }
}

impl Subject for TimerTable<String> {
    const VALUES: bool = false;
    fn create(range: KeyGroupRange, max: u32) -> Self {
        TimerTable::new("s", range, max)
    }
    fn put(&mut self, namespace: i64, key: &str, _value: u64) {
        let key = &key.to_string();
        self.register(namespace, key.stable_hash(), key, 7);
    }
    fn add(&mut self, namespace: i64, key: &str, _value: u64) {
        let key = &key.to_string();
        self.contains(namespace, key.stable_hash(), key, 7);
    }
    fn take(&mut self, namespace: i64, key: &str) {
        let key = &key.to_string();
        self.delete(namespace, key.stable_hash(), key, 7);
    }
    fn drop_namespace(&mut self, namespace: i64) {
        // Fires what is due, then registers again what was before the namespace.
        let mut fired = Vec::new();
        while let Some(timer) = self.pop_due(namespace) {
            fired.push(timer);
        }
        assert!(fired.is_sorted_by_key(|timer| (timer.time, eddyline_core::data::to_bytes(&timer.key))));
        for timer in fired.into_iter().filter(|timer| timer.time != namespace) {
            assert!(self.register(timer.time, timer.key.stable_hash(), &timer.key, timer.namespace));
        }
    }
    fn content(&self) -> Content {
        self.iter().map(|(time, key, _)| ((time, key.clone()), 0)).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(i64, u16, u64),
    Add(i64, u16, u64),
    Take(i64, u16),
    PutMany(i64, u16, u16),
    TakeMany(i64, u16, u16),
    DropNamespace(i64),
    Freeze(bool),
    Write(usize),
    Finish,
    Abandon,
    Restore(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (namespace, key) = (0..4i64, 0..300u16);
    prop_oneof![
        6 => (namespace.clone(), key.clone(), any::<u64>()).prop_map(|(n, k, v)| Step::Put(n, k, v)),
        6 => (namespace.clone(), key.clone(), 0..9u64).prop_map(|(n, k, v)| Step::Add(n, k, v)),
        6 => (namespace.clone(), key.clone()).prop_map(|(n, k)| Step::Take(n, k)),
        2 => (namespace.clone(), key.clone(), 1..200u16).prop_map(|(n, k, c)| Step::PutMany(n, k, c)),
        2 => (namespace.clone(), key, 1..100u16).prop_map(|(n, k, c)| Step::TakeMany(n, k, c)),
        2 => namespace.prop_map(Step::DropNamespace),
        4 => proptest::bool::weighted(0.1).prop_map(Step::Freeze),
        8 => (1..60usize).prop_map(Step::Write),
        3 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        2 => (1..5u32).prop_map(Step::Restore),
    ]
}

struct World<S> {
    max: u32,
    instances: Vec<S>,
    content: Content,
    parts: Parts,
    next_checkpoint: u32,
    /// What was frozen, and the parts in which each instance writes it (`None` when written) or has written it.
    in_flight: VecDeque<InFlight>,
    restorable: Option<(Vec<StateManifest>, Content)>,
}

struct InFlight {
    content: Content,
    parts: Vec<Option<PartWriter>>,
    manifests: Vec<StateManifest>,
}

impl<S: Subject> World<S> {
    fn new(max: u32, parallelism: u32) -> Self {
        let create = |index| S::create(KeyGroupRange::of_instance(max, parallelism, index), max);
        World {
            max,
            instances: (0..parallelism).map(create).collect(),
            content: Content::new(),
            parts: Parts::default(),
            next_checkpoint: 0,
            in_flight: VecDeque::new(),
            restorable: None,
        }
    }

    fn owner(&mut self, key: &str) -> &mut S {
        let key = key.to_string();
        let group = key_group_of(key.stable_hash(), self.max);
        let parallelism = self.instances.len() as u32;
        &mut self.instances[owner_of(group, self.max, parallelism) as usize]
    }

    fn put(&mut self, namespace: i64, key: u16, value: u64) {
        let key = format!("key {key}");
        self.owner(&key).put(namespace, &key, value);
        self.content.insert((namespace, key), if S::VALUES { value } else { 0 });
    }

    fn take(&mut self, namespace: i64, key: u16) {
        let key = format!("key {key}");
        self.owner(&key).take(namespace, &key);
        self.content.remove(&(namespace, key));
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Put(namespace, key, value) => self.put(namespace, key, value),
            Step::Add(namespace, key, value) => {
                let key = format!("key {key}");
                self.owner(&key).add(namespace, &key, value);
                if let Some(place) = self.content.get_mut(&(namespace, key))
                    && S::VALUES
                {
                    *place = place.wrapping_add(value);
                }
            }
            Step::Take(namespace, key) => self.take(namespace, key),
            Step::PutMany(namespace, first, count) => {
                (first..first + count).for_each(|key| self.put(namespace, key, u64::from(key)));
            }
            Step::TakeMany(namespace, first, count) => {
                (first..first + count).for_each(|key| self.take(namespace, key));
            }
            Step::DropNamespace(namespace) => {
                self.instances.iter_mut().for_each(|instance| instance.drop_namespace(namespace));
                self.content.retain(|key, _| key.0 != namespace);
            }
            Step::Freeze(full) => self.freeze(full),
            Step::Write(budget) => self.write(budget),
            Step::Finish => self.finish(),
            Step::Abandon => {
                self.instances.iter_mut().for_each(ManagedState::abandon);
                self.in_flight.clear();
            }
            Step::Restore(parallelism) => self.restore(parallelism),
        }
    }

    fn freeze(&mut self, full: bool) {
        if self.in_flight.len() == 2 {
            return;
        }
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        let parts =
            (0..self.instances.len()).map(|index| Some(PartWriter::new(format!("{id}-{index}")))).collect();
        self.in_flight.push_back(InFlight { content: self.content.clone(), parts, manifests: Vec::new() });
        self.instances.iter_mut().for_each(|instance| instance.freeze(full));
    }

    fn write(&mut self, budget: usize) {
        let Some(front) = self.in_flight.front_mut() else { return };
        for (instance, slot) in self.instances.iter_mut().zip(&mut front.parts) {
            if let Some(part) = slot
                && instance.write_frozen(budget, part).unwrap()
            {
                self.parts.store(slot.take().unwrap());
                front.manifests.push(instance.manifest_of_frozen().unwrap());
            }
        }
        if front.parts.iter().all(Option::is_none) {
            let done = self.in_flight.pop_front().unwrap();
            self.check(&done.manifests, &done.content, 3);
            self.restorable = Some((done.manifests, done.content));
        }
    }

    fn finish(&mut self) {
        while !self.in_flight.is_empty() {
            self.write(100);
        }
    }

    fn restored(&self, manifests: &[StateManifest], parallelism: u32) -> Vec<S> {
        let mut instances = World::<S>::new(self.max, parallelism).instances;
        for (index, instance) in (0..).zip(&mut instances) {
            let mut source = self.parts.source(manifests.to_vec(), self.max, index, parallelism);
            instance.restore(&mut source).unwrap();
            assert!(source.unclaimed().is_empty());
        }
        instances
    }

    fn check(&self, manifests: &[StateManifest], content: &Content, parallelism: u32) {
        let restored = self.restored(manifests, parallelism);
        let all: Content = restored.iter().flat_map(Subject::content).collect();
        assert_eq!(all.len(), restored.iter().map(|instance| instance.content().len()).sum::<usize>());
        assert_eq!(&all, content);
    }

    fn restore(&mut self, parallelism: u32) {
        if let Some((manifests, content)) = self.restorable.clone() {
            self.instances = self.restored(&manifests, parallelism);
            self.content = content;
            self.in_flight.clear();
        }
    }
}

fn check<S: Subject>(max: u32, parallelism: u32, steps: Vec<Step>) {
    let mut world = World::<S>::new(max, parallelism);
    for step in steps {
        world.run(step);
    }
    let live: Content = world.instances.iter().flat_map(Subject::content).collect();
    assert_eq!(live, world.content);
    world.finish();
    world.freeze(false);
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn keyed_table_restores_what_was_frozen(steps in proptest::collection::vec(step(), 1..120), max in 4..7u32) {
        check::<KeyedTable<KeyedKey, u64>>(max, 2, steps);
    }

    #[test]
    fn namespaced_table_restores_what_was_frozen(steps in proptest::collection::vec(step(), 1..120), max in 4..7u32) {
        check::<NamespacedTable<String, u64>>(max, 2, steps);
    }

    #[test]
    fn timer_table_restores_what_was_frozen(steps in proptest::collection::vec(step(), 1..120), max in 4..7u32) {
        check::<TimerTable<String>>(max, 2, steps);
    }
}
