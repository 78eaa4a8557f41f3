//! The wrapper that makes a [`SplitSource`] a source of the runtime.

use super::splits::Splits;
use super::{SourceContext, SplitId, SplitOutput, SplitSource};
use crate::watermark::WatermarkStrategy;
use crate::watermark::alignment::AlignmentGroups;
use eddyline_core::{Data, EventTime, Record, Result, WATERMARK_MIN};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::operator::Source;
use eddyline_runtime::{OperatorContext, SourceStatus, Stateful};
use eddyline_state::{ManagedState, OperatorListState};

/// After a poll that had more to give, at most so much of the time until the next one counts as silence, as the
/// source may have been kept from reading.
const BLOCKED_MICROS_COUNTED_MAX: u64 = 10_000;
/// How often a source that waits for others looks whether they have caught up.
const ALIGNMENT_CHECK_MS: i64 = 20;
/// The state that keeps what splits have promised; sources cannot have a state of that name.
const PROMISES_STATE: &str = "__split-watermarks";

/// What the environment says to its sources.
#[derive(Clone, Default)]
pub(crate) struct SourceSettings {
    pub(crate) groups: AlignmentGroups,
    /// Least time between two watermarks; 0: one per batch.
    pub(crate) watermark_interval_ms: i64,
}

/// One instance of a source: reads splits, assigns timestamps, generates watermarks.
pub(crate) struct SourceOperator<T: Data, S> {
    source: S,
    strategy: WatermarkStrategy<T>,
    settings: SourceSettings,
    aligned_with: Vec<usize>,
    splits: Splits<T>,
    promises: OperatorListState<(SplitId, EventTime)>,
    rows: Vec<Record<T>>,
    last_poll_micros: u64,
    last_status: SourceStatus,
    reported: (EventTime, bool),
    next_report_ms: i64,
}

impl<T: Data, S: SplitSource<T>> SourceOperator<T, S> {
    pub(crate) fn new(source: S, strategy: WatermarkStrategy<T>, settings: SourceSettings) -> Self {
        SourceOperator {
            source,
            strategy,
            settings,
            aligned_with: Vec::new(),
            splits: Splits::new(),
            promises: OperatorListState::union(PROMISES_STATE, 0),
            rows: Vec::new(),
            last_poll_micros: 0,
            last_status: SourceStatus::Ready,
            reported: (WATERMARK_MIN, false),
            next_report_ms: 0,
        }
    }

    /// Counts the time since the last poll as silence, as far as the source was able to read; asks to be called when
    /// the next split would become idle.
    fn count_silence(&mut self, context: &mut OperatorContext<'_>) {
        let now = context.clock().monotonic_micros();
        let passed = now.saturating_sub(self.last_poll_micros);
        self.last_poll_micros = now;
        let counted = match self.last_status {
            SourceStatus::Pending => passed,
            _ => passed.min(BLOCKED_MICROS_COUNTED_MAX),
        };
        if let Some(left) = self.splits.pass(counted, self.strategy.idleness_micros) {
            let left_ms = i64::try_from(left.div_ceil(1_000)).unwrap_or(i64::MAX);
            context.wake_at(context.processing_time_ms().saturating_add(left_ms));
        }
    }

    /// Decides which splits have to wait for other sources; answers whether all have to.
    fn align(&mut self, context: &mut OperatorContext<'_>) -> bool {
        let Some(alignment) = &self.strategy.alignment else { return false };
        // Whoever has been idle has no say in the group's watermark yet, and must get going before it can wait.
        let limit = if self.reported.1 {
            EventTime::MAX
        } else {
            let least = context.aligned_watermark(&self.aligned_with);
            least.saturating_add(alignment.max_drift_ms)
        };
        if self.splits.pause_beyond(limit) {
            context.wake_at(context.processing_time_ms() + ALIGNMENT_CHECK_MS);
        }
        self.splits.all_paused()
    }

    /// Reports the watermark, at once or when the interval between two watermarks has passed.
    fn report(&mut self, context: &mut OperatorContext<'_>) {
        let news = self.splits.watermark();
        if news == self.reported {
            return;
        }
        let interval_ms = self.settings.watermark_interval_ms;
        if interval_ms > 0 && news.1 == self.reported.1 {
            let now_ms = context.processing_time_ms();
            // A wall clock that was set back must not silence the source.
            let next_ms = self.next_report_ms.min(now_ms.saturating_add(interval_ms));
            if now_ms < next_ms {
                context.wake_at(next_ms);
                return;
            }
            self.next_report_ms = now_ms.saturating_add(interval_ms);
        }
        self.reported = news;
        context.set_watermark(news.0, news.1);
    }

    fn emit(&mut self, created_micros: u64, context: &mut OperatorContext<'_>) -> Result<()> {
        let rows_max = context.batch_rows_max().max(1);
        let mut rows = std::mem::take(&mut self.rows);
        while rows.len() > rows_max {
            let rest = rows.split_off(rows_max);
            context.emit_rows(0, std::mem::replace(&mut rows, rest), created_micros)?;
        }
        context.emit_rows(0, rows, created_micros)
    }
}

impl<T: Data, S: SplitSource<T>> Stateful for SourceOperator<T, S> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.promises)?;
        self.source.visit_states(visit)
    }
}

impl<T: Data, S: SplitSource<T>> Source for SourceOperator<T, S> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.promises = OperatorListState::union(PROMISES_STATE, context.info().instance);
        if let Some(alignment) = &self.strategy.alignment {
            self.aligned_with = self.settings.groups.members(&alignment.group);
        }
        self.source.open(&mut SourceContext::new(context))
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.splits.restore(self.promises.items());
        self.last_poll_micros = context.clock().monotonic_micros();
        self.source.restored(&mut SourceContext::new(context))
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        self.count_silence(context);
        if self.align(context) {
            self.last_status = SourceStatus::Ready;
            self.report(context);
            return Ok(SourceStatus::Pending);
        }
        let mut out = SplitOutput {
            rows: &mut self.rows,
            splits: &mut self.splits,
            strategy: &self.strategy,
            rows_max: context.batch_rows_max().max(1),
            created_micros: 0,
            run: None,
        };
        let status = self.source.poll(&mut out, &mut SourceContext::new(context))?;
        out.end_run();
        let created_micros = out.created_micros;
        self.emit(created_micros, context)?;
        self.report(context);
        self.last_status = status;
        Ok(status)
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        self.promises.set(self.splits.promises(context.info().instance == 0));
        self.source.before_snapshot(checkpoint, &mut SourceContext::new(context))
    }

    fn on_commit(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        self.source.on_commit(checkpoint, &mut SourceContext::new(context))
    }

    fn close(&mut self) {
        self.source.close();
    }
}
