//! Files that have no lines any more.
//!
//! Where files are followed, the clock decides: a file that had a line and has had none for
//! [`DetectionSettings::silence_seconds`] is silent, or for four times its longest pause so far, if that is longer.
//! Where they are read to their end, the lines' own time decides, and only pauses between two lines count: nobody
//! can tell how long a file is silent that has ended.

use super::{Alert, AlertKind, DetectionSettings, Severity};
use crate::job::Heartbeat;
use eddyline::{
    Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain, ValueState,
};
use eddyline_core::{Data, EventTime};
use std::collections::BTreeMap;

/// How many times the longest pause of a file is not unusual yet.
const PAUSES: i64 = 4;
/// A timer of the clock that comes later than this was overdue when the job was started again.
const OVERDUE_MS: i64 = 5_000;
/// Stretches of lines that are kept of a file.
const STRETCHES_MAX: usize = 1_024;

#[derive(Debug, Clone, Default, Data)]
struct State {
    /// Stretches with lines that the watermark has not come to, by their start.
    stretches: BTreeMap<EventTime, EventTime>,
    /// The end of those that it has.
    end: Option<EventTime>,
    /// The latest line's time.
    latest: EventTime,
    longest_pause_ms: i64,
    /// When the clock showed the last line.
    seen_ms: i64,
    timer_ms: Option<i64>,
    open: Option<Alert>,
}

/// The detector of silent files; keyed by file.
pub struct SilenceDetector {
    settings: DetectionSettings,
    /// Whether files are followed.
    live: bool,
    state: Option<ValueState<State>>,
}

impl SilenceDetector {
    /// A detector for files that are followed, or not.
    pub fn new(settings: DetectionSettings, live: bool) -> Self {
        SilenceDetector { settings, live, state: None }
    }

    fn limit_ms(&self, state: &State) -> i64 {
        self.settings.silence_ms().max(state.longest_pause_ms.saturating_mul(PAUSES))
    }

    fn live_beat(
        &self,
        state: &mut State,
        beat: &Heartbeat,
        context: &mut KeyedContext<'_, String>,
        out: &mut Collector<Alert>,
    ) {
        let now_ms = context.processing_time_ms();
        if let Some(alert) = state.open.take() {
            out.collect(alert.close(beat.first));
        } else if state.seen_ms > 0 {
            state.longest_pause_ms = state.longest_pause_ms.max(now_ms - state.seen_ms);
        }
        state.seen_ms = now_ms;
        state.latest = state.latest.max(beat.last);
        // One timer at a time: when it is due it is found out whether it has to be set anew.
        if state.timer_ms.is_none() {
            let due_ms = now_ms.saturating_add(self.limit_ms(state));
            context.register_processing_time_timer(due_ms);
            state.timer_ms = Some(due_ms);
        }
    }

    fn live_timer(
        &self,
        state: &mut State,
        due_ms: i64,
        context: &mut KeyedContext<'_, String>,
        out: &mut Collector<Alert>,
    ) {
        let now_ms = context.processing_time_ms();
        if now_ms - due_ms > OVERDUE_MS {
            state.seen_ms = now_ms;
        }
        state.timer_ms = None;
        let silent_at = state.seen_ms.saturating_add(self.limit_ms(state));
        if silent_at > now_ms {
            context.register_processing_time_timer(silent_at);
            state.timer_ms = Some(silent_at);
        } else if state.open.is_none() {
            let mut alert = self.alert(context.key(), state.latest, now_ms - state.seen_ms);
            out.collect(alert.revised());
            state.open = Some(alert);
        }
    }

    /// The lines' time has come to `first`, where a stretch with lines begins.
    fn past_timer(&self, state: &mut State, first: EventTime, source: &str, out: &mut Collector<Alert>) {
        let Some(last) = state.stretches.remove(&first) else { return };
        if let Some(end) = state.end {
            let pause_ms = first.saturating_sub(end);
            if pause_ms >= self.limit_ms(state) {
                let mut alert = self.alert(source, end, pause_ms);
                out.collect(alert.revised());
                out.collect(alert.close(first));
            }
            state.longest_pause_ms = state.longest_pause_ms.max(pause_ms);
        }
        state.end = Some(state.end.map_or(last, |end| end.max(last)));
    }

    fn alert(&self, source: &str, since: EventTime, pause_ms: i64) -> Alert {
        let mut alert = Alert::open(AlertKind::SilentSource, source, Severity::Warning, since);
        alert.count = 1;
        alert.message = format!("no line in {source} for {} min", pause_ms / 60_000);
        alert
    }
}

impl KeyedProcessFunction<String, Heartbeat, Alert> for SilenceDetector {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, String>) -> Result<()> {
        self.state = Some(context.value_state("silence")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        beat: Heartbeat,
        context: &mut KeyedContext<'_, String>,
        out: &mut Collector<Alert>,
    ) -> Result<()> {
        let Some(held) = &self.state else { return Ok(()) };
        let mut state = held.take().unwrap_or_default();
        if self.live {
            self.live_beat(&mut state, &beat, context, out);
        } else {
            let last = state.stretches.entry(beat.first).or_insert(beat.last);
            *last = (*last).max(beat.last);
            if state.stretches.len() > STRETCHES_MAX {
                state.stretches.pop_first();
            }
            context.register_event_time_timer(beat.first);
        }
        held.update(state);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, String>,
        out: &mut Collector<Alert>,
    ) -> Result<()> {
        let Some(held) = &self.state else { return Ok(()) };
        let Some(mut state) = held.take() else { return Ok(()) };
        match domain {
            TimeDomain::ProcessingTime => self.live_timer(&mut state, time, context, out),
            TimeDomain::EventTime => self.past_timer(&mut state, time, context.key(), out),
        }
        held.update(state);
        Ok(())
    }
}
