//! A map per key whose entries age one by one.

use super::{Aging, AgingBackend, Timed, Ttl, TtlTable, is_expired};
use eddyline_core::{Data, Key};
use std::collections::BTreeMap;
use std::rc::Rc;

type Entries<UK, V> = BTreeMap<UK, Timed<V>>;

/// Shows entries as long as they live.
pub(crate) struct TtlMap<UK, V> {
    raw: Rc<dyn AgingBackend<Entries<UK, V>>>,
    ttl: Rc<Ttl>,
}

impl<UK, V> Clone for TtlMap<UK, V> {
    fn clone(&self) -> Self {
        TtlMap { raw: self.raw.clone(), ttl: self.ttl.clone() }
    }
}

impl<UK: Data + Ord, V: Data> TtlMap<UK, V> {
    pub(crate) fn new<K: Key>(table: &Rc<TtlTable<K, Entries<UK, V>>>) -> Self {
        TtlMap { raw: table.clone(), ttl: table.ttl() }
    }

    fn is_shown(&self, entry: &Timed<V>, limit: i64) -> bool {
        self.ttl.shows_expired() || !is_expired(entry.touched_ms, limit)
    }

    /// Shows what `key` maps to.
    pub(crate) fn look<R>(&self, key: &UK, see: impl FnOnce(Option<&V>) -> R) -> R {
        let limit = self.ttl.limit();
        let (mut see, mut result) = (Some(see), None);
        self.raw.read(&mut |map| {
            let entry = map.and_then(|map| map.get(key));
            let as_it_is = entry.is_none_or(|entry| {
                !is_expired(entry.touched_ms, limit) && !self.ttl.stamps_read(entry.touched_ms)
            });
            if as_it_is {
                result = see.take().map(|see| see(entry.map(|entry| &entry.value)));
            }
        });
        if let Some(see) = see.take() {
            result = Some(self.change(|map| match map.get_mut(key) {
                Some(entry) if is_expired(entry.touched_ms, limit) => {
                    let expired = map.remove(key).filter(|_| self.ttl.shows_expired());
                    see(expired.as_ref().map(|entry| &entry.value))
                }
                Some(entry) => {
                    entry.touched_ms = self.ttl.restamp(entry.touched_ms);
                    see(Some(&entry.value))
                }
                None => see(None),
            }));
        }
        self.raw.after_access();
        result.expect("invariant: an entry is shown once")
    }

    /// Maps `key` to `value`; answers what it mapped to.
    pub(crate) fn insert(&self, key: UK, value: V) -> Option<V> {
        let limit = self.ttl.limit();
        let before = self.change(|map| {
            let known = map.get(&key).map(|entry| entry.touched_ms);
            let touched_ms = known.map_or_else(|| self.ttl.stamp(), |at| self.ttl.restamp(at));
            map.insert(key, Timed { touched_ms, value })
        });
        self.raw.after_access();
        before.filter(|entry| self.is_shown(entry, limit)).map(|entry| entry.value)
    }

    /// Takes `key` out.
    pub(crate) fn remove(&self, key: &UK) -> Option<V> {
        let limit = self.ttl.limit();
        let mut known = false;
        self.raw.read(&mut |map| known = map.is_some_and(|map| map.contains_key(key)));
        let removed = if known { self.change(|map| map.remove(key)) } else { None };
        self.raw.after_access();
        removed.filter(|entry| self.is_shown(entry, limit)).map(|entry| entry.value)
    }

    /// Shows a copy of the entries that live; none if there is none.
    pub(crate) fn with<R>(&self, see: impl FnOnce(Option<&BTreeMap<UK, V>>) -> R) -> R {
        let limit = self.ttl.limit();
        let (mut shown, mut changes) = (BTreeMap::new(), false);
        self.raw.read(&mut |map| {
            for (key, entry) in map.into_iter().flatten() {
                if self.is_shown(entry, limit) {
                    shown.insert(key.clone(), entry.value.clone());
                }
                changes |= is_expired(entry.touched_ms, limit) || self.ttl.stamps_read(entry.touched_ms);
            }
        });
        if changes {
            self.change(|map| {
                map.trim(limit, self.ttl.stamp());
                for entry in map.values_mut().filter(|entry| self.ttl.stamps_read(entry.touched_ms)) {
                    entry.touched_ms = self.ttl.restamp(entry.touched_ms);
                }
            });
        }
        self.raw.after_access();
        see(Some(&shown).filter(|shown| !shown.is_empty()))
    }

    /// Lets a copy of the entries that live be changed; all that are there afterwards count as written.
    pub(crate) fn with_mut<R>(&self, change: impl FnOnce(&mut BTreeMap<UK, V>) -> R) -> R {
        let limit = self.ttl.limit();
        let result = self.change(|map| {
            let living = std::mem::take(map).into_iter().filter(|(_, entry)| self.is_shown(entry, limit));
            let mut values: BTreeMap<UK, V> = living.map(|(key, entry)| (key, entry.value)).collect();
            let result = change(&mut values);
            let touched_ms = self.ttl.stamp();
            *map = values.into_iter().map(|(key, value)| (key, Timed { touched_ms, value })).collect();
            result
        });
        self.raw.after_access();
        result
    }

    /// Whether no entry lives.
    pub(crate) fn is_empty(&self) -> bool {
        let limit = self.ttl.limit();
        let mut is_empty = true;
        self.raw.read(&mut |map| {
            is_empty = map.is_none_or(|map| !map.values().any(|entry| self.is_shown(entry, limit)));
        });
        self.raw.after_access();
        is_empty
    }

    /// Forgets all entries.
    pub(crate) fn clear(&self) {
        self.raw.take();
    }

    /// Changes the map; one that is empty then is forgotten.
    fn change<R>(&self, change: impl FnOnce(&mut Entries<UK, V>) -> R) -> R {
        let (mut change, mut result, mut is_empty) = (Some(change), None, false);
        self.raw.change(&mut BTreeMap::new, &mut |map| {
            result = change.take().map(|change| change(map));
            is_empty = map.is_empty();
        });
        if is_empty {
            self.raw.take();
        }
        result.expect("invariant: a map is changed once")
    }
}
