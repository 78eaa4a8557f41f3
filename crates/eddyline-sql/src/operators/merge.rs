//! Putting accumulators together that saw different rows: slices of overlapping windows.

use super::accumulator::{Accumulator, Aggregator};
use crate::plan::AggregateFunction;

impl Aggregator {
    /// Whether two states of the call can be made one, whatever the order of their rows.
    pub(crate) fn merges(&self) -> bool {
        let state = self.create_plain();
        !self.is_distinct()
            && matches!(
                state,
                Accumulator::Count(_)
                    | Accumulator::Whole(..)
                    | Accumulator::Decimal(..)
                    | Accumulator::Float(..)
                    | Accumulator::Best(_)
                    | Accumulator::BestWhole(_)
                    | Accumulator::BestText(_)
            )
    }

    /// Adds what `other` saw to `state`.
    pub(crate) fn merge(&self, state: &mut Accumulator, other: &Accumulator) {
        let wants_max = self.function() == AggregateFunction::Max;
        match (state, other) {
            (Accumulator::Count(count), Accumulator::Count(more)) => *count += more,
            (Accumulator::Whole(sum, count), Accumulator::Whole(more, times)) => {
                *sum = sum.wrapping_add(*more);
                *count += times;
            }
            (Accumulator::Decimal(sum, count), Accumulator::Decimal(more, times)) => {
                *sum = sum.wrapping_add(*more);
                *count += times;
            }
            (Accumulator::Float(sum, count), Accumulator::Float(more, times)) => {
                *sum += more;
                *count += times;
            }
            (Accumulator::Best(best), Accumulator::Best(Some(other)))
                if best.as_ref().is_none_or(|known| other.0 < known.0) =>
            {
                *best = Some(other.clone());
            }
            (Accumulator::BestWhole(best), Accumulator::BestWhole(Some(other)))
                if best.is_none_or(|known| if wants_max { *other > known } else { *other < known }) =>
            {
                *best = Some(*other);
            }
            (Accumulator::BestText(best), Accumulator::BestText(Some(other)))
                if best
                    .as_ref()
                    .is_none_or(|known| if wants_max { other > known } else { other < known }) =>
            {
                *best = Some(other.clone());
            }
            // The other one has seen nothing, or nothing better.
            _ => {}
        }
    }
}
