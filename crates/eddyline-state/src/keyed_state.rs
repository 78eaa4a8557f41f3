//! What a user's function sees of keyed state: the part that belongs to the current key.
//!
//! The runtime sets the key of the record in a [`KeyContext`] before it calls the function; the handles look there.
//! A handle knows its values' type alone: what keys are like, and where the values are kept, is behind
//! [`ValueBackend`], which a table in memory implements and a store on disk can.

use crate::table::KeyedTable;
use crate::ttl::{Timed, TimedList, TtlList, TtlMap, TtlTable, TtlValue};
use eddyline_core::{Data, Key};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The key of the record that is being processed, shared by all states of an operator instance.
pub struct KeyContext<K> {
    current: Rc<RefCell<Option<(u64, K)>>>,
}

impl<K> Clone for KeyContext<K> {
    fn clone(&self) -> Self {
        KeyContext { current: self.current.clone() }
    }
}

impl<K: Key> Default for KeyContext<K> {
    fn default() -> Self {
        KeyContext::new()
    }
}

impl<K: Key> KeyContext<K> {
    /// A context without a key.
    pub fn new() -> Self {
        KeyContext { current: Rc::new(RefCell::new(None)) }
    }

    /// Makes `key`, whose stable hash is `hash`, the current one.
    #[inline]
    pub fn set(&self, hash: u64, key: &K) {
        match &mut *self.current.borrow_mut() {
            Some((known, current)) if *known == hash && current == key => {}
            Some((known, current)) => {
                *known = hash;
                current.clone_from(key);
            }
            none => *none = Some((hash, key.clone())),
        }
    }

    /// Shows the current key and its hash.
    ///
    /// # Panics
    /// If there is none: states are only used while a record or a timer is processed.
    #[inline]
    pub fn with<R>(&self, see: impl FnOnce(u64, &K) -> R) -> R {
        let current = self.current.borrow();
        let (hash, key) = current.as_ref().expect("invariant: keyed state is used while a key is current");
        see(*hash, key)
    }
}

/// Where the values of the current key are kept.
pub trait ValueBackend<V> {
    /// Shows the value of the current key.
    fn read(&self, see: &mut dyn FnMut(Option<&V>));
    /// Lets the value of the current key be changed, after making it if there is none.
    fn change(&self, make: &mut dyn FnMut() -> V, change: &mut dyn FnMut(&mut V));
    /// Takes the value of the current key out.
    fn take(&self) -> Option<V>;
}

/// Values in a table in memory.
struct TableBackend<K, V> {
    context: KeyContext<K>,
    table: Rc<RefCell<KeyedTable<K, V>>>,
}

impl<K: Key, V: Data> ValueBackend<V> for TableBackend<K, V> {
    fn read(&self, see: &mut dyn FnMut(Option<&V>)) {
        let table = self.table.borrow();
        self.context.with(|hash, key| see(table.get(hash, key)));
    }

    fn change(&self, make: &mut dyn FnMut() -> V, change: &mut dyn FnMut(&mut V)) {
        let mut table = self.table.borrow_mut();
        self.context.with(|hash, key| change(table.entry_or_insert_with(hash, key, make)));
    }

    fn take(&self) -> Option<V> {
        let mut table = self.table.borrow_mut();
        self.context.with(|hash, key| table.remove(hash, key))
    }
}

/// One value per key. Clones are handles to the same state.
pub struct ValueState<V> {
    backend: Rc<dyn ValueBackend<V>>,
}

impl<V> Clone for ValueState<V> {
    fn clone(&self) -> Self {
        ValueState { backend: self.backend.clone() }
    }
}

impl<V: Data> ValueState<V> {
    /// A handle to values kept by `backend`.
    pub fn new(backend: Rc<dyn ValueBackend<V>>) -> Self {
        ValueState { backend }
    }

    /// A handle to the values of `table`; the runtime keeps the table for snapshots.
    pub fn in_table<K: Key>(context: &KeyContext<K>, table: &Rc<RefCell<KeyedTable<K, V>>>) -> Self {
        ValueState::new(Rc::new(TableBackend { context: context.clone(), table: table.clone() }))
    }

    /// A handle to values that age.
    pub fn with_ttl<K: Key>(table: &Rc<TtlTable<K, Timed<V>>>) -> Self {
        ValueState::new(Rc::new(TtlValue::new(table)))
    }

    /// A copy of the current key's value.
    pub fn get(&self) -> Option<V> {
        self.with(|value| value.cloned())
    }

    /// Shows the current key's value without copying it. `see` must not use this state itself.
    pub fn with<R>(&self, see: impl FnOnce(Option<&V>) -> R) -> R {
        let (mut see, mut result) = (Some(see), None);
        self.backend.read(&mut |value| result = see.take().map(|see| see(value)));
        result.expect("invariant: a backend shows a value once")
    }

    /// Sets the current key's value.
    pub fn update(&self, value: V) {
        // Either closure may be the one that gets the value.
        let value = RefCell::new(Some(value));
        let make = &mut || value.take().expect("invariant: a backend makes a value once");
        self.backend.change(make, &mut |place| {
            if let Some(value) = value.take() {
                *place = value;
            }
        });
    }

    /// Lets the current key's value be changed in place, after making it if there is none. `change` must not use
    /// this state itself.
    pub fn with_mut<R>(&self, mut make: impl FnMut() -> V, change: impl FnOnce(&mut V) -> R) -> R {
        let (mut change, mut result) = (Some(change), None);
        self.backend.change(&mut make, &mut |value| result = change.take().map(|change| change(value)));
        result.expect("invariant: a backend shows a value once")
    }

    /// Takes the current key's value out.
    pub fn take(&self) -> Option<V> {
        self.backend.take()
    }

    /// Forgets the current key's value.
    pub fn clear(&self) {
        self.backend.take();
    }
}

/// A list per key. With a time to live, each element has one of its own.
#[derive(Clone)]
pub struct ListState<V> {
    list: Lists<V>,
}

#[derive(Clone)]
enum Lists<V> {
    Plain(ValueState<Vec<V>>),
    Aging(TtlList<V>),
}

impl<V: Data> ListState<V> {
    /// A list on top of a state that holds vectors.
    pub fn new(list: ValueState<Vec<V>>) -> Self {
        ListState { list: Lists::Plain(list) }
    }

    /// A list whose elements age.
    pub fn with_ttl<K: Key>(table: &Rc<TtlTable<K, TimedList<V>>>) -> Self {
        ListState { list: Lists::Aging(TtlList::new(table)) }
    }

    /// Appends to the current key's list.
    pub fn add(&self, value: V) {
        match &self.list {
            Lists::Plain(list) => list.with_mut(Vec::new, |list| list.push(value)),
            Lists::Aging(list) => list.add_all(&mut std::iter::once(value)),
        }
    }

    /// Appends several values to the current key's list.
    pub fn add_all(&self, values: impl IntoIterator<Item = V>) {
        match &self.list {
            Lists::Plain(list) => list.with_mut(Vec::new, |list| list.extend(values)),
            Lists::Aging(list) => list.add_all(&mut values.into_iter()),
        }
    }

    /// A copy of the current key's list; empty if there is none.
    pub fn get(&self) -> Vec<V> {
        self.with(<[V]>::to_vec)
    }

    /// Shows the current key's list without copying it.
    pub fn with<R>(&self, see: impl FnOnce(&[V]) -> R) -> R {
        match &self.list {
            Lists::Plain(list) => list.with(|list| see(list.map_or(&[], Vec::as_slice))),
            Lists::Aging(list) => list.with(see),
        }
    }

    /// Lets the current key's list be changed in place. With a time to live, all elements that are there afterwards
    /// count as written.
    pub fn with_mut<R>(&self, change: impl FnOnce(&mut Vec<V>) -> R) -> R {
        match &self.list {
            Lists::Plain(list) => list.with_mut(Vec::new, change),
            Lists::Aging(list) => list.with_mut(change),
        }
    }

    /// Replaces the current key's list.
    pub fn update(&self, values: Vec<V>) {
        match &self.list {
            Lists::Plain(list) => list.update(values),
            Lists::Aging(list) => list.with_mut(|list| *list = values),
        }
    }

    /// Takes the current key's list out.
    pub fn take(&self) -> Vec<V> {
        match &self.list {
            Lists::Plain(list) => list.take().unwrap_or_default(),
            Lists::Aging(list) => list.take(),
        }
    }

    /// Forgets the current key's list.
    pub fn clear(&self) {
        self.take();
    }
}

/// A map per key, in the order of the map's own keys. The map of a key is written to snapshots as a whole. With a
/// time to live, each entry has one of its own.
#[derive(Clone)]
pub struct MapState<UK, V> {
    map: Maps<UK, V>,
}

#[derive(Clone)]
enum Maps<UK, V> {
    Plain(ValueState<BTreeMap<UK, V>>),
    Aging(TtlMap<UK, V>),
}

impl<UK: Data + Ord, V: Data> MapState<UK, V> {
    /// A map on top of a state that holds maps.
    pub fn new(map: ValueState<BTreeMap<UK, V>>) -> Self {
        MapState { map: Maps::Plain(map) }
    }

    /// A map whose entries age.
    pub fn with_ttl<K: Key>(table: &Rc<TtlTable<K, BTreeMap<UK, Timed<V>>>>) -> Self {
        MapState { map: Maps::Aging(TtlMap::new(table)) }
    }

    /// A copy of what `key` maps to for the current key.
    pub fn get(&self, key: &UK) -> Option<V> {
        match &self.map {
            Maps::Plain(map) => map.with(|map| map.and_then(|map| map.get(key)).cloned()),
            Maps::Aging(map) => map.look(key, |value| value.cloned()),
        }
    }

    /// Whether `key` maps to something for the current key.
    pub fn contains(&self, key: &UK) -> bool {
        match &self.map {
            Maps::Plain(map) => map.with(|map| map.is_some_and(|map| map.contains_key(key))),
            Maps::Aging(map) => map.look(key, |value| value.is_some()),
        }
    }

    /// Maps `key` to `value` and returns what it mapped to before.
    pub fn insert(&self, key: UK, value: V) -> Option<V> {
        match &self.map {
            Maps::Plain(map) => map.with_mut(BTreeMap::new, |map| map.insert(key, value)),
            Maps::Aging(map) => map.insert(key, value),
        }
    }

    /// Takes `key` out of the current key's map; a map that becomes empty is forgotten.
    pub fn remove(&self, key: &UK) -> Option<V> {
        let map = match &self.map {
            Maps::Plain(map) => map,
            Maps::Aging(map) => return map.remove(key),
        };
        if !self.contains(key) {
            return None;
        }
        let (removed, is_empty) = map.with_mut(BTreeMap::new, |map| (map.remove(key), map.is_empty()));
        if is_empty {
            map.clear();
        }
        removed
    }

    /// Shows the current key's map, if there is one; without copying it, unless it has a time to live.
    pub fn with<R>(&self, see: impl FnOnce(Option<&BTreeMap<UK, V>>) -> R) -> R {
        match &self.map {
            Maps::Plain(map) => map.with(see),
            Maps::Aging(map) => map.with(see),
        }
    }

    /// Lets the current key's map be changed in place. With a time to live, a copy is changed, and all entries that
    /// are there afterwards count as written.
    pub fn with_mut<R>(&self, change: impl FnOnce(&mut BTreeMap<UK, V>) -> R) -> R {
        match &self.map {
            Maps::Plain(map) => map.with_mut(BTreeMap::new, change),
            Maps::Aging(map) => map.with_mut(change),
        }
    }

    /// Whether the current key's map has no entry.
    pub fn is_empty(&self) -> bool {
        match &self.map {
            Maps::Plain(map) => map.with(|map| map.is_none_or(BTreeMap::is_empty)),
            Maps::Aging(map) => map.is_empty(),
        }
    }

    /// Forgets the current key's map.
    pub fn clear(&self) {
        match &self.map {
            Maps::Plain(map) => map.clear(),
            Maps::Aging(map) => map.clear(),
        }
    }
}

/// How two values become one.
type Reduce<V> = dyn Fn(&V, V) -> V;

/// One value per key, into which further ones are merged.
#[derive(Clone)]
pub struct ReducingState<V> {
    value: ValueState<V>,
    reduce: Rc<Reduce<V>>,
}

impl<V: Data> ReducingState<V> {
    /// A reducing state on top of a value; `reduce` is associative.
    pub fn new(value: ValueState<V>, reduce: impl Fn(&V, V) -> V + 'static) -> Self {
        ReducingState { value, reduce: Rc::new(reduce) }
    }

    /// Merges `value` into the current key's value.
    pub fn add(&self, value: V) {
        let merged = self.value.with(|before| match before {
            Some(before) => (self.reduce)(before, value),
            None => value,
        });
        self.value.update(merged);
    }

    /// A copy of the current key's value.
    pub fn get(&self) -> Option<V> {
        self.value.get()
    }

    /// Forgets the current key's value.
    pub fn clear(&self) {
        self.value.clear();
    }
}

/// How inputs become an intermediate state and that becomes an output.
pub trait Accumulator: 'static {
    /// What is added.
    type Input;
    /// What is kept.
    type State: Data;
    /// What is asked for.
    type Output;

    /// The state before anything was added.
    fn create(&self) -> Self::State;
    /// Adds an input.
    fn add(&self, state: &mut Self::State, input: Self::Input);
    /// Adds all that `other` had been added.
    fn merge(&self, state: &mut Self::State, other: Self::State);
    /// The output for what was added so far.
    fn result(&self, state: &Self::State) -> Self::Output;
}

/// One accumulator per key.
pub struct AggregatingState<A: Accumulator> {
    state: ValueState<A::State>,
    accumulator: Rc<A>,
}

impl<A: Accumulator> Clone for AggregatingState<A> {
    fn clone(&self) -> Self {
        AggregatingState { state: self.state.clone(), accumulator: self.accumulator.clone() }
    }
}

impl<A: Accumulator> AggregatingState<A> {
    /// An aggregating state on top of a value.
    pub fn new(state: ValueState<A::State>, accumulator: A) -> Self {
        AggregatingState { state, accumulator: Rc::new(accumulator) }
    }

    /// Adds an input for the current key.
    pub fn add(&self, input: A::Input) {
        self.state.with_mut(|| self.accumulator.create(), |state| self.accumulator.add(state, input));
    }

    /// The output for the current key, if anything was added.
    pub fn get(&self) -> Option<A::Output> {
        self.state.with(|state| state.map(|state| self.accumulator.result(state)))
    }

    /// Forgets what was added for the current key.
    pub fn clear(&self) {
        self.state.clear();
    }
}

#[cfg(test)]
mod tests;
