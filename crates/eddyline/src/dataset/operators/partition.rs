//! What an instance has, as a whole.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use crate::spill::{Sequence, SpillSetup, Spool};
use eddyline_core::{Batch, Data, Error, Result};
use eddyline_runtime::InstanceInfo;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

/// The error of a sequence that is read by somebody who cannot return it.
type Failure = Arc<Mutex<Option<Error>>>;

/// The values of one instance, one after the other; read while they are asked for, from disk if need be.
pub struct PartitionRows<T> {
    rows: Sequence<T>,
    failure: Failure,
}

impl<T: Data> Iterator for PartitionRows<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self.rows.next() {
            Ok(value) => value,
            Err(error) => {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                None
            }
        }
    }
}

/// Calls a function with all values of an instance.
pub(crate) struct PartitionBody<T, U, F> {
    function: F,
    spool: Option<Spool<T>>,
    _output: PhantomData<fn() -> U>,
}

impl<T: Data, U, F> PartitionBody<T, U, F> {
    pub(crate) fn new(function: F) -> Self {
        PartitionBody { function, spool: None, _output: PhantomData }
    }
}

impl<T, U, F, I> Body for PartitionBody<T, U, F>
where
    T: Data,
    U: Data,
    F: FnMut(PartitionRows<T>) -> I + Clone + Send + 'static,
    I: Iterator<Item = U> + Send + 'static,
{
    type Output = U;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.spool = Some(Spool::new(setup.clone(), None));
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, _: TakeContext<'_, U>) -> Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        batch.take_rows::<T>()?.into_iter().for_each(|record| spool.push(record.value));
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
        let failure = Failure::default();
        let rows = PartitionRows { rows: spooled.into_sequence(), failure: failure.clone() };
        let function = self.function.clone();
        Ok(Some(Box::new(PartitionCall { call: Some((function, rows)), results: None, failure })))
    }
}

struct PartitionCall<T, F, I> {
    call: Option<(F, PartitionRows<T>)>,
    results: Option<I>,
    failure: Failure,
}

impl<T, U, F, I> Produce<U> for PartitionCall<T, F, I>
where
    T: Data,
    U: Data,
    F: FnMut(PartitionRows<T>) -> I + Send,
    I: Iterator<Item = U> + Send,
{
    fn produce(&mut self, out: &mut Out<U>) -> Result<bool> {
        // The function is called here, not on the worker's thread: it may well read before it answers.
        if let Some((mut function, rows)) = self.call.take() {
            self.results = Some(function(rows));
        }
        let Some(results) = &mut self.results else { return Ok(false) };
        let mut more = true;
        while more && !out.is_full() {
            match results.next() {
                Some(value) => out.push(value),
                None => more = false,
            }
        }
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(more),
        }
    }
}
