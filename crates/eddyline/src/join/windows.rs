//! Which windows a record of a window join belongs to.

use crate::window::{SlicedWindows, TimeWindow, WindowTime};
use eddyline_core::{Error, EventTime, Result};

/// Times further from the epoch than this belong to no session: their ends could not be told.
const TIME_MAX: i64 = i64::MAX / 4;

/// How both sides of a join are cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinWindows {
    /// Tumbling or sliding windows.
    Sliced(SlicedWindows),
    /// Sessions over the records of both sides together, which end after a pause of more than the gap.
    Session {
        /// The gap, milliseconds.
        gap_ms: i64,
    },
}

impl JoinWindows {
    /// Whether such windows are possible.
    ///
    /// # Errors
    /// Of kind `Config`, if a size, slide or gap is not positive or beyond all reason.
    pub fn check(&self) -> Result<()> {
        match self {
            JoinWindows::Sliced(windows) => windows.check(),
            JoinWindows::Session { gap_ms } if (1..=TIME_MAX).contains(gap_ms) => Ok(()),
            JoinWindows::Session { gap_ms } => {
                Err(Error::config(format!("sessions with a gap of {gap_ms} ms are not possible"))
                    .with_hint("the gap is whole milliseconds greater than 0"))
            }
        }
    }

    /// Whether the clock, not the records, says what time it is.
    pub(crate) fn is_processing_time(&self) -> bool {
        matches!(self, JoinWindows::Sliced(windows) if windows.time() == WindowTime::Processing)
    }

    /// Whether windows of a key that touch become one.
    pub(super) fn merges(&self) -> bool {
        matches!(self, JoinWindows::Session { .. })
    }

    /// Adds the windows of `time` to `windows`; none for times whose windows could not be told.
    pub(super) fn assign(&self, time: EventTime, windows: &mut Vec<TimeWindow>) {
        match self {
            JoinWindows::Session { gap_ms } => {
                if (-TIME_MAX..=TIME_MAX).contains(&time) {
                    windows.push(TimeWindow { start: time, end: time + gap_ms });
                }
            }
            JoinWindows::Sliced(sliced) => {
                let Some(slice) = sliced.slice_end(time) else { return };
                let Some(last) = sliced.last_window_end(slice) else { return };
                let mut end = sliced.first_window_end(slice);
                while end <= last {
                    windows.push(TimeWindow { start: end - sliced.size_ms(), end });
                    end = sliced.next_window_end(end);
                }
            }
        }
    }

    /// Whether a record at `time` can be between two windows, which is not the same as late.
    pub(super) fn has_gaps_at(&self, time: EventTime) -> bool {
        match self {
            JoinWindows::Session { .. } => false,
            JoinWindows::Sliced(sliced) => sliced.slice_end(time).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_all_those_that_hold_the_time() {
        for (size, slide, offset) in [(10, 10, 0), (10, 2, 1), (6, 4, 3), (4, 6, 0)] {
            let windows = JoinWindows::Sliced(SlicedWindows::sliding(size, slide).with_offset(offset));
            for time in -50..50 {
                let mut found = Vec::new();
                windows.assign(time, &mut found);
                let starts = (-100..100).map(|n| n * slide + offset);
                let holding = starts.filter(|start| (*start..start + size).contains(&time));
                let expected: Vec<_> = holding.map(|start| TimeWindow { start, end: start + size }).collect();
                assert_eq!(found, expected, "{windows:?} at {time}");
            }
        }
        let mut none = Vec::new();
        JoinWindows::Session { gap_ms: 5 }.assign(i64::MAX, &mut none);
        JoinWindows::Sliced(SlicedWindows::tumbling(5)).assign(i64::MAX, &mut none);
        assert_eq!(none, []);
        assert!(JoinWindows::Session { gap_ms: 0 }.check().is_err());
    }
}
