//! Metrics that functions keep: counters, gauges, meters and histograms by name.
//!
//! A metric belongs to one operator instance and one attempt; a restart begins anew. Updating one costs an addition:
//! the worker looks at them from time to time and tells the job's status. For numbers that have to be exact, see
//! [`crate::accumulators`].

use crate::context::InstanceInfo;
use crate::latency::LatencyHistogram;
use eddyline_core::{Error, Result};
use eddyline_protocol::{MetricReport, MetricValue};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The histogram that every operator has: how old a batch's oldest record is when the operator is done with the batch, in
/// microseconds since its creation at the source.
pub const LATENCY: &str = "latency_us";
/// The most metrics of an operator instance: a name for each value of some field would fill the memory.
pub const METRICS_MAX: usize = 1_000;
/// After this long the rate of a meter has forgotten most of what was before, seconds.
const METER_SECONDS: f64 = 60.0;

/// Counts how often something happens.
///
/// # Examples
/// ```
/// use eddyline_runtime::metrics::Metrics;
///
/// let dropped = Metrics::default().counter("dropped")?;
/// dropped.inc();
/// dropped.add(2);
/// assert_eq!(dropped.get(), 3);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Counter(Rc<Cell<u64>>);

impl Counter {
    /// It has happened once more.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// It has happened `times` more.
    #[inline]
    pub fn add(&self, times: u64) {
        self.0.set(self.0.get().wrapping_add(times));
    }

    /// How often it has happened in this instance and attempt.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A number that goes up and down.
///
/// # Examples
/// ```
/// use eddyline_runtime::metrics::Metrics;
///
/// let open = Metrics::default().gauge("open connections")?;
/// open.set(7.0);
/// assert_eq!(open.get(), 7.0);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gauge(Rc<Cell<f64>>);

impl Gauge {
    /// Shows `value` from now on; infinity and `NaN` are not shown.
    #[inline]
    pub fn set(&self, value: f64) {
        if value.is_finite() {
            self.0.set(value);
        }
    }

    /// What it shows.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

#[derive(Debug, Default)]
struct Rate {
    count: Cell<u64>,
    /// When the rate was looked at last, monotonic microseconds, and the count then.
    looked: Cell<Option<(u64, u64)>>,
    per_second: Cell<f64>,
}

/// Counts how often something happens, and how often a second.
///
/// # Examples
/// ```
/// use eddyline_runtime::metrics::Metrics;
///
/// let requests = Metrics::default().meter("requests")?;
/// requests.mark();
/// assert_eq!(requests.count(), 1);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Meter(Rc<Rate>);

impl Meter {
    /// It has happened once more.
    #[inline]
    pub fn mark(&self) {
        self.mark_many(1);
    }

    /// It has happened `times` more.
    #[inline]
    pub fn mark_many(&self, times: u64) {
        self.0.count.set(self.0.count.get().wrapping_add(times));
    }

    /// How often it has happened in this instance and attempt.
    pub fn count(&self) -> u64 {
        self.0.count.get()
    }

    /// An average that forgets: each second counts less than the one after it.
    fn look(&self, now_micros: u64) -> MetricValue {
        let count = self.count();
        if let Some((before, had)) = self.0.looked.get()
            && now_micros > before
        {
            let seconds = (now_micros - before) as f64 / 1e6;
            let of_late = count.wrapping_sub(had) as f64 / seconds;
            let share = 1.0 - (-seconds / METER_SECONDS).exp();
            let known = self.0.per_second.get();
            self.0.per_second.set(known + share * (of_late - known));
        }
        self.0.looked.set(Some((now_micros, count)));
        MetricValue::Meter { count, per_second: self.0.per_second.get() }
    }
}

#[derive(Debug, Default)]
struct Distribution {
    slots: LatencyHistogram,
    min: u64,
    sum: f64,
}

/// How values are distributed: counts them in steps of 6 %.
///
/// # Examples
/// ```
/// use eddyline_runtime::metrics::Metrics;
///
/// let sizes = Metrics::default().histogram("sizes")?;
/// sizes.record(512);
/// assert_eq!(sizes.count(), 1);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Histogram(Rc<RefCell<Distribution>>);

impl Histogram {
    /// Counts a value.
    pub fn record(&self, value: u64) {
        let mut all = self.0.borrow_mut();
        all.min = if all.slots.count() == 0 { value } else { all.min.min(value) };
        all.sum += value as f64;
        all.slots.record(value, 1);
    }

    /// How many values were counted in this instance and attempt.
    pub fn count(&self) -> u64 {
        self.0.borrow().slots.count()
    }

    fn look(&self) -> MetricValue {
        let all = self.0.borrow();
        let count = all.slots.count();
        MetricValue::Histogram {
            count,
            min: all.min,
            max: all.slots.max(),
            mean: if count == 0 { 0.0 } else { all.sum / count as f64 },
            median: all.slots.quantile(0.5),
            p95: all.slots.quantile(0.95),
            p99: all.slots.quantile(0.99),
        }
    }
}

#[derive(Debug, Clone)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Meter(Meter),
    Histogram(Histogram),
}

impl Metric {
    fn kind(&self) -> &'static str {
        match self {
            Metric::Counter(_) => "counter",
            Metric::Gauge(_) => "gauge",
            Metric::Meter(_) => "meter",
            Metric::Histogram(_) => "histogram",
        }
    }
}

/// The metrics of an operator instance. Clones are the same metrics; asking for a name again gives the same one.
///
/// # Examples
/// ```
/// use eddyline_runtime::metrics::Metrics;
///
/// let metrics = Metrics::default();
/// metrics.counter("dropped")?.add(2);
/// metrics.counter("dropped")?.inc();
/// assert_eq!(metrics.counter("dropped")?.get(), 3);
/// assert!(metrics.gauge("dropped").is_err(), "it is a counter");
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Metrics(Rc<RefCell<BTreeMap<String, Metric>>>);

impl Metrics {
    fn find<M: Clone>(
        &self,
        name: &str,
        make: impl FnOnce() -> Metric,
        narrow: impl FnOnce(&Metric) -> Option<M>,
    ) -> Result<M> {
        let mut metrics = self.0.borrow_mut();
        if !metrics.contains_key(name) {
            if metrics.len() >= METRICS_MAX {
                return Err(Error::user(format!("an operator cannot have more than {METRICS_MAX} metrics"))
                    .with_detail(format!("no room for `{name}`"))
                    .with_hint("name metrics after what is counted, not after values of the data"));
            }
            metrics.insert(name.to_owned(), make());
        }
        let metric = &metrics[name];
        narrow(metric).ok_or_else(|| {
            Error::user(format!("the metric `{name}` is a {} already", metric.kind()))
                .with_hint("give metrics of different kinds different names")
        })
    }

    /// The counter `name`.
    ///
    /// # Errors
    /// If that is the name of a metric of another kind, or there are [`METRICS_MAX`] metrics; as for the others.
    pub fn counter(&self, name: &str) -> Result<Counter> {
        self.find(
            name,
            || Metric::Counter(Counter::default()),
            |metric| match metric {
                Metric::Counter(counter) => Some(counter.clone()),
                _ => None,
            },
        )
    }

    /// The gauge `name`.
    ///
    /// # Errors
    /// As for [`Metrics::counter`].
    pub fn gauge(&self, name: &str) -> Result<Gauge> {
        self.find(
            name,
            || Metric::Gauge(Gauge::default()),
            |metric| match metric {
                Metric::Gauge(gauge) => Some(gauge.clone()),
                _ => None,
            },
        )
    }

    /// The meter `name`.
    ///
    /// # Errors
    /// As for [`Metrics::counter`].
    pub fn meter(&self, name: &str) -> Result<Meter> {
        self.find(
            name,
            || Metric::Meter(Meter::default()),
            |metric| match metric {
                Metric::Meter(meter) => Some(meter.clone()),
                _ => None,
            },
        )
    }

    /// The histogram `name`.
    ///
    /// # Errors
    /// As for [`Metrics::counter`].
    pub fn histogram(&self, name: &str) -> Result<Histogram> {
        self.find(
            name,
            || Metric::Histogram(Histogram::default()),
            |metric| match metric {
                Metric::Histogram(histogram) => Some(histogram.clone()),
                _ => None,
            },
        )
    }

    /// What all metrics show at the monotonic time `now_micros`.
    pub(crate) fn report(&self, info: &InstanceInfo, now_micros: u64) -> Vec<MetricReport> {
        let metrics = self.0.borrow();
        let reports = metrics.iter().map(|(name, metric)| MetricReport {
            operator: info.name.to_string(),
            uid: info.uid.to_string(),
            instance: info.instance,
            name: name.clone(),
            value: match metric {
                Metric::Counter(counter) => MetricValue::Counter(counter.get()),
                Metric::Gauge(gauge) => MetricValue::Gauge(gauge.get()),
                Metric::Meter(meter) => meter.look(now_micros),
                Metric::Histogram(histogram) => histogram.look(),
            },
        });
        reports.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_comes_near_the_rate_and_forgets_it() {
        let meter = Meter::default();
        let rate_at = |now| match meter.look(now) {
            MetricValue::Meter { per_second, .. } => per_second,
            other => panic!("{other:?}"),
        };
        assert_eq!(rate_at(0), 0.0);
        for second in 1..=300u64 {
            meter.mark_many(50);
            rate_at(second * 1_000_000);
        }
        assert!((rate_at(300_000_001) - 50.0).abs() < 1.0);
        assert!(rate_at(600_000_000) < 1.0);
        assert_eq!(meter.count(), 15_000);
    }

    #[test]
    fn a_histogram_knows_its_shares() {
        let histogram = Histogram::default();
        (1..=100).for_each(|value| histogram.record(value));
        let MetricValue::Histogram { count, min, max, mean, median, p95, p99 } = histogram.look() else {
            panic!("a histogram")
        };
        assert_eq!((count, min, max, mean), (100, 1, 100, 50.5));
        assert!((47..=53).contains(&median) && (88..=100).contains(&p95) && (92..=100).contains(&p99));
    }

    #[test]
    fn there_is_no_end_to_names_but_to_metrics() {
        let metrics = Metrics::default();
        for number in 0..METRICS_MAX {
            metrics.counter(&number.to_string()).unwrap();
        }
        assert!(metrics.counter("0").is_ok());
        assert!(metrics.counter("more").unwrap_err().message().contains("more than 1000 metrics"));
        let gauge = Gauge::default();
        gauge.set(1.5);
        gauge.set(f64::NAN);
        assert_eq!(gauge.get(), 1.5);
    }
}
