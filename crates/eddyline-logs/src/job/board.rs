//! Where the figures of a running log job come together.
//!
//! The sink has one instance. What it shows is up to date within a batch; what it keeps as state is part of every
//! checkpoint, so after a failure the board goes back to exactly what the restored checkpoint has seen.

use crate::summary::{HIGHLIGHTS_MAX, Session, Summary, top_paths};
use eddyline::{
    CheckpointId, Data, EventTime, ManagedState, Operator, OperatorContext, OperatorListState, Result,
    WATERMARK_MIN,
};
use eddyline_core::Batch;
use eddyline_runtime::Stateful;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something for the summary.
#[derive(Debug, Clone, Data)]
pub(super) enum Entry {
    /// Accesses of a minute with a status.
    Minute { minute: EventTime, status: u16, count: u64, bytes: u64 },
    /// Accesses that came too late for their minute.
    Late { status: u16, count: u64, bytes: u64 },
    /// Lines that are no accesses.
    Unparsed { count: u64 },
    /// A session has ended.
    Closed(Session),
    /// Accesses to a path.
    Path { path: String, count: u64 },
    /// Hashes of visitors' names.
    Visitors { hashes: Vec<u64> },
    /// Sums over sessions that are not kept one by one.
    Sums { sessions: u64, session_time_ms: u64 },
}

/// How many recently closed sessions are shown.
const RECENT_MAX: usize = 8;

/// The figures so far.
#[derive(Debug, Clone, Default)]
pub struct BoardView {
    /// The summary so far; of minutes and sessions, what has been closed.
    pub summary: Summary,
    /// Sessions closed of late, latest first.
    pub recent_sessions: Vec<Session>,
    /// The latest minute that was closed.
    pub latest: EventTime,
}

#[derive(Debug, Default)]
struct Figures {
    summary: Summary,
    paths: BTreeMap<String, u64>,
    /// Bytes and counts per minute and status, for the state.
    minutes: BTreeMap<(EventTime, u16), (u64, u64)>,
    late_status: BTreeMap<u16, (u64, u64)>,
    recent: VecDeque<Session>,
    /// The stable hash of each visitor: names would take several times the room.
    visitors: BTreeSet<u64>,
}

/// What the summary sink shows to the rest of the program.
#[derive(Debug, Default)]
pub struct Board(Mutex<Figures>);

impl Board {
    /// The figures so far.
    pub fn view(&self) -> BoardView {
        let figures = self.lock();
        let mut summary = figures.summary.clone();
        summary.highlights.visitors = figures.visitors.len() as u64;
        summary.highlights.top_paths =
            top_paths(figures.paths.iter().map(|(path, count)| (path.as_str(), *count)), HIGHLIGHTS_MAX);
        BoardView {
            recent_sessions: figures.recent.iter().cloned().collect(),
            latest: figures.minutes.last_key_value().map_or(WATERMARK_MIN, |((minute, _), _)| *minute),
            summary,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    fn add(&mut self, entry: Entry) {
        let summary = &mut self.summary;
        match entry {
            Entry::Minute { minute, status, count, bytes } => {
                summary.lines += count;
                summary.bytes = summary.bytes.saturating_add(bytes);
                *summary.status.entry(status).or_default() += count;
                summary.highlights.add_minute(minute, status, count);
                let kept = self.minutes.entry((minute, status)).or_default();
                *kept = (kept.0 + count, kept.1.saturating_add(bytes));
            }
            Entry::Late { status, count, bytes } => {
                summary.lines += count;
                summary.late += count;
                summary.bytes = summary.bytes.saturating_add(bytes);
                *summary.status.entry(status).or_default() += count;
                let kept = self.late_status.entry(status).or_default();
                *kept = (kept.0 + count, kept.1.saturating_add(bytes));
            }
            Entry::Unparsed { count } => {
                summary.lines += count;
                summary.unparsed += count;
            }
            Entry::Closed(session) => {
                summary.sessions += 1;
                summary.highlights.add_session(&session);
                self.visitors.insert(session.host.stable_hash());
                self.recent.push_front(session);
                self.recent.truncate(RECENT_MAX);
            }
            Entry::Visitors { hashes } => self.visitors.extend(hashes),
            Entry::Path { path, count } => *self.paths.entry(path).or_default() += count,
            Entry::Sums { sessions, session_time_ms } => {
                summary.sessions += sessions;
                summary.highlights.session_time_ms += session_time_ms;
            }
        }
    }

    /// Everything there is, as few entries that add up to the same figures.
    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for ((minute, status), (count, bytes)) in &self.minutes {
            entries.push(Entry::Minute { minute: *minute, status: *status, count: *count, bytes: *bytes });
        }
        for (status, (count, bytes)) in &self.late_status {
            entries.push(Entry::Late { status: *status, count: *count, bytes: *bytes });
        }
        entries.push(Entry::Unparsed { count: self.summary.unparsed });
        for (path, count) in &self.paths {
            entries.push(Entry::Path { path: path.clone(), count: *count });
        }
        let kept = &self.summary.highlights.busiest_sessions;
        entries.extend(kept.iter().cloned().map(Entry::Closed));
        let kept_time: u64 = kept.iter().map(|session| session.duration_ms().unsigned_abs()).sum();
        entries.push(Entry::Visitors { hashes: self.visitors.iter().copied().collect() });
        entries.push(Entry::Sums {
            sessions: self.summary.sessions - kept.len() as u64,
            session_time_ms: self.summary.highlights.session_time_ms.saturating_sub(kept_time),
        });
        entries
    }
}

/// Adds everything up.
pub(super) struct SummarySink {
    board: Arc<Board>,
    kept: Option<OperatorListState<Entry>>,
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
        let mut figures = Figures::default();
        for entry in self.kept.iter().flat_map(|kept| kept.items()) {
            figures.add(entry.clone());
        }
        figures.recent.clear();
        *self.board.lock() = figures;
        Ok(())
    }

    fn on_batch(
        &mut self,
        _input: usize,
        mut batch: Batch,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let mut figures = self.board.lock();
        for record in batch.take_rows::<Entry>()? {
            figures.add(record.value);
        }
        Ok(())
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let entries = self.board.lock().entries();
        if let Some(kept) = &mut self.kept {
            kept.set(entries);
        }
        Ok(())
    }
}
