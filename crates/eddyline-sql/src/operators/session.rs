//! Sessions: windows that end when a key has had no row for a while.
//!
//! What a session holds until it is over is either its rows ([`SessionRows`]), or what is known of all of them together
//! ([`SessionGroups`]): an aggregation by session keeps a group per session and no rows.

use super::Settings;
use super::aggregate::{AggregateSpec, Group, encode_columns};
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::failed;
use super::sliced::{WindowColumn, encode_window};
use super::stored::{Firing, Next, hashes_of, keyed_table};
use super::window::window_millis;
use crate::row::{ColumnView, RowBytes, encode_row, kind, views_of};
use crate::types::SqlType;
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::ops::Range;

/// A session and what it holds.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct Session<C: Data> {
    start: i64,
    end: i64,
    content: C,
}

impl<C: Data> Session<C> {
    /// Sessions that overlap, or touch, are one.
    fn touches(&self, start: i64, end: i64) -> bool {
        self.start <= end && start <= self.end
    }
}

/// What sessions hold, and what they give when they are over.
pub(crate) trait SessionContent: Send + 'static {
    type Content: Data;

    /// What a session without rows holds.
    fn create(&self) -> Self::Content;

    /// Takes a row in.
    fn add(
        &mut self,
        content: &mut Self::Content,
        input: &Incoming,
        views: &[ColumnView<'_>],
        row: usize,
    ) -> Result<()>;

    /// Takes in what a session that turned out to be the same holds.
    fn merge(&self, content: &mut Self::Content, other: Self::Content);

    /// Gives the session of `key` from `start` to `end`; `ready` passes on what is enough for a batch.
    fn give(
        &self,
        key: &RowBytes,
        window: (i64, i64),
        content: &Self::Content,
        out: &mut Outgoing,
        ready: &mut dyn FnMut(&mut Outgoing) -> Result<()>,
    ) -> Result<()>;
}

/// How rows belong to sessions.
#[derive(Clone)]
pub(crate) struct SessionSpec {
    /// Milliseconds.
    pub(crate) gap: i64,
    pub(crate) time: usize,
    pub(crate) time_type: SqlType,
    pub(crate) partition: Vec<usize>,
    /// The types of all columns of the result.
    pub(crate) output: Vec<SqlType>,
    pub(crate) updating: bool,
    pub(crate) processing_time: bool,
    pub(crate) settings: Settings,
}

/// Assigns rows to sessions.
pub(crate) struct Sessions<H: SessionContent> {
    spec: SessionSpec,
    content: H,
    sessions: KeyedTable<RowBytes, Vec<Session<H::Content>>>,
    timers: TimerTable<RowBytes>,
    firing: Firing,
    out: Outgoing,
}

impl<H: SessionContent> Sessions<H> {
    pub(crate) fn new(spec: SessionSpec, content: H) -> Self {
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        Sessions {
            sessions: KeyedTable::new("sessions", range, 1),
            timers: TimerTable::new("ends", range, 1),
            firing: Firing::default(),
            out: Outgoing::new(&spec.output, spec.updating),
            spec,
            content,
        }
    }

    /// Gives all sessions that end at `until` or before.
    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let progress = loop {
            let timer = match self.firing.next(&mut self.timers, until, [&mut self.sessions], context)? {
                Next::Timer(timer) => timer,
                Next::None => break Progress::Done,
                Next::Waiting => break Progress::Waiting,
            };
            let hash = hash_of(&timer.key);
            let Some(sessions) = self.sessions.get_mut(hash, &timer.key) else { continue };
            let over: Vec<_> = sessions.extract_if(.., |session| session.end <= timer.time).collect();
            let is_empty = sessions.is_empty();
            if is_empty {
                self.sessions.remove(hash, &timer.key);
            }
            for session in over {
                let window = (session.start, session.end);
                let mut ready = |out: &mut Outgoing| flush(out, false, 0, context);
                self.content.give(&timer.key, window, &session.content, &mut self.out, &mut ready)?;
            }
        };
        flush(&mut self.out, true, 0, context)?;
        Ok(progress)
    }

    /// Puts a row at `time` into its session; answers the session's end, or none if the row is late.
    fn take_in(
        &mut self,
        key: &RowBytes,
        time: i64,
        closed: EventTime,
        (input, views, row): (&Incoming, &[ColumnView<'_>], usize),
    ) -> Result<Option<i64>> {
        let hash = hash_of(key);
        let (first, last) = (time, time + self.spec.gap);
        let known = self.sessions.get_mut(hash, key);
        let place =
            known.as_ref().and_then(|all| all.iter().position(|session| session.touches(first, last)));
        if place.is_none() && last <= closed {
            return Ok(None);
        }
        let sessions = match known {
            Some(sessions) => sessions,
            None => self.sessions.entry_or_insert_with(hash, key, Vec::new),
        };
        let Some(place) = place else {
            let mut content = self.content.create();
            self.content.add(&mut content, input, views, row)?;
            sessions.push(Session { start: first, end: last, content });
            self.timers.register(last, hash, key, 0);
            return Ok(Some(last));
        };
        let ended = sessions[place].end;
        sessions[place].start = sessions[place].start.min(first);
        sessions[place].end = ended.max(last);
        // Mostly there is no other one that it touches now.
        let mut other = place + 1;
        while other < sessions.len() {
            if !sessions[other].touches(first, last) {
                other += 1;
                continue;
            }
            let merged = sessions.remove(other);
            self.timers.delete(merged.end, hash, key, 0);
            let session = &mut sessions[place];
            session.start = session.start.min(merged.start);
            session.end = session.end.max(merged.end);
            self.content.merge(&mut session.content, merged.content);
        }
        let session = &mut sessions[place];
        self.content.add(&mut session.content, input, views, row)?;
        if session.end != ended {
            self.timers.delete(ended, hash, key, 0);
            self.timers.register(session.end, hash, key, 0);
        }
        Ok(Some(session.end))
    }
}

impl<H: SessionContent> Stateful for Sessions<H> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.sessions)?;
        visit(&mut self.timers)
    }
}

impl<H: SessionContent> Operator for Sessions<H> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.sessions = keyed_table("sessions", &self.spec.settings, context)?;
        self.timers = TimerTable::new("ends", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.spec.updating, &self.spec.partition, rows)
    }

    fn accepts_input(&self) -> bool {
        self.firing.accepts_input()
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        if self.spec.processing_time
            && let Some(end) = self.timers.next_time()
        {
            context.wake_at(self.spec.settings.instant_of(end));
        }
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.spec.updating)?;
        let views = views_of(input.rows.columns());
        let by_watermark = !self.spec.processing_time && !self.spec.settings.batch;
        let closed = if by_watermark {
            self.spec.settings.ends_closed_by(context.watermark())
        } else {
            EventTime::MIN
        };
        let mut late = 0;
        let mut key = RowBytes::new();
        for row in 0..input.len() {
            let (time, kind) = (&views[self.spec.time], &self.spec.time_type.kind);
            let Some(time) = window_millis(time, row, kind, &self.spec.settings) else {
                return Err(failed("SessionWindow", "the time column of a row is NULL".into()));
            };
            key.clear();
            encode_columns(&views, &self.spec.partition, row, &mut key);
            match self.take_in(&key, time, closed, (&input, &views, row))? {
                None => late += 1,
                Some(end) if self.spec.processing_time => {
                    context.wake_at(self.spec.settings.instant_of(end));
                }
                Some(_) => {}
            }
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.spec.processing_time {
            return Ok(Progress::Done);
        }
        self.fire(self.spec.settings.ends_closed_by(watermark), context)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.spec.processing_time {
            return Ok(Progress::Done);
        }
        let progress = self.fire(self.spec.settings.clock_of(now_ms), context)?;
        if progress == Progress::Done
            && let Some(end) = self.timers.next_time()
        {
            context.wake_at(self.spec.settings.instant_of(end));
        }
        Ok(progress)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.spec.processing_time {
            return Ok(Progress::Done);
        }
        self.fire(EventTime::MAX, context)
    }
}

/// Sessions hold their rows, and give them with the columns of the window.
pub(crate) struct SessionRows {
    pub(crate) window_time: SqlType,
    pub(crate) settings: Settings,
}

impl SessionContent for SessionRows {
    /// Rows in the order in which they came; the last byte of each says what it means.
    type Content = Vec<Vec<u8>>;

    fn create(&self) -> Self::Content {
        Vec::new()
    }

    fn add(
        &mut self,
        content: &mut Self::Content,
        input: &Incoming,
        views: &[ColumnView<'_>],
        row: usize,
    ) -> Result<()> {
        let mut bytes = Vec::with_capacity(views.len() * 10);
        encode_row(views, row, &mut bytes);
        bytes.push(input.kind(row) as u8);
        content.push(bytes);
        Ok(())
    }

    fn merge(&self, content: &mut Self::Content, other: Self::Content) {
        content.extend(other);
    }

    fn give(
        &self,
        _key: &RowBytes,
        window: (i64, i64),
        content: &Self::Content,
        out: &mut Outgoing,
        ready: &mut dyn FnMut(&mut Outgoing) -> Result<()>,
    ) -> Result<()> {
        let columns = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time];
        let window = encode_window(&columns, window, &self.window_time, &self.settings);
        for row in content {
            let (bytes, meaning) = row.split_at(row.len() - 1);
            out.push(meaning[0] as i8, &[bytes, &window])?;
            ready(out)?;
        }
        Ok(())
    }
}

/// Sessions hold a group of an aggregation.
pub(crate) struct SessionGroups {
    /// Without the columns of the window among the keys.
    pub(crate) aggregate: AggregateSpec,
    /// The columns of the window in the result before and behind the keys.
    pub(crate) before: Vec<WindowColumn>,
    pub(crate) behind: Vec<WindowColumn>,
    pub(crate) window_time: SqlType,
    argument: RowBytes,
}

impl SessionGroups {
    pub(crate) fn new(
        aggregate: AggregateSpec,
        before: Vec<WindowColumn>,
        behind: Vec<WindowColumn>,
        window_time: SqlType,
    ) -> Self {
        SessionGroups { aggregate, before, behind, window_time, argument: RowBytes::new() }
    }
}

impl SessionContent for SessionGroups {
    type Content = Group;

    fn create(&self) -> Group {
        self.aggregate.create()
    }

    fn add(
        &mut self,
        content: &mut Group,
        input: &Incoming,
        views: &[ColumnView<'_>],
        row: usize,
    ) -> Result<()> {
        self.aggregate.add(content, views, row, input.is_retraction(row), &mut self.argument)
    }

    fn merge(&self, content: &mut Group, other: Group) {
        self.aggregate.merge(content, &other);
    }

    fn give(
        &self,
        key: &RowBytes,
        window: (i64, i64),
        content: &Group,
        out: &mut Outgoing,
        ready: &mut dyn FnMut(&mut Outgoing) -> Result<()>,
    ) -> Result<()> {
        let columns = |columns: &[WindowColumn]| {
            encode_window(columns, window, &self.window_time, &self.aggregate.settings)
        };
        let mut results = RowBytes::new();
        self.aggregate.encode_results(content, &mut results);
        out.push(kind::INSERT, &[&columns(&self.before), key, &columns(&self.behind), &results])?;
        ready(out)
    }
}
