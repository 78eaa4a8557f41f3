//! A table with a store against a map: what it gives, and what is restored from its snapshots, with or without a store,
//! at any parallelism. The same model is run over every backend.

use eddyline_core::key::owner_of;
use eddyline_core::{Data, DataType, DecodeError, Error, KeyGroupRange, Reader, Result, Value, key_group_of};
use eddyline_protocol::{
    MANIFEST_FORMAT, Manifest, ManifestKind, OperatorManifest, SegmentRef, StateManifest,
};
use eddyline_state::{
    KeyedTable, ManagedState, PartWriter, RestoreSource, SegmentReader, StateBackend, StatePlace,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Two keys each have the same hash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Twin(u16);

impl Data for Twin {
    fn schema() -> DataType {
        u16::schema()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u16::decode(input).map(Twin)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        u16::from_value(value).map(Twin)
    }
    fn stable_hash(&self) -> u64 {
        (self.0 / 2).stable_hash()
    }
}

type Content = BTreeMap<Twin, String>;

#[derive(Clone, Default)]
struct Parts(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl SegmentReader for Parts {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        let files = self.0.lock().unwrap();
        let file = files.get(&segment.file).ok_or_else(|| Error::state(format!("no {}", segment.file)))?;
        Ok(file[segment.offset as usize..][..segment.length as usize].to_vec())
    }
}

impl Parts {
    fn store(&self, mut part: PartWriter) {
        let file = part.file().to_string();
        let mut bytes = Vec::new();
        while let Some(chunk) = part.take_chunk() {
            bytes.extend(chunk);
        }
        bytes.extend(part.finish().unwrap().chunks.concat());
        self.0.lock().unwrap().insert(file, bytes);
    }
}

/// What happens to a key.
#[derive(Debug, Clone)]
pub enum Access {
    Put(u16, u16),
    Append(u16, u8),
    Take(u16),
    Look(u16),
}

impl Access {
    fn key(&self) -> Twin {
        match self {
            Access::Put(key, _) | Access::Append(key, _) | Access::Take(key) | Access::Look(key) => {
                Twin(*key)
            }
        }
    }
}

#[derive(Debug, Clone)]
pub enum Step {
    /// Accesses whose keys are fetched while those before are not released.
    Batches(Vec<Vec<Access>>),
    /// Keys that are fetched and released again before anything has come.
    ChangeOfMind(Vec<u16>),
    Freeze(bool),
    Write(usize),
    Finish,
    Abandon,
    /// At this parallelism; with stores or without.
    Restore(u32, bool),
}

fn access(keys: u16) -> impl Strategy<Value = Access> {
    prop_oneof![
        3 => (0..keys, any::<u16>()).prop_map(|(key, value)| Access::Put(key, value)),
        3 => (0..keys, any::<u8>()).prop_map(|(key, value)| Access::Append(key, value)),
        2 => (0..keys).prop_map(Access::Take),
        1 => (0..keys).prop_map(Access::Look),
    ]
}

/// What may happen to a table of up to `keys` keys.
pub fn steps(keys: u16) -> impl Strategy<Value = Vec<Step>> {
    let batch = proptest::collection::vec(access(keys), 0..40);
    let step = prop_oneof![
        12 => proptest::collection::vec(batch, 1..4).prop_map(Step::Batches),
        2 => proptest::collection::vec(0..keys, 1..20).prop_map(Step::ChangeOfMind),
        4 => proptest::bool::weighted(0.2).prop_map(Step::Freeze),
        6 => (1..40usize).prop_map(Step::Write),
        2 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        2 => (1..4u32, proptest::bool::weighted(0.7)).prop_map(|(p, stored)| Step::Restore(p, stored)),
    ];
    proptest::collection::vec(step, 1..50)
}

struct InFlight {
    content: Content,
    parts: Vec<Option<PartWriter>>,
    manifests: Vec<StateManifest>,
}

/// A table in several instances, and what it should have.
pub struct World<'b> {
    backend: &'b dyn StateBackend,
    max: u32,
    attempt: u64,
    instances: Vec<KeyedTable<Twin, String>>,
    content: Content,
    parts: Parts,
    checkpoint: u32,
    in_flight: VecDeque<InFlight>,
    restorable: Option<(Vec<StateManifest>, Content)>,
}

impl<'b> World<'b> {
    fn new(backend: &'b dyn StateBackend, max: u32) -> Self {
        let mut world = World {
            backend,
            max,
            attempt: 0,
            instances: Vec::new(),
            content: Content::new(),
            parts: Parts::default(),
            checkpoint: 0,
            in_flight: VecDeque::new(),
            restorable: None,
        };
        world.instances = world.create(2, true);
        world
    }

    fn create(&mut self, parallelism: u32, stored: bool) -> Vec<KeyedTable<Twin, String>> {
        self.attempt += 1;
        let table = |worker: u32| {
            let range = KeyGroupRange::of_instance(self.max, parallelism, worker);
            if !stored {
                return KeyedTable::new("s", range, self.max);
            }
            let place = StatePlace {
                worker: worker as usize,
                worker_memory_bytes: 1 << 20,
                attempt: self.attempt,
                uid: "op".into(),
                state: "s".into(),

                expires: false,
            };
            let store = self.backend.open(&place, Waker::noop().clone()).unwrap();
            KeyedTable::with_store("s", range, self.max, store)
        };
        (0..parallelism).map(table).collect()
    }

    fn owner(&self, key: &Twin) -> usize {
        let group = key_group_of(key.stable_hash(), self.max);
        owner_of(group, self.max, self.instances.len() as u32) as usize
    }

    fn batches(&mut self, batches: Vec<Vec<Access>>) {
        let mut fetched = Vec::new();
        for batch in &batches {
            for instance in 0..self.instances.len() {
                let keys = batch.iter().map(Access::key).filter(|key| self.owner(key) == instance);
                let hashes: Vec<u64> = keys.map(|key| key.stable_hash()).collect();
                let ticket = self.instances[instance].fetch(&hashes);
                fetched.push((instance, hashes, ticket));
            }
        }
        let mut fetched = fetched.into_iter();
        for batch in batches {
            let of_batch: Vec<_> = fetched.by_ref().take(self.instances.len()).collect();
            for (instance, _, ticket) in &of_batch {
                while !self.instances[*instance].is_fetched(*ticket).unwrap() {
                    std::thread::yield_now();
                }
            }
            batch.into_iter().for_each(|access| self.access(access));
            for (instance, hashes, _) in of_batch {
                self.instances[instance].release(&hashes);
            }
        }
    }

    fn access(&mut self, access: Access) {
        let key = access.key();
        let owner = self.owner(&key);
        let (table, hash) = (&mut self.instances[owner], key.stable_hash());
        match access {
            Access::Put(_, value) => {
                let value = value.to_string();
                assert_eq!(table.insert(hash, key.clone(), value.clone()), self.content.insert(key, value));
            }
            Access::Append(_, value) => {
                table.entry_or_insert_with(hash, &key, String::new).push_str(&value.to_string());
                self.content.entry(key).or_default().push_str(&value.to_string());
            }
            Access::Take(_) => assert_eq!(table.remove(hash, &key), self.content.remove(&key)),
            Access::Look(_) => {
                assert_eq!(table.get(hash, &key), self.content.get(&key));
                assert_eq!(table.get_mut(hash, &key), self.content.get_mut(&key));
            }
        }
    }

    fn freeze(&mut self, full: bool) {
        if self.in_flight.len() == 2 {
            return;
        }
        self.checkpoint += 1;
        let part = |index| Some(PartWriter::new(format!("{}-{index}", self.checkpoint)));
        let parts = (0..self.instances.len()).map(part).collect();
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
        if front.parts.iter().all(Option::is_none)
            && let Some(done) = self.in_flight.pop_front()
        {
            let mut restored = self.restored(&done.manifests, 3, false);
            let all: Content = contents(&mut restored);
            assert_eq!(all, done.content);
            self.restorable = Some((done.manifests, done.content));
        }
    }

    fn finish(&mut self) {
        while !self.in_flight.is_empty() {
            self.write(100);
        }
    }

    fn restored(
        &mut self,
        manifests: &[StateManifest],
        parallelism: u32,
        stored: bool,
    ) -> Vec<KeyedTable<Twin, String>> {
        let operators = manifests
            .iter()
            .map(|state| OperatorManifest { uid: "op".into(), states: vec![state.clone()] })
            .collect();
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            job: "job".into(),
            checkpoint: 1,
            attempt: 1,
            tick: 1,
            completed_at_ms: 0,
            max_parallelism: self.max,
            finished: false,
            kind: ManifestKind::Checkpoint,
            origin: None,
            operators,
        };
        let mut instances = self.create(parallelism, stored);
        for (index, instance) in (0..).zip(&mut instances) {
            let reader = Arc::new(self.parts.clone());
            let mut source = RestoreSource::new(reader, &manifest, "op", index, parallelism);
            instance.restore(&mut source).unwrap();
        }
        instances
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Batches(batches) => self.batches(batches),
            Step::ChangeOfMind(keys) => {
                let looks: Vec<_> = keys.into_iter().map(Access::Look).collect();
                for instance in 0..self.instances.len() {
                    let keys = looks.iter().map(Access::key).filter(|key| self.owner(key) == instance);
                    let hashes: Vec<u64> = keys.map(|key| key.stable_hash()).collect();
                    self.instances[instance].fetch(&hashes);
                    self.instances[instance].release(&hashes);
                }
                self.batches(vec![looks]);
            }
            Step::Freeze(full) => self.freeze(full),
            Step::Write(budget) => self.write(budget),
            Step::Finish => self.finish(),
            Step::Abandon => {
                self.instances.iter_mut().for_each(ManagedState::abandon);
                self.in_flight.clear();
            }
            Step::Restore(parallelism, stored) => {
                if let Some((manifests, content)) = self.restorable.clone() {
                    self.instances.clear();
                    self.instances = self.restored(&manifests, parallelism, stored);
                    self.content = content;
                    self.in_flight.clear();
                }
            }
        }
    }
}

/// What tables have that are all in memory.
fn contents(instances: &mut [KeyedTable<Twin, String>]) -> Content {
    let all = instances.iter().flat_map(KeyedTable::iter);
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Runs `steps` over tables whose stores `backend` makes.
pub fn check(backend: &dyn StateBackend, max: u32, steps: Vec<Step>) {
    let mut world = World::new(backend, max);
    for step in steps {
        world.run(step);
    }
    world.finish();
    world.freeze(false);
    world.finish();
    world.freeze(true);
    world.finish();
    let looks = world.content.keys().map(|key| Access::Look(key.0)).collect();
    world.batches(vec![looks]);
}
