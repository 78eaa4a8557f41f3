//! Whole groups: the records of a key, one after the other.
//!
//! Records are sorted by the hash of their key, then (as different keys may have one hash) by the key's encoding, so
//! keys need no order of their own.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use crate::dataset::Rows;
use crate::function::Collector;
use crate::operators::KeyOf;
use crate::spill::{Merge, Order, SpillSetup, SpillStorage, Spool, Spooled, lost_work};
use eddyline_core::{Batch, Data, Error, EventTime, Key, Result, data};
use eddyline_runtime::InstanceInfo;
use std::cmp::Ordering;
use std::sync::Arc;

/// A record and the hash of its key.
#[derive(Debug, Clone, Data)]
pub(crate) struct Hashed<T> {
    /// The key's stable hash.
    pub(crate) hash: u64,
    /// The record.
    pub(crate) value: T,
}

/// Sorts keys that have the same hash.
pub(super) fn compare_keys<K: Key>(one: &K, other: &K) -> Ordering {
    if one == other { Ordering::Equal } else { data::to_bytes(one).cmp(&data::to_bytes(other)) }
}

/// Sorts records so that those of a key stand together, in the order `within`.
pub(crate) fn group_order<K: Key, T: Data>(
    key_of: &KeyOf<T, K>,
    within: Option<Order<T>>,
) -> Order<Hashed<T>> {
    let key_of = key_of.clone();
    Arc::new(move |one, other| {
        let by_hash = one.hash.cmp(&other.hash);
        by_hash
            .then_with(|| compare_keys(&key_of(&one.value), &key_of(&other.value)))
            .then_with(|| within.as_ref().map_or(Ordering::Equal, |order| order(&one.value, &other.value)))
    })
}

/// Groups that were collected, or are being read.
pub(crate) struct Groups<K, T> {
    key_of: KeyOf<T, K>,
    spooled: Option<Spooled<Hashed<T>>>,
    merge: Option<Merge<Hashed<T>>>,
    storage: Arc<dyn SpillStorage>,
    spare_bytes: usize,
}

impl<K: Key, T: Data> Groups<K, T> {
    pub(crate) fn new(key_of: KeyOf<T, K>, spooled: Spooled<Hashed<T>>) -> Self {
        let (storage, spare_bytes) = (spooled.storage(), spooled.spare_bytes());
        Groups { key_of, spooled: Some(spooled), merge: None, storage, spare_bytes }
    }

    /// Where more may be spilled.
    pub(super) fn storage(&self) -> Arc<dyn SpillStorage> {
        self.storage.clone()
    }

    /// The memory that records of a group may take.
    pub(super) fn spare_bytes(&self) -> usize {
        self.spare_bytes
    }

    /// Passes the records of that key by.
    pub(super) fn skip(&mut self, hash: u64, key: &K) -> Result<()> {
        while self.next_of(hash, key)?.is_some() {}
        Ok(())
    }

    fn merge(&mut self) -> Result<&mut Merge<Hashed<T>>> {
        if let Some(spooled) = self.spooled.take() {
            self.merge = Some(spooled.into_merge()?);
        }
        self.merge.as_mut().ok_or_else(lost_work)
    }

    /// The next group's key and its hash.
    pub(crate) fn next_key(&mut self) -> Result<Option<(u64, K)>> {
        let key_of = self.key_of.clone();
        Ok(self.merge()?.peek().map(|row| (row.hash, key_of(&row.value))))
    }

    /// The next record, if it is of that key.
    pub(crate) fn next_of(&mut self, hash: u64, key: &K) -> Result<Option<T>> {
        let Some(merge) = &mut self.merge else { return Ok(None) };
        let belongs = merge.peek().is_some_and(|row| row.hash == hash && (self.key_of)(&row.value) == *key);
        Ok(if belongs { merge.next()?.map(|row| row.value) } else { None })
    }

    /// Calls `function` with the records of that key; those that it leaves are skipped.
    pub(crate) fn with_rows<R>(
        &mut self,
        hash: u64,
        key: &K,
        function: impl FnOnce(Rows<'_, T>) -> R,
    ) -> Result<R> {
        let mut failure: Option<Error> = None;
        let mut next = || match self.next_of(hash, key) {
            Ok(row) => row,
            Err(error) => {
                failure.get_or_insert(error);
                None
            }
        };
        let result = function(Rows::new(&mut next));
        while next().is_some() {}
        failure.map_or(Ok(result), Err)
    }
}

/// Calls a function for each group.
pub(crate) struct GroupBody<K, T, U, F> {
    key_of: KeyOf<T, K>,
    within: Option<Order<T>>,
    function: F,
    spool: Option<Spool<Hashed<T>>>,
    _output: std::marker::PhantomData<fn() -> U>,
}

impl<K, T: Data, U, F> GroupBody<K, T, U, F> {
    pub(crate) fn new(key_of: KeyOf<T, K>, within: Option<Order<T>>, function: F) -> Self {
        GroupBody { key_of, within, function, spool: None, _output: std::marker::PhantomData }
    }
}

impl<K, T, U, F> Body for GroupBody<K, T, U, F>
where
    K: Key,
    T: Data,
    U: Data,
    F: FnMut(&K, Rows<'_, T>, &mut Collector<U>) + Clone + Send + 'static,
{
    type Output = U;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.spool = Some(Spool::new(setup.clone(), Some(group_order(&self.key_of, self.within.clone()))));
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, _: TakeContext<'_, U>) -> Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        for record in batch.take_rows::<T>()? {
            let hash = (self.key_of)(&record.value).stable_hash();
            spool.push(Hashed { hash, value: record.value });
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<()> {
        self.spool.as_mut().map_or(Ok(()), Spool::poll)
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.spool);
    }

    fn finish(&mut self) -> Result<Option<Producer<U>>> {
        let Some(spool) = &mut self.spool else { return Ok(None) };
        let Some(spooled) = spool.finish()? else { return Ok(None) };
        let groups = Groups::new(self.key_of.clone(), spooled);
        let (function, collector) = (self.function.clone(), Collector::at(EventTime::MIN));
        Ok(Some(Box::new(GroupCalls { groups, function, collector })))
    }
}

struct GroupCalls<K, T, U, F> {
    groups: Groups<K, T>,
    function: F,
    collector: Collector<U>,
}

impl<K, T, U, F> Produce<U> for GroupCalls<K, T, U, F>
where
    K: Key,
    T: Data,
    U: Data,
    F: FnMut(&K, Rows<'_, T>, &mut Collector<U>) + Send,
{
    fn produce(&mut self, out: &mut Out<U>) -> Result<bool> {
        while !out.is_full() {
            let Some((hash, key)) = self.groups.next_key()? else { return Ok(false) };
            let (function, collector) = (&mut self.function, &mut self.collector);
            self.groups.with_rows(hash, &key, |rows| function(&key, rows, collector))?;
            self.collector.take_rows().into_iter().for_each(|record| out.push(record.value));
        }
        Ok(true)
    }
}
