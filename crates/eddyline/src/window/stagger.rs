//! Tumbling windows that do not all end at the same moment.

use super::{
    AssignerContext, FixedWindowAssigner, SlicedWindows, TimeWindow, TumblingEventTimeWindows,
    TumblingProcessingTimeWindows, WindowAssigner, WindowEndTrigger, WindowTime,
};
use eddyline_core::{EventTime, Result};

/// Whether the windows of all keys end at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowStagger {
    /// They do.
    #[default]
    Aligned,
    /// Each group of keys has an offset of its own, drawn from its number: the load of firing is spread over the size
    /// of a window. The windows of a key stay where they are through restarts and at any parallelism.
    Random,
}

/// Windows one after the other, whose offsets are staggered.
///
/// # Examples
/// ```
/// use eddyline::window::{TumblingEventTimeWindows, WindowStagger};
/// use eddyline::{Environment, WatermarkStrategy};
/// use std::time::Duration;
///
/// let environment = Environment::new();
/// let items = (0..1_000u64).map(|number| (number, number as i64)).collect();
/// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = TumblingEventTimeWindows::of(Duration::from_millis(100)).with_stagger(WindowStagger::Random);
/// let counts = numbers.key_by(|number| number % 50).window(windows).count().collect();
/// environment.execute("counts")?;
/// let rows = counts.rows();
/// assert_eq!(rows.iter().map(|row| row.value).sum::<u64>(), 1_000);
/// assert!(rows.iter().any(|row| row.window.start % 100 != rows[0].window.start % 100));
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaggeredWindows {
    windows: SlicedWindows,
    stagger: WindowStagger,
}

impl StaggeredWindows {
    fn of_group(&self, context: &AssignerContext) -> SlicedWindows {
        match self.stagger {
            WindowStagger::Aligned => self.windows,
            WindowStagger::Random => {
                let drawn = u64::from(context.key_group() + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
                let offset = (drawn % self.windows.size_ms().max(1).unsigned_abs()) as i64;
                self.windows.with_offset(self.windows.offset_ms() + offset)
            }
        }
    }
}

impl TumblingEventTimeWindows {
    /// The same windows, staggered.
    pub fn with_stagger(self, stagger: WindowStagger) -> StaggeredWindows {
        StaggeredWindows { windows: self.into(), stagger }
    }
}

impl TumblingProcessingTimeWindows {
    /// The same windows, staggered.
    pub fn with_stagger(self, stagger: WindowStagger) -> StaggeredWindows {
        StaggeredWindows { windows: self.into(), stagger }
    }
}

impl<T> WindowAssigner<T> for StaggeredWindows {
    type Window = TimeWindow;
    type DefaultTrigger = WindowEndTrigger;

    fn assign_windows(
        &self,
        _value: &T,
        timestamp: EventTime,
        context: &AssignerContext,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<()> {
        self.of_group(context).assign(timestamp, context, windows)
    }

    fn default_trigger(&self) -> WindowEndTrigger {
        WindowEndTrigger::of(self.windows.time())
    }

    fn is_event_time(&self) -> bool {
        self.windows.time() == WindowTime::Event
    }

    fn check(&self) -> Result<()> {
        self.windows.check()
    }

    const HAS_SLICES: bool = true;

    fn as_sliced(&self) -> Option<SlicedWindows> {
        (self.stagger == WindowStagger::Aligned).then_some(self.windows)
    }
}

impl FixedWindowAssigner for StaggeredWindows {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn window_of(windows: StaggeredWindows, hash: u64, max_parallelism: u32, time: i64) -> TimeWindow {
        let context = AssignerContext { processing_time_ms: 0, key_hash: hash, max_parallelism };
        let mut found = Vec::new();
        WindowAssigner::<()>::assign_windows(&windows, &(), time, &context, &mut found).unwrap();
        assert_eq!(found.len(), 1);
        found[0]
    }

    #[test]
    fn groups_of_keys_have_windows_of_their_own_that_stay() {
        let windows = TumblingEventTimeWindows::of(Duration::from_millis(1_000)).with_offset_ms(7);
        let random = windows.with_stagger(WindowStagger::Random);
        let mut starts = BTreeSet::new();
        for hash in 0..128 {
            let window = window_of(random, hash, 128, 5_000);
            assert!(window.start <= 5_000 && 5_000 < window.end && window.end - window.start == 1_000);
            assert_eq!(window, window_of(random, hash + 128, 128, 5_000), "of the same group");
            assert_eq!(window_of(random, hash, 128, window.end).start, window.end);
            starts.insert(window.start);
        }
        assert!(starts.len() > 60, "{} different offsets", starts.len());
        let aligned = windows.with_stagger(WindowStagger::Aligned);
        assert!((0..9).all(|hash| window_of(aligned, hash, 128, 5_000).start == 4_007));
    }
}
