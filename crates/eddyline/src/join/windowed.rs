//! Two keyed streams joined, or grouped together, window by window.
//!
//! Each record is kept with its side in every window it belongs to; when the watermark reaches the last millisecond
//! of a window (in processing time: the clock its end), the window's records of both sides are given to the function
//! and dropped. Results have the window's last millisecond as their timestamp and leave in the order of window ends,
//! then of canonical key bytes. So watermarks pass unchanged.
//!
//! A record all of whose windows have passed is late: counted, and emitted on a side output if that was asked for.
//! Sessions are those of both sides together: a late record that touches an open session belongs to it.

use super::sided::Sided;
use super::windows::JoinWindows;
use super::{LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, LEFT_INPUT, PAIR_OUTPUT, RIGHT_INPUT};
use crate::function::Collector;
use crate::late::emit_late;
use crate::operators::fetching::{Due, DueTimers, hashes_of};
use crate::window::{TimeWindow, Window};
use eddyline_core::{Batch, Data, Error, EventTime, Key, Record, Result, WATERMARK_MAX};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::{KeyedTable, ManagedState, TimerTable};
use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;

/// A window of a key that is open.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct OpenWindow<L, R> {
    /// When it is.
    pub window: TimeWindow,
    /// Records of the left side, in the order of arrival.
    pub left: Vec<L>,
    /// Records of the right side, in the order of arrival.
    pub right: Vec<R>,
}

/// What is done with the records of a window.
pub trait WindowPairs<K, L, R, O>: Clone + Send + Sync + 'static {
    /// Emits results for the records of a window, from the place that the last call answered on (at first 0), and
    /// about `rows_max` of them at most. Answers where to go on; none if all is done.
    ///
    /// # Errors
    /// End the attempt.
    fn fire(
        &self,
        key: &K,
        window: &OpenWindow<L, R>,
        from: usize,
        rows_max: usize,
        out: &mut Collector<O>,
    ) -> Result<Option<usize>>;
}

/// Every pair of a left and a right record.
#[derive(Clone)]
pub(crate) struct EachPair<F>(pub(crate) F);

impl<K, L, R, O, F> WindowPairs<K, L, R, O> for EachPair<F>
where
    F: Fn(&L, &R, &mut Collector<O>) + Clone + Send + Sync + 'static,
{
    fn fire(
        &self,
        _key: &K,
        window: &OpenWindow<L, R>,
        from: usize,
        rows_max: usize,
        out: &mut Collector<O>,
    ) -> Result<Option<usize>> {
        let count = window.left.len() * window.right.len();
        let mut place = from;
        while place < count && out.len() < rows_max {
            let (left, right) = (place / window.right.len(), place % window.right.len());
            (self.0)(&window.left[left], &window.right[right], out);
            place += 1;
        }
        Ok((place < count).then_some(place))
    }
}

/// Both sides at once.
pub(crate) struct BothSides<F, W> {
    pub(crate) function: F,
    pub(crate) _window: PhantomData<fn(W)>,
}

impl<F: Clone, W> Clone for BothSides<F, W> {
    fn clone(&self) -> Self {
        BothSides { function: self.function.clone(), _window: PhantomData }
    }
}

impl<K, L, R, O, W, F> WindowPairs<K, L, R, O> for BothSides<F, W>
where
    W: Window,
    F: Fn(&K, &W, &[L], &[R], &mut Collector<O>) -> Result<()> + Clone + Send + Sync + 'static,
{
    fn fire(
        &self,
        key: &K,
        window: &OpenWindow<L, R>,
        _from: usize,
        _rows_max: usize,
        out: &mut Collector<O>,
    ) -> Result<Option<usize>> {
        let time: &dyn Any = &window.window;
        let time = time.downcast_ref::<W>().expect("invariant: this operator is for windows in time alone");
        (self.function)(key, time, &window.left, &window.right, out).map(|()| None)
    }
}

/// Joins, or groups, two keyed streams by windows: inputs and outputs as for
/// [`JoinOperator`](super::JoinOperator).
pub struct WindowJoinOperator<K, L, R, O, LeftKey, RightKey, F> {
    windows: JoinWindows,
    left_key: LeftKey,
    right_key: RightKey,
    function: F,
    emits_late: bool,
    states: Option<States<K, L, R>>,
    /// The window that is being fired, and how far.
    firing: Option<(K, OpenWindow<L, R>, usize)>,
    /// Windows are being fired: records that are after them have to wait.
    refuses: bool,
    /// Up to where windows have been fired by the clock.
    fired: i64,
    out: Collector<O>,
}

struct States<K, L, R> {
    open: KeyedTable<K, Vec<OpenWindow<L, R>>>,
    timers: TimerTable<K>,
    /// What is fetched for the windows that end next.
    due: DueTimers,
}

/// The next window that has ended.
enum Ended<K, L, R> {
    None,
    /// Its state is on its way.
    Waiting,
    Window(K, OpenWindow<L, R>),
}

impl<K: Key, L: Data, R: Data> States<K, L, R> {
    /// Puts a record into the windows that are still open; gives it back if none is.
    fn add(
        &mut self,
        windows: &JoinWindows,
        assigned: &[TimeWindow],
        (hash, key): (u64, &K),
        passed: i64,
        value: Sided<L, R>,
    ) -> Option<Sided<L, R>> {
        let is_open = |window: &TimeWindow| window.end - 1 > passed;
        if windows.merges() {
            // A time so far off that its session's end could not be told has none.
            let Some(own) = assigned.first().copied() else { return Some(value) };
            let touches = |open: &OpenWindow<L, R>| touch(&open.window, &own);
            let joins_open = self.open.get(hash, key).is_some_and(|open| open.iter().any(touches));
            if !is_open(&own) && !joins_open {
                return Some(value);
            }
            let open = self.open.entry_or_insert_with(hash, key, Vec::new);
            let place = merge(open, own, |window, gone| {
                if gone {
                    self.timers.delete(window.end - 1, hash, key, window.start);
                } else {
                    self.timers.register(window.end - 1, hash, key, window.start);
                }
            });
            push(&mut open[place], value);
            return None;
        }
        if !assigned.iter().any(is_open) {
            return Some(value);
        }
        let open = self.open.entry_or_insert_with(hash, key, Vec::new);
        for window in assigned.iter().filter(|window| is_open(window)) {
            let place = match open.binary_search_by_key(window, |open| open.window) {
                Ok(place) => place,
                Err(place) => {
                    open.insert(place, OpenWindow { window: *window, left: Vec::new(), right: Vec::new() });
                    self.timers.register(window.end - 1, hash, key, window.start);
                    place
                }
            };
            push(&mut open[place], value.clone());
        }
        None
    }

    /// Takes out the next window that ends by `limit` (its last millisecond).
    fn take_due(&mut self, limit: i64) -> Result<Ended<K, L, R>> {
        loop {
            let open: &mut dyn ManagedState = &mut self.open;
            if self.due.next(&mut self.timers, limit, &mut [open])? == Due::Waiting {
                return Ok(Ended::Waiting);
            }
            let Some(timer) = self.timers.pop_due(limit) else { return Ok(Ended::None) };
            let hash = timer.key.stable_hash();
            let window = TimeWindow { start: timer.namespace, end: timer.time + 1 };
            let Some(open) = self.open.get_mut(hash, &timer.key) else { continue };
            let Some(place) = open.iter().position(|open| open.window == window) else { continue };
            let due = open.remove(place);
            if open.is_empty() {
                self.open.remove(hash, &timer.key);
            }
            return Ok(Ended::Window(timer.key, due));
        }
    }
}

fn push<L, R>(open: &mut OpenWindow<L, R>, value: Sided<L, R>) {
    match value {
        Sided::Left(value) => open.left.push(value),
        Sided::Right(value) => open.right.push(value),
    }
}

/// Whether two sessions are one.
fn touch(one: &TimeWindow, other: &TimeWindow) -> bool {
    one.start <= other.end && other.start <= one.end
}

/// Makes one session of `own` and all those it touches; answers its place. `changed` is told of windows that have
/// gone (`true`) and come.
fn merge<L, R>(
    open: &mut Vec<OpenWindow<L, R>>,
    own: TimeWindow,
    mut changed: impl FnMut(TimeWindow, bool),
) -> usize {
    let first = open.partition_point(|known| known.window.end < own.start);
    let touched = open[first..].iter().take_while(|known| touch(&known.window, &own)).count();
    let mut merged = OpenWindow { window: own, left: Vec::new(), right: Vec::new() };
    let known = open.drain(first..first + touched).collect::<Vec<_>>();
    let unchanged = known.len() == 1 && known[0].window.start <= own.start && own.end <= known[0].window.end;
    for session in known {
        merged.window.start = merged.window.start.min(session.window.start);
        merged.window.end = merged.window.end.max(session.window.end);
        merged.left.extend(session.left);
        merged.right.extend(session.right);
        if !unchanged {
            changed(session.window, true);
        }
    }
    if !unchanged {
        changed(merged.window, false);
    }
    open.insert(first, merged);
    first
}

impl<K, L, R, O, LeftKey, RightKey, F> WindowJoinOperator<K, L, R, O, LeftKey, RightKey, F>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    LeftKey: Fn(&L) -> K + 'static,
    RightKey: Fn(&R) -> K + 'static,
    F: WindowPairs<K, L, R, O>,
{
    /// Gives the records of each key and window to `function`; late ones leave on their outputs if `emits_late`.
    ///
    /// # Errors
    /// As [`JoinWindows::check`].
    pub fn new(
        windows: JoinWindows,
        left_key: LeftKey,
        right_key: RightKey,
        function: F,
        emits_late: bool,
    ) -> Result<Self> {
        windows.check()?;
        Ok(WindowJoinOperator {
            windows,
            left_key,
            right_key,
            function,
            emits_late,
            states: None,
            firing: None,
            refuses: false,
            fired: i64::MIN,
            out: Collector::at(0),
        })
    }

    /// Takes in rows of one side; answers those that are late.
    fn take_rows<T: Data>(
        &mut self,
        rows: Vec<Record<T>>,
        key_of: impl Fn(&Self, &T) -> K,
        side: impl Fn(T) -> Sided<L, R>,
        back: impl Fn(Sided<L, R>) -> Option<T>,
        context: &OperatorContext<'_>,
    ) -> Result<Vec<Record<T>>> {
        let by_clock = self.windows.is_processing_time();
        // A clock that went back must not open a window again.
        let now = if by_clock { context.processing_time_ms().max(self.fired) } else { 0 };
        let passed =
            if by_clock { self.fired - i64::from(self.fired > i64::MIN) } else { context.watermark() };
        let (mut late, mut assigned) = (Vec::new(), Vec::new());
        for (number, record) in rows.into_iter().enumerate() {
            panics::at_row(number as u64);
            let time = if by_clock { now } else { record.timestamp };
            if time == EventTime::MIN {
                return Err(Error::config("a record without an event time came to a window join")
                    .with_hint("assign timestamps and watermarks before the join"));
            }
            assigned.clear();
            self.windows.assign(time, &mut assigned);
            if assigned.is_empty() && self.windows.has_gaps_at(time) {
                continue;
            }
            let key = key_of(self, &record.value);
            let states = self.states.as_mut().expect("invariant: open is called first");
            let of_key = (key.stable_hash(), &key);
            let rest = states.add(&self.windows, &assigned, of_key, passed, side(record.value));
            if let Some(value) = rest.and_then(&back) {
                late.push(Record { value, timestamp: record.timestamp });
            }
        }
        Ok(late)
    }

    /// Fires the windows whose last millisecond is not after `limit`.
    fn fire(&mut self, limit: i64, bounded: bool, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let rows_max = context.batch_rows_max().max(1);
        loop {
            if bounded && !context.has_room() {
                self.refuses = true;
                return Ok(Progress::More);
            }
            let states = self.states.as_mut().expect("invariant: open is called first");
            let (key, window, from) = match self.firing.take() {
                Some(firing) => firing,
                None => match states.take_due(limit)? {
                    Ended::None => break,
                    Ended::Window(key, due) => (key, due, 0),
                    Ended::Waiting => {
                        self.refuses |= bounded;
                        self.out.flush(PAIR_OUTPUT, 0, context)?;
                        return Ok(Progress::Waiting);
                    }
                },
            };
            self.out.set_timestamp(window.window.end - 1);
            let rest = self.function.fire(&key, &window, from, rows_max, &mut self.out)?;
            self.out.flush_full(PAIR_OUTPUT, 0, context)?;
            self.firing = rest.map(|place| (key, window, place));
        }
        self.out.flush(PAIR_OUTPUT, 0, context)?;
        if std::mem::take(&mut self.refuses) {
            // Input was refused while windows were fired.
            context.waker().wake_by_ref();
        }
        Ok(Progress::Done)
    }

    fn wake_for_the_clock(&mut self, context: &mut OperatorContext<'_>) {
        let next = self.states.as_ref().and_then(|states| states.timers.next_time());
        // Windows that wait for their state go on when it is there.
        let waits = self.states.as_ref().is_some_and(|states| states.due.is_fetching());
        if let Some(last) = next.filter(|_| self.windows.is_processing_time() && !waits) {
            context.wake_at(last.saturating_add(1));
        }
    }
}

impl<K: Key, L: Data, R: Data, O, LeftKey, RightKey, F> Stateful
    for WindowJoinOperator<K, L, R, O, LeftKey, RightKey, F>
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let Some(states) = &mut self.states else { return Ok(()) };
        visit(&mut states.open)?;
        visit(&mut states.timers)
    }
}

impl<K, L, R, O, LeftKey, RightKey, F> Operator for WindowJoinOperator<K, L, R, O, LeftKey, RightKey, F>
where
    K: Key,
    L: Data,
    R: Data,
    O: Data,
    LeftKey: Fn(&L) -> K + 'static,
    RightKey: Fn(&R) -> K + 'static,
    F: WindowPairs<K, L, R, O>,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let (groups, max) = (context.info().key_groups, context.info().max_parallelism);
        let open = context.states().keyed_table("windows")?;
        let timers = TimerTable::new("window-ends", groups, max);
        self.states = Some(States { open, timers, due: DueTimers::default() });
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.wake_for_the_clock(context);
        Ok(())
    }

    fn key_hashes(&mut self, input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        match input {
            LEFT_INPUT => hashes_of(batch, rows, &self.left_key),
            _ => hashes_of(batch, rows, &self.right_key),
        }
    }

    fn on_batch(&mut self, input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created = batch.created_micros;
        match input {
            LEFT_INPUT => {
                let rows = batch.take_rows::<L>()?;
                let back = |sided| if let Sided::Left(value) = sided { Some(value) } else { None };
                let late =
                    self.take_rows(rows, |this, row| (this.left_key)(row), Sided::Left, back, context)?;
                emit_late(late, self.emits_late.then_some(LATE_LEFT_OUTPUT), created, context)?;
            }
            RIGHT_INPUT => {
                let rows = batch.take_rows::<R>()?;
                let back = |sided| if let Sided::Right(value) = sided { Some(value) } else { None };
                let late =
                    self.take_rows(rows, |this, row| (this.right_key)(row), Sided::Right, back, context)?;
                emit_late(late, self.emits_late.then_some(LATE_RIGHT_OUTPUT), created, context)?;
            }
            other => return Err(Error::internal(format!("a join has no input {other}"))),
        }
        self.wake_for_the_clock(context);
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.windows.is_processing_time() && watermark != WATERMARK_MAX {
            return Ok(Progress::Done);
        }
        // The end of input ends all windows, whatever the clock says.
        self.fire(watermark, true, context)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if !self.windows.is_processing_time() || now_ms <= self.fired {
            return Ok(Progress::Done);
        }
        let progress = self.fire(now_ms - 1, false, context)?;
        if progress == Progress::Waiting {
            return Ok(progress);
        }
        self.fired = now_ms;
        self.wake_for_the_clock(context);
        Ok(progress)
    }

    fn accepts_input(&self) -> bool {
        !self.refuses
    }
}
