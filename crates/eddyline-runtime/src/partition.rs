//! Distributing the records of a batch over the instances that receive them.
//!
//! A [`Partitioner`] belongs to one sending instance of one edge. It may hold small parts back and join them with
//! those of later batches; the runtime flushes it when a tick ends, when the buffer time-out has passed and before
//! the sender waits for room.

use eddyline_core::key::{owner_of, stable_hash};
use eddyline_core::{Batch, Data, Error, Record, Reservation, Result};
use std::sync::Arc;

/// What a partitioner has to know.
#[derive(Debug, Clone, Copy)]
pub struct PartitionerSetup {
    /// Number of sending instances.
    pub senders: usize,
    /// Number of receiving instances.
    pub targets: usize,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// The sending worker; spreads round-robin starts.
    pub worker: usize,
    /// Most rows in one part.
    pub rows_max: usize,
}

/// Makes the partitioner of an edge for one sending instance.
pub type PartitionerFactory = Arc<dyn Fn(PartitionerSetup) -> Box<dyn Partitioner> + Send + Sync>;

/// Hands a part to the instance with that number.
pub type EmitPart<'a> = &'a mut dyn FnMut(usize, Batch);

/// Distributes batches over instances.
pub trait Partitioner {
    /// Takes a batch apart; parts may be held back.
    fn partition(&mut self, batch: Batch, emit: EmitPart<'_>) -> Result<()>;

    /// Hands out everything that is held back.
    fn flush(&mut self, emit: EmitPart<'_>);

    /// Whether anything is held back.
    fn holds(&self) -> bool;
}

/// A partitioner of typed rows by a function from row to instance.
pub fn rows_by<T, F, M>(make: M) -> PartitionerFactory
where
    T: Data,
    F: FnMut(&T) -> usize + 'static,
    M: Fn(PartitionerSetup) -> F + Send + Sync + 'static,
{
    Arc::new(move |setup| {
        Box::new(RowPartitioner {
            target: make(setup),
            setup,
            parts: Vec::new(),
            held: 0,
            _rows: std::marker::PhantomData::<T>,
        })
    })
}

/// Typed rows by key: the partitioner of [`crate::graph::Partitioning::Hash`].
pub fn rows_by_key<T: Data, K: Data>(
    key: impl Fn(&T) -> K + Send + Sync + Clone + 'static,
) -> PartitionerFactory {
    Arc::new(move |setup| {
        let key = key.clone();
        let max = setup.max_parallelism;
        let owners: Vec<u32> = (0..max).map(|group| owner_of(group, max, setup.targets as u32)).collect();
        let mask = max.is_power_of_two().then(|| u64::from(max) - 1);
        let target = move |value: &T| {
            let hash = key(value).stable_hash();
            let group = match mask {
                Some(mask) => hash & mask,
                None => hash % u64::from(max),
            };
            owners[group as usize] as usize
        };
        Box::new(RowPartitioner {
            target,
            setup,
            parts: Vec::new(),
            held: 0,
            _rows: std::marker::PhantomData::<T>,
        })
    })
}

struct Part<T> {
    rows: Vec<Record<T>>,
    created_micros: u64,
    bytes: usize,
    reservation: Option<Reservation>,
}

struct RowPartitioner<T, F> {
    target: F,
    setup: PartitionerSetup,
    parts: Vec<Part<T>>,
    held: usize,
    _rows: std::marker::PhantomData<T>,
}

impl<T: Data, F: FnMut(&T) -> usize> Partitioner for RowPartitioner<T, F> {
    fn partition(&mut self, mut batch: Batch, emit: EmitPart<'_>) -> Result<()> {
        if self.parts.is_empty() {
            self.parts = (0..self.setup.targets)
                .map(|_| Part { rows: Vec::new(), created_micros: u64::MAX, bytes: 0, reservation: None })
                .collect();
        }
        let created = batch.created_micros;
        let reservation = batch.take_reservation();
        let rows = batch.take_rows::<T>()?;
        let row_bytes = reservation.as_ref().map_or(0, |held| held.bytes() / rows.len().max(1));
        // The whole batch stays counted while it is taken apart: parts take over their share as they leave.
        let expected = (rows.len() / self.setup.targets + 16).next_power_of_two().min(self.setup.rows_max);
        for record in rows {
            let target = (self.target)(&record.value);
            let Some(part) = self.parts.get_mut(target) else {
                return Err(Error::user(format!(
                    "a partitioner chose instance {target} of {}",
                    self.setup.targets
                ))
                .with_hint("a custom partitioner must answer a number below the number of instances"));
            };
            if part.rows.capacity() == 0 {
                part.rows.reserve_exact(expected);
            }
            part.rows.push(record);
            part.bytes += row_bytes;
            if part.rows.len() >= self.setup.rows_max {
                part.created_micros = part.created_micros.min(created);
                let full = take_part(part, reservation.as_ref());
                emit(target, full);
            }
        }
        self.held = 0;
        for part in self.parts.iter_mut().filter(|part| !part.rows.is_empty()) {
            part.created_micros = part.created_micros.min(created);
            self.held += part.rows.len();
            // What is held back is counted as held back, on the account of the batch it came from last.
            part.reservation = reservation.as_ref().map(|held| held.another(part.bytes));
        }
        Ok(())
    }

    fn flush(&mut self, emit: EmitPart<'_>) {
        self.held = 0;
        for (target, part) in self.parts.iter_mut().enumerate() {
            if !part.rows.is_empty() {
                let whole = take_part(part, None);
                emit(target, whole);
            }
        }
    }

    fn holds(&self) -> bool {
        self.held > 0
    }
}

fn take_part<T: Data>(part: &mut Part<T>, fresh: Option<&Reservation>) -> Batch {
    let mut batch = Batch::from_rows(std::mem::take(&mut part.rows), part.created_micros);
    let bytes = std::mem::take(&mut part.bytes);
    let held = part.reservation.take();
    let reservation = match (&held, fresh) {
        (Some(held), _) if held.bytes() == bytes => None,
        (_, Some(fresh)) => Some(fresh.another(bytes)),
        (Some(held), None) => Some(held.another(bytes)),
        (None, None) => None,
    };
    if let Some(reservation) = reservation.or(held) {
        batch.reserve(reservation);
    }
    part.created_micros = u64::MAX;
    batch
}

/// How whole batches are handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    RoundRobin,
    First,
    /// In turn to the sender's own share of the instances.
    Share,
}

struct WholePartitioner {
    targets: std::ops::Range<usize>,
    next: usize,
}

impl Partitioner for WholePartitioner {
    fn partition(&mut self, batch: Batch, emit: EmitPart<'_>) -> Result<()> {
        let target = self.targets.start + self.next % self.targets.len().max(1);
        self.next = self.next % self.targets.len().max(1) + 1;
        emit(target, batch);
        Ok(())
    }

    fn flush(&mut self, _emit: EmitPart<'_>) {}

    fn holds(&self) -> bool {
        false
    }
}

fn whole(how: Whole) -> PartitionerFactory {
    Arc::new(move |setup| {
        let targets = match how {
            Whole::RoundRobin => 0..setup.targets,
            Whole::First => 0..1,
            Whole::Share => share_of(setup.worker, setup.senders, setup.targets),
        };
        Box::new(WholePartitioner { targets, next: setup.worker })
    })
}

/// The targets that a sender serves when `senders` divide `targets` among themselves: a run of them, or, where there
/// are more senders than targets, one that several senders share.
fn share_of(sender: usize, senders: usize, targets: usize) -> std::ops::Range<usize> {
    let senders = senders.max(1);
    if senders >= targets {
        let target = sender * targets / senders;
        return target..target + 1;
    }
    (sender * targets).div_ceil(senders)..((sender + 1) * targets).div_ceil(senders)
}

/// Batches in turn to all instances, starting with the one on the sender's worker.
pub fn rebalance() -> PartitionerFactory {
    whole(Whole::RoundRobin)
}

/// Batches in turn to the sender's own share of the instances: with as many senders as receivers each serves one,
/// with more receivers each serves several, with fewer several senders serve one.
pub fn rescale() -> PartitionerFactory {
    whole(Whole::Share)
}

/// Typed rows to instances drawn at random, each as likely as any other. The draw depends on the sender and on how
/// many rows it has sent in this attempt alone, so that a simulation repeats it.
pub fn shuffle<T: Data>() -> PartitionerFactory {
    rows_by::<T, _, _>(|setup| {
        let mut state = stable_hash(&(setup.worker as u64).to_le_bytes());
        move |_: &T| {
            // splitmix64 (Steele, Lea, Flood 2014)
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            ((u128::from(mixed) * setup.targets as u128) >> 64) as usize
        }
    })
}

/// Every batch to instance 0.
pub fn global() -> PartitionerFactory {
    whole(Whole::First)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_core::key::key_group_of;

    fn setup(targets: usize) -> PartitionerSetup {
        PartitionerSetup { senders: 2, targets, max_parallelism: 128, worker: 1, rows_max: 4 }
    }

    fn run(partitioner: &mut dyn Partitioner, rows: std::ops::Range<u64>) -> Vec<(usize, Vec<u64>)> {
        let mut parts = Vec::new();
        let mut take = |target: usize, mut batch: Batch| {
            let rows = batch.take_rows::<u64>().unwrap();
            parts.push((target, rows.into_iter().map(|record| record.value).collect()));
        };
        let batch = Batch::from_rows(rows.map(|value| Record::new(value, 0)).collect(), 7);
        partitioner.partition(batch, &mut take).unwrap();
        partitioner.flush(&mut take);
        parts
    }

    #[test]
    fn rows_of_a_key_go_to_the_owner_of_its_group() {
        let mut partitioner = rows_by_key(|value: &u64| *value)(setup(3));
        let parts = run(partitioner.as_mut(), 0..100);
        assert_eq!(parts.iter().map(|(_, rows)| rows.len()).sum::<usize>(), 100);
        for (target, rows) in parts {
            assert!(rows.len() <= 4);
            for row in rows {
                assert_eq!(owner_of(key_group_of(row.stable_hash(), 128), 128, 3) as usize, target);
            }
        }
        assert!(!partitioner.holds());
    }

    #[test]
    fn a_target_that_does_not_exist_is_an_error() {
        let mut partitioner = rows_by(|_| |_: &u64| 9usize)(setup(2));
        let batch = Batch::from_rows(vec![Record::new(1u64, 0)], 0);
        assert!(partitioner.partition(batch, &mut |_, _| {}).is_err());
    }

    #[test]
    fn whole_batches_go_round_or_to_the_first() {
        assert_eq!(run(rebalance()(setup(2)).as_mut(), 0..2), vec![(1, vec![0, 1])]);
        assert_eq!(run(global()(setup(2)).as_mut(), 0..1), vec![(0, vec![0])]);
    }

    #[test]
    fn shares_cover_all_targets_evenly_and_are_the_instance_itself_where_numbers_are_equal() {
        for senders in 1..9 {
            for targets in 1..9 {
                let mut served = vec![0usize; targets];
                for sender in 0..senders {
                    let share = share_of(sender, senders, targets);
                    assert!(!share.is_empty() && share.len() <= targets.div_ceil(senders));
                    assert!(senders != targets || share == (sender..sender + 1));
                    share.for_each(|target| served[target] += 1);
                }
                assert!(served.iter().all(|count| (1..=senders.div_ceil(targets)).contains(count)));
            }
        }
        let mut partitioner = rescale()(PartitionerSetup { worker: 1, ..setup(4) });
        let targets: Vec<usize> = (0..4).map(|_| run(partitioner.as_mut(), 0..1)[0].0).collect();
        assert!(targets.iter().all(|target| *target == 2 || *target == 3) && targets[0] != targets[1]);
    }

    #[test]
    fn a_shuffle_is_even_and_repeats() {
        let counts = || {
            let mut counts = [0usize; 3];
            let mut partitioner = shuffle::<u64>()(setup(3));
            for (target, rows) in run(partitioner.as_mut(), 0..3_000) {
                counts[target] += rows.len();
            }
            counts
        };
        assert!(counts().iter().all(|count| (900..1_100).contains(count)), "{:?}", counts());
        assert_eq!(counts(), counts());
    }
}
