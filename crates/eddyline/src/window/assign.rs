//! Which slices and windows a time belongs to.
//!
//! A slice is `gcd(size, slide)` wide, so that every window is a whole number of slices. Slices and windows are told
//! apart by their ends.

use eddyline_core::{Error, EventTime, Result};

/// Times further from the epoch than this (73 million years) belong to no window: their ends could not be told.
pub(crate) const TIME_MAX: i64 = i64::MAX / 4;
/// The longest window, 9 million years.
pub(crate) const SIZE_MAX: i64 = i64::MAX / 32;

/// The time by which records are assigned to windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowTime {
    /// The records' timestamps; the watermark fires windows.
    Event,
    /// The clock when a record is processed; the clock fires windows. Results depend on when records come.
    Processing,
}

/// Tumbling or sliding windows.
///
/// # Examples
/// ```
/// use eddyline::window::SlicedWindows;
///
/// let hourly_each_second = SlicedWindows::sliding(3_600_000, 1_000);
/// assert!(hourly_each_second.check().is_ok());
/// assert!(SlicedWindows::tumbling(0).check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlicedWindows {
    size_ms: i64,
    slide_ms: i64,
    offset_ms: i64,
    slice_ms: i64,
    time: WindowTime,
}

impl SlicedWindows {
    /// Windows of `size_ms` in event time, one after the other.
    pub fn tumbling(size_ms: i64) -> Self {
        Self::sliding(size_ms, size_ms)
    }

    /// Windows of `size_ms` in event time, one every `slide_ms`. Where `slide_ms` is the larger one, records between
    /// two windows belong to none.
    pub fn sliding(size_ms: i64, slide_ms: i64) -> Self {
        let slice_ms = greatest_common_divisor(size_ms.max(0), slide_ms.max(0));
        SlicedWindows { size_ms, slide_ms, offset_ms: 0, slice_ms, time: WindowTime::Event }
    }

    /// Windows of `size_ms` in processing time, one after the other.
    pub fn processing_time_tumbling(size_ms: i64) -> Self {
        SlicedWindows { time: WindowTime::Processing, ..Self::tumbling(size_ms) }
    }

    /// Windows of `size_ms` in processing time, one every `slide_ms`.
    pub fn processing_time_sliding(size_ms: i64, slide_ms: i64) -> Self {
        SlicedWindows { time: WindowTime::Processing, ..Self::sliding(size_ms, slide_ms) }
    }

    /// The same windows, starting `offset_ms` later than at multiples of their slide since the epoch: for days that
    /// do not start at midnight UTC, for example.
    #[must_use]
    pub fn with_offset(mut self, offset_ms: i64) -> Self {
        self.offset_ms = if self.slide_ms > 0 { offset_ms.rem_euclid(self.slide_ms) } else { 0 };
        self
    }

    /// Whether such windows are possible.
    ///
    /// # Errors
    /// Of kind `Config`, if size or slide is not positive or beyond all reason.
    pub fn check(&self) -> Result<()> {
        let possible = 1..=SIZE_MAX;
        if possible.contains(&self.size_ms) && possible.contains(&self.slide_ms) {
            return Ok(());
        }
        Err(Error::config(format!(
            "windows of {} ms every {} ms are not possible",
            self.size_ms, self.slide_ms
        ))
        .with_hint("size and slide are whole milliseconds greater than 0"))
    }

    /// The length of a window, milliseconds.
    pub fn size_ms(&self) -> i64 {
        self.size_ms
    }

    /// From the beginning of a window to that of the next one, milliseconds.
    pub fn slide_ms(&self) -> i64 {
        self.slide_ms
    }

    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// What decides when windows fire.
    pub fn time(&self) -> WindowTime {
        self.time
    }

    /// A name for people.
    pub fn describe(&self) -> String {
        if self.size_ms == self.slide_ms {
            format!("tumbling window {} ms", self.size_ms)
        } else {
            format!("sliding window {} ms / {} ms", self.size_ms, self.slide_ms)
        }
    }

    /// Whether a window is one slice: then no two slices are ever merged.
    pub(crate) fn is_one_slice(&self) -> bool {
        self.slice_ms > 0 && self.slices_per_window() == 1
    }

    /// How many slices make a window.
    pub(crate) fn slices_per_window(&self) -> i64 {
        self.size_ms / self.slice_ms
    }

    pub(crate) fn slice_ms(&self) -> i64 {
        self.slice_ms
    }

    /// The beginning of the last window that begins at `time` at the latest.
    pub(crate) fn last_start(&self, time: EventTime) -> EventTime {
        time - (time - self.offset_ms).rem_euclid(self.slide_ms)
    }

    /// The end of the slice that `time` belongs to; none if its windows' ends could not be told.
    pub(crate) fn slice_end(&self, time: EventTime) -> Option<EventTime> {
        if !(-TIME_MAX..=TIME_MAX).contains(&time) {
            return None;
        }
        Some(time - (time - self.offset_ms).rem_euclid(self.slice_ms) + self.slice_ms)
    }

    /// The number of the slice that ends at or next before `time`.
    pub(crate) fn index_of(&self, time: EventTime) -> i64 {
        clamp((i128::from(time) - i128::from(self.offset_ms)).div_euclid(i128::from(self.slice_ms)))
    }

    /// The last time up to `time` at which a slice can end.
    pub(crate) fn slices_before(&self, time: EventTime) -> EventTime {
        clamp(i128::from(self.index_of(time)) * i128::from(self.slice_ms) + i128::from(self.offset_ms))
    }

    /// The end of the first window to which the slice that ends at `slice_end` belongs.
    pub(crate) fn first_window_end(&self, slice_end: EventTime) -> EventTime {
        self.next_window_end(slice_end.saturating_sub(1))
    }

    /// The end of the last window to which the slice that ends at `slice_end` belongs; none if it is between two.
    pub(crate) fn last_window_end(&self, slice_end: EventTime) -> Option<EventTime> {
        let slice_start = slice_end - self.slice_ms;
        let start = slice_start - (slice_start - self.offset_ms).rem_euclid(self.slide_ms);
        let end = start + self.size_ms;
        (end >= slice_end).then_some(end)
    }

    /// The least end of a window that is greater than `time`.
    pub(crate) fn next_window_end(&self, time: EventTime) -> EventTime {
        if (-TIME_MAX..=TIME_MAX).contains(&time) {
            // Far from the ends of time: 128 bits cost several times as much.
            return time - (time - self.offset_ms - self.size_ms).rem_euclid(self.slide_ms) + self.slide_ms;
        }
        let (time, slide) = (i128::from(time), i128::from(self.slide_ms));
        let phase = (time - i128::from(self.offset_ms) - i128::from(self.size_ms)).rem_euclid(slide);
        clamp(time - phase + slide)
    }
}

/// What is wrong with a record that comes to a window in event time without a timestamp.
pub(crate) fn without_time() -> Error {
    Error::config("a record without an event time came to a window")
        .with_hint("assign timestamps and watermarks before the window, or use processing time")
}

fn clamp(wide: i128) -> i64 {
    wide.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

fn greatest_common_divisor(mut one: i64, mut other: i64) -> i64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_windows_agree_with_a_search() {
        for (size, slide, offset) in
            [(10, 10, 0), (10, 2, 1), (6, 4, 3), (4, 6, 0), (5, 15, 7), (1, 1, 0), (9, 6, -2)]
        {
            let windows = SlicedWindows::sliding(size, slide).with_offset(offset);
            let ends: Vec<i64> = (-300..300).map(|n| n * slide + offset + size).collect();
            for time in -100..100 {
                let slice = windows.slice_end(time).unwrap();
                assert!(slice - windows.slice_ms() <= time && time < slice);
                let holding: Vec<i64> =
                    ends.iter().copied().filter(|end| end - size <= time && time < *end).collect();
                assert_eq!(windows.last_window_end(slice), holding.last().copied(), "{windows:?} {time}");
                if let Some(first) = holding.first() {
                    assert_eq!(windows.first_window_end(slice), *first, "{windows:?} {time}");
                }
                assert_eq!(Some(&windows.next_window_end(time)), ends.iter().find(|end| **end > time));
            }
        }
    }

    #[test]
    fn times_far_off_have_no_slice() {
        let windows = SlicedWindows::tumbling(10);
        assert_eq!(windows.slice_end(i64::MAX), None);
        assert_eq!(windows.slice_end(i64::MIN + 1), None);
        assert!(SlicedWindows::sliding(10, 0).with_offset(5).check().is_err());
    }
}
