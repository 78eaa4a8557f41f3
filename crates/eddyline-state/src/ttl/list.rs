//! A list per key whose elements age one by one.

use super::{Age, Aging, AgingBackend, TimedList, Ttl, TtlTable};
use eddyline_core::{Data, Key};
use std::rc::Rc;

/// Shows elements as long as they live.
pub(crate) struct TtlList<V> {
    raw: Rc<dyn AgingBackend<TimedList<V>>>,
    ttl: Rc<Ttl>,
}

impl<V> Clone for TtlList<V> {
    fn clone(&self) -> Self {
        TtlList { raw: self.raw.clone(), ttl: self.ttl.clone() }
    }
}

impl<V: Data> TtlList<V> {
    pub(crate) fn new<K: Key>(table: &Rc<TtlTable<K, TimedList<V>>>) -> Self {
        TtlList { raw: table.clone(), ttl: table.ttl() }
    }

    /// Appends; what was there before does not live longer for it.
    pub(crate) fn add_all(&self, values: &mut dyn Iterator<Item = V>) {
        let stamp = self.ttl.stamp();
        self.change(|list| values.for_each(|value| list.push(value, stamp)));
        self.raw.after_access();
    }

    /// Shows the elements that live, and expired ones once more if that is wanted.
    pub(crate) fn with<R>(&self, see: impl FnOnce(&[V]) -> R) -> R {
        let limit = self.ttl.limit();
        let (mut see, mut result) = (Some(see), None);
        self.raw.read(&mut |list| {
            let as_it_is = list.is_none_or(|list| {
                let touched = |at: &i64| self.ttl.stamps_read(*at);
                list.age(limit) == Age::Fresh && !list.touched_ms.iter().any(touched)
            });
            if as_it_is {
                let values = list.map_or(&[][..], |list| &list.values);
                result = see.take().map(|see| see(values));
            }
        });
        if let Some(see) = see.take() {
            result = Some(self.change(|list| {
                let shows_expired = self.ttl.shows_expired();
                if !shows_expired {
                    list.trim(limit, self.ttl.stamp());
                }
                let result = see(&list.values);
                list.trim(limit, self.ttl.stamp());
                list.stamp_all(|at| if self.ttl.stamps_read(at) { self.ttl.restamp(at) } else { at });
                result
            }));
        }
        self.raw.after_access();
        result.expect("invariant: a list is shown once")
    }

    /// Lets the elements that live be changed; all that are there afterwards count as written.
    pub(crate) fn with_mut<R>(&self, change: impl FnOnce(&mut Vec<V>) -> R) -> R {
        let limit = self.ttl.limit();
        let result = self.change(|list| {
            if !self.ttl.shows_expired() {
                list.trim(limit, self.ttl.stamp());
            }
            let result = change(&mut list.values);
            list.rewritten(self.ttl.stamp());
            result
        });
        self.raw.after_access();
        result
    }

    /// Takes the elements that live.
    pub(crate) fn take(&self) -> Vec<V> {
        let limit = self.ttl.limit();
        let taken = self.raw.take();
        self.raw.after_access();
        taken.map_or(Vec::new(), |mut list| {
            if !self.ttl.shows_expired() {
                list.trim(limit, self.ttl.stamp());
            }
            list.values
        })
    }

    /// Changes the list; one that is empty then is forgotten.
    fn change<R>(&self, change: impl FnOnce(&mut TimedList<V>) -> R) -> R {
        let (mut change, mut result, mut is_empty) = (Some(change), None, false);
        self.raw.change(&mut TimedList::new, &mut |list| {
            result = change.take().map(|change| change(list));
            is_empty = list.values.is_empty();
        });
        if is_empty {
            self.raw.take();
        }
        result.expect("invariant: a list is changed once")
    }
}
