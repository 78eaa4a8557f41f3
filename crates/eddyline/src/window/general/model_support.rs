//! One assigner and one trigger that are all of them, so that the operator is compiled once for all combinations.

use super::model::{EvictorKind, Fired, Kind, Setup, Span, TriggerKind, gap_of};
use super::{Settings, SomeEvictor};
use crate::operators::ProcessingTimersAtEnd;
use crate::window::test_support::Row;
use crate::window::{
    Aggregator, AssignerContext, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor,
    CountTrigger, CumulativeWindows, DeltaEvictor, DeltaTrigger, EventTimeSessionWindows, EventTimeTrigger,
    GlobalWindow, MergeWindows, NeverTrigger, ProcessingTimeSessionWindows, ProcessingTimeTrigger,
    PurgingTrigger, SlicedWindows, TimeEvictor, TimeWindow, Trigger, TriggerContext, TriggerResult, Window,
    WindowAssigner,
};
use eddyline_core::{Data, EventTime, Result};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn millis(number: i64) -> Duration {
    Duration::from_millis(number as u64)
}

/// Any windows in time.
#[derive(Clone)]
pub(super) struct AnyWindows {
    pub(super) kind: Kind,
    pub(super) is_event_time: bool,
}

macro_rules! with_windows {
    ($any:expr, $windows:ident => $what:expr) => {
        match ($any.kind, $any.is_event_time) {
            (Kind::Sliding { size, slide, offset }, true) => {
                let $windows = SlicedWindows::sliding(size, slide).with_offset(offset);
                $what
            }
            (Kind::Sliding { size, slide, offset }, false) => {
                let $windows = SlicedWindows::processing_time_sliding(size, slide).with_offset(offset);
                $what
            }
            (Kind::Cumulative { size_max, step }, true) => {
                let $windows = CumulativeWindows::event_time(millis(size_max), millis(step));
                $what
            }
            (Kind::Cumulative { size_max, step }, false) => {
                let $windows = CumulativeWindows::processing_time(millis(size_max), millis(step));
                $what
            }
            (Kind::Session { gap }, true) => {
                let $windows = EventTimeSessionWindows::with_gap(millis(gap));
                $what
            }
            (Kind::Session { gap }, false) => {
                let $windows = ProcessingTimeSessionWindows::with_gap(millis(gap));
                $what
            }
            (Kind::DynamicSession, true) => {
                let $windows = EventTimeSessionWindows::with_dynamic_gap(|row: &Row| millis(gap_of(row)));
                $what
            }
            (Kind::DynamicSession, false) => {
                let $windows =
                    ProcessingTimeSessionWindows::with_dynamic_gap(|row: &Row| millis(gap_of(row)));
                $what
            }
            (Kind::Global, _) => unreachable!("global windows have a type of their own"),
        }
    };
}

impl WindowAssigner<Row> for AnyWindows {
    type Window = TimeWindow;
    type DefaultTrigger = AnyTrigger;

    fn assign_windows(
        &self,
        value: &Row,
        timestamp: EventTime,
        context: &AssignerContext,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<()> {
        with_windows!(self, of => of.assign_windows(value, timestamp, context, windows))
    }

    fn default_trigger(&self) -> AnyTrigger {
        AnyTrigger { kind: TriggerKind::Default, purging: false, is_event_time: self.is_event_time }
    }

    fn is_event_time(&self) -> bool {
        with_windows!(self, of => WindowAssigner::<Row>::is_event_time(&of))
    }

    fn merging(&self) -> Option<MergeWindows<TimeWindow>> {
        with_windows!(self, of => WindowAssigner::<Row>::merging(&of))
    }

    fn check(&self) -> Result<()> {
        with_windows!(self, of => WindowAssigner::<Row>::check(&of))
    }
}

/// Any trigger.
#[derive(Clone)]
pub(super) struct AnyTrigger {
    pub(super) kind: TriggerKind,
    pub(super) purging: bool,
    pub(super) is_event_time: bool,
}

/// What the triggers keep, each its own part.
#[derive(Debug, Clone, Default, PartialEq, Data)]
pub(super) struct Parts {
    unit: Option<()>,
    count: Option<u64>,
    next: Option<i64>,
    last: Option<Row>,
}

fn distance(one: &Row, other: &Row) -> f64 {
    (one.1 - other.1).abs() as f64
}

/// A question to a trigger.
enum Ask<'a> {
    Element(&'a Row, EventTime),
    EventTime(i64),
    ProcessingTime(i64),
    Merge(Vec<Parts>),
    Clear,
}

/// Asks a trigger that keeps its state in a part of the parts.
fn ask<W: Window, Tr: Trigger<Row, W>>(
    trigger: Tr,
    part: fn(&mut Parts) -> &mut Option<Tr::State>,
    window: &W,
    question: Ask<'_>,
    context: &mut TriggerContext<'_, Parts>,
) -> TriggerResult {
    let mut parts = context.take_state().unwrap_or_default();
    let mut inner = context.with_state(part(&mut parts));
    let result = match question {
        Ask::Element(row, time) => trigger.on_element(row, time, window, &mut inner),
        Ask::EventTime(time) => trigger.on_event_time(time, window, &mut inner),
        Ask::ProcessingTime(time) => trigger.on_processing_time(time, window, &mut inner),
        Ask::Merge(mut merged) => {
            assert!(trigger.can_merge());
            let states = merged.iter_mut().filter_map(|parts| part(parts).take()).collect();
            trigger.on_merge(window, states, &mut inner);
            TriggerResult::Continue
        }
        Ask::Clear => {
            trigger.clear(window, &mut inner);
            TriggerResult::Continue
        }
    };
    if parts != Parts::default() {
        context.set_state(parts);
    }
    result
}

impl AnyTrigger {
    fn ask_one<W: Window, Tr: Trigger<Row, W>>(
        &self,
        trigger: Tr,
        part: fn(&mut Parts) -> &mut Option<Tr::State>,
        window: &W,
        question: Ask<'_>,
        context: &mut TriggerContext<'_, Parts>,
    ) -> TriggerResult {
        if self.purging {
            ask(PurgingTrigger::of(trigger), part, window, question, context)
        } else {
            ask(trigger, part, window, question, context)
        }
    }

    fn ask<W: Window>(
        &self,
        window: &W,
        question: Ask<'_>,
        context: &mut TriggerContext<'_, Parts>,
    ) -> TriggerResult {
        match self.kind {
            TriggerKind::Default if window.max_timestamp() == EventTime::MAX => {
                self.ask_one(NeverTrigger, |parts| &mut parts.unit, window, question, context)
            }
            TriggerKind::Default if self.is_event_time => {
                self.ask_one(EventTimeTrigger, |parts| &mut parts.unit, window, question, context)
            }
            TriggerKind::Default => {
                self.ask_one(ProcessingTimeTrigger, |parts| &mut parts.unit, window, question, context)
            }
            TriggerKind::Count(most) => {
                self.ask_one(CountTrigger::of(most), |parts| &mut parts.count, window, question, context)
            }
            TriggerKind::ContinuousEvent(interval) => {
                let trigger = ContinuousEventTimeTrigger::of(millis(interval));
                self.ask_one(trigger, |parts| &mut parts.next, window, question, context)
            }
            TriggerKind::ContinuousProcessing(interval) => {
                let trigger = ContinuousProcessingTimeTrigger::of(millis(interval));
                self.ask_one(trigger, |parts| &mut parts.next, window, question, context)
            }
            TriggerKind::Delta(threshold) => {
                let trigger = DeltaTrigger::of(threshold as f64, distance);
                self.ask_one(trigger, |parts| &mut parts.last, window, question, context)
            }
        }
    }
}

impl<W: Window> Trigger<Row, W> for AnyTrigger {
    type State = Parts;

    fn on_element(
        &self,
        element: &Row,
        timestamp: EventTime,
        window: &W,
        context: &mut TriggerContext<'_, Parts>,
    ) -> TriggerResult {
        self.ask(window, Ask::Element(element, timestamp), context)
    }

    fn on_event_time(&self, time: i64, window: &W, context: &mut TriggerContext<'_, Parts>) -> TriggerResult {
        self.ask(window, Ask::EventTime(time), context)
    }

    fn on_processing_time(
        &self,
        time_ms: i64,
        window: &W,
        context: &mut TriggerContext<'_, Parts>,
    ) -> TriggerResult {
        self.ask(window, Ask::ProcessingTime(time_ms), context)
    }

    fn can_merge(&self) -> bool {
        !matches!(self.kind, TriggerKind::Delta(_))
    }

    fn on_merge(&self, window: &W, merged: Vec<Parts>, context: &mut TriggerContext<'_, Parts>) {
        self.ask(window, Ask::Merge(merged), context);
    }

    fn clear(&self, window: &W, context: &mut TriggerContext<'_, Parts>) {
        self.ask(window, Ask::Clear, context);
    }
}

/// Keeps the numbers in the order in which they were added.
#[derive(Clone)]
pub(super) struct Numbers;

impl Aggregator for Numbers {
    type Input = Row;
    type State = Vec<i64>;
    type Output = Vec<i64>;

    fn create(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<i64>, input: Row) {
        state.push(input.1);
    }

    fn merge(&self, state: &mut Vec<i64>, other: &Vec<i64>) {
        state.extend(other);
    }

    fn result(&self, state: &Vec<i64>) -> Vec<i64> {
        state.clone()
    }
}

pub(super) fn evictor<W: Window>(setup: &Setup) -> SomeEvictor<Row, W> {
    let (kind, after) = setup.evictor?;
    Some(match (kind, after) {
        (EvictorKind::Count(most), false) => Arc::new(CountEvictor::of(most as u64)),
        (EvictorKind::Count(most), true) => Arc::new(CountEvictor::of(most as u64).after()),
        (EvictorKind::Time(size), false) => Arc::new(TimeEvictor::of(millis(size))),
        (EvictorKind::Time(size), true) => Arc::new(TimeEvictor::of(millis(size)).after()),
        (EvictorKind::Delta(most), false) => Arc::new(DeltaEvictor::of(most as f64, distance)),
        (EvictorKind::Delta(most), true) => Arc::new(DeltaEvictor::of(most as f64, distance).after()),
    })
}

pub(super) fn settings(setup: &Setup) -> Settings {
    let at_end = if setup.fires_at_end { ProcessingTimersAtEnd::Fire } else { ProcessingTimersAtEnd::Drop };
    Settings { allowed_lateness_ms: setup.lateness, emits_late: true, at_end }
}

/// What a window emitted, as the model has it.
pub(super) trait AsFired {
    fn span(&self) -> Span;
}

impl AsFired for TimeWindow {
    fn span(&self) -> Span {
        (self.start, self.end)
    }
}

impl AsFired for GlobalWindow {
    fn span(&self) -> Span {
        super::model::GLOBAL
    }
}

pub(super) fn fired<W: Window + AsFired>(
    key: String,
    window: &W,
    numbers: Vec<i64>,
    timestamp: i64,
) -> Fired {
    assert_eq!(timestamp, window.max_timestamp());
    (key, window.span(), numbers)
}
