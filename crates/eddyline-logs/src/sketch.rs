//! Figures that are too large to be kept exactly: how many different things there were, and quantiles.
//!
//! Both are sketches of Apache DataSketches that merge in any order. [`Distinct`] is exact to about 2.3 % (one
//! standard error); few values are counted exactly. [`Quantiles`] is a t-digest: exact at the ends, within 1 % of the
//! rank in the middle.

use datasketches::hll::{HllSketch, HllType, HllUnion};
use datasketches::tdigest::TDigestMut;
use eddyline_core::data::{DataType, Reader, Value};
use eddyline_core::{Data, DecodeError};
use std::fmt;

/// The binary logarithm of the number of registers.
const REGISTERS_LOG: u8 = 11;
/// The compression of the digest: more is more exact and larger.
const COMPRESSION: u16 = 100;

/// How many different values were added.
///
/// # Examples
/// ```
/// use eddyline_logs::sketch::Distinct;
/// let mut visitors = Distinct::default();
/// for visitor in 0..10_000_u64 {
///     visitors.add(visitor % 5_000);
/// }
/// assert!((4_500..5_500).contains(&visitors.estimate()));
/// ```
#[derive(Clone)]
pub struct Distinct(HllSketch);

impl Default for Distinct {
    fn default() -> Self {
        Distinct(HllSketch::new(REGISTERS_LOG, HllType::Hll8).expect("invariant: a size within 4 to 21"))
    }
}

impl Distinct {
    /// Adds a value, by a hash of it.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        self.0.update(hash);
    }

    /// Adds everything that was added to `other`.
    pub fn merge(&mut self, other: &Distinct) {
        if other.0.is_empty() {
            return;
        }
        if self.0.is_empty() {
            self.0 = other.0.clone();
            return;
        }
        let mut union = HllUnion::new(REGISTERS_LOG).expect("invariant: a size within 4 to 21");
        union.update(&self.0);
        union.update(&other.0);
        self.0 = union.to_sketch(HllType::Hll8);
    }

    /// How many different values there were, about.
    pub fn estimate(&self) -> u64 {
        self.0.estimate().round() as u64
    }
}

impl fmt::Debug for Distinct {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Distinct({})", self.estimate())
    }
}

impl Data for Distinct {
    fn schema() -> DataType {
        Vec::<u8>::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.serialize().encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::of_bytes(&Vec::<u8>::decode(input)?)
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Self::of_bytes(&Vec::<u8>::from_value(value)?)
    }

    fn heap_bytes(&self) -> usize {
        self.0.estimated_size()
    }
}

impl Distinct {
    fn of_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        HllSketch::deserialize(bytes).map(Distinct).map_err(|error| DecodeError::new(error.to_string()))
    }
}

/// The distribution of a number.
///
/// # Examples
/// ```
/// use eddyline_logs::sketch::Quantiles;
/// let mut latency = Quantiles::default();
/// (1..=1_000).for_each(|micros| latency.add(micros));
/// assert!((480..=520).contains(&latency.quantile(0.5).unwrap()));
/// assert_eq!(Quantiles::default().quantile(0.5), None);
/// ```
#[derive(Clone, Default)]
pub struct Quantiles(Option<TDigestMut>);

impl Quantiles {
    /// Adds a number.
    pub fn add(&mut self, number: u64) {
        self.digest().update(number as f64);
    }

    fn digest(&mut self) -> &mut TDigestMut {
        self.0.get_or_insert_with(|| {
            TDigestMut::new(COMPRESSION).expect("invariant: a compression of at least 10")
        })
    }

    /// Adds everything that was added to `other`.
    pub fn merge(&mut self, other: &Quantiles) {
        if let Some(other) = &other.0 {
            self.digest().merge(other);
        }
    }

    /// The number below which the share `rank` of all numbers is; none if there are none.
    pub fn quantile(&self, rank: f64) -> Option<u64> {
        let found = self.0.clone()?.quantile(rank).ok()??;
        Some(found.round().max(0.0) as u64)
    }
}

impl fmt::Debug for Quantiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Quantiles({:?})", self.quantile(0.5))
    }
}

impl Data for Quantiles {
    fn schema() -> DataType {
        Vec::<u8>::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.clone().map_or_else(Vec::new, |mut digest| digest.serialize()).encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::of_bytes(&Vec::<u8>::decode(input)?)
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Self::of_bytes(&Vec::<u8>::from_value(value)?)
    }

    fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, TDigestMut::estimated_size)
    }
}

impl Quantiles {
    fn of_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Quantiles(None));
        }
        let digest = TDigestMut::deserialize(bytes).map_err(|error| DecodeError::new(error.to_string()))?;
        Ok(Quantiles(Some(digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_core::data::{from_bytes, to_bytes};

    #[test]
    fn sketches_merge_and_survive_their_encoding() {
        let (mut left, mut right) = (Distinct::default(), Distinct::default());
        let (mut fast, mut slow) = (Quantiles::default(), Quantiles::default());
        for number in 0..20_000_u64 {
            if number % 2 == 0 {
                left.add(number)
            } else {
                right.add(number)
            }
            if number % 2 == 0 { fast.add(number) } else { slow.add(number) }
        }
        left.merge(&right);
        fast.merge(&slow);
        let left: Distinct = from_bytes(&to_bytes(&left)).unwrap();
        let fast: Quantiles = from_bytes(&to_bytes(&fast)).unwrap();
        assert!((18_500..21_500).contains(&left.estimate()), "{left:?}");
        let median = fast.quantile(0.5).unwrap();
        assert!((9_500..10_500).contains(&median), "{median}");
        let none: Quantiles = from_bytes(&to_bytes(&Quantiles::default())).unwrap();
        assert_eq!(none.quantile(0.9), None);
        assert!(from_bytes::<Distinct>(&to_bytes(&vec![1_u8, 2, 3])).is_err());
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let mut distinct = Distinct::default();
        (0..20_u64).for_each(|value| distinct.add(value % 7));
        assert_eq!(distinct.estimate(), 7);
    }
}
