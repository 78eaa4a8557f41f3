//! Tumbling and sliding windows by slices.
//!
//! A record is added to the one slice it belongs to; the table of slices is the only state. A tumbling window is a
//! slice and is taken out of the table when it fires. For sliding windows, slices the watermark has passed are taken
//! into running aggregates (see [`super::running`]), which are made again from the slices after a restore.
//!
//! Firing stops when the outputs have no room and goes on where it stopped. No input is taken meanwhile: a record
//! must not get into a window that is half emitted. A cut cannot come in between either, as the watermark of a tick
//! is applied in full before the tick ends.
//!
//! Where the job's state has stores, those of tumbling windows are in one (see [`stored`](self)); slices of others stay in
//! memory, as what is made of them does.

mod stored;

use super::assign::without_time;
use super::emission::Emission;
use super::running::Runs;
use super::{Aggregator, LATE_OUTPUT, SlicedWindows, TimeWindow, WindowTime};
use crate::late::emit_late;
use crate::operators::ProcessingTimersAtEnd;
use crate::operators::fetching::hashes_of;
use eddyline_core::{Batch, EventTime, Key, Record, Result, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_protocol::{StateDescriptor, StateManifest};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::{ManagedState, NamespacedTable, PartWriter, RestoreSource};
use std::ops::Range;
use stored::Stored;

/// Where records of a slice go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Into the slice.
    Open,
    /// Into the slice and, as the watermark has passed it, into what was made of it.
    Passed,
    /// Nowhere: all windows have fired.
    Late,
    /// Nowhere: the slice is between two windows.
    Between,
}

/// The slice that records were last added to, and where its records go.
#[derive(Debug, Clone, Copy)]
struct CurrentSlice {
    start: EventTime,
    end: EventTime,
    place: Place,
}

/// Records that are added in one go: as many as a processor can wait for at once, and then some.
const RUN_ROWS_MAX: usize = 64;

const NO_SLICE: CurrentSlice = CurrentSlice { start: 0, end: 0, place: Place::Late };

/// The entries of a tumbling window that are not emitted yet.
type Taken<K, S> = (EventTime, Box<dyn Iterator<Item = (u64, K, S)>>);

/// Aggregates the records of each key over tumbling or sliding windows.
///
/// One input, of rows of `A::Input`, partitioned by `key_of`; results are rows of
/// [`WindowResult<K, A::Output>`](super::WindowResult) on [`super::RESULT_OUTPUT`]. Wants to be told about
/// watermarks.
pub struct SlicedWindowOperator<K, F, A: Aggregator> {
    windows: SlicedWindows,
    key_of: F,
    aggregator: A,
    emits_late: bool,
    at_end: ProcessingTimersAtEnd,
    slices: Option<NamespacedTable<K, A::State>>,
    /// The slices instead, if they have a store.
    stored: Option<Stored<K, A::State>>,
    runs: Runs<K, A::State>,
    current: CurrentSlice,
    /// Room for the keys of records that are added in one go.
    run: Vec<(u64, K)>,
    /// Slices up to this end have been taken into the running aggregates.
    taken_in: EventTime,
    /// Windows up to this end have fired.
    fired: EventTime,
    /// A tumbling window that is being emitted.
    taken: Option<Taken<K, A::State>>,
    /// The end of the sliding window that is being emitted, and the number of the next key.
    cursor: Option<(EventTime, usize)>,
    firing: bool,
}

impl<K, F, A> SlicedWindowOperator<K, F, A>
where
    K: Key,
    F: Fn(&A::Input) -> K + 'static,
    A: Aggregator,
{
    /// Aggregates by `aggregator` over `windows`; late records leave on [`LATE_OUTPUT`] if `emits_late`, else they
    /// are counted only.
    ///
    /// # Errors
    /// Of kind `Config`, if such windows are not possible.
    pub fn new(windows: SlicedWindows, key_of: F, aggregator: A, emits_late: bool) -> Result<Self> {
        windows.check()?;
        Ok(SlicedWindowOperator {
            windows,
            key_of,
            aggregator,
            emits_late,
            at_end: ProcessingTimersAtEnd::Fire,
            slices: None,
            stored: None,
            runs: Runs::new(windows),
            current: NO_SLICE,
            run: Vec::new(),
            taken_in: WATERMARK_MIN,
            fired: WATERMARK_MIN,
            taken: None,
            cursor: None,
            firing: false,
        })
    }

    /// Says what becomes of windows in processing time that are not over when the input ends; without this they fire.
    #[must_use]
    pub fn with_processing_time_at_end(mut self, at_end: ProcessingTimersAtEnd) -> Self {
        self.at_end = at_end;
        self
    }

    fn slices(&mut self) -> &mut NamespacedTable<K, A::State> {
        self.slices.as_mut().expect("invariant: open is called first")
    }

    fn first_slice(&self) -> Option<EventTime> {
        match (&self.stored, &self.slices) {
            (Some(stored), _) => stored.first_slice(),
            (None, slices) => slices.as_ref()?.first_namespace(),
        }
    }

    fn is_tumbling(&self) -> bool {
        self.windows.is_one_slice()
    }

    /// The slice of `time`, and where its records go while the watermark is `watermark`.
    #[cold]
    fn slice_of(&self, time: EventTime, watermark: EventTime) -> Result<CurrentSlice> {
        if time == EventTime::MIN {
            return Err(without_time());
        }
        let Some(end) = self.windows.slice_end(time) else {
            return Ok(CurrentSlice { start: time, end: time.saturating_add(1), place: Place::Late });
        };
        let place = match self.windows.last_window_end(end) {
            None => Place::Between,
            Some(last) if self.windows.time() == WindowTime::Event && last.saturating_sub(1) <= watermark => {
                Place::Late
            }
            Some(_) if end <= self.taken_in => Place::Passed,
            Some(_) => Place::Open,
        };
        Ok(CurrentSlice { start: end - self.windows.slice_ms(), end, place })
    }

    /// The slice of `time`, most often the one that was asked for last.
    #[inline]
    fn slice_at(&mut self, time: EventTime, watermark: EventTime) -> Result<CurrentSlice> {
        if time < self.current.start || time >= self.current.end {
            self.current = self.slice_of(time, watermark)?;
        }
        Ok(self.current)
    }

    /// Adds the next `length` records, the first of which is number `row` of its batch, to the slice that ends at
    /// `slice_end`.
    #[inline]
    fn add_run(
        &mut self,
        records: &mut std::vec::IntoIter<Record<A::Input>>,
        length: usize,
        slice_end: EventTime,
        row: u64,
    ) {
        let Self { slices, aggregator, key_of, run, stored, .. } = self;
        if let Some(stored) = stored {
            stored.add(records.take(length), slice_end, row, aggregator, key_of);
            return;
        }
        let slices = slices.as_mut().expect("invariant: open is called first");
        if !slices.outgrows_cache(slice_end) {
            for (number, record) in (row..).zip(records.take(length)) {
                panics::at_row(number);
                let key = key_of(&record.value);
                let state = slices.entry(slice_end, key.stable_hash(), &key, || aggregator.create());
                aggregator.add(state, record.value);
            }
            return;
        }
        for (number, record) in (row..).zip(&records.as_slice()[..length]) {
            panics::at_row(number);
            let key = key_of(&record.value);
            run.push((key.stable_hash(), key));
        }
        slices.warm(slice_end, run.iter().map(|(hash, _)| *hash));
        for ((number, record), (hash, key)) in (row..).zip(records.take(length)).zip(run.drain(..)) {
            panics::at_row(number);
            let state = slices.entry(slice_end, hash, &key, || aggregator.create());
            aggregator.add(state, record.value);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_to_passed(&mut self, slice_end: EventTime, hash: u64, key: &K, value: A::Input) {
        let mut addition = self.aggregator.create();
        self.aggregator.add(&mut addition, value);
        let Self { slices, runs, aggregator, taken_in, .. } = self;
        let slices = slices.as_mut().expect("invariant: open is called first");
        // The slice comes last: what is made of slices on the way must not contain the record yet.
        runs.add_late(aggregator, slices, (hash, key), (slice_end, *taken_in), &addition);
        let state = slices.entry(slice_end, hash, key, || aggregator.create());
        aggregator.merge(state, &addition);
    }

    /// Fires all windows that end at `limit` at the latest.
    fn fire(&mut self, limit: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let bounded = self.windows.time() == WindowTime::Event;
        let mut emission = Emission::new(context, bounded);
        self.current = NO_SLICE;
        let progress = if let Some(stored) = &mut self.stored {
            stored.fire(limit, self.windows.size_ms(), &self.aggregator, &mut emission)?
        } else if self.is_tumbling() {
            self.fire_tumbling(limit, &mut emission)?
        } else {
            self.fire_sliding(limit, &mut emission)?
        };
        emission.flush()?;
        if progress != Progress::Done {
            self.firing = true;
            return Ok(progress);
        }
        self.fired = limit;
        if std::mem::take(&mut self.firing) {
            // Input was refused while the windows were fired.
            context.waker().wake_by_ref();
        }
        Ok(Progress::Done)
    }

    fn fire_tumbling(
        &mut self,
        limit: EventTime,
        emission: &mut Emission<'_, '_, K, A::Output>,
    ) -> Result<Progress> {
        loop {
            let (end, mut entries) = match self.taken.take() {
                Some(taken) => taken,
                None => match self.slices().first_namespace() {
                    Some(end) if end <= limit => (end, Box::new(self.slices().take_namespace(end)) as Box<_>),
                    _ => return Ok(Progress::Done),
                },
            };
            let window = TimeWindow { start: end - self.windows.size_ms(), end };
            for (_, key, state) in entries.by_ref() {
                if !emission.push(key, window, self.aggregator.result(&state))? {
                    self.taken = Some((end, entries));
                    return Ok(Progress::More);
                }
            }
        }
    }

    fn fire_sliding(
        &mut self,
        limit: EventTime,
        emission: &mut Emission<'_, '_, K, A::Output>,
    ) -> Result<Progress> {
        loop {
            let (end, mut place) = match self.cursor.take() {
                Some(cursor) => cursor,
                None => match self.next_window_end().filter(|end| *end <= limit) {
                    Some(end) => {
                        self.take_in(end);
                        (end, 0)
                    }
                    None => {
                        self.drop_fired_slices(limit);
                        return Ok(Progress::Done);
                    }
                },
            };
            let Self { slices, runs, aggregator, windows, .. } = self;
            let slices = slices.as_ref().expect("invariant: open is called first");
            let window = TimeWindow { start: end - windows.size_ms(), end };
            while place < runs.len() {
                let Some((key, value)) = runs.result(aggregator, slices, place, end) else { continue };
                place += 1;
                if !emission.push(key, window, value)? {
                    self.cursor = Some((end, place));
                    return Ok(Progress::More);
                }
            }
            self.fired = end;
            self.drop_fired_slices(end);
        }
    }

    /// The end of the next window that has records, as far as is known.
    fn next_window_end(&self) -> Option<EventTime> {
        if self.fired == WATERMARK_MAX {
            return None;
        }
        let next = self.windows.next_window_end(self.fired);
        if !self.runs.is_empty() {
            return Some(next);
        }
        // Nothing runs: go on with the next records, however far ahead they are.
        let slices = self.slices.as_ref()?;
        let first = slices.namespaces(self.taken_in.saturating_add(1)..).next()?;
        Some(self.windows.first_window_end(first).max(next))
    }

    /// Takes all slices up to `end` into the running aggregates.
    fn take_in(&mut self, end: EventTime) {
        let Self { slices, runs, aggregator, taken_in, .. } = self;
        let slices = slices.as_ref().expect("invariant: open is called first");
        if *taken_in >= end {
            return;
        }
        for slice_end in slices.namespaces(taken_in.saturating_add(1)..=end) {
            runs.add_slice(aggregator, slices, slice_end);
        }
        *taken_in = end;
    }

    /// Drops slices all of whose windows have fired.
    fn drop_fired_slices(&mut self, fired: EventTime) {
        while let Some(first) = self.slices().first_namespace() {
            if self.windows.last_window_end(first).is_some_and(|last| last > fired) {
                return;
            }
            drop(self.slices().take_namespace(first));
        }
    }

    fn wake_for_processing_time(&mut self, context: &mut OperatorContext<'_>) {
        // Windows that wait for their store go on when it has answered.
        if self.windows.time() == WindowTime::Processing
            && !self.stored.as_ref().is_some_and(Stored::is_fetching)
            && let Some(end) = self.first_slice()
        {
            context.wake_at(end);
        }
    }
}

impl<K: Key, F, A: Aggregator> Stateful for SlicedWindowOperator<K, F, A> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let derived_bytes = self.runs.memory_bytes();
        match (self.stored.as_mut(), self.slices.as_mut()) {
            (Some(stored), _) => visit(stored.table()),
            (None, Some(slices)) => visit(&mut SlicesState { slices, derived_bytes }),
            (None, None) => Ok(()),
        }
    }
}

impl<K, F, A> Operator for SlicedWindowOperator<K, F, A>
where
    K: Key,
    F: Fn(&A::Input) -> K + 'static,
    A: Aggregator,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        if self.is_tumbling() {
            self.stored = context.states().stored_windows("slices")?.map(Stored::new);
        }
        self.slices = Some(NamespacedTable::new("slices", info.key_groups, info.max_parallelism));
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        if self.windows.time() == WindowTime::Processing {
            self.wake_for_processing_time(context);
            return Ok(());
        }
        self.fired = context.watermark().saturating_add(1);
        if self.fired > WATERMARK_MIN + 1 && !self.is_tumbling() {
            self.drop_fired_slices(self.fired);
            // Times are slice ends from here on, which only window ends are sure to be.
            let last = self.windows.slices_before(self.fired);
            self.take_in(last);
        }
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, rows, |value: &A::Input| (self.key_of)(value))
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let (rows, watermark) = (batch.take_rows::<A::Input>()?, context.watermark());
        let processing_time = match self.windows.time() {
            WindowTime::Event => None,
            // A clock that went back must not open a window again.
            WindowTime::Processing => Some(context.processing_time_ms().max(self.fired)),
        };
        let mut late = Vec::new();
        let mut rows = rows.into_iter();
        let mut row = 0;
        // In runs of records of one slice, so that the table is asked for what all of them need at once.
        while let Some(first) = rows.as_slice().first() {
            let current = self.slice_at(processing_time.unwrap_or(first.timestamp), watermark)?;
            let run = rows.as_slice().iter().take(RUN_ROWS_MAX).take_while(|record| {
                let time = processing_time.unwrap_or(record.timestamp);
                current.start <= time && time < current.end
            });
            let length = run.count().max(1);
            match current.place {
                Place::Open => self.add_run(&mut rows, length, current.end, row),
                Place::Passed => {
                    for (number, record) in rows.by_ref().take(length).enumerate() {
                        panics::at_row(row + number as u64);
                        let key = (self.key_of)(&record.value);
                        self.add_to_passed(current.end, key.stable_hash(), &key, record.value);
                    }
                }
                Place::Late => late.extend(rows.by_ref().take(length)),
                Place::Between => drop(rows.by_ref().nth(length - 1)),
            }
            row += length as u64;
        }
        if processing_time.is_some() {
            self.wake_for_processing_time(context);
        }
        emit_late(late, self.emits_late.then_some(LATE_OUTPUT), batch.created_micros, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        match self.windows.time() {
            WindowTime::Event => self.fire(watermark.saturating_add(1), context),
            // The end of input ends all windows, whatever the clock says.
            WindowTime::Processing
                if watermark == WATERMARK_MAX && self.at_end == ProcessingTimersAtEnd::Fire =>
            {
                self.fire(watermark, context)
            }
            WindowTime::Processing => Ok(Progress::Done),
        }
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.windows.time() == WindowTime::Event || now_ms <= self.fired {
            return Ok(Progress::Done);
        }
        let progress = self.fire(now_ms, context)?;
        self.wake_for_processing_time(context);
        Ok(progress)
    }

    fn accepts_input(&self) -> bool {
        !self.firing
    }
}

/// The slices, and the memory of what was made of them.
struct SlicesState<'a, K, S> {
    slices: &'a mut NamespacedTable<K, S>,
    derived_bytes: usize,
}

impl<K: Key, S: eddyline_core::Data> ManagedState for SlicesState<'_, K, S> {
    fn descriptor(&self) -> StateDescriptor {
        self.slices.descriptor()
    }

    fn freeze(&mut self, full: bool) {
        self.slices.freeze(full);
    }

    fn write_frozen(&mut self, budget_entries: usize, part: &mut PartWriter) -> Result<bool> {
        self.slices.write_frozen(budget_entries, part)
    }

    fn manifest_of_frozen(&mut self) -> Result<StateManifest> {
        self.slices.manifest_of_frozen()
    }

    fn abandon(&mut self) {
        self.slices.abandon();
    }

    fn restore(&mut self, source: &mut RestoreSource) -> Result<()> {
        self.slices.restore(source)
    }

    fn memory_bytes(&self) -> usize {
        self.slices.memory_bytes() + self.derived_bytes
    }
}
