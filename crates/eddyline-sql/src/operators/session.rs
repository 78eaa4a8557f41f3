//! Assigning rows to sessions: rows wait until their session is over.

use super::aggregate::encode_columns;
use super::batches::{Incoming, Outgoing, flush, hash_of};
use super::stored::{Firing, Next, hashes_of, keyed_table};
use super::window::{window_millis, window_time_of};
use super::{Settings, failed};
use crate::row::{RowBytes, Value, encode_values, row_bytes, views_of};
use crate::types::SqlType;
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::ops::Range;

/// A session and its rows, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) struct Session {
    start: i64,
    end: i64,
    rows: Vec<Vec<u8>>,
}

pub(crate) struct SessionAssign {
    gap: i64,
    time: usize,
    time_type: SqlType,
    partition: Vec<usize>,
    window_time: SqlType,
    updating: bool,
    processing_time: bool,
    settings: Settings,
    sessions: KeyedTable<RowBytes, Vec<Session>>,
    timers: TimerTable<RowBytes>,
    firing: Firing,
    out: Outgoing,
}

/// What a session operator works with.
pub(crate) struct SessionSpec {
    pub(crate) gap: i64,
    pub(crate) time: usize,
    pub(crate) partition: Vec<usize>,
    pub(crate) input: Vec<SqlType>,
    /// The types of all columns, those of the window included.
    pub(crate) output: Vec<SqlType>,
    pub(crate) updating: bool,
    pub(crate) processing_time: bool,
    pub(crate) settings: Settings,
}

impl SessionAssign {
    pub(crate) fn new(spec: &SessionSpec) -> Self {
        let range = eddyline_core::KeyGroupRange { start: 0, end: 1 };
        SessionAssign {
            gap: spec.gap,
            time: spec.time,
            time_type: spec.input[spec.time].clone(),
            partition: spec.partition.clone(),
            window_time: spec.output[spec.output.len() - 1].clone(),
            updating: spec.updating,
            processing_time: spec.processing_time,
            settings: spec.settings.clone(),
            sessions: KeyedTable::new("sessions", range, 1),
            timers: TimerTable::new("ends", range, 1),
            firing: Firing::default(),
            out: Outgoing::new(&spec.output, spec.updating),
        }
    }

    /// Gives the rows of all sessions that end at `until` or before.
    fn fire(&mut self, until: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let progress = loop {
            let timer = match self.firing.next(&mut self.timers, until, [&mut self.sessions], context)? {
                Next::Timer(timer) => timer,
                Next::None => break Progress::Done,
                Next::Waiting => break Progress::Waiting,
            };
            let hash = hash_of(&timer.key);
            let Some(sessions) = self.sessions.get_mut(hash, &timer.key) else { continue };
            let over: Vec<Session> = sessions.extract_if(.., |session| session.end <= timer.time).collect();
            let is_empty = sessions.is_empty();
            if is_empty {
                self.sessions.remove(hash, &timer.key);
            }
            for session in over {
                let window = encode_values(&[
                    Value::Int(session.start * 1_000),
                    Value::Int(session.end * 1_000),
                    Value::Int(window_time_of(session.end, &self.window_time.kind, &self.settings)),
                ]);
                for row in &session.rows {
                    // The last byte says what the row means.
                    let (bytes, meaning) = row.split_at(row.len() - 1);
                    self.out.push(meaning[0] as i8, &[bytes, &window])?;
                    flush(&mut self.out, false, 0, context)?;
                }
            }
        };
        flush(&mut self.out, true, 0, context)?;
        Ok(progress)
    }
}

impl Stateful for SessionAssign {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.sessions)?;
        visit(&mut self.timers)
    }
}

impl Operator for SessionAssign {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.sessions = keyed_table("sessions", &self.settings, context)?;
        self.timers = TimerTable::new("ends", info.key_groups, info.max_parallelism);
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, self.updating, &self.partition, rows)
    }

    fn accepts_input(&self) -> bool {
        self.firing.accepts_input()
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        if self.processing_time
            && let Some(end) = self.timers.next_time()
        {
            context.wake_at(self.settings.instant_of(end));
        }
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let views = views_of(input.rows.columns());
        let by_watermark = !self.processing_time && !self.settings.batch;
        let closed =
            if by_watermark { self.settings.ends_closed_by(context.watermark()) } else { EventTime::MIN };
        let mut late = 0;
        for row in 0..input.len() {
            let Some(time) = window_millis(&views[self.time], row, &self.time_type.kind, &self.settings)
            else {
                return Err(failed("SessionWindow", "the time column of a row is NULL".into()));
            };
            let mut key = RowBytes::new();
            encode_columns(&views, &self.partition, row, &mut key);
            let hash = hash_of(&key);
            let mut bytes = row_bytes(&views, row);
            bytes.push(input.kind(row) as u8);
            let (mut start, mut end) = (time, time + self.gap);
            // Sessions that overlap, or touch, become one.
            let touches = |session: &Session| session.start <= end && start <= session.end;
            let known = self.sessions.get(hash, &key).map(|sessions| sessions.iter().any(touches));
            if known != Some(true) && end <= closed {
                late += 1;
                continue;
            }
            let sessions = self.sessions.entry_or_insert_with(hash, &key, Vec::new);
            let (first, last) = (start, end);
            let touched = |session: &Session| session.start <= last && first <= session.end;
            let mut rows = match sessions.iter().position(&touched) {
                // Mostly there is one at most: its rows stay where they are.
                Some(place) => {
                    let session = sessions.remove(place);
                    self.timers.delete(session.end, hash, &key, 0);
                    (start, end) = (start.min(session.start), end.max(session.end));
                    session.rows
                }
                None => Vec::new(),
            };
            for session in sessions.extract_if(.., |session| touched(session)) {
                self.timers.delete(session.end, hash, &key, 0);
                start = start.min(session.start);
                end = end.max(session.end);
                rows.extend(session.rows);
            }
            rows.push(bytes);
            sessions.push(Session { start, end, rows });
            self.timers.register(end, hash, &key, 0);
            if self.processing_time {
                context.wake_at(self.settings.instant_of(end));
            }
        }
        if late > 0 {
            context.count_late(late);
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.processing_time {
            return Ok(Progress::Done);
        }
        self.fire(self.settings.ends_closed_by(watermark), context)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.processing_time {
            return Ok(Progress::Done);
        }
        let progress = self.fire(self.settings.clock_of(now_ms), context)?;
        if progress == Progress::Done
            && let Some(end) = self.timers.next_time()
        {
            context.wake_at(self.settings.instant_of(end));
        }
        Ok(progress)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.processing_time {
            return Ok(Progress::Done);
        }
        self.fire(EventTime::MAX, context)
    }
}
