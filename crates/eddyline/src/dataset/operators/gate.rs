//! Where a round of an iteration ends: whether there is another one.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use crate::spill::{Sequence, SpillSetup, Spool};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::InstanceInfo;

/// The input of what says that there is another round; the result of the round comes by input 0.
const CRITERION_INPUT: usize = 1;

/// What leaves a gate.
#[derive(Debug, Clone, Data)]
pub(crate) struct Gated<T> {
    /// Whether the iteration goes on.
    pub(crate) goes_on: bool,
    /// A value; without one, this says that the iteration has come to this round and goes on.
    pub(crate) value: Option<T>,
}

/// Passes the result of a round on, to the next round or out.
pub(crate) struct GateBody<T> {
    /// Whether it is known that the iteration comes to this round.
    alive: bool,
    goes_on: bool,
    is_first: bool,
    is_last: bool,
    spool: Option<Spool<T>>,
}

impl<T: Data> GateBody<T> {
    pub(crate) fn new(is_first: bool, is_last: bool) -> Self {
        GateBody { alive: is_first, goes_on: false, is_first, is_last, spool: None }
    }
}

impl<T: Data> Body for GateBody<T> {
    type Output = Gated<T>;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.spool = Some(Spool::new(setup.clone(), None));
        Ok(())
    }

    fn take(&mut self, input: usize, mut batch: Batch, _: TakeContext<'_, Gated<T>>) -> Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        match input {
            0 => batch.take_rows::<T>()?.into_iter().for_each(|record| spool.push(record.value)),
            CRITERION_INPUT => self.goes_on |= !batch.is_empty(),
            _ => self.alive |= !batch.is_empty(),
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<()> {
        self.spool.as_mut().map_or(Ok(()), Spool::poll)
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.spool);
    }

    fn finish(&mut self) -> Result<Option<Producer<Gated<T>>>> {
        let Some(spool) = &mut self.spool else { return Ok(None) };
        let Some(spooled) = spool.finish()? else { return Ok(None) };
        let goes_on = self.goes_on && !self.is_last;
        let rows = self.alive.then(|| spooled.into_sequence());
        (self.alive, self.goes_on) = (self.is_first, false);
        Ok(Some(Box::new(Passing { tells: goes_on && rows.is_some(), goes_on, rows })))
    }
}

struct Passing<T> {
    goes_on: bool,
    tells: bool,
    rows: Option<Sequence<T>>,
}

impl<T: Data> Produce<Gated<T>> for Passing<T> {
    fn produce(&mut self, out: &mut Out<Gated<T>>) -> Result<bool> {
        if std::mem::take(&mut self.tells) {
            out.push(Gated { goes_on: true, value: None });
        }
        let Some(rows) = &mut self.rows else { return Ok(false) };
        while !out.is_full() {
            let Some(value) = rows.next()? else { return Ok(false) };
            out.push(Gated { goes_on: self.goes_on, value: Some(value) });
        }
        Ok(true)
    }
}
