//! Looking at a [`KeyedTable`] a few entries at a time, to drop what is of no use any more.

use super::KeyedTable;
use crate::ttl::Age;
use eddyline_core::{Data, Key};

/// Buckets passed over per entry that is looked at, at most: a table may be nearly empty.
const BUCKETS_PER_ENTRY: usize = 8;

/// Where a sweep goes on. When a table is rehashed, some entries are looked at twice in a round and some not at all;
/// the next round finds them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SweepCursor {
    pub(super) group: usize,
    pub(super) bucket: usize,
}

impl<K: Key, V: Data> KeyedTable<K, V> {
    /// Whether `key` has a value that is not in a store alone.
    fn is_in_memory(&self, hash: u64, key: &K) -> bool {
        self.groups.get(self.index_of(hash)).is_some_and(|group| group.entries.get(hash, key).is_some())
    }

    /// Looks at about `entries` entries from `cursor` on: those that have expired are dropped, those that partly have
    /// are given to `trim`.
    pub(crate) fn sweep(
        &mut self,
        cursor: &mut SweepCursor,
        entries: usize,
        age: impl Fn(&V) -> Age,
        mut trim: impl FnMut(&mut V),
    ) {
        let mut found = Vec::new();
        let (mut looked_at, mut passed) = (0, 0);
        while looked_at < entries && passed < entries.saturating_mul(BUCKETS_PER_ENTRY) {
            passed += 1;
            let Some(group) = self.groups.get(cursor.group) else {
                *cursor = SweepCursor::default();
                if self.groups.is_empty() {
                    return;
                }
                continue;
            };
            if cursor.bucket >= group.entries.buckets() {
                *cursor = SweepCursor { group: cursor.group + 1, bucket: 0 };
                continue;
            }
            if let Some(entry) = group.entries.at_bucket(cursor.bucket) {
                looked_at += 1;
                match age(&entry.value) {
                    Age::Fresh => {}
                    Age::Partly => found.push((entry.key.clone(), false)),
                    Age::Expired => found.push((entry.key.clone(), true)),
                }
            }
            cursor.bucket += 1;
        }
        for (key, has_expired) in found {
            let hash = key.stable_hash();
            // A small table may have been gone round more than once: then it was dropped already.
            if !self.is_in_memory(hash, &key) {
                continue;
            }
            if has_expired {
                self.remove(hash, &key);
            } else if let Some(value) = self.get_mut(hash, &key) {
                trim(value);
            }
        }
    }
}
