//! The operator (see the module above for what it does).

use super::super::assign::TIME_MAX;
use super::super::trigger::TriggerContext;
use super::super::{AssignerContext, LATE_OUTPUT, MergeWindows, Trigger, WindowAssigner};
use super::contents::WindowContents;
use super::firing::{Firing, Moment};
use super::merging::Merge;
use super::pane::{Contents, OpenWindow, Pane, TimerNotes, WindowKey, namespace_of};
use super::tables::Tables;
use super::timers::{Asking, Lifetime, PaneTimers, table_of};
use crate::function::TimeDomain;
use crate::late::emit_late;
use crate::operators::fetching::{Due, DueTimers, hashes_of};
use crate::operators::{KeyOf, ProcessingTimersAtEnd};
use crate::side_output::SidePorts;
use eddyline_core::{Batch, Data, Error, EventTime, Key, Record, Result, WATERMARK_MAX};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::{ManagedState, Timer};
use std::ops::Range;

/// Timers fired in one call before others get their turn.
const TIMERS_PER_CALL: usize = 4096;

/// What a program says about windows beside their kind, trigger and function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) allowed_lateness_ms: i64,
    pub(crate) emits_late: bool,
    pub(crate) at_end: ProcessingTimersAtEnd,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { allowed_lateness_ms: 0, emits_late: false, at_end: ProcessingTimersAtEnd::Fire }
    }
}

/// What becomes of late records, given whether they are emitted and when their batch was created.
pub(crate) type LateRows<T> = fn(Vec<Record<T>>, bool, u64, &mut OperatorContext<'_>) -> Result<()>;

type WindowOf<T, A> = <A as WindowAssigner<T>>::Window;
type StateOf<T, A, Tr> = <Tr as Trigger<T, WindowOf<T, A>>>::State;
type ContentsOf<K, T, A, C> = Contents<T, <C as WindowContents<K, WindowOf<T, A>, T>>::Folded>;
type TablesOf<K, T, A, Tr, C> = Tables<K, WindowOf<T, A>, PaneOf<K, T, A, Tr, C>>;
type PaneOf<K, T, A, Tr, C> = Pane<ContentsOf<K, T, A, C>, StateOf<T, A, Tr>>;

/// One instance.
pub(crate) struct WindowOperator<K, T, A, Tr, C>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<K, A::Window, T>,
{
    assigner: A,
    trigger: Tr,
    key_of: KeyOf<T, K>,
    merging: Option<MergeWindows<A::Window>>,
    lifetime: Lifetime,
    settings: Settings,
    late_rows: LateRows<T>,
    tables: Option<TablesOf<K, T, A, Tr, C>>,
    firing: Firing<K, A::Window, T, C>,
    /// The windows of the record that is being processed.
    assigned: Vec<A::Window>,
    /// The latest time that the clock has shown.
    clock_ms: i64,
    /// Timers of a watermark are firing: records that are after it have to wait.
    is_firing: bool,
    /// The latest processing-time timer that fires at the end of the input.
    end_horizon: Option<i64>,
    /// What is fetched for timers, in event time and in processing time.
    due: [DueTimers; 2],
}

impl<K, T, A, Tr, C> WindowOperator<K, T, A, Tr, C>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<K, A::Window, T>,
{
    pub(crate) fn new(
        (assigner, trigger): (A, Tr),
        key_of: KeyOf<T, K>,
        contents: C,
        settings: Settings,
        ports: SidePorts,
    ) -> Self {
        let merging = assigner.merging();
        let lifetime =
            Lifetime { is_event_time: assigner.is_event_time(), lateness_ms: settings.allowed_lateness_ms };
        WindowOperator {
            assigner,
            trigger,
            key_of,
            merging,
            lifetime,
            settings,
            late_rows: |late, emits_late, created_micros, context| {
                emit_late(late, emits_late.then_some(LATE_OUTPUT), created_micros, context)
            },
            tables: None,
            firing: Firing::new(contents, ports, merging.is_some()),
            assigned: Vec::new(),
            clock_ms: i64::MIN,
            is_firing: false,
            end_horizon: None,
            due: Default::default(),
        }
    }

    /// With another way for late records than to the one output for them.
    pub(crate) fn with_late_rows(mut self, late_rows: LateRows<T>) -> Self {
        self.late_rows = late_rows;
        self
    }

    fn moment(&mut self, context: &OperatorContext<'_>) -> Moment {
        self.clock_ms = self.clock_ms.max(context.processing_time_ms());
        Moment { watermark: context.watermark(), processing_time_ms: self.clock_ms }
    }

    /// Adds a record to its windows; answers the record if it is late for all of them.
    fn add(
        &mut self,
        record: Record<T>,
        moment: Moment,
        context: &OperatorContext<'_>,
    ) -> Result<Option<Record<T>>> {
        let Record { value, timestamp } = record;
        let key = (self.key_of)(&value);
        let hash = key.stable_hash();
        let assigner = AssignerContext {
            processing_time_ms: moment.processing_time_ms,
            key_hash: hash,
            max_parallelism: context.info().max_parallelism,
        };
        let mut assigned = std::mem::take(&mut self.assigned);
        self.assigner.assign_windows(&value, timestamp, &assigner, &mut assigned)?;
        if assigned.is_empty() {
            self.assigned = assigned;
            let is_far_off = self.lifetime.is_event_time && !(-TIME_MAX..=TIME_MAX).contains(&timestamp);
            return Ok(is_far_off.then_some(Record { value, timestamp }));
        }
        let mut place = WindowKey { window: assigned[0].clone(), key };
        let (mut value, mut is_late) = (Some(value), true);
        let mut windows = assigned.drain(..).peekable();
        while let Some(window) = windows.next() {
            place.window = window;
            let kept_under = match self.merging {
                None if self.lifetime.is_over(&place.window, moment.watermark) => continue,
                None => None,
                Some(merge) => match self.merge_in(merge, hash, &mut place, moment)? {
                    None => continue,
                    kept_under => kept_under,
                },
            };
            is_late = false;
            let taken = if windows.peek().is_none() { value.take() } else { value.clone() };
            let Some(taken) = taken else { break };
            self.add_to((hash, &place), kept_under, Record { value: taken, timestamp }, moment, context)?;
        }
        drop(windows);
        self.assigned = assigned;
        Ok(value.filter(|_| is_late).map(|value| Record { value, timestamp }))
    }

    /// Adds a record to one window, whose pane may be kept under another one.
    fn add_to(
        &mut self,
        (hash, place): (u64, &WindowKey<K, A::Window>),
        kept_under: Option<A::Window>,
        record: Record<T>,
        moment: Moment,
        context: &OperatorContext<'_>,
    ) -> Result<()> {
        let tables = self.tables.as_mut().expect("invariant: open is called first");
        let kept = kept_under.map(|window| WindowKey { window, key: place.key.clone() });
        let kept = kept.as_ref().unwrap_or(place);
        let cleanup = self.lifetime.cleanup_time(&place.window);
        let pane = tables.panes.entry(namespace_of(&kept.window), hash, kept, Pane::new);
        let mut asking = TriggerContext {
            state: &mut pane.trigger,
            timers: &mut PaneTimers {
                timers: &mut tables.timers,
                hash,
                place,
                notes: &mut pane.timers,
                kept: pane.has_cleanup.then_some((self.lifetime.domain(), cleanup)),
            },
            watermark: moment.watermark,
            processing_time_ms: moment.processing_time_ms,
        };
        let result = self.trigger.on_element(&record.value, record.timestamp, &place.window, &mut asking);
        self.firing.contents.add(&mut pane.contents, record.value, record.timestamp);
        if result.is_fire() {
            self.firing.fire((hash, place), &mut pane.contents, moment, context)?;
        }
        if result.is_purge() {
            pane.contents = None;
        }
        if !pane.has_cleanup && cleanup != EventTime::MAX {
            table_of(&mut tables.timers, self.lifetime.domain()).register(cleanup, hash, place, 0);
            pane.has_cleanup = true;
        }
        if pane.is_empty() {
            tables.remove_pane(hash, kept);
        }
        Ok(())
    }

    /// Opens the window of `place` or merges it with those that are open; `place` is then the window that came of
    /// it. Answers the window that its pane is kept under; none if a record comes too late to open it.
    fn merge_in(
        &mut self,
        merge: MergeWindows<A::Window>,
        hash: u64,
        place: &mut WindowKey<K, A::Window>,
        moment: Moment,
    ) -> Result<Option<A::Window>> {
        let tables = self.tables.as_mut().expect("invariant: open is called first");
        let plan = Merge::plan(tables.open_of(hash, &place.key), &place.window, merge);
        place.window = plan.result.clone();
        let is_over = self.lifetime.is_over(&plan.result, moment.watermark);
        if let Some(whole) = plan.within() {
            return Ok((!is_over).then(|| whole.kept_under.clone()));
        }
        let kept_under = match plan.merged.first() {
            None if is_over => return Ok(None),
            None => plan.result.clone(),
            Some(_) if is_over => {
                return Err(Error::user("merging windows made one that the watermark has passed")
                    .with_hint("a window made by merging must not end before those it is made of"));
            }
            Some(first) => first.kept_under.clone(),
        };
        if let Some(open) = &mut tables.open {
            plan.apply(open.entry_or_insert_with(hash, &place.key, Vec::new), kept_under.clone());
        }
        match plan.merged.as_slice() {
            [] => {}
            [grown] => self.grow_pane(grown, hash, place, moment),
            _ => self.merge_panes(&plan, hash, place, moment),
        }
        Ok(Some(kept_under))
    }

    /// As [`Self::merge_panes`], where it is one window that has grown: its pane stays where it is.
    fn grow_pane(
        &mut self,
        grown: &OpenWindow<A::Window>,
        hash: u64,
        place: &WindowKey<K, A::Window>,
        moment: Moment,
    ) {
        let tables = self.tables.as_mut().expect("invariant: open is called first");
        let kept = WindowKey { window: grown.kept_under.clone(), key: place.key.clone() };
        let pane = tables.panes.entry(namespace_of(&kept.window), hash, &kept, Pane::new);
        let mut before = pane.trigger.take();
        (pane.has_cleanup, pane.timers) = (false, TimerNotes::NONE);
        let states = before.clone().into_iter().collect();
        let mut asking = Asking { timers: &mut tables.timers, hash, moment };
        asking.of(place, &mut pane.trigger, |context| self.trigger.on_merge(&place.window, states, context));
        if grown.window != place.window {
            let old = WindowKey { window: grown.window.clone(), key: kept.key };
            asking.of(&old, &mut before, |context| self.trigger.clear(&old.window, context));
            let cleanup = self.lifetime.cleanup_time(&old.window);
            table_of(asking.timers, self.lifetime.domain()).delete(cleanup, hash, &old, 0);
        }
    }

    /// Makes one pane of those of the merged windows.
    fn merge_panes(
        &mut self,
        plan: &Merge<A::Window>,
        hash: u64,
        place: &WindowKey<K, A::Window>,
        moment: Moment,
    ) {
        let tables = self.tables.as_mut().expect("invariant: open is called first");
        let mut whole: PaneOf<K, T, A, Tr, C> = Pane::new();
        let (mut states, mut olds) = (Vec::new(), Vec::new());
        for merged in &plan.merged {
            let kept = WindowKey { window: merged.kept_under.clone(), key: place.key.clone() };
            let pane = tables.remove_pane(hash, &kept).unwrap_or_else(Pane::new);
            states.extend(pane.trigger.clone());
            olds.push((WindowKey { window: merged.window.clone(), key: kept.key }, pane.trigger));
            match (&mut whole.contents, pane.contents) {
                (Some(earlier), Some(later)) => self.firing.contents.merge(earlier, later),
                (None, later) => whole.contents = later,
                (Some(_), None) => {}
            }
        }
        let mut asking = Asking { timers: &mut tables.timers, hash, moment };
        asking.of(place, &mut whole.trigger, |context| self.trigger.on_merge(&place.window, states, context));
        for (old, mut state) in olds.into_iter().filter(|(old, _)| old.window != place.window) {
            asking.of(&old, &mut state, |context| self.trigger.clear(&old.window, context));
            let cleanup = self.lifetime.cleanup_time(&old.window);
            table_of(asking.timers, self.lifetime.domain()).delete(cleanup, hash, &old, 0);
        }
        if let Some(first) = plan.merged.first() {
            let kept = WindowKey { window: first.kept_under.clone(), key: place.key.clone() };
            tables.panes.entry(namespace_of(&kept.window), hash, &kept, || whole);
        }
    }

    /// A timer of a window is due.
    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<WindowKey<K, A::Window>>,
        moment: Moment,
        context: &OperatorContext<'_>,
    ) -> Result<()> {
        let Timer { time, key: place, .. } = timer;
        let hash = place.stable_hash();
        let tables = self.tables.as_mut().expect("invariant: open is called first");
        let kept_elsewhere = match self.merging {
            None => None,
            Some(_) => match tables.kept_under(hash, &place) {
                None => return Ok(()), // It was merged away and has left a timer.
                elsewhere => elsewhere,
            },
        };
        let kept = kept_elsewhere.as_ref().unwrap_or(&place);
        let cleanup = self.lifetime.cleanup_time(&place.window);
        let is_over = domain == self.lifetime.domain() && time == cleanup && time != EventTime::MAX;
        let mut fresh = None;
        let pane = match tables.panes.get_mut(namespace_of(&kept.window), hash, kept) {
            Some(pane) => pane,
            None => fresh.insert(Pane::new()),
        };
        pane.timers.forget(domain, time);
        let kept_timer = (pane.has_cleanup && !is_over).then_some((self.lifetime.domain(), cleanup));
        let mut asking = TriggerContext {
            state: &mut pane.trigger,
            timers: &mut PaneTimers {
                timers: &mut tables.timers,
                hash,
                place: &place,
                notes: &mut pane.timers,
                kept: kept_timer,
            },
            watermark: moment.watermark,
            processing_time_ms: moment.processing_time_ms,
        };
        let result = match domain {
            TimeDomain::EventTime => self.trigger.on_event_time(time, &place.window, &mut asking),
            TimeDomain::ProcessingTime => self.trigger.on_processing_time(time, &place.window, &mut asking),
        };
        if result.is_fire() {
            self.firing.fire((hash, &place), &mut pane.contents, moment, context)?;
        }
        if is_over {
            self.trigger.clear(&place.window, &mut asking);
        } else if result.is_purge() {
            pane.contents = None;
        }
        let is_empty = pane.is_empty();
        if is_over || is_empty {
            tables.remove_pane(hash, kept);
        } else if let Some(fresh) = fresh {
            tables.panes.entry(namespace_of(&kept.window), hash, kept, || fresh);
        }
        if is_over {
            tables.close_window(hash, &place);
            self.firing.clear((hash, &place), moment, context)?;
        }
        Ok(())
    }

    /// Fires the timers of `domain` that are due at `up_to`; stops when the outputs are full.
    fn fire(
        &mut self,
        domain: TimeDomain,
        up_to: i64,
        context: &mut OperatorContext<'_>,
    ) -> Result<Progress> {
        let moment = self.moment(context);
        let mut progress = Progress::More;
        for _ in 0..TIMERS_PER_CALL {
            if !context.has_room() {
                break;
            }
            let tables = self.tables.as_mut().expect("invariant: open is called first");
            let (due, states) = (&mut self.due[domain as usize], &mut self.firing.states.states);
            if tables.next_due(due, (domain, up_to), states)? == Due::Waiting {
                progress = Progress::Waiting;
                break;
            }
            let Some(timer) = table_of(&mut tables.timers, domain).pop_due(up_to) else {
                progress = Progress::Done;
                break;
            };
            self.on_timer(domain, timer, moment, context)?;
            self.firing.flush_full(0, context)?;
        }
        self.finish(0, context)?;
        Ok(progress)
    }

    /// Sends on what was collected, and sees to it that the next processing-time timer fires.
    fn finish(&mut self, created_micros: u64, context: &mut OperatorContext<'_>) -> Result<()> {
        self.firing.flush(created_micros, context)?;
        // Timers that wait for their state go on when it is there.
        if !self.due[TimeDomain::ProcessingTime as usize].is_fetching()
            && let Some(time) = self.tables.as_ref().and_then(|tables| tables.timers.processing.next_time())
        {
            // A moment belongs to a window until it is over.
            context.wake_at(time.saturating_add(1));
        }
        Ok(())
    }
}

impl<K, T, A, Tr, C> Stateful for WindowOperator<K, T, A, Tr, C>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<K, A::Window, T>,
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        if let Some(tables) = &mut self.tables {
            tables.visit(visit)?;
        }
        self.firing.states.states.visit(visit)
    }
}

impl<K, T, A, Tr, C> Operator for WindowOperator<K, T, A, Tr, C>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<K, A::Window, T>,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.tables = Some(Tables::new(&context.states(), self.merging.is_some())?);
        self.firing.open(context)
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.finish(0, context)
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, rows, |value: &T| (self.key_of)(value))
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let moment = self.moment(context);
        let mut late = Vec::new();
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            panics::at_row(row as u64);
            late.extend(self.add(record, moment, context)?);
            self.firing.flush_full(batch.created_micros, context)?;
        }
        self.finish(batch.created_micros, context)?;
        (self.late_rows)(late, self.settings.emits_late, batch.created_micros, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let progress = self.fire(TimeDomain::EventTime, watermark, context)?;
        let was_firing = std::mem::replace(&mut self.is_firing, progress != Progress::Done);
        if was_firing && !self.is_firing {
            // Input was refused while the windows were fired.
            context.waker().wake_by_ref();
        }
        Ok(progress)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.fire(TimeDomain::ProcessingTime, now_ms.saturating_sub(1), context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let Some(tables) = &self.tables else { return Ok(Progress::Done) };
        if self.settings.at_end == ProcessingTimersAtEnd::Drop {
            return Ok(Progress::Done);
        }
        // A trigger that always registers another timer must not keep the job from ending.
        let latest = || tables.timers.processing.iter().map(|(time, ..)| time).max().unwrap_or(i64::MIN);
        let horizon = self.end_horizon.unwrap_or_else(latest);
        self.end_horizon = Some(horizon);
        self.fire(TimeDomain::ProcessingTime, horizon, context)
    }

    fn output_watermark(&self, input: EventTime) -> EventTime {
        if input == WATERMARK_MAX { input } else { input.saturating_sub(self.lifetime.lateness_ms) }
    }

    fn accepts_input(&self) -> bool {
        !self.is_firing
    }

    fn close(&mut self) {
        self.firing.contents.close();
    }
}
