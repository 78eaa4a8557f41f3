//! Keys, their stable hash, and key groups.
//!
//! `key group = stable_hash(canonical key bytes) % max_parallelism`. The canonical bytes of a key are its
//! [`Data::encode`] output; the hash is XXH3-64 with seed 0 (<https://xxhash.com>), documented so that any
//! language can compute it. A worker instance owns a contiguous range of key groups, so that a checkpoint can be
//! restored at any parallelism up to the maximum: groups move, keys never change groups.

use crate::data::Data;
use std::cell::RefCell;

/// A type by which records can be partitioned and state can be kept.
///
/// Blanket-implemented for every [`Data`] type with exact equality; floats are excluded because they have none.
///
/// # Examples
/// ```
/// use eddyline_core::{Data, Key, key_group_of};
///
/// #[derive(Clone, PartialEq, Eq, Data)]
/// struct Customer(u64);
///
/// fn group_of<K: Key>(key: &K) -> u32 {
///     key_group_of(key.stable_hash(), 128)
/// }
///
/// // Equal bytes, equal group: in every process and every version of the program.
/// assert_eq!(group_of(&Customer(7)), group_of(&7u64));
/// ```
pub trait Key: Data + Eq {}

impl<T: Data + Eq> Key for T {}

/// The number of a key group, in `0..max_parallelism`.
pub type KeyGroup = u32;

/// The hash that decides where a key lives: XXH3-64 (seed 0) of the key's canonical bytes.
#[inline]
pub fn stable_hash(canonical: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(canonical)
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Hashes any encodable value by its canonical bytes, reusing one buffer per thread.
pub(crate) fn hash_encoded<T: Data>(value: &T) -> u64 {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut buffer) => {
            buffer.clear();
            value.encode(&mut buffer);
            stable_hash(&buffer)
        }
        Err(_) => {
            let mut buffer = Vec::new();
            value.encode(&mut buffer);
            stable_hash(&buffer)
        }
    })
}

/// The key group of a hash.
#[inline]
pub fn key_group_of(hash: u64, max_parallelism: u32) -> KeyGroup {
    (hash % u64::from(max_parallelism)) as KeyGroup
}

/// The contiguous key groups that one operator instance owns.
///
/// # Examples
/// ```
/// use eddyline_core::{KeyGroupRange, key::owner_of};
///
/// let range = KeyGroupRange::of_instance(128, 3, 1);
/// assert_eq!(range, KeyGroupRange { start: 43, end: 86 });
/// assert_eq!(range.len(), 43);
/// assert!(range.contains(43) && !range.contains(86));
/// assert_eq!(owner_of(43, 128, 3), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyGroupRange {
    /// The first group owned.
    pub start: KeyGroup,
    /// One past the last group owned.
    pub end: KeyGroup,
}

impl KeyGroupRange {
    /// The groups of instance `index` of `parallelism`, out of `max_parallelism`; consistent with [`owner_of`].
    pub fn of_instance(max_parallelism: u32, parallelism: u32, index: u32) -> Self {
        let first = |i: u64| (i * u64::from(max_parallelism)).div_ceil(u64::from(parallelism)) as u32;
        KeyGroupRange { start: first(u64::from(index)), end: first(u64::from(index) + 1) }
    }

    /// Whether `group` is in the range.
    #[inline]
    pub fn contains(&self, group: KeyGroup) -> bool {
        (self.start..self.end).contains(&group)
    }

    /// How many groups are in the range.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the range owns nothing.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}

/// The instance, of `parallelism`, that owns `group`.
#[inline]
pub fn owner_of(group: KeyGroup, max_parallelism: u32, parallelism: u32) -> u32 {
    (u64::from(group) * u64::from(parallelism) / u64::from(max_parallelism)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_exactly_one_owner() {
        for max in [1u32, 7, 128, 1000] {
            for parallelism in 1..=max.min(17) {
                for group in 0..max {
                    let owner = owner_of(group, max, parallelism);
                    for index in 0..parallelism {
                        let range = KeyGroupRange::of_instance(max, parallelism, index);
                        assert_eq!(range.contains(group), index == owner, "{max} {parallelism} {group}");
                    }
                }
            }
        }
    }

    #[test]
    fn hash_is_the_published_one() {
        assert_eq!(stable_hash(b""), 0x2D06_8005_38D3_94C2);
    }
}
