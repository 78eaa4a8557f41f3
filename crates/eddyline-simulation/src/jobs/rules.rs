//! Rules that are broadcast to all instances of an operator that counts.

use super::rows::{Event, Kind, rule_of};
use super::windows::{Tally, row};
use crate::scenario::Input;
use eddyline_core::data::Data;
use eddyline_core::{Batch, Record, Result, WATERMARK_MAX};
use eddyline_runtime::{Operator, OperatorContext, Progress, Source, SourceStatus, Stateful};
use eddyline_state::{BroadcastState, KeyedTable, ManagedState, OperatorListState};

/// A rule: number and value.
pub type Rule = (u32, i64);

/// Emits the rules one by one.
pub struct RuleSource {
    input: Input,
    next: Option<OperatorListState<u32>>,
    emitted: u32,
    next_due: u64,
}

impl RuleSource {
    /// The rules of `input`.
    pub fn new(input: Input) -> Self {
        RuleSource { input, next: None, emitted: 0, next_due: 0 }
    }
}

impl Stateful for RuleSource {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        match &mut self.next {
            Some(next) => visit(next),
            None => Ok(()),
        }
    }
}

impl Source for RuleSource {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.next = Some(OperatorListState::list("next", context.info().instance));
        Ok(())
    }

    fn restored(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        self.emitted = self.next.as_ref().and_then(|next| next.items().first().copied()).unwrap_or(0);
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        if self.emitted >= self.input.rules {
            return Ok(SourceStatus::Finished);
        }
        let now = context.clock().monotonic_micros();
        if now >= self.next_due {
            let rule = (self.emitted, rule_of(&self.input, self.emitted));
            self.emitted += 1;
            self.next_due = now + 40_000;
            context.emit_rows(0, vec![Record::new(rule, 0)], 0)?;
        }
        context.set_watermark(WATERMARK_MAX, false);
        let at = context.processing_time_ms() + (self.next_due - now).div_ceil(1_000) as i64;
        context.wake_at(at);
        Ok(SourceStatus::Pending)
    }

    fn before_snapshot(&mut self, _checkpoint: u64, _context: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(next) = &mut self.next {
            next.set(vec![self.emitted]);
        }
        Ok(())
    }
}

struct States {
    rules: BroadcastState<u32, i64>,
    tallies: KeyedTable<u64, Tally>,
}

/// Counts records per key; at the end the sum is multiplied by that of the rules.
pub struct ApplyRules {
    branch: u32,
    states: Option<States>,
}

impl ApplyRules {
    /// For branch number `branch`.
    pub fn new(branch: u32) -> Self {
        ApplyRules { branch, states: None }
    }
}

impl Stateful for ApplyRules {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let Some(states) = &mut self.states else { return Ok(()) };
        visit(&mut states.rules)?;
        visit(&mut states.tallies)
    }
}

impl Operator for ApplyRules {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.states = Some(States {
            rules: BroadcastState::new("rules", info.instance),
            tallies: KeyedTable::new("tallies", info.key_groups, info.max_parallelism),
        });
        Ok(())
    }

    fn on_batch(&mut self, input: usize, mut batch: Batch, _context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(states) = &mut self.states else { return Ok(()) };
        if input == 1 {
            for record in batch.take_rows::<Rule>()? {
                states.rules.insert(record.value.0, record.value.1);
            }
            return Ok(());
        }
        for record in batch.take_rows::<Event>()? {
            let event = record.value;
            let tally = states.tallies.entry_or_insert_with(event.key.stable_hash(), &event.key, || (0, 0));
            tally.0 += 1;
            tally.1 += event.value;
        }
        Ok(())
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let Some(states) = &mut self.states else { return Ok(Progress::Done) };
        let factor: i64 = states.rules.iter().map(|(_, value)| value).sum();
        let tallies = states.tallies.drain();
        let rows: Vec<_> = tallies
            .map(|(key, (count, sum))| row(self.branch, Kind::Total, key, 0, (count, sum * factor)))
            .collect();
        for part in rows.chunks(context.batch_rows_max().max(1)) {
            context.emit_rows(0, part.to_vec(), 0)?;
        }
        Ok(Progress::Done)
    }
}
