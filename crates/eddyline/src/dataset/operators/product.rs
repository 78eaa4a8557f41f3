//! Every value of one side with every value of another one.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use crate::spill::{Repeatable, Sequence, SpillSetup, Spool, Spooled};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::InstanceInfo;
use std::sync::Arc;

/// Pairs a block of left values at a time with all right values, which are read again for each block.
pub(super) struct Product<L, R> {
    block: Vec<L>,
    block_bytes: usize,
    right: Repeatable<R>,
    right_row: Option<R>,
    at: usize,
}

impl<L: Data, R: Data> Product<L, R> {
    pub(super) fn new(right: Repeatable<R>, block_bytes: usize) -> Self {
        Product { block: Vec::new(), block_bytes, right, right_row: None, at: 0 }
    }

    /// Fills `out` with pairs of what `next_left` gives; says whether there are more.
    pub(super) fn produce<O: Data>(
        &mut self,
        next_left: &mut dyn FnMut() -> Result<Option<L>>,
        pair: &mut dyn FnMut(&L, &R) -> O,
        out: &mut Out<O>,
    ) -> Result<bool> {
        loop {
            if self.right_row.is_none() && !self.next_block(next_left)? {
                return Ok(false);
            }
            while let Some(right) = &self.right_row {
                while let Some(left) = self.block.get(self.at) {
                    if out.is_full() {
                        return Ok(true);
                    }
                    out.push(pair(left, right));
                    self.at += 1;
                }
                self.at = 0;
                self.right_row = self.right.next()?;
            }
        }
    }

    fn next_block(&mut self, next_left: &mut dyn FnMut() -> Result<Option<L>>) -> Result<bool> {
        self.block.clear();
        let mut bytes = 0;
        while bytes < self.block_bytes.max(1) {
            let Some(row) = next_left()? else { break };
            bytes += size_of::<L>().max(1) + if L::HAS_HEAP { row.heap_bytes() } else { 0 };
            self.block.push(row);
        }
        if self.block.is_empty() {
            return Ok(false);
        }
        self.right.rewind();
        self.right_row = self.right.next()?;
        Ok(self.right_row.is_some())
    }
}

/// Makes a result of a pair.
pub(crate) type PairFunction<L, R, O> = Arc<dyn Fn(&L, &R) -> O + Send + Sync>;

/// Pairs all values of two inputs.
pub(crate) struct CrossBody<L, R, O> {
    left: Option<Spool<L>>,
    right: Option<Spool<R>>,
    finished: Option<Spooled<L>>,
    block_bytes: usize,
    function: PairFunction<L, R, O>,
}

impl<L: Data, R: Data, O: Data> CrossBody<L, R, O> {
    pub(crate) fn new(function: PairFunction<L, R, O>) -> Self {
        CrossBody { left: None, right: None, finished: None, block_bytes: 0, function }
    }
}

impl<L: Data, R: Data, O: Data> Body for CrossBody<L, R, O> {
    type Output = O;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        let third = setup.share(3);
        self.block_bytes = third.budget_bytes;
        (self.left, self.right) = (Some(Spool::new(third.clone(), None)), Some(Spool::new(third, None)));
        Ok(())
    }

    fn take(&mut self, input: usize, mut batch: Batch, _: TakeContext<'_, O>) -> Result<()> {
        let (Some(left), Some(right)) = (&mut self.left, &mut self.right) else { return Ok(()) };
        if input == 0 {
            batch.take_rows::<L>()?.into_iter().for_each(|record| left.push(record.value));
        } else {
            batch.take_rows::<R>()?.into_iter().for_each(|record| right.push(record.value));
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<()> {
        self.left.as_mut().map_or(Ok(()), Spool::poll)?;
        self.right.as_mut().map_or(Ok(()), Spool::poll)
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.left);
        visit(&self.right);
    }

    fn finish(&mut self) -> Result<Option<Producer<O>>> {
        let (Some(left), Some(right)) = (&mut self.left, &mut self.right) else { return Ok(None) };
        if self.finished.is_none() {
            self.finished = left.finish()?;
        }
        if self.finished.is_none() {
            return Ok(None);
        }
        let Some(right) = right.finish()? else { return Ok(None) };
        let product = Product::new(right.into_repeatable(), self.block_bytes);
        let function = self.function.clone();
        let crossing = self
            .finished
            .take()
            .map(|left| Box::new(Crossing { left: left.into_sequence(), product, function }) as Producer<O>);
        Ok(crossing)
    }
}

struct Crossing<L, R, O> {
    left: Sequence<L>,
    product: Product<L, R>,
    function: PairFunction<L, R, O>,
}

impl<L: Data, R: Data, O: Data> Produce<O> for Crossing<L, R, O> {
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        let (left, function) = (&mut self.left, &self.function);
        self.product.produce(&mut || left.next(), &mut |one, other| function(one, other), out)
    }
}
