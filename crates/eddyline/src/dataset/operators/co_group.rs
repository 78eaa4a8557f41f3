//! The groups of two inputs, side by side.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use super::group::Groups;
use super::join::{JoinKeys, Sides, compare_heads};
use crate::dataset::Rows;
use crate::function::Collector;
use crate::spill::SpillSetup;
use eddyline_core::{Batch, Data, EventTime, Key, Result};
use eddyline_runtime::InstanceInfo;
use std::marker::PhantomData;

/// Calls a function for each key of either input, with the groups of both.
pub(crate) struct CoGroupBody<K, L, R, O, F> {
    keys: JoinKeys<K, L, R>,
    sides: Sides<K, L, R>,
    function: F,
    _output: PhantomData<fn() -> O>,
}

impl<K: Key, L: Data, R: Data, O, F> CoGroupBody<K, L, R, O, F> {
    pub(crate) fn new(keys: JoinKeys<K, L, R>, function: F) -> Self {
        CoGroupBody { sides: Sides::new(keys.clone()), keys, function, _output: PhantomData }
    }
}

impl<K, L, R, O, F> Body for CoGroupBody<K, L, R, O, F>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    F: FnMut(&K, Rows<'_, L>, Rows<'_, R>, &mut Collector<O>) + Clone + Send + 'static,
{
    type Output = O;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.sides.open(setup);
        Ok(())
    }

    fn take(&mut self, input: usize, batch: Batch, _: TakeContext<'_, O>) -> Result<()> {
        self.sides.take(input, batch)
    }

    fn poll(&mut self) -> Result<()> {
        self.sides.poll()
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        self.sides.collections(visit);
    }

    fn finish(&mut self) -> Result<Option<Producer<O>>> {
        let Some((left, right)) = self.sides.finish()? else { return Ok(None) };
        Ok(Some(Box::new(CoGroups {
            left: Groups::new(self.keys.left.clone(), left),
            right: Groups::new(self.keys.right.clone(), right),
            function: self.function.clone(),
            collector: Collector::at(EventTime::MIN),
        })))
    }
}

struct CoGroups<K, L, R, O, F> {
    left: Groups<K, L>,
    right: Groups<K, R>,
    function: F,
    collector: Collector<O>,
}

impl<K, L, R, O, F> Produce<O> for CoGroups<K, L, R, O, F>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    F: FnMut(&K, Rows<'_, L>, Rows<'_, R>, &mut Collector<O>) + Send,
{
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        while !out.is_full() {
            let (left, right) = (self.left.next_key()?, self.right.next_key()?);
            let (hash, key) = match (compare_heads(left.as_ref(), right.as_ref()), left, right) {
                (Some(order), Some(left), _) if order.is_le() => left,
                (Some(_), _, Some(right)) => right,
                _ => return Ok(false),
            };
            let (function, collector, right) = (&mut self.function, &mut self.collector, &mut self.right);
            let called = self.left.with_rows(hash, &key, |left| {
                right.with_rows(hash, &key, |right| function(&key, left, right, collector))
            })?;
            called?;
            self.collector.take_rows().into_iter().for_each(|record| out.push(record.value));
        }
        Ok(true)
    }
}
