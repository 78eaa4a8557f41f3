//! Where event time comes from: timestamps, and watermarks generated from them.
//!
//! A [`WatermarkStrategy`] says how a record's timestamp is found, how watermarks follow from timestamps, after how
//! long a silent split stops holding the others back, and how far a split may run ahead. A watermark `w` promises
//! that no record at or before `w` is still to come; all semantics are those of Flink.

pub(crate) mod alignment;
pub(crate) mod assigner;
pub(crate) mod generator;

pub use generator::{WatermarkGenerator, WatermarkOutput};

use eddyline_core::{Data, EventTime, Record};
use generator::{BoundedOutOfOrderness, NoWatermarks, Punctuated};
use std::sync::Arc;
use std::time::Duration;

/// Sets the timestamps of the records of a batch.
type AssignTimestamps<T> = Arc<dyn Fn(&mut [Record<T>]) + Send + Sync>;
/// Makes the generator of one split.
type MakeGenerator<T> = Arc<dyn Fn() -> Box<dyn WatermarkGenerator<T>> + Send + Sync>;

/// How the records of a stream get their event time and how watermarks are made from it.
///
/// # Examples
/// ```
/// use eddyline::WatermarkStrategy;
/// use std::time::Duration;
///
/// // Records are pairs of a time in milliseconds and a word; they come up to five seconds late.
/// let strategy = WatermarkStrategy::<(i64, String)>::for_bounded_out_of_orderness(Duration::from_secs(5))
///     .with_timestamp_assigner(|(time, _), _| *time)
///     .with_idleness(Duration::from_secs(30));
/// # let _ = strategy;
/// ```
pub struct WatermarkStrategy<T> {
    assign: Option<AssignTimestamps<T>>,
    generator: MakeGenerator<T>,
    pub(crate) idleness_micros: Option<u64>,
    pub(crate) alignment: Option<Alignment>,
}

/// How far the splits of a source may run ahead of the sources they are aligned with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alignment {
    pub(crate) group: String,
    pub(crate) max_drift_ms: i64,
}

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        WatermarkStrategy {
            assign: self.assign.clone(),
            generator: self.generator.clone(),
            idleness_micros: self.idleness_micros,
            alignment: self.alignment.clone(),
        }
    }
}

impl<T: Data> WatermarkStrategy<T> {
    /// Records are out of order by `delay` at most: the watermark is the greatest timestamp so far, minus `delay`,
    /// minus one millisecond.
    pub fn for_bounded_out_of_orderness(delay: Duration) -> Self {
        let delay_ms = millis(delay);
        Self::for_generator(move || BoundedOutOfOrderness::new(delay_ms))
    }

    /// Timestamps never go back within a split: the watermark is the greatest timestamp so far, minus one
    /// millisecond.
    pub fn for_monotonous_timestamps() -> Self {
        Self::for_generator(|| BoundedOutOfOrderness::new(0))
    }

    /// No watermark before the end of the stream.
    pub fn no_watermarks() -> Self {
        Self::for_generator(|| NoWatermarks)
    }

    /// Some records say themselves what the watermark is: `watermark_of` is asked for every record and its
    /// timestamp.
    ///
    /// # Examples
    /// ```
    /// use eddyline::WatermarkStrategy;
    ///
    /// // A negative number is a marker: everything up to its absolute value has been sent.
    /// let strategy = WatermarkStrategy::<i64>::for_punctuated(|value, _| (*value < 0).then_some(-value));
    /// # let _ = strategy;
    /// ```
    pub fn for_punctuated(
        watermark_of: impl Fn(&T, EventTime) -> Option<EventTime> + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::for_generator(move || Punctuated(watermark_of.clone()))
    }

    /// A generator of your own; `make` is called once per split.
    pub fn for_generator<G: WatermarkGenerator<T>>(make: impl Fn() -> G + Send + Sync + 'static) -> Self {
        WatermarkStrategy {
            assign: None,
            generator: Arc::new(move || Box::new(make())),
            idleness_micros: None,
            alignment: None,
        }
    }

    /// Takes the timestamp (milliseconds since the epoch) from the record; `assigner` is also given the timestamp
    /// that the record has already, `i64::MIN` if it has none.
    #[must_use]
    pub fn with_timestamp_assigner(
        mut self,
        assigner: impl Fn(&T, EventTime) -> EventTime + Send + Sync + 'static,
    ) -> Self {
        self.assign = Some(Arc::new(move |records| {
            for (row, record) in records.iter_mut().enumerate() {
                eddyline_runtime::panics::at_row(row as u64);
                record.timestamp = assigner(&record.value, record.timestamp);
            }
        }));
        self
    }

    /// A split that has had nothing to say for `timeout` is idle: it holds the watermark back no longer, until its
    /// next record. Time in which the source was not allowed to read does not count.
    #[must_use]
    pub fn with_idleness(mut self, timeout: Duration) -> Self {
        self.idleness_micros = Some(u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
        self
    }

    /// A split whose watermark is more than `max_drift` ahead of the least watermark of all sources of `group`
    /// pauses until the others have caught up. Only sources align; in mid-pipeline this has no effect.
    #[must_use]
    pub fn with_watermark_alignment(mut self, group: impl Into<String>, max_drift: Duration) -> Self {
        self.alignment = Some(Alignment { group: group.into(), max_drift_ms: millis(max_drift) });
        self
    }

    /// A new generator.
    pub(crate) fn make_generator(&self) -> Box<dyn WatermarkGenerator<T>> {
        (self.generator)()
    }

    /// Sets the timestamps of `records`.
    pub(crate) fn assign(&self, records: &mut [Record<T>]) {
        if let Some(assign) = &self.assign {
            assign(records);
        }
    }
}

/// A duration as the milliseconds that event times are counted in.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
