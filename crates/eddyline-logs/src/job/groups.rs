//! Groups of the lines of one batch by a value that is part of their bytes, found without copying it.

use eddyline::EventTime;
use hashbrown::HashTable;

/// Counts lines by value and minute. A group is named by one of its rows.
#[derive(Default)]
pub(super) struct Groups {
    table: HashTable<u32>,
    groups: Vec<Group>,
}

struct Group {
    hash: u64,
    minute: EventTime,
    row: u32,
    count: u64,
}

impl Groups {
    /// Counts `row`; `is_same` says whether another row has the same value.
    pub(super) fn add(
        &mut self,
        value_hash: u64,
        minute: EventTime,
        row: u32,
        is_same: impl Fn(u32) -> bool,
    ) {
        // The low bits choose the bucket, the high ones are compared: both have to depend on the minute.
        let hash = (value_hash ^ minute as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
        let groups = &mut self.groups;
        let found = self.table.find(hash, |&place| {
            let group = &groups[place as usize];
            group.hash == hash && group.minute == minute && is_same(group.row)
        });
        match found {
            Some(&place) => groups[place as usize].count += 1,
            None => {
                let place = groups.len() as u32;
                groups.push(Group { hash, minute, row, count: 1 });
                let groups = &self.groups;
                self.table.insert_unique(hash, place, |&place| groups[place as usize].hash);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Minute, row and count of each group, in the order of first rows; none is left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (EventTime, u32, u64)> {
        self.table.clear();
        self.groups.drain(..).map(|group| (group.minute, group.row, group.count))
    }
}

/// Accesses of one host in one batch that are of one session whatever else there is: their first and last access are
/// not further apart than the gap.
pub(super) struct VisitGroup {
    hash: u64,
    /// One of its rows.
    pub(super) row: u32,
    pub(super) first: EventTime,
    pub(super) last: EventTime,
    pub(super) requests: u64,
    pub(super) bytes: u64,
}

/// Groups accesses by host.
#[derive(Default)]
pub(super) struct VisitGroups {
    /// The latest group of each host.
    table: HashTable<u32>,
    groups: Vec<VisitGroup>,
}

impl VisitGroups {
    /// Adds an access of a host at `time` with `bytes`.
    pub(super) fn add(
        &mut self,
        hash: u64,
        row: u32,
        (time, bytes): (EventTime, u64),
        gap_ms: i64,
        is_same: impl Fn(u32) -> bool,
    ) {
        let groups = &mut self.groups;
        let next = groups.len() as u32;
        let fresh = VisitGroup { hash, row, first: time, last: time, requests: 1, bytes };
        let found = self.table.find_mut(hash, |&place| {
            let group = &groups[place as usize];
            group.hash == hash && is_same(group.row)
        });
        let Some(place) = found else {
            groups.push(fresh);
            let groups = &self.groups;
            self.table.insert_unique(hash, next, |&place| groups[place as usize].hash);
            return;
        };
        let group = &mut groups[*place as usize];
        let (first, last) = (group.first.min(time), group.last.max(time));
        if last.saturating_sub(first) <= gap_ms {
            (group.first, group.last) = (first, last);
            group.requests += 1;
            group.bytes = group.bytes.saturating_add(bytes);
        } else {
            *place = next;
            groups.push(fresh);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// All groups; none is left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = VisitGroup> {
        self.table.clear();
        self.groups.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_by_minute() {
        let values = ["a", "b", "a", "a"];
        let minutes = [0, 0, 0, 60_000];
        let mut groups = Groups::default();
        for _ in 0..2 {
            for (row, minute) in minutes.into_iter().enumerate() {
                // All hashes are equal: what is the same is decided by the values.
                groups.add(7, minute, row as u32, |other| values[other as usize] == values[row]);
            }
            let found: Vec<_> = groups.drain().collect();
            assert_eq!(found, [(0, 0, 2), (0, 1, 1), (60_000, 3, 1)]);
        }
    }

    #[test]
    fn accesses_further_apart_than_the_gap_are_groups_of_their_own() {
        let mut groups = VisitGroups::default();
        for (row, time) in [100, 50, 151, 152, 400].into_iter().enumerate() {
            groups.add(1, row as u32, (time, 2), 101, |_| true);
        }
        let found: Vec<_> =
            groups.drain().map(|group| (group.first, group.last, group.requests, group.bytes)).collect();
        assert_eq!(found, [(50, 151, 3, 6), (152, 152, 1, 2), (400, 400, 1, 2)]);
        assert_eq!(groups.len(), 0);
    }
}
