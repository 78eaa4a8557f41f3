//! How watermarks follow from records.

use eddyline_core::{EventTime, Record, WATERMARK_MIN};

/// What a generator says: its watermark, and whether it has one to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatermarkOutput {
    watermark: EventTime,
    idle: bool,
}

impl Default for WatermarkOutput {
    fn default() -> Self {
        WatermarkOutput { watermark: WATERMARK_MIN, idle: false }
    }
}

impl WatermarkOutput {
    /// Moves the watermark to `watermark`; one that would go back is ignored. Ends idleness.
    #[inline]
    pub fn emit(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark);
        self.idle = false;
    }

    /// The split has no say until the next watermark or [`WatermarkOutput::mark_active`].
    pub fn mark_idle(&mut self) {
        self.idle = true;
    }

    /// The split has a say again.
    pub fn mark_active(&mut self) {
        self.idle = false;
    }

    /// The newest watermark; `i64::MIN` if there is none yet.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// Whether the generator called itself idle.
    pub fn is_idle(&self) -> bool {
        self.idle
    }
}

/// Makes the watermarks of one split, or of one instance of an operator in mid-pipeline.
///
/// # Examples
/// ```
/// use eddyline::{Record, WatermarkGenerator, WatermarkOutput};
///
/// /// Trusts only every other timestamp.
/// struct Sceptic {
///     previous: i64,
/// }
///
/// impl WatermarkGenerator<String> for Sceptic {
///     fn on_event(&mut self, _value: &String, timestamp: i64, output: &mut WatermarkOutput) {
///         output.emit(self.previous);
///         self.previous = timestamp - 1;
///     }
/// }
///
/// let mut output = WatermarkOutput::default();
/// let records = [Record::new("a".to_string(), 10), Record::new("b".to_string(), 20)];
/// Sceptic { previous: i64::MIN }.on_events(&records, &mut output);
/// assert_eq!(output.watermark(), 9);
/// ```
pub trait WatermarkGenerator<T>: 'static {
    /// Takes note of a record.
    fn on_event(&mut self, value: &T, timestamp: EventTime, output: &mut WatermarkOutput);

    /// Takes note of several records, in their order.
    fn on_events(&mut self, records: &[Record<T>], output: &mut WatermarkOutput) {
        for record in records {
            self.on_event(&record.value, record.timestamp, output);
        }
    }

    /// Called after every batch and at least once per `pipeline.auto-watermark-interval` while records come.
    fn on_periodic(&mut self, output: &mut WatermarkOutput) {
        let _ = output;
    }
}

/// The greatest timestamp so far, minus a delay, minus one millisecond.
pub(crate) struct BoundedOutOfOrderness {
    delay_ms: i64,
    greatest: EventTime,
}

impl BoundedOutOfOrderness {
    pub(crate) fn new(delay_ms: i64) -> Self {
        BoundedOutOfOrderness { delay_ms, greatest: EventTime::MIN }
    }
}

impl<T> WatermarkGenerator<T> for BoundedOutOfOrderness {
    fn on_event(&mut self, _value: &T, timestamp: EventTime, _output: &mut WatermarkOutput) {
        self.greatest = self.greatest.max(timestamp);
    }

    fn on_events(&mut self, records: &[Record<T>], _output: &mut WatermarkOutput) {
        self.greatest = records.iter().fold(self.greatest, |greatest, record| greatest.max(record.timestamp));
    }

    fn on_periodic(&mut self, output: &mut WatermarkOutput) {
        if self.greatest != EventTime::MIN {
            output.emit(self.greatest.saturating_sub(self.delay_ms).saturating_sub(1));
        }
    }
}

/// Never says anything.
pub(crate) struct NoWatermarks;

impl<T> WatermarkGenerator<T> for NoWatermarks {
    fn on_event(&mut self, _value: &T, _timestamp: EventTime, _output: &mut WatermarkOutput) {}

    fn on_events(&mut self, _records: &[Record<T>], _output: &mut WatermarkOutput) {}
}

/// Says what the records say.
pub(crate) struct Punctuated<F>(pub(crate) F);

impl<T, F: Fn(&T, EventTime) -> Option<EventTime> + 'static> WatermarkGenerator<T> for Punctuated<F> {
    fn on_event(&mut self, value: &T, timestamp: EventTime, output: &mut WatermarkOutput) {
        if let Some(watermark) = (self.0)(value, timestamp) {
            output.emit(watermark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermark_after(mut generator: impl WatermarkGenerator<u8>, times: &[i64]) -> EventTime {
        let mut output = WatermarkOutput::default();
        let records: Vec<Record<u8>> = times.iter().map(|time| Record::new(1, *time)).collect();
        generator.on_events(&records, &mut output);
        generator.on_periodic(&mut output);
        output.watermark()
    }

    #[test]
    fn bounded_disorder_is_the_greatest_minus_delay_minus_one() {
        assert_eq!(watermark_after(BoundedOutOfOrderness::new(500), &[1_000, 3_000, 2_000]), 2_499);
        assert_eq!(watermark_after(BoundedOutOfOrderness::new(0), &[7]), 6);
        assert_eq!(watermark_after(BoundedOutOfOrderness::new(500), &[]), WATERMARK_MIN);
        assert_eq!(watermark_after(BoundedOutOfOrderness::new(i64::MAX), &[-5]), WATERMARK_MIN);
    }

    #[test]
    fn punctuated_watermarks_come_from_records_and_never_go_back() {
        let marks = |_: &u8, time: i64| (time % 10 == 0).then_some(time);
        assert_eq!(watermark_after(Punctuated(marks), &[3, 20, 10, 25]), 20);
        assert_eq!(watermark_after(NoWatermarks, &[3]), WATERMARK_MIN);
    }

    #[test]
    fn a_watermark_ends_idleness() {
        let mut output = WatermarkOutput::default();
        output.mark_idle();
        assert!(output.is_idle());
        output.emit(5);
        assert!(!output.is_idle());
    }
}
