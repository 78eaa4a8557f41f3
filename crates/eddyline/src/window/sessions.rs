//! Session windows: as long as the pauses of a key are no longer than a gap.
//!
//! A record at `t` opens the window `[t, t + gap)`, with a gap of its own or one for all records, which merges with every window of its key that it touches or
//! overlaps: a pause of exactly the gap does not end a session, unless the watermark has ended it before the record
//! behind the pause came. The state of a key is the list of its open sessions,
//! in order. Timers are lazy: a session that grows keeps the timer it has, and when that fires too early, the next
//! one is set. So a record that belongs to an open session costs one access and no timer.

use super::emission::Emission;
use super::{Aggregator, LATE_OUTPUT, TimeWindow};
use crate::late::emit_late;
use crate::operators::fetching::{Due, DueTimers, hashes_of};
use eddyline_core::{Batch, Data, Error, EventTime, Key, Record, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::ops::Range;
use std::sync::Arc;

/// Times further from the epoch than this belong to no session: their ends could not be told.
const TIME_MAX: i64 = i64::MAX / 4;

/// Records whose keys are found before the first of them is added: as many as a processor can wait for at once, and
/// then some.
const RUN_ROWS_MAX: usize = 64;

/// The gap of a record, milliseconds.
type GapOf<T> = Arc<dyn Fn(&T) -> Result<i64> + Send + Sync>;

/// How long a pause ends a session.
pub enum SessionGapOf<T> {
    /// The same for all records, milliseconds.
    Fixed(i64),
    /// What the function says of the record before the pause, milliseconds.
    Each(GapOf<T>),
}

impl<T> Clone for SessionGapOf<T> {
    fn clone(&self) -> Self {
        match self {
            SessionGapOf::Fixed(gap_ms) => SessionGapOf::Fixed(*gap_ms),
            SessionGapOf::Each(gap_of) => SessionGapOf::Each(gap_of.clone()),
        }
    }
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Session<S> {
    /// Its first record's time.
    pub start: EventTime,
    /// The latest end of its records' windows: a record's time plus the gap.
    pub end: EventTime,
    /// What was added.
    pub state: S,
}

/// The open sessions of a key.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Sessions<S> {
    /// When the key's timer is due; never later than the first end of a session.
    pub timer: EventTime,
    /// In order, none touching another.
    pub open: Vec<Session<S>>,
}

impl<S> Sessions<S> {
    fn first_end(&self) -> EventTime {
        self.open.first().map_or(EventTime::MAX, |session| session.end)
    }
}

/// Aggregates the records of each key over sessions, in event time.
///
/// One input, of rows of `A::Input`, partitioned by `key_of`; results are rows of
/// [`WindowResult<K, A::Output>`](super::WindowResult) on [`super::RESULT_OUTPUT`], ordered by window end and then by
/// canonical key bytes. Wants to be told about watermarks.
pub struct SessionWindowOperator<K, F, A: Aggregator> {
    gap: SessionGapOf<A::Input>,
    key_of: F,
    aggregator: A,
    emits_late: bool,
    states: Option<States<K, A::State>>,
    firing: bool,
    /// Room for the keys of records that are added in one go, and their hashes.
    run: (Vec<u64>, Vec<K>),
    /// What is fetched for the sessions that end next.
    due: DueTimers,
}

/// The next session that has ended.
enum Ended<K, S> {
    None,
    /// Its state is on its way.
    Waiting,
    Session(K, Session<S>),
}

struct States<K, S> {
    sessions: KeyedTable<K, Sessions<S>>,
    timers: TimerTable<K>,
}

impl<K, F, A> SessionWindowOperator<K, F, A>
where
    K: Key,
    F: Fn(&A::Input) -> K + 'static,
    A: Aggregator,
{
    /// Aggregates by `aggregator` over sessions that end after a pause of more than `gap_ms`; late records leave on
    /// [`super::LATE_OUTPUT`] if `emits_late`, else they are counted only.
    ///
    /// # Errors
    /// Of kind `Config`, if the gap is not positive or beyond all reason.
    pub fn new(gap_ms: i64, key_of: F, aggregator: A, emits_late: bool) -> Result<Self> {
        Self::with_gap(SessionGapOf::Fixed(gap_ms), key_of, aggregator, emits_late)
    }

    /// As [`SessionWindowOperator::new`], with a gap that may be the record's own.
    ///
    /// # Errors
    /// Of kind `Config`, if a gap for all records is not positive or beyond all reason.
    pub fn with_gap(gap: SessionGapOf<A::Input>, key_of: F, aggregator: A, emits_late: bool) -> Result<Self> {
        if let SessionGapOf::Fixed(gap_ms) = &gap
            && !(1..=TIME_MAX).contains(gap_ms)
        {
            return Err(Error::config(format!("sessions with a gap of {gap_ms} ms are not possible"))
                .with_hint("the gap is whole milliseconds greater than 0"));
        }
        Ok(SessionWindowOperator {
            gap,
            key_of,
            aggregator,
            emits_late,
            states: None,
            firing: false,
            run: (Vec::new(), Vec::new()),
            due: DueTimers::default(),
        })
    }

    /// Adds a record to its session; answers the record if it is late.
    fn add(
        &mut self,
        record: Record<A::Input>,
        (hash, key): (u64, K),
        watermark: EventTime,
    ) -> Result<Option<Record<A::Input>>> {
        let time = record.timestamp;
        if time == EventTime::MIN {
            return Err(Error::config("a record without an event time came to a session window")
                .with_hint("assign timestamps and watermarks before the window"));
        }
        if !(-TIME_MAX..=TIME_MAX).contains(&time) {
            return Ok(Some(record));
        }
        let gap_ms = match &self.gap {
            SessionGapOf::Fixed(gap_ms) => *gap_ms,
            SessionGapOf::Each(gap_of) => gap_of(&record.value)?,
        };
        let window = TimeWindow { start: time, end: time + gap_ms };
        let States { sessions, timers } = self.states.as_mut().expect("invariant: open is called first");
        let is_late = window.end - 1 <= watermark;
        let of_key =
            if is_late {
                // It may still be part of a session that is open; but none is made for it.
                match sessions.get(hash, &key) {
                    Some(known) if !touched(&known.open, window).is_empty() => sessions.get_mut(hash, &key),
                    _ => return Ok(Some(record)),
                }
            } else {
                Some(sessions.entry_or_insert_with(hash, &key, || Sessions {
                    timer: EventTime::MAX,
                    open: Vec::new(),
                }))
            };
        let Some(of_key) = of_key else { return Ok(Some(record)) };
        let place = merge(&mut of_key.open, window, &self.aggregator);
        self.aggregator.add(&mut of_key.open[place].state, record.value);
        let due = of_key.first_end() - 1;
        if due < of_key.timer {
            if of_key.timer != EventTime::MAX {
                timers.delete(of_key.timer, hash, &key, 0);
            }
            timers.register(due, hash, &key, 0);
            of_key.timer = due;
        }
        Ok(None)
    }

    /// Takes the next session that is due at `watermark`.
    fn take_due(&mut self, watermark: EventTime) -> Result<Ended<K, A::State>> {
        let States { sessions, timers } = self.states.as_mut().expect("invariant: open is called first");
        loop {
            let of_keys: &mut dyn ManagedState = sessions;
            if self.due.next(timers, watermark, &mut [of_keys])? == Due::Waiting {
                return Ok(Ended::Waiting);
            }
            let Some(timer) = timers.pop_due(watermark) else { return Ok(Ended::None) };
            let hash = timer.key.stable_hash();
            let Some(of_key) = sessions.get_mut(hash, &timer.key) else { continue };
            let due = (of_key.first_end() - 1 == timer.time).then(|| of_key.open.remove(0));
            if of_key.open.is_empty() {
                sessions.remove(hash, &timer.key);
            } else {
                of_key.timer = of_key.first_end() - 1;
                timers.register(of_key.timer, hash, &timer.key, 0);
            }
            if let Some(session) = due {
                return Ok(Ended::Session(timer.key, session));
            }
        }
    }

    fn fire(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let mut emission = Emission::new(context, true);
        let progress = loop {
            let (key, session) = match self.take_due(watermark)? {
                Ended::None => break Progress::Done,
                Ended::Waiting => break Progress::Waiting,
                Ended::Session(key, session) => (key, session),
            };
            let window = TimeWindow { start: session.start, end: session.end };
            if !emission.push(key, window, self.aggregator.result(&session.state))? {
                return Ok(Progress::More);
            }
        };
        emission.flush()?;
        Ok(progress)
    }
}

/// The sessions that `window` touches or overlaps.
fn touched<S>(open: &[Session<S>], window: TimeWindow) -> std::ops::Range<usize> {
    // From the back: most records belong to the newest session.
    let end = open.iter().rposition(|session| session.start <= window.end).map_or(0, |last| last + 1);
    let start = open[..end].iter().rposition(|session| session.end < window.start).map_or(0, |last| last + 1);
    start..end.max(start)
}

/// Makes one session of `window` and all it touches; answers its place.
fn merge<A: Aggregator>(open: &mut Vec<Session<A::State>>, window: TimeWindow, aggregator: &A) -> usize {
    let range = touched(open, window);
    let place = range.start;
    if range.is_empty() {
        open.insert(place, Session { start: window.start, end: window.end, state: aggregator.create() });
        return place;
    }
    // Most records touch one session: nothing is drained then.
    if let Some((session, others)) =
        open[place..range.end].split_first_mut().filter(|(_, rest)| !rest.is_empty())
    {
        for later in others {
            aggregator.merge(&mut session.state, &later.state);
            session.end = session.end.max(later.end);
        }
        open.drain(place + 1..range.end);
    }
    let session = &mut open[place];
    session.start = session.start.min(window.start);
    session.end = session.end.max(window.end);
    place
}

impl<K: Key, F, A: Aggregator> Stateful for SessionWindowOperator<K, F, A> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let Some(states) = self.states.as_mut() else { return Ok(()) };
        visit(&mut states.sessions)?;
        visit(&mut states.timers)
    }
}

impl<K, F, A> Operator for SessionWindowOperator<K, F, A>
where
    K: Key,
    F: Fn(&A::Input) -> K + 'static,
    A: Aggregator,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let (groups, max) = (context.info().key_groups, context.info().max_parallelism);
        let sessions = context.states().keyed_table("sessions")?;
        self.states = Some(States { sessions, timers: TimerTable::new("session-ends", groups, max) });
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, rows, |value: &A::Input| (self.key_of)(value))
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let watermark = context.watermark();
        let mut late = Vec::new();
        let mut records = batch.take_rows::<A::Input>()?.into_iter();
        let (mut hashes, mut keys) = std::mem::take(&mut self.run);
        let mut row = 0;
        while !records.as_slice().is_empty() {
            let next = &records.as_slice()[..records.len().min(RUN_ROWS_MAX)];
            for (number, record) in (row..).zip(next) {
                panics::at_row(number);
                let key = (self.key_of)(&record.value);
                hashes.push(key.stable_hash());
                keys.push(key);
            }
            if let Some(states) = self.states.as_ref().filter(|states| states.sessions.outgrows_cache()) {
                states.sessions.warm(&hashes);
            }
            for (of_key, record) in hashes.drain(..).zip(keys.drain(..)).zip(records.by_ref()) {
                panics::at_row(row);
                row += 1;
                late.extend(self.add(record, of_key, watermark)?);
            }
        }
        self.run = (hashes, keys);
        emit_late(late, self.emits_late.then_some(LATE_OUTPUT), batch.created_micros, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let before = std::mem::replace(&mut self.firing, true);
        let progress = self.fire(watermark, context)?;
        if progress != Progress::Done {
            return Ok(progress);
        }
        self.firing = false;
        if before {
            // Input was refused while the sessions were fired.
            context.waker().wake_by_ref();
        }
        Ok(Progress::Done)
    }

    fn accepts_input(&self) -> bool {
        !self.firing
    }
}
