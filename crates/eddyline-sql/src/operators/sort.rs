//! ORDER BY: rows wait for the watermark if they are ordered by time, else for the end.

use super::batches::{Incoming, Outgoing, flush};
use super::rank::RankSpec;
use crate::row::{RowBytes, kind, row_bytes, views_of};
use eddyline_core::{Batch, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{ManagedState, OperatorListState};
use std::collections::BTreeMap;

/// A time, a sort key and the rows that have them; without rows, the time of those that left last.
type Waiting = (i64, (Vec<u8>, Vec<Vec<u8>>));

pub(crate) struct SortOperator {
    /// Only the order of it is used.
    spec: RankSpec,
    /// The rowtime column and its units per millisecond, if rows leave when the watermark has passed them.
    time: Option<(usize, i64)>,
    rows: BTreeMap<(EventTime, Vec<u8>), Vec<RowBytes>>,
    /// The time of the rows that left last: as in Flink, a row behind the watermark is late only if it would have had to
    /// leave before them.
    last: EventTime,
    state: OperatorListState<Waiting>,
    out: Outgoing,
}

impl SortOperator {
    pub(crate) fn new(spec: RankSpec, time: Option<(usize, i64)>) -> Self {
        let out = Outgoing::new(&spec.output, false);
        let state = OperatorListState::list("rows", 0);
        SortOperator { spec, time, rows: BTreeMap::new(), last: EventTime::MIN, state, out }
    }

    fn give(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<()> {
        while let Some(first) = self.rows.first_entry() {
            if first.key().0 > until {
                break;
            }
            self.last = first.key().0;
            for row in first.remove() {
                self.out.push(kind::INSERT, &[&row])?;
                flush(&mut self.out, false, 0, context)?;
            }
        }
        flush(&mut self.out, true, 0, context)
    }
}

impl Stateful for SortOperator {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.state)
    }
}

impl Operator for SortOperator {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.state = OperatorListState::list("rows", context.info().instance);
        Ok(())
    }

    fn restored(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        for (time, (key, rows)) in std::mem::take(self.state.items_mut()) {
            if rows.is_empty() {
                self.last = self.last.max(time);
            } else {
                self.rows.entry((time, key)).or_default().extend(rows);
            }
        }
        Ok(())
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: eddyline_protocol::CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let waiting = self.rows.iter().map(|((time, key), rows)| (*time, (key.clone(), rows.clone())));
        let last = (self.last > EventTime::MIN).then(|| (self.last, (Vec::new(), Vec::new())));
        self.state.set(waiting.chain(last).collect());
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let mut late = 0;
        for row in 0..input.len() {
            let time = match self.time {
                Some((column, per_milli)) => match views[column].int(row) {
                    Some(time) => time.div_euclid(per_milli),
                    None => continue,
                },
                None => 0,
            };
            if self.time.is_some() && time <= self.last {
                late += 1;
                continue;
            }
            let key = (time, self.spec.sort_key(&views, row));
            let bytes = row_bytes(&views, row);
            if input.is_retraction(row) {
                if let Some(rows) = self.rows.get_mut(&key) {
                    if let Some(place) = rows.iter().position(|known| *known == bytes) {
                        rows.remove(place);
                    }
                    if rows.is_empty() {
                        self.rows.remove(&key);
                    }
                }
            } else {
                self.rows.entry(key).or_default().push(bytes);
            }
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.time.is_some() {
            self.give(watermark, context)?;
        }
        Ok(Progress::Done)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.give(EventTime::MAX, context)?;
        Ok(Progress::Done)
    }
}
