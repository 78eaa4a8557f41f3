//! Values with the times at which they were touched.

use super::times::{TIME_FIELD, is_timed, split_times};
use super::{Age, NEVER_STAMPED, is_expired};
use eddyline_core::data::{Field, field_from_value};
use eddyline_core::{Data, DataType, DecodeError, Reader, Value};
use std::collections::BTreeMap;

/// A value and when it was touched.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed<V> {
    /// Milliseconds since the epoch; `i64::MIN` if that is not known.
    pub touched_ms: i64,
    /// The value.
    pub value: V,
}

/// The elements of a list and when they were touched.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedList<V> {
    pub(crate) touched_ms: Vec<i64>,
    pub(crate) values: Vec<V>,
}

/// A state whose parts age.
pub trait Aging: Data {
    /// How much of it has expired, if that is what was touched at `limit` or before.
    fn age(&self, limit: i64) -> Age;

    /// When it was touched last; `i64::MAX` if that is not known of some of it, which does not expire then.
    fn last_touch(&self) -> i64;

    /// Drops what has expired and stamps with `stamp` what has no time yet.
    fn trim(&mut self, limit: i64, stamp: i64);
}

fn schema(name: &str, times: DataType, values: (&str, DataType)) -> DataType {
    let field = |name: &str, data_type| Field { name: name.into(), aliases: Vec::new(), data_type };
    DataType::Struct { name: name.into(), fields: vec![field(TIME_FIELD, times), field(values.0, values.1)] }
}

impl<V: Data> Data for Timed<V> {
    const HAS_HEAP: bool = V::HAS_HEAP;

    fn schema() -> DataType {
        schema("Timed", i64::schema(), ("value", V::schema()))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.touched_ms.encode(out);
        self.value.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Timed { touched_ms: i64::decode(input)?, value: V::decode(input)? })
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        if !is_timed(&value) {
            return Ok(Timed { touched_ms: NEVER_STAMPED, value: V::from_value(value)? });
        }
        let mut fields = value.into_fields()?;
        let touched_ms = field_from_value(&mut fields, TIME_FIELD, &[])?;
        Ok(Timed { touched_ms, value: field_from_value(&mut fields, "value", &[])? })
    }

    fn heap_bytes(&self) -> usize {
        self.value.heap_bytes()
    }
}

impl<V: Data> Aging for Timed<V> {
    fn age(&self, limit: i64) -> Age {
        match self.touched_ms {
            NEVER_STAMPED => Age::Partly,
            at if is_expired(at, limit) => Age::Expired,
            _ => Age::Fresh,
        }
    }

    fn last_touch(&self) -> i64 {
        last_of(std::iter::once(self.touched_ms))
    }

    fn trim(&mut self, _limit: i64, stamp: i64) {
        if self.touched_ms == NEVER_STAMPED {
            self.touched_ms = stamp;
        }
    }
}

/// The last of some touches.
fn last_of(touches: impl Iterator<Item = i64>) -> i64 {
    touches.map(|at| if at == NEVER_STAMPED { i64::MAX } else { at }).max().unwrap_or(i64::MAX)
}

impl<V: Data> TimedList<V> {
    pub(crate) fn new() -> Self {
        TimedList { touched_ms: Vec::new(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, value: V, touched_ms: i64) {
        self.touched_ms.push(touched_ms);
        self.values.push(value);
    }

    /// Stamps all elements.
    pub(crate) fn stamp_all(&mut self, stamp: impl Fn(i64) -> i64) {
        self.touched_ms.iter_mut().for_each(|at| *at = stamp(*at));
    }

    /// Makes the times as many as the values, which were changed at will: all of them count as touched.
    pub(crate) fn rewritten(&mut self, stamp: i64) {
        self.touched_ms.clear();
        self.touched_ms.resize(self.values.len(), stamp);
    }
}

impl<V: Data> Data for TimedList<V> {
    fn schema() -> DataType {
        schema("TimedList", Vec::<i64>::schema(), ("values", Vec::<V>::schema()))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.touched_ms.encode(out);
        self.values.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let list = TimedList { touched_ms: Vec::decode(input)?, values: Vec::decode(input)? };
        if list.touched_ms.len() == list.values.len() {
            return Ok(list);
        }
        let (times, values) = (list.touched_ms.len(), list.values.len());
        Err(DecodeError::new(format!("{times} times for {values} elements of a list")))
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        if !is_timed(&value) {
            let values = Vec::<V>::from_value(value)?;
            return Ok(TimedList { touched_ms: vec![NEVER_STAMPED; values.len()], values });
        }
        let mut fields = value.into_fields()?;
        let mut touched_ms: Vec<i64> = field_from_value(&mut fields, TIME_FIELD, &[])?;
        let values: Vec<V> = field_from_value(&mut fields, "values", &[])?;
        // A migration may have changed how many there are: what is new has no time yet.
        touched_ms.resize(values.len(), NEVER_STAMPED);
        Ok(TimedList { touched_ms, values })
    }

    fn heap_bytes(&self) -> usize {
        self.touched_ms.heap_bytes() + self.values.heap_bytes()
    }
}

impl<V: Data> Aging for TimedList<V> {
    fn age(&self, limit: i64) -> Age {
        let expired = self.touched_ms.iter().filter(|at| is_expired(**at, limit)).count();
        if expired == self.touched_ms.len() {
            Age::Expired
        } else if expired > 0 || self.touched_ms.contains(&NEVER_STAMPED) {
            Age::Partly
        } else {
            Age::Fresh
        }
    }

    fn last_touch(&self) -> i64 {
        last_of(self.touched_ms.iter().copied())
    }

    fn trim(&mut self, limit: i64, stamp: i64) {
        let mut times = self.touched_ms.iter();
        self.values.retain(|_| times.next().is_some_and(|at| !is_expired(*at, limit)));
        self.touched_ms.retain(|at| !is_expired(*at, limit));
        self.stamp_all(|at| if at == NEVER_STAMPED { stamp } else { at });
    }
}

impl<UK: Data + Ord, V: Data> Aging for BTreeMap<UK, Timed<V>> {
    fn age(&self, limit: i64) -> Age {
        let expired = self.values().filter(|entry| entry.age(limit) == Age::Expired).count();
        if expired == self.len() {
            Age::Expired
        } else if expired > 0 || self.values().any(|entry| entry.touched_ms == NEVER_STAMPED) {
            Age::Partly
        } else {
            Age::Fresh
        }
    }

    fn last_touch(&self) -> i64 {
        last_of(self.values().map(|entry| entry.touched_ms))
    }

    fn trim(&mut self, limit: i64, stamp: i64) {
        self.retain(|_, entry| entry.age(limit) != Age::Expired);
        self.values_mut().for_each(|entry| entry.trim(limit, stamp));
    }
}

/// A value of a state whose times, if it has any, are dropped when it is read: for those who look at state from
/// outside and want to see what its owner sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Untimed<V>(pub V);

impl<V: Data> Data for Untimed<V> {
    const HAS_HEAP: bool = V::HAS_HEAP;

    /// A shape that no writer has, so that values always come by [`Data::from_value`].
    fn schema() -> DataType {
        schema("Untimed", DataType::Unit, ("value", V::schema()))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        V::decode(input).map(Untimed)
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let (value, _) = split_times(value)?;
        V::from_value(value).map(Untimed)
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}
