//! Randomness that is the same everywhere: integers only, no library to change it under us.

/// The generator `xoshiro256++` (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021),
/// its state filled by `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: [u64; 4],
}

/// One step of `SplitMix64`: also a good mixer for turning a number into a random-looking one.
pub(super) fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = [0, 1, 2, 3].map(|index: u64| mix(seed.wrapping_add(STEP.wrapping_mul(index))));
        Random { state }
    }

    pub(super) fn next(&mut self) -> u64 {
        let [first, second, third, fourth] = &mut self.state;
        let result = first.wrapping_add(*fourth).rotate_left(23).wrapping_add(*first);
        let shifted = *second << 17;
        *third ^= *first;
        *fourth ^= *second;
        *second ^= *third;
        *first ^= *fourth;
        *third ^= shifted;
        *fourth = fourth.rotate_left(45);
        result
    }

    /// A number below `bound`, which is not 0. The bias of the multiplication is below 2⁻³² for bounds below 2³².
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something happens that happens `parts` times in `whole`.
    pub(super) fn chance(&mut self, parts: u64, whole: u64) -> bool {
        self.below(whole) < parts
    }
}

/// A choice by weight.
#[derive(Debug, Clone)]
pub(super) struct Weighted {
    /// The running sum of the weights.
    sums: Vec<u64>,
}

impl Weighted {
    pub(super) fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let running = |sum: &mut u64, weight: u64| {
            *sum += weight;
            Some(*sum)
        };
        Weighted { sums: weights.into_iter().scan(0, running).collect() }
    }

    /// Zipf's law with exponent 1: the item of rank r has a weight of 1/r.
    pub(super) fn zipf(count: u64) -> Self {
        Weighted::new((1..=count).map(|rank| 1_000_000_000 / rank))
    }

    /// The index of an item.
    pub(super) fn pick(&self, random: &mut Random) -> usize {
        let total = self.sums.last().copied().unwrap_or(1);
        let point = random.below(total);
        self.sums.partition_point(|&sum| sum <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_splitmix64() {
        // The first outputs for seed 1234567, as published with the algorithm.
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(mix(1_234_567_u64.wrapping_add(0x9e37_79b9_7f4a_7c15)), 3_203_168_211_198_807_973);
    }

    #[test]
    fn bounds_hold_and_weights_shape_the_choice() {
        let mut random = Random::new(1);
        assert!((0..10_000).all(|_| random.below(7) < 7));
        let zipf = Weighted::zipf(100);
        let mut counts = [0_u32; 100];
        (0..100_000).for_each(|_| counts[zipf.pick(&mut random)] += 1);
        // The weights sum to 5.187: the first has 19.3 % of all, the second half of that.
        assert!((18_500..20_000).contains(&counts[0]), "{}", counts[0]);
        assert!((9_200..10_100).contains(&counts[1]), "{}", counts[1]);
        assert!(counts.iter().all(|&count| count > 0));
    }
}
