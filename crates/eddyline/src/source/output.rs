//! What a source hands its records to.

use super::SplitId;
use super::splits::Splits;
use crate::watermark::WatermarkStrategy;
use eddyline_core::{Data, EventTime, Record};

/// Takes the records of a [`SplitSource`](super::SplitSource) and what it says about its splits.
pub struct SplitOutput<'a, T: Data> {
    pub(super) rows: &'a mut Vec<Record<T>>,
    pub(super) splits: &'a mut Splits<T>,
    pub(super) strategy: &'a WatermarkStrategy<T>,
    pub(super) rows_max: usize,
    pub(super) created_micros: u64,
    /// The split of the newest records, and where they begin: a generator sees its records run by run.
    pub(super) run: Option<(SplitId, usize)>,
}

impl<T: Data> SplitOutput<'_, T> {
    /// Hands over a record that was read from `split`. Its event time is what the timestamp assigner says.
    #[inline]
    pub fn push(&mut self, split: SplitId, value: T) {
        self.push_with_time(split, value, EventTime::MIN);
    }

    /// Hands over a record that has a timestamp of its own (milliseconds since the epoch), which the timestamp
    /// assigner, if there is one, may replace.
    #[inline]
    pub fn push_with_time(&mut self, split: SplitId, value: T, timestamp: EventTime) {
        if self.run.is_none_or(|(current, _)| current != split) {
            self.end_run();
            self.run = Some((split, self.rows.len()));
        }
        self.rows.push(Record { value, timestamp });
    }

    /// Whether the batch is as large as it should be: answer [`SourceStatus::Ready`](crate::SourceStatus) and go on
    /// at the next poll.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.rows.len() >= self.rows_max
    }

    /// How many records fit until the output is full.
    pub fn remaining(&self) -> usize {
        self.rows_max.saturating_sub(self.rows.len())
    }

    /// Says that `split` is this instance's, before its first record: from now on it holds the watermark. A split
    /// that is not announced counts from its first record on.
    pub fn split_added(&mut self, split: SplitId) {
        self.splits.add(split, self.strategy);
    }

    /// Says that nothing is expected of `split` for now, or (with `false`) that it is to be waited for again. The
    /// next record of the split ends idleness as well.
    pub fn split_idle(&mut self, split: SplitId, idle: bool) {
        self.end_run();
        self.splits.set_idle(split, idle, self.strategy);
    }

    /// Says that `split` has ended: it holds nobody back any more.
    pub fn split_finished(&mut self, split: SplitId) {
        self.end_run();
        self.splits.remove(split);
    }

    /// Whether `split` is too far ahead of the sources it is aligned with: do not read from it now.
    pub fn is_paused(&self, split: SplitId) -> bool {
        self.splits.is_paused(split)
    }

    /// When the records handed over in this poll were created: wall time in microseconds since the epoch. If it is
    /// not said, they count as created now.
    pub fn set_created_micros(&mut self, created_micros: u64) {
        self.created_micros = created_micros;
    }

    /// Lets the generator of the current split see its newest records.
    pub(super) fn end_run(&mut self) {
        if let Some((split, start)) = self.run.take() {
            let records = &mut self.rows[start..];
            self.strategy.assign(records);
            self.splits.observe(split, records, self.strategy);
        }
    }
}
