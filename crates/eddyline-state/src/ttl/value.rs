//! A value per key that ages as a whole; reducing and aggregating states are built on it.

use super::{AgingBackend, Timed, Ttl, TtlTable, is_expired};
use crate::keyed_state::ValueBackend;
use eddyline_core::{Data, Key};
use std::cell::RefCell;
use std::rc::Rc;

/// Shows values as long as they live.
pub(crate) struct TtlValue<V> {
    raw: Rc<dyn AgingBackend<Timed<V>>>,
    ttl: Rc<Ttl>,
}

/// What a read has to do beside showing the value.
enum Found {
    AsItIs,
    ToStamp,
    Expired,
}

impl<V: Data> TtlValue<V> {
    pub(crate) fn new<K: Key>(table: &Rc<TtlTable<K, Timed<V>>>) -> Self {
        TtlValue { raw: table.clone(), ttl: table.ttl() }
    }
}

impl<V: Data> ValueBackend<V> for TtlValue<V> {
    fn read(&self, see: &mut dyn FnMut(Option<&V>)) {
        let limit = self.ttl.limit();
        let mut found = Found::AsItIs;
        self.raw.read(&mut |timed| match timed {
            None => see(None),
            Some(timed) if is_expired(timed.touched_ms, limit) => found = Found::Expired,
            Some(timed) if self.ttl.stamps_read(timed.touched_ms) => found = Found::ToStamp,
            Some(timed) => see(Some(&timed.value)),
        });
        match found {
            Found::AsItIs => {}
            Found::ToStamp => {
                let make = &mut || unreachable!("invariant: the value was there a moment ago");
                self.raw.change(make, &mut |timed| {
                    timed.touched_ms = self.ttl.restamp(timed.touched_ms);
                    see(Some(&timed.value));
                });
            }
            Found::Expired => {
                let expired = self.raw.take().filter(|_| self.ttl.shows_expired());
                see(expired.as_ref().map(|timed| &timed.value));
            }
        }
        self.raw.after_access();
    }

    fn change(&self, make: &mut dyn FnMut() -> V, change: &mut dyn FnMut(&mut V)) {
        let limit = self.ttl.limit();
        // Made either because there is no value or because the one there is has expired.
        let make = RefCell::new(make);
        let create = &mut || Timed { touched_ms: self.ttl.stamp(), value: (make.borrow_mut())() };
        self.raw.change(create, &mut |timed| {
            if is_expired(timed.touched_ms, limit) && !self.ttl.shows_expired() {
                timed.value = (make.borrow_mut())();
            }
            timed.touched_ms = self.ttl.restamp(timed.touched_ms);
            change(&mut timed.value);
        });
        self.raw.after_access();
    }

    fn take(&self) -> Option<V> {
        let limit = self.ttl.limit();
        let shown = |timed: &Timed<V>| self.ttl.shows_expired() || !is_expired(timed.touched_ms, limit);
        let taken = self.raw.take().filter(shown);
        self.raw.after_access();
        taken.map(|timed| timed.value)
    }
}
