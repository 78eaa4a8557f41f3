//! A source of splits: disorder within bounds, late records, pauses, the place to go on in its state.

use super::rows::{Event, event_of, pause_of, split_number};
use crate::scenario::Input;
use eddyline_core::{Data, EventTime, Record, Result, WATERMARK_MIN};
use eddyline_runtime::{OperatorContext, Source, SourceStatus, Stateful};
use eddyline_state::{ManagedState, OperatorListState};

/// How far a split is.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
struct Place {
    split: u32,
    next: u32,
    highest: i64,
}

struct Split {
    place: Place,
    /// Monotonic time, microseconds; 0: has not paused.
    paused_until: u64,
}

/// Reads the splits that belong to its instance.
pub struct SplitSource {
    input: Input,
    source: u32,
    places: Option<OperatorListState<Place>>,
    splits: Vec<Split>,
    turn: usize,
    next_due: u64,
}

impl SplitSource {
    /// Source number `source` of a job.
    pub fn new(input: Input, source: u32) -> Self {
        SplitSource { input, source, places: None, splits: Vec::new(), turn: 0, next_due: 0 }
    }

    /// The least promise of all splits that read; none if all pause.
    fn watermark(&self, now: u64) -> Option<EventTime> {
        let reading = |split: &&Split| split.place.next < self.input.records && split.paused_until <= now;
        let promise = |split: &Split| match split.place.highest {
            i64::MIN => WATERMARK_MIN,
            highest => highest - self.input.disorder_ms,
        };
        self.splits.iter().filter(reading).map(promise).min()
    }

    /// Reads on in one of the splits.
    fn read(&mut self, now: u64, most: usize) -> Vec<Record<Event>> {
        let mut rows = Vec::new();
        for _ in 0..self.splits.len() {
            self.turn += 1;
            let index = self.turn % self.splits.len();
            let split = &mut self.splits[index];
            let place = &mut split.place;
            if place.next >= self.input.records || split.paused_until > now {
                continue;
            }
            let pause = pause_of(&self.input, place.split);
            while rows.len() < most && place.next < self.input.records {
                if let Some((at, pause_ms)) = pause
                    && at == place.next
                    && split.paused_until == 0
                {
                    split.paused_until = now + pause_ms * 1_000;
                    break;
                }
                let (event, at) = event_of(&self.input, place.split, place.next);
                place.next += 1;
                place.highest = place.highest.max(at);
                rows.push(Record::new(event, at));
            }
            return rows;
        }
        rows
    }
}

impl Stateful for SplitSource {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        match &mut self.places {
            Some(places) => visit(places),
            None => Ok(()),
        }
    }
}

impl Source for SplitSource {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.places = Some(OperatorListState::union("places", context.info().instance));
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let known = self.places.as_ref().map_or(&[][..], |places| places.items());
        for split in (context.info().instance..self.input.splits).step_by(context.info().parallelism as usize)
        {
            let split = split_number(&self.input, self.source, split);
            let place = known.iter().find(|place| place.split == split).cloned();
            let place = place.unwrap_or(Place { split, next: 0, highest: i64::MIN });
            self.splits.push(Split { place, paused_until: 0 });
        }
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        if self.splits.iter().all(|split| split.place.next >= self.input.records) {
            return Ok(SourceStatus::Finished);
        }
        let now = context.clock().monotonic_micros();
        if now >= self.next_due {
            let most = context.batch_rows_max().min(self.input.rows_per_poll as usize);
            let rows = self.read(now, most);
            context.emit_rows(0, rows, 0)?;
            self.next_due =
                now + self.input.pace_ms * 1_000 * most as u64 / u64::from(self.input.rows_per_poll);
        }
        match self.watermark(now) {
            Some(watermark) => context.set_watermark(watermark, false),
            None => context.set_watermark(WATERMARK_MIN, true),
        }
        let wait_ms = self.next_due.saturating_sub(now).div_ceil(1_000) as i64;
        let at = context.processing_time_ms() + wait_ms;
        context.wake_at(at);
        Ok(SourceStatus::Pending)
    }

    fn before_snapshot(&mut self, _checkpoint: u64, _context: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(places) = &mut self.places {
            places.set(self.splits.iter().map(|split| split.place.clone()).collect());
        }
        Ok(())
    }
}
