//! Numbers for values.

use super::blocking::{Body, Collects, FromIterator, Out, Produce, Producer, TakeContext};
use crate::spill::{Sequence, SpillSetup, Spool};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::InstanceInfo;
use std::marker::PhantomData;

/// Tells how many values an instance has, and which instance it is.
pub(crate) struct SizeBody<T> {
    instance: u32,
    count: u64,
    _value: PhantomData<fn(T)>,
}

impl<T> SizeBody<T> {
    pub(crate) fn new() -> Self {
        SizeBody { instance: 0, count: 0, _value: PhantomData }
    }
}

impl<T: Data> Body for SizeBody<T> {
    type Output = (u32, u64);

    fn open(&mut self, _: &SpillSetup, info: &InstanceInfo) -> Result<()> {
        self.instance = info.instance;
        Ok(())
    }

    fn take(&mut self, _: usize, batch: Batch, _: TakeContext<'_, (u32, u64)>) -> Result<()> {
        self.count += batch.len() as u64;
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn finish(&mut self) -> Result<Option<Producer<(u32, u64)>>> {
        let size = (self.instance, std::mem::take(&mut self.count));
        Ok(Some(Box::new(FromIterator(std::iter::once(size)))))
    }
}

/// Numbers the values of an instance, beginning behind those of all instances before it.
pub(crate) struct IndexBody<T> {
    instance: u32,
    before: u64,
    spool: Option<Spool<T>>,
}

impl<T: Data> IndexBody<T> {
    pub(crate) fn new() -> Self {
        IndexBody { instance: 0, before: 0, spool: None }
    }
}

impl<T: Data> Body for IndexBody<T> {
    type Output = (u64, T);

    fn open(&mut self, setup: &SpillSetup, info: &InstanceInfo) -> Result<()> {
        self.instance = info.instance;
        self.spool = Some(Spool::new(setup.clone(), None));
        Ok(())
    }

    fn take(&mut self, input: usize, mut batch: Batch, _: TakeContext<'_, (u64, T)>) -> Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        if input == 0 {
            batch.take_rows::<T>()?.into_iter().for_each(|record| spool.push(record.value));
            return Ok(());
        }
        for size in batch.take_rows::<(u32, u64)>()? {
            let (instance, count) = size.value;
            if instance < self.instance {
                self.before += count;
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

    fn finish(&mut self) -> Result<Option<Producer<(u64, T)>>> {
        let Some(spool) = &mut self.spool else { return Ok(None) };
        let Some(spooled) = spool.finish()? else { return Ok(None) };
        let next = std::mem::take(&mut self.before);
        Ok(Some(Box::new(Numbering { rows: spooled.into_sequence(), next })))
    }
}

struct Numbering<T> {
    rows: Sequence<T>,
    next: u64,
}

impl<T: Data> Produce<(u64, T)> for Numbering<T> {
    fn produce(&mut self, out: &mut Out<(u64, T)>) -> Result<bool> {
        while !out.is_full() {
            let Some(value) = self.rows.next()? else { return Ok(false) };
            out.push((self.next, value));
            self.next += 1;
        }
        Ok(true)
    }
}

/// Gives each value a number that no other one has, at once.
pub(crate) struct UniqueBody<T> {
    next: u64,
    step: u64,
    taken: bool,
    _value: PhantomData<fn(T)>,
}

impl<T> UniqueBody<T> {
    pub(crate) fn new() -> Self {
        UniqueBody { next: 0, step: 1, taken: false, _value: PhantomData }
    }
}

impl<T: Data> Body for UniqueBody<T> {
    type Output = (u64, T);

    fn open(&mut self, _: &SpillSetup, info: &InstanceInfo) -> Result<()> {
        (self.next, self.step) = (u64::from(info.instance), u64::from(info.parallelism));
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, context: TakeContext<'_, (u64, T)>) -> Result<()> {
        self.taken = true;
        for record in batch.take_rows::<T>()? {
            context.out.push((self.next, record.value));
            self.next += self.step;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        !self.taken
    }

    fn finish(&mut self) -> Result<Option<Producer<(u64, T)>>> {
        Ok(Some(Box::new(FromIterator(std::iter::empty()))))
    }
}
