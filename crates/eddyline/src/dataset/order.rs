//! Orders of records, and records in order.

use crate::spill::Order;
use std::cmp::Ordering;
use std::sync::Arc;

/// How records are sorted: by one key or by several, the first one first.
///
/// # Examples
/// ```
/// use eddyline::Environment;
/// use eddyline::dataset::SortBy;
///
/// let environment = Environment::new();
/// let people = vec![("anna".to_string(), 31u32), ("ben".to_string(), 27), ("cem".to_string(), 31)];
/// let order = SortBy::descending(|(_, age): &(String, u32)| *age).then_ascending(|(name, _)| name.clone());
/// let sorted = environment.from_collection(people).bounded().sort_by(order).collect();
/// environment.execute("people")?;
/// let names: Vec<String> = sorted.rows().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["anna", "cem", "ben"]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct SortBy<T>(Order<T>);

impl<T> Clone for SortBy<T> {
    fn clone(&self) -> Self {
        SortBy(self.0.clone())
    }
}

impl<T: 'static> SortBy<T> {
    /// By a key, the least first.
    pub fn ascending<K: Ord>(key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        SortBy::comparing(move |one, other| key(one).cmp(&key(other)))
    }

    /// By a key, the greatest first.
    pub fn descending<K: Ord>(key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        SortBy::comparing(move |one, other| key(other).cmp(&key(one)))
    }

    /// By a comparison of your own: saves the copy of a key that is no plain number, and sorts floats
    /// ([`f64::total_cmp`]). It must be a total order.
    pub fn comparing(compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Self {
        SortBy(Arc::new(compare))
    }

    /// Where all keys so far are equal: by another key, the least first.
    #[must_use]
    pub fn then_ascending<K: Ord>(self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.then_comparing(move |one, other| key(one).cmp(&key(other)))
    }

    /// Where all keys so far are equal: by another key, the greatest first.
    #[must_use]
    pub fn then_descending<K: Ord>(self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.then_comparing(move |one, other| key(other).cmp(&key(one)))
    }

    /// Where all keys so far are equal: by a comparison of your own.
    #[must_use]
    pub fn then_comparing(self, compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Self {
        let first = self.0;
        SortBy::comparing(move |one, other| first(one, other).then_with(|| compare(one, other)))
    }

    pub(super) fn order(&self) -> Order<T> {
        self.0.clone()
    }
}

/// The records of a group, one after the other. They are read while they are asked for, from disk if need be; what is
/// not asked for is skipped.
pub struct Rows<'a, T> {
    next: &'a mut dyn FnMut() -> Option<T>,
}

impl<'a, T> Rows<'a, T> {
    pub(crate) fn new(next: &'a mut dyn FnMut() -> Option<T>) -> Self {
        Rows { next }
    }
}

impl<T> Iterator for Rows<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        (self.next)()
    }
}
