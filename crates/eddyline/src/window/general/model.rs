//! Windows as one would write them down: record by record, with plain maps, every rule in its place. What the
//! operator is compared with.

use crate::window::test_support::Row;
use eddyline_core::{EventTime, Record, WATERMARK_MIN};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Sliding { size: i64, slide: i64, offset: i64 },
    Cumulative { size_max: i64, step: i64 },
    Session { gap: i64 },
    DynamicSession,
    Global,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TriggerKind {
    Default,
    Count(u64),
    ContinuousEvent(i64),
    ContinuousProcessing(i64),
    Delta(i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum EvictorKind {
    Count(usize),
    Time(i64),
    Delta(i64),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) kind: Kind,
    pub(super) is_event_time: bool,
    pub(super) trigger: TriggerKind,
    pub(super) purging: bool,
    /// The evictor, and whether it evicts after the function.
    pub(super) evictor: Option<(EvictorKind, bool)>,
    pub(super) lateness: i64,
    /// Whether the function sees all elements; else it is incremental.
    pub(super) whole: bool,
    pub(super) fires_at_end: bool,
}

/// Start and end.
pub(super) type Span = (i64, i64);
/// Key, window, what the window held.
pub(super) type Fired = (String, Span, Vec<i64>);

pub(super) const GLOBAL: Span = (i64::MIN, i64::MAX);

fn max_timestamp(window: Span) -> i64 {
    if window == GLOBAL { i64::MAX } else { window.1 - 1 }
}

/// The gap that a record asks for.
pub(super) fn gap_of(row: &Row) -> i64 {
    1 + row.1.abs() * 4
}

#[derive(Debug, Clone, Default)]
struct Pane {
    elements: Option<Vec<(i64, EventTime)>>,
    count: Option<u64>,
    next: Option<i64>,
    last: Option<i64>,
}

#[derive(Debug, PartialEq)]
enum Domain {
    Event,
    Processing,
}

/// The windows of all keys.
pub(super) struct Model {
    setup: Setup,
    watermark: EventTime,
    now: i64,
    panes: BTreeMap<(String, Span), Pane>,
    /// Windows that can be merged with.
    open: BTreeSet<(String, Span)>,
    event_timers: BTreeSet<(i64, String, Span)>,
    processing_timers: BTreeSet<(i64, String, Span)>,
    pub(super) fired: Vec<Fired>,
    pub(super) late: Vec<Record<Row>>,
}

impl Model {
    pub(super) fn new(setup: Setup, now: i64) -> Self {
        Model {
            setup,
            watermark: WATERMARK_MIN,
            now,
            panes: BTreeMap::new(),
            open: BTreeSet::new(),
            event_timers: BTreeSet::new(),
            processing_timers: BTreeSet::new(),
            fired: Vec::new(),
            late: Vec::new(),
        }
    }

    fn merges(&self) -> bool {
        matches!(self.setup.kind, Kind::Session { .. } | Kind::DynamicSession)
    }

    fn assign(&self, row: &Record<Row>) -> Vec<Span> {
        let time = if self.setup.is_event_time { row.timestamp } else { self.now };
        match self.setup.kind {
            Kind::Sliding { size, slide, offset } => {
                let starts = (-400..400i64).map(|n| n * slide + offset + time / slide * slide);
                starts.filter(|start| *start <= time && time < start + size).map(|s| (s, s + size)).collect()
            }
            Kind::Cumulative { size_max, step } => {
                let start = time.div_euclid(size_max) * size_max;
                let ends = (1..=size_max / step).map(|steps| start + steps * step);
                ends.filter(|end| time < *end).map(|end| (start, end)).collect()
            }
            Kind::Session { gap } => vec![(time, time + gap)],
            Kind::DynamicSession => vec![(time, time + gap_of(&row.value))],
            Kind::Global => vec![GLOBAL],
        }
    }

    fn cleanup_time(&self, window: Span) -> i64 {
        let end = max_timestamp(window);
        if self.setup.is_event_time && window != GLOBAL { end + self.setup.lateness } else { end }
    }

    fn is_over(&self, window: Span) -> bool {
        self.setup.is_event_time && window != GLOBAL && self.cleanup_time(window) <= self.watermark
    }

    pub(super) fn add(&mut self, row: &Record<Row>) {
        let windows = self.assign(row);
        let (mut belongs, mut taken) = (false, false);
        for window in windows {
            belongs = true;
            let key = row.value.0.clone();
            let window = if self.merges() {
                match self.merge(&key, window) {
                    Some(window) => window,
                    None => continue,
                }
            } else if self.is_over(window) {
                continue;
            } else {
                window
            };
            taken = true;
            self.add_to(&key, window, row);
        }
        if belongs && !taken {
            self.late.push(row.clone());
        }
    }

    fn merge(&mut self, key: &str, window: Span) -> Option<Span> {
        let touched: Vec<Span> = self
            .open
            .iter()
            .filter(|(of, other)| *of == *key && other.0 <= window.1 && other.1 >= window.0)
            .map(|(_, other)| *other)
            .collect();
        let start = touched.iter().map(|other| other.0).chain([window.0]).min().unwrap();
        let end = touched.iter().map(|other| other.1).chain([window.1]).max().unwrap();
        let result = (start, end);
        if self.is_over(result) {
            assert!(touched.is_empty());
            return None;
        }
        self.open.insert((key.to_owned(), result));
        if touched.is_empty() || touched == [result] {
            return Some(result);
        }
        // What the windows hold, earliest first, and what the trigger kept for them.
        let mut whole = Pane::default();
        for other in &touched {
            let pane = self.panes.remove(&(key.to_owned(), *other)).unwrap_or_default();
            if let Some(elements) = pane.elements {
                whole.elements.get_or_insert_default().extend(elements);
            }
            whole.count = match (whole.count, pane.count) {
                (None, None) => None,
                (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
            };
            whole.next = whole.next.into_iter().chain(pane.next).min();
            self.open.remove(&(key.to_owned(), *other));
            self.event_timers.retain(|(_, of, window)| *of != *key || window != other);
            self.processing_timers.retain(|(_, of, window)| *of != *key || window != other);
        }
        self.open.insert((key.to_owned(), result));
        match self.setup.trigger {
            TriggerKind::Default if self.setup.is_event_time => {
                if max_timestamp(result) > self.watermark {
                    self.event_timers.insert((max_timestamp(result), key.to_owned(), result));
                }
            }
            TriggerKind::Default => {
                if max_timestamp(result) > self.now {
                    self.processing_timers.insert((max_timestamp(result), key.to_owned(), result));
                }
            }
            TriggerKind::ContinuousEvent(_) => {
                self.event_timers.extend(whole.next.map(|next| (next, key.to_owned(), result)));
            }
            TriggerKind::ContinuousProcessing(_) => {
                self.processing_timers.extend(whole.next.map(|next| (next, key.to_owned(), result)));
            }
            TriggerKind::Count(_) | TriggerKind::Delta(_) => {}
        }
        self.panes.insert((key.to_owned(), result), whole);
        Some(result)
    }

    fn add_to(&mut self, key: &str, window: Span, row: &Record<Row>) {
        let place = (key.to_owned(), window);
        let pane = self.panes.entry(place.clone()).or_default();
        pane.elements.get_or_insert_default().push((row.value.1, row.timestamp));
        let fires = self.trigger_on_element(&place, row);
        if fires {
            self.fire(&place);
        }
        let cleanup = self.cleanup_time(window);
        if cleanup != i64::MAX {
            let timers =
                if self.setup.is_event_time { &mut self.event_timers } else { &mut self.processing_timers };
            timers.insert((cleanup, key.to_owned(), window));
        }
    }

    fn trigger_on_element(&mut self, place: &(String, Span), row: &Record<Row>) -> bool {
        let (key, window) = place.clone();
        let end = max_timestamp(window);
        let pane = self.panes.get_mut(place).unwrap();
        match self.setup.trigger {
            TriggerKind::Default if window == GLOBAL => false,
            TriggerKind::Default if self.setup.is_event_time => {
                if end <= self.watermark {
                    return true;
                }
                self.event_timers.insert((end, key, window));
                false
            }
            TriggerKind::Default => {
                self.processing_timers.insert((end, key, window));
                false
            }
            TriggerKind::Count(most) => {
                let count = pane.count.unwrap_or(0) + 1;
                pane.count = (count < most).then_some(count);
                count >= most
            }
            TriggerKind::ContinuousEvent(interval) => {
                if end <= self.watermark {
                    return true;
                }
                self.event_timers.insert((end, key.clone(), window));
                if pane.next.is_none() {
                    let next = (row.timestamp.div_euclid(interval) * interval + interval).min(end);
                    pane.next = Some(next);
                    self.event_timers.insert((next, key, window));
                }
                false
            }
            TriggerKind::ContinuousProcessing(interval) => {
                if pane.next.is_none() {
                    let start = self.now.div_euclid(interval) * interval;
                    let next = next_by_the_clock(start, interval, end);
                    pane.next = Some(next);
                    self.processing_timers.insert((next, key, window));
                }
                false
            }
            TriggerKind::Delta(threshold) => {
                let fires = pane.last.is_some_and(|last| (row.value.1 - last).abs() > threshold);
                if fires || pane.last.is_none() {
                    pane.last = Some(row.value.1);
                }
                fires
            }
        }
    }

    fn trigger_on_timer(&mut self, domain: &Domain, time: i64, place: &(String, Span)) -> bool {
        let (key, window) = place.clone();
        let end = max_timestamp(window);
        let pane = self.panes.entry(place.clone()).or_default();
        match (self.setup.trigger, domain) {
            (TriggerKind::Default, Domain::Event) => self.setup.is_event_time && time == end,
            (TriggerKind::Default, Domain::Processing) => !self.setup.is_event_time,
            (TriggerKind::ContinuousEvent(interval), Domain::Event) => {
                if time == end {
                    return true;
                }
                if window == GLOBAL && self.watermark == i64::MAX {
                    pane.next = None;
                    return false;
                }
                if pane.next != Some(time) {
                    return false;
                }
                let next = (time + interval).min(end);
                pane.next = Some(next);
                self.event_timers.insert((next, key, window));
                true
            }
            (TriggerKind::ContinuousProcessing(interval), Domain::Processing) => {
                if pane.next != Some(time) {
                    return false;
                }
                let next = next_by_the_clock(time, interval, end);
                pane.next = Some(next);
                self.processing_timers.insert((next, key, window));
                true
            }
            _ => false,
        }
    }

    fn fire(&mut self, place: &(String, Span)) {
        let (setup, pane) = (self.setup, self.panes.get_mut(place).unwrap());
        let Some(elements) = &mut pane.elements else { return };
        if let Some((evictor, false)) = setup.evictor {
            evict(evictor, elements);
        }
        let numbers: Vec<i64> = elements.iter().map(|(number, _)| *number).collect();
        if setup.whole || !numbers.is_empty() {
            self.fired.push((place.0.clone(), place.1, numbers));
        }
        if let Some((evictor, true)) = setup.evictor {
            evict(evictor, elements);
        }
        if elements.is_empty() || setup.purging {
            pane.elements = None;
        }
    }

    fn on_timer(&mut self, domain: Domain, (time, key, window): (i64, String, Span)) {
        let place = (key, window);
        if self.merges() && !self.open.contains(&place) {
            return;
        }
        let fires = self.trigger_on_timer(&domain, time, &place);
        if fires {
            self.fire(&place);
        }
        let own = self.setup.is_event_time == (domain == Domain::Event);
        if own && window != GLOBAL && time == self.cleanup_time(window) {
            self.panes.remove(&place);
            self.open.remove(&place);
            self.event_timers.retain(|(_, key, window)| *key != place.0 || *window != place.1);
            self.processing_timers.retain(|(_, key, window)| *key != place.0 || *window != place.1);
        }
    }

    pub(super) fn advance_watermark(&mut self, watermark: EventTime) {
        self.watermark = watermark;
        while self.event_timers.first().is_some_and(|(time, ..)| *time <= watermark) {
            let timer = self.event_timers.pop_first().unwrap();
            self.on_timer(Domain::Event, timer);
        }
    }

    fn fire_processing(&mut self, up_to: i64) {
        while self.processing_timers.first().is_some_and(|(time, ..)| *time <= up_to) {
            let timer = self.processing_timers.pop_first().unwrap();
            self.on_timer(Domain::Processing, timer);
        }
    }

    pub(super) fn advance_clock(&mut self, now: i64) {
        self.now = now;
        self.fire_processing(now - 1);
    }

    pub(super) fn end(&mut self) {
        self.advance_watermark(i64::MAX);
        if let Some((horizon, ..)) = self.processing_timers.last()
            && self.setup.fires_at_end
        {
            self.fire_processing(*horizon);
        }
    }
}

fn next_by_the_clock(time: i64, interval: i64, end: i64) -> i64 {
    if end > time { (time + interval).min(end) } else { time + interval }
}

fn evict(evictor: EvictorKind, elements: &mut Vec<(i64, EventTime)>) {
    let kept: Vec<(i64, EventTime)> = match evictor {
        EvictorKind::Count(most) => {
            elements.iter().skip(elements.len().saturating_sub(most)).copied().collect()
        }
        EvictorKind::Time(size) => {
            let newest = elements.iter().map(|(_, time)| *time).max().unwrap_or(0);
            elements.iter().filter(|(_, time)| *time > newest - size).copied().collect()
        }
        EvictorKind::Delta(threshold) => {
            let newest = elements.last().map_or(0, |(number, _)| *number);
            elements.iter().filter(|(number, _)| (newest - number).abs() < threshold).copied().collect()
        }
    };
    *elements = kept;
}
