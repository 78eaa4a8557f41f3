//! How many records there are.

use super::blocking::{Body, FromIterator, Producer, TakeContext};
use crate::spill::SpillSetup;
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::InstanceInfo;
use std::marker::PhantomData;

/// Counts the records of an instance.
pub(crate) struct CountBody<T> {
    count: u64,
    _value: PhantomData<fn(T)>,
}

impl<T> CountBody<T> {
    pub(crate) fn new() -> Self {
        CountBody { count: 0, _value: PhantomData }
    }
}

impl<T: Data> Body for CountBody<T> {
    type Output = u64;

    fn open(&mut self, _: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        Ok(())
    }

    fn take(&mut self, _: usize, batch: Batch, _: TakeContext<'_, u64>) -> Result<()> {
        self.count += batch.len() as u64;
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn finish(&mut self) -> Result<Option<Producer<u64>>> {
        Ok(Some(Box::new(FromIterator(std::iter::once(std::mem::take(&mut self.count))))))
    }
}

/// Adds up the counts of all instances; a single instance.
pub(crate) struct SumBody {
    sum: u64,
}

impl SumBody {
    pub(crate) fn new() -> Self {
        SumBody { sum: 0 }
    }
}

impl Body for SumBody {
    type Output = u64;

    fn open(&mut self, _: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, _: TakeContext<'_, u64>) -> Result<()> {
        self.sum += batch.take_rows::<u64>()?.into_iter().map(|record| record.value).sum::<u64>();
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.sum == 0
    }

    fn finish(&mut self) -> Result<Option<Producer<u64>>> {
        Ok(Some(Box::new(FromIterator(std::iter::once(std::mem::take(&mut self.sum))))))
    }
}
