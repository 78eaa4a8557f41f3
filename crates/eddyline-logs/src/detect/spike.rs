//! Many more errors than usual.
//!
//! The last minute (six slices) is compared with the hour before it. It is a spike if it has enough errors, their
//! share is large, several times the share of the hour before, and more than six standard deviations above it. Slices
//! that are part of a spike do not count as history, so that a long spike does not become usual.

use super::{Alert, AlertKind, DetectionSettings, Pulse, Severity};
use eddyline::{
    Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain, ValueState,
    WATERMARK_MIN,
};
use eddyline_core::{Data, EventTime};
use std::collections::BTreeMap;

const SLICE_MS: i64 = 10_000;
/// How long what is judged is.
const WINDOW_MS: i64 = 60_000;
/// How long what it is compared with is.
const HISTORY_MS: i64 = 3_600_000;
/// A spike is over when it has not been seen for this long.
const QUIET_MS: i64 = 120_000;
/// How far a slice may be ahead of the watermark and be judged at once. What is further ahead waits: the input is
/// being caught up with, and what belongs before it may not have been read.
const EARLY_MS: i64 = 180_000;
/// Lines of errors that are kept of a slice.
const SLICE_SAMPLES_MAX: usize = 3;
/// How many standard deviations above what is usual a spike is.
const DEVIATIONS: f64 = 6.0;

#[derive(Debug, Clone, Default, Data)]
struct Slice {
    lines: u64,
    errors: u64,
    /// Whether it is part of a spike.
    spiked: bool,
    /// Some of the errors' lines.
    samples: Vec<String>,
}

#[derive(Debug, Clone, Default, Data)]
struct State {
    slices: BTreeMap<EventTime, Slice>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Data)]
struct Open {
    alert: Alert,
    /// The latest slice at which the spike was seen.
    last: EventTime,
    /// The count at the last emission.
    emitted_count: u64,
}

/// The detector of spikes; keyed by `()`.
pub struct SpikeDetector {
    settings: DetectionSettings,
    /// How far the watermark stays behind, at least.
    delay_ms: i64,
    state: Option<ValueState<State>>,
}

impl SpikeDetector {
    /// A detector behind a watermark that waits for `delay_ms`.
    pub fn new(settings: DetectionSettings, delay_ms: i64) -> Self {
        SpikeDetector { settings, delay_ms, state: None }
    }

    /// Whether the minute up to and with `slice` is a spike: its errors and their share, and the share before.
    fn judge(&self, state: &State, slice: EventTime) -> Option<(u64, f64, f64)> {
        let window_start = slice - WINDOW_MS + SLICE_MS;
        let sum = |slices: &mut dyn Iterator<Item = &Slice>| {
            slices.fold((0_u64, 0_u64), |(lines, errors), slice| (lines + slice.lines, errors + slice.errors))
        };
        let window = state.slices.range(window_start..=slice);
        let (lines, errors) = sum(&mut window.map(|(_, slice)| slice));
        if errors < self.settings.spike_errors_min {
            return None;
        }
        let before = state.slices.range(window_start - HISTORY_MS..window_start);
        let (lines_before, errors_before) =
            sum(&mut before.map(|(_, slice)| slice).filter(|slice| !slice.spiked));
        if lines_before < self.settings.spike_history_lines_min {
            return None;
        }
        // As if there had been one error in a hundred lines more: no history is quite without errors.
        let usual = (errors_before + 1) as f64 / (lines_before + 100) as f64;
        let rate = errors as f64 / lines.max(1) as f64;
        let deviation = (lines as f64 * usual * (1.0 - usual).max(0.0)).sqrt();
        let is_spike = rate >= self.settings.spike_rate_min
            && rate >= usual * self.settings.spike_factor
            && errors as f64 - lines as f64 * usual >= DEVIATIONS * deviation;
        is_spike.then_some((errors, rate, usual))
    }

    /// Judges the minute that ends with `slice`, and opens or goes on with an alert.
    fn look(&self, state: &mut State, slice: EventTime, out: &mut Collector<Alert>) {
        let Some((errors, rate, usual)) = self.judge(state, slice) else { return };
        let window_start = slice - WINDOW_MS + SLICE_MS;
        for (_, part) in state.slices.range_mut(window_start..=slice) {
            part.spiked = true;
        }
        let first = state.slices.range(window_start..=slice).find(|(_, part)| part.errors > 0);
        let opened = first.map_or(slice, |(start, _)| *start);
        let open = state.open.get_or_insert_with(|| Open {
            alert: Alert::open(AlertKind::ErrorSpike, "site", Severity::Critical, opened),
            last: slice,
            emitted_count: 0,
        });
        open.last = open.last.max(slice);
        let alert = &mut open.alert;
        alert.updated = alert.updated.max(slice + SLICE_MS - 1);
        alert.count = alert.count.max(errors);
        if alert.message.is_empty()
            || rate * 100.0 >= 2.0 * usual * 100.0 && alert.count >= 2 * open.emitted_count
        {
            alert.message = format!(
                "{:.1} % of the requests of a minute failed, {errors} in all; usual is {:.2} %",
                rate * 100.0,
                usual * 100.0
            );
        }
        for (_, part) in state.slices.range_mut(window_start..=slice) {
            part.samples.drain(..).for_each(|line| alert.add_evidence(line));
        }
        if open.emitted_count == 0 || alert.count >= 2 * open.emitted_count {
            open.emitted_count = alert.count;
            out.collect(alert.revised());
        }
    }
}

impl KeyedProcessFunction<(), Pulse, Alert> for SpikeDetector {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, ()>) -> Result<()> {
        self.state = Some(context.value_state("slices")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        pulse: Pulse,
        context: &mut KeyedContext<'_, ()>,
        out: &mut Collector<Alert>,
    ) -> Result<()> {
        let Some(held) = &self.state else { return Ok(()) };
        let mut state = held.take().unwrap_or_default();
        let slice = state.slices.entry(pulse.slice).or_default();
        slice.lines += pulse.lines;
        slice.errors += pulse.errors;
        slice.samples.extend(pulse.samples);
        slice.samples.truncate(SLICE_SAMPLES_MAX);
        context.register_event_time_timer(pulse.slice + SLICE_MS);
        let watermark = context.watermark();
        let is_early = watermark != WATERMARK_MIN
            && pulse.slice <= watermark.saturating_add(self.delay_ms).saturating_add(EARLY_MS);
        if pulse.errors > 0 && is_early {
            self.look(&mut state, pulse.slice, out);
            if state.open.is_some() {
                context.register_event_time_timer(pulse.slice + QUIET_MS);
            }
        }
        held.update(state);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _domain: TimeDomain,
        context: &mut KeyedContext<'_, ()>,
        out: &mut Collector<Alert>,
    ) -> Result<()> {
        let Some(held) = &self.state else { return Ok(()) };
        let Some(mut state) = held.take() else { return Ok(()) };
        self.look(&mut state, time - SLICE_MS, out);
        if let Some(open) = state.open.take_if(|open| open.last + QUIET_MS <= time) {
            out.collect(open.alert.close(open.last + SLICE_MS));
        }
        if let Some(open) = &state.open {
            context.register_event_time_timer(open.last + QUIET_MS);
        }
        state.slices = state.slices.split_off(&(time - HISTORY_MS - 2 * WINDOW_MS));
        held.update(state);
        Ok(())
    }
}
