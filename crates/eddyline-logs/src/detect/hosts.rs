//! Hosts that misbehave: brute force on logins, and scanners.

use super::{Alert, AlertKind, DetectionSettings, Severity, Signal, SignalKind};
use crate::summary::SESSION_GAP_MS;
use eddyline::{
    Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain, ValueState,
};
use eddyline_core::{Data, EventTime};
use std::collections::BTreeSet;

/// Times of failures, and of successes, that are kept of a host.
const TIMES_MAX: usize = 256;
/// Missing paths that are kept of a host.
const PATHS_MAX: usize = 2_048;

#[derive(Debug, Clone, Default, Data)]
struct State {
    logins: Logins,
    missing: Missing,
    /// The timer that is set.
    timer: Option<EventTime>,
}

#[derive(Debug, Clone, Default, Data)]
struct Logins {
    /// In the order of time.
    failures: Vec<EventTime>,
    successes: Vec<EventTime>,
    samples: Vec<String>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Default, Data)]
struct Missing {
    paths: BTreeSet<u64>,
    first: EventTime,
    last: EventTime,
    samples: Vec<String>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Data)]
struct Open {
    alert: Alert,
    emitted_count: u64,
}

impl Open {
    /// Emits the alert if it is news: the first time, when its count has doubled, when `urgent`.
    fn emit(&mut self, urgent: bool, out: &mut Collector<Alert>) {
        if self.emitted_count == 0 || urgent || self.alert.count >= 2 * self.emitted_count {
            self.emitted_count = self.alert.count.max(1);
            out.collect(self.alert.revised());
        }
    }
}

/// The detector of hosts that misbehave; keyed by host.
pub struct HostDetector {
    settings: DetectionSettings,
    state: Option<ValueState<State>>,
}

impl HostDetector {
    /// A detector with these limits.
    pub fn new(settings: DetectionSettings) -> Self {
        HostDetector { settings, state: None }
    }
}

impl KeyedProcessFunction<String, Signal, Alert> for HostDetector {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, String>) -> Result<()> {
        self.state = Some(context.value_state("behaviour")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        signal: Signal,
        context: &mut KeyedContext<'_, String>,
        out: &mut Collector<Alert>,
    ) -> Result<()> {
        let Some(held) = &self.state else { return Ok(()) };
        let mut state = held.take().unwrap_or_default();
        match signal.kind {
            SignalKind::LoginFailed => state.logins.failed(signal, &self.settings, out),
            SignalKind::LoginSucceeded => state.logins.succeeded(signal, &self.settings, out),
            SignalKind::NotFound { path_hash } => state.missing.add(path_hash, signal, &self.settings, out),
        }
        set_timer(&mut state, &self.settings, context);
        held.update(state);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _domain: TimeDomain,
        context: &mut KeyedContext<'_, String>,
        out: &mut Collector<Alert>,
    ) -> Result<()> {
        let Some(held) = &self.state else { return Ok(()) };
        let Some(mut state) = held.take() else { return Ok(()) };
        state.timer = None;
        state.logins.forget(time, &self.settings, out);
        state.missing.forget(time, out);
        if set_timer(&mut state, &self.settings, context) {
            held.update(state);
        }
        Ok(())
    }
}

/// Sees to it that there is one timer, at the time when something will be over; false if there is nothing left.
fn set_timer(
    state: &mut State,
    settings: &DetectionSettings,
    context: &mut KeyedContext<'_, String>,
) -> bool {
    let logins = state.logins.latest().map(|latest| latest.saturating_add(settings.brute_force_ms()));
    let missing =
        (!state.missing.paths.is_empty()).then(|| state.missing.last.saturating_add(SESSION_GAP_MS));
    let due = logins.into_iter().chain(missing).min();
    if state.timer != due {
        if let Some(before) = state.timer {
            context.delete_event_time_timer(before);
        }
        if let Some(due) = due {
            context.register_event_time_timer(due);
        }
        state.timer = due;
    }
    due.is_some()
}

/// Inserts a time in order; the earliest go if there are too many.
fn insert(times: &mut Vec<EventTime>, time: EventTime) {
    let place = times.partition_point(|known| *known <= time);
    times.insert(place, time);
    if times.len() > TIMES_MAX {
        times.remove(0);
    }
}

impl Logins {
    fn latest(&self) -> Option<EventTime> {
        self.failures.last().copied().max(self.successes.last().copied())
    }

    fn failed(&mut self, signal: Signal, settings: &DetectionSettings, out: &mut Collector<Alert>) {
        insert(&mut self.failures, signal.time);
        self.sample(&signal);
        self.judge(&signal, settings, out);
    }

    fn succeeded(&mut self, signal: Signal, settings: &DetectionSettings, out: &mut Collector<Alert>) {
        insert(&mut self.successes, signal.time);
        self.judge(&signal, settings, out);
    }

    fn sample(&mut self, signal: &Signal) {
        if self.samples.len() < super::EVIDENCE_MAX - 1 {
            self.samples.push(signal.line.clone());
        }
    }

    /// Whether there were enough failures within the time.
    fn attack(&self, settings: &DetectionSettings) -> Option<(EventTime, EventTime)> {
        let count = settings.brute_force_failures.clamp(1, TIMES_MAX);
        let within = self
            .failures
            .windows(count)
            .find(|part| part[count - 1] - part[0] <= settings.brute_force_ms())?;
        Some((within[0], within[count - 1]))
    }

    /// Whether a login succeeded while there were enough failures within the time before.
    fn broken_in(&self, settings: &DetectionSettings) -> Option<EventTime> {
        self.successes.iter().copied().find(|&success| {
            let earliest = success.saturating_sub(settings.brute_force_ms());
            let within = self.failures.iter().filter(|failure| (earliest..=success).contains(failure));
            within.count() >= settings.brute_force_failures.max(1)
        })
    }

    fn judge(&mut self, signal: &Signal, settings: &DetectionSettings, out: &mut Collector<Alert>) {
        let Some((first, last)) = self.attack(settings) else { return };
        let broken_in = self.broken_in(settings);
        let samples = &mut self.samples;
        let is_new = self.open.is_none();
        let open = self.open.get_or_insert_with(|| {
            let mut alert = Alert::open(AlertKind::BruteForce, &signal.host, Severity::Warning, first);
            alert.updated = last;
            samples.drain(..).for_each(|line| alert.add_evidence(line));
            Open { alert, emitted_count: 0 }
        });
        let alert = &mut open.alert;
        alert.updated = alert.updated.max(signal.time);
        if is_new {
            alert.count = self.failures.len() as u64;
        } else if signal.kind == SignalKind::LoginFailed {
            alert.count += 1;
        }
        let rises = broken_in.is_some() && alert.severity != Severity::Critical;
        if rises {
            alert.severity = Severity::Critical;
            alert.evidence.truncate(super::EVIDENCE_MAX - 1);
            alert.add_evidence(signal.line.clone());
        }
        let then = if alert.severity == Severity::Critical { ", then one that succeeded" } else { "" };
        alert.message = format!("{} failed logins from {}{then}", alert.count, signal.host);
        open.emit(rises, out);
    }

    /// The watermark has come to `time`.
    fn forget(&mut self, time: EventTime, settings: &DetectionSettings, out: &mut Collector<Alert>) {
        let earliest = time.saturating_sub(settings.brute_force_ms());
        self.failures.retain(|failure| *failure > earliest);
        self.successes.retain(|success| *success > earliest);
        if self.failures.is_empty() {
            self.samples.clear();
            if let Some(open) = self.open.take() {
                let closed = open.alert.updated;
                out.collect(open.alert.close(closed));
            }
        }
    }
}

impl Missing {
    fn add(
        &mut self,
        path_hash: u64,
        signal: Signal,
        settings: &DetectionSettings,
        out: &mut Collector<Alert>,
    ) {
        if !self.paths.is_empty() && signal.time > self.last.saturating_add(SESSION_GAP_MS) {
            // A batch may be longer than a session: the timer between the two has not come yet.
            self.end(out);
        }
        if self.paths.is_empty() {
            (self.first, self.last) = (signal.time, signal.time);
        }
        self.first = self.first.min(signal.time);
        self.last = self.last.max(signal.time);
        let is_news = self.paths.len() < PATHS_MAX && self.paths.insert(path_hash);
        if is_news && self.samples.len() < super::EVIDENCE_MAX {
            self.samples.push(signal.line);
        }
        if self.paths.len() < settings.scanner_paths.clamp(1, PATHS_MAX) {
            return;
        }
        let (samples, first) = (&mut self.samples, self.first);
        let open = self.open.get_or_insert_with(|| {
            let mut alert = Alert::open(AlertKind::Scanner, &signal.host, Severity::Warning, first);
            samples.drain(..).for_each(|line| alert.add_evidence(line));
            Open { alert, emitted_count: 0 }
        });
        open.alert.updated = self.last;
        open.alert.count = self.paths.len() as u64;
        open.alert.message =
            format!("{} asked for {} different things that do not exist", signal.host, self.paths.len());
        open.emit(false, out);
    }

    fn end(&mut self, out: &mut Collector<Alert>) {
        if let Some(open) = self.open.take() {
            out.collect(open.alert.close(self.last));
        }
        self.paths.clear();
        self.samples.clear();
    }

    /// The watermark has come to `time`.
    fn forget(&mut self, time: EventTime, out: &mut Collector<Alert>) {
        if self.last.saturating_add(SESSION_GAP_MS) <= time {
            self.end(out);
        }
    }
}
