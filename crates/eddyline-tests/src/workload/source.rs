//! The source: four splits, dealt out over the instances, one of which falls silent for a while.

use super::gate::Gate;
use super::records::{Event, IDLE_SPLIT, SPLITS, event};
use eddyline::source::{SourceContext, SplitOutput};
use eddyline::{ManagedState, OperatorListState, Result, SourceStatus, SplitSource};

/// Records made at once at most, so that splits take turns.
const TURN: u64 = 16;

/// One instance of the source.
pub(super) struct Splits {
    seed: u64,
    records_per_split: u64,
    records_per_second: u64,
    gate: Gate,
    /// Splits of this instance, and how many records of each have been read.
    offsets: OperatorListState<(u64, u64)>,
    announced: bool,
    started_micros: u64,
    made: u64,
}

impl Splits {
    pub(super) fn new(seed: u64, records_per_split: u64, records_per_second: u64, gate: Gate) -> Self {
        Splits {
            seed,
            records_per_split,
            records_per_second,
            gate,
            offsets: OperatorListState::union("offsets", 0),
            announced: false,
            started_micros: 0,
            made: 0,
        }
    }

    fn is_read(&self) -> bool {
        self.offsets.items().iter().all(|(_, offset)| *offset >= self.records_per_split)
    }

    /// How many records may be made now.
    fn allowance(&self, context: &SourceContext<'_, '_>) -> u64 {
        let passed = context.clock().monotonic_micros().saturating_sub(self.started_micros);
        let share = self.records_per_second / u64::from(context.parallelism());
        (passed.saturating_mul(share) / 1_000_000).saturating_sub(self.made).min(TURN)
    }

    /// The silent split waits in the middle until the others of its instance are nearly done.
    fn is_silent(&self, split: u64, offset: u64) -> bool {
        let others = || self.offsets.items().iter().filter(|(other, _)| *other != split);
        split == IDLE_SPLIT
            && offset == self.records_per_split / 2
            && others().any(|(_, offset)| *offset < self.records_per_split * 4 / 5)
    }
}

impl SplitSource<Event> for Splits {
    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        self.offsets = OperatorListState::union("offsets", context.instance());
        self.started_micros = context.clock().monotonic_micros();
        Ok(())
    }

    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let (instance, parallelism) = (u64::from(context.instance()), u64::from(context.parallelism()));
        let mut offsets = self.offsets.items().to_vec();
        if offsets.is_empty() {
            offsets.extend((0..SPLITS).map(|split| (split, 0)));
        }
        offsets.retain(|(split, _)| split % parallelism == instance);
        self.offsets.set(offsets);
        Ok(())
    }

    fn poll(
        &mut self,
        out: &mut SplitOutput<'_, Event>,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<SourceStatus> {
        if !self.announced {
            self.announced = true;
            let unread = self.offsets.items().iter().filter(|(_, offset)| *offset < self.records_per_split);
            unread.for_each(|(split, _)| out.split_added(*split));
        }
        let allowance = self.allowance(context);
        let mut made = 0;
        for place in 0..self.offsets.items().len() {
            let (split, mut offset) = self.offsets.items()[place];
            let silent = self.is_silent(split, offset);
            if offset == self.records_per_split / 2 && split == IDLE_SPLIT {
                out.split_idle(split, silent);
            }
            while !silent && offset < self.records_per_split && made < allowance && !out.is_full() {
                let record = event(self.seed, split, offset, self.records_per_split);
                out.push_with_time(split, record.clone(), record.time);
                (offset, made) = (offset + 1, made + 1);
                if offset == self.records_per_split {
                    out.split_finished(split);
                }
                if self.is_silent(split, offset) || made % 4 == 0 {
                    break;
                }
            }
            self.offsets.items_mut()[place].1 = offset;
        }
        self.made += made;
        if self.is_read() {
            self.gate.mark_finished(context.info().attempt, context.instance());
            return Ok(SourceStatus::Finished);
        }
        if made > 0 {
            return Ok(SourceStatus::Ready);
        }
        context.wake_at(context.processing_time_ms() + 2);
        Ok(SourceStatus::Pending)
    }

    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.offsets)
    }
}
