//! A watermark that a few wrong clocks do not run away with.

use super::dispatch::Parsed;
use eddyline::{EventTime, WatermarkGenerator, WatermarkOutput};
use eddyline_core::WATERMARK_MIN;

/// How far ahead of everything before a line may be and still move time by itself: one day.
const LEAP_MS: i64 = 24 * 60 * 60 * 1_000;
/// How many lines in a row have to be that far ahead before time follows them.
const WITNESSES: u32 = 100;

/// Bounded disorder, except that time leaps by more than a day only when many lines in a row say so: a single line
/// from a wrong clock would otherwise make all that follow late.
pub(super) struct Cautious {
    delay_ms: i64,
    latest: EventTime,
    witnesses: u32,
    /// The least time among the witnesses.
    leap_to: EventTime,
}

impl Cautious {
    pub(super) fn new(delay_ms: i64) -> Self {
        Cautious { delay_ms, latest: WATERMARK_MIN, witnesses: 0, leap_to: EventTime::MAX }
    }

    #[inline]
    fn see(&mut self, time: EventTime) {
        if self.latest == WATERMARK_MIN || time <= self.latest.saturating_add(LEAP_MS) {
            self.latest = self.latest.max(time);
            self.witnesses = 0;
            self.leap_to = EventTime::MAX;
        } else {
            self.witnesses += 1;
            self.leap_to = self.leap_to.min(time);
            if self.witnesses >= WITNESSES {
                self.latest = self.leap_to;
                self.witnesses = 0;
                self.leap_to = EventTime::MAX;
            }
        }
    }
}

impl WatermarkGenerator<Parsed> for Cautious {
    fn on_event(&mut self, value: &Parsed, _timestamp: EventTime, output: &mut WatermarkOutput) {
        if let Parsed::Lines(block) = value {
            block.lines().iter().for_each(|line| self.see(line.time));
            output.emit(self.latest.saturating_sub(self.delay_ms).saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_line_from_the_future_does_not_move_time() {
        let mut caution = Cautious::new(0);
        for time in [1_000, 2_000, 1_500, 2_000 + 10 * LEAP_MS, 3_000] {
            caution.see(time);
        }
        assert_eq!(caution.latest, 3_000);
    }

    #[test]
    fn many_lines_do() {
        let mut caution = Cautious::new(0);
        caution.see(1_000);
        for line in 0..WITNESSES {
            caution.see(i64::from(line) + 10 * LEAP_MS);
        }
        assert_eq!(caution.latest, 10 * LEAP_MS, "time follows as far as all witnesses agree");
        caution.see(10 * LEAP_MS + 500);
        assert_eq!(caution.latest, 10 * LEAP_MS + 500);
    }
}
