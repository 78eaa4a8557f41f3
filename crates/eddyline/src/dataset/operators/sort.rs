//! Sorting what an instance has.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use crate::spill::{Merge, Order, SpillSetup, Spool, Spooled};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::InstanceInfo;

/// Collects records and gives them in order.
pub(crate) struct SortBody<T> {
    order: Order<T>,
    spool: Option<Spool<T>>,
}

impl<T: Data> SortBody<T> {
    pub(crate) fn new(order: Order<T>) -> Self {
        SortBody { order, spool: None }
    }
}

impl<T: Data> Body for SortBody<T> {
    type Output = T;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.spool = Some(Spool::new(setup.clone(), Some(self.order.clone())));
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, _: TakeContext<'_, T>) -> Result<()> {
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

    fn finish(&mut self) -> Result<Option<Producer<T>>> {
        let Some(spool) = &mut self.spool else { return Ok(None) };
        let Some(spooled) = spool.finish()? else { return Ok(None) };
        Ok(Some(Box::new(Sorted::Spooled(Some(spooled)))))
    }
}

/// Gives records in order.
enum Sorted<T> {
    Spooled(Option<Spooled<T>>),
    Merge(Merge<T>),
}

impl<T: Data> Produce<T> for Sorted<T> {
    fn produce(&mut self, out: &mut Out<T>) -> Result<bool> {
        loop {
            match self {
                Sorted::Spooled(spooled) => {
                    let Some(spooled) = spooled.take() else { return Ok(false) };
                    *self = Sorted::Merge(spooled.into_merge()?);
                }
                Sorted::Merge(merge) => {
                    while !out.is_full() {
                        match merge.next()? {
                            Some(value) => out.push(value),
                            None => return Ok(false),
                        }
                    }
                    return Ok(true);
                }
            }
        }
    }
}
