//! Numbers that look random and are the same each time: faithful data without a data set.

/// A sequence of numbers that its seed decides (splitmix64; Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is greater than 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_number() % limit
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Shuffles items within stretches of `length`: input that comes out of order, but not by much.
    pub fn disorder<T>(&mut self, items: &mut [T], length: usize) {
        for stretch in items.chunks_mut(length.max(1)) {
            for last in (1..stretch.len()).rev() {
                stretch.swap(last, self.below(last as u64 + 1) as usize);
            }
        }
    }
}
