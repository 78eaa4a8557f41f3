//! What the windows of the log job count.

use crate::sketch::{Distinct, Quantiles};
use eddyline::EventTime;
use eddyline::window::Aggregator;
use eddyline_core::Data;
use serde::Serialize;
use std::collections::BTreeMap;

/// Sums over the lines of a stretch of time. They merge, so that one pass over a batch serves all windows.
#[derive(Debug, Clone, Default, Data)]
pub struct Totals {
    /// The lines that were read.
    pub lines: u64,
    /// Those of them that are accesses.
    pub requests: u64,
    /// The sum of the bodies sent, in bytes; saturating.
    pub bytes: u64,
    /// Accesses that failed by the server's fault, and messages at least as bad as an error.
    pub errors: u64,
    /// Accesses by status.
    pub status: BTreeMap<u16, u64>,
    /// Hosts.
    pub visitors: Distinct,
    /// Latencies in microseconds, where lines have them.
    pub latency: Quantiles,
}

impl Totals {
    /// Adds what was added to `other`.
    pub fn merge(&mut self, other: &Totals) {
        self.lines += other.lines;
        self.requests += other.requests;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.errors += other.errors;
        for (&status, &count) in &other.status {
            *self.status.entry(status).or_default() += count;
        }
        self.visitors.merge(&other.visitors);
        self.latency.merge(&other.latency);
    }

    /// The figures of the window from `start` up to, and without, `end`.
    pub fn figures(&self, start: EventTime, end: EventTime) -> Figures {
        Figures {
            start,
            end,
            lines: self.lines,
            requests: self.requests,
            bytes: self.bytes,
            errors: self.errors,
            status: self.status.clone(),
            visitors: self.visitors.estimate(),
            latency_p50_us: self.latency.quantile(0.5),
            latency_p90_us: self.latency.quantile(0.9),
            latency_p99_us: self.latency.quantile(0.99),
        }
    }
}

/// What a window has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Data, Serialize)]
pub struct Figures {
    /// The first millisecond of the window.
    pub start: EventTime,
    /// The first millisecond behind it.
    pub end: EventTime,
    /// The lines that were read.
    pub lines: u64,
    /// Those of them that are accesses.
    pub requests: u64,
    /// The sum of the bodies sent, in bytes.
    pub bytes: u64,
    /// Accesses that failed by the server's fault, and messages at least as bad as an error.
    pub errors: u64,
    /// Accesses by status.
    pub status: BTreeMap<u16, u64>,
    /// Different hosts, about.
    pub visitors: u64,
    /// The median latency in microseconds, where lines have latencies.
    pub latency_p50_us: Option<u64>,
    /// Its 90th percentile.
    pub latency_p90_us: Option<u64>,
    /// Its 99th percentile.
    pub latency_p99_us: Option<u64>,
}

/// Merges totals.
#[derive(Clone)]
pub(super) struct Merge;

impl Aggregator for Merge {
    type Input = Totals;
    type State = Totals;
    type Output = Totals;

    fn create(&self) -> Totals {
        Totals::default()
    }

    fn add(&self, state: &mut Totals, input: Totals) {
        state.merge(&input);
    }

    fn merge(&self, state: &mut Totals, other: &Totals) {
        state.merge(other);
    }

    fn result(&self, state: &Totals) -> Totals {
        state.clone()
    }
}
