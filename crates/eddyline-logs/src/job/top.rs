//! The most frequent values of a window, and the day so far.

use super::dispatch::{Counted, Dimension};
use super::tally::{Counts, Tally};
use super::totals::{Figures, Totals};
use crate::record::text_of;
use eddyline::window::{Aggregator, WindowResult};
use eddyline::{
    Collector, Data, EventTime, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, ValueState,
};

/// How many values are kept of a minute and dimension.
pub(super) const TOP_MAX: usize = 20;
/// Candidates are cut down when there are so many.
const CANDIDATES_MAX: usize = 4 * TOP_MAX;
/// Counts of the same values that are kept apart, at most.
const PARTS_MAX: usize = 32;
const DAY_MS: i64 = 86_400_000;

/// The values of a part of a dimension, as far as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Data)]
pub(super) struct Ranked {
    /// The most frequent.
    pub(super) top: Vec<(String, u64)>,
    /// Paths are shown all.
    pub(super) paths: Vec<(String, u64)>,
}

/// Counts of a minute that come from several places.
#[derive(Debug, Clone, Default, Data)]
pub(super) struct Gathered {
    is_path: bool,
    parts: Vec<Counts>,
}

/// Adds counts up, and keeps the most frequent values.
#[derive(Clone)]
pub(super) struct Frequent;

fn sum_of(parts: &[Counts]) -> Counts {
    let mut sums = Tally::default();
    parts.iter().for_each(|part| sums.add_all(part));
    sums.counts()
}

impl Aggregator for Frequent {
    type Input = Counted;
    type State = Gathered;
    type Output = Ranked;

    fn create(&self) -> Gathered {
        Gathered::default()
    }

    fn add(&self, state: &mut Gathered, input: Counted) {
        state.is_path = input.dimension == Dimension::Path;
        state.parts.push(input.counts);
        // What comes late comes in little pieces.
        if state.parts.len() > PARTS_MAX {
            state.parts = vec![sum_of(&state.parts)];
        }
    }

    fn merge(&self, state: &mut Gathered, other: &Gathered) {
        state.is_path |= other.is_path;
        state.parts.extend(other.parts.iter().cloned());
    }

    fn result(&self, state: &Gathered) -> Ranked {
        let merged;
        let counts = match state.parts.as_slice() {
            [one] => one,
            parts => {
                merged = sum_of(parts);
                &merged
            }
        };
        let mut values: Vec<(&[u8], u64)> = counts.iter().collect();
        let shown = |values: &[(&[u8], u64)]| {
            values.iter().map(|(value, count)| (text_of(value), *count)).collect::<Vec<_>>()
        };
        let paths = if state.is_path { shown(&values) } else { Vec::new() };
        if values.len() > TOP_MAX {
            values.select_nth_unstable_by(TOP_MAX - 1, |one, other| {
                other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0))
            });
            values.truncate(TOP_MAX);
        }
        let mut top = shown(&values);
        cut(&mut top);
        Ranked { top, paths }
    }
}

/// Keeps the values with the largest counts; each value comes once.
#[derive(Clone)]
pub(super) struct TopRows;

/// Most frequent first, equals by name.
fn cut(values: &mut Vec<(String, u64)>) {
    values.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    values.truncate(TOP_MAX);
}

impl Aggregator for TopRows {
    type Input = WindowResult<(u8, u8), Ranked>;
    type State = Vec<(String, u64)>;
    type Output = Vec<(String, u64)>;

    fn create(&self) -> Self::State {
        Vec::new()
    }

    fn add(&self, state: &mut Self::State, row: Self::Input) {
        state.extend(row.value.top);
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
    use crate::job::tally::hash_of;
    use eddyline::window::TimeWindow;

    #[test]
    fn the_most_frequent_stay_whatever_the_order_and_the_pieces() {
        let values = |order: &mut dyn Iterator<Item = u64>, piece: usize| {
            let order: Vec<u64> = order.collect();
            let mut gathered = Frequent.create();
            for numbers in order.chunks(piece) {
                let mut tally = Tally::default();
                for number in numbers {
                    let value = format!("{:04}", number % 300).into_bytes();
                    tally.add(hash_of(&value), &value, number % 300);
                }
                let counted = Counted { dimension: Dimension::Path, part: 0, counts: tally.counts() };
                Frequent.add(&mut gathered, counted);
            }
            let mut state = TopRows.create();
            let value = Frequent.result(&gathered);
            assert_eq!(value.paths.len(), 300);
            TopRows.add(
                &mut state,
                WindowResult { key: (0, 0), window: TimeWindow { start: 0, end: 1 }, value },
            );
            TopRows.result(&state)
        };
        let (forwards, backwards) = (values(&mut (0..1_200), 7), values(&mut (0..1_200).rev(), 1_200));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards[0], ("0299".to_string(), 4 * 299));
        assert_eq!(forwards.len(), TOP_MAX);
    }
}
