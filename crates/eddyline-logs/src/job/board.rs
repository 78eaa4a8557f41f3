//! Where the figures of a running log job come together, and the sink that brings them there.
//!
//! The sink has one instance. What it shows is up to date within a batch; what it keeps as state is part of every
//! checkpoint, so after a failure the board goes back to exactly what the restored checkpoint has seen.

use super::dispatch::Dimension;
use super::ledger::{Entry, Kept, Ledger};
use super::totals::Figures;
use crate::detect::Alert;
use crate::summary::{HIGHLIGHTS_MAX, PathCount, Session, Summary, top_paths};
use eddyline::{
    CheckpointId, EventTime, ManagedState, Operator, OperatorContext, OperatorListState, Progress, Result,
    WATERMARK_MIN,
};
use eddyline_core::Batch;
use eddyline_runtime::Stateful;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The windows that the job computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowKind {
    /// Of a minute each.
    Minute,
    /// Of five minutes, one every ten seconds.
    Sliding,
    /// From midnight (UTC) to the latest minute.
    Day,
}

impl WindowKind {
    /// The name by which windows are asked for.
    pub fn name(self) -> &'static str {
        match self {
            WindowKind::Minute => "minute",
            WindowKind::Sliding => "sliding",
            WindowKind::Day => "day",
        }
    }
}

/// The figures so far.
#[derive(Debug, Clone, Default)]
pub struct BoardView {
    /// The summary so far; of minutes and sessions, what has been closed.
    pub summary: Summary,
    /// Sessions closed of late, latest first.
    pub recent_sessions: Vec<Session>,
    /// Alerts, the latest first.
    pub alerts: Vec<Alert>,
    /// The latest minute that was closed.
    pub latest: EventTime,
}

/// Lines that could not be read, by reason, and the latest of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// How many lines, by reason.
    pub reasons: BTreeMap<String, u64>,
    /// The latest: file, offset in bytes, reason.
    pub latest: Vec<(String, u64, String)>,
}

/// Is called when there is a new alert, or a new revision of one.
type Listener = Box<dyn Fn() + Send + Sync>;

/// What the summary sink shows to the rest of the program.
#[derive(Default)]
pub struct Board {
    ledger: Mutex<Ledger>,
    listeners: Mutex<Vec<Listener>>,
}

impl Board {
    /// The figures so far, for a person.
    pub fn view(&self) -> BoardView {
        let ledger = self.lock();
        let mut summary = ledger.summary.clone();
        summary.highlights.visitors = ledger.visitors.count();
        let counts = ledger.paths.iter().map(|(path, count)| (path.as_str(), *count));
        summary.highlights.top_paths = top_paths(counts, HIGHLIGHTS_MAX);
        BoardView {
            recent_sessions: ledger.sessions.iter().take(8).cloned().collect(),
            alerts: ledger.alerts.iter().rev().cloned().collect(),
            latest: ledger.minutes.last_key_value().map_or(WATERMARK_MIN, |(minute, _)| *minute),
            summary,
        }
    }

    /// The sums so far, without what only people want to see.
    pub fn sums(&self) -> Summary {
        let ledger = self.lock();
        let summary = &ledger.summary;
        Summary { status: summary.status.clone(), highlights: Default::default(), ..*summary }
    }

    /// Whether everything that was read is counted. Where a job is suspended, it is not: minutes and sessions are open.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Windows that begin within `range`, the latest `limit` of them, in the order of time.
    pub fn windows(&self, kind: WindowKind, range: Range<EventTime>, limit: usize) -> Vec<Figures> {
        if range.is_empty() {
            return Vec::new();
        }
        let ledger = self.lock();
        let mut found: Vec<Figures> =
            ledger.windows(kind).range(range).rev().take(limit).map(|(_, figures)| figures.clone()).collect();
        found.reverse();
        found
    }

    /// The most frequent values of the last `minutes` minutes that are closed.
    pub fn top(&self, dimension: Dimension, minutes: usize, limit: usize) -> Vec<PathCount> {
        let ledger = self.lock();
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        let tops = ledger.tops.iter().rev().filter(|((_, of), _)| *of == dimension).take(minutes);
        for (value, count) in tops.flat_map(|(_, top)| top) {
            *sums.entry(value).or_default() += count;
        }
        top_paths(sums, limit)
    }

    /// Sessions closed of late, latest first.
    pub fn sessions(&self, limit: usize) -> Vec<Session> {
        self.lock().sessions.iter().take(limit).cloned().collect()
    }

    /// Alerts, latest first.
    pub fn alerts(&self) -> Vec<Alert> {
        self.lock().alerts.iter().rev().cloned().collect()
    }

    /// What could not be read.
    pub fn unreadable(&self) -> Unreadable {
        self.lock().unreadable.clone()
    }

    /// The number of the next change to alerts.
    pub fn next_alert_change(&self) -> u64 {
        self.lock().changes.next
    }

    /// The changes to alerts from number `from` on; none if some of them are not kept any more.
    pub fn alert_changes(&self, from: u64) -> Option<Vec<(u64, Alert)>> {
        self.lock().changes.since(from)
    }

    /// Has `listener` called when there are changes to alerts. It must not wait.
    pub fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|listener| listener());
    }
}

/// Adds everything up.
pub(super) struct SummarySink {
    board: Arc<Board>,
    kept: Option<OperatorListState<Kept>>,
}

impl SummarySink {
    pub(super) fn new(board: Arc<Board>) -> Self {
        SummarySink { board, kept: None }
    }
}

impl Stateful for SummarySink {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.kept.as_mut().map_or(Ok(()), |kept| visit(kept))
    }
}

impl Operator for SummarySink {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.kept = Some(OperatorListState::list("figures", context.info().instance));
        Ok(())
    }

    fn restored(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        let mut ledger = Ledger::default();
        for kept in self.kept.iter().flat_map(|kept| kept.items()) {
            ledger.restore(kept.clone());
        }
        let mut shown = self.board.lock();
        // Who listens has seen changes up to here, whatever the restored checkpoint knows.
        ledger.changes.next = shown.changes.next;
        *shown = ledger;
        Ok(())
    }

    fn on_batch(
        &mut self,
        _input: usize,
        mut batch: Batch,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let mut ledger = self.board.lock();
        let before = ledger.changes.next;
        for record in batch.take_rows::<Entry>()? {
            ledger.add(record.value);
        }
        let has_changed = ledger.changes.next != before;
        drop(ledger);
        if has_changed {
            self.board.tell();
        }
        Ok(())
    }

    fn on_end(&mut self, _context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.board.lock().ended = true;
        Ok(Progress::Done)
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let kept = self.board.lock().keep();
        if let Some(state) = &mut self.kept {
            state.set(kept);
        }
        Ok(())
    }
}
