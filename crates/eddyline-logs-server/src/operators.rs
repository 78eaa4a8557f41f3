//! How old lines are when an operator is done with them.

use eddyline::metrics::LATENCY;
use eddyline::{JobStatus, MetricValue};

/// The latencies of an operator's instance, in microseconds since the lines were read.
pub(crate) struct OperatorLatency<'a> {
    pub(crate) operator: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) instance: u32,
    /// Batches.
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) median_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

/// Those of all instances that have been given anything, in the order of the job's graph.
pub(crate) fn latencies(status: &JobStatus) -> impl Iterator<Item = OperatorLatency<'_>> {
    status.metrics.iter().filter(|metric| metric.name == LATENCY).filter_map(|metric| match &metric.value {
        MetricValue::Histogram { count, mean, median, p99, max, .. } => Some(OperatorLatency {
            operator: &metric.operator,
            uid: &metric.uid,
            instance: metric.instance,
            count: *count,
            mean_us: *mean,
            median_us: *median,
            p99_us: *p99,
            max_us: *max,
        }),
        _ => None,
    })
}
