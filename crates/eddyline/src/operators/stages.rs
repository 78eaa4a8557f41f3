//! Stateless steps.

use crate::function::Collector;
use eddyline_core::{Batch, Data, Record, Result};
use eddyline_runtime::Stage;
use eddyline_runtime::panics::at_row;
use std::marker::PhantomData;

/// Rows collected before they are sent on: a step that amplifies gives many batches instead of a huge one.
const ROWS_PER_BATCH_MAX: usize = 4096;

/// Calls a function for each value.
pub(crate) struct MapStage<T, U, F> {
    function: F,
    _types: PhantomData<fn(T) -> U>,
}

impl<T, U, F> MapStage<T, U, F> {
    pub(crate) fn new(function: F) -> Self {
        MapStage { function, _types: PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(T) -> U> Stage for MapStage<T, U, F> {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let rows = batch.take_rows::<T>()?;
        let mapped = rows.into_iter().enumerate().map(|(row, record)| {
            at_row(row as u64);
            Record { value: (self.function)(record.value), timestamp: record.timestamp }
        });
        emit(Batch::from_rows(mapped.collect(), batch.created_micros))
    }
}

/// Keeps the values for which a function says so.
pub(crate) struct FilterStage<T, F> {
    function: F,
    _type: PhantomData<fn(T)>,
}

impl<T, F> FilterStage<T, F> {
    pub(crate) fn new(function: F) -> Self {
        FilterStage { function, _type: PhantomData }
    }
}

impl<T: Data, F: FnMut(&T) -> bool> Stage for FilterStage<T, F> {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let mut row = 0;
        let rows = batch.rows_mut::<T>()?;
        rows.retain(|record| {
            at_row(row);
            row += 1;
            (self.function)(&record.value)
        });
        if rows.is_empty() { Ok(()) } else { emit(batch) }
    }
}

/// Calls a function for each value that gives a value, nothing, or an error.
pub(crate) struct FilterMapStage<T, U, F> {
    function: F,
    _types: PhantomData<fn(T) -> U>,
}

impl<T, U, F> FilterMapStage<T, U, F> {
    pub(crate) fn new(function: F) -> Self {
        FilterMapStage { function, _types: PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(T) -> Result<Option<U>>> Stage for FilterMapStage<T, U, F> {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let rows = batch.take_rows::<T>()?;
        let mut kept = Vec::with_capacity(rows.len());
        for (row, record) in rows.into_iter().enumerate() {
            at_row(row as u64);
            if let Some(value) = (self.function)(record.value)? {
                kept.push(Record { value, timestamp: record.timestamp });
            }
        }
        if kept.is_empty() { Ok(()) } else { emit(Batch::from_rows(kept, batch.created_micros)) }
    }
}

/// Keeps the values for which a function says so, unless it fails.
pub(crate) struct TryFilterStage<T, F> {
    function: F,
    _type: PhantomData<fn(T)>,
}

impl<T, F: FnMut(&T) -> Result<bool>> TryFilterStage<T, F> {
    pub(crate) fn new(function: F) -> Self {
        TryFilterStage { function, _type: PhantomData }
    }
}

impl<T: Data, F: FnMut(&T) -> Result<bool>> Stage for TryFilterStage<T, F> {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let (mut row, mut failure) = (0, None);
        let rows = batch.rows_mut::<T>()?;
        rows.retain(|record| {
            if failure.is_some() {
                return false;
            }
            at_row(row);
            row += 1;
            (self.function)(&record.value).unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
        });
        match failure {
            Some(error) => Err(error),
            None if rows.is_empty() => Ok(()),
            None => emit(batch),
        }
    }
}

/// Calls a function that emits any number of values for each one, or fails.
pub(crate) struct TryFlatMapStage<T, U, F> {
    function: F,
    out: Collector<U>,
    _type: PhantomData<fn(T)>,
}

impl<T, U, F> TryFlatMapStage<T, U, F> {
    pub(crate) fn new(function: F) -> Self {
        TryFlatMapStage { function, out: Collector::at(0), _type: PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(T, &mut Collector<U>) -> Result<()>> Stage for TryFlatMapStage<T, U, F> {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            at_row(row as u64);
            self.out.set_timestamp(record.timestamp);
            (self.function)(record.value, &mut self.out)?;
            if self.out.len() >= ROWS_PER_BATCH_MAX {
                emit(Batch::from_rows(self.out.take_rows(), batch.created_micros))?;
            }
        }
        if self.out.is_empty() {
            return Ok(());
        }
        emit(Batch::from_rows(self.out.take_rows(), batch.created_micros))
    }
}
