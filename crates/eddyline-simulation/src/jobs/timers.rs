//! Windows by hand: keyed state, a timer per key and window, and a total per key at the end.

use super::rows::{Event, Kind};
use super::windows::{Tally, row, window_end};
use eddyline_core::data::Data;
use eddyline_core::{Batch, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::collections::BTreeMap;

struct States {
    open: KeyedTable<u64, BTreeMap<i64, Tally>>,
    totals: KeyedTable<u64, Tally>,
    timers: TimerTable<u64>,
}

/// The operator.
pub struct Timers {
    branch: u32,
    states: Option<States>,
}

impl Timers {
    /// For branch number `branch`.
    pub fn new(branch: u32) -> Self {
        Timers { branch, states: None }
    }
}

impl Stateful for Timers {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let Some(states) = &mut self.states else { return Ok(()) };
        visit(&mut states.open)?;
        visit(&mut states.totals)?;
        visit(&mut states.timers)
    }
}

impl Operator for Timers {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let (range, groups) = (context.info().key_groups, context.info().max_parallelism);
        self.states = Some(States {
            open: KeyedTable::new("open", range, groups),
            totals: KeyedTable::new("totals", range, groups),
            timers: TimerTable::new("timers", range, groups),
        });
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(states) = &mut self.states else { return Ok(()) };
        let mut late = Vec::new();
        for record in batch.take_rows::<Event>()? {
            let (event, end) = (record.value, window_end(record.timestamp));
            let hash = event.key.stable_hash();
            let total = states.totals.entry_or_insert_with(hash, &event.key, || (0, 0));
            total.0 += 1;
            total.1 += event.value;
            if end <= context.watermark() {
                late.push(row(self.branch, Kind::Late, event.key, end, (1, event.value)));
                continue;
            }
            let open = states.open.entry_or_insert_with(hash, &event.key, BTreeMap::new);
            let tally = open.entry(end).or_default();
            tally.0 += 1;
            tally.1 += event.value;
            states.timers.register(end, hash, &event.key, end);
        }
        context.emit_rows(0, late, batch.created_micros)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let Some(states) = &mut self.states else { return Ok(Progress::Done) };
        let mut rows = Vec::new();
        while rows.len() < context.batch_rows_max()
            && let Some(timer) = states.timers.pop_due(watermark)
        {
            let hash = timer.key.stable_hash();
            let Some(open) = states.open.get_mut(hash, &timer.key) else { continue };
            let tally = open.remove(&timer.namespace);
            if open.is_empty() {
                states.open.remove(hash, &timer.key);
            }
            rows.extend(tally.map(|tally| row(self.branch, Kind::Window, timer.key, timer.namespace, tally)));
        }
        context.emit_rows(0, rows, 0)?;
        let more = states.timers.next_time().is_some_and(|next| next <= watermark);
        Ok(if more { Progress::More } else { Progress::Done })
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let Some(states) = &mut self.states else { return Ok(Progress::Done) };
        let totals = states.totals.drain();
        let rows: Vec<_> = totals.map(|(key, tally)| row(self.branch, Kind::Total, key, 0, tally)).collect();
        for part in rows.chunks(context.batch_rows_max().max(1)) {
            context.emit_rows(0, part.to_vec(), 0)?;
        }
        Ok(Progress::Done)
    }
}
