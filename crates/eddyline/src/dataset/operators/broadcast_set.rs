//! A whole data set beside the values.

use super::blocking::{Body, Collects, Held, Out, Produce, Producer, TakeContext};
use crate::function::Collector;
use crate::spill::{Sequence, SpillSetup, Spool};
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::InstanceInfo;
use std::marker::PhantomData;

/// Calls a function that is made of all values of input 1 for each value of input 0.
pub(crate) struct BroadcastSetBody<T, B, U, M> {
    make: M,
    set: Held<B>,
    spool: Option<Spool<T>>,
    _output: PhantomData<fn() -> U>,
}

impl<T: Data, B: Data, U, M> BroadcastSetBody<T, B, U, M> {
    pub(crate) fn new(make: M) -> Self {
        BroadcastSetBody { make, set: Held::new(), spool: None, _output: PhantomData }
    }
}

impl<T, B, U, M, F> Body for BroadcastSetBody<T, B, U, M>
where
    T: Data,
    B: Data,
    U: Data,
    M: Fn(Vec<B>) -> F + Clone + Send + 'static,
    F: FnMut(T, &mut Collector<U>) + Send + 'static,
{
    type Output = U;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.spool = Some(Spool::new(setup.clone(), None));
        Ok(())
    }

    fn take(&mut self, input: usize, mut batch: Batch, _: TakeContext<'_, U>) -> Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        if input == 0 {
            batch.take_rows::<T>()?.into_iter().for_each(|record| spool.push(record.value));
        } else {
            batch.take_rows::<B>()?.into_iter().for_each(|record| self.set.push(record.value));
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<()> {
        self.spool.as_mut().map_or(Ok(()), Spool::poll)
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.spool);
        visit(&self.set);
    }

    fn finish(&mut self) -> Result<Option<Producer<U>>> {
        let Some(spool) = &mut self.spool else { return Ok(None) };
        let Some(spooled) = spool.finish()? else { return Ok(None) };
        Ok(Some(Box::new(BroadcastCalls {
            make: self.make.clone(),
            set: Some(self.set.take()),
            function: None,
            rows: spooled.into_sequence(),
            collector: Collector::at(EventTime::MIN),
        })))
    }
}

struct BroadcastCalls<T, B, U, M, F> {
    make: M,
    set: Option<Vec<B>>,
    function: Option<F>,
    rows: Sequence<T>,
    collector: Collector<U>,
}

impl<T, B, U, M, F> Produce<U> for BroadcastCalls<T, B, U, M, F>
where
    T: Data,
    B: Data,
    U: Data,
    M: Fn(Vec<B>) -> F + Send,
    F: FnMut(T, &mut Collector<U>) + Send,
{
    fn produce(&mut self, out: &mut Out<U>) -> Result<bool> {
        if let Some(set) = self.set.take() {
            self.function = Some((self.make)(set));
        }
        let Some(function) = &mut self.function else { return Ok(false) };
        while !out.is_full() {
            let Some(value) = self.rows.next()? else { return Ok(false) };
            function(value, &mut self.collector);
            self.collector.take_rows().into_iter().for_each(|record| out.push(record.value));
        }
        Ok(true)
    }
}
