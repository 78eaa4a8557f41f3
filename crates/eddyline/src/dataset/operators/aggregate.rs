//! Aggregation by key: before the exchange as far as memory goes, behind it completely.
//!
//! Before the exchange, each instance keeps a table of partial states within its share of memory. When the table is full,
//! records of keys that are not in it pass by, each as a state of its own, so what leaves never bursts. Behind the
//! exchange, a full table is sorted and spilled, and at the end the runs are merged.

use super::blocking::{Body, Collects, FromIterator, Out, Produce, Producer, TakeContext};
use super::group::compare_keys;
use crate::operators::KeyOf;
use crate::spill::{Merge, Order, SpillSetup, Spool, Spooled};
use crate::window::Aggregator;
use eddyline_core::{Batch, Data, Key, Result};
use eddyline_runtime::InstanceInfo;
use hashbrown::HashTable;
use std::marker::PhantomData;
use std::sync::Arc;

/// How the records of a key become a state, and states become one.
pub(crate) trait Combine<T>: Clone + Send + Sync + 'static {
    /// What is kept.
    type State: Data;
    /// The state of one record.
    fn start(&self, value: T) -> Self::State;
    /// Adds a record.
    fn add(&self, state: &mut Self::State, value: T);
    /// Adds what was added to another state.
    fn merge(&self, state: &mut Self::State, other: Self::State);
}

/// By a function of two records.
#[derive(Clone)]
pub(crate) struct WithReduce<F>(pub(crate) F);

impl<F: Clone> WithReduce<F> {
    fn join<T: Data>(&self, state: &mut T, value: T)
    where
        F: Fn(T, T) -> T,
    {
        let before = state.clone();
        *state = (self.0)(before, value);
    }
}

impl<T: Data, F: Fn(T, T) -> T + Clone + Send + Sync + 'static> Combine<T> for WithReduce<F> {
    type State = T;

    fn start(&self, value: T) -> T {
        value
    }

    fn add(&self, state: &mut T, value: T) {
        self.join(state, value);
    }

    fn merge(&self, state: &mut T, other: T) {
        self.join(state, other);
    }
}

/// By an [`Aggregator`].
#[derive(Clone)]
pub(crate) struct WithAggregator<A>(pub(crate) A);

impl<A: Aggregator> Combine<A::Input> for WithAggregator<A> {
    type State = A::State;

    fn start(&self, value: A::Input) -> A::State {
        let mut state = self.0.create();
        self.0.add(&mut state, value);
        state
    }

    fn add(&self, state: &mut A::State, value: A::Input) {
        self.0.add(state, value);
    }

    fn merge(&self, state: &mut A::State, other: A::State) {
        self.0.merge(state, &other);
    }
}

/// Keeps one record.
#[derive(Clone)]
pub(crate) struct KeepFirst;

impl<T: Data> Combine<T> for KeepFirst {
    type State = T;

    fn start(&self, value: T) -> T {
        value
    }

    fn add(&self, _: &mut T, _: T) {}

    fn merge(&self, _: &mut T, _: T) {}
}

/// Keeps so many records.
#[derive(Clone)]
pub(crate) struct FirstRows(pub(crate) usize);

impl<T: Data> Combine<T> for FirstRows {
    type State = Vec<T>;

    fn start(&self, value: T) -> Vec<T> {
        if self.0 == 0 { Vec::new() } else { vec![value] }
    }

    fn add(&self, state: &mut Vec<T>, value: T) {
        if state.len() < self.0 {
            state.push(value);
        }
    }

    fn merge(&self, state: &mut Vec<T>, other: Vec<T>) {
        let room = self.0.saturating_sub(state.len());
        state.extend(other.into_iter().take(room));
    }
}

/// A key and what was made of some of its records.
#[derive(Debug, Clone, Data)]
pub(crate) struct Partial<K, S> {
    pub(crate) key: K,
    pub(crate) state: S,
}

#[derive(Debug, Clone, Data)]
struct HashedPartial<K, S> {
    hash: u64,
    key: K,
    state: S,
}

/// States by key, and about how much memory they take.
struct Table<K, S> {
    entries: HashTable<HashedPartial<K, S>>,
    heap_bytes: usize,
    /// Changes since the heap was counted.
    changes: usize,
}

impl<K: Key, S: Data> Table<K, S> {
    fn new() -> Self {
        Table { entries: HashTable::new(), heap_bytes: 0, changes: 0 }
    }

    fn find(&mut self, hash: u64, key: &K) -> Option<&mut S> {
        let found = self.entries.find_mut(hash, |entry| entry.hash == hash && entry.key == *key)?;
        self.changes += 1;
        Some(&mut found.state)
    }

    fn insert(&mut self, hash: u64, key: K, state: S) {
        self.heap_bytes += key.heap_bytes() + state.heap_bytes();
        self.entries.insert_unique(hash, HashedPartial { hash, key, state }, |entry| entry.hash);
    }

    /// States that own memory may have grown: they are looked at once per as many changes as there are states.
    fn recount(&mut self) {
        if S::HAS_HEAP && self.changes > self.entries.len() {
            self.changes = 0;
            let bytes = self.entries.iter().map(|entry| entry.key.heap_bytes() + entry.state.heap_bytes());
            self.heap_bytes = bytes.sum();
        }
    }

    fn take(&mut self) -> HashTable<HashedPartial<K, S>> {
        (self.heap_bytes, self.changes) = (0, 0);
        std::mem::take(&mut self.entries)
    }
}

impl<K: Key, S: Data> Collects for Table<K, S> {
    fn memory_bytes(&self) -> usize {
        // A byte of control and an eighth of free places come with each entry.
        self.entries.capacity() * (size_of::<HashedPartial<K, S>>() * 8 / 7 + 1) + self.heap_bytes
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Aggregates what an instance has before the exchange.
pub(crate) struct CombineBody<K, T, C: Combine<T>> {
    key_of: KeyOf<T, K>,
    combine: C,
    table: Table<K, C::State>,
    budget_bytes: usize,
}

impl<K: Key, T: Data, C: Combine<T>> CombineBody<K, T, C> {
    pub(crate) fn new(key_of: KeyOf<T, K>, combine: C) -> Self {
        CombineBody { key_of, combine, table: Table::new(), budget_bytes: 0 }
    }
}

impl<K: Key, T: Data, C: Combine<T>> Body for CombineBody<K, T, C> {
    type Output = Partial<K, C::State>;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        // The table doubles when it grows.
        self.budget_bytes = setup.budget_bytes / 3;
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, context: TakeContext<'_, Self::Output>) -> Result<()> {
        let is_full = self.table.memory_bytes() > self.budget_bytes;
        for record in batch.take_rows::<T>()? {
            let key = (self.key_of)(&record.value);
            let hash = key.stable_hash();
            if let Some(state) = self.table.find(hash, &key) {
                self.combine.add(state, record.value);
            } else if is_full {
                context.out.push(Partial { key, state: self.combine.start(record.value) });
            } else {
                self.table.insert(hash, key, self.combine.start(record.value));
            }
        }
        self.table.recount();
        Ok(())
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.table);
    }

    fn finish(&mut self) -> Result<Option<Producer<Self::Output>>> {
        let partials = self.table.take().into_iter();
        Ok(Some(Box::new(FromIterator(partials.map(|entry| Partial { key: entry.key, state: entry.state })))))
    }
}

/// Makes a result of a key and its state.
type Finish<K, S, O> = Arc<dyn Fn(K, S, &mut Out<O>) + Send + Sync>;

/// Aggregates partial states completely.
pub(crate) struct AggregateBody<K, T, C: Combine<T>, O> {
    combine: C,
    finish: Finish<K, C::State, O>,
    table: Table<K, C::State>,
    spool: Option<Spool<HashedPartial<K, C::State>>>,
    table_bytes: usize,
    _value: PhantomData<fn(T)>,
}

impl<K: Key, T: Data, C: Combine<T>, O: Data> AggregateBody<K, T, C, O> {
    pub(crate) fn new(combine: C, finish: impl Fn(K, C::State, &mut Out<O>) + Send + Sync + 'static) -> Self {
        let finish = Arc::new(finish);
        AggregateBody {
            combine,
            finish,
            table: Table::new(),
            spool: None,
            table_bytes: 0,
            _value: PhantomData,
        }
    }
}

fn partial_order<K: Key, S>() -> Order<HashedPartial<K, S>> {
    Arc::new(|one, other| one.hash.cmp(&other.hash).then_with(|| compare_keys(&one.key, &other.key)))
}

impl<K: Key, T: Data, C: Combine<T>, O: Data> Body for AggregateBody<K, T, C, O> {
    type Output = O;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        // Half for the table, which doubles when it grows, half for what is being spilled.
        self.spool = Some(Spool::new(setup.share(2), Some(partial_order())));
        self.table_bytes = setup.budget_bytes / 6;
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, _: TakeContext<'_, O>) -> Result<()> {
        for record in batch.take_rows::<Partial<K, C::State>>()? {
            let Partial { key, state } = record.value;
            let hash = key.stable_hash();
            match self.table.find(hash, &key) {
                Some(known) => self.combine.merge(known, state),
                None => self.table.insert(hash, key, state),
            }
        }
        self.table.recount();
        if self.table.memory_bytes() > self.table_bytes
            && let Some(spool) = &mut self.spool
        {
            self.table.take().into_iter().for_each(|entry| spool.push(entry));
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<()> {
        self.spool.as_mut().map_or(Ok(()), Spool::poll)
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.table);
        visit(&self.spool);
    }

    fn finish(&mut self) -> Result<Option<Producer<O>>> {
        let Some(spool) = &mut self.spool else { return Ok(None) };
        if spool.is_empty() {
            let entries = self.table.take().into_iter();
            return Ok(Some(Box::new(Finished { entries, finish: self.finish.clone() })));
        }
        self.table.take().into_iter().for_each(|entry| spool.push(entry));
        let Some(spooled) = spool.finish()? else { return Ok(None) };
        let (combine, finish) = (self.combine.clone(), self.finish.clone());
        Ok(Some(Box::new(Merging {
            spooled: Some(spooled),
            merge: None,
            combine,
            finish,
            _value: PhantomData,
        })))
    }
}

struct Finished<K, S, O> {
    entries: hashbrown::hash_table::IntoIter<HashedPartial<K, S>>,
    finish: Finish<K, S, O>,
}

impl<K: Key, S: Data, O: Data> Produce<O> for Finished<K, S, O> {
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        while !out.is_full() {
            let Some(entry) = self.entries.next() else { return Ok(false) };
            (self.finish)(entry.key, entry.state, out);
        }
        Ok(true)
    }
}

struct Merging<K, T, C: Combine<T>, O> {
    spooled: Option<Spooled<HashedPartial<K, C::State>>>,
    merge: Option<Merge<HashedPartial<K, C::State>>>,
    combine: C,
    finish: Finish<K, C::State, O>,
    _value: PhantomData<fn(T)>,
}

impl<K: Key, T: Data, C: Combine<T>, O: Data> Produce<O> for Merging<K, T, C, O> {
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        if let Some(spooled) = self.spooled.take() {
            self.merge = Some(spooled.into_merge()?);
        }
        let Some(merge) = &mut self.merge else { return Ok(false) };
        while !out.is_full() {
            let Some(mut entry) = merge.next()? else { return Ok(false) };
            while merge.peek().is_some_and(|next| next.hash == entry.hash && next.key == entry.key) {
                if let Some(next) = merge.next()? {
                    self.combine.merge(&mut entry.state, next.state);
                }
            }
            (self.finish)(entry.key, entry.state, out);
        }
        Ok(true)
    }
}
