//! Joins of rows whose event times lie within an interval of each other.
//!
//! A row is kept for as long as a row of the other side that matches it may still come. A row that has found none by then
//! and is to be padded is given when it is forgotten. As results are behind the watermark by up to the interval, the
//! operator holds the watermark back for those after it.

use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::join::JoinSpec;
use super::stored::{Firing, Next, hashes_of, keyed_table};
use crate::row::{RowBytes, kind, row_bytes, views_of};
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::collections::BTreeMap;
use std::ops::Range;

/// A row and whether it was given with a match.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct Kept {
    row: Vec<u8>,
    matched: bool,
}

/// The rows of one key on one side by time, milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Data)]
pub(crate) struct Times {
    rows: BTreeMap<i64, Vec<Kept>>,
}

/// How far apart rows may be: `left time − right time` lies between the bounds, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval {
    pub(crate) lower: i64,
    pub(crate) upper: i64,
}

impl Interval {
    /// The times of the other side that match a row of `side` at `time`.
    fn matching(self, side: usize, time: i64) -> std::ops::RangeInclusive<i64> {
        if side == 0 { time - self.upper..=time - self.lower } else { time + self.lower..=time + self.upper }
    }

    /// How far results may be behind the watermark.
    fn delay(self) -> i64 {
        self.upper.max(-self.lower).max(0)
    }
}

pub(crate) struct IntervalJoin {
    spec: JoinSpec,
    interval: Interval,
    /// The rowtime columns of both sides.
    times: [usize; 2],
    sides: [KeyedTable<RowBytes, Times>; 2],
    timers: TimerTable<RowBytes>,
    firing: Firing,
    out: Outgoing,
}

impl IntervalJoin {
    pub(crate) fn new(spec: JoinSpec, interval: Interval, times: [usize; 2]) -> Self {
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        let out = Outgoing::new(&spec.output, false);
        let sides = ["left", "right"].map(|name| KeyedTable::new(name, range, 1));
        let (timers, firing) = (TimerTable::new("ends", range, 1), Firing::default());
        IntervalJoin { spec, interval, times, sides, timers, firing, out }
    }

    /// Takes a row of `side` in.
    fn add(
        &mut self,
        side: usize,
        key: &RowBytes,
        time: i64,
        row: Vec<u8>,
        watermark: EventTime,
    ) -> Result<()> {
        let (hash, other) = (hash_of(key), 1 - side);
        let range = self.interval.matching(side, time);
        let mut matched = false;
        if let Some(others) = self.sides[other].get_mut(hash, key)
            && range.start() <= range.end()
        {
            for found in others.rows.range_mut(range.clone()).flat_map(|(_, rows)| rows) {
                if self.spec.matching(side, &row, vec![&found.row], |other| other)?.is_empty() {
                    continue;
                }
                (matched, found.matched) = (true, true);
                self.spec.pair(&mut self.out, kind::INSERT, side, &row, &found.row)?;
            }
        }
        let end = *range.end();
        if watermark >= end {
            // Nothing that matches can come any more.
            if !matched && self.spec.pads(side) {
                self.spec.alone(&mut self.out, kind::INSERT, side, &row)?;
            }
            return Ok(());
        }
        let rows = self.sides[side].entry_or_insert_with(hash, key, Times::default);
        rows.rows.entry(time).or_default().push(Kept { row, matched });
        self.timers.register(end, hash, key, side as i64);
        Ok(())
    }

    /// Forgets the rows of `side` for which nothing can come any more at `watermark`.
    fn forget(&mut self, side: usize, key: &RowBytes, watermark: EventTime) -> Result<()> {
        let hash = hash_of(key);
        let Some(times) = self.sides[side].get_mut(hash, key) else { return Ok(()) };
        while let Some(first) = times.rows.first_entry() {
            if *self.interval.matching(side, *first.key()).end() > watermark {
                break;
            }
            for kept in first.remove() {
                if !kept.matched && self.spec.pads(side) {
                    self.spec.alone(&mut self.out, kind::INSERT, side, &kept.row)?;
                }
            }
        }
        if times.rows.is_empty() {
            self.sides[side].remove(hash, key);
        }
        Ok(())
    }
}

impl Stateful for IntervalJoin {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.sides.iter_mut().try_for_each(|side| visit(side))?;
        visit(&mut self.timers)
    }
}

impl Operator for IntervalJoin {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let (info, settings) = (context.info(), &self.spec.settings);
        self.sides = [keyed_table("left", settings, context)?, keyed_table("right", settings, context)?];
        self.timers = TimerTable::new("ends", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn key_hashes(&mut self, side: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating[side], &self.spec.keys[side], rows)
    }

    fn accepts_input(&self) -> bool {
        self.firing.accepts_input()
    }

    fn on_batch(&mut self, side: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating[side])?;
        let views = views_of(input.rows.columns());
        let keys = self.spec.keys[side].clone();
        let view = &views[self.times[side]];
        for row in 0..input.len() {
            let bytes = row_bytes(&views, row);
            let time = view.int(row).map(|time| time.div_euclid(view.units_per_milli()));
            let has_null = keys.iter().any(|key| views[*key].is_null(row));
            match time {
                Some(time) if !has_null => {
                    let mut key = RowBytes::new();
                    encode_columns(&views, &keys, row, &mut key);
                    self.add(side, &key, time, bytes, context.watermark())?;
                }
                // NULL matches nothing.
                _ if self.spec.pads(side) => self.spec.alone(&mut self.out, kind::INSERT, side, &bytes)?,
                _ => {}
            }
            flush(&mut self.out, false, input.created_micros, context)?;
        }
        flush(&mut self.out, true, input.created_micros, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let progress = loop {
            let [left, right] = &mut self.sides;
            let timer = match self.firing.next(&mut self.timers, watermark, [left, right], context)? {
                Next::Timer(timer) => timer,
                Next::None => break Progress::Done,
                Next::Waiting => break Progress::Waiting,
            };
            let side = usize::from(timer.namespace != 0);
            self.forget(side, &timer.key, watermark)?;
            flush(&mut self.out, false, 0, context)?;
        };
        flush(&mut self.out, true, 0, context)?;
        Ok(progress)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.on_watermark(EventTime::MAX, context)
    }

    fn output_watermark(&self, input: EventTime) -> EventTime {
        if input == EventTime::MAX { input } else { input.saturating_sub(self.interval.delay()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_tells_what_matches_and_how_long() {
        let interval = Interval { lower: -10, upper: 5 };
        assert_eq!(interval.matching(0, 100), 95..=110);
        assert_eq!(interval.matching(1, 100), 90..=105);
        assert_eq!(interval.delay(), 10);
    }
}
