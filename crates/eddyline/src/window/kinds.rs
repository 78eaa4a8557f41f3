//! Tumbling and sliding windows, under the names by which they are looked for.

use super::assign::{TIME_MAX, without_time};
use super::{
    AssignerContext, EventTimeTrigger, FixedWindowAssigner, ProcessingTimeTrigger, SlicedWindows, TimeWindow,
    WindowAssigner, WindowEndTrigger, WindowTime,
};
use crate::watermark::millis;
use eddyline_core::{EventTime, Result};
use std::time::Duration;

impl SlicedWindows {
    /// Pushes the windows that the time of a record belongs to, the latest one first.
    pub(super) fn assign(
        &self,
        timestamp: EventTime,
        context: &AssignerContext,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<()> {
        let time = match self.time() {
            WindowTime::Event if timestamp == EventTime::MIN => return Err(without_time()),
            WindowTime::Event => timestamp,
            WindowTime::Processing => context.processing_time_ms(),
        };
        if !(-TIME_MAX..=TIME_MAX).contains(&time) {
            return Ok(());
        }
        let mut start = self.last_start(time);
        while start > time - self.size_ms() {
            windows.push(TimeWindow { start, end: start + self.size_ms() });
            start -= self.slide_ms();
        }
        Ok(())
    }
}

impl<T> WindowAssigner<T> for SlicedWindows {
    type Window = TimeWindow;
    type DefaultTrigger = WindowEndTrigger;

    fn assign_windows(
        &self,
        _value: &T,
        timestamp: EventTime,
        context: &AssignerContext,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<()> {
        self.assign(timestamp, context, windows)
    }

    fn default_trigger(&self) -> WindowEndTrigger {
        WindowEndTrigger::of(self.time())
    }

    fn is_event_time(&self) -> bool {
        self.time() == WindowTime::Event
    }

    fn check(&self) -> Result<()> {
        SlicedWindows::check(self)
    }

    const HAS_SLICES: bool = true;

    fn as_sliced(&self) -> Option<SlicedWindows> {
        Some(*self)
    }
}

impl FixedWindowAssigner for SlicedWindows {}

macro_rules! named_windows {
    ($($(#[$doc:meta])* $name:ident: $trigger:ident, $time:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(SlicedWindows);

        impl $name {
            /// The same windows, starting `offset` later than at multiples of their slide since the epoch.
            #[must_use]
            pub fn with_offset(self, offset: Duration) -> Self {
                self.with_offset_ms(millis(offset))
            }

            /// As [`Self::with_offset`], in milliseconds, which may be negative: `-8 * 3_600_000` for days that
            /// begin at midnight eight hours east of Greenwich.
            #[must_use]
            pub fn with_offset_ms(self, offset_ms: i64) -> Self {
                $name(self.0.with_offset(offset_ms))
            }
        }

        impl From<$name> for SlicedWindows {
            fn from(windows: $name) -> Self {
                windows.0
            }
        }

        impl<T> WindowAssigner<T> for $name {
            type Window = TimeWindow;
            type DefaultTrigger = $trigger;

            fn assign_windows(
                &self,
                _value: &T,
                timestamp: EventTime,
                context: &AssignerContext,
                windows: &mut Vec<TimeWindow>,
            ) -> Result<()> {
                self.0.assign(timestamp, context, windows)
            }

            fn default_trigger(&self) -> $trigger {
                $trigger
            }

            fn is_event_time(&self) -> bool {
                $time == WindowTime::Event
            }

            fn check(&self) -> Result<()> {
                self.0.check()
            }

            const HAS_SLICES: bool = true;

            fn as_sliced(&self) -> Option<SlicedWindows> {
                Some(self.0)
            }
        }

        impl FixedWindowAssigner for $name {}
    )*};
}

named_windows! {
    /// Windows in event time, one after the other.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::TumblingEventTimeWindows;
    /// use eddyline::{Environment, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// let environment = Environment::new();
    /// let items = vec![("a", 1_000), ("a", 59_999), ("b", 7_000), ("a", 60_000)];
    /// let items = items.into_iter().map(|(page, time)| (page.to_string(), time)).collect();
    /// let clicks = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let per_minute = clicks
    ///     .key_by(|page| page.clone())
    ///     .window(TumblingEventTimeWindows::of(Duration::from_secs(60)))
    ///     .count()
    ///     .collect();
    /// environment.execute("clicks")?;
    /// let mut rows: Vec<_> = per_minute.rows().into_iter().map(|row| (row.key, row.window.start, row.value)).collect();
    /// rows.sort();
    /// assert_eq!(rows, [("a".into(), 0, 2), ("a".into(), 60_000, 1), ("b".into(), 0, 1)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    TumblingEventTimeWindows: EventTimeTrigger, WindowTime::Event;
    /// Windows in processing time, one after the other. Results depend on when records come.
    TumblingProcessingTimeWindows: ProcessingTimeTrigger, WindowTime::Processing;
    /// Windows in event time that begin at fixed intervals and overlap if those are shorter than the windows.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::SlidingEventTimeWindows;
    /// use eddyline::{Environment, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// let environment = Environment::new();
    /// let items = vec![(3u64, 4_000), (5, 7_000)];
    /// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let windows = SlidingEventTimeWindows::of(Duration::from_secs(10), Duration::from_secs(5));
    /// let sums = numbers.key_by(|_| 0u8).window(windows).sum(|number| *number).collect();
    /// environment.execute("sums")?;
    /// let rows: Vec<_> = sums.rows().into_iter().map(|row| (row.window.start, row.value)).collect();
    /// assert_eq!(rows, [(-5_000, 3), (0, 8), (5_000, 5)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    SlidingEventTimeWindows: EventTimeTrigger, WindowTime::Event;
    /// Windows in processing time that begin at fixed intervals and overlap if those are shorter than the windows.
    SlidingProcessingTimeWindows: ProcessingTimeTrigger, WindowTime::Processing;
}

impl TumblingEventTimeWindows {
    /// Windows of `size`.
    pub fn of(size: Duration) -> Self {
        TumblingEventTimeWindows(SlicedWindows::tumbling(millis(size)))
    }
}

impl TumblingProcessingTimeWindows {
    /// Windows of `size`.
    pub fn of(size: Duration) -> Self {
        TumblingProcessingTimeWindows(SlicedWindows::processing_time_tumbling(millis(size)))
    }
}

impl SlidingEventTimeWindows {
    /// Windows of `size`, one every `slide`.
    pub fn of(size: Duration, slide: Duration) -> Self {
        SlidingEventTimeWindows(SlicedWindows::sliding(millis(size), millis(slide)))
    }
}

impl SlidingProcessingTimeWindows {
    /// Windows of `size`, one every `slide`.
    pub fn of(size: Duration, slide: Duration) -> Self {
        SlidingProcessingTimeWindows(SlicedWindows::processing_time_sliding(millis(size), millis(slide)))
    }
}
