//! Joining two inputs by key.
//!
//! Both sides are collected, for both end at the same time. A side that fits in memory is looked up by the other one
//! (a hash join); if neither does, or that was asked for, both are sorted by key and merged.

use super::blocking::{Body, Collects, Out, Produce, Producer, TakeContext};
use super::group::{Groups, Hashed, compare_keys, group_order};
use super::hash_join::{HashJoin, Probed};
use super::product::Product;
use crate::operators::KeyOf;
use crate::spill::{Overflow, SpillSetup, Spool, Spooled};
use eddyline_core::{Batch, Data, Key, Result};
use eddyline_runtime::InstanceInfo;
use std::cmp::Ordering;
use std::sync::Arc;

/// What leaves a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JoinKind {
    /// Each pair of values with equal keys.
    pub(crate) pairs: bool,
    /// Left values without a partner.
    pub(crate) left_alone: bool,
    /// Right values without a partner.
    pub(crate) right_alone: bool,
    /// Left values with a partner, once.
    pub(crate) left_once: bool,
}

/// How an instance joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocalStrategy {
    /// By looking up the smaller side, if it fits.
    Automatic,
    /// By looking up the left side, if it fits.
    BuildLeft,
    /// By looking up the right side, if it fits.
    BuildRight,
    /// By sorting both.
    Sort,
}

/// Makes a result of a left value, a right value, or both.
pub(crate) type JoinFunction<L, R, O> = Arc<dyn Fn(Option<&L>, Option<&R>) -> O + Send + Sync>;

/// The keys of both sides.
pub(crate) struct JoinKeys<K, L, R> {
    pub(crate) left: KeyOf<L, K>,
    pub(crate) right: KeyOf<R, K>,
}

impl<K, L, R> Clone for JoinKeys<K, L, R> {
    fn clone(&self) -> Self {
        JoinKeys { left: self.left.clone(), right: self.right.clone() }
    }
}

/// Both sides of an operator that sees two inputs by key.
pub(super) struct Sides<K, L, R> {
    keys: JoinKeys<K, L, R>,
    left: Option<Spool<Hashed<L>>>,
    right: Option<Spool<Hashed<R>>>,
    finished: Option<Spooled<Hashed<L>>>,
}

impl<K: Key, L: Data, R: Data> Sides<K, L, R> {
    pub(super) fn new(keys: JoinKeys<K, L, R>) -> Self {
        Sides { keys, left: None, right: None, finished: None }
    }

    pub(super) fn open(&mut self, setup: &SpillSetup) {
        let half = setup.share(2);
        self.left = Some(Spool::new(half.clone(), Some(group_order(&self.keys.left, None))));
        self.right = Some(Spool::new(half, Some(group_order(&self.keys.right, None))));
    }

    pub(super) fn take(&mut self, input: usize, mut batch: Batch) -> Result<()> {
        let (Some(left), Some(right)) = (&mut self.left, &mut self.right) else { return Ok(()) };
        if input == 0 {
            for record in batch.take_rows::<L>()? {
                let hash = (self.keys.left)(&record.value).stable_hash();
                left.push(Hashed { hash, value: record.value });
            }
        } else {
            for record in batch.take_rows::<R>()? {
                let hash = (self.keys.right)(&record.value).stable_hash();
                right.push(Hashed { hash, value: record.value });
            }
        }
        Ok(())
    }

    pub(super) fn poll(&mut self) -> Result<()> {
        self.left.as_mut().map_or(Ok(()), Spool::poll)?;
        self.right.as_mut().map_or(Ok(()), Spool::poll)
    }

    pub(super) fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        visit(&self.left);
        visit(&self.right);
    }

    #[allow(clippy::type_complexity)] // both sides, once both are there
    pub(super) fn finish(&mut self) -> Result<Option<(Spooled<Hashed<L>>, Spooled<Hashed<R>>)>> {
        let (Some(left), Some(right)) = (&mut self.left, &mut self.right) else { return Ok(None) };
        if self.finished.is_none() {
            self.finished = left.finish()?;
        }
        if self.finished.is_none() {
            return Ok(None);
        }
        let Some(right) = right.finish()? else { return Ok(None) };
        Ok(self.finished.take().map(|left| (left, right)))
    }
}

/// Joins two inputs.
pub(crate) struct JoinBody<K, L, R, O> {
    sides: Sides<K, L, R>,
    kind: JoinKind,
    strategy: LocalStrategy,
    function: JoinFunction<L, R, O>,
}

impl<K: Key, L: Data, R: Data, O: Data> JoinBody<K, L, R, O> {
    pub(crate) fn new(
        keys: JoinKeys<K, L, R>,
        kind: JoinKind,
        strategy: LocalStrategy,
        function: JoinFunction<L, R, O>,
    ) -> Self {
        JoinBody { sides: Sides::new(keys), kind, strategy, function }
    }

    fn producer(&self, left: Spooled<Hashed<L>>, right: Spooled<Hashed<R>>) -> Producer<O> {
        let (keys, kind, function) = (self.sides.keys.clone(), self.kind, self.function.clone());
        let smaller_left = left.rows().len() < right.rows().len();
        let build_left = match self.strategy {
            LocalStrategy::BuildLeft => left.is_in_memory() || !right.is_in_memory(),
            LocalStrategy::BuildRight => !right.is_in_memory() && left.is_in_memory(),
            _ => left.is_in_memory() && (smaller_left || !right.is_in_memory()),
        };
        let fits = if build_left { left.is_in_memory() } else { right.is_in_memory() };
        if self.strategy == LocalStrategy::Sort || !fits {
            let (left_key, right_key) = (keys.left.clone(), keys.right.clone());
            return Box::new(SortMergeJoin {
                left: Groups::new(left_key, left),
                right: Groups::new(right_key, right),
                kind,
                function,
                at: None,
            });
        }
        if build_left {
            let probed = Probed {
                pair: {
                    let function = function.clone();
                    Arc::new(move |build: &L, probe: &R| function(Some(build), Some(probe)))
                },
                build_alone: {
                    let function = function.clone();
                    Arc::new(move |build: &L| function(Some(build), None))
                },
                probe_alone: Arc::new(move |probe: &R| function(None, Some(probe))),
                pairs: kind.pairs,
                emits_build: (kind.left_alone, kind.left_once),
                emits_probe: (kind.right_alone, false),
            };
            Box::new(HashJoin::new((keys.left, left), (keys.right, right), probed))
        } else {
            let probed = Probed {
                pair: {
                    let function = function.clone();
                    Arc::new(move |build: &R, probe: &L| function(Some(probe), Some(build)))
                },
                build_alone: {
                    let function = function.clone();
                    Arc::new(move |build: &R| function(None, Some(build)))
                },
                probe_alone: Arc::new(move |probe: &L| function(Some(probe), None)),
                pairs: kind.pairs,
                emits_build: (kind.right_alone, false),
                emits_probe: (kind.left_alone, kind.left_once),
            };
            Box::new(HashJoin::new((keys.right, right), (keys.left, left), probed))
        }
    }
}

impl<K: Key, L: Data, R: Data, O: Data> Body for JoinBody<K, L, R, O> {
    type Output = O;

    fn open(&mut self, setup: &SpillSetup, _: &InstanceInfo) -> Result<()> {
        self.sides.open(setup);
        Ok(())
    }

    fn take(&mut self, input: usize, batch: Batch, _: TakeContext<'_, O>) -> Result<()> {
        self.sides.take(input, batch)
    }

    fn poll(&mut self) -> Result<()> {
        self.sides.poll()
    }

    fn collections(&self, visit: &mut dyn FnMut(&dyn Collects)) {
        self.sides.collections(visit);
    }

    fn finish(&mut self) -> Result<Option<Producer<O>>> {
        Ok(self.sides.finish()?.map(|(left, right)| self.producer(left, right)))
    }
}

/// Where the keys of two sides stand to one another; nothing when both are at their end.
pub(super) fn compare_heads<K: Key>(left: Option<&(u64, K)>, right: Option<&(u64, K)>) -> Option<Ordering> {
    match (left, right) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(left), Some(right)) => Some(left.0.cmp(&right.0).then_with(|| compare_keys(&left.1, &right.1))),
    }
}

/// A group that is being given out.
enum At<K, L, R> {
    Left(u64, K),
    Right(u64, K),
    Pairs(u64, K, Product<L, R>),
}

struct SortMergeJoin<K, L, R, O> {
    left: Groups<K, L>,
    right: Groups<K, R>,
    kind: JoinKind,
    function: JoinFunction<L, R, O>,
    at: Option<At<K, L, R>>,
}

impl<K: Key, L: Data, R: Data, O: Data> SortMergeJoin<K, L, R, O> {
    /// Goes to the next group that has something to give; says whether there is one.
    fn advance(&mut self) -> Result<bool> {
        loop {
            let (left, right) = (self.left.next_key()?, self.right.next_key()?);
            let Some(order) = compare_heads(left.as_ref(), right.as_ref()) else { return Ok(false) };
            let (hash, key) = match (left, right) {
                (Some(left), _) if order.is_le() => left,
                (_, Some(right)) => right,
                _ => return Ok(false),
            };
            match order {
                Ordering::Less if self.kind.left_alone => self.at = Some(At::Left(hash, key)),
                Ordering::Less => self.left.skip(hash, &key)?,
                Ordering::Greater if self.kind.right_alone => self.at = Some(At::Right(hash, key)),
                Ordering::Greater => self.right.skip(hash, &key)?,
                Ordering::Equal if self.kind.pairs => {
                    let mut rows = Overflow::new(self.right.storage(), self.right.spare_bytes());
                    while let Some(row) = self.right.next_of(hash, &key)? {
                        rows.push(row)?;
                    }
                    let product = Product::new(rows.finish()?, self.left.spare_bytes());
                    self.at = Some(At::Pairs(hash, key, product));
                }
                Ordering::Equal => {
                    self.right.skip(hash, &key)?;
                    if self.kind.left_once {
                        self.at = Some(At::Left(hash, key));
                    } else {
                        self.left.skip(hash, &key)?;
                    }
                }
            }
            if self.at.is_some() {
                return Ok(true);
            }
        }
    }
}

impl<K: Key, L: Data, R: Data, O: Data> Produce<O> for SortMergeJoin<K, L, R, O> {
    fn produce(&mut self, out: &mut Out<O>) -> Result<bool> {
        while !out.is_full() {
            let function = &self.function;
            let done = match &mut self.at {
                None => {
                    if !self.advance()? {
                        return Ok(false);
                    }
                    false
                }
                Some(At::Left(hash, key)) => match self.left.next_of(*hash, key)? {
                    Some(row) => {
                        out.push(function(Some(&row), None));
                        false
                    }
                    None => true,
                },
                Some(At::Right(hash, key)) => match self.right.next_of(*hash, key)? {
                    Some(row) => {
                        out.push(function(None, Some(&row)));
                        false
                    }
                    None => true,
                },
                Some(At::Pairs(hash, key, product)) => {
                    let left = &mut self.left;
                    !product.produce(
                        &mut || left.next_of(*hash, key),
                        &mut |one, other| function(Some(one), Some(other)),
                        out,
                    )?
                }
            };
            if done {
                self.at = None;
            }
        }
        Ok(true)
    }
}
