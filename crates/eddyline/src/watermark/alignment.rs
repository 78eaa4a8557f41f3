//! Sources that wait for one another.
//!
//! The members of an alignment group are known by their numbers in the finished graph, which exist only once the
//! job is built; until then sources hold on to a shared directory that is filled in at that moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The node numbers of the sources of each alignment group.
#[derive(Clone, Default)]
pub(crate) struct AlignmentGroups(Arc<Mutex<BTreeMap<String, Vec<usize>>>>);

impl AlignmentGroups {
    /// Sets the members of all groups.
    pub(crate) fn fill(&self, groups: BTreeMap<String, Vec<usize>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = groups;
    }

    /// The members of `group`.
    pub(crate) fn members(&self, group: &str) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned().unwrap_or_default()
    }
}
