//! From a changelog to the rows that are left.

use crate::row::{RowBytes, kind, row_bytes, views_of};
use arrow_array::RecordBatch;
use std::collections::BTreeMap;

/// Fewer places without a row than this are left as they are.
const HOLES_MIN: usize = 1_024;

/// The rows that a changelog leaves, in the order in which they came.
pub(super) struct Materialized {
    rows: Vec<Option<RowBytes>>,
    places: BTreeMap<RowBytes, Vec<usize>>,
    /// How often rows were taken back that were not there: so often they do not appear when they come.
    owed: BTreeMap<RowBytes, usize>,
    count: usize,
    /// Before this place there is no row.
    first: usize,
    /// The earliest rows go when there are more; rows that are gone may be taken back, so nothing is owed any more.
    rows_max: usize,
    has_dropped: bool,
    /// Whether an updated row stays where it was.
    in_place: bool,
    /// Where the row was that has just been taken back to be updated.
    vacated: Option<usize>,
}

impl Default for Materialized {
    fn default() -> Self {
        Materialized {
            rows: Vec::new(),
            places: BTreeMap::new(),
            owed: BTreeMap::new(),
            count: 0,
            first: 0,
            rows_max: usize::MAX,
            has_dropped: false,
            in_place: false,
            vacated: None,
        }
    }
}

impl Materialized {
    /// Rows to be looked at as they change: an updated one stays where it was, the latest `rows_max` are kept.
    pub(super) fn live(rows_max: usize) -> Self {
        Materialized { rows_max: rows_max.max(1), in_place: true, ..Materialized::default() }
    }

    pub(super) fn apply(&mut self, rows: &RecordBatch, kinds: &[i8]) {
        let views = views_of(rows.columns());
        for (row, meaning) in kinds.iter().enumerate() {
            self.change(row_bytes(&views, row), *meaning);
        }
    }

    /// Takes in one change.
    pub(super) fn change(&mut self, bytes: RowBytes, meaning: i8) {
        let vacated = self.vacated.take();
        if kind::is_retraction(meaning) {
            let Some(places) = self.places.get_mut(&bytes) else {
                if !self.has_dropped {
                    *self.owed.entry(bytes).or_default() += 1;
                }
                return;
            };
            if let Some(place) = places.pop() {
                self.rows[place] = None;
                self.count -= 1;
                self.vacated = (self.in_place && meaning == kind::UPDATE_BEFORE).then_some(place);
            }
            if places.is_empty() {
                self.places.remove(&bytes);
            }
            return;
        }
        if let Some(owed) = self.owed.get_mut(&bytes) {
            *owed -= 1;
            if *owed == 0 {
                self.owed.remove(&bytes);
            }
            return;
        }
        let place = match vacated.filter(|_| meaning == kind::UPDATE_AFTER) {
            Some(place) => place,
            None => {
                self.close_holes();
                self.rows.push(None);
                self.rows.len() - 1
            }
        };
        self.places.entry(bytes.clone()).or_default().push(place);
        self.rows[place] = Some(bytes);
        self.first = self.first.min(place);
        self.count += 1;
        if self.count > self.rows_max {
            self.drop_first();
        }
    }

    /// Drops the row that has been there longest.
    fn drop_first(&mut self) {
        while self.rows.get(self.first).is_some_and(Option::is_none) {
            self.first += 1;
        }
        let Some(bytes) = self.rows.get_mut(self.first).and_then(Option::take) else { return };
        if let Some(places) = self.places.get_mut(&bytes) {
            places.retain(|place| *place != self.first);
            if places.is_empty() {
                self.places.remove(&bytes);
            }
        }
        self.count -= 1;
        self.has_dropped = true;
        self.owed.clear();
    }

    /// Moves rows together when most places have none, so that a table that is updated for long does not grow.
    fn close_holes(&mut self) {
        if self.rows.len() - self.count < HOLES_MIN.max(self.count) {
            return;
        }
        self.rows.retain(Option::is_some);
        self.first = 0;
        self.places.clear();
        for (place, bytes) in self.rows.iter().enumerate() {
            if let Some(bytes) = bytes {
                self.places.entry(bytes.clone()).or_default().push(place);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.rows[self.first.min(self.rows.len())..].iter().flatten().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &Materialized) -> Vec<String> {
        rows.rows().map(|row| String::from_utf8_lossy(row).into_owned()).collect()
    }

    fn change(rows: &mut Materialized, meaning: i8, text: &str) {
        rows.change(text.as_bytes().to_vec(), meaning);
    }

    #[test]
    fn an_updated_row_stays_where_it_was_and_the_earliest_go() {
        let mut rows = Materialized::live(3);
        ["a1", "b1", "c1"].iter().for_each(|text| change(&mut rows, kind::INSERT, text));
        change(&mut rows, kind::UPDATE_BEFORE, "a1");
        change(&mut rows, kind::UPDATE_AFTER, "a2");
        assert_eq!(texts(&rows), ["a2", "b1", "c1"]);
        change(&mut rows, kind::INSERT, "d1");
        assert_eq!(texts(&rows), ["b1", "c1", "d1"]);
        // What was dropped may be taken back; what comes then is new.
        change(&mut rows, kind::UPDATE_BEFORE, "a2");
        change(&mut rows, kind::UPDATE_AFTER, "a3");
        assert_eq!((texts(&rows), rows.len()), (vec!["c1".into(), "d1".into(), "a3".into()], 3));
    }

    #[test]
    fn a_table_that_is_updated_for_long_does_not_grow() {
        let mut rows = Materialized::default();
        change(&mut rows, kind::INSERT, "keep");
        for number in 0..50_000 {
            change(&mut rows, kind::INSERT, &number.to_string());
            change(&mut rows, kind::DELETE, &number.to_string());
        }
        assert!(rows.rows.len() <= 2 * HOLES_MIN, "{}", rows.rows.len());
        assert_eq!(texts(&rows), ["keep"]);
        change(&mut rows, kind::DELETE, "keep");
        assert_eq!(rows.len(), 0);
        // A row that is taken back before it comes does not appear.
        change(&mut rows, kind::DELETE, "early");
        change(&mut rows, kind::INSERT, "early");
        assert_eq!(rows.len(), 0);
    }
}
