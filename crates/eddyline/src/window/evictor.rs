//! Which elements of a window are dropped when it fires.
//!
//! A window with an evictor keeps all of its elements, also for functions that are incremental otherwise.

use super::TimestampedValue;
use crate::watermark::millis;
use eddyline_core::EventTime;
use std::time::Duration;

/// What an evictor may ask.
#[derive(Debug, Clone, Copy)]
pub struct EvictorContext {
    pub(crate) watermark: EventTime,
    pub(crate) processing_time_ms: i64,
}

impl EvictorContext {
    /// The watermark as last applied.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The time of the job's clock, milliseconds since the epoch; never goes back.
    pub fn processing_time_ms(&self) -> i64 {
        self.processing_time_ms
    }
}

/// Drops elements of windows `W`, before or after the window's function has seen them. What is dropped is gone, for
/// later firings too.
///
/// # Examples
/// ```
/// use eddyline::Environment;
/// use eddyline::window::{Evictor, EvictorContext, GlobalWindows, TimestampedValue};
///
/// /// Keeps what is positive.
/// struct Positive;
///
/// impl<W> Evictor<i64, W> for Positive {
///     fn evict_before(&self, elements: &mut Vec<TimestampedValue<i64>>, _window: &W, _context: &EvictorContext) {
///         elements.retain(|element| element.value > 0);
///     }
/// }
///
/// let environment = Environment::new();
/// let numbers = environment.from_collection(vec![1i64, -2, 3]);
/// let windows = numbers.window_all(GlobalWindows::with_end_of_stream_trigger());
/// let sum = windows.evictor(Positive).sum(|number| *number).collect();
/// environment.execute("sum")?;
/// assert_eq!(sum.rows()[0].value, 4);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait Evictor<T, W>: Send + Sync + 'static {
    /// Drops elements before the function sees them. They are in the order in which they came.
    fn evict_before(&self, elements: &mut Vec<TimestampedValue<T>>, window: &W, context: &EvictorContext) {
        let _ = (elements, window, context);
    }

    /// Drops elements after the function has seen them.
    fn evict_after(&self, elements: &mut Vec<TimestampedValue<T>>, window: &W, context: &EvictorContext) {
        let _ = (elements, window, context);
    }
}

/// When an evictor is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

macro_rules! evicts_at_its_moment {
    ($t:ident) => {
        fn evict_before(&self, elements: &mut Vec<TimestampedValue<$t>>, _: &W, _: &EvictorContext) {
            if self.moment == Moment::Before {
                self.evict(elements);
            }
        }

        fn evict_after(&self, elements: &mut Vec<TimestampedValue<$t>>, _: &W, _: &EvictorContext) {
            if self.moment == Moment::After {
                self.evict(elements);
            }
        }
    };
}

/// Keeps the last so many elements.
///
/// # Examples
/// ```
/// use eddyline::Environment;
/// use eddyline::window::{CountEvictor, CountTrigger, GlobalWindows};
///
/// let environment = Environment::new();
/// let numbers = environment.from_collection(vec![1u64, 2, 3, 4]);
/// let windows = numbers.window_all(GlobalWindows::create()).trigger(CountTrigger::of(2)).evictor(CountEvictor::of(3));
/// let sums = windows.sum(|number| *number).collect();
/// environment.execute("sums")?;
/// assert_eq!(sums.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [3, 9]);
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountEvictor {
    count_max: usize,
    moment: Moment,
}

impl CountEvictor {
    /// Keeps the last `count_max` elements and drops the others before the function sees them.
    pub fn of(count_max: u64) -> Self {
        CountEvictor { count_max: usize::try_from(count_max).unwrap_or(usize::MAX), moment: Moment::Before }
    }

    /// The same, after the function has seen them.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.moment = Moment::After;
        self
    }

    fn evict<T>(&self, elements: &mut Vec<TimestampedValue<T>>) {
        elements.drain(..elements.len().saturating_sub(self.count_max));
    }
}

impl<T, W> Evictor<T, W> for CountEvictor {
    evicts_at_its_moment!(T);
}

/// Keeps the elements of the last while before the newest one, by their timestamps. Elements without a timestamp are
/// all kept.
///
/// # Examples
/// ```
/// use eddyline::window::{EndOfStreamTrigger, GlobalWindows, TimeEvictor};
/// use eddyline::{Environment, WatermarkStrategy};
/// use std::time::Duration;
///
/// let environment = Environment::new();
/// let items = vec![(1u64, 100), (2, 900), (3, 1_100)];
/// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = numbers.window_all(GlobalWindows::with_end_of_stream_trigger());
/// let last_second = windows.evictor(TimeEvictor::of(Duration::from_secs(1))).sum(|number| *number).collect();
/// environment.execute("sum")?;
/// assert_eq!(last_second.rows()[0].value, 5);
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEvictor {
    size_ms: i64,
    moment: Moment,
}

impl TimeEvictor {
    /// Drops elements that are older than the newest one by `size` or more, before the function sees them.
    pub fn of(size: Duration) -> Self {
        TimeEvictor { size_ms: millis(size), moment: Moment::Before }
    }

    /// The same, after the function has seen them.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.moment = Moment::After;
        self
    }

    fn evict<T>(&self, elements: &mut Vec<TimestampedValue<T>>) {
        if elements.first().is_none_or(|first| first.timestamp == EventTime::MIN) {
            return;
        }
        let newest = elements.iter().map(|element| element.timestamp).max().unwrap_or(EventTime::MIN);
        let cutoff = newest.saturating_sub(self.size_ms);
        elements.retain(|element| element.timestamp > cutoff);
    }
}

impl<T, W> Evictor<T, W> for TimeEvictor {
    evicts_at_its_moment!(T);
}

/// Keeps the elements that are near the newest one.
///
/// # Examples
/// ```
/// use eddyline::window::DeltaEvictor;
///
/// let within_ten = DeltaEvictor::of(10.0, |element: &f64, newest: &f64| newest - element);
/// # let _ = within_ten;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct DeltaEvictor<F> {
    threshold: f64,
    delta: F,
    moment: Moment,
}

impl<F> DeltaEvictor<F> {
    /// Drops elements whose `delta` to the newest one is `threshold` or more, before the function sees them.
    pub fn of<T>(threshold: f64, delta: F) -> Self
    where
        F: Fn(&T, &T) -> f64,
    {
        DeltaEvictor { threshold, delta, moment: Moment::Before }
    }

    /// The same, after the function has seen them.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.moment = Moment::After;
        self
    }

    fn evict<T>(&self, elements: &mut Vec<TimestampedValue<T>>)
    where
        F: Fn(&T, &T) -> f64,
    {
        let Some(newest) = elements.pop() else { return };
        elements.retain(|element| (self.delta)(&element.value, &newest.value) < self.threshold);
        if (self.delta)(&newest.value, &newest.value) < self.threshold {
            elements.push(newest);
        }
    }
}

impl<T: 'static, W, F: Fn(&T, &T) -> f64 + Send + Sync + 'static> Evictor<T, W> for DeltaEvictor<F> {
    evicts_at_its_moment!(T);
}
