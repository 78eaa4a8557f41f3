//! The most frequent values of a window, and the day so far.

use super::totals::{Figures, Totals};
use eddyline::window::{Aggregator, WindowResult};
use eddyline::{
    Collector, EventTime, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, ValueState,
};

/// How many values are kept of a minute and dimension.
pub(super) const TOP_MAX: usize = 20;
/// Candidates are cut down when there are so many.
const CANDIDATES_MAX: usize = 4 * TOP_MAX;
const DAY_MS: i64 = 86_400_000;

/// Keeps the values with the largest counts; each value comes once.
#[derive(Clone)]
pub(super) struct TopRows;

/// Most frequent first, equals by name.
fn cut(values: &mut Vec<(String, u64)>) {
    values.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    values.truncate(TOP_MAX);
}

impl Aggregator for TopRows {
    type Input = WindowResult<(u8, String), u64>;
    type State = Vec<(String, u64)>;
    type Output = Vec<(String, u64)>;

    fn create(&self) -> Self::State {
        Vec::new()
    }

    fn add(&self, state: &mut Self::State, row: Self::Input) {
        state.push((row.key.1, row.value));
        if state.len() > CANDIDATES_MAX {
            cut(state);
        }
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.extend(other.iter().cloned());
        if state.len() > CANDIDATES_MAX {
            cut(state);
        }
    }

    fn result(&self, state: &Self::State) -> Self::Output {
        let mut top = state.clone();
        cut(&mut top);
        top
    }
}

/// Adds minutes up from midnight (UTC) on: a cumulative window that grows by a minute, without updating each of the
/// 1,440 windows that a minute is part of.
#[derive(Default)]
pub(super) struct DaySoFar {
    day: Option<ValueState<(EventTime, Totals)>>,
}

impl KeyedProcessFunction<(), (EventTime, Totals), Figures> for DaySoFar {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, ()>) -> Result<()> {
        self.day = Some(context.value_state("day")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        (minute, totals): (EventTime, Totals),
        _context: &mut KeyedContext<'_, ()>,
        out: &mut Collector<Figures>,
    ) -> Result<()> {
        let Some(held) = &self.day else { return Ok(()) };
        let start = minute - minute.rem_euclid(DAY_MS);
        let (_, mut sums) =
            held.take().filter(|(day, _)| *day == start).unwrap_or_else(|| (start, Totals::default()));
        sums.merge(&totals);
        out.collect(sums.figures(start, minute + crate::summary::MINUTE_MS));
        held.update((start, sums));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline::window::TimeWindow;

    #[test]
    fn the_most_frequent_stay_whatever_the_order() {
        let values = |order: &mut dyn Iterator<Item = u64>| {
            let mut state = TopRows.create();
            let window = TimeWindow { start: 0, end: 1 };
            order.for_each(|number| {
                let key = (0, format!("{number:04}"));
                TopRows.add(&mut state, WindowResult { key, window, value: number % 300 });
            });
            TopRows.result(&state)
        };
        let (forwards, backwards) = (values(&mut (0..1_000)), values(&mut (0..1_000).rev()));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards[0], ("0299".to_string(), 299));
        assert_eq!(forwards.len(), TOP_MAX);
    }
}
