//! Any so many records.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use crate::spill::{Sequence, SpillSetup, Spool};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::InstanceInfo;

/// Keeps the first records that come to an instance.
pub(crate) struct FirstBody<T> {
    wanted: u64,
    taken: u64,
    spool: Option<Spool<T>>,
}

impl<T: Data> FirstBody<T> {
    pub(crate) fn new(wanted: u64) -> Self {
        FirstBody { wanted, taken: 0, spool: None }
    }
}

impl<T: Data> Body for FirstBody<T> {
    type Output = T;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.spool = Some(Spool::new(setup.clone(), None));
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, _: TakeContext<'_, T>) -> Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        let left = self.wanted - self.taken;
        if left > 0 {
            for record in batch.take_rows::<T>()?.into_iter().take(left.try_into().unwrap_or(usize::MAX)) {
                self.taken += 1;
                spool.push(record.value);
            }
        }
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
        self.taken = 0;
        Ok(Some(Box::new(InSequence(spooled.into_sequence()))))
    }
}

/// Gives records in the order of their arrival.
pub(super) struct InSequence<T>(pub(super) Sequence<T>);

impl<T: Data> Produce<T> for InSequence<T> {
    fn produce(&mut self, out: &mut Out<T>) -> Result<bool> {
        while !out.is_full() {
            match self.0.next()? {
                Some(value) => out.push(value),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}
