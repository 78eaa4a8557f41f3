//! Partitioning by ranges: samples tell where to cut.
//!
//! Each instance takes a sample of its records, and all instances get all samples. From the same samples all find the
//! same boundaries, so nobody has to decide for the others. The samples are taken by numbers that follow from the
//! number of the instance: the same input is cut at the same places.

use super::blocking::{Body, Collects, FromIterator, Held, Out, Produce, Producer, TakeContext};
use crate::spill::{Order, Sequence, SpillSetup, Spool};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::InstanceInfo;

/// Samples of one instance: ranges differ from one another by a few percent.
const SAMPLES: usize = 1024;
/// The input of the records themselves; that of the samples is 1.
const ROWS_INPUT: usize = 0;

/// A record, and how many it stands for.
#[derive(Debug, Clone, Data)]
pub(crate) struct Sampled<T> {
    weight: f64,
    value: T,
}

/// A record, and where it is to go.
#[derive(Debug, Clone, Data)]
pub(crate) struct Routed<T> {
    /// The instance.
    pub(crate) target: u32,
    /// The record.
    pub(crate) value: T,
}

/// Takes a sample of an instance's records.
pub(crate) struct SampleBody<T> {
    kept: Held<T>,
    seen: u64,
    random: u64,
}

impl<T: Data> SampleBody<T> {
    pub(crate) fn new() -> Self {
        SampleBody { kept: Held::few(), seen: 0, random: 0 }
    }

    /// A number below `limit`, by xorshift.
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}

impl<T: Data> Body for SampleBody<T> {
    type Output = Sampled<T>;

    fn open(&mut self, _: &SpillSetup, info: &InstanceInfo) -> Result<()> {
        self.random = 0x9E37_79B9_7F4A_7C15 ^ u64::from(info.instance + 1);
        Ok(())
    }

    fn take(&mut self, _: usize, mut batch: Batch, _: TakeContext<'_, Sampled<T>>) -> Result<()> {
        for record in batch.take_rows::<T>()? {
            self.seen += 1;
            if self.kept.len() < SAMPLES {
                self.kept.push(record.value);
                continue;
            }
            let place = self.below(self.seen) as usize;
            if place < SAMPLES {
                self.kept.replace(place, record.value);
            }
        }
        Ok(())
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.kept);
    }

    fn finish(&mut self) -> Result<Option<Producer<Sampled<T>>>> {
        let kept = self.kept.take();
        let weight = std::mem::take(&mut self.seen) as f64 / kept.len().max(1) as f64;
        let samples = kept.into_iter().map(move |value| Sampled { weight, value });
        Ok(Some(Box::new(FromIterator(samples))))
    }
}

/// Tells each record where it is to go.
pub(crate) struct RangeBody<T> {
    order: Order<T>,
    samples: Held<Sampled<T>>,
    spool: Option<Spool<T>>,
    targets: u32,
}

impl<T: Data> RangeBody<T> {
    pub(crate) fn new(order: Order<T>) -> Self {
        RangeBody { order, samples: Held::few(), spool: None, targets: 1 }
    }
}

/// The last records of all ranges but the last.
fn boundaries<T: Data>(mut samples: Vec<Sampled<T>>, targets: u32, order: &Order<T>) -> Vec<T> {
    samples.sort_by(|one, other| order(&one.value, &other.value));
    let whole: f64 = samples.iter().map(|sample| sample.weight).sum();
    let mut below = 0.0;
    let mut cuts: Vec<T> = Vec::new();
    for sample in samples {
        below += sample.weight;
        if cuts.len() + 1 >= targets as usize {
            break;
        }
        if below * f64::from(targets) >= whole * (cuts.len() + 1) as f64 {
            cuts.push(sample.value);
        }
    }
    cuts
}

impl<T: Data> Body for RangeBody<T> {
    type Output = Routed<T>;

    fn open(&mut self, setup: &SpillSetup, info: &InstanceInfo) -> Result<()> {
        self.spool = Some(Spool::new(setup.clone(), None));
        self.targets = info.parallelism;
        Ok(())
    }

    fn take(&mut self, input: usize, mut batch: Batch, context: TakeContext<'_, Routed<T>>) -> Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        if input != ROWS_INPUT {
            let samples = batch.take_rows::<Sampled<T>>()?.into_iter();
            samples.for_each(|record| self.samples.push(record.value));
        } else if self.targets == 1 {
            let rows = batch.take_rows::<T>()?.into_iter();
            rows.for_each(|record| context.out.push(Routed { target: 0, value: record.value }));
        } else {
            batch.take_rows::<T>()?.into_iter().for_each(|record| spool.push(record.value));
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<()> {
        self.spool.as_mut().map_or(Ok(()), Spool::poll)
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.samples);
        visit(&self.spool);
    }

    fn finish(&mut self) -> Result<Option<Producer<Routed<T>>>> {
        let Some(spool) = &mut self.spool else { return Ok(None) };
        let Some(spooled) = spool.finish()? else { return Ok(None) };
        let cuts = boundaries(self.samples.take(), self.targets, &self.order);
        Ok(Some(Box::new(Routing { rows: spooled.into_sequence(), cuts, order: self.order.clone() })))
    }
}

struct Routing<T> {
    rows: Sequence<T>,
    cuts: Vec<T>,
    order: Order<T>,
}

impl<T: Data> Produce<Routed<T>> for Routing<T> {
    fn produce(&mut self, out: &mut Out<Routed<T>>) -> Result<bool> {
        while !out.is_full() {
            let Some(value) = self.rows.next()? else { return Ok(false) };
            let target = self.cuts.partition_point(|cut| (self.order)(cut, &value).is_lt());
            out.push(Routed { target: target as u32, value });
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn boundaries_divide_by_weight() {
        let order: Order<u32> = Arc::new(u32::cmp);
        let sample = |value: u32, weight: f64| Sampled { weight, value };
        let even: Vec<_> = (0..100).rev().map(|value| sample(value, 1.0)).collect();
        assert_eq!(boundaries(even, 4, &order), [24, 49, 74]);
        let heavy = vec![sample(1, 1.0), sample(2, 97.0), sample(3, 1.0), sample(4, 1.0)];
        assert_eq!(boundaries(heavy, 2, &order), [2]);
        assert_eq!(boundaries(Vec::<Sampled<u32>>::new(), 3, &order), [0u32; 0]);
        assert_eq!(boundaries(vec![sample(5, 1.0)], 1, &order), [0u32; 0]);
    }
}
