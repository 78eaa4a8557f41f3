//! How long records take from their creation to the end of their processing.
//!
//! Measured always: once per batch, at every sink and after every operator, weighted by the rows of the batch. The
//! histogram is log-linear (16 steps per factor of two, error below 6 %), costs a few kilobytes and one addition
//! per batch.

const STEPS: usize = 16;
const SLOTS: usize = STEPS * 40;

/// A histogram of microseconds.
#[derive(Debug, Clone)]
pub struct LatencyHistogram {
    slots: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        LatencyHistogram { slots: vec![0; SLOTS], count: 0, max: 0 }
    }
}

fn slot_of(micros: u64) -> usize {
    if micros < STEPS as u64 {
        return micros as usize;
    }
    let exponent = micros.ilog2() as usize - 4;
    let slot = (exponent + 1) * STEPS + ((micros >> exponent) as usize - STEPS);
    slot.min(SLOTS - 1)
}

fn value_of(slot: usize) -> u64 {
    if slot < STEPS {
        return slot as u64;
    }
    let exponent = slot / STEPS - 1;
    ((slot % STEPS + STEPS) as u64) << exponent
}

impl LatencyHistogram {
    /// Counts `records` that took `micros`.
    pub fn record(&mut self, micros: u64, records: u64) {
        self.slots[slot_of(micros)] += records;
        self.count += records;
        self.max = self.max.max(micros);
    }

    /// The number of records counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest time, microseconds.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The time below which the given share (0 to 1) of the records stayed, microseconds; 0 if none was counted.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (share * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (slot, count) in self.slots.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return value_of(slot).min(self.max);
            }
        }
        0
    }

    /// Adds what another histogram has counted.
    pub fn merge(&mut self, other: &LatencyHistogram) {
        for (mine, theirs) in self.slots.iter_mut().zip(&other.slots) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }
}

/// The latencies of one worker.
#[derive(Debug, Default)]
pub(crate) struct LatencyRecorder {
    /// From creation to the end of a sink's call.
    pub(crate) end_to_end: LatencyHistogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close() {
        let mut histogram = LatencyHistogram::default();
        for micros in 1..=100_000u64 {
            histogram.record(micros, 1);
        }
        for (share, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.01, 1_000.0)] {
            let found = histogram.quantile(share) as f64;
            assert!((found - exact).abs() / exact < 0.07, "{share}: {found}");
        }
        assert_eq!(histogram.quantile(1.0).max(histogram.max()), 100_000);
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!(twice.count(), 200_000);
    }

    #[test]
    fn extreme_values_have_a_slot() {
        let mut histogram = LatencyHistogram::default();
        histogram.record(0, 1);
        histogram.record(u64::MAX, 1);
        assert_eq!(histogram.quantile(0.1), 0);
        assert_eq!(histogram.max(), u64::MAX);
    }

    #[test]
    fn slots_grow_with_values() {
        let mut last = 0;
        for micros in 0..100_000 {
            let slot = slot_of(micros);
            assert!(slot >= last && value_of(slot) <= micros);
            last = slot;
        }
    }
}
