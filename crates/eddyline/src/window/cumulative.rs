//! Cumulative windows: from a fixed beginning to ever later ends.

use super::assign::{SIZE_MAX, TIME_MAX, without_time};
use super::{AssignerContext, FixedWindowAssigner, TimeWindow, WindowAssigner, WindowEndTrigger, WindowTime};
use crate::watermark::millis;
use eddyline_core::{Error, EventTime, Result};
use std::time::Duration;

/// Windows that begin at multiples of a greatest size and end after one step, two steps, and so on up to that size:
/// "visitors since midnight, every hour".
///
/// A record belongs to as many windows as end after it, up to the greatest size divided by the step.
///
/// # Examples
/// ```
/// use eddyline::window::CumulativeWindows;
/// use eddyline::{Environment, WatermarkStrategy};
/// use std::time::Duration;
///
/// let environment = Environment::new();
/// let items = vec![(1u64, 500), (1, 1_500), (1, 3_500)];
/// let visits = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = CumulativeWindows::event_time(Duration::from_secs(3), Duration::from_secs(1));
/// let so_far = visits.key_by(|_| 0u8).window(windows).count().collect();
/// environment.execute("visits")?;
/// let rows: Vec<_> = so_far.rows().into_iter().map(|row| (row.window.start, row.window.end, row.value)).collect();
/// let second = [(0, 1_000, 1), (0, 2_000, 2), (0, 3_000, 2)];
/// assert_eq!(rows, [&second[..], &[(3_000, 4_000, 1), (3_000, 5_000, 1), (3_000, 6_000, 1)]].concat());
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CumulativeWindows {
    size_max_ms: i64,
    step_ms: i64,
    offset_ms: i64,
    time: WindowTime,
}

impl CumulativeWindows {
    /// Windows in event time that grow by `step` up to `size_max`.
    pub fn event_time(size_max: Duration, step: Duration) -> Self {
        let (size_max_ms, step_ms) = (millis(size_max), millis(step));
        CumulativeWindows { size_max_ms, step_ms, offset_ms: 0, time: WindowTime::Event }
    }

    /// Windows in processing time that grow by `step` up to `size_max`.
    pub fn processing_time(size_max: Duration, step: Duration) -> Self {
        CumulativeWindows { time: WindowTime::Processing, ..Self::event_time(size_max, step) }
    }

    /// The same windows, starting `offset` later than at multiples of their greatest size since the epoch.
    #[must_use]
    pub fn with_offset(self, offset: Duration) -> Self {
        self.with_offset_ms(millis(offset))
    }

    /// As [`CumulativeWindows::with_offset`], in milliseconds, which may be negative.
    #[must_use]
    pub fn with_offset_ms(mut self, offset_ms: i64) -> Self {
        self.offset_ms = if self.size_max_ms > 0 { offset_ms.rem_euclid(self.size_max_ms) } else { 0 };
        self
    }
}

impl<T> WindowAssigner<T> for CumulativeWindows {
    type Window = TimeWindow;
    type DefaultTrigger = WindowEndTrigger;

    fn assign_windows(
        &self,
        _value: &T,
        timestamp: EventTime,
        context: &AssignerContext,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<()> {
        let time = match self.time {
            WindowTime::Event if timestamp == EventTime::MIN => return Err(without_time()),
            WindowTime::Event => timestamp,
            WindowTime::Processing => context.processing_time_ms(),
        };
        if !(-TIME_MAX..=TIME_MAX).contains(&time) {
            return Ok(());
        }
        let start = time - (time - self.offset_ms).rem_euclid(self.size_max_ms);
        let mut end = start + ((time - start) / self.step_ms + 1) * self.step_ms;
        while end <= start + self.size_max_ms {
            windows.push(TimeWindow { start, end });
            end += self.step_ms;
        }
        Ok(())
    }

    fn default_trigger(&self) -> WindowEndTrigger {
        WindowEndTrigger::of(self.time)
    }

    fn is_event_time(&self) -> bool {
        self.time == WindowTime::Event
    }

    fn check(&self) -> Result<()> {
        let possible = 1..=SIZE_MAX;
        let positive = possible.contains(&self.size_max_ms) && possible.contains(&self.step_ms);
        if positive && self.size_max_ms % self.step_ms == 0 {
            return Ok(());
        }
        Err(Error::config(format!(
            "cumulative windows of up to {} ms in steps of {} ms are not possible",
            self.size_max_ms, self.step_ms
        ))
        .with_hint(
            "the greatest size is a multiple of the step, and both are whole milliseconds greater than 0",
        ))
    }
}

impl FixedWindowAssigner for CumulativeWindows {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_agree_with_a_search() {
        for (size, step, offset) in [(6i64, 2i64, 0i64), (6, 6, 1), (10, 1, -3), (9, 3, 20)] {
            let millis = |number: i64| Duration::from_millis(number as u64);
            let windows = CumulativeWindows::event_time(millis(size), millis(step)).with_offset_ms(offset);
            WindowAssigner::<()>::check(&windows).unwrap();
            for time in -40i64..40 {
                let mut assigned = Vec::new();
                let context = AssignerContext { processing_time_ms: 0, key_hash: 0, max_parallelism: 128 };
                windows.assign_windows(&(), time, &context, &mut assigned).unwrap();
                let starts = (-100..100).map(|n| n * size + offset);
                let all = starts.flat_map(|start| {
                    (1..=size / step).map(move |steps| TimeWindow { start, end: start + steps * step })
                });
                let expected: Vec<_> = all.filter(|w| w.start <= time && time < w.end).collect();
                assert_eq!(assigned, expected, "{windows:?} {time}");
            }
        }
        let impossible = [(0, 0), (10, 3), (0, 1), (5, 10)];
        for (size, step) in impossible {
            let windows = CumulativeWindows::event_time(Duration::from_secs(size), Duration::from_secs(step));
            assert!(WindowAssigner::<()>::check(&windows).is_err(), "{windows:?}");
        }
    }
}
