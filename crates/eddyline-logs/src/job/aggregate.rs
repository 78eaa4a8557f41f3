//! What the windows of the log job count.

use super::dispatch::Visit;
use eddyline::EventTime;
use eddyline::window::Aggregator;

/// Accesses and the sum of their bytes.
#[derive(Clone)]
pub(super) struct Bytes;

impl Aggregator for Bytes {
    type Input = (u16, u64);
    type State = (u64, u64);
    type Output = (u64, u64);

    fn create(&self) -> Self::State {
        (0, 0)
    }

    fn add(&self, state: &mut Self::State, (_, bytes): Self::Input) {
        state.0 += 1;
        state.1 = state.1.saturating_add(bytes);
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.0 += other.0;
        state.1 = state.1.saturating_add(other.1);
    }

    fn result(&self, state: &Self::State) -> Self::Output {
        *state
    }
}

/// Accesses of a session and the sum of their bytes; its bounds come with the window.
#[derive(Clone)]
pub(super) struct Visits;

impl Aggregator for Visits {
    type Input = Visit;
    type State = (u64, u64);
    type Output = (u64, u64);

    fn create(&self) -> Self::State {
        (0, 0)
    }

    fn add(&self, state: &mut Self::State, visit: Self::Input) {
        state.0 += 1;
        state.1 = state.1.saturating_add(visit.bytes);
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.0 += other.0;
        state.1 = state.1.saturating_add(other.1);
    }

    fn result(&self, state: &Self::State) -> Self::Output {
        *state
    }
}

/// The first and last access of a session window: it lasts until `gap_ms` after the last one.
pub(super) fn bounds(start: EventTime, end: EventTime, gap_ms: i64) -> (EventTime, EventTime) {
    (start, end.saturating_sub(gap_ms).max(start))
}
