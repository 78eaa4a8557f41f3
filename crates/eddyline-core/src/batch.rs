//! What travels on an edge: batches of records, their type erased.
//!
//! A [`Batch`] is opened by the operator that receives it, which knows the type of its edge. Every batch carries
//! the creation time of its oldest record (for latency) and, while it is between operators, a
//! [`Reservation`] of its bytes.

use crate::account::Reservation;
use crate::data::{Data, DecodeError, Reader, capacity_for};
use crate::error::{Error, Result};
use crate::time::EventTime;
use std::any::Any;

/// A value and the event time it belongs to.
///
/// # Examples
/// ```
/// use eddyline_core::Record;
///
/// let record = Record::new("click", 1_700_000_000_000);
/// assert_eq!((record.value, record.timestamp), ("click", 1_700_000_000_000));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<T> {
    /// The value.
    pub value: T,
    /// Milliseconds since the epoch; `i64::MIN` if the record has no event time.
    pub timestamp: EventTime,
}

impl<T> Record<T> {
    /// A record of `value` at `timestamp`.
    pub fn new(value: T, timestamp: EventTime) -> Self {
        Record { value, timestamp }
    }
}

/// A vector of records whose type is known to its producer and its consumer alone.
pub trait AnyRows: Send {
    /// The number of records.
    fn rows(&self) -> usize;
    /// The bytes the records occupy, heap included.
    fn memory_bytes(&self) -> usize;
    /// Appends the encoded records.
    fn encode(&self, out: &mut Vec<u8>);
    /// A deep copy.
    fn clone_rows(&self) -> Box<dyn AnyRows>;
    /// Takes the first `rows` records off.
    fn split_front(&mut self, rows: usize) -> Box<dyn AnyRows>;
    /// The least and the greatest event time, if there are records.
    fn timestamp_bounds(&self) -> Option<(EventTime, EventTime)>;
    /// For downcasting to `Vec<Record<T>>`.
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// For downcasting to `Vec<Record<T>>`.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Data> AnyRows for Vec<Record<T>> {
    fn rows(&self) -> usize {
        self.len()
    }

    fn memory_bytes(&self) -> usize {
        let flat = self.len() * size_of::<Record<T>>();
        if T::HAS_HEAP {
            flat + self.iter().map(|record| record.value.heap_bytes()).sum::<usize>()
        } else {
            flat
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for record in self {
            out.extend_from_slice(&record.timestamp.to_le_bytes());
            record.value.encode(out);
        }
    }

    fn clone_rows(&self) -> Box<dyn AnyRows> {
        Box::new(self.clone())
    }

    fn timestamp_bounds(&self) -> Option<(EventTime, EventTime)> {
        let first = self.first()?.timestamp;
        Some(self.iter().fold((first, first), |(least, most), record| {
            (least.min(record.timestamp), most.max(record.timestamp))
        }))
    }

    fn split_front(&mut self, rows: usize) -> Box<dyn AnyRows> {
        let rest = self.split_off(rows.min(self.len()));
        Box::new(std::mem::replace(self, rest))
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Decodes `count` rows that [`AnyRows::encode`] wrote; one instance of this function per row type.
pub type DecodeRows = fn(count: usize, input: &mut Reader<'_>) -> Result<Box<dyn AnyRows>, DecodeError>;

/// The [`DecodeRows`] of row type `T`.
///
/// # Errors
/// If the bytes are not `count` such rows.
pub fn decode_rows<T: Data>(count: usize, input: &mut Reader<'_>) -> Result<Box<dyn AnyRows>, DecodeError> {
    let mut rows: Vec<Record<T>> = Vec::with_capacity(capacity_for::<Record<T>>(count, input.remaining()));
    for _ in 0..count {
        let timestamp = i64::from_le_bytes(input.array()?);
        rows.push(Record { value: T::decode(input)?, timestamp });
    }
    Ok(Box::new(rows))
}

/// The records of a batch.
#[derive(Default)]
pub enum Body {
    /// No records.
    #[default]
    Empty,
    /// Typed rows.
    Rows(Box<dyn AnyRows>),
    /// A columnar batch.
    #[cfg(feature = "arrow")]
    Arrow(arrow_array::RecordBatch),
}

/// Records that travel together, at one tick.
///
/// # Examples
/// ```
/// use eddyline_core::{Batch, Record};
///
/// let mut batch = Batch::from_rows(vec![Record::new(1u64, 10), Record::new(2, 20)], 0);
/// assert_eq!(batch.len(), 2);
/// assert_eq!(batch.memory_bytes(), 2 * size_of::<Record<u64>>());
///
/// // Only the operator at the other end of the edge knows the type.
/// assert!(batch.rows_mut::<String>().is_err());
/// for record in batch.rows_mut::<u64>()? {
///     record.value += 1;
/// }
/// assert_eq!(batch.take_rows::<u64>()?[1], Record::new(3, 20));
/// assert!(batch.is_empty());
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Default)]
pub struct Batch {
    /// The records.
    pub body: Body,
    /// When the oldest record was created: wall time in microseconds since the epoch, 0 if unknown.
    pub created_micros: u64,
    reservation: Option<Reservation>,
}

impl Batch {
    /// A batch of typed rows.
    pub fn from_rows<T: Data>(rows: Vec<Record<T>>, created_micros: u64) -> Self {
        Batch { body: Body::Rows(Box::new(rows)), created_micros, reservation: None }
    }

    /// A batch of columns.
    #[cfg(feature = "arrow")]
    pub fn from_arrow(columns: arrow_array::RecordBatch, created_micros: u64) -> Self {
        Batch { body: Body::Arrow(columns), created_micros, reservation: None }
    }

    /// A batch of a given body.
    pub fn new(body: Body, created_micros: u64) -> Self {
        Batch { body, created_micros, reservation: None }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        match &self.body {
            Body::Empty => 0,
            Body::Rows(rows) => rows.rows(),
            #[cfg(feature = "arrow")]
            Body::Arrow(batch) => batch.num_rows(),
        }
    }

    /// Whether the batch has no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes the records occupy.
    pub fn memory_bytes(&self) -> usize {
        match &self.body {
            Body::Empty => 0,
            Body::Rows(rows) => rows.memory_bytes(),
            #[cfg(feature = "arrow")]
            Body::Arrow(batch) => crate::columnar::batch_bytes(batch),
        }
    }

    /// The rows, if they are of type `T`.
    ///
    /// # Errors
    /// If the batch carries something else: an error in the wiring of the graph.
    pub fn rows_mut<T: Data>(&mut self) -> Result<&mut Vec<Record<T>>> {
        match &mut self.body {
            Body::Rows(rows) => {
                rows.as_any_mut().downcast_mut().ok_or_else(|| wrong_type::<T>("rows of another type"))
            }
            _ => Err(wrong_type::<T>("no rows")),
        }
    }

    /// The rows, if they are of type `T`; an empty batch has none.
    ///
    /// # Errors
    /// If the batch carries something else: an error in the wiring of the graph.
    pub fn rows<T: Data>(&self) -> Result<&[Record<T>]> {
        match &self.body {
            Body::Empty => Ok(&[]),
            Body::Rows(rows) => rows
                .as_any()
                .downcast_ref::<Vec<Record<T>>>()
                .map(Vec::as_slice)
                .ok_or_else(|| wrong_type::<T>("rows of another type")),
            #[cfg(feature = "arrow")]
            Body::Arrow(_) => Err(wrong_type::<T>("no rows")),
        }
    }

    /// Takes the rows out; an empty batch gives no rows.
    ///
    /// # Errors
    /// If the batch carries something else: an error in the wiring of the graph.
    pub fn take_rows<T: Data>(&mut self) -> Result<Vec<Record<T>>> {
        if matches!(self.body, Body::Empty) {
            Ok(Vec::new())
        } else {
            Ok(std::mem::take(self.rows_mut::<T>()?))
        }
    }

    /// The least and the greatest event time of typed rows, if there are any.
    pub fn timestamp_bounds(&self) -> Option<(EventTime, EventTime)> {
        match &self.body {
            Body::Rows(rows) => rows.timestamp_bounds(),
            _ => None,
        }
    }

    /// Takes the first `rows` records off as a batch of their own; the reservation stays with the rest.
    pub fn split_front(&mut self, rows: usize) -> Batch {
        let body = match &mut self.body {
            Body::Empty => Body::Empty,
            Body::Rows(all) => Body::Rows(all.split_front(rows)),
            #[cfg(feature = "arrow")]
            Body::Arrow(batch) => {
                let front = batch.slice(0, rows.min(batch.num_rows()));
                *batch = batch.slice(front.num_rows(), batch.num_rows() - front.num_rows());
                Body::Arrow(front)
            }
        };
        Batch::new(body, self.created_micros)
    }

    /// The columns, if the batch is columnar.
    ///
    /// # Errors
    /// If it carries rows or nothing at all.
    #[cfg(feature = "arrow")]
    pub fn arrow(&self) -> Result<&arrow_array::RecordBatch> {
        match &self.body {
            Body::Arrow(columns) => Ok(columns),
            Body::Rows(_) => Err(wrong_type::<arrow_array::RecordBatch>("rows")),
            Body::Empty => Err(wrong_type::<arrow_array::RecordBatch>("an empty batch")),
        }
    }

    /// Puts the batch's bytes on an account; they are uncounted when the batch is dropped.
    pub fn reserve(&mut self, reservation: Reservation) {
        self.reservation = Some(reservation);
    }

    /// Takes the reservation off the batch.
    pub fn take_reservation(&mut self) -> Option<Reservation> {
        self.reservation.take()
    }

    /// The reservation the batch holds.
    pub fn reservation(&self) -> Option<&Reservation> {
        self.reservation.as_ref()
    }
}

impl Clone for Batch {
    fn clone(&self) -> Self {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Rows(rows) => Body::Rows(rows.clone_rows()),
            #[cfg(feature = "arrow")]
            Body::Arrow(batch) => Body::Arrow(batch.clone()),
        };
        let reservation = self.reservation.as_ref().map(|held| held.another(held.bytes()));
        Batch { body, created_micros: self.created_micros, reservation }
    }
}

fn wrong_type<T>(found: &str) -> Error {
    Error::internal(format!("an edge of {} carried {found}", std::any::type_name::<T>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_encoding() {
        let rows = vec![Record::new((7u64, "a".to_string()), 1), Record::new((8, String::new()), -5)];
        let mut bytes = Vec::new();
        AnyRows::encode(&rows, &mut bytes);
        let mut back = decode_rows::<(u64, String)>(2, &mut Reader::new(&bytes)).unwrap();
        assert_eq!(back.as_any_mut().downcast_mut::<Vec<Record<(u64, String)>>>().unwrap(), &rows);
        assert!(decode_rows::<(u64, String)>(3, &mut Reader::new(&bytes)).is_err());
        assert!(decode_rows::<(u64, String)>(usize::MAX, &mut Reader::new(&bytes)).is_err());
    }

    #[test]
    fn a_batch_of_another_type_is_an_error() {
        let mut batch = Batch::from_rows(vec![Record::new(1u32, 0)], 0);
        assert!(batch.rows_mut::<u64>().is_err());
        assert_eq!(batch.take_rows::<u32>().unwrap().len(), 1);
    }
}
