//! State that lies in a store is asked for before the records come up that need it.
//!
//! The keys of the first records of the queue are named, some records at a time and somewhat more of them than are
//! processed next, so that the store works while the operator does. A record is processed when all that its fetch has
//! asked for is there: order and capability are those of the queue, and the worker's thread waits for nothing.

use super::{OperatorTask, QueuedContent};
use crate::fetch::{Fetch, Fetching};
use crate::instance::Body;
use crate::outputs::NoEmitter;
use crate::shared::Credit;
use eddyline_core::Batch;
use eddyline_protocol::FailureReport;
use std::collections::VecDeque;
use std::ops::Range;

/// Batches looked at.
const BATCHES_AHEAD: usize = 16;
/// Fetches on their way beside the one whose records are processed next.
const FETCHES_AHEAD: usize = 2;

impl OperatorTask {
    /// Names the keys of the next records.
    pub(super) fn fetch_ahead(&mut self) -> Result<(), FailureReport> {
        if self.stateless {
            return Ok(());
        }
        self.rows_per_fetch = self.instance.borrow_mut().keys_per_fetch();
        let Some(rows_per_fetch) = self.rows_per_fetch else { return Ok(()) };
        let mut fetches = 0;
        for number in 0..self.queue.len().min(BATCHES_AHEAD) {
            fetches += self.queue[number].fetches.len();
            while fetches <= FETCHES_AHEAD && self.fetch_next(number, rows_per_fetch)? {
                fetches += 1;
            }
            if fetches > FETCHES_AHEAD {
                break;
            }
        }
        Ok(())
    }

    /// Names the keys of the next records of a batch; answers whether there were any.
    fn fetch_next(&mut self, number: usize, rows_per_fetch: usize) -> Result<bool, FailureReport> {
        self.open_queued(number)?;
        let queued = &self.queue[number];
        let QueuedContent::Open(batch, ..) = &queued.content else { return Ok(false) };
        let start: usize = queued.fetches.iter().map(|(rows, _)| rows).sum();
        let end = batch.len().min(start + rows_per_fetch);
        if start >= end {
            return Ok(false);
        }
        let fetch = self.fetch(self.inputs[queued.edge].input, batch, start..end)?;
        self.queue[number].fetches.push_back((end - start, fetch));
        Ok(true)
    }

    /// Unpacks a batch while it is still in the queue: its bytes stay counted.
    fn open_queued(&mut self, number: usize) -> Result<(), FailureReport> {
        let queued = &mut self.queue[number];
        if !matches!(queued.content, QueuedContent::Packed(_)) {
            return Ok(());
        }
        let nothing = QueuedContent::Open(Batch::default(), None, None);
        if let QueuedContent::Packed(packet) = std::mem::replace(&mut queued.content, nothing) {
            let decode = self.inputs[queued.edge].decode;
            let (mut batch, origin) = packet.open(decode).map_err(|error| FailureReport::from(&error))?;
            let credit = origin.map(|origin| Credit::new(origin, &self.shared));
            let reservation = batch.take_reservation();
            queued.content = QueuedContent::Open(batch, credit, reservation);
        }
        Ok(())
    }

    fn fetch(&self, input: usize, batch: &Batch, rows: Range<usize>) -> Result<Fetch, FailureReport> {
        let mut instance = self.instance.borrow_mut();
        let at = (self.watermark, self.reach);
        let hashes = instance.call(&self.shared, &mut NoEmitter, at, |body, _| match body {
            Body::Operator(operator) => operator.key_hashes(input, batch, rows),
            Body::Source(_) => Ok(Vec::new()),
        })?;
        Ok(instance.fetch(hashes))
    }

    /// Whether what the next records need is in memory.
    pub(super) fn front_is_fetched(&mut self) -> Result<bool, FailureReport> {
        if self.rows_per_fetch.is_none() {
            return Ok(true);
        }
        if self.queue.front().is_some_and(|front| front.fetches.is_empty()) {
            self.fetch_ahead()?;
        }
        let Some((_, fetch)) = self.queue.front().and_then(|front| front.fetches.front()) else {
            return Ok(true);
        };
        let mut instance = self.instance.borrow_mut();
        instance.is_fetched(fetch).map_err(|error| instance.blame(&error))
    }

    /// The first `rows` records of a batch have been processed.
    pub(super) fn release_fetched(&mut self, fetches: &mut VecDeque<(usize, Fetch)>, rows: usize) {
        let Some((left, _)) = fetches.front_mut() else { return };
        *left = left.saturating_sub(rows);
        if *left == 0
            && let Some((_, fetch)) = fetches.pop_front()
        {
            self.instance.borrow_mut().release(&fetch);
        }
    }
}
